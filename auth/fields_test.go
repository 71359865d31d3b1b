package auth_test

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
)

// compile returns a placement over the values of format_test, with SEK as its token.
func compile(t testing.TB, token string, fields ...auth.Field) *auth.Fields {
	t.Helper()
	place, problems := auth.CompileFields(fields, values(token), names...)
	for _, p := range problems {
		if !p.Warning {
			t.Fatalf("got the problem %+v, want none", p)
		}
	}
	return place
}

// sent applies fields to a request and returns what a server would be sent.
func sent(t testing.TB, token string, req *http.Request, fields ...auth.Field) (*http.Request, error) {
	t.Helper()
	in, err := compile(t, token, fields...).Render(auth.Token{})
	if err != nil {
		return nil, err
	}
	return req, in.Apply(req)
}

func get(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func post(t testing.TB, kind, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://a.example/w", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	return req
}

func TestHeaderFieldsAreWrittenAsPlanned(t *testing.T) {
	cases := []struct {
		name   string
		token  string
		fields []auth.Field
		want   http.Header
	}{
		{name: "bearer", fields: []auth.Field{{Path: "header.headers.Authorization", Format: "Bearer {token}"}}, want: http.Header{"Authorization": {"Bearer SEK"}}},
		{name: "a dot in the name", fields: []auth.Field{{Path: "header.headers.X.Api.Key", Format: "{token}"}}, want: http.Header{"X.api.key": {"SEK"}}},
		{name: "header.auth", fields: []auth.Field{{Path: "header.auth", Format: "{username}:{password}"}}, want: http.Header{"Authorization": {"Basic YW5uOnA6dw=="}}},
		{name: "three", fields: []auth.Field{{Path: "header.headers.authorization", Format: "Bearer {token}"}, {Path: "header.headers.X-Csrf", Format: "{tokenp2}"}, {Path: "header.headers.X-User", Format: "{username}"}},
			want: http.Header{"Authorization": {"Bearer SEK"}, "X-Csrf": {"S-T1"}, "X-User": {"ann"}}},
		{name: "cookies join", fields: []auth.Field{{Path: "header.headers.Cookie", Format: "a={token}"}, {Path: "header.headers.cookie", Format: "b={tokenp2}"}},
			want: http.Header{"Cookie": {"a=SEK; b=S-T1"}}},
		{name: "the last of one name holds", fields: []auth.Field{{Path: "header.headers.X", Format: "1"}, {Path: "header.headers.x", Format: "2"}}, want: http.Header{"X": {"2"}}},
		{name: "tab and bytes above ASCII", token: "a\té", fields: []auth.Field{{Path: "header.headers.X", Format: "{token}"}}, want: http.Header{"X": {"a\té"}}},
		{name: "absent value", token: "", fields: []auth.Field{{Path: "header.headers.X", Format: "[{token}]"}}, want: http.Header{"X": {"[]"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.token == "" && c.name != "absent value" {
				c.token = "SEK"
			}
			req, err := sent(t, c.token, get(t, "https://a.example/w"), c.fields...)
			if err != nil || !reflect.DeepEqual(req.Header, c.want) {
				t.Errorf("got %v, %v, want %v", req.Header, err, c.want)
			}
		})
	}
}

func TestURLFieldsKeepTheAuthorsBytes(t *testing.T) {
	cases := []struct {
		name, token, url string
		field            auth.Field
		want             string
	}{
		{name: "url in front of the query", token: "SEK", url: "/w?label=x", field: auth.Field{Path: "url", Format: "key={token}"}, want: "/w?key=SEK&label=x"},
		{name: "url without a query", token: "SEK+1/=", url: "/w", field: auth.Field{Path: "url", Format: "key={token}"}, want: "/w?key=SEK+1/="},
		{name: "url with an empty query", token: "SEK", url: "/w?", field: auth.Field{Path: "url.any", Format: "key={token}"}, want: "/w?key=SEK"},
		{name: "url keeps escapes and encodes a bare %", token: "a%2Fb%zz%", url: "/w", field: auth.Field{Path: "url", Format: "k={token}"}, want: "/w?k=a%2Fb%25zz%25"},
		{name: "url encodes what is illegal", token: "a \"b\"\r\n#é\x00<>|", url: "/w", field: auth.Field{Path: "url", Format: "k={token}"},
			want: "/w?k=a%20%22b%22%0D%0A%23%C3%A9%00%3C%3E%7C"},
		{name: "url keeps ? and &", token: "a?b&c=d", url: "/w", field: auth.Field{Path: "url", Format: "k={token}"}, want: "/w?k=a?b&c=d"},
		{name: "empty text adds nothing", token: "", url: "/w?a=1", field: auth.Field{Path: "url", Format: "{token}"}, want: "/w?a=1"},
		{name: "urlpath", token: "SEK", url: "/w/a%20b%2Fc?label=x", field: auth.Field{Path: "urlpath", Format: "k-{token}"}, want: "/w/a%20b%2Fc/k-SEK?label=x"},
		{name: "urlpath behind a slash", token: "SEK", url: "/w/", field: auth.Field{Path: "urlpath", Format: "{token}"}, want: "/w/SEK"},
		{name: "urlpath without a path", token: "SEK", url: "", field: auth.Field{Path: "urlpath", Format: "{token}"}, want: "/SEK"},
		{name: "urlpath encodes ? and #", token: "a?b#c d\r\nX: 1", url: "/w", field: auth.Field{Path: "urlpath", Format: "{token}"}, want: "/w/a%3Fb%23c%20d%0D%0AX:%201"},
		{name: "urlpath keeps the author's slash", token: "SEK", url: "/w", field: auth.Field{Path: "urlpath", Format: "k/{token}"}, want: "/w/k/SEK"},
		{name: "query", token: "SEK", url: "/w?a=1", field: auth.Field{Path: "query.key", Format: "{token}"}, want: "/w?a=1&key=SEK"},
		{name: "query encodes fully", token: "a b&c=d+e/é?#%41~", url: "/w", field: auth.Field{Path: "query.k&y", Format: "{token}"},
			want: "/w?k%26y=a%20b%26c%3Dd%2Be%2F%C3%A9%3F%23%2541~"},
		{name: "query with a dot in the name", token: "SEK", url: "/w", field: auth.Field{Path: "query.api.key", Format: "{token}"}, want: "/w?api.key=SEK"},
		{name: "query replaces the caller's own", token: "SEK", url: "/w?key=mine&b=2&key", field: auth.Field{Path: "query.key", Format: "{token}"}, want: "/w?b=2&key=SEK"},
		{name: "query replaces the caller's own however spelt", token: "SEK", url: "/w?api%5Fkey=mine&%61pi_key=2&a=%zz", field: auth.Field{Path: "query.api_key", Format: "{token}"}, want: "/w?a=%zz&api_key=SEK"},
		{name: "query leaves longer names", token: "SEK", url: "/w?keys=1&xkey=2", field: auth.Field{Path: "query.key", Format: "{token}"}, want: "/w?keys=1&xkey=2&key=SEK"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := get(t, "https://a.example"+c.url)
			shared, before := req.URL, *req.URL
			req, err := sent(t, c.token, req, c.field)
			if err != nil {
				t.Fatalf("got %v, want no error", err)
			}
			if got := req.URL.RequestURI(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if *shared != before {
				t.Error("the shared URL was written into")
			}
		})
	}
}

func TestBodyFieldsAreMergedAndTheRestKept(t *testing.T) {
	form := "application/x-www-form-urlencoded"
	cases := []struct {
		name, kind, body string
		fields           []auth.Field
		want             string
	}{
		{name: "flat", kind: "application/json", body: `{"label":"w1","extra":[1,2]}`, fields: []auth.Field{{Path: "body.apikey", Format: "{token}"}},
			want: `{"label":"w1","extra":[1,2],"apikey":"SEK"}`},
		{name: "nested", kind: "application/json", body: `{"label":"w1","extra":[1,2]}`, fields: []auth.Field{{Path: "body.auth.key", Format: "{token}"}},
			want: `{"label":"w1","extra":[1,2],"auth":{"key":"SEK"}}`},
		{name: "into an object that is there", kind: "application/json; charset=utf-8", body: `{"auth":{"a":1},"z":2}`, fields: []auth.Field{{Path: "body.auth.key", Format: "{token}"}},
			want: `{"z":2,"auth":{"a":1,"key":"SEK"}}`},
		{name: "two in one object", kind: "application/json", body: `{}`, fields: []auth.Field{{Path: "body.a.u", Format: "{username}"}, {Path: "body.a.p", Format: "{password}"}},
			want: `{"a":{"u":"ann","p":"p:w"}}`},
		{name: "replaces the caller's own, twice written", kind: "application/json", body: `{"k":1,"a":2,"k":{"x":3}}`, fields: []auth.Field{{Path: "body.k", Format: "{token}"}},
			want: `{"a":2,"k":"SEK"}`},
		{name: "replaces the caller's own, escaped", kind: "application/json", body: `{"\u006b":1}`, fields: []auth.Field{{Path: "body.k", Format: "{token}"}}, want: `{"k":"SEK"}`},
		{name: "numbers, escapes and duplicates are kept", kind: "application/json",
			body:   `{ "n" : 12345678901234567890.10e-5, "d":1, "d":2, "\u00fc\u2028": "\u00FC\/<>", "o": { "x":  1 } }`,
			fields: []auth.Field{{Path: "body.k", Format: "{token}"}},
			want:   `{"n":12345678901234567890.10e-5,"d":1,"d":2,"\u00fc\u2028":"\u00FC\/<>","o":{ "x":  1 },"k":"SEK"}`},
		{name: "bytes that are no UTF-8 are kept", kind: "application/json", body: "{\"\xff\":\"\xfe\"}", fields: []auth.Field{{Path: "body.k", Format: "{token}"}}, want: "{\"\xff\":\"\xfe\",\"k\":\"SEK\"}"},
		{name: "quotes in the value", kind: "application/json", body: `{}`, fields: []auth.Field{{Path: "body.k", Format: `"{token}\`}}, want: `{"k":"\"SEK\\"}`},
		{name: "no body, no type", fields: []auth.Field{{Path: "body.k", Format: "{token}"}}, want: `{"k":"SEK"}`},
		{name: "blank body", kind: "application/json", body: " \n", fields: []auth.Field{{Path: "body.k", Format: "{token}"}}, want: `{"k":"SEK"}`},
		{name: "a JSON kind", kind: "application/vnd.api+json", body: `{"a":1}`, fields: []auth.Field{{Path: "body.k", Format: "{token}"}}, want: `{"a":1,"k":"SEK"}`},
		{name: "form", kind: form, body: "a=1&b=x+y", fields: []auth.Field{{Path: "body.k", Format: "{password} &"}}, want: "a=1&b=x+y&k=p%3Aw%20%26"},
		{name: "empty form", kind: form, fields: []auth.Field{{Path: "body.k", Format: "{token}"}}, want: "k=SEK"},
		{name: "form replaces", kind: form, body: "k=1&a=2&%6B=3", fields: []auth.Field{{Path: "body.k", Format: "{token}"}}, want: "a=2&k=SEK"},
		{name: "form with a nested name", kind: form, body: "", fields: []auth.Field{{Path: "body.a.b", Format: "{token}"}}, want: "a.b=SEK"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req, err := sent(t, "SEK", post(t, c.kind, c.body), c.fields...)
			if err != nil {
				t.Fatalf("got %v, want no error", err)
			}
			body, _ := io.ReadAll(req.Body)
			if string(body) != c.want {
				t.Errorf("got  %s\nwant %s", body, c.want)
			}
			if req.ContentLength != int64(len(c.want)) {
				t.Errorf("Content-Length is %d, want %d", req.ContentLength, len(c.want))
			}
			again, _ := req.GetBody()
			if second, _ := io.ReadAll(again); string(second) != c.want {
				t.Errorf("GetBody gives %s, want %s", second, c.want)
			}
			if c.kind == "" && req.Header.Get("Content-Type") != "application/json" {
				t.Errorf("Content-Type is %q, want application/json", req.Header.Get("Content-Type"))
			}
		})
	}
}

func TestBodyThatTakesNoCredentialIsAnError(t *testing.T) {
	secret := authtest.Marker()
	cases := []struct {
		name, method, kind, body, path, want string
	}{
		{name: "GET", method: "GET", want: "the credential goes into the body, but a GET has none"},
		{name: "no method is GET", method: "", want: "the credential goes into the body, but a GET has none"},
		{name: "HEAD", method: "HEAD", want: "the credential goes into the body, but a HEAD has none"},
		{name: "XML", kind: "application/xml", body: "<a/>", want: "the credential goes into the body, which must be JSON or a form, not application/xml"},
		{name: "no type", body: "{}", want: "the credential goes into the body, which must be JSON or a form, not one without Content-Type"},
		{name: "array", kind: "application/json", body: "[1]", want: "the credential goes into the body, which is not a JSON object"},
		{name: "text", kind: "application/json", body: secret, want: "the credential goes into the body, which is not a JSON object"},
		{name: "cut", kind: "application/json", body: `{"a":"` + secret, want: "the credential goes into the body, which is not a JSON object"},
		{name: "two values", kind: "application/json", body: `{} {}`, want: "the credential goes into the body, which is not a JSON object"},
		{name: "no object inside", kind: "application/json", body: `{"k":"` + secret + `"}`, path: "body.k.l",
			want: "the credential goes into the body, at a field 1 levels down, where no JSON object is"},
		{name: "too large", kind: "application/json", body: `{"a":"` + strings.Repeat("x", 8<<20) + `"}`,
			want: "the credential goes into the body, which is larger than 8388608 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := post(t, c.kind, c.body)
			if c.kind+c.body == "" {
				req.Method = c.method
			}
			if c.path == "" {
				c.path = "body.k"
			}
			_, err := sent(t, secret, req, auth.Field{Path: c.path, Format: "{token}"})
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestFieldsThatAreNoPlaceAreProblems(t *testing.T) {
	cases := []struct {
		name  string
		field auth.Field
		want  auth.FieldProblem
	}{
		{name: "empty", field: auth.Field{}, want: auth.FieldProblem{Reason: `"" is no place; write header.headers.NAME, header.auth, query.NAME, body.NAME, url or urlpath`}},
		{name: "header option", field: auth.Field{Path: "header.path"}, want: auth.FieldProblem{Reason: "header.path is not supported; write header.headers.NAME or header.auth"}},
		{name: "header without a name", field: auth.Field{Path: "header.headers."}, want: auth.FieldProblem{Reason: `"" is no header name`}},
		{name: "header name with a line break", field: auth.Field{Path: "header.headers.X\r\nY"}, want: auth.FieldProblem{Reason: `"X\r\nY" is no header name`}},
		{name: "host", field: auth.Field{Path: "header.headers.Host"}, want: auth.FieldProblem{Reason: "header Host belongs to the connection and cannot carry a credential"}},
		{name: "length", field: auth.Field{Path: "header.headers.content-length"}, want: auth.FieldProblem{Reason: "header content-length belongs to the connection and cannot carry a credential"}},
		{name: "transfer", field: auth.Field{Path: "header.headers.Transfer-Encoding"}, want: auth.FieldProblem{Reason: "header Transfer-Encoding belongs to the connection and cannot carry a credential"}},
		{name: "query without a name", field: auth.Field{Path: "query"}, want: auth.FieldProblem{Reason: "query. needs the name of a parameter"}},
		{name: "body without a name", field: auth.Field{Path: "body.a..b"}, want: auth.FieldProblem{Reason: "body. needs the name of a field"}},
		{name: "bad format", field: auth.Field{Path: "url", Format: "{/b64}"}, want: auth.FieldProblem{Format: true, Reason: "{/b64} at character 1 closes no {b64} block"}},
		{name: "unknown name", field: auth.Field{Path: "url", Format: "{client_id}"}, want: auth.FieldProblem{Format: true, Warning: true, Reason: "{client_id} is no known name and stays as it is"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, problems := auth.CompileFields([]auth.Field{{Path: "url"}, c.field}, nil, names...)
			c.want.Index = 1
			if len(problems) != 1 || problems[0] != c.want {
				t.Errorf("got  %+v\nwant %+v", problems, c.want)
			}
		})
	}
}

func TestHeaderThatWouldSplitIsRefusedWithoutItsValue(t *testing.T) {
	for _, bad := range []string{"\r\n", "\n", "\r", "\x00", "\x7f", "\x1b"} {
		secret := authtest.Marker()
		_, err := sent(t, secret+bad+"X-Evil: 1", get(t, "https://a.example/"), auth.Field{Path: "header.headers.X-Key", Format: "Bearer {token}"})
		if want := "header X-Key: the value holds a line break or another control character"; err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", bad, err, want)
		}
	}
}

func TestTokenValuesGoBeforeFixedOnes(t *testing.T) {
	place := compile(t, "SEK", auth.Field{Path: "header.headers.X", Format: "{token} {username}"})
	in, err := place.Render(auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret("T1")}})
	if err != nil {
		t.Fatal(err)
	}
	req := get(t, "https://a.example/")
	if _ = in.Apply(req); req.Header.Get("X") != "T1 ann" {
		t.Errorf("got %q, want T1 ann", req.Header.Get("X"))
	}
}

func TestMaskedFieldsShowPlacesOnly(t *testing.T) {
	place := compile(t, "SEK", auth.Field{Path: "header.auth", Format: "{username}:{password}"},
		auth.Field{Path: "query.k", Format: "{token}"}, auth.Field{Path: "body.k", Format: "{b64}{token}{/b64}"}).Masked()
	in, err := place.Render(auth.Token{Values: map[string]auth.Secret{"token": auth.Unknown("token")}})
	if err != nil {
		t.Fatal(err)
	}
	req := post(t, "application/json", "{}")
	if err := in.Apply(req); err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(req.Body)
	got := req.Header.Get("Authorization") + "|" + req.URL.RawQuery + "|" + string(body)
	if want := `Basic {b64}[redacted]:[redacted]{/b64}|k=%7Btoken%7D|{"k":"{b64}{token}{/b64}"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestInjectionIsNotChangedByWhoUsesIt(t *testing.T) {
	in, err := compile(t, "SEK", auth.Field{Path: "header.headers.X", Format: "{token}"}).Render(auth.Token{})
	if err != nil {
		t.Fatal(err)
	}
	first, second := get(t, "https://a.example/"), get(t, "https://a.example/")
	_ = in.Apply(first)
	first.Header.Add("X", "more")
	_ = in.Apply(second)
	if got := second.Header.Values("X"); len(got) != 1 || got[0] != "SEK" {
		t.Errorf("got %v, want [SEK]", got)
	}
}
