package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/auth"
)

// logged is a gateway without adapters whose handler is the test's.
type logged struct {
	*Gateway
	access, log bytes.Buffer
}

func newLogged(t testing.TB) *logged {
	t.Helper()
	l := &logged{}
	log := logrus.New()
	log.SetOutput(&l.log)
	log.SetFormatter(&logrus.JSONFormatter{})
	redact := new(auth.Redactor)
	redact.Learn(auth.NewSecret("sesame-4711"))
	var err error
	l.Gateway, err = New(Options{Load: func() (Config, error) { return Config{}, nil }, Log: log, AccessLog: &l.access, Redact: redact, Metrics: NewMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve has the handler answer one request, and returns the line of the access log and the answer.
// A handler that was aborted has its panic returned.
func (l *logged) serve(t testing.TB, r *http.Request, handler func(x *exchange)) (line map[string]any, res *httptest.ResponseRecorder, aborted any) {
	t.Helper()
	l.access.Reset()
	res = httptest.NewRecorder()
	func() {
		defer func() { aborted = recover() }()
		x := l.begin(res, r)
		defer x.end()
		handler(x)
	}()
	if strings.Count(l.access.String(), "\n") != 1 || json.Unmarshal(l.access.Bytes(), &line) != nil {
		t.Fatalf("got access log %q, want one line of JSON", l.access.String())
	}
	return line, res, aborted
}

func TestEveryRequestIsOneLineOfTheAccessLog(t *testing.T) {
	l := newLogged(t)
	r := httptest.NewRequest("POST", "/proxy/acme/v1/things?token=abc", strings.NewReader("12345"))
	r.RemoteAddr = "[2001:db8::1]:4711"
	r.Header.Set(requestID, "id-1")
	line, _, _ := l.serve(t, r, func(x *exchange) {
		x.caller, x.adapter, x.entity, x.action, x.token = &Caller{name: "reports"}, "acme", "device", "get", "0a1b2c3d"
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = x.w.Write([]byte("answer"))
	})
	want := map[string]any{"action": "get", "adapter": "acme", "bytes_in": 5.0, "bytes_out": 6.0, "caller": "reports", "entity": "device",
		"fingerprint": "0a1b2c3d", "level": "info", "method": "POST", "msg": "request", "path": "/proxy/acme/v1/things",
		"remote": "2001:db8::1", "request_id": "id-1", "status": 200.0}
	for name, value := range want {
		if line[name] != value {
			t.Errorf("%s: got %v, want %v", name, line[name], value)
		}
	}
	if len(line) != len(want)+2 {
		t.Errorf("got %v, want ms and time besides %v", line, want)
	}
}

func TestTheAccessLogTellsFaultsByTheirCodes(t *testing.T) {
	l := newLogged(t)
	for _, tt := range []struct {
		fault *fault
		level string
	}{
		{faultForbidden, "info"}, {faultLoginRefused, "warning"}, {faultInternal, "warning"},
	} {
		line, _, _ := l.serve(t, httptest.NewRequest("GET", "/x", nil), func(x *exchange) { x.fail(tt.fault, "") })
		if line["fault"] != tt.fault.Code || line["level"] != tt.level || line["status"] != float64(tt.fault.Status) {
			t.Errorf("got %v, want fault %s, level %s, status %d", line, tt.fault.Code, tt.level, tt.fault.Status)
		}
	}
}

func TestNoSecretQueryOrControlCharacterEntersTheAccessLog(t *testing.T) {
	for _, target := range []string{
		"/proxy/acme/sesame-4711/x?key=sesame-4711",
		"/proxy/acme/x%0a%1b%5b31m%22%7bfake%22?sesame-4711",
		"/proxy/acme/" + strings.Repeat("long", 10_000),
		"/proxy/acme/<&\u2028>",
	} {
		l := newLogged(t)
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawPath, r.URL.RawQuery, _ = strings.Cut(target, "?")
		r.URL.Path = unescape(r.URL.RawPath)
		r.Method = "G\x1bET" + strings.Repeat("X", 1000)
		r.Header.Set(requestID, "sesame-4711")
		l.serve(t, r, func(x *exchange) { x.entity = "sesame-4711" })
		line := strings.TrimSuffix(l.access.String(), "\n")
		if strings.Contains(line, "sesame") || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) || len(line) > 3000 {
			t.Errorf("%.60s: got line of %d bytes %.300q, want neither secret nor control character, and an end", target, len(line), line)
		}
	}
}

func TestTheAccessLogIsWhatLogrusWouldWrite(t *testing.T) {
	for _, l := range []accessLine{
		{level: logrus.InfoLevel, time: time.Now(), took: 1234567 * time.Nanosecond, login: 1000001 * time.Nanosecond, upstream: 12345 * time.Nanosecond, status: 200, in: 1, out: 2, id: "id", caller: "rep\"orts<&>",
			adapter: "acme", entity: "device", action: "get", fingerprint: "0a1b2c3d", method: "GET", path: "/ä\u2028/\\", remote: "::1"},
		{level: logrus.WarnLevel, time: time.Now().UTC(), took: time.Hour, login: 999 * time.Microsecond, upstream: time.Minute, status: 502, aborted: true, id: "id", fault: "internal", method: "GET", path: "/", remote: "@"},
		{level: logrus.InfoLevel, time: time.Now(), method: "\xff\x00\x7f", path: "/"},
	} {
		log := logrus.New()
		entry := log.WithFields(l.fields()).WithTime(l.time)
		entry.Level, entry.Message = l.level, accessMessage
		want, err := (&logrus.JSONFormatter{}).Format(entry)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		l.writeTo(&got)
		if got.String() != string(want) {
			t.Errorf("got  %s want %s", got.String(), want)
		}
	}
}

func TestWithoutAFileOfItsOwnTheAccessLogIsTheLog(t *testing.T) {
	l := newLogged(t)
	l.options.AccessLog = nil
	l.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/nowhere", nil))
	if got := l.log.String(); !strings.Contains(got, `"fault":"no-route"`) || !strings.Contains(got, `"msg":"request"`) {
		t.Errorf("got %q, want the line in the log", got)
	}
}

func TestALogThatIsQuietKeepsTheAccessLogQuiet(t *testing.T) {
	l := newLogged(t)
	l.options.Log.(*logrus.Logger).SetLevel(logrus.WarnLevel)
	l.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/nowhere", nil))
	if l.access.Len() > 0 {
		t.Errorf("got %q at level warning, want nothing", l.access.String())
	}
}

func TestAPanicIsAProblemAndItsSecretsAreNot(t *testing.T) {
	l := newLogged(t)
	line, res, aborted := l.serve(t, httptest.NewRequest("GET", "/v1/x", nil), func(*exchange) { panic(errors.New("no sesame-4711")) })
	if res.Code != 500 || aborted != nil || line["fault"] != faultInternal.Code {
		t.Errorf("got %d, %v, %v, want the problem internal", res.Code, aborted, line)
	}
	log := l.log.String()
	if !strings.Contains(log, "TestAPanicIsAProblem") || !strings.Contains(log, `"request_id":"`+line["request_id"].(string)) {
		t.Errorf("got log %q, want stack and request id", log)
	}
	if all := log + res.Body.String() + l.access.String(); strings.Contains(all, "sesame") {
		t.Errorf("%q holds the secret", all)
	}
}

func TestAnAnswerThatAPanicCutsIsNotTakenForWhole(t *testing.T) {
	l := newLogged(t)
	for _, cause := range []any{errors.New("oh"), http.ErrAbortHandler} {
		line, res, aborted := l.serve(t, httptest.NewRequest("GET", "/v1/x", nil), func(x *exchange) {
			_, _ = x.w.Write([]byte("half"))
			panic(cause)
		})
		if aborted != http.ErrAbortHandler || res.Body.String() != "half" || line["aborted"] != true || line["status"] != 200.0 {
			t.Errorf("%v: got %v after %q, %v, want net/http to hear of it", cause, aborted, res.Body, line)
		}
	}
}

func TestACallerWhoLeavesIsNotOurFault(t *testing.T) {
	l := newLogged(t)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequest("GET", "/proxy/x", nil).WithContext(ctx)
	for _, handler := range []func(*exchange){
		func(*exchange) { panic(http.ErrAbortHandler) },
		func(x *exchange) { x.failWith(ctx.Err()) },
	} {
		line, _, _ := l.serve(t, r, handler)
		if line["fault"] != faultLeft.Code || line["status"] != 499.0 || line["level"] != "info" {
			t.Errorf("got %v, want %s at level info", line, faultLeft.Code)
		}
	}
	if l.log.Len() > 0 {
		t.Errorf("got log %q, want nothing", l.log.String())
	}
}

func TestRequestsAreCountedByAdapterRouteAndClass(t *testing.T) {
	l := newLogged(t)
	under := 0.0
	l.serve(t, httptest.NewRequest("GET", "/proxy/acme/v1/secret-path", nil), func(x *exchange) {
		x.adapter = "acme"
		under = testutil.ToFloat64(l.options.Metrics.inflight)
		_, _ = x.w.Write(nil)
	})
	l.serve(t, httptest.NewRequest("POST", "/v1/adapters/acme/actions/device/get", nil), func(x *exchange) {
		x.adapter, x.entity = "acme", "device"
		x.fail(faultAuthRefused, "")
	})
	l.serve(t, httptest.NewRequest("GET", "/v1/adapters/made-up", nil), func(x *exchange) { x.fail(faultNoAdapter, "") })
	l.serve(t, httptest.NewRequest("GET", "/openapi.json", nil), func(*exchange) { panic(http.ErrAbortHandler) })
	l.options.Metrics.Reloaded(nil)
	l.options.Metrics.Reloaded(errors.New("bad file"))
	l.options.Metrics.Measure(auth.Measure{What: auth.Hit, Owner: "acme", Label: auth.TierMemory})
	if got := testutil.ToFloat64(l.options.Metrics.inflight); under != 1 || got != 0 {
		t.Errorf("in flight: got %v during a request and %v after, want 1 and 0", under, got)
	}
	want := `# HELP keyhitch_gateway_faults_total Problems that the gateway answered with, by code.
# TYPE keyhitch_gateway_faults_total counter
keyhitch_gateway_faults_total{adapter="",code="no-adapter"} 1
keyhitch_gateway_faults_total{adapter="acme",code="upstream-auth-refused"} 1
# HELP keyhitch_gateway_reloads_total Loads of the configuration by outcome.
# TYPE keyhitch_gateway_reloads_total counter
keyhitch_gateway_reloads_total{outcome="failed"} 1
keyhitch_gateway_reloads_total{outcome="ok"} 2
# HELP keyhitch_gateway_requests_total Requests by adapter, route and class of status.
# TYPE keyhitch_gateway_requests_total counter
keyhitch_gateway_requests_total{adapter="",class="4xx",route="api"} 1
keyhitch_gateway_requests_total{adapter="",class="aborted",route="openapi"} 1
keyhitch_gateway_requests_total{adapter="acme",class="2xx",route="proxy"} 1
keyhitch_gateway_requests_total{adapter="acme",class="5xx",route="action"} 1
`
	if err := testutil.GatherAndCompare(l.options.Metrics.Registry(), strings.NewReader(want), "keyhitch_gateway_requests_total",
		"keyhitch_gateway_faults_total", "keyhitch_gateway_reloads_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(l.options.Metrics.Registry(), "keyhitch_token_hits_total"); err != nil || n == 0 {
		t.Errorf("got %d series of the token engine, %v, want some", n, err)
	}
	if problems, err := testutil.GatherAndLint(l.options.Metrics.Registry()); err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v, want names in the ecosystem's habits", problems, err)
	}
}

func TestNobodyCountsWithoutMetrics(t *testing.T) {
	l := newLogged(t)
	l.options.Metrics = nil
	l.serve(t, httptest.NewRequest("GET", "/", nil), func(*exchange) {})
	l.options.Metrics.Reloaded(nil)
}

// BenchmarkAccess is what taking a request in, counting it and logging it costs.
func BenchmarkAccess(b *testing.B) {
	for _, tt := range []struct {
		name   string
		change func(*Options)
	}{
		{"nothing", func(o *Options) {
			o.AccessLog, o.Metrics = nil, nil
			o.Log.(*logrus.Logger).SetLevel(logrus.ErrorLevel)
		}},
		{"metrics", func(o *Options) { o.AccessLog = nil; o.Log.(*logrus.Logger).SetLevel(logrus.ErrorLevel) }},
		{"metrics and access log", func(*Options) {}},
		{"by logrus", func(o *Options) { o.AccessLog = nil }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			l := newLogged(b)
			l.options.AccessLog = io.Discard
			l.options.Log.(*logrus.Logger).SetOutput(io.Discard)
			tt.change(&l.options)
			r := httptest.NewRequest("GET", "/proxy/acme/api/v1/devices?limit=10", nil)
			r.Header.Set(requestID, "0123456789abcdef")
			w, caller := httptest.NewRecorder(), &Caller{name: "reports"}
			b.ReportAllocs()
			for b.Loop() {
				x := l.begin(w, r)
				x.caller, x.adapter, x.token, x.w.status = caller, "acme", "0a1b2c3d", 200
				x.end()
			}
		})
	}
}
