package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyhitch/keyhitch/auth"
)

const getDevice = "/v1/adapters/acme/actions/device/get"

func TestCallAnswersWhatTheCommandPrints(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	got := f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"],"event":"e1"}`).wantOK()
	if got["icode"] != "AD.200" || got["event"] != "e1" {
		t.Errorf("got %v", got)
	}
	if diff := cmp.Diff(map[string]any{"name": "r1", "status": "up"}, got["response"]); diff != "" {
		t.Error(diff)
	}
	if got["metrics"].(map[string]any)["code"] != 200.0 {
		t.Errorf("metrics are %v", got["metrics"])
	}
	if r := f.requests[0]; r.Method != "GET" || r.URL.Path != "/api/devices/7" || r.Header.Get("Authorization") != "" {
		t.Errorf("the system got %s %s with Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}
}

func TestCallPassesTheTraceOn(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r := httptest.NewRequest("POST", getDevice, strings.NewReader(`{"uriPathVars":["7"]}`))
	r.Header.Set("Authorization", "Bearer "+keyAll)
	r.Header.Set("Traceparent", parent)
	f.send(t, r).wantOK()
	if got := f.requests[0].Header.Get("Traceparent"); got != parent {
		t.Errorf("the system got the traceparent %q, want %q", got, parent)
	}
}

func TestDryRunSendsNothingAndShowsNoSecret(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	for _, name := range []string{"acme", "fixed"} {
		got := f.ask(t, keyAll, "POST", "/v1/adapters/"+name+"/actions/device/create?dry_run=true", `{"payload":{"name":"r1"}}`).wantOK()
		list := got["requests"].([]any)
		last := list[len(list)-1].(map[string]any)
		if last["purpose"] != "call" || last["method"] != "POST" || last["body"] != `{"hostname":"r1"}` {
			t.Errorf("%s: the plan ends with %v", name, last)
		}
	}
	if f.calls() != 0 || f.logins != 0 {
		t.Errorf("%d calls and %d logins went out", f.calls(), f.logins)
	}
	for _, query := range []string{"?dry_run=yes", "?dryrun=true", "?dry_run=true&dry_run=true", "?%zz"} {
		f.ask(t, keyAll, "POST", getDevice+query, `{"uriPathVars":["7"]}`).wantProblem(400, "bad-call", "")
	}
	if f.calls() != 0 {
		t.Error("a misspelt dry run was sent")
	}
}

func TestCallIsForThoseWhoMay(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	f.ask(t, keyDevices, "POST", getDevice, `{"uriPathVars":["7"]}`).wantOK()
	f.ask(t, keyDevices, "POST", "/v1/adapters/acme/actions/ticket/create", `{}`).wantProblem(403, "forbidden", "no allow rule covers this action")
	f.ask(t, keyDevices, "POST", "/v1/adapters/fixed/actions/device/get", `{}`).wantProblem(403, "forbidden", "")
	f.ask(t, "", "POST", getDevice, `{}`).wantProblem(401, "no-caller", "")
	f.ask(t, keyAll, "POST", "/v1/adapters/acme/actions/device/gett", `{}`).wantProblem(404, "no-action", "did you mean get?")
	f.ask(t, keyAll, "POST", "/v1/adapters/acme/actions/.system/getToken", `{}`).wantProblem(400, "bad-call", "")
	if f.calls() != 1 {
		t.Errorf("%d calls went out, want 1", f.calls())
	}
}

func TestCallTellsWhatIsWrongWithTheBody(t *testing.T) {
	f := newAPIGateway(t, apiOptions{limits: Limits{CallBytes: 2000}})
	for body, detail := range map[string]string{
		`{"uriPathVar":["7"]}`:             "/uriPathVar: no such member; did you mean uriPathVars?",
		`{"x/y":1}`:                        "/x~1y: no such member",
		`{"datatype":{"respons":"JSON"}}`:  "/datatype/respons: no such member; did you mean response?",
		`{"uriPathVars":"7"}`:              "uriPathVars is string",
		`{"uriPathVars":["7"]`:             "JSON",
		`{"uriPathVars":["7"]} {}`:         "more follows",
		`[]`:                               "",
		strings.Repeat(`{"payload":`, 100): "JSON",
		`{"payload":` + strings.Repeat("[", 1900) + `}`: "JSON",
		`{"filter":"a[","uriPathVars":["7"]}`:           "filter",
		`{}`:                                            "pathv1",
		`{"uriPathVars":["7"],"uriQuery":{"status":"odd"}}`: "not one of",
	} {
		f.ask(t, keyAll, "POST", getDevice, body).wantProblem(400, "bad-call", detail)
	}
	f.ask(t, keyAll, "POST", getDevice, `{"event":"`+strings.Repeat("a", 2000)+`"}`).wantProblem(413, "too-large", "2000 bytes")
	r := httptest.NewRequest("POST", getDevice, strings.NewReader(`{}`))
	r.Header.Set("Authorization", "Bearer "+keyAll)
	r.Header.Set("Content-Encoding", "gzip")
	f.send(t, r).wantProblem(400, "bad-call", "Content-Encoding")
	if f.calls() != 0 {
		t.Errorf("%d calls went out", f.calls())
	}
}

func TestCallPassesTheSystemsStatusOn(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	for _, c := range []struct {
		status, want int
		code         string
		retryable    bool
	}{
		{400, 400, "upstream-status", false}, {404, 404, "upstream-status", false}, {409, 409, "upstream-status", false},
		{429, 429, "upstream-status", true}, {500, 500, "upstream-status", true}, {503, 503, "upstream-status", true},
		{401, 502, "upstream-auth-refused", false}, {407, 502, "upstream-auth-refused", false},
		{302, 502, "upstream-redirect", false}, {304, 502, "upstream-redirect", false}, {999, 502, "upstream-status", true},
	} {
		f.answering(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.Header().Set("Set-Cookie", "session=pretend")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(c.status)
			if c.status != 304 {
				_, _ = fmt.Fprintf(w, `{"error":"no","echo":%q}`, r.Header.Get("X-Auth-Token"))
			}
		})
		a := f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`)
		out := a.wantProblem(c.want, c.code, "the system answered")
		told, _ := out["failure"].(map[string]any)
		if out["retryable"] != c.retryable || told["icode"] == nil || out["adapter"] != "acme" || out["status"] != float64(c.want) {
			t.Errorf("%d: got %v", c.status, out)
		}
		if wait := a.Header().Get("Retry-After"); (wait == "7") != c.retryable {
			t.Errorf("%d: Retry-After is %q", c.status, wait)
		}
		if strings.Contains(a.Body.String(), "session=pretend") {
			t.Errorf("%d: the system's cookie is in the answer", c.status)
		}
	}
}

func TestCallTellsAnAnswerThatDoesNotFitFromABadCall(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	f.answering(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"oper_state":"sideways"}`) })
	f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`).wantProblem(502, "bad-answer", "schema")
	f.answering(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `<html>`) })
	f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`).wantProblem(502, "bad-answer", "promises JSON")
}

func TestCallTellsARefusedLogin(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	f.refuse = true
	f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`).wantProblem(502, "login-refused", "status 401")
}

// slowBody never ends.
type slowBody struct{ done <-chan struct{} }

func (b slowBody) Read([]byte) (int, error) { <-b.done; return 0, io.ErrUnexpectedEOF }

func TestCallCutsOffABodyThatComesDropByDrop(t *testing.T) {
	f := newAPIGateway(t, apiOptions{limits: Limits{CallTime: 50 * time.Millisecond}})
	server := httptest.NewServer(f.Gateway)
	defer server.Close()
	r, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+getDevice, slowBody{t.Context().Done()})
	r.Header.Set("Authorization", "Bearer "+keyAll)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return // cut off before the answer was read
	}
	defer func() { _ = res.Body.Close() }()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 400 || !strings.Contains(string(body), "did not arrive within 50ms") {
		t.Errorf("got %s %s", res.Status, body)
	}
}

func TestCallEndsWithItsTime(t *testing.T) {
	f := newAPIGateway(t, apiOptions{limits: Limits{CallTime: 100 * time.Millisecond}})
	release := make(chan struct{})
	f.answering(func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`).wantProblem(504, "upstream-timeout", "")
}

func TestPlainSecondsPassesOnOnlyShortWaits(t *testing.T) {
	for text, want := range map[string]bool{"7": true, "86400": true, "86401": false, "": false, "-1": false, "Wed, 21 Oct 2026 07:28:00 GMT": false, "99999999999": false} {
		if plainSeconds(text) != want {
			t.Errorf("%q: got %t", text, !want)
		}
	}
}

func TestCallKeepsTheSystemsCookiesToItself(t *testing.T) {
	keep := map[string]bool{}
	f := newAPIGateway(t, apiOptions{load: func(c Config) (Config, error) { c.SetCookie = keep; return c, nil }})
	f.answering(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "session=pretend")
		_, _ = io.WriteString(w, `{"hostname":"r1"}`)
	})
	if a := f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`); a.Code != 200 || strings.Contains(a.Body.String(), "session=pretend") {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
	keep["acme"] = true
	if a := f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`); !strings.Contains(a.Body.String(), "session=pretend") {
		t.Errorf("got %d %s", a.Code, a.Body)
	}
}

// A short secret can look like anything in an answer; what is left must still be JSON.
func TestScrubbingAFailureLeavesJSON(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	f.redact.Learn(auth.NewSecret("5000"), auth.NewSecret("error"), auth.NewSecret("true"))
	f.answering(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		_, _ = io.WriteString(w, `{"n":5000,"l":[{"error":"an error"}],"b":true}`)
	})
	out := f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`).wantProblem(500, "upstream-status", "")
	want := map[string]any{"n": "[redacted]", "l": []any{map[string]any{"[redacted]": "an [redacted]"}}, "b": true}
	if diff := cmp.Diff(want, out["failure"].(map[string]any)["response"]); diff != "" {
		t.Error(diff)
	}
}
