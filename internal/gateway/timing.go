package gateway

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// timing is the last link before the wire, for one request: it sends, and notes when, so that the
// access log tells who was slow.
//
//	start ─ us ─ ready ─ credential ─ sent ─ system ─ answered ─ its body ─ end
//
// It is a part of exchange and no value in the context, so that it costs no allocation.
type timing struct {
	chain auth.Transport    // that ends here; of /proxy
	wire  http.RoundTripper // what really sends
	span  trace.Span        // of the call; nil: nothing is traced
	start time.Time         // of the request; zero: no call was begun
	// Since start. Zero: it did not come to that.
	ready, sent, answered time.Duration
	status                int // of the latest answer
}

// over puts t around what sends.
func (t *timing) over(wire http.RoundTripper) http.RoundTripper {
	t.wire = wire
	return t
}

// RoundTrip sends one try.
func (t *timing) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.sent == 0 {
		t.sent = time.Since(t.start)
	}
	if t.span != nil {
		t.span.AddEvent("sent") // what is before it in the span is ours
	}
	res, err := t.wire.RoundTrip(req)
	t.answered, t.status = time.Since(t.start), 0
	if err == nil {
		t.status = res.StatusCode
	}
	return res, err
}

// login is how long the credential was waited for, by a request that took so long altogether.
func (t *timing) login(took time.Duration) time.Duration {
	switch {
	case t.start.IsZero():
		return 0
	case t.sent == 0: // there was none
		return took - t.ready
	}
	return t.sent - t.ready
}

// upstream is how long the system took to begin its answer, from the first try on; 0: it was not
// asked. Where it takes only so many calls at a time, the wait for a place is part of it.
func (t *timing) upstream() time.Duration { return t.answered - t.sent }

// send sends a request of /proxy.
func (x *exchange) send(d *door, out *http.Request) (*http.Response, error) {
	t := &x.timing
	t.chain = *d.transport
	t.chain.Base = t.over(t.chain.Base)
	t.start = x.start // and ready since we know who calls: the clock is not read again
	if x.gateway.tracer != nil {
		ctx, end := x.span(out.Context(), out.Method, &d.base)
		defer end()
		out = out.WithContext(ctx)
		placeInTrace.Inject(ctx, propagation.HeaderCarrier(out.Header))
	}
	return t.chain.Own().RoundTrip(out)
}

// sendCall makes a declared call.
func (x *exchange) sendCall(ctx context.Context, a *adapter.Adapter, entity, action string, input adapter.Input) (*adapter.Response, error) {
	x.timing.start, x.timing.ready = x.start, time.Since(x.start) // now that the body is read
	if act := declared(a, entity, action); act != nil && x.gateway.tracer != nil {
		traced, end := x.span(ctx, act.Method, a.BaseURL())
		defer end()
		if ours := x.request.Header.Get("Traceparent"); ours != "" && input.Headers["Traceparent"] == ours { // else it is the caller's wish
			header := http.Header{}
			placeInTrace.Inject(traced, propagation.HeaderCarrier(header))
			input.Headers["Traceparent"] = header.Get("Traceparent")
		}
		ctx = traced
	}
	return a.CallOver(ctx, x.timing.over, entity, action, input)
}

// placeInTrace writes and reads traceparent.
var placeInTrace propagation.TraceContext

// span begins the span of a call to the system; end ends it, with what came of the call. Of the
// URL it has only the origin.
func (x *exchange) span(ctx context.Context, method string, to *url.URL) (traced context.Context, end func()) {
	name := method
	if !slices.Contains(spanMethods, method) {
		name, method = "HTTP", "_OTHER"
	}
	ctx, span := x.gateway.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("server.address", to.Hostname()),
		attribute.Int("server.port", portNumber(to)), attribute.String("adapter", x.adapter)))
	x.timing.span = span
	return ctx, func() {
		t := &x.timing
		if t.status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", t.status))
		}
		if t.status == 0 || t.status >= 400 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

func portNumber(u *url.URL) int {
	port, _ := strconv.Atoi(cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
	return port
}
