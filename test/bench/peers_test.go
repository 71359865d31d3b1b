package bench

import (
	"context"
	"net/http"
	"net/url"
	"time"

	gauth "cloud.google.com/go/auth"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	azruntime "github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/aws/aws-sdk-go-v2/aws"
	smithybearer "github.com/aws/smithy-go/auth/bearer"
	"golang.org/x/oauth2"
)

// engine keeps a token and hands it out: ours, or a peer's. All ask the same fetch.
type engine struct {
	name  string
	early time.Duration // how long before its end a token stops being fresh, by the engine's own rule
	token func(ctx context.Context) (string, error)
	wrap  func(base http.RoundTripper, to *url.URL) http.RoundTripper
}

// xoauth2 holds a mutex while it asks.
func xoauth2(f fetch) engine {
	source := oauth2.ReuseTokenSource(nil, oauth2Source(f))
	return engine{name: "x/oauth2", early: 10 * time.Second,
		token: func(context.Context) (string, error) {
			token, err := source.Token()
			if err != nil {
				return "", err
			}
			return token.AccessToken, nil
		},
		wrap: func(base http.RoundTripper, _ *url.URL) http.RoundTripper {
			return &oauth2.Transport{Source: source, Base: base}
		}}
}

type oauth2Source fetch

// Token has no context to end with: that is how the interface is.
func (f oauth2Source) Token() (*oauth2.Token, error) {
	token, left, err := f(context.Background())
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: token, TokenType: "Bearer", Expiry: time.Now().Add(left)}, nil
}

// azure is azcore's pipeline with its bearer policy, retries off: they are not what is measured.
func azure(f fetch) engine {
	policies := azruntime.NewBearerTokenPolicy(azureCredential(f), []string{"scope"},
		&policy.BearerTokenOptions{InsecureAllowCredentialWithHTTP: true})
	wrap := func(base http.RoundTripper, _ *url.URL) http.RoundTripper {
		return azureTransport{azruntime.NewPipeline("bench", "v0", azruntime.PipelineOptions{PerRetry: []policy.Policy{policies}},
			&policy.ClientOptions{Transport: azureBase{base}, Retry: policy.RetryOptions{MaxRetries: -1},
				Telemetry: policy.TelemetryOptions{Disabled: true}})}
	}
	through := wrap(answer(), nil) // its cache can be read only by a call
	return engine{name: "azcore", early: 5 * time.Minute, wrap: wrap,
		token: func(ctx context.Context) (string, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://a.example/", nil)
			if err != nil {
				return "", err
			}
			_, err = through.RoundTrip(req)
			return req.Header.Get("Authorization"), err
		}}
}

type azureCredential fetch

// GetToken asks.
func (f azureCredential) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, left, err := f(ctx)
	return azcore.AccessToken{Token: token, ExpiresOn: time.Now().Add(left)}, err
}

type azureBase struct{ http.RoundTripper }

// Do sends.
func (b azureBase) Do(req *http.Request) (*http.Response, error) { return b.RoundTrip(req) }

type azureTransport struct{ azruntime.Pipeline }

// RoundTrip runs the pipeline.
func (t azureTransport) RoundTrip(plain *http.Request) (*http.Response, error) {
	req, err := azruntime.NewRequestFromRequest(plain)
	if err != nil {
		return nil, err
	}
	azruntime.SkipBodyDownload(req)
	return t.Do(req)
}

// awsCredentials is the SDK's cache, set to renew a minute early, as ours does.
func awsCredentials(f fetch) engine {
	cache := aws.NewCredentialsCache(awsProvider(f), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute })
	return engine{name: "aws CredentialsCache", early: time.Minute, token: func(ctx context.Context) (string, error) {
		credentials, err := cache.Retrieve(ctx)
		return credentials.AccessKeyID, err
	}}
}

type awsProvider fetch

// Retrieve asks.
func (f awsProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	token, left, err := f(ctx)
	return aws.Credentials{AccessKeyID: token, SecretAccessKey: token, CanExpire: true, Expires: time.Now().Add(left)}, err
}

// smithy renews behind its callers.
func smithy(f fetch) engine {
	cache := smithybearer.NewTokenCache(smithyProvider(f), func(o *smithybearer.TokenCacheOptions) {
		o.RefreshBeforeExpires, o.AsyncRefreshMinimumDelay = time.Minute, time.Second
	})
	return engine{name: "aws smithy bearer", early: time.Minute, token: func(ctx context.Context) (string, error) {
		token, err := cache.RetrieveBearerToken(ctx)
		return token.Value, err
	}}
}

type smithyProvider fetch

// RetrieveBearerToken asks.
func (f smithyProvider) RetrieveBearerToken(ctx context.Context) (smithybearer.Token, error) {
	token, left, err := f(ctx)
	return smithybearer.Token{Value: token, CanExpire: true, Expires: time.Now().Add(left)}, err
}

// google renews 225 s early, behind its callers.
func google(f fetch) engine {
	provider := gauth.NewCachedTokenProvider(googleProvider(f), nil)
	return engine{name: "google auth", early: 225 * time.Second, token: func(ctx context.Context) (string, error) {
		token, err := provider.Token(ctx)
		if err != nil {
			return "", err
		}
		return token.Value, nil
	}}
}

type googleProvider fetch

// Token asks.
func (f googleProvider) Token(ctx context.Context) (*gauth.Token, error) {
	token, left, err := f(ctx)
	if err != nil {
		return nil, err
	}
	return &gauth.Token{Value: token, Type: "Bearer", Expiry: time.Now().Add(left)}, nil
}
