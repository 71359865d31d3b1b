// Package custom logs in with calls that the settings write out, and puts values of their answers
// where a template says (authType «custom»).
//
//	Calls ─ send, in order ─▶ answers ─ expressions (jq), once per login ─▶ Token.Values
//	Token ─ Template.Render ─▶ headers, query, body members of every request
//
// An expression is what stands between {{ and }}: a path or any other jq program that begins with
// a dot, or with $answers, $headers or $cookies. The token holds what the template's expressions
// gave and nothing else of the answers; it is named by their texts. Keeping it, renewing it and
// sharing it is the engine's work, as for every other method.
package custom

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// Config is the method's settings.
type Config struct {
	Calls        []Call        // the authentication calls, in order; at least one
	Template     Template      // where values go; not empty
	Interval     time.Duration // how long a credential is good; 0: until it is refused
	IntervalFrom *Expression   // what the last answer says of that, before Interval; nil: nothing
	Base         string        // the system's base URL; a credential is good for one system only
	Identity     string        // a hash of the certificates that the connection shows and trusts; empty: the usual ones
	Owner        string        // the adapter, for `keyhitch token`
	Tries        int           // how often one request may be sent; the breaker must not cut that short
}

// Validate reports what is missing.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Calls) == 0 {
		errs = append(errs, errors.New("/customAuthRequest: is required with authType custom"))
	}
	if c.Template.empty() {
		errs = append(errs, errors.New("/customAuthRequestTemplate: needs at least one of headers, queryParams and body"))
	}
	return errors.Join(errs...)
}

// Open makes no call: the first Apply does.
func (c *Config) Open(env auth.Env) (auth.Authenticator, error) {
	for _, call := range c.Calls {
		env.Redact.Learn(call.secrets()...)
	}
	env.Redact.Learn(c.Template.secrets()...)
	parts := c.key()
	// The redactor learns the token's values and the settings' secrets. What both make together it
	// need not: a template may write Accept: application/json, and that is no secret.
	return &auth.Placed{Placement: c.Template, Source: auth.Cached(auth.Credential{
		Key: env.Keys.CacheKey(parts...), Older: env.Keys.OlderKeys(parts...), Owner: c.Owner, Margin: margin, Refusals: c.Tries,
		Source: auth.TokenSourceFunc(func(ctx context.Context) (auth.Token, error) { return c.login(ctx, env) }),
	}, env)}, nil
}

// margin is how long before its end a credential is renewed: 60 s, or a tenth of a short life, but
// at least a second. The half is for lives of a second, which would be stale at birth.
func margin(life time.Duration) time.Duration {
	return min(max(min(time.Minute, life/10), time.Second), life/2)
}

// Plan shows the calls and where the values go.
func (c *Config) Plan(ctx context.Context, reveal bool) (auth.Plan, error) {
	var plan auth.Plan
	for _, call := range c.Calls {
		req, err := call.request(ctx, filling{masked: !reveal})
		if err != nil {
			return auth.Plan{}, err
		}
		plan.Requests = append(plan.Requests, req)
	}
	place := c.Template
	place.masked = !reveal
	plan.Auth = standIn{place}
	return plan, nil
}

// standIn writes {.path} where the value of an expression goes.
type standIn struct{ place Template }

// Apply writes the stand-ins.
func (s standIn) Apply(req *http.Request) (auth.Stamp, error) {
	in, err := s.place.Render(auth.Token{})
	if err != nil {
		return 0, err
	}
	return 0, in.Apply(req)
}

// key names everything that decides the token: where it is good and to whom, the finished calls,
// what is taken from their answers, and how long it is good.
func (c *Config) key() []string {
	parts := []string{"custom", c.Base, c.Identity, c.Interval.String(), ""}
	if c.IntervalFrom != nil {
		parts[4] = c.IntervalFrom.text
	}
	for _, call := range c.Calls {
		parts = append(parts, "call")
		parts = append(parts, call.key()...)
	}
	return append(append(parts, "template"), c.Template.expressions()...)
}
