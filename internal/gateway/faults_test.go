package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/internal/project"
)

// faulty is a gateway before a system that behaves badly, or with a caller who does.
type faulty struct {
	login, call http.HandlerFunc // of the system; nil: as they should be
	auth        string           // authentication object; empty: a login
	props       string           // more properties, each ending with a comma
	host        string           // the system's name; empty: its address
	caller      project.Caller   // laid over a caller who may do everything
	oidc        project.OIDC
	limits      Limits
	base        *http.Transport
	now         func() time.Time // the engine's clock

	gateway *Gateway
	front   *httptest.Server
	mu      sync.Mutex
	access  bytes.Buffer
	lines   chan struct{} // one for each line of the access log
	logins  atomic.Int64
}

const loginAuth = `{"auth_method":"request_token","username":"reader","password":"` + apiPassword + `","token_timeout":3600000,
	"auth_field":"header.headers.X-Auth-Token","auth_field_format":"{token}"}`

// start starts the gateway and the system.
func (f *faulty) start(t *testing.T) *faulty {
	t.Helper()
	system := httptest.NewUnstartedServer(f)
	system.Config.ErrorLog = quiet()
	system.Start()
	t.Cleanup(system.Close)
	f.lines = make(chan struct{}, 2000)
	log := logrus.New()
	log.SetOutput(io.Discard)
	var err error
	f.gateway, err = New(Options{Load: func() (Config, error) { return f.load(t, system.URL) }, Log: log, AccessLog: f, Metrics: NewMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	f.front = httptest.NewUnstartedServer(f.gateway)
	f.front.Config.ErrorLog = quiet()
	f.front.Start()
	t.Cleanup(f.front.Close)
	return f
}

// Write takes a line of the access log.
func (f *faulty) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.access.Write(p)
	f.lines <- struct{}{}
	return len(p), nil
}

func (f *faulty) load(t *testing.T, at string) (Config, error) {
	u, _ := url.Parse(at)
	host, auth := u.Hostname(), loginAuth
	if f.host != "" {
		host = f.host
	}
	if f.auth != "" {
		auth = f.auth
	}
	a, err := adapter.Open(adapter.Options{Name: "acme", Home: apiHome, HomeName: "acme", Dialect: iap.Dialect{}, Base: f.base, Wire: direct, Now: f.now,
		Instance: adapter.File{Name: "instance.json", Data: fmt.Appendf(nil, `{%s"host":%q,"port":%s,"protocol":"http","authentication":%s}`, f.props, host, u.Port(), auth)}})
	if err != nil {
		return Config{}, err
	}
	caller := f.caller
	caller.Name, caller.KeySHA256 = "all", project.Texts{sha(keyAll)}
	if caller.Allow == nil {
		caller.Allow = []string{"*"}
	}
	callers := []project.Caller{caller}
	if f.oidc.Issuer != "" {
		callers = append(callers, project.Caller{Name: "subject", Subject: "subject"})
	}
	known, err := NewCallers(callers, f.oidc, Targets{})
	return Config{Adapters: map[string]*adapter.Adapter{"acme": a}, Callers: known, Limits: f.limits}, err
}

// ServeHTTP is the system. It checks what it is sent before it behaves as the case wants.
func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // or the server would not notice that somebody leaves
	if r.URL.Path == "/login" {
		f.logins.Add(1)
		switch {
		case !strings.Contains(string(body), apiPassword):
			w.WriteHeader(http.StatusTeapot)
		case f.login != nil:
			f.login(w, r)
		default:
			_, _ = io.WriteString(w, `{"token":"`+apiToken+`"}`)
		}
		return
	}
	switch {
	case r.Header.Get("X-Auth-Token") != apiToken:
		w.WriteHeader(http.StatusTeapot)
	case f.call != nil:
		f.call(w, r)
	default:
		_, _ = io.WriteString(w, `{"hostname":"r1"}`)
	}
}

// request is a caller's; without a path it is a call that is right.
func (f *faulty) request(t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	if path == "" {
		method, path, body = http.MethodPost, getDevice, `{"uriPathVars":["7"]}`
	}
	r, err := http.NewRequestWithContext(t.Context(), method, f.front.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+keyAll)
	return r
}

// send sends a request and reads the problem.
func (f *faulty) send(t *testing.T, r *http.Request) (*http.Response, problem) {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var p problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Fatalf("status %d: %v", res.StatusCode, err)
	}
	return res, p
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// hang answers when the caller has left.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// hangUp closes the connection.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// faultCase is a request that ends in a problem.
type faultCase struct {
	code               string
	world              faulty
	method, path, body string
	header             http.Header
	before             func(*testing.T, *faulty)
}

// faultCases produce every code of the catalogue.
func faultCases() []*faultCase {
	return []*faultCase{
		{code: "no-caller", header: http.Header{"Authorization": {"Bearer wrong"}}},
		{code: "issuer-unreachable", world: faulty{oidc: project.OIDC{Issuer: "http://127.0.0.1:1", Audience: "keyhitch"}},
			header: http.Header{"Authorization": {"Bearer e30.e30.AA"}}},
		{code: "forbidden", world: faulty{caller: project.Caller{Allow: []string{"acme/ticket/*"}}}},
		{code: "not-allowed-here", method: "POST", path: getDevice, body: `{"uriPathVars":["7"],"authData":{"username":"else"}}`},
		{code: "too-many-requests", world: faulty{caller: project.Caller{Rate: 0.001}}, before: func(t *testing.T, f *faulty) {
			if res, err := http.DefaultTransport.RoundTrip(f.request(t, "", "", "")); err != nil || res.StatusCode != 200 {
				t.Fatalf("got %v, %v, want the first request in", res, err)
			}
		}},
		{code: "too-many-at-once", world: faulty{caller: project.Caller{Concurrent: 1}, call: hang}, before: func(t *testing.T, f *faulty) {
			ctx, leave := context.WithCancel(t.Context())
			t.Cleanup(leave)
			reached := make(chan struct{})
			f.call = func(w http.ResponseWriter, r *http.Request) { close(reached); hang(w, r) }
			go func() {
				if res, err := http.DefaultTransport.RoundTrip(f.request(t, "", "", "").WithContext(ctx)); err == nil {
					_ = res.Body.Close()
				}
			}()
			<-reached
		}},
		{code: "no-route", method: "GET", path: "/nowhere"},
		{code: "no-adapter", method: "GET", path: "/v1/adapters/none"},
		{code: "no-action", method: "POST", path: "/v1/adapters/acme/actions/device/none", body: "{}"},
		{code: "bad-method", method: "PUT", path: "/v1/adapters"},
		{code: "bad-path", method: "GET", path: "/proxy/acme/a/%2e%2e/b"},
		{code: "bad-call", method: "POST", path: getDevice, body: `{"uriPathVar":["7"]}`},
		{code: "no-place-for-credential", world: faulty{auth: `{"auth_method":"static_token","token":"` + apiToken + `","auth_field":"body.token","auth_field_format":"{token}"}`},
			method: "POST", path: "/proxy/acme/x", body: "neither JSON nor a form", header: http.Header{"Content-Type": {"text/plain"}}},
		{code: "too-large", world: faulty{limits: Limits{CallBytes: 10}}},
		{code: "bad-upgrade", world: faulty{call: func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
			_ = conn.Close()
		}}, method: "GET", path: "/proxy/acme/x", header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}},
		{code: "bad-configuration", world: faulty{props: `"proxy":{"enabled":true,"host":"proxy.example","port":3128},`}},
		{code: "login-refused", world: faulty{login: status(401)}},
		{code: "login-limited", world: faulty{login: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(http.StatusTooManyRequests)
		}}},
		{code: "no-token", world: faulty{login: status(500)}},
		{code: "token-endpoint-unreachable", world: faulty{login: hangUp}},
		{code: "token-timeout", world: faulty{login: hang, props: `"request":{"attempt_timeout":1000},`}},
		{code: "upstream-auth-refused", world: faulty{call: status(401)}},
		{code: "upstream-auth-refused", world: faulty{call: status(401)}, method: "GET", path: "/proxy/acme/x"},
		{code: "upstream-timeout", world: faulty{call: hang, props: `"request":{"attempt_timeout":1000},`}},
		{code: "upstream-unreachable", world: faulty{call: hangUp}},
		{code: "upstream-unreachable", world: faulty{call: hangUp}, method: "GET", path: "/proxy/acme/x"},
		{code: "forbidden-target", world: faulty{host: "localhost", base: GuardedBase(nil, nil, 0)}},
		{code: "upstream-redirect", world: faulty{call: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		}}},
		{code: "bad-answer", world: faulty{call: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }}},
		{code: "upstream-status", world: faulty{call: status(502)}},
		{code: "closing", before: func(t *testing.T, f *faulty) { _ = f.gateway.Close(t.Context()) }},
		{code: "internal", world: faulty{auth: `{"auth_method":"static_token","token":"` + apiToken + `","auth_field":"header.headers.X-Auth-Token","auth_field_format":"{token}"}`, base: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { panic("a fault of ours") }}}, method: "GET", path: "/proxy/acme/x"},
	}
}

func TestEveryCodeComesFromSomething(t *testing.T) {
	produced := []string{faultLeft.Code} // nobody hears that one: see below
	for _, tt := range faultCases() {
		produced = append(produced, tt.code)
		t.Run(tt.code, func(t *testing.T) {
			f := tt.world.start(t)
			if tt.before != nil {
				tt.before(t, f)
			}
			r := f.request(t, tt.method, tt.path, tt.body)
			for name, values := range tt.header {
				r.Header[name] = values
			}
			res, p := f.send(t, r)
			want := catalogued(t, tt.code)
			if p.Code != tt.code || p.Title != want.Title || p.Status != want.Status || res.StatusCode != want.Status || p.Step != want.Step || p.Retryable != want.Retryable {
				t.Errorf("got status %d, %+v, want %+v", res.StatusCode, p, *want)
			}
			if p.Type != errorPage+tt.code || p.RequestID == "" || p.RequestID != res.Header.Get(requestID) || res.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %+v, headers %v, want type, request id and media type", p, res.Header)
			}
			if strings.Contains(p.Detail, apiPassword) || strings.Contains(p.Detail, apiToken) {
				t.Errorf("the detail shows a secret: %s", p.Detail)
			}
		})
	}
	for _, f := range catalogue {
		if !slices.Contains(produced, f.Code) {
			t.Errorf("no case produces %s", f.Code)
		}
	}
}

func catalogued(t *testing.T, code string) *fault {
	t.Helper()
	i := slices.IndexFunc(catalogue, func(f *fault) bool { return f.Code == code })
	if i < 0 {
		t.Fatalf("%s is not in the catalogue", code)
	}
	return catalogue[i]
}

func TestACallerWhoLeavesStandsInTheAccessLog(t *testing.T) {
	for _, path := range []string{"/proxy/acme/x", getDevice} {
		reached := make(chan struct{})
		f := (&faulty{call: func(w http.ResponseWriter, r *http.Request) { close(reached); hang(w, r) }}).start(t)
		ctx, leave := context.WithCancel(t.Context())
		r := f.request(t, "POST", path, `{"uriPathVars":["7"]}`).WithContext(ctx)
		go func() { <-reached; leave() }()
		if _, err := http.DefaultTransport.RoundTrip(r); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want to have left", err)
		}
		<-f.lines
		if line := f.access.String(); !strings.Contains(line, `"fault":"caller-left"`) || !strings.Contains(line, `"status":499`) {
			t.Errorf("%s: got %s want caller-left and 499", path, line)
		}
	}
}

func TestWhoMustWaitHearsHowLong(t *testing.T) {
	for code, want := range map[string]string{"login-limited": "17", "too-many-requests": "1000", "login-refused": "2"} {
		cases := faultCases()
		tt := cases[slices.IndexFunc(cases, func(c *faultCase) bool { return c.code == code })]
		f := tt.world.start(t)
		if tt.before != nil {
			tt.before(t, f)
		}
		res, _ := f.send(t, f.request(t, "", "", ""))
		if got := res.Header.Get("Retry-After"); got != want {
			t.Errorf("%s: got Retry-After %q, want %q", code, got, want)
		}
	}
}

func TestAThousandCallersOfARefusedLoginCostOneTokenRequest(t *testing.T) {
	noon := time.Now()
	f := (&faulty{login: status(401), now: func() time.Time { return noon }}).start(t) // the rest after a refusal does not end
	var group sync.WaitGroup
	var told atomic.Int64
	for i := range 1000 {
		method, path, body := "GET", "/proxy/acme/v1/x", ""
		if i%2 == 1 {
			method, path, body = "POST", getDevice, `{"uriPathVars":["7"]}`
		}
		group.Go(func() {
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+keyAll)
			w := httptest.NewRecorder()
			f.gateway.ServeHTTP(w, r)
			if w.Code == http.StatusBadGateway && strings.Contains(w.Body.String(), `"code":"login-refused"`) {
				told.Add(1)
			}
		})
	}
	group.Wait()
	if told.Load() != 1000 || f.logins.Load() != 1 {
		t.Errorf("%d of 1000 were told %s after %d logins, want all after 1", told.Load(), faultLoginRefused.Code, f.logins.Load())
	}
}

func TestErrorsOfTheEngineHaveTheirFaults(t *testing.T) {
	refused := &auth.TokenError{Status: 401}
	for _, tt := range []struct {
		err  error
		want *fault
	}{
		{fmt.Errorf("device.get: %w", refused), faultLoginRefused},
		{&auth.TokenError{Status: 429}, faultLoginLimited},
		{&auth.TokenError{Status: 503}, faultNoToken},
		{&auth.TokenError{Reason: "no token in the answer", Status: 200}, faultNoToken},
		{&auth.TokenError{Err: context.DeadlineExceeded}, faultTokenTimeout},
		{&auth.TokenError{Err: &net.OpError{Op: "dial", Err: errors.New("refused")}}, faultTokenUnreachable},
		{&auth.TokenError{Err: &forbiddenTarget{"login.example"}}, faultForbiddenTarget},
		{&auth.TokenError{Err: context.Canceled}, faultLeft},
		{fmt.Errorf("waiting for a token: %w", context.Canceled), faultLeft},
		{fmt.Errorf("waiting for a token: %w", context.DeadlineExceeded), faultTimeout},
		{&adapter.StatusError{Status: 407}, faultAuthRefused},
		{&adapter.StatusError{Status: 404}, faultUpstreamStatus},
		{&adapter.NotBuiltError{Setting: "proxy"}, faultConfig},
		{&http.MaxBytesError{Limit: 1}, faultTooLarge},
		{adapter.ErrNoToken, faultBadCall},
		{io.ErrUnexpectedEOF, faultUnreachable},
		{errors.New("what nobody thought of"), faultInternal},
	} {
		if got := faultOf(tt.err); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.err, got.Code, tt.want.Code)
		}
	}
}
