package adapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/entities"
)

// Response is what a declared call brings.
type Response struct {
	ICode          string            `json:"icode"`    // AD. and the status
	Response       any               `json:"response"` // the translated answer
	Headers        map[string]string `json:"headers,omitempty"`
	RequestHeaders map[string]string `json:"reqHdr,omitempty"`
	Raw            string            `json:"raw,omitempty"`
	Request        *Input            `json:"request,omitempty"`
	Event          any               `json:"event,omitempty"`
	Metrics        Metrics           `json:"metrics"`
}

// Metrics count what one call took.
type Metrics struct {
	Code      int     `json:"code"`
	Retries   int     `json:"retries"` // resubmissions included
	Redirects int     `json:"redirects"`
	Timeouts  int     `json:"timeouts"`
	TripTime  float64 `json:"tripTime"` // milliseconds, login included
}

// Call runs one declared action.
//
// Errors: *CallError (wrong call), *ConfigError and entities.Problems (wrong definition),
// *NotBuiltError, *auth.TokenError (no login), *StatusError and *AnswerError (the system's
// answer), and what the network says; Failure turns any of them into the object that doors print.
func (a *Adapter) Call(ctx context.Context, entity, action string, input Input) (*Response, error) {
	return a.CallOver(ctx, nil, entity, action, input)
}

// CallOver is Call with a wire of the caller's own: over is given what the call would be sent
// over, credentials added, and returns what it is sent over. Token requests go their own way.
func (a *Adapter) CallOver(ctx context.Context, over func(http.RoundTripper) http.RoundTripper, entity, action string, input Input) (*Response, error) {
	res, err := a.call(ctx, over, entity, action, input)
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", entity, action, err)
	}
	return res, nil
}

func (a *Adapter) call(ctx context.Context, over func(http.RoundTripper) http.RoundTripper, entity, action string, input Input) (*Response, error) {
	b, in, err := a.prepare(ctx, entity, action, input)
	if err != nil {
		return nil, err
	}
	if err := in.sendable(); err != nil {
		return nil, err
	}
	if input.ReturnRequestHeaders {
		b.plain = b.req.Header.Clone() // credentials are written into the original
	}
	x := exchange{in: in, now: a.env.Now, limit: in.attempt(), over: over}
	if b.action.Timeout > 0 && !overrides(input.CallProperties, "request", "attempt_timeout") {
		x.limit = b.action.Timeout
	}
	answer, err := x.do(b)
	if err != nil {
		return nil, err
	}
	return in.response(b, input, answer, x.metrics)
}

// prepare finds the action and builds its request.
func (a *Adapter) prepare(ctx context.Context, entity, action string, input Input) (*built, *instance, error) {
	if entity == systemEntity && action != "healthcheck" {
		return nil, nil, &CallError{Reason: "actions of .system are for the engine; only healthcheck can be called"}
	}
	act, err := a.def.action(entity, action)
	if err != nil {
		return nil, nil, err
	}
	in, err := a.variant(input)
	if err != nil {
		return nil, nil, err
	}
	b, err := in.build(ctx, act, input)
	return b, in, err
}

// answer is a response read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// exchange is one call on its way: it bounds each attempt and counts what happened.
type exchange struct {
	in      *instance
	now     func() time.Time
	limit   time.Duration // of one attempt: sending, waiting and reading
	timer   *time.Timer
	base    http.RoundTripper
	over    func(http.RoundTripper) http.RoundTripper // may be nil
	sent    int
	metrics Metrics
}

// errAttempt is the cause of an attempt that took too long.
type errAttempt time.Duration

// Error tells the limit.
func (e errAttempt) Error() string {
	return fmt.Sprintf("no answer in %s", time.Duration(e))
}

// Unwrap makes it a passed deadline.
func (errAttempt) Unwrap() error { return context.DeadlineExceeded }

// do sends the request and reads the answer. The attempt's clock runs while the system has the
// request, not while a token is being fetched (that has its own).
func (x *exchange) do(b *built) (answer, error) {
	total, stop := context.WithTimeoutCause(b.req.Context(), x.total(), errAttempt(x.total()))
	defer stop()
	ctx, cancel := context.WithCancelCause(total)
	defer cancel(nil)
	x.timer = time.AfterFunc(x.limit, func() { cancel(errAttempt(x.limit)) })
	x.timer.Stop()
	defer x.timer.Stop()

	transport := *x.in.transport
	x.base, transport.Base = transport.Base, x
	if x.over != nil {
		x.base = x.over(x.base)
	}
	client := http.Client{Transport: transport.Own(), CheckRedirect: x.in.redirects}
	start := x.now()
	res, err := client.Do(b.req.WithContext(ctx))
	if err != nil {
		return answer{}, x.cause(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	limit := x.in.props.Request.MaxResponseSize
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	x.metrics.Code = res.StatusCode
	x.metrics.TripTime = float64(x.now().Sub(start).Microseconds()) / 1000
	got := answer{res.StatusCode, res.Header, body}
	switch {
	case err != nil:
		return got, x.cause(ctx, &wireError{err, "the connection broke in the middle of the answer"})
	case int64(len(body)) > limit:
		return got, &AnswerError{Status: res.StatusCode, Header: res.Header,
			Reason: fmt.Sprintf("the answer is larger than %d bytes; raise request.max_response_size", limit)}
	}
	return got, nil
}

// total bounds the whole call: every attempt, and the login before each, however the time is
// spent between redirects.
func (x *exchange) total() time.Duration {
	return time.Duration(1+x.in.spec.Resubmits) * (x.limit + x.in.login)
}

// RoundTrip is the end of the chain: one attempt on the wire.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	x.sent++
	x.timer.Reset(x.limit)
	res, err := x.base.RoundTrip(req)
	x.metrics.Retries = max(0, x.sent-1-x.metrics.Redirects)
	if err != nil {
		x.timer.Stop()
		return nil, err
	}
	if isRedirect(res) {
		x.metrics.Redirects++
	}
	res.Body = timed{res.Body, x.timer} // a refusal or redirect is read too, and may trickle
	return res, nil
}

// timed is an answer's body; the attempt's clock stops when it is closed.
type timed struct {
	io.ReadCloser
	timer *time.Timer
}

// Close closes the body.
func (t timed) Close() error {
	t.timer.Stop()
	return t.ReadCloser.Close()
}

func isRedirect(res *http.Response) bool {
	return res.StatusCode >= 300 && res.StatusCode < 400 && res.Header.Get("Location") != ""
}

// cause prefers why the context ended to what the wire says then.
func (x *exchange) cause(ctx context.Context, err error) error {
	err = bare(err)
	var attempt errAttempt
	if errors.As(context.Cause(ctx), &attempt) {
		x.metrics.Timeouts++
		return attempt
	}
	return err
}

// response checks and translates the answer.
func (in *instance) response(b *built, input Input, got answer, m Metrics) (*Response, error) {
	if got.status < 200 || got.status > 299 {
		return nil, &StatusError{Status: got.status, Header: got.header, Body: got.body, Resubmits: m.Retries}
	}
	value, err := b.decode(got)
	if err != nil {
		return nil, err
	}
	out := &Response{ICode: fmt.Sprintf("AD.%d", got.status), Response: value, Event: input.Event, Metrics: m}
	if in.props.Request.ReturnResponseHeaders {
		out.Headers = flat(got.header)
	}
	if in.props.Request.ReturnRaw {
		out.Raw = string(got.body)
	}
	if in.props.Request.ReturnRequest {
		out.Request = input.shown()
	}
	if input.ReturnRequestHeaders {
		out.RequestHeaders = flat(b.plain)
	}
	return out, nil
}

// decode turns the body into the translated response. An empty body stays empty: many systems
// answer so when there is nothing to say.
func (b *built) decode(got answer) (any, error) {
	if len(bytes.TrimSpace(got.body)) == 0 {
		return "", nil
	}
	wrong := func(reason string, err error) (any, error) {
		return nil, &AnswerError{Status: got.status, Header: got.header, Body: got.body, Reason: reason, Err: err}
	}
	value, err := entities.Decode(b.kind, got.body)
	if err != nil {
		kind := mediaType(got.header)
		return wrong(fmt.Sprintf("the action promises %s, but the answer has Content-Type %q", b.kind, kind), err)
	}
	if b.kind == entities.PLAIN {
		return value, nil
	}
	value, _ = b.key.Select(value)
	value, err = b.schema.MapResponse(b.action.Name, value)
	if err != nil {
		return wrong("the answer does not fit the response schema", err)
	}
	value, _ = b.filter.Select(value)
	return value, nil
}

// mediaType is what the answer says it is: without parameters, which may hold anything.
func mediaType(h http.Header) string {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || len(kind) > 60 {
		return ""
	}
	return kind
}

// flat joins the values of each header and writes names in lower case, as the dialect does.
func flat(h http.Header) map[string]string {
	out := make(map[string]string, len(h))
	for name, values := range h {
		out[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return out
}
