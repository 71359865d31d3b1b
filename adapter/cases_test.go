package adapter_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
)

// TestPublishedCases are cases of public documentation (spec, section 8) that the golden tables
// do not have.
func TestPublishedCases(t *testing.T) {
	mapped := map[string]string{"entities/.system/req.json": `{"type":"object","translate":true,"properties":{
		"username":{"type":"string","external_name":"client_id"},"password":{"type":"string","external_name":"client_secret"},
		"grant_type":{"type":"string","default":"client_credentials"}}}`}
	for _, tt := range []struct {
		name       string
		fixture    fixture
		tokenBody  string
		header     string
		want       string
		requestURI string
	}{
		{name: "two steps, own header", fixture: fixture{auth: object{"auth_field": "header.headers.X-Sess", "auth_field_format": "{token}"}},
			tokenBody: `{"user":"ann","pass":"p:w"}`, header: "X-Sess", want: "T1"},
		{name: "text around the token", fixture: fixture{auth: object{"auth_field": "header.headers.My-Special-Token", "auth_field_format": "My Token is {token}"}},
			tokenBody: `{"user":"ann","pass":"p:w"}`, header: "My-Special-Token", want: "My Token is T1"},
		{name: "OAuth with credentials mapped", fixture: fixture{files: mapped},
			tokenBody: `{"client_id":"ann","client_secret":"p:w","grant_type":"client_credentials"}`, header: "Authorization", want: "Bearer T1"},
		{name: "API key with a word", fixture: fixture{auth: object{"auth_method": "static_token", "auth_field": "header.headers.X-Key", "auth_field_format": "Token {token}"}},
			header: "X-Key", want: "Token SEK"},
		{name: "API key in the URL", fixture: fixture{auth: object{"auth_method": "static_token", "auth_field": "url", "auth_field_format": "apikey={token}"}},
			requestURI: "/api/v2/widgets/a%20b%2Fc?apikey=SEK&label=x%20y%26z&k=2"},
		{name: "no authentication", fixture: fixture{auth: object{"auth_method": "no_authentication"}}, header: "Authorization", want: ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &tt.fixture
			if _, err := callG(t, f.open(t)); err != nil {
				t.Fatal(err)
			}
			if tt.tokenBody != "" {
				if _, body := f.last(t, true); !sameBody(body, tt.tokenBody) {
					t.Errorf("token request %s, want %s", body, tt.tokenBody)
				}
			}
			req, _ := f.last(t, false)
			if got := req.Header.Get(tt.header); tt.header != "" && got != tt.want {
				t.Errorf("%s: %q, want %q", tt.header, got, tt.want)
			}
			if tt.requestURI != "" && req.RequestURI != tt.requestURI {
				t.Errorf("sent %s, want %s", req.RequestURI, tt.requestURI)
			}
		})
	}
}

// TestTokenRequestGoesWhereSSOSays: the instance's sso goes before the action's for host and
// port, an empty host and port 0 mean «not said», and the action's protocol goes first (spec 1.7).
func TestTokenRequestGoesWhereSSOSays(t *testing.T) {
	asked := 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked++
		answerJSON(w, 200, object{"access_token": "E1"})
	}))
	defer other.Close()
	u, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	here := object{"protocol": "http", "host": u.Hostname(), "port": json.Number(u.Port())}
	nowhere := object{"protocol": "http", "host": "nowhere.invalid", "port": 1}
	unsaid := object{"protocol": "", "host": "", "port": 0}
	for name, f := range map[string]*fixture{
		"instance":                      {auth: object{"sso": here}},
		"action":                        {getToken: object{"sso": here}},
		"action, instance says nothing": {getToken: object{"sso": here}, auth: object{"sso": unsaid}},
		"instance before action":        {getToken: object{"sso": nowhere}, auth: object{"sso": here}},
		"protocol of the action":        {getToken: object{"sso": object{"protocol": "http"}}, auth: object{"sso": object{"protocol": "https", "host": here["host"], "port": here["port"]}}},
	} {
		t.Run(name, func(t *testing.T) {
			before := asked
			if _, err := callG(t, f.open(t)); err != nil {
				t.Fatal(err)
			}
			req, _ := f.last(t, false)
			if tokens, _ := f.counts(); asked != before+1 || tokens != 0 || req.Header.Get("Authorization") != "Bearer E1" {
				t.Errorf("asked elsewhere %d times and here %d, sent %s; want once, never, Bearer E1", asked-before, tokens, req.Header.Get("Authorization"))
			}
		})
	}
}

// TestAuthDataIsPartOfTheLogin: a call's own data goes into the token request, and has a token of its own.
func TestAuthDataIsPartOfTheLogin(t *testing.T) {
	f := &fixture{files: map[string]string{"entities/.system/req.json": `{"type":"object","translate":true,"dynamicfields":true,"properties":{}}`}}
	a := f.open(t)
	for _, domain := range []string{"corp", "lab", "corp"} {
		if _, err := a.Call(t.Context(), "widget", "getWidget", adapter.Input{PathVars: []any{"1"}, AuthData: object{"domain": domain}}); err != nil {
			t.Fatal(err)
		}
	}
	_, body := f.last(t, true)
	if tokens, _ := f.counts(); tokens != 2 || !sameBody(body, `{"username":"ann","password":"p:w","domain":"lab"}`) {
		t.Errorf("%d token requests, the last with %s; want 2, one for each domain", tokens, body)
	}
}
