package adapter_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
)

// portal is a system for configurations in the port dialect: /login gives tokens T1, T2, …, and
// every other path wants the newest one in X-Token.
type portal struct {
	*httptest.Server
	logins, calls, refusals atomic.Int64
	life                    time.Duration // tokens end after so long; 0: never
	serve                   http.HandlerFunc

	mu     sync.Mutex
	valid  string
	issued time.Time
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/login") {
		p.valid, p.issued = fmt.Sprintf("T%d", p.logins.Add(1)), time.Now()
		answerJSON(w, 200, object{"session": object{"id": p.valid}})
		return
	}
	p.calls.Add(1)
	if r.Header.Get("X-Token") != p.valid || p.life > 0 && time.Since(p.issued) > p.life {
		p.refusals.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if p.serve != nil {
		p.mu.Unlock()
		p.serve(w, r)
		p.mu.Lock()
		return
	}
	answerJSON(w, 200, object{"path": r.URL.RequestURI()})
}

func (p *portal) revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.valid = "nobody has this one"
}

// openPort opens a configuration laid over the usual one; nil removes a setting.
func openPort(t testing.TB, base string, over object) *adapter.Adapter {
	t.Helper()
	a, err := adapter.Open(portOptions(base, over))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	return a
}

func portOptions(base string, over object) adapter.Options {
	config := object{"baseUrl": base, "authType": "custom", "maxConcurrentRequests": 0,
		"customAuthRequest":         object{"endpoint": "/login", "bodyForm": "user=ann&password=correct-horse"},
		"customAuthRequestTemplate": object{"headers": object{"X-Token": "{{.session.id}}"}}}
	for name, value := range over {
		if config[name] = value; value == nil {
			delete(config, name)
		}
	}
	return adapter.Options{Dialect: port.Dialect{}, Instance: adapter.File{Name: "port.json", Data: []byte(text(config))},
		ReadFile: os.ReadFile, LookupEnv: os.LookupEnv}
}

func newPortal(t testing.TB) *portal {
	p := new(portal)
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func ask(t testing.TB, a *adapter.Adapter, method, path string) (status int, body string) {
	t.Helper()
	res, err := a.Request(t.Context(), method, path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

func TestPathsAreJoinedToTheBaseURL(t *testing.T) {
	p := newPortal(t)
	for base, want := range map[string]string{"": "/v1/x?q=1", "/": "/v1/x?q=1", "/tenants/9//": "/tenants/9/v1/x?q=1", "/a%2Fb": "/a%2Fb/v1/x?q=1"} {
		for _, path := range []string{"v1/x?q=1", "/v1/x?q=1", "///v1/x?q=1"} {
			if _, body := ask(t, openPort(t, p.URL+base, nil), "GET", path); !strings.Contains(body, `"path":"`+want+`"`) {
				t.Errorf("base %q and path %q: got %s, want %s", base, path, body, want)
			}
		}
	}
	for _, path := range []string{"", "/", "//"} {
		if _, err := openPort(t, p.URL, nil).Request(t.Context(), "GET", path, nil, nil); !errors.As(err, new(*adapter.CallError)) {
			t.Errorf("path %q: got %v, want a CallError", path, err)
		}
	}
}

// Spec port.md, sections 8.1 and 8.2.
func TestThousandCallsMakeOneAuthCallEach(t *testing.T) {
	p := newPortal(t)
	o := portOptions(p.URL, object{"customAuthRequest": object{"endpoint": "/login", "body": object{"user": "ann"}, "reauthenticateIntervalSeconds": 600}})
	var ahead atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	a, err := adapter.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close(t.Context()) }()
	storm := func(what string, logins int64) {
		t.Helper()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				res, err := a.Request(t.Context(), "GET", "/x", nil, nil)
				if err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
				_ = res.Body.Close()
				if res.StatusCode != 200 {
					t.Errorf("%s: status %d, want 200", what, res.StatusCode)
				}
			})
		}
		wg.Wait()
		if n := p.logins.Load(); n != logins {
			t.Errorf("%s: %d auth calls so far, want %d", what, n, logins)
		}
	}
	storm("cold", 1)
	p.revoke()
	storm("401 for all", 2)
	ahead.Store(int64(601 * time.Second))
	storm("interval over", 3)
}

func TestEveryMethodIsSentOnceMoreAfterA401AndAtOnce(t *testing.T) {
	p := newPortal(t)
	a := openPort(t, p.URL, nil)
	for i, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"} {
		if status, _ := ask(t, a, method, "/x"); status != 200 {
			t.Fatalf("%s: status %d", method, status)
		}
		p.revoke()
		before := p.calls.Load()
		if status, _ := ask(t, a, method, "/x"); status != 200 {
			t.Errorf("%s with a revoked token: status %d, want 200", method, status)
		}
		if sent, logins := p.calls.Load()-before, p.logins.Load(); sent != 2 || logins != int64(i)+2 {
			t.Errorf("%s: sent %d times after %d auth calls, want 2 and %d", method, sent, logins, i+2)
		}
	}
}

func TestSecondRefusalIsTheCallers(t *testing.T) {
	p := newPortal(t)
	p.life = time.Nanosecond // every token is dead on arrival
	if status, _ := ask(t, openPort(t, p.URL, nil), "POST", "/x"); status != 401 || p.logins.Load() != 2 || p.calls.Load() != 2 {
		t.Errorf("status %d after %d auth calls and %d sends, want 401, 2 and 2", status, p.logins.Load(), p.calls.Load())
	}
}

func TestNoMoreCallsRunThanTheConfigurationAllows(t *testing.T) {
	p := newPortal(t)
	var running, most atomic.Int64
	p.serve = func(w http.ResponseWriter, _ *http.Request) {
		for n := running.Add(1); ; {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
		running.Add(-1)
		answerJSON(w, 200, object{})
	}
	a := openPort(t, p.URL, object{"maxConcurrentRequests": "3"})
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() { ask(t, a, "GET", "/x") })
	}
	wg.Wait()
	if n := most.Load(); n != 3 {
		t.Errorf("%d calls ran at the same time, want 3", n)
	}
	var held []io.Closer
	for range 3 { // unread answers hold their places
		res, err := a.Request(t.Context(), "GET", "/x", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, res.Body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.Request(ctx, "GET", "/x", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with all places taken: got %v, want the caller's own deadline", err)
	}
	for _, h := range held {
		_ = h.Close()
	}
	if status, _ := ask(t, a, "GET", "/x"); status != 200 {
		t.Errorf("after all were closed: status %d", status)
	}
}

func TestSlowSystemEndsWithTheConfiguredTimeout(t *testing.T) {
	p := newPortal(t)
	p.serve = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	_, err := openPort(t, p.URL, object{"timeout": "0.1"}).Request(t.Context(), "GET", "/x", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v, want a timeout", err)
	}
}

// pemOf writes a certificate and its key as a user would have them.
func pemOf(t *testing.T, cert tls.Certificate) (certificate, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestTLSSettingsGoForCallsAndAuthCalls(t *testing.T) {
	p := new(portal)
	p.Server = httptest.NewUnstartedServer(p)
	p.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	p.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
	p.StartTLS()
	t.Cleanup(p.Close)
	certificate, key := pemOf(t, p.TLS.Certificates[0])
	client := object{"clientCertificate": certificate, "clientPrivateKey": key}
	with := func(more object) object {
		for name, value := range client {
			more[name] = value
		}
		return more
	}
	for name, tt := range map[string]struct {
		over object
		ok   bool
	}{
		"an unknown authority": {with(object{}), false},
		"its authority":        {with(object{"caCertificate": certificate}), true},
		"no verification":      {with(object{"verifySsl": "false"}), true},
		"no client":            {object{"caCertificate": certificate}, false},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := openPort(t, p.URL, tt.over).Request(t.Context(), "GET", "/x", nil, nil)
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want success %t", err, tt.ok)
			}
			if err == nil {
				_ = res.Body.Close()
			}
		})
	}
	before := p.logins.Load()
	o := portOptions(p.URL, object{"clientCertificate": certificate, "clientPrivateKey": "no key", "caCertificate": certificate})
	if _, err := adapter.Open(o); err == nil || p.logins.Load() != before {
		t.Errorf("a key that is none: got %v, want an error before anything is sent", err)
	}
}

func TestProblemsOfAConfigurationHaveTheirPlace(t *testing.T) {
	for name, tt := range map[string]struct {
		data string
		want []string
	}{
		"all at once": {`{"baseUrl": "http://a.test",
 "authType": "custom",
 "customAuthRequest": {"endpoint": "", "methd": "POST"},
 "customAuthRequestTemplate": {"headers": {"Authorization": "Bearer {{tok}}"}}}`,
			[]string{"port.json:3:", "/customAuthRequest/endpoint", "/customAuthRequest/methd", "port.json:4:", "headers.Authorization"}},
		"in JSON text": {`{"baseUrl": "http://a.test", "authType": "custom",
 "customAuthRequest": "{\"endpoint\": \"/t\"}",
 "customAuthRequestTemplate": "{\"headers\": {\"X\": \"{{ .x }}\"}}"}`, []string{"port.json:3:", "headers.X"}},
		"unset variable": {`{"baseUrl": "http://a.test", "authType": "bearer_token", "apiToken": "${env:SURELY_NOT_SET}"}`, []string{"port.json:1:", "/apiToken", "SURELY_NOT_SET"}},
		"unset variables hide nothing": {`{"baseUrl": "${env:SURELY_NOT_SET}",
 "authType": "custom", "clientCertificate": "x", "clientPrivateKey": "${env:SURELY_NOT_SET_2}",
 "customAuthRequest": {"endpoint": "/${env:SURELY_NOT_SET_3}", "method": "FETCH", "reauthenticateIntervalSeconds": "${env:SURELY_NOT_SET_4}"},
 "customAuthRequestTemplate": {"headers": {"X": "{{x}}"}},
 "timeot": 5}`, []string{"port.json:1:13: /baseUrl: wants the environment variable SURELY_NOT_SET, which is not set\nport.json:2:",
			"SURELY_NOT_SET_2, which is not set\nport.json:3:", "SURELY_NOT_SET_3, which is not set\nport.json:3:", "/customAuthRequest/method: must be one of",
			"SURELY_NOT_SET_4, which is not set\nport.json:4:", "headers.X: {{x}} at character 1 is no expression; write {{.x}}\nport.json:5:", "/timeot: is not a known property"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := adapter.Open(adapter.Options{Dialect: port.Dialect{}, Instance: adapter.File{Name: "port.json", Data: []byte(tt.data)}, LookupEnv: os.LookupEnv})
			if err != nil && name == "unset variables hide nothing" && strings.Count(err.Error(), "\n") != 6 {
				t.Errorf("got %v, want 7 problems", err)
			}
			if err == nil {
				t.Fatal("it opens")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, want %s in it", err, part)
				}
			}
		})
	}
}

// Who names the dialect need not write authType.
func TestDialectThatIsNamedIsNotLookedFor(t *testing.T) {
	p := newPortal(t)
	p.valid = ""
	a, err := adapter.Open(adapter.Options{Dialect: port.Dialect{}, Instance: adapter.File{Name: "p.json", Data: []byte(text(object{"baseUrl": p.URL}))}})
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(t, a, "GET", "/x"); status != 200 {
		t.Errorf("status %d, want 200 without a credential", status)
	}
	for data, want := range map[string]string{`[1]`: "is no configuration in the port dialect", `{"baseURL":1}`: "/baseUrl: is required"} {
		_, err = adapter.Open(adapter.Options{Dialect: port.Dialect{}, Instance: adapter.File{Name: "p.json", Data: []byte(data)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", data, err, want)
		}
	}
	_, err = adapter.Open(adapter.Options{Dialect: iap.Dialect{}, Instance: adapter.File{Name: "p.json", Data: []byte(`{"baseUrl":"https://a.test"}`)}})
	if err == nil || !strings.Contains(err.Error(), "has a baseUrl, but no authType; write authType") {
		t.Errorf("got %v, want a hint at authType", err)
	}
}

func TestPlanOfAConfigurationShowsNoSecret(t *testing.T) {
	a := openPort(t, "http://a.test", object{"customAuthRequest": object{"endpoint": "/login", "bodyForm": "user=ann&client_secret=correct-horse",
		"headers": object{"X-Api-Key": "battery-staple"}}, "customAuthRequestTemplate": object{"headers": object{"X-Token": "{{.session.id}}"}, "queryParams": object{"k": "{{.session.id}}"}}})
	plan, err := a.PlanRequest(t.Context(), "GET", "/x", nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	shown, _ := json.Marshal(plan)
	for _, secret := range []string{"correct-horse", "battery-staple"} {
		if strings.Contains(string(shown), secret) {
			t.Errorf("the plan shows %s: %s", secret, shown)
		}
	}
	if plan[1].URL != "http://a.test/x?k={.session.id}" || plan[1].Headers["X-Token"][0] != "{.session.id}" {
		t.Errorf("got %s, want the places of what the answer brings", shown)
	}
}
