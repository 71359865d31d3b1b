package adapter_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
)

// Spec port.md, section 14, «start-up check»: whatever is right is opened without a call.
func TestOpeningAConfigurationMakesNoCall(t *testing.T) {
	p := newPortal(t)
	openPort(t, p.URL, nil)
	if n := p.logins.Load() + p.calls.Load(); n != 0 {
		t.Errorf("opening sent %d requests, want none", n)
	}
}

// Spec port.md, section 9 [N]: check authenticates and evaluates once, and fails with stage and place.
func TestCheckAuthenticatesAndEvaluatesOnce(t *testing.T) {
	p := newPortal(t)
	if err := openPort(t, p.URL, nil).Check(t.Context()); err != nil || p.logins.Load() != 1 || p.calls.Load() != 0 {
		t.Errorf("got %v after %d auth calls and %d others, want success after 1 and 0", err, p.logins.Load(), p.calls.Load())
	}
	for want, over := range map[string]object{
		"template: headers.X-Token: {{.gone}}: the answer has no such value; its keys are session (status 200)": {
			"customAuthRequestTemplate": object{"headers": object{"X-Token": "{{.gone}}"}}},
		"token endpoint " + p.URL + "/elsewhere: login refused (status 401)": {"customAuthRequest": object{"endpoint": "/elsewhere"}},
	} {
		err := openPort(t, p.URL, over).Check(t.Context())
		var failed *auth.TokenError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant … %s", err, want)
		}
	}
}

// Spec port.md, section 8.4 [N]: one credential for one configuration, however many clients.
func TestOneConfigurationHasOneCredential(t *testing.T) {
	p := newPortal(t)
	a := openPort(t, p.URL, nil)
	for range 5 {
		res, err := a.Client().Get(p.URL + "/x")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if status, _ := ask(t, a, "GET", "/y"); status != 200 || res.StatusCode != 200 {
			t.Errorf("status %d and %d, want 200", res.StatusCode, status)
		}
	}
	if n := p.logins.Load(); n != 1 {
		t.Errorf("%d auth calls, want 1", n)
	}
}

// Spec port.md, section 12 [N]: a next link or a redirect to another host goes without credentials.
func TestCredentialsStayWithTheBaseURL(t *testing.T) {
	var seen []http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := r.Header.Clone()
		h.Set("Query", r.URL.RawQuery)
		seen = append(seen, h)
	}))
	t.Cleanup(other.Close)
	p := newPortal(t)
	p.serve = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/redirected", http.StatusFound)
	}
	a := openPort(t, p.URL, object{"customAuthRequestTemplate": object{"headers": object{"X-Token": "{{.session.id}}"}, "queryParams": object{"key": "{{.session.id}}"}}})
	client := &http.Client{Transport: a.Client().Transport} // one that follows redirects; ours takes none
	for _, link := range []string{p.URL + "/x", other.URL + "/next?page=2"} {
		res, err := client.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	if len(seen) != 2 {
		t.Fatalf("the other host got %d requests, want 2", len(seen))
	}
	for _, header := range seen {
		if header.Get("X-Token") != "" || strings.Contains(header.Get("Query"), "key") {
			t.Errorf("the other host got %v, want no credential", header)
		}
	}
}

// Spec port.md, section 11 [N]: every string may hold a reference.
func TestEveryStringMayHoldAReference(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env, ref := "${env:KEYHITCH_TEST_PART}", "${file:"+file+"}"
	for name, request := range map[string]any{
		"object":    object{"endpoint": "/" + env, "headers": object{"X-A": env}, "queryParams": object{"q": []any{ref}}, "body": object{"a": object{"b": []any{env, ref}}}},
		"JSON text": text(object{"endpoint": "/" + env, "headers": object{"X-A": env}, "queryParams": object{"q": []any{ref}}, "body": object{"a": object{"b": []any{env, ref}}}}),
	} {
		config := object{"baseUrl": "http://" + env + ".test", "authType": "custom", "customAuthRequest": request,
			"customAuthRequestTemplate": object{"headers": object{"X-B": "{{.t}} " + env}}}
		a, err := adapter.Open(adapter.Options{Dialect: port.Dialect{}, Instance: adapter.File{Name: "port.json", Data: []byte(text(config))},
			ReadFile: os.ReadFile, LookupEnv: func(string) (string, bool) { return "part", true }})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := a.PlanRequest(t.Context(), "GET", "/x", nil, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		login, call := plan[0], plan[1]
		if login.URL != "http://part.test/part?q=from-file" || login.Body != `{"a":{"b":["part","from-file"]}}` ||
			login.Headers["X-A"][0] != "part" || call.Headers["X-B"][0] != "{.t} part" {
			t.Errorf("%s: got %+v, want every reference replaced", name, plan)
		}
	}
}

// A login over one connection is no credential for who shows another certificate, or trusts others.
func TestOneCredentialForOneIdentity(t *testing.T) {
	p := newPortal(t)
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	certificate, key := pemOf(t, server.TLS.Certificates[0])
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens := new(auth.Tokens)
	for i, over := range []object{
		{}, {"verifySsl": false}, {"caCertificate": certificate}, {"clientCertificate": certificate, "clientPrivateKey": key},
		{"clientCertificate": certificate, "clientPrivateKey": key, "caCertificate": certificate},
	} {
		o := portOptions(p.URL, over)
		o.Tokens, o.Keys = tokens, keys
		for range 2 { // the second one has the same identity
			a, err := adapter.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			ask(t, a, "GET", "/x")
		}
		if got, want := p.logins.Load(), int64(i+1); got != want {
			t.Errorf("identity %d: %d logins, want %d", i+1, got, want)
		}
	}
}

func TestPathsDoNotLeaveTheBaseURL(t *testing.T) {
	p := newPortal(t)
	for _, path := range []string{"/../x", "x/../../y", "/%2e%2E/x", "/.%2e", "/x/.."} {
		if _, err := openPort(t, p.URL+"/tenants/9", nil).Request(t.Context(), "GET", path, nil, nil); !errors.As(err, new(*adapter.CallError)) || p.calls.Load() != 0 {
			t.Errorf("%s: got %v, want a CallError before anything is sent", path, err)
		}
	}
	for _, path := range []string{"/x..y", "/..x", "/x?p=../y"} {
		if status, _ := ask(t, openPort(t, p.URL+"/tenants/9", nil), "GET", path); status != 200 {
			t.Errorf("%s: status %d, want 200", path, status)
		}
	}
}

func TestPrivateKeyIsTaughtToTheRedactor(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	certificate, key := pemOf(t, server.TLS.Certificates[0])
	o := portOptions(server.URL, object{"clientCertificate": certificate, "clientPrivateKey": key})
	o.Redact = new(auth.Redactor)
	if _, err := adapter.Open(o); err != nil || o.Redact.Scrub(key) != "[redacted]" {
		t.Errorf("got %v, or the key is not known", err)
	}
}
