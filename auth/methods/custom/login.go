package custom

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/internal/endpoint"
)

// login makes the calls and takes what the template needs out of the answers.
func (c *Config) login(ctx context.Context, env auth.Env) (auth.Token, error) {
	var s scope
	var last exchange
	for i := range c.Calls {
		x, err := c.Calls[i].exchange(ctx, env, c.words(i), s)
		if err != nil {
			return auth.Token{}, err
		}
		root, err := read(x.answer)
		if err != nil && c.needed(i) {
			return auth.Token{}, x.failed("%v", err)
		}
		env.Observing("answer", shape(root, shownDepth, env.Redact), 0)
		s, last = s.with(x.answer, root), x
	}
	return c.token(ctx, env, s, last)
}

// words is how messages call one of the calls.
func (c *Config) words(i int) string {
	if len(c.Calls) == 1 {
		return "customAuthRequest"
	}
	return fmt.Sprintf("customAuthRequest[%d]", i)
}

// needed reports whether the answer of call i must be JSON that says something: it need not where
// all that follows it asks for is headers and cookies, as after the login of a session.
func (c *Config) needed(i int) bool {
	next := c.Template.spots
	if i+1 < len(c.Calls) {
		next = c.Calls[i+1].spots
	}
	asked := used(next)
	for _, e := range asked {
		if !strings.HasPrefix(e.text, "$headers") && !strings.HasPrefix(e.text, "$cookies") {
			return true
		}
	}
	return len(asked) == 0 || c.looksBack()
}

// looksBack reports whether any expression can see an answer that is not the last.
func (c *Config) looksBack() bool {
	spots := c.Template.spots
	for _, call := range c.Calls {
		spots = append(spots[:len(spots):len(spots)], call.spots...)
	}
	for _, e := range used(spots) {
		if strings.Contains(e.text, "$answers") {
			return true
		}
	}
	return false
}

func (c *Config) token(ctx context.Context, env auth.Env, s scope, x exchange) (auth.Token, error) {
	values, err := evaluate(ctx, env, c.Template.spots, s)
	if err != nil {
		return auth.Token{}, x.failed("template: %v", err)
	}
	token := auth.Token{Values: values, Obtained: x.answer.At}
	if silent(values) {
		token.Values[loggedIn] = auth.NewSecret("ok")
	}
	ahead := endpoint.Ahead(x.answer) // a moment in the answer is by the endpoint's clock
	if token.Expiry, err = c.expiry(ctx, env, s, x.answer.At.Add(ahead)); err != nil {
		return auth.Token{}, x.failed("reauthenticateIntervalFrom: %v", err)
	}
	if !token.Expiry.IsZero() {
		token.Expiry = token.Expiry.Add(-ahead)
	}
	// What no request may carry is found now, and not by every call of its own.
	if _, err := c.Template.Render(token); err != nil {
		return auth.Token{}, x.failed("template: %v", err)
	}
	c.Template.explain(env, values)
	return token, nil
}

// loggedIn is the value of a login that brings none: a cache takes a token without values for none.
const loggedIn = "login"

func silent(values map[string]auth.Secret) bool {
	for _, value := range values {
		if !value.IsZero() {
			return false
		}
	}
	return true
}

// evaluate gives the value of every expression, by its text.
func evaluate(ctx context.Context, env auth.Env, spots []spot, s scope) (map[string]auth.Secret, error) {
	values := map[string]auth.Secret{}
	for _, at := range spots {
		for _, p := range at.parts {
			if p.expr == nil {
				continue
			}
			if _, have := values[p.expr.text]; have {
				continue
			}
			text, err := p.expr.eval(ctx, s)
			if errors.Is(err, errNothing) {
				err = fmt.Errorf("%w; %s", err, s.whatThereIs(p.expr, env.Redact))
			}
			if err != nil {
				return nil, fmt.Errorf("%s: {{%s}}: %w", at.words, endpoint.Clip(env.Redact.Scrub(p.expr.text), 80), err)
			}
			values[p.expr.text] = auth.NewSecret(text)
		}
	}
	return values, nil
}

// expiry is when the credential ends: as the answer says, else after the interval.
func (c *Config) expiry(ctx context.Context, env auth.Env, s scope, obtained time.Time) (time.Time, error) {
	if c.IntervalFrom != nil {
		text, err := c.IntervalFrom.eval(ctx, s)
		if err == nil && saysNothing(text) {
			env.Observing("renewal", "the answer says 0 seconds or less, which is no life; reauthenticateIntervalSeconds counts, if it is given", 0)
			err = errNothing
		}
		if err == nil {
			expiry, ok := auth.ParseExpiry(text, obtained)
			if !ok {
				err = errors.New("the value is neither seconds nor a date")
			}
			return expiry, err
		}
		// RFC 6749, section 5.1: a server may leave expires_in out.
		if !errors.Is(err, errNothing) {
			return time.Time{}, err
		}
	}
	if c.Interval == 0 {
		return time.Time{}, nil
	}
	return obtained.Add(c.Interval), nil
}

// saysNothing reports whether a life is none at all: some servers write 0 or -1 where they know none.
func saysNothing(text string) bool {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return err == nil && n <= 0
}

// explain tells what each text of the template became, by fingerprint.
func (t Template) explain(env auth.Env, values map[string]auth.Secret) {
	if env.Observe == nil {
		return
	}
	for _, at := range t.spots {
		text := filling{masked: true, written: true}.text(at.parts, at.sensitive)
		result := auth.NewSecret(filling{values: values}.text(at.parts, false))
		env.Observing("template", fmt.Sprintf("%s: %s → fingerprint %s", at.words, endpoint.Clip(env.Redact.Scrub(text), 120), env.Keys.Fingerprint(result)), 0)
	}
}

// exchange is a call and its answer.
type exchange struct {
	name   string
	answer auth.Answer
}

func (x exchange) failed(format string, args ...any) error {
	return &auth.TokenError{Endpoint: x.name, Status: x.answer.Status, Reason: fmt.Sprintf(format, args...)}
}

// exchange sends the call until it is answered with success, as often as retries allows.
func (c *Call) exchange(ctx context.Context, env auth.Env, words string, s scope) (exchange, error) {
	masked, err := c.request(ctx, filling{masked: true})
	if err != nil {
		return exchange{}, err
	}
	x := exchange{name: endpoint.Name(masked.URL)}
	values, err := evaluate(ctx, env, c.spots, s)
	if err != nil {
		return x, x.failed("%s: %v", words, err)
	}
	for try := 0; ; try++ {
		req, err := c.request(ctx, filling{values: values})
		if err != nil {
			return x, x.failed("%s: %v", words, err)
		}
		x.answer, err = endpoint.Do(ctx, env, endpoint.Request{Request: req, Name: x.name})
		if err == nil && x.answer.Status >= 200 && x.answer.Status < 300 {
			return x, nil
		}
		if err == nil {
			err = endpoint.Refusal(x.name, x.answer, env.Redact)
		}
		if try == retries || !passing(err) || !pause(ctx, wait(env, try, err)) {
			return x, err
		}
	}
}

const (
	retries    = 2
	retryFirst = 200 * time.Millisecond // then twice that
)

// passing reports whether a failure may be over in a moment. A refusal is none: to try it again
// cannot help, and may lock the account.
func passing(err error) bool {
	var t *auth.TokenError
	if !errors.As(err, &t) {
		return false
	}
	if t.Err != nil {
		_, untrusted := errors.AsType[*tls.CertificateVerificationError](t.Err)
		return !untrusted
	}
	return t.Status == 429 || t.Status == 502 || t.Status == 503 || t.Status == 504
}

func wait(env auth.Env, try int, err error) time.Duration {
	jitter := env.Jitter
	if jitter == nil {
		jitter = rand.Float64
	}
	d := retryFirst << try
	d += time.Duration(float64(d) * jitter() / 10)
	if t, ok := errors.AsType[*auth.TokenError](err); ok {
		d = max(d, t.RetryAfter)
	}
	return d
}

// pause waits, and reports false at once where the login's deadline comes first.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
