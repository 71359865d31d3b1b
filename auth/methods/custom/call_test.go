package custom_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/cache/backends/memory"
)

// Sections 5.1 to 5.3, and «auth call» of section 14.
func TestAuthCallIsWhatIsWritten(t *testing.T) {
	cases := []struct {
		name, base string
		call       call
		url        string
		body, kind string
		header     map[string]string
	}{
		{name: "relative", call: call{endpoint: "/oauth/token"}, url: "https://sys.example/oauth/token"},
		{name: "no slash", call: call{endpoint: "oauth/token"}, url: "https://sys.example/oauth/token"},
		{name: "base with path and slashes", base: "https://h.test:8443/tenants/9//", call: call{endpoint: "//oauth/token"}, url: "https://h.test:8443/tenants/9/oauth/token"},
		{name: "absolute", call: call{endpoint: "http://as.example/t"}, url: "http://as.example/t"},
		{name: "absolute in capitals", call: call{endpoint: "HTTPS://as.example/t"}, url: "https://as.example/t"},
		{name: "user in the URL", call: call{endpoint: "https://u:p%40@as.example/t"}, url: "https://as.example/t", header: map[string]string{"Authorization": "Basic dTpwQA=="}},
		{name: "own query", call: call{endpoint: "/t?a=1&b=x%20y"}, url: "https://sys.example/t?a=1&b=x%20y"},
		{name: "query added", call: call{endpoint: "/t?a=1&b=2&%61=3", query: `{"a":"z z","c":[1,"x&"],"d":null,"e":true,"f":2.50}`},
			url: "https://sys.example/t?b=2&a=z+z&c=1&c=x%26&d=&e=true&f=2.50"},
		{name: "JSON", call: call{endpoint: "/t", body: `{"b":"<é>","a":{"n":90071992547409931}}`}, url: "https://sys.example/t",
			body: `{"a":{"n":90071992547409931},"b":"<é>"}`, kind: "application/json"},
		{name: "form", call: call{endpoint: "/t", form: "a=1&b=%20 +é"}, url: "https://sys.example/t", body: "a=1&b=%20 +é", kind: "application/x-www-form-urlencoded"},
		{name: "own Content-Type", call: call{endpoint: "/t", form: "<x/>", headers: `{"content-type":"text/xml"}`}, url: "https://sys.example/t", body: "<x/>", kind: "text/xml"},
		{name: "headers of the connection", call: call{endpoint: "/t", headers: `{"host":"other.example","accept-encoding":"br"}`}, url: "https://sys.example/t",
			header: map[string]string{"Host": "", "Accept-Encoding": ""}},
		{name: "no body", call: call{endpoint: "/t"}, url: "https://sys.example/t"},
		{name: "GET with a body", call: call{method: "GET", endpoint: "/t", body: `{"a":1}`}, url: "https://sys.example/t", body: `{"a":1}`, kind: "application/json"},
		{name: "nothing is templated", call: call{endpoint: "/t", headers: `{"X":"{{.x}}"}`, body: `{"a":"{{.x}} {{"}`}, url: "https://sys.example/t",
			body: `{"a":"{{.x}} {{"}`, kind: "application/json", header: map[string]string{"X": "{{.x}}"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			as := says(`{"access_token":"T"}`)
			if _, err := get(t.Context(), login{base: c.base, calls: []call{c.call}}.open(t, env(t, as))); err != nil {
				t.Fatal(err)
			}
			req := as.seen[0]
			if got := req.URL.String(); got != c.url {
				t.Errorf("sent to %s, want %s", got, c.url)
			}
			if got := strings.Join(req.Header["Content-Type"], "|"); as.bodies[0] != c.body || got != c.kind {
				t.Errorf("sent %s as %q, want %s as %q", as.bodies[0], got, c.body, c.kind)
			}
			if _, named := c.header["Host"]; named && req.Host != "other.example" {
				t.Errorf("Host is %s, want other.example", req.Host)
			}
			for name, want := range c.header {
				if got := req.Header.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Section 14, «URL», and 5.2 [N].
func TestCallsAreCheckedWhenTheyAreRead(t *testing.T) {
	cases := []struct {
		name      string
		call      call
		templated bool
		want      string
	}{
		{"empty", call{}, false, "/endpoint is empty; write the path of the authentication call, or its whole URL"},
		{"slashes", call{endpoint: "//"}, false, "/endpoint is empty; write the path of the authentication call, or its whole URL"},
		{"other scheme", call{endpoint: "ftp://x/y"}, false, "/endpoint must be a path, or a URL that begins with http:// or https://"},
		{"no host", call{endpoint: "https:///y"}, false, "/endpoint is no URL"},
		{"no URL", call{endpoint: "/%zz"}, false, "/endpoint is no URL"},
		{"object in the query", call{endpoint: "/t", query: `{"a":{"b":1}}`}, false, "/queryParams/a is an object or a list, which a query parameter cannot hold"},
		{"line break", call{endpoint: "/t", headers: `{"A":"x\ny"}`}, false, "/headers/A holds a line break or another control character"},
		{"expression of a later call", call{endpoint: "/t/{{id}}"}, true, "/endpoint {{id}} at character 23 is no expression; write {{.id}}"},
		{"form of a later call", call{endpoint: "/t", form: "a={{b}}"}, true, "/bodyForm {{b}} at character 3 is no expression; write {{.b}}"},
		{"URL from an answer", call{endpoint: "{{.url}}"}, true, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, faults := parseCall(t, "https://sys.example", c.call, c.templated)
			got := ""
			for _, f := range faults {
				got += f.Pointer + " " + f.Reason
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Section 5.4: 2xx and JSON only; an empty answer is an error [N].
func TestBadAnswersAreClearErrors(t *testing.T) {
	secret := authtest.Marker()
	cases := []struct {
		name   string
		answer answer
		want   string
	}{
		{"HTML", answer{body: "<html>" + secret}, ": the answer is not JSON (status 200)"},
		{"nothing", answer{status: 204}, ": the answer is not JSON (status 204)"},
		{"two values", answer{body: `{"a":1} {"b":2}`}, ": the answer is more than one JSON value (status 200)"},
		{"{}", answer{body: "{}"}, ": the answer is empty, and brings no credential (status 200)"},
		{"[]", answer{body: " [] "}, ": the answer is empty, and brings no credential (status 200)"},
		{`""`, answer{body: `""`}, ": the answer is empty, and brings no credential (status 200)"},
		{"0", answer{body: "0.0"}, ": the answer is empty, and brings no credential (status 200)"},
		{"false", answer{body: "false"}, ": the answer is empty, and brings no credential (status 200)"},
		{"null", answer{body: "null"}, ": the answer is empty, and brings no credential (status 200)"},
		{"missing field", answer{body: `{"other":"` + secret + `"}`},
			": template: headers.Authorization: {{.access_token}}: the answer has no such value; its keys are other (status 200)"},
		{"list", answer{body: `["` + secret + `"]`}, ": template: headers.Authorization: {{.access_token}}: expected an object but got: array (status 200)"},
		{"redirect", answer{status: 302, header: http.Header{"Location": {"https://evil.example/"}}}, ": no token, a redirect (status 302)"},
		{"401", answer{status: 401, body: secret}, ": login refused (status 401)"},
		{"RFC 6749", answer{status: 400, body: `{"error":"invalid_grant"}`}, ": invalid_grant (status 400)"},
		{"500", answer{status: 500}, ": no token, an error of the server (status 500)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			as := &endpoint{answers: []answer{c.answer}}
			_, err := get(t.Context(), login{}.open(t, env(t, as)))
			var failed *auth.TokenError
			if !errors.As(err, &failed) || err.Error() != "token endpoint https://sys.example/token"+c.want {
				t.Errorf("got  %v\nwant token endpoint https://sys.example/token%s", err, c.want)
			}
			if as.calls() != 1 {
				t.Errorf("%d auth calls, want 1", as.calls())
			}
		})
	}
}

// The Content-Type of an answer says nothing, nor does a byte order mark.
func TestAnswersAreJSONWhateverTheyAreCalled(t *testing.T) {
	as := &endpoint{answers: []answer{{body: "\ufeff" + `{"access_token":"T"}`, header: http.Header{"Content-Type": {"text/html"}}, status: 201}}}
	if got, err := get(t.Context(), login{}.open(t, env(t, as))); err != nil || got != "Bearer T" {
		t.Errorf("got %q, %v, want Bearer T", got, err)
	}
}

// Section 5.5 [N].
func TestPassingFailuresAreRetriedWithinTheLogin(t *testing.T) {
	good := answer{body: `{"access_token":"T"}`}
	after := func(status int, text string) answer {
		return answer{status: status, header: http.Header{"Retry-After": {text}}}
	}
	cases := []struct {
		name    string
		answers []answer
		calls   int
		took    time.Duration
		fails   bool
	}{
		{"502 then good", []answer{{status: 502}, good}, 2, 200 * time.Millisecond, false},
		{"503, 504, good", []answer{{status: 503}, {status: 504}, good}, 3, 600 * time.Millisecond, false},
		{"429 for ever", []answer{{status: 429}}, 3, 600 * time.Millisecond, true},
		{"no connection, then good", []answer{{status: -1}, good}, 2, 200 * time.Millisecond, false},
		{"Retry-After that fits", []answer{after(503, "7"), good}, 2, 7 * time.Second, false},
		{"Retry-After beyond the deadline", []answer{after(429, "60"), good}, 1, 0, true},
		{"401", []answer{{status: 401}, good}, 1, 0, true},
		{"403", []answer{{status: 403}, good}, 1, 0, true},
		{"408", []answer{{status: 408}, good}, 1, 0, true},
		{"500", []answer{{status: 500}, good}, 1, 0, true},
		{"not JSON", []answer{{body: "x"}, good}, 1, 0, true},
	}
	for _, method := range []string{"POST", "GET"} {
		for _, c := range cases {
			t.Run(method+" "+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					as := &endpoint{answers: c.answers}
					start := time.Now()
					_, err := get(t.Context(), login{calls: []call{{method: method, endpoint: "/token", body: `{"a":1}`}}}.open(t, env(t, as)))
					if took := time.Since(start); (err != nil) != c.fails || as.calls() != c.calls || took != c.took {
						t.Errorf("got %v after %d calls in %s, want failure %t after %d in %s", err, as.calls(), took, c.fails, c.calls, c.took)
					}
					for i, body := range as.bodies {
						if body != `{"a":1}` {
							t.Errorf("try %d sent %q, want the body again", i+1, body)
						}
					}
				})
			})
		}
	}
}

func TestLongRetryAfterReachesTheEngine(t *testing.T) {
	as := &endpoint{answers: []answer{{status: 429, header: http.Header{"Retry-After": {"60"}}}}}
	_, err := get(t.Context(), login{}.open(t, env(t, as)))
	var failed *auth.TokenError
	if !errors.As(err, &failed) || failed.RetryAfter != time.Minute {
		t.Errorf("got %v, want a Retry-After of a minute", err)
	}
}

func TestLoginEndsAfterThirtySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(authtest.Server)
		server.Set(authtest.Script{Delay: time.Hour})
		start := time.Now()
		_, err := get(t.Context(), login{}.open(t, env(t, authtest.Wire{Handler: server})))
		if took := time.Since(start); err == nil || took != 30*time.Second || server.Requests() != 1 {
			t.Errorf("got %v after %s and %d calls, want an error after 30s and 1", err, took, server.Requests())
		}
	})
}

// Section 15: several steps, answer headers and cookies.
func TestLaterCallsUseEarlierAnswers(t *testing.T) {
	as := &endpoint{answers: []answer{
		{body: `{"ticket":"K/ &1"}`, header: http.Header{"X-Session": {"S1"}, "Set-Cookie": {"SID=c1; Path=/; HttpOnly", "B=b1"}}},
		{body: `{"access_token":"T"}`, header: http.Header{"Set-Cookie": {"B=b2"}}},
	}}
	l := login{calls: []call{
		{endpoint: "/login", body: `{"u":"a"}`},
		{method: "PUT", endpoint: "/tickets/{{.ticket}}?t={{.ticket}}", headers: `{"X-S":"{{$headers[\"X-Session\"]}}{{$headers[\"x-session\"]}}"}`, query: `{"q":"{{$answers[0].ticket}}"}`, body: `{"t":["{{.ticket}}"],"c":"{{$cookies.SID}}"}`},
		{endpoint: "/form", form: "t={{$answers[0].ticket}}&n=1"},
	}, template: `{"headers":{"Authorization":"Bearer {{.access_token}}","Cookie":"SID={{$cookies.SID}}; B={{$cookies.B}}","X-K":"{{$answers[0].ticket}}"}}`}
	req, err := apply(t.Context(), l.open(t, env(t, as)), http.MethodGet, "", "")
	if err != nil {
		t.Fatal(err)
	}
	second := as.seen[1]
	got := []string{second.Method + " " + second.URL.String(), second.Header.Get("X-S"), as.bodies[1], as.bodies[2],
		req.Header.Get("Authorization"), req.Header.Get("Cookie"), req.Header.Get("X-K")}
	want := []string{"PUT https://sys.example/tickets/K%2F%20%261?t=K%2F%20%261&q=K%2F+%261", "S1S1", `{"c":"c1","t":["K/ &1"]}`, "t=K%2F%20%261&n=1",
		"Bearer T", "SID=c1; B=b2", "K/ &1"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

// RFC 9110, section 5.1: names of headers have no case, whatever jq thinks of them.
func TestHeadersOfAnAnswerAreFoundInAnySpelling(t *testing.T) {
	for _, asked := range []string{`$headers["X-CSRF-Token"]`, `$headers["x-csrf-token"]`, `$headers."X-CSRF-TOKEN"`, `$headers['X-CSRF-Token']`,
		`$headers["X-Csrf-Token"] | ascii_downcase`, `$headers.Location // $headers["X-CSRF-token"]`} {
		as := &endpoint{answers: []answer{{status: 204, header: http.Header{"X-Csrf-Token": {"t1"}}}}}
		req, err := apply(t.Context(), login{template: `{"headers":{"X-T":` + quoted("{{"+asked+"}}") + `}}`}.open(t, env(t, as)), http.MethodGet, "", "")
		if err != nil || req.Header.Get("X-T") != "t1" {
			t.Errorf("%s: got %v, want t1", asked, err)
		}
	}
	_, err := get(t.Context(), login{template: `{"headers":{"X-T":"{{$headers.gone}}"}}`}.open(t,
		env(t, &endpoint{answers: []answer{{header: http.Header{"X-Csrf-Token": {"t1"}, "Date": {"now"}}, body: `{"a":1}`}}})))
	if err == nil || !strings.Contains(err.Error(), "{{$headers.gone}}: the answer has no such value; its headers are Date, X-Csrf-Token") {
		t.Errorf("got %v, want the names of the headers", err)
	}
}

func TestLaterCallThatLacksAValueIsNotSent(t *testing.T) {
	as := says(`{"a":1}`)
	_, err := get(t.Context(), login{calls: []call{{endpoint: "/one"}, {endpoint: "/two", body: `{"t":{"x":"{{.ticket}}"}}`}}}.open(t, env(t, as)))
	want := "token endpoint https://sys.example/two: customAuthRequest[1]: body.t.x: {{.ticket}}: the answer has no such value; its keys are a"
	if err == nil || err.Error() != want || as.calls() != 1 {
		t.Errorf("got  %v after %d calls\nwant %s after 1", err, as.calls(), want)
	}
}

// A server's answer cannot lead secrets to another host.
func TestAnswerCannotChooseWhereALaterCallGoes(t *testing.T) {
	as := says(`{"url":"https://evil.example/x","h":"evil.example"}`)
	_, _ = get(t.Context(), login{calls: []call{{endpoint: "/one"}, {endpoint: "{{.url}}"}}}.open(t, env(t, as)))
	for _, req := range as.seen {
		if req.URL.Host != "sys.example" {
			t.Errorf("a call went to %s, want sys.example only", req.URL.Host)
		}
	}
}

// A session login may answer with nothing but a cookie.
func TestAnswerMayBeEmptyWhereOnlyHeadersAndCookiesAreAsked(t *testing.T) {
	session := answer{status: 204, header: http.Header{"Set-Cookie": {"SID=c1"}}}
	as := &endpoint{answers: []answer{session}}
	req, err := apply(t.Context(), login{template: `{"headers":{"Cookie":"SID={{$cookies.SID}}"}}`}.open(t, env(t, as)), http.MethodGet, "", "")
	if err != nil || req.Header.Get("Cookie") != "SID=c1" {
		t.Errorf("got %v, want SID=c1", err)
	}
	for name, template := range map[string]string{"a path": `{"headers":{"A":"{{.a}}"}}`, "nothing": `{"headers":{"A":"x"}}`, "an answer": `{"headers":{"A":"{{$answers[0].a}}"}}`} {
		if _, err := get(t.Context(), login{template: template}.open(t, env(t, &endpoint{answers: []answer{session}}))); err == nil {
			t.Errorf("%s is asked for: got no error, want one", name)
		}
	}
	_, err = get(t.Context(), login{template: `{"headers":{"Cookie":"{{$cookies.OTHER}}"}}`}.open(t, env(t, &endpoint{answers: []answer{session}})))
	if err == nil || !strings.Contains(err.Error(), "{{$cookies.OTHER}}: the answer has no such value; the cookies are SID") {
		t.Errorf("got %v, want an error about the cookie", err)
	}
}

// A template without expressions logs in all the same, as for a session that is known by its address.
func TestTemplateWithoutExpressionsIsACredentialToo(t *testing.T) {
	for _, template := range []string{`{"headers":{"X-T":"9"}}`, `{"headers":{"X-T":"9{{.empty}}"}}`, `{"headers":{"X-T":"{{.nine}}{{.empty}}"}}`} {
		as := says(`{"empty":"","nine":9}`)
		e := env(t, as)
		e.Cache = &memory.Store{}
		for range 2 { // the second finds it in the cache
			e.Tokens = new(auth.Tokens)
			req, err := apply(t.Context(), login{template: template}.open(t, e), http.MethodGet, "", "")
			if err != nil || req.Header.Get("X-T") != "9" {
				t.Fatalf("%s: got %v, want X-T: 9", template, err)
			}
			if err := e.Tokens.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if as.calls() != 1 {
			t.Errorf("%s: %d auth calls, want 1", template, as.calls())
		}
	}
}

func TestEchoedSecretsAreInNoError(t *testing.T) {
	secret := authtest.Marker()
	as := &endpoint{answers: []answer{{body: fmt.Sprintf(`{%q:1}`, secret)}}}
	_, err := get(t.Context(), login{calls: []call{{endpoint: "/t", body: `{"password":"` + secret + `"}`}}}.open(t, env(t, as)))
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v, want an error without the password", err)
	}
}

// An answer fills places; it does not choose where a later call goes.
func TestAnswerDoesNotSteerLaterCalls(t *testing.T) {
	for _, c := range []struct{ endpoint, id, path string }{
		{"/users/{{.id}}/sessions", "7", "/users/7/sessions"}, {"/users/{{.id}}", "a/../b", "/users/a%2F..%2Fb"}, {"/v{{.id}}/t", "", "/v/t"},
		{"/t?x={{.id}}", "..", "/t"}, {"/t#{{.id}}", "..", "/t"}, {"/t?x=/{{.id}}/y", "", "/t"}, {"/x/{{.id}}.json", ".", "/x/..json"}, {"/users/{{.id}}", "%2e%2e", "/users/%252e%252e"},
		{"/users/{{.id}}/sessions", "..", ""}, {"/users/{{.id}}/sessions", ".", ""}, {"/users/{{.id}}/sessions", "", ""}, {"/users/{{.id}}", "..", ""}, {"/users/{{.id}}", "", ""},
		{"/{{.id}}/t", "..", ""}, {"/x/.{{.id}}/t", ".", ""}, {"/x/%2e{{.id}}", ".", ""}, {"https://sys.example/{{.id}}", "..", ""}, {"/x/{{.id}}{{.id}}", ".", ""}, {"/x/{{.id}}?a=b", "", ""},
	} {
		as := says(`{"id":` + quoted(c.id) + `}`)
		_, err := get(t.Context(), login{calls: []call{{endpoint: "/one"}, {endpoint: c.endpoint}}, template: `{"headers":{"X":"1"}}`}.open(t, env(t, as)))
		if c.path == "" {
			if err == nil || as.calls() != 1 || !strings.Contains(err.Error(), "endpoint: a value is empty, . or ..") {
				t.Errorf("%s with %q: got %v after %d calls, want an error after one", c.endpoint, c.id, err, as.calls())
			}
			continue
		}
		if err != nil || as.seen[1].URL.EscapedPath() != c.path {
			t.Errorf("%s with %q: got %v, %v, want %s", c.endpoint, c.id, as.seen[len(as.seen)-1].URL, err, c.path)
		}
	}
	if _, faults := parseCall(t, "https://sys.example", call{endpoint: "/t", headers: `{"hoSt":"{{.h}}.example"}`}, true); len(faults) != 1 || faults[0].Pointer != "/headers/hoSt" {
		t.Errorf("a Host from an answer: got %v, want one fault", faults)
	}
	if _, faults := parseCall(t, "https://sys.example", call{endpoint: "/t", headers: `{"Host":"a.example"}`}, true); faults != nil {
		t.Errorf("a Host that is written out: got %v", faults)
	}
}

// RFC 6265, section 5.3: a cookie with an end that is past is deleted.
func TestDeletedCookiesAreNoValues(t *testing.T) {
	for _, cookie := range []string{"SID=; Max-Age=0", "SID=deleted; Max-Age=-1", "SID=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT"} {
		as := &endpoint{answers: []answer{{header: http.Header{"Set-Cookie": {"SID=s1", "KEEP=k; Max-Age=60"}}, body: `{"a":1}`}, {header: http.Header{"Set-Cookie": {cookie}}, body: `{"a":1}`}}}
		l := login{calls: []call{{endpoint: "/one"}, {endpoint: "/two"}}, template: `{"headers":{"Cookie":"{{$cookies.SID}}"}}`}
		if _, err := get(t.Context(), l.open(t, env(t, as))); err == nil || !strings.Contains(err.Error(), "the cookies are KEEP") {
			t.Errorf("%s: got %v, want no such cookie", cookie, err)
		}
	}
	as := &endpoint{answers: []answer{{header: http.Header{"Set-Cookie": {"SID=s1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60"}}, body: `{"a":1}`}}}
	if got, err := get(t.Context(), login{template: `{"headers":{"Authorization":"{{$cookies.SID}}"}}`}.open(t, env(t, as))); err != nil || got != "s1" {
		t.Errorf("Max-Age comes before Expires: got %v", err)
	}
}
