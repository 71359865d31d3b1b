package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// Tracing is what the world lends to Traced.
type Tracing struct {
	Redact   *auth.Redactor     // takes secrets out of what is exported; nil: nothing is scrubbed
	Log      logrus.FieldLogger // where spans that cannot be exported are told of; required
	Version  string             // of the program
	Exporter sdk.SpanExporter   // nil: OTLP over HTTP, where the OTEL_ variables say
}

// Traced makes a span of each request, and one of each call to a system, whose place in the trace
// the system is given. The standard OTEL_ variables switch it on (OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_TRACES_EXPORTER) and set it up; without them g is returned as it is, and costs nothing.
// shutdown sends what is left. Spans have no query, no header and no known secret. Call it before
// g serves.
func Traced(g *Gateway, t Tracing) (traced http.Handler, shutdown func(context.Context) error, err error) {
	shutdown = func(context.Context) error { return nil }
	wanted, err := tracingWanted()
	if err != nil {
		return g, shutdown, wrongEnvironment(err)
	}
	if !wanted && t.Exporter == nil {
		return g, shutdown, nil
	}
	provider, err := t.provider()
	if err != nil {
		return g, shutdown, wrongEnvironment(err)
	}
	g.tracer = provider.Tracer("github.com/keyhitch/keyhitch/internal/gateway")
	onward := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		placeInTrace.Inject(r.Context(), propagation.HeaderCarrier(r.Header)) // in place of the caller's: we stand between
		g.ServeHTTP(w, r)
	})
	return otelhttp.NewHandler(onward, "", otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(placeInTrace),
		otelhttp.WithMeterProvider(noop.MeterProvider{}), otelhttp.WithSpanNameFormatter(spanName)), provider.Shutdown, nil
}

// wrongEnvironment is the error of variables that cannot be used: like all that is configured, they
// are the operator's to mend.
func wrongEnvironment(err error) error {
	var found adapter.Problems
	for line := range strings.SplitSeq(err.Error(), "\n") {
		found = append(found, &adapter.Problem{File: "environment", Reason: line})
	}
	return &adapter.ConfigError{Problems: found}
}

// tracingWanted reads the variables that switch tracing on or off.
func tracingWanted() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	switch {
	case exporter == "none" || exporter == "" && endpoint == "":
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q, but only otlp and none are built in", exporter)
	case protocol != "http/protobuf":
		return false, fmt.Errorf("the protocol of OTLP is %q, but only http/protobuf is built in; set OTEL_EXPORTER_OTLP_PROTOCOL, and the port, which is 4318 as a rule", protocol)
	}
	return true, nil
}

// provider makes what collects and exports spans.
func (t Tracing) provider() (*sdk.TracerProvider, error) {
	exporter := t.Exporter
	if exporter == nil {
		to, err := newCollector(t.Version)
		if err != nil {
			return nil, err
		}
		t.Redact.Learn(to.secrets()...)
		if exporter, err = otlptrace.New(context.Background(), to); err != nil {
			return nil, err
		}
	}
	otel.SetErrorHandler(&exportTrouble{log: t.Log, redact: t.Redact}) // the only way to hear of spans that are lost
	about, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "keyhitch"), attribute.String("service.version", t.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES cannot be used: %s", t.Redact.Scrub(err.Error()))
	}
	return sdk.NewTracerProvider(sdk.WithBatcher(scrubbing{exporter, t.Redact}), sdk.WithResource(about)), nil
}

// exportTrouble logs what the exporter complains of, once a minute.
type exportTrouble struct {
	log    logrus.FieldLogger
	redact *auth.Redactor
	told   atomic.Int64 // when, in Unix seconds
}

// Handle takes a complaint.
func (e *exportTrouble) Handle(err error) {
	now, told := time.Now().Unix(), e.told.Load()
	if now-told >= 60 && e.told.CompareAndSwap(told, now) {
		e.log.Warn("traces may be lost: " + e.redact.Scrub(err.Error()))
	}
}

// spanMethods are those that a span's name may have; callers can write any other.
var spanMethods = append(slices.Clone(proxyMethods), http.MethodConnect, http.MethodTrace)

// spanName has few values: no adapter, path or other word that a caller chooses.
func spanName(_ string, r *http.Request) string {
	method := r.Method
	if !slices.Contains(spanMethods, method) {
		method = "HTTP"
	}
	switch path := r.URL.EscapedPath(); {
	case len(r.Pattern) > 1: // of the mux; / is where no path leads
		return method + " " + r.Pattern
	case strings.HasPrefix(path, "/proxy/"):
		return method + " /proxy/{adapter}/{path}"
	case strings.HasPrefix(path, "/v1/"):
		return method + " /v1"
	}
	return method
}

// unexported are attributes that may hold what a caller sends in queries and headers.
var unexported = []attribute.Key{"url.query", "url.full", "http.url", "http.target", "user_agent.original", "http.user_agent",
	"client.address", "http.client_ip"}

// scrubbing exports spans without what nobody else is to know.
type scrubbing struct {
	sdk.SpanExporter
	redact *auth.Redactor
}

// ExportSpans scrubs and exports.
func (s scrubbing) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	clean := make([]sdk.ReadOnlySpan, len(spans))
	for i, span := range spans {
		clean[i] = scrubbed{span, s.redact}
	}
	return s.SpanExporter.ExportSpans(ctx, clean)
}

// scrubbed is a span as it is exported.
type scrubbed struct {
	sdk.ReadOnlySpan
	redact *auth.Redactor
}

// Name returns the name without secrets.
func (s scrubbed) Name() string { return s.redact.Scrub(s.ReadOnlySpan.Name()) }

// Attributes returns them without queries, headers and secrets.
func (s scrubbed) Attributes() []attribute.KeyValue { return s.attributes(s.ReadOnlySpan.Attributes()) }

func (s scrubbed) attributes(list []attribute.KeyValue) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(list))
	for _, a := range list {
		if slices.Contains(unexported, a.Key) {
			continue
		}
		if a.Value.Type() == attribute.STRING {
			a = attribute.String(string(a.Key), s.redact.Scrub(a.Value.AsString()))
		}
		out = append(out, a)
	}
	return out
}

// Events returns them without secrets: an error's text may be among them.
func (s scrubbed) Events() []sdk.Event {
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i := range events {
		events[i].Attributes = s.attributes(events[i].Attributes)
	}
	return events
}

// Status returns it without secrets.
func (s scrubbed) Status() sdk.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = s.redact.Scrub(status.Description)
	return status
}

// SpanContext returns it without the state that came in a header.
func (s scrubbed) SpanContext() trace.SpanContext {
	return s.ReadOnlySpan.SpanContext().WithTraceState(trace.TraceState{})
}

// Parent returns it without the state that came in a header.
func (s scrubbed) Parent() trace.SpanContext {
	return s.ReadOnlySpan.Parent().WithTraceState(trace.TraceState{})
}
