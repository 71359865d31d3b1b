package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// slowLogin is an authenticator that takes two seconds, and has one more token after a refusal.
type slowLogin struct{ err error }

func (s slowLogin) Apply(*http.Request) (auth.Stamp, error) {
	time.Sleep(2 * time.Second)
	return 1, s.err
}

func (slowLogin) Invalidate(context.Context, auth.Stamp) bool { return true }

// slowSystem takes three seconds for each of its answers.
func slowSystem(statuses ...int) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) {
		time.Sleep(3 * time.Second)
		code := statuses[0]
		statuses = statuses[1:]
		if code == 0 {
			return nil, errors.New("connection reset")
		}
		return &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody}, nil
	})
}

func TestTheAccessLogTellsWhoWasSlow(t *testing.T) {
	for _, tt := range []struct {
		name            string
		login           slowLogin
		system          http.RoundTripper
		waited, system3 any // login_ms, upstream_ms
		observed        int
	}{
		{"both", slowLogin{}, slowSystem(200), 2000.0, 3000.0, 1},
		{"from the first try on", slowLogin{}, slowSystem(401, 200), 2000.0, 8000.0, 1},
		{"a system that hangs up", slowLogin{}, slowSystem(0), 2000.0, 3000.0, 1},
		{"no credential", slowLogin{errors.New("no token")}, nil, 2000.0, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLogged(t)
			base := &url.URL{Scheme: "http", Host: "system.example"}
			d := &door{transport: &auth.Transport{Base: tt.system, Auth: tt.login, Origin: auth.OriginOf(base), Resubmits: 1}, base: *base}
			synctest.Test(t, func(t *testing.T) {
				line, _, _ := l.serve(t, httptest.NewRequest("GET", "/proxy/acme/x", nil), func(x *exchange) {
					x.adapter = "acme"
					if _, err := x.send(d, &http.Request{Method: "GET", URL: base, Header: http.Header{}}); err == nil {
						time.Sleep(4 * time.Second) // the answer's body
					}
				})
				if line["login_ms"] != tt.waited || line["upstream_ms"] != tt.system3 {
					t.Errorf("got login_ms %v and upstream_ms %v, want %v and %v", line["login_ms"], line["upstream_ms"], tt.waited, tt.system3)
				}
			})
			n, err := testutil.GatherAndCount(l.options.Metrics.Registry(), "keyhitch_gateway_upstream_duration_seconds")
			if err != nil || n != 1 || observed(t, l.options.Metrics) != uint64(tt.observed) {
				t.Errorf("got %d observations, %v, want %d", observed(t, l.options.Metrics), err, tt.observed)
			}
		})
	}
}

// observed counts the calls to systems in the histogram.
func observed(t *testing.T, m *Metrics) uint64 {
	t.Helper()
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for _, f := range families {
		if f.GetName() == "keyhitch_gateway_upstream_duration_seconds" {
			for _, series := range f.Metric {
				n += series.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

func TestWhatAsksNoSystemHasNoTimesOfOne(t *testing.T) {
	l := newLogged(t)
	synctest.Test(t, func(t *testing.T) {
		line, _, _ := l.serve(t, httptest.NewRequest("GET", "/v1/adapters", nil), func(x *exchange) { time.Sleep(time.Second) })
		if line["ms"] != 1000.0 || line["login_ms"] != nil || line["upstream_ms"] != nil {
			t.Errorf("got %v, want ms alone", line)
		}
	})
}

func TestDeclaredCallsAreTimedWithoutTheirLogins(t *testing.T) {
	f := newAPIGateway(t, apiOptions{metrics: NewMetrics()})
	var sent []string
	over := func(wire http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.URL.Path)
			return wire.RoundTrip(r)
		})
	}
	a := f.current.Load().Adapters["acme"]
	if _, err := a.CallOver(t.Context(), over, "device", "get", adapter.Input{PathVars: []any{"7"}}); err != nil || f.logins != 1 || strings.Join(sent, " ") != "/api/devices/7" {
		t.Errorf("got %v after %d logins and %q, want the call alone to go over it", err, f.logins, sent)
	}
	f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`).wantOK()
	if !strings.Contains(f.log.String(), "upstream_ms=") || observed(t, f.options.Metrics) != 1 {
		t.Errorf("got %d observations and %s", observed(t, f.options.Metrics), f.log)
	}
}

func TestMetricsTellWhatProgramThisIs(t *testing.T) {
	f := newAPIGateway(t, apiOptions{metrics: NewMetrics()})
	want := "# HELP keyhitch_build_info 1, with the versions of the program and of Go.\n# TYPE keyhitch_build_info gauge\n" +
		`keyhitch_build_info{go_version="` + runtime.Version() + `",version="1.2.3"} 1` + "\n"
	if err := testutil.GatherAndCompare(f.options.Metrics.Registry(), strings.NewReader(want), "keyhitch_build_info"); err != nil {
		t.Error(err)
	}
}

// Whoever hides members for their names must not hide those of the access log.
func TestNoMemberOfTheAccessLogHasASecretName(t *testing.T) {
	l := accessLine{login: time.Second, upstream: time.Second, aborted: true, action: "a", adapter: "a", caller: "a", entity: "a", fault: "a", fingerprint: "a"}
	for name := range l.fields() {
		if auth.SensitiveName(name) {
			t.Errorf("%s sounds like a secret", name)
		}
	}
}

// spanList is an exporter that keeps what it is given.
type spanList struct{ list tracetest.SpanStubs }

func (s *spanList) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	s.list = append(s.list, tracetest.SpanStubsFromReadOnlySpans(spans)...)
	return nil
}

func (s *spanList) Shutdown(context.Context) error { return nil }

// Each call to a system is a span below that of the request, and the system's own are below it.
func TestCallsToSystemsAreSpans(t *testing.T) {
	withoutTracing(t)
	f := newAPIGateway(t, apiOptions{})
	spans := &spanList{}
	traced, shutdown, err := Traced(f.Gateway, Tracing{Log: quietLog(), Redact: f.redact, Exporter: spans})
	if err != nil {
		t.Fatal(err)
	}
	system, _ := url.Parse(f.URL)
	calls := []struct {
		path, method string // of the call
		code         int
		status       codes.Code
	}{
		{getDevice, "GET", 200, codes.Unset},
		{"/proxy/acme/api/devices?key=pretend-query", "POST", 200, codes.Unset},
		{"/proxy/acme/pretend-path", "POST", 404, codes.Error},
	}
	for _, tt := range calls {
		f.answering(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.code)
			_, _ = io.WriteString(w, `{"hostname":"r1"}`)
		})
		r := httptest.NewRequest("POST", tt.path, strings.NewReader(`{"uriPathVars":["7"]}`))
		r.Header.Set("Authorization", "Bearer "+keyAll)
		traced.ServeHTTP(httptest.NewRecorder(), r)
	}
	if err := shutdown(t.Context()); err != nil || len(spans.list) != 2*len(calls) {
		t.Fatalf("got %d spans, %v, want one for each request and one for its call", len(spans.list), err)
	}
	for i, tt := range calls {
		call, request := spans.list[2*i], spans.list[2*i+1]
		if call.Name != tt.method || call.SpanKind != trace.SpanKindClient || call.Parent.SpanID() != request.SpanContext.SpanID() || call.Status.Code != tt.status {
			t.Errorf("%s: got %s, %v below %v, %v", tt.path, call.Name, call.SpanKind, call.Parent.SpanID(), call.Status)
		}
		got := attribute.NewSet(call.Attributes...)
		if want := attribute.NewSet(attribute.String("http.request.method", tt.method), attribute.Int("http.response.status_code", tt.code),
			attribute.String("server.address", system.Hostname()), attribute.Int("server.port", portNumber(system)), attribute.String("adapter", "acme")); got != want {
			t.Errorf("%s: got %v, want %v", tt.path, call.Attributes, want.ToSlice())
		}
		if len(call.Events) == 0 || call.Events[0].Name != "sent" {
			t.Errorf("%s: got events %v, want when it was sent", tt.path, call.Events)
		}
		if parent := f.requests[i].Header.Get("Traceparent"); !strings.Contains(parent, call.SpanContext.SpanID().String()) {
			t.Errorf("%s: the system got %q, want %s in it", tt.path, parent, call.SpanContext.SpanID())
		}
	}
}
