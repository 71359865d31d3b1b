package custom_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// system is a client for a system that answers every request with the status.
func system(a auth.Authenticator, status int, sent *int) *http.Client {
	wire := tripper(func(req *http.Request) (*http.Response, error) {
		*sent++
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})
	return &http.Client{Transport: &auth.Transport{Base: wire, Auth: a, Resubmits: 1, Origin: auth.OriginOf(&url.URL{Scheme: "https", Host: "sys.example"})}}
}

// Section 8 [N]: an authentication call that fails after a 401 hides neither itself nor the 401.
// A new answer that lacks a field is such a failure, and the request is not sent again.
func TestFailedLoginAfterARefusalTellsBoth(t *testing.T) {
	for name, second := range map[string]answer{
		"refused": {status: 403}, "lacks the field": {body: `{"token_type":"Bearer"}`},
	} {
		as := &endpoint{answers: []answer{{body: `{"access_token":"T1"}`}, second}}
		sent := 0
		_, err := system(login{}.open(t, env(t, as)), 401, &sent).Get("https://sys.example/x")
		var failed *auth.TokenError
		if err == nil || !strings.Contains(err.Error(), "refused the credential (status 401)") || !errors.As(err, &failed) || sent != 1 {
			t.Errorf("%s: got %v after %d sends, want the 401 and the login's failure after 1", name, err, sent)
		}
	}
}

// Section 8 [N]: logins that fail are not tried by every request.
func TestLoginsThatFailAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &endpoint{answers: []answer{{status: 401}}}
		a := login{}.open(t, env(t, as))
		for range 100 {
			if _, err := get(t.Context(), a); err == nil {
				t.Fatal("got no error, want a refused login")
			}
		}
		if as.calls() != 1 {
			t.Errorf("100 requests made %d authentication calls, want 1", as.calls())
		}
		time.Sleep(10 * time.Second)
		if _, _ = get(t.Context(), a); as.calls() != 2 {
			t.Errorf("after the pause: %d authentication calls in all, want 2", as.calls())
		}
	})
}

// Section 8.2 [N]: who waits leaves when his own context ends; the shared call goes on.
func TestCallerWhoLeavesDoesNotEndTheSharedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := says(`{"access_token":"T"}`)
		as.delay = 10 * time.Second
		a := login{}.open(t, env(t, as))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := get(ctx, a); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %s, want the caller's own deadline after 1s", err, time.Since(start))
		}
		if got, err := get(t.Context(), a); err != nil || got != "Bearer T" || as.calls() != 1 {
			t.Errorf("who stays: got %q, %v after %d calls; want Bearer T after 1", got, err, as.calls())
		}
	})
}

// Section 8.2 [N]: a refusal of an older generation uses the newer one, however late it comes.
func TestRefusalOfAnOlderCredentialMakesNoCall(t *testing.T) {
	as := says(`{"access_token":"T1"}`, `{"access_token":"T2"}`, `{"access_token":"T3"}`)
	a := login{}.open(t, env(t, as))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://sys.example/x", nil)
	old, err := a.Apply(req)
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if again := a.(auth.Invalidator).Invalidate(t.Context(), old); !again {
			t.Fatal("a refused credential is not tried again")
		}
		if got, err := get(t.Context(), a); err != nil || got != "Bearer T2" {
			t.Errorf("got %q, %v, want Bearer T2", got, err)
		}
	}
	if as.calls() != 2 {
		t.Errorf("%d authentication calls, want 2", as.calls())
	}
}

// Section 14, «merge»: without an answer nothing is written into the request, and nothing is sent.
func TestRequestIsUntouchedWithoutAnAnswer(t *testing.T) {
	as := &endpoint{answers: []answer{{status: 500}}}
	a := login{template: `{"headers":{"X-A":"{{.a}}"},"queryParams":{"q":"{{.a}}"},"body":{"b":"{{.a}}"}}`}.open(t, env(t, as))
	req, err := apply(t.Context(), a, http.MethodPost, `{"x":1}`, "application/json")
	if err == nil || len(req.Header) != 1 || req.URL.RawQuery != "page=1&limit=10" || req.ContentLength != 7 {
		t.Errorf("got %v and %v ?%s, want an error and the request as it was", err, req.Header, req.URL.RawQuery)
	}
	sent := 0
	if _, err := system(a, 200, &sent).Get("https://sys.example/x"); err == nil || sent != 0 {
		t.Errorf("got %v after %d sends, want an error after none", err, sent)
	}
}

// Section 6.1 [N]: a program opens no file.
func TestExpressionsReadNoFile(t *testing.T) {
	for _, program := range []string{`.|input_filename`, `.|("/etc/passwd"|modulemeta|tojson)`, `.|get_search_list|tojson`, `.|input_line_number|tostring|error`} {
		_, faults := parseTemplate(t, `{"headers":{"X-T":`+quoted("{{"+program+"}}")+`}}`)
		if len(faults) > 0 {
			continue
		}
		got, err := apply(t.Context(), login{template: `{"headers":{"X-T":` + quoted("{{"+program+"}}") + `}}`}.open(t, env(t, says(`{"a":1}`))), http.MethodGet, "", "")
		if err == nil && strings.ContainsAny(got.Header.Get("X-T"), "/:") {
			t.Errorf("%s gave %q", program, got.Header.Get("X-T"))
		}
	}
}

// Some servers write 0 or -1 where they know no life: that is no reason to fail, nor to log in anew each time.
func TestLifeOfNoSecondsSaysNothing(t *testing.T) {
	for _, life := range []string{"0", "-1", `"0"`, `" -1.5 "`} {
		as, told := says(`{"access_token":"T","expires_in":`+life+`}`), ""
		e := env(t, as)
		e.Observe = func(ev auth.Event) { told += ev.Step + ": " + ev.Detail + "\n" }
		a := login{from: "expires_in", interval: time.Hour}.open(t, e)
		for range 2 {
			if _, err := get(t.Context(), a); err != nil {
				t.Fatalf("%s: %v", life, err)
			}
		}
		list := e.Tokens.List()
		if as.calls() != 1 || len(list) != 1 || time.Until(list[0].Expires) < 50*time.Minute || !strings.Contains(told, "renewal: the answer says 0 seconds or less") {
			t.Errorf("%s: got %d calls, %+v, told %s", life, as.calls(), list, told)
		}
	}
	as := says(`{"access_token":"T","expires_in":0}`)
	a := login{from: "expires_in"}.open(t, env(t, as))
	for range 2 {
		if _, err := get(t.Context(), a); err != nil || as.calls() != 1 {
			t.Errorf("without an interval: got %v after %d calls", err, as.calls())
		}
	}
}
