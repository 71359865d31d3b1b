package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// fault is an entry of the catalogue: what can go wrong, told in the same words every time.
type fault struct {
	Code      string
	Status    int
	Title     string
	Retryable bool   // the same request may work later
	Step      string // where it went wrong: caller, request, config, token, call
	Help      string // what to do, for docs/errors.md
}

// problem is the body of an answer that the gateway itself makes (RFC 9457).
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Code      string `json:"code"`
	Adapter   string `json:"adapter,omitempty"`
	Step      string `json:"step"`
	Retryable bool   `json:"retryable"`
	RequestID string `json:"request_id"`
}

// errorPage is where the catalogue is described.
const errorPage = "https://github.com/keyhitch/keyhitch/blob/main/docs/errors.md#"

// ofRequest reports whether details speak of the caller's request alone. They may quote it, and are
// not scrubbed: a caller who sends guesses must not see by what is missing which one is a secret.
func (f *fault) ofRequest() bool { return f.Step == "caller" || f.Step == "request" }

// longestDetail bounds a detail: some tell every problem of a large request.
const longestDetail = 4096

// fail answers with a problem. Nothing may have been answered yet.
func (x *exchange) fail(f *fault, detail string) { x.failFor(f, detail, 0) }

// failFor is fail that says when to come back; 0: it does not say.
func (x *exchange) failFor(f *fault, detail string, wait time.Duration) {
	x.fault = f
	header := x.w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	if wait > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	if f.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="keyhitch"`)
	}
	if !f.ofRequest() {
		detail = x.gateway.options.Redact.Scrub(detail)
	}
	body, _ := json.Marshal(problem{Type: errorPage + f.Code, Title: f.Title, Status: f.Status, Code: f.Code, Step: f.Step,
		Detail: clip(detail, longestDetail), Adapter: x.adapter, Retryable: f.Retryable, RequestID: x.id}) // plain texts: never fails
	x.w.WriteHeader(f.Status)
	if x.request.Method != http.MethodHead {
		_, _ = x.w.Write(append(body, '\n')) // a caller who has left hears nothing
	}
}

// failWith answers with the problem that an error of the engine is. What is our own fault, and what
// names addresses within, stays in the log.
func (x *exchange) failWith(err error) {
	f := faultOf(err)
	detail := outside(f, err)
	switch {
	case f == faultInternal:
		x.logCause(f).Error("a request failed for a reason of our own: " + x.gateway.options.Redact.Scrub(err.Error()))
	case detail != err.Error():
		if x.mayLogCause() {
			x.logCause(f).Warn("a request failed: " + x.gateway.options.Redact.Scrub(err.Error()))
		}
		detail = cmp.Or(detail, causeInLog)
	}
	x.failFor(f, detail, restOf(err))
}

// restOf is how long the engine asks for no token because of err; 0: it may be asked now.
func restOf(err error) time.Duration {
	var token *auth.TokenError
	if errors.As(err, &token) {
		return token.RetryAfter
	}
	return 0
}

// faultOf finds the catalogue's entry for an error. A token request can fail for reasons that
// have entries of their own, so those come before it.
func faultOf(err error) *fault {
	var (
		token  *auth.TokenError
		status *adapter.StatusError
	)
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return faultTooLarge
	case errors.Is(err, context.Canceled):
		return faultLeft
	case errors.As(err, new(*forbiddenTarget)):
		return faultForbiddenTarget
	case errors.As(err, &token):
		return tokenFault(token)
	case errors.As(err, &status):
		return statusFault(status.Status)
	case errors.As(err, new(*entities.NotFoundError)):
		return faultNoAction
	case isConfig(err):
		return faultConfig
	case errors.As(err, new(*adapter.AnswerError)): // it may wrap what a wrong call is, too
		return faultBadAnswer
	case isCall(err):
		return faultBadCall
	case errors.As(err, new(*auth.PlacementError)):
		return faultPlacement
	case isLate(err):
		return faultTimeout
	case errors.As(err, new(*auth.RedirectError)):
		return faultRedirect
	case adapter.Unreachable(err):
		return faultUnreachable
	}
	return faultInternal
}

// isLate reports whether time ran out: ours, or one of net/http, which has words of its own.
func isLate(err error) bool {
	var late net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout()
}

func isConfig(err error) bool {
	return errors.As(err, new(*adapter.ConfigError)) || errors.As(err, new(*adapter.NotBuiltError)) ||
		errors.As(err, new(entities.Problems)) || errors.As(err, new(*entities.VersionError))
}

func isCall(err error) bool {
	return errors.As(err, new(*adapter.CallError)) || errors.As(err, new(*entities.ValidationError)) ||
		errors.As(err, new(*entities.PathError)) || errors.Is(err, adapter.ErrNoToken)
}

// tokenFault tells why there is no token.
func tokenFault(err *auth.TokenError) *fault {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return faultTokenTimeout
	case err.Refused():
		return faultLoginRefused
	case err.Status == http.StatusTooManyRequests:
		return faultLoginLimited
	case err.Status == 0 && adapter.Unreachable(err):
		return faultTokenUnreachable
	}
	return faultNoToken
}
