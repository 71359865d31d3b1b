package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// echo answers with what arrived, as HTTP text without the credential's value.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "%s %s\n", r.Method, r.RequestURI)
	_ = r.Header.Write(w)
	_, _ = fmt.Fprintf(w, "\n%s", body)
})

func TestProxyAddsTheCredentialAndPassesTheRest(t *testing.T) {
	p := (&proxied{system: echo, path: "/base"}).start(t)
	res, body := p.do(t, http.MethodPost, "/a%2Fb/c%20d?x=1&y=%zz;2", "hello", http.Header{"X-Own": {"1", "2"}, "Content-Type": {"text/plain"}})
	want := []string{"POST /base/a%2Fb/c%20d?x=1&y=%zz;2\n", "X-Own: 1\r\nX-Own: 2\r\n", "Authorization: Bearer " + p.login.Issued()[0],
		"Content-Type: text/plain\r\n", "\nhello", "X-Request-Id: " + res.Header.Get("X-Request-Id")}
	for _, part := range want {
		if !strings.Contains(body, part) {
			t.Errorf("the system got %q, want %q in it", body, part)
		}
	}
	if res.StatusCode != 200 || len(res.Header["X-Request-Id"]) != 1 {
		t.Errorf("got status %d and request ids %v, want 200 and one", res.StatusCode, res.Header["X-Request-Id"])
	}
}

func TestProxyKeepsWhatCallersMayNotSend(t *testing.T) {
	p := (&proxied{system: echo, auth: fixed("header.headers.X-Api-Key", "{token}")}).start(t)
	inbound := http.Header{}
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization", "Proxy-Anything", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded",
		"X-Real-Ip", "X-Api-Key", "X_api_key", "x_forwarded_for", "Keep-Alive", "X-Named", "X-Original-Url", "Upgrade", "Http2-Settings"} {
		inbound[name] = []string{"evil"}
	}
	inbound["Connection"] = []string{"X-Named, X-Api-Key, upgrade"}
	inbound["X-Own"] = []string{"mine"}
	_, body := p.do(t, http.MethodGet, "/", "", inbound)
	if strings.Contains(body, "evil") {
		t.Errorf("the system got what only we may say:\n%s", body)
	}
	for _, part := range []string{"X-Api-Key: sesame-4711", "X-Own: mine"} {
		if !strings.Contains(body, part) {
			t.Errorf("the system got %q, want %q in it", body, part)
		}
	}
}

func TestProxyRemovesTheCallersOwnCredentialParameters(t *testing.T) {
	p := (&proxied{system: echo, auth: fixed("query.api_key", "{token}")}).start(t)
	_, body := p.do(t, http.MethodGet, "/x?a=1&api_key=evil&%61pi_key=evil&api_key[]=evil;api_key=evil&+api_key=evil&b=2", "", nil)
	if line, _, _ := strings.Cut(body, "\n"); line != "GET /x?a=1&b=2&api_key=sesame-4711" {
		t.Errorf("got %q, want only the credential's own parameter", line)
	}
}

func TestProxyHidesTheSystemsCookiesUnlessToldOtherwise(t *testing.T) {
	system := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("Strict-Transport-Security", "max-age=1")
		w.Header().Set("Connection", "X-Hop, X-Request-Id")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("X-Request-Id", "the system's")
	})
	for _, keep := range []bool{false, true} {
		p := (&proxied{system: system, set: func(c *Config) { c.SetCookie = map[string]bool{"acme": keep} }}).start(t)
		res, _ := p.do(t, http.MethodGet, "/", "", nil)
		if got := res.Header.Get("Set-Cookie") != ""; got != keep {
			t.Errorf("set_cookie %t: the cookie arrived: %t", keep, got)
		}
		if h := res.Header; h.Get("Strict-Transport-Security") != "" || h.Get("X-Hop") != "" || len(h["X-Request-Id"]) != 1 || h.Get("X-Request-Id") == "the system's" {
			t.Errorf("got headers %v, want none that speak for the system's origin or connection", h)
		}
	}
}

func TestProxySendsAgainAfterARefusal(t *testing.T) {
	for _, size := range []int{0, 1, 64 << 10} {
		p := (&proxied{system: echo}).start(t)
		p.do(t, http.MethodGet, "/", "", nil)
		p.login.Revoke()
		body := strings.Repeat("x", size)
		res, got := p.do(t, http.MethodPost, "/", body, nil)
		if res.StatusCode != 200 || !strings.HasSuffix(got, "\n"+body) || p.login.Requests() != 2 {
			t.Errorf("%d bytes: got %d after %d logins, want 200 and the body again after 2", size, res.StatusCode, p.login.Requests())
		}
	}
}

func TestProxySendsAStreamAgainThatFitted(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	p.do(t, http.MethodGet, "/", "", nil)
	p.login.Revoke()
	_, r := p.raw(t, "POST /proxy/acme/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
	got, _ := io.ReadAll(r)
	if !strings.HasPrefix(string(got), "HTTP/1.1 200") || !strings.Contains(string(got), "\nhello") {
		t.Errorf("got %q, want 200 and hello", got)
	}
}

func TestProxyTellsOfARefusalThatItCannotMendNow(t *testing.T) {
	p := (&proxied{system: echo, patient: true, set: func(c *Config) { c.Limits.ReplayBytes = 10 }}).start(t)
	p.do(t, http.MethodGet, "/", "", nil)
	p.login.Revoke()
	res, body := p.do(t, http.MethodPost, "/", strings.Repeat("x", 1<<20), nil)
	if res.StatusCode != 502 || code(body) != "upstream-auth-refused" || !strings.Contains(body, `"retryable":true`) || !strings.Contains(body, "10 bytes") {
		t.Errorf("got %d %s, want a retryable upstream-auth-refused that names the limit", res.StatusCode, body)
	}
	if res, body := p.do(t, http.MethodPost, "/", strings.Repeat("x", 1<<20), nil); res.StatusCode != 200 {
		t.Errorf("the next request: got %d %.200s, want 200 with the new token", res.StatusCode, body)
	}
}

func TestProxyDoesNotPassARefusalOn(t *testing.T) {
	for _, status := range []int{401, 407} {
		refuses := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="system"`)
			w.Header().Set("Proxy-Authenticate", `Basic realm="system"`)
			http.Error(w, "quoting sesame-4711", status)
		})
		for name, login := range map[string]block{"renewable": nil, "fixed": fixed("header.headers.X-Api-Key", "{token}")} {
			p := (&proxied{system: refuses, auth: login}).start(t)
			res, body := p.do(t, http.MethodGet, "/", "", nil)
			if res.StatusCode != 502 || code(body) != "upstream-auth-refused" || strings.Contains(body, "sesame") || res.Header.Get("Www-Authenticate") != "" || res.Header.Get("Proxy-Authenticate") != "" {
				t.Errorf("%s, %d: got %d %v %s, want upstream-auth-refused and nothing of the system's", name, status, res.StatusCode, res.Header, body)
			}
		}
	}
}

func TestProxyRewritesRedirectsOfTheSystem(t *testing.T) {
	for _, tt := range []struct{ location, want string }{
		{"{system}/base/next?x=1&api_key=sesame-4711#f", "/proxy/acme/next?x=1#f"},
		{"/base/a%2Fb", "/proxy/acme/a%2Fb"},
		{"next", "/proxy/acme/dir/next"},
		{"/base", "/proxy/acme"},
		{"/elsewhere", "{system}/elsewhere"},
		{"/baseline", "{system}/baseline"},
		{"https://other.example/x?y=1", "https://other.example/x?y=1"},
		{"//other.example/x", "http://other.example/x"},
		{"https://other.example/back?api_key=sesame-4711", "https://other.example/back"},
		{"http://[::", "/proxy/acme/"},
	} {
		var p *proxied
		p = &proxied{auth: fixed("query.api_key", "{token}"), system: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Location"] = []string{strings.ReplaceAll(tt.location, "{system}", p.behind.URL)}
			w.WriteHeader(http.StatusFound)
		})}
		p.start(t)
		d := p.gateway.current.Load().doors["acme"]
		d.base.Path, d.base.RawPath = "/base", "/base"
		res, _ := p.do(t, http.MethodGet, "/dir/page", "", nil)
		if got, want := res.Header.Get("Location"), strings.ReplaceAll(tt.want, "{system}", p.behind.URL); res.StatusCode != 302 || got != want {
			t.Errorf("%s: got %d %q, want 302 %q", tt.location, res.StatusCode, got, want)
		}
		if p.calls.Load() != 1 {
			t.Errorf("%s: the system was called %d times, want the redirect left to the caller", tt.location, p.calls.Load())
		}
	}
}

func TestProxyPassesTrailersBothWays(t *testing.T) {
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Sum", r.Trailer.Get("X-Count")+" "+fmt.Sprint(slices.Contains(r.Header["Te"], "trailers")))
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
		if r.Trailer.Get("Authorization") != "" {
			t.Error("a credential went out as a trailer")
		}
	})}).start(t)
	_, r := p.raw(t, "POST /proxy/acme/ HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Count, Authorization\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"2\r\nhi\r\n0\r\nX-Count: 2\r\nAuthorization: evil\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if string(body) != "hi" || err != nil || res.Trailer.Get("X-Sum") != "2 true" || res.Trailer.Get("X-Late") != "late" {
		t.Errorf("got %q %v and trailers %v, want hi, X-Sum 2 and X-Late", body, err, res.Trailer)
	}
}
