package authtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
)

// ask sends a token request and returns the status and the answer.
func ask(t *testing.T, s *authtest.Server, form url.Values, change ...func(*http.Request)) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://as.example/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range change {
		c(req)
	}
	res, err := authtest.Wire{Handler: s}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body map[string]any
	_ = json.NewDecoder(res.Body).Decode(&body)
	return res.StatusCode, body
}

// call returns the resource's status for a token.
func call(t *testing.T, s *authtest.Server, token any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://rs.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := token.(string)
	req.Header.Set("Authorization", "Bearer "+text)
	res, err := authtest.Wire{Handler: s}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

func TestServerChecksWhatItIsSent(t *testing.T) {
	basic := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(id, secret) }
	}
	form := url.Values{"client_id": {"cid"}, "client_secret": {"s"}, "grant_type": {"password"}, "username": {"ann"}, "password": {"p"}}
	script := authtest.Script{ClientID: "cid", ClientSecret: "s", Grant: "password", Username: "ann", Password: "p"}
	byBasic := script
	byBasic.Basic = true
	with := func(name, value string) url.Values {
		other := url.Values{}
		for k, v := range form {
			other[k] = v
		}
		other.Set(name, value)
		return other
	}
	cases := []struct {
		name   string
		script authtest.Script
		form   url.Values
		change []func(*http.Request)
		status int
		code   any
	}{
		{name: "form", script: script, form: form, status: 200},
		{name: "Basic", script: byBasic, form: form, change: []func(*http.Request){basic("cid", "s")}, status: 200},
		{name: "form instead of Basic", script: byBasic, form: form, status: 401, code: "invalid_client"},
		{name: "Basic instead of form", script: script, form: form, change: []func(*http.Request){basic("cid", "s")}, status: 401, code: "invalid_client"},
		{name: "wrong id", script: script, form: with("client_id", "x"), status: 401, code: "invalid_client"},
		{name: "wrong secret", script: script, form: with("client_secret", "x"), status: 401, code: "invalid_client"},
		{name: "wrong grant", script: script, form: with("grant_type", "x"), status: 400, code: "unsupported_grant_type"},
		{name: "wrong user", script: script, form: with("username", "x"), status: 400, code: "invalid_grant"},
		{name: "wrong password", script: script, form: with("password", "x"), status: 400, code: "invalid_grant"},
		{name: "anybody", form: url.Values{}, status: 200},
		{name: "refused", script: authtest.Script{Refuse: "slow_down", Status: 429}, form: form, status: 429, code: "slow_down"},
		{name: "nonsense", script: authtest.Script{Answer: http.NotFoundHandler()}, form: form, status: 404},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := new(authtest.Server)
			s.Set(c.script)
			status, body := ask(t, s, c.form, c.change...)
			if status != c.status || body["error"] != c.code || s.Requests() != 1 {
				t.Errorf("got %d, %v after %d requests, want %d, %v after 1", status, body["error"], s.Requests(), c.status, c.code)
			}
			if wrong := c.code != nil && c.script.Refuse == ""; (len(s.Problems()) > 0) != wrong {
				t.Errorf("got the problems %q", s.Problems())
			}
		})
	}
}

func TestServerRevokesRotatesAndExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(authtest.Server)
		s.Set(authtest.Script{Lifetime: time.Hour, Early: time.Minute})
		_, first := ask(t, s, nil)
		if got := call(t, s, first["access_token"]); got != 200 || first["expires_in"] != 3600.0 {
			t.Errorf("a new token: status %d, expires_in %v, want 200 and 3600", got, first["expires_in"])
		}
		time.Sleep(59 * time.Minute)
		if got := call(t, s, first["access_token"]); got != 401 {
			t.Errorf("a token that ended early: status %d, want 401", got)
		}
		s.Set(authtest.Script{Rotate: true})
		_, second := ask(t, s, nil)
		_, third := ask(t, s, nil)
		if call(t, s, second["access_token"]) != 401 || call(t, s, third["access_token"]) != 200 {
			t.Error("after rotation, want only the last token to be good")
		}
		s.Revoke()
		if call(t, s, third["access_token"]) != 401 || call(t, s, "") != 401 || s.Refusals() != 4 {
			t.Errorf("after revocation: %d refusals, want 4", s.Refusals())
		}
	})
}

func TestWireEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(authtest.Server)
		s.Set(authtest.Script{Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://as.example/token", nil)
		start := time.Now()
		_, err := authtest.Wire{Handler: s}.RoundTrip(req)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %s, want a deadline after 1s", err, time.Since(start))
		}
	})
}

func TestMarkersDiffer(t *testing.T) {
	if a, b := authtest.Marker(), authtest.Marker(); a == b || len(a) != 24 {
		t.Errorf("got %q and %q, want two of 24 characters", a, b)
	}
}
