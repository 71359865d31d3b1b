// Package endpoint makes the token-endpoint request that several grants share: no redirects,
// one deadline, a bounded answer, and errors that hold neither the request nor the answer.
package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/keyhitch/keyhitch/auth"
)

// maxAnswer is how much of a token answer is read.
const maxAnswer = 1 << 20

// Request is a token request, and how errors and logs call its endpoint: the URL itself may hold
// credentials.
type Request struct {
	*http.Request
	Name string
}

// Do sends the token request and returns the answer, whatever its status. Errors are *auth.TokenError.
func Do(ctx context.Context, env auth.Env, req Request) (auth.Answer, error) {
	name := req.Name
	client := *env.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	start := env.Now()
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		env.Observing("token request", name+": no answer", env.Now().Sub(start))
		return auth.Answer{}, &auth.TokenError{Endpoint: name, Err: bare(ctx, err, env.Redact)}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	now := env.Now()
	env.Observing("token request", fmt.Sprintf("%s %s: status %d", req.Method, name, res.StatusCode), now.Sub(start))
	switch {
	case err != nil:
		return auth.Answer{}, &auth.TokenError{Endpoint: name, Status: res.StatusCode, Reason: "the answer was cut off", Err: bare(ctx, err, env.Redact)}
	case len(body) > maxAnswer:
		return auth.Answer{}, &auth.TokenError{Endpoint: name, Status: res.StatusCode, Reason: "the answer is larger than 1 MiB"}
	}
	return auth.Answer{Status: res.StatusCode, Header: res.Header, Body: body, Cookie: req.Header.Get("Cookie"), At: now}, nil
}

// Refusal is the error of an answer whose status is no success: the RFC 6749 error fields where
// the answer has them, and nothing else of its body.
func Refusal(name string, answer auth.Answer, redact *auth.Redactor) error {
	var body struct {
		Error       any    `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(answer.Body, &body) // HTML and the like say nothing
	code, _ := body.Error.(string)
	return &auth.TokenError{Endpoint: name, Status: answer.Status, RetryAfter: retryAfter(answer),
		Code: Clip(redact.Scrub(code), 60), Description: Clip(redact.Scrub(body.Description), 200)}
}

// Name is how an endpoint is called in errors and logs: no user, no query. The path may hold
// credentials, so masked is the URL of a masked request.
func Name(masked *url.URL) string {
	path := strings.ReplaceAll(masked.EscapedPath(), "%5Bredacted%5D", "[redacted]")
	return masked.Scheme + "://" + masked.Host + path
}

// bare strips the URL that net/http puts into its errors, and prefers the deadline as the cause.
func bare(ctx context.Context, err error, redact *auth.Redactor) error {
	if ctx.Err() != nil {
		return late{ctx.Err()}
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	// net/http quotes a status line or header that it cannot read, and a server may echo there.
	if text := err.Error(); redact.Scrub(text) != text {
		return errors.New(Clip(redact.Scrub(text), 200))
	}
	return err
}

// Clip keeps a server's words short, printable and on one line.
func Clip(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// retryAfter reads Retry-After (RFC 9110, section 10.2.3): seconds, or a date.
func retryAfter(answer auth.Answer) time.Duration {
	text := strings.TrimSpace(answer.Header.Get("Retry-After"))
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), 1e9)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(answer.At.Add(Ahead(answer)))) // a date by the endpoint's clock
	}
	return 0
}

// skewFrom is how far apart two clocks are before it matters: Date has whole seconds, and was
// written a while before it was read.
const skewFrom = 30 * time.Second

// Ahead is how far the endpoint's clock is ahead of ours, by its Date (RFC 9110, section 6.6.1);
// 0: not worth telling.
func Ahead(answer auth.Answer) time.Duration {
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if ahead := date.Sub(answer.At); err == nil && ahead.Abs() >= skewFrom {
		return ahead
	}
	return 0
}

// late is a deadline that passed, or a caller that left, in words for everybody.
type late struct{ err error }

// Error tells which.
func (l late) Error() string {
	if errors.Is(l.err, context.Canceled) {
		return "given up"
	}
	return "no answer in time"
}

// Unwrap returns the context's error.
func (l late) Unwrap() error { return l.err }
