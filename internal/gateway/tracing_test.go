package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// spanKeeper is an exporter that writes all that spans say into a text.
type spanKeeper struct {
	mu    sync.Mutex
	names []string
	text  strings.Builder
}

func (k *spanKeeper) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range spans {
		k.names = append(k.names, s.Name())
		_, _ = fmt.Fprintln(&k.text, s.Name(), s.SpanContext().TraceID(), s.SpanContext().TraceState(), s.Parent().TraceState(), s.Status(), s.Events(), s.Links(), s.Resource())
		for _, a := range s.Attributes() {
			_, _ = fmt.Fprintln(&k.text, a.Key, a.Value.String())
		}
	}
	return nil
}

func (k *spanKeeper) Shutdown(context.Context) error { return nil }

// withoutTracing clears the variables that switch tracing on.
func withoutTracing(t *testing.T) {
	names := []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"}
	for _, name := range []string{"ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		names = append(names, exportVariable+name, tracesVariable+name)
	}
	for _, name := range names {
		t.Setenv(name, "")
	}
}

func quietLog() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

func TestTracingIsOffUnlessAskedFor(t *testing.T) {
	withoutTracing(t)
	h := new(Gateway)
	for name, value := range map[string]string{"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_EXPORTER": "none"} {
		t.Setenv(name, value)
		got, shutdown, err := Traced(h, Tracing{Log: quietLog()})
		if err != nil || got != http.Handler(h) || shutdown(t.Context()) != nil {
			t.Errorf("with %s=%s the handler is wrapped: %v", name, value, err)
		}
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if got, _, err := Traced(h, Tracing{Log: quietLog()}); err != nil || got != http.Handler(h) {
		t.Errorf("OTEL_SDK_DISABLED does not switch it off: %v", err)
	}
}

func TestTracingRefusesWhatIsNotBuiltIn(t *testing.T) {
	withoutTracing(t)
	t.Setenv("OTEL_TRACES_EXPORTER", "zipkin")
	if _, _, err := Traced(new(Gateway), Tracing{Log: quietLog()}); err == nil || !strings.Contains(err.Error(), "zipkin") {
		t.Errorf("got %v", err)
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	if _, _, err := Traced(new(Gateway), Tracing{Log: quietLog()}); err == nil || !strings.Contains(err.Error(), "4318") {
		t.Errorf("got %v", err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")
	_, _, err := Traced(new(Gateway), Tracing{Log: quietLog()})
	if wrong := new(adapter.ConfigError); !errors.As(err, &wrong) || len(wrong.Problems) != 2 {
		t.Errorf("got %v, want both problems, for whoever configures it", err)
	}
}

// A request with secrets in every place that a span could take something from.
func TestSpansHoldNoSecret(t *testing.T) {
	withoutTracing(t)
	f := newAPIGateway(t, apiOptions{})
	keeper := &spanKeeper{}
	traced, shutdown, err := Traced(f.Gateway, Tracing{Log: quietLog(), Redact: f.redact, Exporter: keeper, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	const query, agent, state, forwarded = "pretend-secret-in-a-query", "pretend-secret-in-the-agent", "pretend-secret-in-the-state", "pretend-secret-forwarded"
	for _, path := range []string{getDevice + "?dry_run=" + query, getDevice, "/proxy/acme/api/" + apiToken + "?key=" + query, "/nothing?" + query, "/v1/nothing"} {
		r := httptest.NewRequest("POST", path, strings.NewReader(`{"uriPathVars":["7"]}`))
		for name, value := range map[string]string{"Authorization": "Bearer " + keyAll, "User-Agent": agent, "X-Forwarded-For": forwarded, "Cookie": query,
			"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate": "vendor=" + state} {
			r.Header.Set(name, value)
		}
		traced.ServeHTTP(httptest.NewRecorder(), r)
	}
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := keeper.text.String()
	for _, secret := range []string{query, agent, state, forwarded, keyAll, apiPassword, apiToken} {
		if strings.Contains(text, secret) {
			t.Errorf("the spans show %q:\n%s", secret, text)
		}
	}
	if !strings.Contains(text, "0af7651916cd43dd8448eb211c80319c") || !strings.Contains(text, "/api/[redacted]") || !strings.Contains(text, "1.2.3") {
		t.Errorf("the spans are not of these requests:\n%s", text)
	}
	for _, want := range []string{"POST " + pathAdapter + "/actions/{entity}/{action}", "POST /proxy/{adapter}/{path}", "POST", "POST /v1"} {
		if !strings.Contains("\n"+strings.Join(keeper.names, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("no span is called %q: %q", want, keeper.names)
		}
	}
}

// What goes to the system names our span as the parent, in declared calls and in the pass-through.
func TestTheSystemIsGivenOurPlaceInTheTrace(t *testing.T) {
	withoutTracing(t)
	f := newAPIGateway(t, apiOptions{})
	traced, shutdown, err := Traced(f.Gateway, Tracing{Log: quietLog(), Redact: f.redact, Exporter: &spanKeeper{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = shutdown(t.Context()) }()
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, path := range []string{getDevice, "/proxy/acme/api/devices"} {
		r := httptest.NewRequest("POST", path, strings.NewReader(`{"uriPathVars":["7"]}`))
		r.Header.Set("Authorization", "Bearer "+keyAll)
		r.Header.Set("Traceparent", "00-"+id+"-"+parent+"-01")
		w := httptest.NewRecorder()
		traced.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: got %d %s", path, w.Code, w.Body)
		}
		got := f.requests[len(f.requests)-1].Header.Get("Traceparent")
		if !strings.HasPrefix(got, "00-"+id+"-") || strings.Contains(got, parent) {
			t.Errorf("%s: the system got the traceparent %q", path, got)
		}
	}
}

func TestLostTracesAreToldWithoutSecretsAndOnceAMinute(t *testing.T) {
	var out strings.Builder
	log := logrus.New()
	log.SetOutput(&out)
	redact := new(auth.Redactor)
	withoutTracing(t)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20pretend-key-of-the-collector,other=1")
	c, err := newCollector("")
	if err != nil {
		t.Fatal(err)
	}
	redact.Learn(c.secrets()...)
	trouble := &exportTrouble{log: log, redact: redact}
	for range 3 {
		trouble.Handle(fmt.Errorf("collector said no to pretend-key-of-the-collector"))
	}
	if got := out.String(); strings.Count(got, "traces may be lost") != 1 || strings.Contains(got, "pretend-key") {
		t.Errorf("the log is %s", got)
	}
}
