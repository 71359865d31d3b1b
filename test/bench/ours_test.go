package bench

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// keyhitch is ours among the engines.
func keyhitch(f fetch) engine {
	source := auth.Cached(auth.Credential{Source: tokens(f)}, auth.Env{Now: time.Now, Jitter: noJitter})
	return engine{name: "keyhitch", early: time.Minute, token: reading(source),
		wrap: func(base http.RoundTripper, to *url.URL) http.RoundTripper { return transport(base, source, to) }}
}

// noJitter: a goal about the moment of a renewal has to know it.
func noJitter() float64 { return 0 }

// tokens makes an hour's token of which so much is left, so that our own rule decides when it
// gets stale: a minute before its end.
func tokens(f fetch) auth.TokenSource {
	return auth.TokenSourceFunc(func(ctx context.Context) (auth.Token, error) {
		text, left, err := f(ctx)
		if err != nil {
			return auth.Token{}, err
		}
		now := time.Now()
		return auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret(text)},
			Obtained: now.Add(left - time.Hour), Expiry: now.Add(left)}, nil
	})
}

func reading(source *auth.CachedSource) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		token, err := source.Token(ctx)
		if err != nil {
			return "", err
		}
		return token.Value("token").Reveal(), nil
	}
}

// header places the token as a definition would say it.
func header(format string) auth.Placement {
	place, problems := auth.CompileFields([]auth.Field{{Path: "header.headers.Authorization", Format: format}}, nil, "token")
	if len(problems) > 0 {
		panic(problems[0])
	}
	return place
}

func transport(base http.RoundTripper, source *auth.CachedSource, to *url.URL) *auth.Transport {
	return &auth.Transport{Base: base, Origin: auth.OriginOf(to), Resubmits: 1,
		Auth: &auth.Placed{Source: source, Placement: header("Bearer {token}")}}
}
