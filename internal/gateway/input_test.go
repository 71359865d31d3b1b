package gateway

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/entities"
)

// secretFile is a file of this machine that no request may read.
func secretFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(name, []byte("pretend-content-of-a-local-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCallerCannotSayWhereCallsGo(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	for _, properties := range []string{
		`{"host":"evil.example"}`, `{"Host":"evil.example"}`, `{"HOST":"evil.example"}`, `{"ho\u0073t":"evil.example"}`, `{"ho\u017ft":"evil.example"}`,
		`{"port":80}`, `{"protocol":"http"}`, `{"sso":{"host":"evil.example"}}`, `{"SSO":{}}`, `{"ssl":{"accept_invalid_cert":true}}`,
		`{"proxy":{"enabled":true,"host":"evil.example"}}`, `{"Proxy":{}}`, `{" host ":"evil.example"}`, `{"proxy.host":"evil.example"}`, `{"proxy/host":1}`,
		`{"authentication":{"sso":{"host":"evil.example"}}}`, `{"authentication":{"Host":"evil.example"}}`, `{"request":{"a":[{"port":1}]}}`,
		`{"properties":{"host":"evil.example"}}`, `{"version":"v1","host":null}`,
	} {
		for _, key := range []string{keyAll, keyMay} { // no privilege covers it
			f.ask(t, key, "POST", getDevice, `{"uriPathVars":["7"],"callProperties":`+properties+`}`).wantProblem(400, "not-allowed-here", "/callProperties/")
		}
	}
	if f.calls() != 0 || f.logins != 0 {
		t.Errorf("%d calls and %d logins went out", f.calls(), f.logins)
	}
}

func TestCallerNeedsAPrivilege(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	file := secretFile(t)
	create := "/v1/adapters/acme/actions/ticket/create"
	for _, c := range []struct{ path, body, at string }{
		{getDevice, `{"uriPathVars":["7"],"callProperties":{"base_path":"/other"}}`, "/callProperties"},
		{getDevice, `{"uriPathVars":["7"],"callProperties":{"authentication":{"username":"other"}}}`, "/callProperties"},
		{getDevice, `{"uriPathVars":["7"],"authData":{"domain":"other"}}`, "/authData"},
		{create, `{"payload":{"file":"@` + file + `"}}`, "/payload/file"},
		{create, `{"payload":{"File":" @` + file + `;name=x"}}`, "/payload/File"},
		{create, `{"payload":{"a":{"b":[{"FILE":"@` + file + `"}]}}}`, "/payload/a/b/0/FILE"},
		{create, `{"payload":[{"file":"@` + file + `"}]}`, "/payload/0/file"},
		{create, `{"payload":"{\"file\":\"@` + file + `\"}"}`, "/payload/file"},
		{create, `{"payload":{"picture":"@` + file + `"},"datatype":{"request":"form"}}`, "/payload/picture"},
		{getDevice, `{"uriPathVars":["7"],"addlHeaders":{"X-Auth-Token":"mine"}}`, "/addlHeaders/X-Auth-Token"},
		{getDevice, `{"uriPathVars":["7"],"addlHeaders":{"x-auth-token":"mine"}}`, "/addlHeaders/x-auth-token"},
		{getDevice, `{"uriPathVars":["7"],"addlHeaders":{"X_Auth_Token":"mine"}}`, "/addlHeaders/X_Auth_Token"},
	} {
		f.ask(t, keyAll, "POST", c.path, c.body).wantProblem(400, "not-allowed-here", c.at+": needs ")
		if a := f.ask(t, keyMay, "POST", c.path, c.body); a.Code == http.StatusBadRequest && a.object()["code"] == "not-allowed-here" {
			t.Errorf("%s: refused in spite of the privilege: %s", c.body, a.Body)
		}
	}
	for _, body := range append(f.bodies, f.log.String()) {
		if strings.Contains(body, "pretend-content-of-a-local-file") {
			t.Errorf("a local file was read: %s", body)
		}
	}
}

func TestWithoutCallersNobodyHasPrivileges(t *testing.T) {
	f := newAPIGateway(t, apiOptions{open: true})
	f.ask(t, "", "POST", getDevice, `{"uriPathVars":["7"]}`).wantOK()
	f.ask(t, "", "POST", getDevice, `{"uriPathVars":["7"],"callProperties":{"base_path":"/x"}}`).wantProblem(400, "not-allowed-here", "callProperties")
	f.ask(t, "", "POST", getDevice, `{"uriPathVars":["7"],"authData":{"domain":"other"}}`).wantProblem(400, "not-allowed-here", "authData")
}

func TestMembersAreSpeltExactly(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	for _, member := range []string{"CallProperties", "CALLPROPERTIES", "callproperties", "AuthData", "authdata", "AddlHeaders", "call_properties"} {
		f.ask(t, keyMay, "POST", getDevice, `{"uriPathVars":["7"],"`+member+`":{"version":"v1"}}`).wantProblem(400, "bad-call", "/"+member+": no such member")
	}
	f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"],"authData":{},"authData":{"domain":"x"}}`).wantProblem(400, "not-allowed-here", "/authData")
}

func TestHarmlessDataNeedsNoPrivilege(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	for _, body := range []string{
		`{"payload":{"title":"@bob wrote","number":1}}`, `{"payload":{"file":"report.pdf"}}`, `{"payload":{"host":"r1","proxy":"p"}}`,
		`{"payload":{"title":"x","number":2},"addlHeaders":{"X-Reason":"audit"},"callProperties":{},"authData":{}}`,
	} {
		f.ask(t, keyAll, "POST", "/v1/adapters/acme/actions/ticket/create", body).wantOK()
	}
}

func TestPathVariablesCannotLeadElsewhere(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	for _, v := range []string{"..", ".", "../admin", "a/../../admin", "%2e%2e", "%2e%2e%2fadmin", "..%2fadmin", "%252e%252e%252fadmin", `..\\admin`, `a\\..\\b`, "..%5cadmin"} {
		a := f.ask(t, keyMay, "POST", getDevice, `{"uriPathVars":["`+v+`"]}`)
		a.wantProblem(400, "bad-path", "/uriPathVars/0")
	}
	for _, v := range []string{"7", "a..b", "...", "r1.example.com", "50%", "a/b"} {
		f.ask(t, keyMay, "POST", getDevice, `{"uriPathVars":["`+v+`"]}`).wantOK()
	}
}

// A credential in the query has the same protection as one in a header.
func TestCallerCannotReplaceACredentialInTheQuery(t *testing.T) {
	system := newAPISystem(t)
	a, err := adapter.Open(adapter.Options{Name: "query", Home: apiHome, Dialect: iap.Dialect{}, Redact: new(auth.Redactor),
		Instance: instanceAt(system.URL, `{"auth_method":"static_token","token":"`+apiToken+`","auth_field":"query.api_key","auth_field_format":"{token}"}`)})
	if err != nil {
		t.Skipf("the dialect has no place in the query: %v", err)
	}
	d, err := (&Gateway{}).newDoor("query", a, Limits{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []adapter.Input{{Options: entities.Object{{Name: "api_key", Value: "mine"}}}, {Query: entities.Object{{Name: "api_key", Value: "mine"}}}} {
		if at := replaces(in, d); at == "" {
			t.Errorf("%v: nothing was found", in)
		}
	}
}

func FuzzStray(f *testing.F) {
	f.Add([]byte(`{"payload":1,"datatype":{"request":"JSON"}}`))
	f.Add([]byte(`{"PAYLOAD":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := adapter.ParseInput(data); err != nil || stray(data) != nil {
			return
		}
		var object map[string]any
		if json.Unmarshal(data, &object) != nil {
			t.Fatalf("%q: passes and is no object", data)
		}
		for name := range object { // ParseInput itself takes CALLPROPERTIES
			if !slices.Contains(members, name) {
				t.Errorf("%q: the member %q passes", data, name)
			}
		}
	})
}
