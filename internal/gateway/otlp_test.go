package gateway

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// pretendCollector takes spans as an OpenTelemetry collector does, and answers what it is told.
type pretendCollector struct {
	mu       sync.Mutex
	requests []*http.Request
	spans    []*tracepb.ResourceSpans
	problems []error
	answers  []func(http.ResponseWriter) // in turns; the last goes on; none: 200
}

func (c *pretendCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
	var got tracepb.TracesData
	body, err := plainBody(r)
	err = errors.Join(err, proto.Unmarshal(body, &got))
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.problems = append(c.problems, errors.Join(err, errors.New(r.Method+" "+r.Header.Get("Content-Type"))))
	}
	c.spans = append(c.spans, got.ResourceSpans...)
	if len(c.answers) > 0 {
		c.answers[min(len(c.requests), len(c.answers))-1](w)
	}
}

func plainBody(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// RoundTrip lets it be asked without a network.
func (c *pretendCollector) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Result(), nil
}

func says(code int, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// collectorOf makes a collector of variables, given as name, value, without their common beginning.
func collectorOf(t *testing.T, variables ...string) (*collector, error) {
	t.Helper()
	withoutTracing(t)
	for i := 0; i < len(variables); i += 2 {
		t.Setenv(exportVariable+variables[i], variables[i+1])
	}
	c, err := newCollector("1.2.3")
	if err == nil {
		t.Cleanup(func() { _ = c.Stop(context.Background()) })
	}
	return c, err
}

// asked is a collector that asks to without a network.
func asked(t *testing.T, to *pretendCollector, variables ...string) *collector {
	t.Helper()
	c, err := collectorOf(t, variables...)
	if err != nil {
		t.Fatal(err)
	}
	c.wire = to
	return c
}

// oneSpan is a batch.
var oneSpan = []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{Name: "GET /x"}}}}}}

func TestRequestsBecomeSpansAtTheCollector(t *testing.T) {
	withoutTracing(t)
	to := &pretendCollector{}
	server := httptest.NewServer(to)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%2Cb, authorization=Bearer%20pretend-key-of-the-collector")
	h, shutdown, err := Traced(newLogged(t).Gateway, Tracing{Log: quietLog(), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/proxy/acme/x?key=secret", nil))
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(to.requests) != 1 || len(to.spans) != 1 || to.problems != nil {
		t.Fatalf("got %d requests, %v, %v, want one batch", len(to.requests), to.spans, to.problems)
	}
	r, said := to.requests[0], to.spans[0].String()
	if r.URL.Path != "/v1/traces" || r.Header.Get("X-Tenant") != "a,b" || r.Header.Get("Authorization") != "Bearer pretend-key-of-the-collector" ||
		r.Header.Get("Content-Encoding") != "gzip" || r.UserAgent() != "keyhitch/1.2.3" {
		t.Errorf("got %s with %v", r.URL, r.Header)
	}
	if !strings.Contains(said, `"GET /proxy/{adapter}/{path}"`) || !strings.Contains(said, `"keyhitch"`) || strings.Contains(said, "secret") {
		t.Errorf("got %s", said)
	}
}

func TestVariablesOfTracesWin(t *testing.T) {
	for _, tt := range []struct {
		name      string
		variables []string
		url       string
		header    string // X-A
		timeout   time.Duration
	}{
		{"nothing", nil, "http://localhost:4318/v1/traces", "", 10 * time.Second},
		{"of all signals", []string{"ENDPOINT", "https://c.example/otlp/", "HEADERS", "x-a=1", "TIMEOUT", "500"}, "https://c.example/otlp/v1/traces", "1", time.Second / 2},
		{"of traces", []string{"TRACES_ENDPOINT", "http://c.example:99/in?x=y", "TRACES_HEADERS", " X-A = 2 ", "TRACES_TIMEOUT", "7000"}, "http://c.example:99/in?x=y", "2", 7 * time.Second},
		{"of both", []string{"ENDPOINT", "http://b.example", "TRACES_ENDPOINT", "http://c.example", "HEADERS", "x-a=1,x-b=1", "TRACES_HEADERS", "x-a=2", "TIMEOUT", "1", "TRACES_TIMEOUT", "2000"},
			"http://c.example", "2", 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := &pretendCollector{}
			c := asked(t, to, tt.variables...)
			if err := c.UploadTraces(t.Context(), oneSpan); err != nil || len(to.requests) != 1 {
				t.Fatalf("got %v after %d requests", err, len(to.requests))
			}
			r := to.requests[0]
			if r.URL.String() != tt.url || r.Header.Get("X-A") != tt.header || r.Header.Get("X-B") != "" || c.timeout != tt.timeout {
				t.Errorf("got %s, %v, %s; want %s, %s, %s", r.URL, r.Header, c.timeout, tt.url, tt.header, tt.timeout)
			}
		})
	}
}

func TestABatchIsSentAgainAfterAPause(t *testing.T) {
	for _, tt := range []struct {
		name        string
		answer      func(http.ResponseWriter)
		least, most time.Duration
	}{
		{"that the collector asks for", says(503, "Retry-After", "7"), 7 * time.Second, 7 * time.Second},
		{"that ends at a date", says(429, "Retry-After", time.Date(2000, 1, 1, 0, 0, 20, 0, time.UTC).Format(http.TimeFormat)), 20 * time.Second, 20 * time.Second},
		{"of our own", says(502), firstPause / 2, 3 * firstPause / 2},
		{"of our own where none is named that can be read", says(504, "Retry-After", "soon"), firstPause / 2, 3 * firstPause / 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := &pretendCollector{answers: []func(http.ResponseWriter){tt.answer, says(200)}}
			c := asked(t, to)
			synctest.Test(t, func(t *testing.T) { // its clock begins with the year 2000
				c.life, c.end = context.WithCancel(t.Context())
				start := time.Now()
				err := c.UploadTraces(t.Context(), oneSpan)
				if took := time.Since(start); err != nil || len(to.spans) != 2 || took < tt.least || took > tt.most {
					t.Errorf("got %v, %d batches after %s, want the same again after %s to %s", err, len(to.spans), took, tt.least, tt.most)
				}
			})
		})
	}
}

func TestSendingABatchEnds(t *testing.T) {
	for _, tt := range []struct {
		name        string
		answer      func(http.ResponseWriter)
		least, most int // tries
	}{
		{"with the time for it", says(503), 5, 12},
		{"at once when the pause asked for is longer than that", says(503, "Retry-After", "99999999999"), 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := &pretendCollector{answers: []func(http.ResponseWriter){tt.answer}}
			c := asked(t, to)
			synctest.Test(t, func(t *testing.T) {
				c.life, c.end = context.WithCancel(t.Context())
				start := time.Now()
				err := c.UploadTraces(t.Context(), oneSpan)
				if err == nil || !strings.Contains(err.Error(), "answered 503") || time.Since(start) > exportTime || len(to.requests) < tt.least || len(to.requests) > tt.most {
					t.Errorf("got %v after %s and %d tries, want %d to %d", err, time.Since(start), len(to.requests), tt.least, tt.most)
				}
			})
		})
	}
	t.Run("with the exporter", func(t *testing.T) {
		to := &pretendCollector{answers: []func(http.ResponseWriter){says(503)}}
		c := asked(t, to)
		synctest.Test(t, func(t *testing.T) {
			c.life, c.end = context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- c.UploadTraces(t.Context(), oneSpan) }()
			synctest.Wait()
			start := time.Now()
			_ = c.Stop(t.Context())
			if err := <-done; err == nil || time.Since(start) != 0 {
				t.Errorf("got %v after %s, want the end at once", err, time.Since(start))
			}
		})
	})
}

func TestWhatIsRefusedForGoodIsNotSentAgain(t *testing.T) {
	why := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "no\nsuch tenant")
	for code, want := range map[int]string{400: `answered 400: "no\nsuch tenant"`, 401: "answered 401", 413: "answered 413", 500: "answered 500", 307: "answered 307, and redirects are not followed"} {
		to := &pretendCollector{answers: []func(http.ResponseWriter){func(w http.ResponseWriter) {
			says(code, "Content-Type", protobuf, "Location", "http://elsewhere.example/")(w)
			_, _ = w.Write(why)
		}}}
		err := asked(t, to, "HEADERS", "authorization=pretend-key", "TRACES_ENDPOINT", "http://me:pretend-password@c.example/pretend-path?key=pretend-query").UploadTraces(t.Context(), oneSpan)
		if len(to.requests) != 1 || err == nil || !strings.Contains(err.Error(), "the collector http://c.example of OTEL_EXPORTER_OTLP_TRACES_ENDPOINT "+want) || strings.Contains(err.Error(), "pretend") {
			t.Errorf("%d: got %v after %d tries, want %q after one", code, err, len(to.requests), want)
		}
		if user, password, _ := to.requests[0].BasicAuth(); code == 400 && to.requests[0].Header.Get("Authorization") != "pretend-key" {
			t.Errorf("got %s and %s, want the header that is asked for", user, password)
		}
	}
}

func TestARedirectOfTheCollectorIsNotFollowed(t *testing.T) {
	elsewhere := &pretendCollector{}
	other := httptest.NewServer(elsewhere)
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	c, err := collectorOf(t, "ENDPOINT", server.URL, "HEADERS", "x-key=secret")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.UploadTraces(t.Context(), oneSpan); err == nil || len(elsewhere.requests) != 0 {
		t.Errorf("got %v, and %d requests went elsewhere", err, len(elsewhere.requests))
	}
}

func TestNoAnswerIsWorthAnotherTry(t *testing.T) {
	c := asked(t, nil, "ENDPOINT", "http://me:pretend-password@c.example")
	tries := 0
	c.wire = roundTripper(func(r *http.Request) (*http.Response, error) {
		if tries++; tries == 1 {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		user, password, _ := r.BasicAuth()
		if user != "me" || password != "pretend-password" {
			t.Errorf("got user %q, password %q", user, password)
		}
		return nil, errors.New("connection refused")
	})
	synctest.Test(t, func(t *testing.T) {
		c.life, c.end = context.WithCancel(t.Context())
		err := c.UploadTraces(t.Context(), oneSpan)
		if err == nil || !strings.Contains(err.Error(), "http://c.example of OTEL_EXPORTER_OTLP_ENDPOINT gave no answer: ") || strings.Contains(err.Error(), "pretend") || tries < 3 {
			t.Errorf("got %v after %d tries", err, tries)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// endless is an answer that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) { e.read += len(p); return len(p), nil }
func (e *endless) Close() error               { return nil }

func TestAnAnswerIsReadOnlySoFar(t *testing.T) {
	c := asked(t, nil)
	body := &endless{}
	c.wire = roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {protobuf}}, Body: body}, nil
	})
	if err := c.UploadTraces(t.Context(), oneSpan); err != nil || body.read > answerBytes {
		t.Errorf("got %v after %d bytes", err, body.read)
	}
}

func TestSpansThatTheCollectorDoesNotTakeAreTold(t *testing.T) {
	var told []string
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { told = append(told, err.Error()) }))
	defer otel.SetErrorHandler(before)
	partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 3)
	partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), "too old")
	answer := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
	for _, body := range [][]byte{answer, answer[:len(answer)-1], nil} { // the second is broken, the third empty
		to := &pretendCollector{answers: []func(http.ResponseWriter){func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", protobuf)
			_, _ = w.Write(body)
		}}}
		if err := asked(t, to).UploadTraces(t.Context(), oneSpan); err != nil || len(to.requests) != 1 {
			t.Errorf("got %v after %d tries, want none again", err, len(to.requests))
		}
	}
	if len(told) != 1 || !strings.HasSuffix(told[0], `did not take 3 spans of a batch: "too old"`) {
		t.Errorf("got %q", told)
	}
}

func TestWrongVariablesAreNamedAndNotShown(t *testing.T) {
	for _, tt := range []struct {
		variables []string
		want      []string
	}{
		{[]string{"ENDPOINT", "pretend.example:4318"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT"}},
		{[]string{"ENDPOINT", "http://me:pretend-password@bad host"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT"}},
		{[]string{"TRACES_ENDPOINT", "grpc://pretend.example"}, []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}},
		{[]string{"HEADERS", "pretend-key"}, []string{"OTEL_EXPORTER_OTLP_HEADERS"}},
		{[]string{"TRACES_HEADERS", "a=%zzpretend"}, []string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS"}},
		{[]string{"HEADERS", "a=pretend%0d%0aX: y"}, []string{"OTEL_EXPORTER_OTLP_HEADERS"}},
		{[]string{"HEADERS", "pretend key=1"}, []string{"OTEL_EXPORTER_OTLP_HEADERS"}},
		{[]string{"TIMEOUT", "10s"}, []string{"OTEL_EXPORTER_OTLP_TIMEOUT"}},
		{[]string{"TIMEOUT", "0", "COMPRESSION", "zstd"}, []string{"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_COMPRESSION"}},
		{[]string{"CERTIFICATE", t.TempDir() + "/none.pem"}, []string{"OTEL_EXPORTER_OTLP_CERTIFICATE", "no such file"}},
		{[]string{"CERTIFICATE", "-----BEGIN pretend CERTIFICATE-----"}, []string{"OTEL_EXPORTER_OTLP_CERTIFICATE"}},
		{[]string{"CLIENT_CERTIFICATE", "otlp_test.go", "CLIENT_KEY", "-----BEGIN pretend KEY-----"}, []string{"OTEL_EXPORTER_OTLP_CLIENT_KEY"}},
		{[]string{"TRACES_CERTIFICATE", "otlp_test.go"}, []string{"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"}},
		{[]string{"TRACES_CLIENT_CERTIFICATE", "x.pem"}, []string{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"}},
		{[]string{"CLIENT_CERTIFICATE", "otlp_test.go", "CLIENT_KEY", "otlp_test.go"}, []string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"}},
	} {
		_, err := collectorOf(t, tt.variables...)
		if err == nil || strings.Contains(err.Error(), "pretend") || slices.ContainsFunc(tt.want, func(w string) bool { return !strings.Contains(err.Error(), w) }) {
			t.Errorf("%q: got %v, want it to name %q", tt.variables, err, tt.want)
		}
	}
}
