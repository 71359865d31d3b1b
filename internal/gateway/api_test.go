package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func hexOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func TestAPIShowsOnlyWhatTheCallerMayUse(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	names := func(key string) []any {
		var list []any
		for _, a := range f.ask(t, key, "GET", "/v1/adapters", "").wantOK()["adapters"].([]any) {
			list = append(list, a.(map[string]any)["name"])
		}
		return list
	}
	if diff := cmp.Diff([]any{"acme", "fixed"}, names(keyAll)); diff != "" {
		t.Error("the caller of everything:", diff)
	}
	if diff := cmp.Diff([]any{"acme"}, names(keyDevices)); diff != "" {
		t.Error("the caller of acme/device:", diff)
	}
	actions := f.ask(t, keyDevices, "GET", "/v1/adapters/acme/actions", "").wantOK()["actions"].([]any)
	for _, a := range actions {
		if entity := a.(map[string]any)["entity"]; entity != "device" {
			t.Errorf("an action of %v is shown", entity)
		}
	}
	if len(actions) != 3 {
		t.Errorf("got %d actions, want 3", len(actions))
	}
	f.ask(t, keyDevices, "GET", "/v1/adapters/fixed", "").wantProblem(403, "forbidden", "no allow rule covers this adapter")
	f.ask(t, keyDevices, "GET", "/v1/adapters/nothing", "").wantProblem(403, "forbidden", "no allow rule covers this adapter") // no oracle
	f.ask(t, keyAll, "GET", "/v1/adapters/nothing", "").wantProblem(404, "no-adapter", "names no such adapter")
}

func TestAPIDescribesAnAdapter(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	got := f.ask(t, keyAll, "GET", "/v1/adapters/acme", "").wantOK()
	want := map[string]any{"name": "acme", "method": "request_token", "state": "unknown", "base_url": f.URL, "entities": []any{".system", "device", "ticket"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAPIRefusesUnknownPathsAndMethods(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	for _, path := range []string{"/v1", "/v1/", "/v1/nothing", "/v1/adapters/", "/v1//adapters", "/v1/adapters/acme/", "/v1/adapters/acme/../fixed",
		"/v1/adapters/acme/nothing", "/v1/adapters/acme/credential:drop", "/v1/adapters/acme/actions/device", "/v1/adapters/./acme"} {
		f.ask(t, keyAll, "GET", path, "").wantProblem(404, "no-route", "")
	}
	for path, allow := range map[string]string{
		"/v1/adapters":                         "GET, HEAD",
		"/v1/adapters/acme/credential":         "DELETE, GET, HEAD",
		"/v1/adapters/acme/credential:refresh": "POST",
		"/v1/adapters/acme/actions/device/get": "POST",
		"/openapi.json":                        "GET, HEAD",
	} {
		a := f.ask(t, keyAll, "PUT", path, "")
		a.wantProblem(405, "bad-method", "")
		if got := a.Header().Get("Allow"); got != allow {
			t.Errorf("%s: Allow is %q, want %q", path, got, allow)
		}
	}
}

func TestAPIRefusesABrowserOfAnotherOrigin(t *testing.T) {
	f := newAPIGateway(t, apiOptions{open: true})
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		r := httptest.NewRequest("POST", "/v1/adapters/acme/actions/device/get", strings.NewReader(`{"uriPathVars":["7"]}`))
		r.Header.Set(name, value)
		f.send(t, r).wantProblem(403, "forbidden", "another origin")
	}
	if f.calls() != 0 {
		t.Errorf("%d calls went out", f.calls())
	}
}

func TestAPIHeadHasNoBodyOverTheWire(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	server := httptest.NewServer(f.Gateway)
	defer server.Close()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+"/v1/adapters", nil)
	r.Header.Set("Authorization", "Bearer "+keyAll)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("got %s, want 200", res.Status)
	}
}

// written counts the actions whose schemas are kept.
func (f *apiGateway) written() (n int) {
	f.Gateway.current.Load().documents.byAction.Range(func(any, any) bool { n++; return true })
	return n
}

func TestSchemasOfActionsAreWrittenOnce(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	const path = "/v1/adapters/acme/actions"
	first := f.ask(t, keyAll, "GET", path, "").Body.String()
	want := f.written()
	for range 10 {
		if again := f.ask(t, keyAll, "GET", path, "").Body.String(); again != first || !strings.Contains(again, `"request":{`) {
			t.Errorf("got %s, want what came first: %s", again, first)
		}
	}
	if got := f.written(); want == 0 || got != want {
		t.Errorf("schemas are kept of %d actions after many requests, and were of %d after one, want the same", got, want)
	}
}
