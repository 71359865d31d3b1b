package gateway

import (
	"encoding/json"
	"net/http"
	"testing"
)

const credential = "/v1/adapters/acme/credential"

// lines are the tokens that an answer lists.
func (a apiAnswer) lines() []tokenLine {
	a.t.Helper()
	var out []tokenLine
	if err := json.Unmarshal(a.Body.Bytes(), &out); err != nil || a.Code != http.StatusOK {
		a.t.Fatalf("got %d %s", a.Code, a.Body)
	}
	return out
}

func TestCredentialIsShownRefreshedAndDropped(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	if got := f.ask(t, keyAll, "GET", credential, "").lines(); len(got) != 0 {
		t.Errorf("before any login there is %v", got)
	}
	got := f.ask(t, keyAll, "POST", credential+":refresh", "").lines()
	if len(got) != 1 || got[0].Adapter != "acme" || got[0].User != "reader" || got[0].Source != "request" || got[0].Fingerprint == "" {
		t.Errorf("refresh answers %v", got)
	}
	if got := f.ask(t, keyAll, "GET", credential, "").lines(); len(got) != 1 || got[0].Source != "memory" {
		t.Errorf("after the login there is %v", got)
	}
	if a := f.ask(t, keyAll, "DELETE", credential, ""); a.Code != http.StatusNoContent || a.Body.Len() != 0 {
		t.Errorf("drop answers %d %s", a.Code, a.Body)
	}
	if got := f.ask(t, keyAll, "GET", credential, "").lines(); len(got) != 0 {
		t.Errorf("after the drop there is %v", got)
	}
	if f.logins != 1 || f.calls() != 0 {
		t.Errorf("%d logins and %d calls, want 1 and 0", f.logins, f.calls())
	}
}

func TestCredentialNeedsARuleOfItsOwn(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	f.ask(t, keyDevices, "GET", credential, "").wantProblem(403, "forbidden", "acme/.credential/show")
	f.ask(t, keyDevices, "POST", credential+":refresh", "").wantProblem(403, "forbidden", "acme/.credential/refresh")
	f.ask(t, keyDevices, "DELETE", credential, "").wantProblem(403, "forbidden", "acme/.credential/drop")
	if f.logins != 0 {
		t.Errorf("%d logins went out", f.logins)
	}
}

func TestCredentialOfAMethodWithoutToken(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	const fixed = "/v1/adapters/fixed/credential"
	if got := f.ask(t, keyAll, "GET", fixed, "").lines(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	f.ask(t, keyAll, "POST", fixed+":refresh", "").wantProblem(400, "bad-call", "no token")
	if a := f.ask(t, keyAll, "DELETE", fixed, ""); a.Code != http.StatusNoContent {
		t.Errorf("drop answers %d", a.Code)
	}
	if state := f.ask(t, keyAll, "GET", "/v1/adapters/fixed/health", "").wantOK()["state"]; state != "unknown" {
		t.Errorf("a refresh that asked for nothing made the adapter %v", state)
	}
}

// Whoever refreshes again and again must not lock the account.
func TestRefreshRestsAfterARefusedLogin(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	f.refuse = true
	for range 5 {
		f.ask(t, keyAll, "POST", credential+":refresh", "").wantProblem(502, "login-refused", "status 401")
	}
	if f.logins != 1 {
		t.Errorf("%d logins for five refreshes, want 1", f.logins)
	}
	a := f.ask(t, keyAll, "POST", credential+":refresh", "")
	if a.wantProblem(502, "login-refused", "not asked again for"); a.Header().Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	if got := f.ask(t, keyAll, "GET", "/v1/adapters/acme/health", "").wantOK(); got["state"] != "not-ready" || got["code"] != "login-refused" {
		t.Errorf("health is %v", got)
	}
}
