package adapter_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

func get(t *testing.T, c *http.Client, url string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func TestClientAddsCredentialsAndRenewsThem(t *testing.T) {
	f := &fixture{}
	f.data = func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			w.WriteHeader(401)
			return
		}
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}
	a := f.open(t)
	res, body, err := get(t, a.Client(), f.server.URL+"/any?x=1")
	if err != nil || res.StatusCode != 200 || body != "Bearer T2" {
		t.Errorf("got %v %q %v, want 200 and the second token", res, body, err)
	}
	if res != nil && res.Request.Header.Get("Authorization") != "" {
		t.Error("the answer's request still carries the credential")
	}
}

func TestClientSendsNothingToOtherOrigins(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	f := &fixture{}
	_, body, err := get(t, f.open(t).Client(), other.URL)
	if tokens, _ := f.counts(); err != nil || body != "" || tokens != 0 {
		t.Errorf("another origin got %q after %d token requests (%v), want nothing", body, tokens, err)
	}
}

// TestRedirectMatrix is security.md section 1 through Client and Request: nothing that is a
// credential leaves its origin, whatever the status, method and place.
func TestRedirectMatrix(t *testing.T) {
	for _, place := range []string{"header.headers.Authorization", "header.headers.X-Api-Key", "header.headers.Cookie", "query.access_token", "body.key"} {
		for _, status := range []int{302, 303, 307, 308} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				if place == "body.key" && method == http.MethodGet {
					continue
				}
				t.Run(strings.Join([]string{place, http.StatusText(status), method}, "/"), func(t *testing.T) {
					redirectOnce(t, place, status, method)
				})
			}
		}
	}
}

func redirectOnce(t *testing.T, place string, status int, method string) {
	const marker = "marker-7f3a9c51d2e84b60"
	var arrived *http.Request
	var arrivedBody []byte
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived = r
		arrivedBody, _ = io.ReadAll(r.Body)
	}))
	defer other.Close()
	f := &fixture{auth: object{"auth_method": "static_token", "token": marker, "auth_field": place, "auth_field_format": "{token}"},
		props: object{"request": object{"number_redirects": 3}}}
	f.data = func(w http.ResponseWriter, r *http.Request, _ int) { http.Redirect(w, r, other.URL+"/next", status) }
	a := f.open(t)
	header := http.Header{"Content-Type": {"application/json"}, "X-Own": {"caller's own"}}
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(`{"a":1}`)
	}
	res, err := a.Request(t.Context(), method, "/start?q=1", header, body)
	if res != nil {
		_ = res.Body.Close()
	}
	if keepsBody := status >= 307 && method == http.MethodPost; keepsBody {
		var refused *auth.RedirectError
		if !errors.As(err, &refused) || arrived != nil {
			t.Errorf("got %v and arrived %v, want an error and nothing sent", err, arrived != nil)
		}
		return
	}
	if err != nil || arrived == nil {
		t.Fatalf("got %v, want the redirect followed", err)
	}
	var all strings.Builder
	_ = arrived.Header.Write(&all)
	all.WriteString(arrived.RequestURI)
	all.Write(arrivedBody)
	for _, secret := range []string{marker, "caller's own", "access_token"} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("the other origin got %q", secret)
		}
	}
	if arrived.Referer() != "" {
		t.Errorf("the other origin got Referer %q", arrived.Referer())
	}
}

func TestRedirectsOnTheOriginKeepCredentials(t *testing.T) {
	for _, limit := range []int{0, 1} {
		f := &fixture{props: object{"request": object{"number_redirects": limit}}}
		f.data = func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
				return
			}
			answerJSON(w, 200, object{"id": 7})
		}
		res, err := callG(t, f.open(t))
		if limit == 0 {
			var status *adapter.StatusError
			if !errors.As(err, &status) || status.Status != 302 {
				t.Errorf("no redirects allowed: got %v, want the 302 as an error", err)
			}
			continue
		}
		req, _ := f.last(t, false)
		if err != nil || res.Metrics.Redirects != 1 || req.Header.Get("Authorization") != "Bearer T1" {
			t.Errorf("one redirect allowed: got %v %v, want one hop with the credential", res, err)
		}
	}
}

func TestRequestPathCannotLeaveTheOrigin(t *testing.T) {
	f := &fixture{}
	a := f.open(t)
	for _, path := range []string{"//evil.example/x", "/\\evil.example", "@evil.example/", "/..//evil.example", "x"} {
		res, err := a.Request(t.Context(), http.MethodGet, path, nil, nil)
		if err == nil {
			_ = res.Body.Close()
			if !strings.Contains(f.server.URL, res.Request.URL.Host) {
				t.Errorf("%s went to %s", path, res.Request.URL.Host)
			}
		}
	}
	for _, path := range []string{"http://evil.example/", "https://evil.example"} {
		var wrong *adapter.CallError
		if _, err := a.Request(t.Context(), http.MethodGet, path, nil, nil); !errors.As(err, &wrong) {
			t.Errorf("%s: got %v, want a call error", path, err)
		}
	}
}

func TestSettingsThatAreNotBuiltStopEveryDoor(t *testing.T) {
	for _, props := range []object{{"stub": true}, {"proxy": object{"enabled": true, "host": "p"}}, {"ssl": object{"enabled": true}},
		{"throttle": object{"throttle_enabled": true}}} {
		f := &fixture{props: props}
		a := f.open(t)
		_, callErr := callG(t, a)
		_, reqErr := a.Request(t.Context(), http.MethodGet, "/", nil, nil)
		_, _, clientErr := get(t, a.Client(), f.server.URL)
		_, _, tokenErr := a.RefreshToken(t.Context())
		for door, err := range map[string]error{"Call": callErr, "Request": reqErr, "Client": clientErr, "Check": a.Check(t.Context()), "RefreshToken": tokenErr} {
			var off *adapter.NotBuiltError
			if !errors.As(err, &off) {
				t.Errorf("%v, %s: got %v, want what is not built", props, door, err)
			}
		}
		if len(f.log) != 0 {
			t.Errorf("%v: sent %v, want nothing", props, f.log)
		}
		if _, err := a.Plan(t.Context(), "widget", "createWidget", adapter.Input{}, false); err != nil {
			t.Errorf("%v: a plan sends nothing and should work: %v", props, err)
		}
	}
}

func TestHomeWithoutSystemEntityUsesTheStandardLogin(t *testing.T) {
	for _, tt := range []struct {
		name string
		auth object
		want string
	}{
		{"client credentials", object{"client_id": "c1", "client_secret": "s1"}, "client_id=c1&client_secret=s1&grant_type=client_credentials"},
		{"password", object{"scope": "r w"}, "grant_type=password&username=ann&password=p%3Aw&scope=r%20w"},
		{"named grant", object{"grant_type": "password", "client_id": "c1"}, "client_id=c1&grant_type=password&username=ann&password=p%3Aw"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.auth["token_URI_path"] = "/oauth/token"
			f := &fixture{auth: tt.auth, files: map[string]string{"entities/.system/action.json": "", "entities/.system/req.json": "", "entities/.system/resp.json": ""}}
			if _, err := callG(t, f.open(t)); err != nil {
				t.Fatal(err)
			}
			req, body := f.last(t, true)
			if !sameForm(body, tt.want) || req.RequestURI != "/oauth/token" || req.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("sent %s %s, want %s", req.RequestURI, body, tt.want)
			}
		})
	}
	f := &fixture{files: map[string]string{"entities/.system/action.json": ""}}
	o := f.options(t)
	if _, err := openErr(o); err == nil || !strings.Contains(err.Error(), "token_URI_path") {
		t.Errorf("without token_URI_path: got %v, want an error that names it", err)
	}
}

func sameForm(got, want string) bool { return samePath("?"+got, "?"+want) }
