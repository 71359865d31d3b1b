// Package requesttoken logs in with a declared token request and adds the token that comes back
// to every call (auth_method «request_token»).
//
//	Timeout -1   a token request before every call; nothing is shared, nobody queues
//	Timeout  0   the answer says when the token ends: its expiry, else a JWT's exp; else good once
//	Timeout >0   the token ends that long after it came, whatever the answer says
package requesttoken

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/internal/endpoint"
)

// Config is the method's settings.
type Config struct {
	User    auth.Secret       // shown by `keyhitch token`, and part of the login
	Secrets []auth.Secret     // what the login sends; the redactor must know them
	Request auth.TokenRequest // how to ask, and how to read the answer; required
	Place   auth.Placement    // where the token goes; required
	Second  bool              // the placement uses the second token
	Timeout time.Duration     // -1, 0 or the token's lifetime
	Margin  *time.Duration    // renew this long before expiry; nil: min(60 s, 10 % of the lifetime)
	Tries   int               // how often one call may be sent; the breaker must not cut that short
	Owner   string            // the adapter, for `keyhitch token`
}

// PerCall is the Timeout that asks for a token before every call.
const PerCall time.Duration = -1

// Validate reports what is missing.
func (c *Config) Validate() error {
	var errs []error
	if c.Request == nil {
		errs = append(errs, errors.New("/auth_method: request_token needs a getToken action in entities/.system/action.json"))
	}
	if c.Place == nil {
		errs = append(errs, errors.New("/auth_field: is required"))
	}
	return errors.Join(errs...)
}

// Open makes no call: the first Apply does.
func (c *Config) Open(env auth.Env) (auth.Authenticator, error) {
	env.Redact.Learn(c.Secrets...)
	source := auth.TokenSourceFunc(func(ctx context.Context) (auth.Token, error) { return c.login(ctx, env) })
	if c.Timeout == PerCall {
		return &auth.PerCall{Source: auth.Measured(withDeadline(source, c.Request.Timeout()), c.Owner, env), Placement: c.Place, Redact: env.Redact}, nil
	}
	parts, err := c.key()
	if err != nil {
		return nil, err
	}
	return &auth.Placed{Placement: c.Place, Redact: env.Redact, Source: auth.Cached(auth.Credential{
		Key: env.Keys.CacheKey(parts...), Older: env.Keys.OlderKeys(parts...), Owner: c.Owner, User: c.User.Reveal(), Source: source, Margin: c.margin(), Timeout: c.Request.Timeout(), Refusals: c.Tries,
	}, env)}, nil
}

// Plan shows the token request and where the token goes.
func (c *Config) Plan(ctx context.Context, reveal bool) (auth.Plan, error) {
	req, err := c.Request.New(ctx, reveal)
	if err != nil {
		return auth.Plan{}, err
	}
	place := c.Place
	if !reveal {
		place = place.Masked()
	}
	return auth.Plan{Requests: []*http.Request{req}, Auth: &standIn{place}}, nil
}

// standIn writes {token} where the token goes.
type standIn struct{ place auth.Placement }

// Apply writes the stand-ins.
func (s *standIn) Apply(req *http.Request) (auth.Stamp, error) {
	in, err := s.place.Render(auth.Token{Values: map[string]auth.Secret{
		"token": auth.Unknown("token"), "tokenp2": auth.Unknown("tokenp2")}})
	if err != nil {
		return 0, err
	}
	return 0, in.Apply(req)
}

func (c *Config) login(ctx context.Context, env auth.Env) (auth.Token, error) {
	req, err := c.Request.New(ctx, true)
	if err != nil {
		return auth.Token{}, err
	}
	masked, err := c.Request.New(ctx, false)
	if err != nil {
		return auth.Token{}, err
	}
	name := endpoint.Name(masked.URL)
	answer, err := endpoint.Do(ctx, env, endpoint.Request{Request: req, Name: name})
	if err != nil {
		return auth.Token{}, err
	}
	ahead := endpoint.Ahead(answer)
	answer.At = answer.At.Add(ahead) // moments in the answer are by the endpoint's clock
	token, err := c.Request.Read(answer)
	if errors.Is(err, auth.ErrNoSuccess) {
		return auth.Token{}, endpoint.Refusal(name, answer, env.Redact)
	}
	if err == nil {
		err = c.complete(token)
	}
	if err != nil {
		return auth.Token{}, &auth.TokenError{Endpoint: name, Status: answer.Status, Reason: err.Error()}
	}
	token.Obtained = answer.At
	token.Expiry = c.expiry(token).Add(-ahead)
	token.Obtained = answer.At.Add(-ahead)
	return token, nil
}

// complete refuses an answer that lacks what the placement needs.
func (c *Config) complete(token auth.Token) error {
	switch {
	case token.Value("token").IsZero():
		return errors.New("the answer holds no token")
	case c.Second && token.Value("tokenp2").IsZero():
		return errors.New("the answer holds no second token (tokenp2), which auth_field_format uses")
	}
	return nil
}

func (c *Config) expiry(token auth.Token) time.Time {
	if c.Timeout > 0 {
		return token.Obtained.Add(c.Timeout)
	}
	if !token.Expiry.IsZero() {
		return token.Expiry
	}
	if exp, ok := auth.JWTExpiry(token.Value("token")); ok {
		return exp
	}
	return token.Obtained // nobody says how long it lives: good once
}

func (c *Config) margin() func(time.Duration) time.Duration {
	if c.Margin == nil {
		return auth.DefaultMargin
	}
	// A margin as long as the lifetime would make every token stale at birth.
	return func(lifetime time.Duration) time.Duration { return min(*c.Margin, lifetime/10*9) }
}

// key names everything that decides the token: the finished token request, and the settings
// that shape what is made of the answer.
func (c *Config) key() ([]string, error) {
	req, err := c.Request.New(context.Background(), true)
	if err != nil {
		return nil, err
	}
	var body []byte
	if req.Body != nil {
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	parts := []string{"request_token", req.Method, req.URL.String(), c.Timeout.String(), c.Request.Fingerprint(), string(body)}
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		parts = append(parts, name, strings.Join(req.Header[name], "\n"))
	}
	return parts, nil
}

// withDeadline bounds a token request that a caller makes for itself.
func withDeadline(source auth.TokenSource, d time.Duration) auth.TokenSource {
	return auth.TokenSourceFunc(func(ctx context.Context) (auth.Token, error) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return source.Token(ctx)
	})
}
