package adapter_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

// TestGoldenSequences is the table of golden vectors that is about how many token and data
// requests are made, and with which token (column «want»).
func TestGoldenSequences(t *testing.T) {
	always401 := func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(401) }
	expires := func(value any) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, _ *http.Request, n int) {
			answerJSON(w, 200, object{"access_token": fmt.Sprintf("T%d", n), "expires": value})
		}
	}
	hour := time.Now().Add(time.Hour)
	cached := "token, data T1, data T1"
	for _, tt := range []struct {
		name    string
		fixture fixture
		calls   string
		want    string
		status  int // of the last call, when it fails
	}{
		{name: "token kept", calls: "GGP", want: "token, data T1, data T1, data T1"},
		{name: "timeout -1", fixture: fixture{auth: object{"token_timeout": -1}}, calls: "GG", want: "token, data T1, token, data T2"},
		{name: "timeout 50000", fixture: fixture{auth: object{"token_timeout": 50000}}, calls: "GG", want: cached},
		{name: "0, ISO", fixture: fixture{auth: object{"token_timeout": 0}, token: expires(hour.Format(time.RFC3339))}, calls: "GG", want: cached},
		{name: "0, epoch ms", fixture: fixture{auth: object{"token_timeout": 0}, token: expires(hour.UnixMilli())}, calls: "GG", want: cached},
		{name: "0, lifetime", fixture: fixture{auth: object{"token_timeout": 0}, token: expires(3600)}, calls: "GG", want: cached},
		{name: "0, epoch s", fixture: fixture{auth: object{"token_timeout": 0}, token: expires(hour.Unix())}, calls: "GG", want: cached},
		{name: "0, digits as text", fixture: fixture{auth: object{"token_timeout": 0}, token: expires(fmt.Sprint(hour.Unix()))}, calls: "GG", want: cached},
		{name: "0, nothing usable: used once", fixture: fixture{auth: object{"token_timeout": 0}, token: expires("soon")}, calls: "GG",
			want: "token, data T1, token, data T2"},
		{name: "above 0 wins over the answer", fixture: fixture{auth: object{"token_timeout": 600000}, token: expires(1)}, calls: "GG", want: cached},
		{name: "401 on the second call only", fixture: fixture{data: func(w http.ResponseWriter, _ *http.Request, n int) {
			if n == 2 {
				w.WriteHeader(401)
				return
			}
			answerJSON(w, 200, object{"id": 7})
		}}, calls: "GGG", want: "token, data T1, data T1, token, data T2, data T2"},
		{name: "401 always", fixture: fixture{props: object{"request": object{"number_retries": 3}}, data: always401}, calls: "G",
			want: "token, data T1, token, data T2", status: 401},
		{name: "401 always, no retries", fixture: fixture{props: object{"request": object{"number_retries": 0}}, data: always401}, calls: "G",
			want: "token, data T1, token, data T2", status: 401},
		{name: "401 always, no resubmission", fixture: fixture{auth: object{"invalid_token_resubmits": 0}, data: always401}, calls: "G",
			want: "token, data T1", status: 401},
		{name: "401 always, -1", fixture: fixture{auth: object{"token_timeout": -1}, data: always401}, calls: "G",
			want: "token, data T1, token, data T2", status: 401},
		{name: "other code", fixture: fixture{auth: object{"invalid_token_error": 403}, data: always401}, calls: "G", want: "token, data T1", status: 401},
		{name: "list of codes", fixture: fixture{auth: object{"invalid_token_error": []int{403, 401}}, data: always401}, calls: "G",
			want: "token, data T1, token, data T2", status: 401},
		{name: "basic is not resubmitted", fixture: fixture{auth: object{"auth_method": "basic user_password", "auth_field_format": "B"}, data: always401},
			calls: "G", want: "data B", status: 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &tt.fixture
			a := f.open(t)
			var err error
			for _, c := range tt.calls {
				call := callG
				if c == 'P' {
					call = callP
				}
				_, err = call(t, a)
			}
			if got := strings.Join(f.log, ", "); got != tt.want {
				t.Errorf("sent %s\nwant %s", got, tt.want)
			}
			var status *adapter.StatusError
			if errors.As(err, &status); (err != nil) != (tt.status != 0) || tt.status != 0 && (status == nil || status.Status != tt.status) {
				t.Errorf("the last call returned %v, want status %d", err, tt.status)
			}
		})
	}
}

// TestGoldenRequests is the table of golden vectors that is about one data request.
func TestGoldenRequests(t *testing.T) {
	static := func(field, format any, token string) object {
		return object{"auth_method": "static_token", "token": token, "auth_field": field, "auth_field_format": format}
	}
	const path = "/api/v2/widgets/a%20b%2Fc?label=x%20y%26z&k=2"
	for _, tt := range []struct {
		name    string
		fixture fixture
		call    string
		uri     string
		headers map[string]string
		body    string
	}{
		{name: "translated", uri: path, headers: map[string]string{"Authorization": "Bearer T1"}},
		{name: "basic", fixture: fixture{auth: object{"auth_method": "basic user_password", "auth_field_format": "Basic {b64}{username}:{password}{/b64}"}},
			uri: path, headers: map[string]string{"Authorization": "Basic YW5uOnA6dw=="}},
		{name: "basic, other spelling", fixture: fixture{auth: object{"auth_method": "basic_user_password", "auth_field_format": "{b64}Basic {username}:{password}{/b64}"}},
			uri: path, headers: map[string]string{"Authorization": "QmFzaWMgYW5uOnA6dw=="}},
		{name: "two blocks", fixture: fixture{auth: object{"auth_method": "basic user_password", "auth_field_format": "{b64}{username}{/b64}-{b64}{password}{/b64}"}},
			uri: path, headers: map[string]string{"Authorization": "YW5u-cDp3"}},
		{name: "angle block", fixture: fixture{auth: object{"auth_method": "basic user_password", "auth_field_format": "Basic <b64>{username}:{password}</b64>"}},
			uri: path, headers: map[string]string{"Authorization": "Basic YW5uOnA6dw=="}},
		{name: "all occurrences", fixture: fixture{auth: static("header.headers.Authorization", "{token}/{token}/{unknown}", "SEK")},
			uri: path, headers: map[string]string{"Authorization": "SEK/SEK/{unknown}"}},
		{name: "dollar patterns", fixture: fixture{auth: static("header.headers.Authorization", "T {token}", "a$&b$$c$'d")},
			uri: path, headers: map[string]string{"Authorization": "T a$&b$$c$'d"}},
		{name: "values are not scanned", fixture: fixture{auth: static("header.headers.Authorization", "T {token}", "{username}")},
			uri: path, headers: map[string]string{"Authorization": "T {username}"}},
		{name: "missing formats take the first", fixture: fixture{auth: static([]any{"header.headers.A", "header.headers.B"}, []any{"{token}"}, "SEK")},
			uri: path, headers: map[string]string{"A": "SEK", "B": "SEK"}},
		{name: "three fields", fixture: fixture{auth: object{"auth_field": []any{"header.headers.Authorization", "header.headers.X-Csrf", "header.headers.X-User"},
			"auth_field_format": []any{"Bearer {token}", "{tokenp2}", "{username}"}}},
			uri: path, headers: map[string]string{"Authorization": "Bearer T1", "X-Csrf": "S-T1", "X-User": "ann"}},
		{name: "header.auth", fixture: fixture{auth: object{"auth_method": "basic user_password", "auth_field": "header.auth", "auth_field_format": "{username}:{password}"}},
			uri: path, headers: map[string]string{"Authorization": "Basic YW5uOnA6dw=="}},
		{name: "dotted header name", fixture: fixture{auth: static("header.headers.X.Api.Key", "{token}", "SEK")}, uri: path, headers: map[string]string{"X.api.key": "SEK"}},
		{name: "body field", fixture: fixture{auth: static("body.apikey", "{token}", "SEK")}, call: "P",
			uri: "/api/v2/widgets", body: `{"label":"w1","extra":[1,2],"apikey":"SEK"}`},
		{name: "nested body field", fixture: fixture{auth: static("body.auth.key", "{token}", "SEK")}, call: "P",
			uri: "/api/v2/widgets", body: `{"label":"w1","extra":[1,2],"auth":{"key":"SEK"}}`},
		{name: "urlpath", fixture: fixture{auth: static("urlpath", "k-{token}", "SEK")}, uri: "/api/v2/widgets/a%20b%2Fc/k-SEK?label=x%20y%26z&k=2"},
		{name: "url keeps the author's bytes", fixture: fixture{auth: static("url", "key={token}", "SEK+1/=")}, call: "P", uri: "/api/v2/widgets?key=SEK+1/="},
		{name: "url before the query", fixture: fixture{auth: static("url", "key={token}", "SEK")}, uri: "/api/v2/widgets/a%20b%2Fc?key=SEK&label=x%20y%26z&k=2"},
		{name: "query encodes fully", fixture: fixture{auth: static("query.key", "{token}", "S+ /=")}, call: "P", uri: "/api/v2/widgets?key=S%2B%20%2F%3D"},
		{name: "options and global ones", fixture: fixture{props: object{"request": object{"global_request": object{"uriOptions": object{"g": "o"}, "payload": object{"gp": 1}}}}},
			call: "P", uri: "/api/v2/widgets?g=o", body: `{"gp":1,"label":"w1","extra":[1,2]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &tt.fixture
			a := f.open(t)
			call := callG
			if tt.call == "P" {
				call = callP
			}
			res, err := call(t, a)
			if err != nil {
				t.Fatal(err)
			}
			req, body := f.last(t, false)
			if req.RequestURI != tt.uri {
				t.Errorf("sent %s\nwant %s", req.RequestURI, tt.uri)
			}
			if tt.body != "" && !sameBody(body, tt.body) {
				t.Errorf("sent %s\nwant %s", body, tt.body)
			}
			for name, want := range tt.headers {
				if got := req.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if want := map[string]any{"widgetName": "w", "id": "7"}; fmt.Sprint(res.Response) != fmt.Sprint(want) {
				t.Errorf("result %v, want %v", res.Response, want)
			}
		})
	}
}

// TestGoldenTokenRequests is the table of golden vectors that is about the token request.
func TestGoldenTokenRequests(t *testing.T) {
	schema := func(properties string) map[string]string {
		return map[string]string{"entities/.system/req.json": `{"type":"object","translate":true,"properties":{` + properties + `}}`}
	}
	const named = `"username":{"type":"string","external_name":"user"},"password":{"type":"string","external_name":"pass"}`
	for _, tt := range []struct {
		name    string
		fixture fixture
		uri     string
		body    string
		exact   bool // the body byte for byte
		headers map[string]string
	}{
		{name: "translated", uri: "/api/v2/token", body: `{"user":"ann","pass":"p:w"}`},
		{name: "OAuth form", uri: "/api/v2/token", exact: true, body: "username=ann&pass=p%3Aw&client_id=cid&client_secret=s%26c&grant_type=client_credentials&scope=r%20w",
			fixture: fixture{getToken: object{"requestDatatype": "URLENCODE"},
				auth:  object{"client_id": "cid", "client_secret": "s&c", "grant_type": "client_credentials", "scope": "r w"},
				files: schema(`"username":{"type":"string"},"password":{"type":"string","external_name":"pass"},"client_id":{"type":"string"},"client_secret":{"type":"string"},"grant_type":{"type":"string"},"scope":{"type":"string"}`)}},
		{name: "Basic header", uri: "/api/v2/token", exact: true, body: "grant_type=client_credentials", headers: map[string]string{"Authorization": "Basic YW5uOnA6dw=="},
			fixture: fixture{getToken: object{"requestDatatype": "URLENCODE", "headers": object{"Authorization": "Basic {b64}{username}:{password}{/b64}"}},
				files: schema(named + `,"grant_type":{"type":"string","default":"client_credentials"}`)}},
		{name: "in the query", uri: "/api/v2/token?user=ann&pass=p%3Aw", exact: true, fixture: fixture{getToken: object{"requestDatatype": "URLQUERY"}}},
		{name: "nested names", uri: "/api/v2/token", body: `{"aaa":{"attr":{"name":"ann","pwd":"p:w"}},"list":[{},{"d":"corp"}]}`,
			fixture: fixture{files: schema(`"username":{"type":"string","external_name":"aaa.attr.name"},"password":{"type":"string","external_name":"aaa.attr.pwd"},"domain":{"type":"string","default":"corp","external_name":"list[1].d"}`)}},
		{name: "encoded password", uri: "/api/v2/token", body: `{"user":"ann","pass":"cDp3"}`,
			fixture: fixture{files: schema(`"username":{"type":"string","external_name":"user"},"password":{"type":"string","external_name":"pass","encode":true}`)}},
		{name: "global additions", uri: "/api/v2/token?g=o", body: `{"user":"ann","pass":"p:w","domain":"corp"}`, headers: map[string]string{"X-G": "1"},
			fixture: fixture{props: object{"request": object{"global_request": object{"uriOptions": object{"g": "o"}, "authData": object{"domain": "corp"}, "addlHeaders": object{"X-G": "1"}}}},
				files: schema(named + `,"domain":{"type":"string"}`)}},
		{name: "field names", uri: "/api/v2/token", body: `{"login":"ann","secret":"p:w"}`,
			fixture: fixture{auth: object{"token_user_field": "login", "token_password_field": "secret"}}},
		{name: "path", uri: "/other/token", body: `{"user":"ann","pass":"p:w"}`, fixture: fixture{auth: object{"token_URI_path": "/other/token"}}},
		{name: "GET with credentials in the path", uri: "/token/ann/p%3Aw", exact: true,
			fixture: fixture{getToken: object{"method": "GET", "entitypath": "/token/{username}/{password}"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &tt.fixture
			a := f.open(t)
			if _, err := callG(t, a); err != nil {
				t.Fatal(err)
			}
			req, body := f.last(t, true)
			if req.RequestURI != tt.uri {
				t.Errorf("sent %s\nwant %s", req.RequestURI, tt.uri)
			}
			if tt.exact && body != tt.body || !sameBody(body, tt.body) {
				t.Errorf("sent %s\nwant %s", body, tt.body)
			}
			for name, want := range tt.headers {
				if got := req.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestGoldenTokenAnswers is the table of golden vectors that is about where the token comes from.
func TestGoldenTokenAnswers(t *testing.T) {
	schema := func(token string) map[string]string {
		return map[string]string{"entities/.system/resp.json": `{"type":"object","translate":true,"properties":{"token":{"type":"string",` + token + `}}}`}
	}
	plain := func(body string, header ...string) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, _ *http.Request, _ int) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Add(header[i], header[i+1])
			}
			_, _ = w.Write([]byte(body))
		}
	}
	cookies := []string{"Set-Cookie", "lang=en; Path=/", "Set-Cookie", "SID=T1%3D; Path=/; HttpOnly"}
	for _, tt := range []struct {
		name    string
		fixture fixture
		header  string
		want    string
	}{
		{"named cookie", fixture{files: schema(`"placement":"HEADER","external_name":"set-cookie.SID"`), token: plain("", cookies...), getToken: object{"responseDatatype": "PLAIN"},
			auth: object{"auth_field": "header.headers.Cookie", "auth_field_format": "SID={token}"}}, "Cookie", "SID=T1="},
		{"all cookies", fixture{files: schema(`"placement":"HEADER","external_name":"set-cookie"`), token: plain("{}", cookies...),
			auth: object{"auth_field": "header.headers.Cookie", "auth_field_format": "{token}"}}, "Cookie", "lang=en; SID=T1%3D"},
		{"header", fixture{files: schema(`"placement":"header","external_name":"X-Auth"`), token: plain("not json", "X-Auth", "T1")}, "Authorization", "Bearer T1"},
		{"text between marks", fixture{files: schema(`"placement":"BODY","front":"<sid>","end":"</sid>"`), getToken: object{"responseDatatype": "PLAIN"}, token: plain("<r><sid>T1</sid></r>")}, "Authorization", "Bearer T1"},
		{"plain text", fixture{files: schema(`"placement":"BODY"`), getToken: object{"responseDatatype": "PLAIN"}, token: plain("T1\n")}, "Authorization", "Bearer T1"},
		{"quoted text", fixture{files: schema(`"placement":"BODY"`), getToken: object{"responseDatatype": "PLAIN"}, token: plain(`"T1"`)}, "Authorization", "Bearer T1"},
		{"form", fixture{files: schema(`"placement":"BODY","external_name":"access_token"`), getToken: object{"responseDatatype": "URLENCODE"}, token: plain("access_token=T%201&x=y")}, "Authorization", "Bearer T 1"},
		{"nested", fixture{files: schema(`"placement":"BODY","external_name":"data.auth.token"`), token: plain(`{"data":{"auth":{"token":"T1"}}}`)}, "Authorization", "Bearer T1"},
		{"number", fixture{files: schema(`"placement":"BODY","external_name":"id"`), token: plain(`{"id":12345678901234567890}`)}, "Authorization", "Bearer 12345678901234567890"},
		{"no placement", fixture{files: schema(`"external_name":"id"`), token: plain(`{"id":"T1"}`)}, "Authorization", "Bearer T1"},
		{"first of a list, selected", fixture{files: schema(`"placement":"BODY","external_name":"id"`), token: plain(`{"items":[{"id":"T1"},{"id":"T2"}]}`),
			getToken: object{"responseObjects": []any{object{"type": "default", "key": "items"}}}}, "Authorization", "Bearer T1"},
		{"result field", fixture{auth: object{"token_result_field": "sid"}, token: plain(`{"sid":"T1","access_token":"no"}`)}, "Authorization", "Bearer T1"},
		{"from a redirect", fixture{files: schema(`"placement":"HEADER","external_name":"X-Auth"`), token: func(w http.ResponseWriter, r *http.Request, _ int) {
			w.Header().Set("X-Auth", "T1")
			http.Redirect(w, r, "/home", http.StatusFound)
		}}, "Authorization", "Bearer T1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &tt.fixture
			a := f.open(t)
			if _, err := callG(t, a); err != nil {
				t.Fatal(err)
			}
			req, _ := f.last(t, false)
			if got := req.Header.Get(tt.header); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.header, got, tt.want)
			}
		})
	}
}

// TestGoldenUsersHaveTheirOwnTokens: per-call users do not share a token, and keep theirs.
func TestGoldenUsersHaveTheirOwnTokens(t *testing.T) {
	f := &fixture{}
	a := f.open(t)
	bob := adapter.Input{PathVars: []any{"1"}, CallProperties: object{"authentication": object{"username": "bob", "password": "x"}}}
	for range 2 {
		if _, err := callG(t, a); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Call(t.Context(), "widget", "getWidget", bob); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"token", "data T1", "token", "data T2", "data T1", "data T2"}
	if !reflect.DeepEqual(f.log, want) {
		t.Errorf("sent %v\nwant %v", f.log, want)
	}
}

// TestGoldenPaths: fixed query parameters stay, options are joined with what is right there.
func TestGoldenPaths(t *testing.T) {
	for _, tt := range []struct {
		action string
		input  adapter.Input
		want   string
	}{
		{"fixed", adapter.Input{Query: entities.Object{{Name: "q", Value: "1"}}}, "/x?fixed=1&q=1"},
		{"fixedOnly", adapter.Input{Options: entities.Object{{Name: "o", Value: "1"}}}, "/x?fixed=1&o=1"},
		{"keyed", adapter.Input{Query: entities.Object{{Name: "widgetName", Value: "v"}, {Name: "z", Value: []any{"a", "b"}}, {Name: "e", Value: ""}}}, "/x?f=label=v&z=a&z=b&e="},
		{"fixed", adapter.Input{}, "/x?fixed=1"},
	} {
		f := &fixture{auth: object{"auth_method": "no_authentication"}}
		a := f.open(t)
		if _, err := a.Call(t.Context(), "widget", tt.action, tt.input); err != nil {
			t.Fatal(err)
		}
		if req, _ := f.last(t, false); req.RequestURI != tt.want {
			t.Errorf("%s: sent %s, want %s", tt.action, req.RequestURI, tt.want)
		}
	}
}
