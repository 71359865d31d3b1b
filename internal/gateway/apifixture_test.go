package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/internal/project"
)

// Secrets of the pretend system. None of them may come out anywhere.
const (
	apiPassword = "pretend-password-of-the-api-tests"
	apiToken    = "pretend-token-of-the-api-tests"
	schemaKey   = "pretend-passphrase-in-a-schema"
)

// Keys of the callers, and their SHA-256.
const (
	keyAll     = "key-of-the-caller-all"     // everything, no privileges
	keyMay     = "key-of-the-caller-may"     // everything, all privileges
	keyDevices = "key-of-the-caller-devices" // acme/device/* only
)

// apiSystem is a pretend system with a login; it checks what it is sent.
type apiSystem struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request // of calls, not logins
	bodies   []string
	logins   int
	refuse   bool         // logins
	answer   http.Handler // of calls; nil: a device
}

func newAPISystem(t *testing.T) *apiSystem {
	s := &apiSystem{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *apiSystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/login" {
		s.logins++
		var in struct{ Username, Password string }
		if json.Unmarshal(body, &in) != nil || in.Username != "reader" || in.Password != apiPassword || s.refuse {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"token":"`+apiToken+`"}`)
		return
	}
	s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(body))
	switch {
	case r.Header.Get("X-Auth-Token") != apiToken:
		w.WriteHeader(http.StatusUnauthorized)
	case s.answer != nil:
		s.answer.ServeHTTP(w, r)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"hostname":"r1","oper_state":"up","unknown":1}`)
	}
}

func (s *apiSystem) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// answering sets what calls are answered with.
func (s *apiSystem) answering(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = h
}

// apiHome declares two entities and the login.
var apiHome = fstest.MapFS{
	"entities/.system/action.json": {Data: []byte(`{"actions":[{"name":"getToken","protocol":"REST","method":"POST","entitypath":"/login",
		"requestSchema":"login.json","responseSchema":"login.json","datatype":"JSON"},
		{"name":"healthcheck","protocol":"REST","method":"GET","entitypath":"/healthy","schema":"any.json","datatype":"JSON"}]}`)},
	"entities/.system/login.json": {Data: []byte(`{"type":"object","translate":true,"properties":{"username":{"type":"string"},"password":{"type":"string"},"token":{"type":"string"}}}`)},
	"entities/.system/any.json":   {Data: []byte(`{"type":"object","translate":true,"dynamicfields":true,"properties":{}}`)},
	"entities/device/action.json": {Data: []byte(`{"actions":[
		{"name":"get","protocol":"REST","method":"GET","entitypath":"/api/devices/{pathv1}?{query}","schema":"device.json","datatype":"JSON"},
		{"name":"create","protocol":"REST","method":"POST","entitypath":"/api/devices","schema":"device.json","datatype":"JSON"},
		{"name":"delete","protocol":"REST","method":"DELETE","entitypath":"/api/devices/{pathv1}","schema":"device.json","datatype":"JSON"}]}`)},
	"entities/device/device.json": {Data: []byte(`{"$schema":"http://json-schema.org/draft-07/schema#","$id":"device.json","type":"object","translate":true,"dynamicfields":false,
		"properties":{"ph_request_type":{"type":"string","enum":["get","create","delete"]},
			"name":{"type":"string","description":"What people call it.","external_name":"hostname"},
			"status":{"$ref":"#/definitions/state","external_name":"oper_state"},
			"pin":{"type":"string","encrypt":{"type":"AES","key":"` + schemaKey + `"}},
			"port":{"$ref":"port.json#/definitions/one"}},
		"definitions":{"state":{"type":"string","enum":["up","down"]}}}`)},
	"entities/device/port.json":   {Data: []byte(`{"definitions":{"one":{"type":"object","properties":{"number":{"type":"integer"},"state":{"$ref":"device.json#/definitions/state"}}}}}`)},
	"entities/ticket/action.json": {Data: []byte(`{"actions":[{"name":"create","protocol":"REST","method":"POST","entitypath":"/api/tickets","schema":"ticket.json","datatype":"JSON"}]}`)},
	"entities/ticket/ticket.json": {Data: []byte(`{"type":"object","translate":true,"dynamicfields":true,"properties":{"title":{"type":"string"}},"dependencies":{"title":["number"]}}`)},
}

// apiGateway is a gateway with the adapters acme (a login) and fixed (a header of its own).
type apiGateway struct {
	*Gateway
	*apiSystem
	log    *bytes.Buffer
	redact *auth.Redactor
}

// apiOptions change the fixture.
type apiOptions struct {
	open    bool // no callers
	limits  Limits
	metrics *Metrics
	load    func(Config) (Config, error) // changes what is loaded
}

func newAPIGateway(t *testing.T, o apiOptions) *apiGateway {
	t.Helper()
	f := &apiGateway{apiSystem: newAPISystem(t), log: &bytes.Buffer{}, redact: &auth.Redactor{}}
	log := logrus.New()
	log.SetOutput(&lockedLog{w: f.log})
	tokens := new(auth.Tokens)
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		t.Fatal(err)
	}
	load := func() (Config, error) {
		config := Config{Limits: o.limits, Adapters: map[string]*adapter.Adapter{}}
		for name, authentication := range map[string]string{
			"acme":  `{"auth_method":"request_token","username":"reader","password":"` + apiPassword + `","token_timeout":3000,"auth_field":"header.headers.X-Auth-Token","auth_field_format":"{token}"}`,
			"fixed": `{"auth_method":"static_token","token":"` + apiToken + `","auth_field":"header.headers.X-Auth-Token","auth_field_format":"{token}"}`,
		} {
			a, err := adapter.Open(adapter.Options{Name: name, Home: apiHome, HomeName: name, Dialect: iap.Dialect{}, Wire: direct,
				Instance: instanceAt(f.URL, authentication), Tokens: tokens, Keys: keys, Redact: f.redact})
			if err != nil {
				return config, err
			}
			config.Adapters[name] = a
		}
		if !o.open {
			config.Callers = apiCallers(t)
		}
		if o.load != nil {
			return o.load(config)
		}
		return config, nil
	}
	f.Gateway, err = New(Options{Load: load, Log: log, Redact: f.redact, Metrics: o.metrics, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Gateway.Close(t.Context()) })
	return f
}

// instanceAt is a service instance whose system is at an address.
func instanceAt(address, authentication string) adapter.File {
	u, _ := url.Parse(address)
	return adapter.File{Name: "instance.json", Data: []byte(`{"host":"` + u.Hostname() + `","port":` + u.Port() + `,"protocol":"http","authentication":` + authentication + `}`)}
}

func apiCallers(t *testing.T) *Callers {
	t.Helper()
	callers, err := NewCallers([]project.Caller{
		{Name: "all", KeySHA256: project.Texts{hexOf(keyAll)}, Allow: []string{"*"}},
		{Name: "may", KeySHA256: project.Texts{hexOf(keyMay)}, Allow: []string{"*"}, May: []string{mayProperties, mayAuthData, mayFiles, mayHeaders}},
		{Name: "devices", KeySHA256: project.Texts{hexOf(keyDevices)}, Allow: []string{"acme/device/*"}},
	}, project.OIDC{}, Targets{})
	if err != nil {
		t.Fatal(err)
	}
	return callers
}

// lockedLog is a log that several goroutines write.
type lockedLog struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// apiAnswer is what a caller got.
type apiAnswer struct {
	*httptest.ResponseRecorder
	t *testing.T
}

// ask sends a request with a caller's key.
func (f *apiGateway) ask(t *testing.T, key, method, path, body string) apiAnswer {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return f.send(t, r)
}

func (f *apiGateway) send(t *testing.T, r *http.Request) apiAnswer {
	t.Helper()
	w := apiAnswer{httptest.NewRecorder(), t}
	f.Gateway.ServeHTTP(w, r)
	all := w.Body.String() + textOf(w.Header())
	for _, secret := range []string{apiPassword, apiToken, schemaKey, keyAll, keyMay, keyDevices} {
		if strings.Contains(all, secret) {
			t.Errorf("%s %s shows %q:\n%s", r.Method, r.URL, secret, all)
		}
	}
	return w
}

func textOf(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b)
	return b.String()
}

// wantProblem checks status, code and what the detail has.
func (a apiAnswer) wantProblem(status int, code, detail string) map[string]any {
	a.t.Helper()
	out := a.object()
	text, _ := out["detail"].(string)
	if a.Code != status || out["code"] != code || !strings.Contains(text, detail) || a.Header().Get("Content-Type") != "application/problem+json" {
		a.t.Errorf("got %d %s\n%s\nwant %d %s with %q", a.Code, a.Header().Get("Content-Type"), a.Body, status, code, detail)
	}
	return out
}

// wantOK checks the status and returns the body.
func (a apiAnswer) wantOK() map[string]any {
	a.t.Helper()
	if a.Code != http.StatusOK || a.Header().Get("Content-Type") != "application/json" {
		a.t.Fatalf("got %d %s\n%s\nwant 200", a.Code, a.Header().Get("Content-Type"), a.Body)
	}
	return a.object()
}

func (a apiAnswer) object() map[string]any {
	a.t.Helper()
	var out map[string]any
	if err := json.Unmarshal(a.Body.Bytes(), &out); err != nil {
		a.t.Fatalf("status %d: the body is no JSON object: %v\n%s", a.Code, err, a.Body)
	}
	return out
}
