package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/internal/project"
)

// get sends a path as it is and returns the status, the answer, and what the system got.
func (p *proxied) get(t testing.TB, target string) (int, string) {
	t.Helper()
	_, r := p.raw(t, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer caller-key\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

func TestPathsThatCouldLeadElsewhereGoNowhere(t *testing.T) {
	p := (&proxied{system: echo, path: "/base"}).start(t)
	for _, path := range []string{
		"/..", "/../x", "/a/../b", "/a/..", "/./x", "/a/.", "/.%2e/x", "/%2e./x", "/%2E%2e/x", "/%2e%2e", "/%252e%252e/x", "/%25252e./x",
		"/..%2fx", "/..%2Fx", "/a%2f..%2fb", "/a%2F%2e%2e", "/%2e%2e%2fx", "/a%252f..%252fb", "/..%5cx", "/a%5cb", "/..;/x", "/..;v=1/x", "/.;/x", "/%2e%2e%3b/x",
		"/..%3fx", "/..%23x", "/..%20/x", "/a%00b", "/a%0d%0aX-Evil:1", "/a%0ab", "/a%7f", "/a%09b", "/a%250ab", "/%c0%ae%c0%ae/x", "/%e0%80%ae./x", "/a%c0%afb", "/%c1%9cx",
		"/a\\b", "/..\\x", "//..//x", "/%25252525252e", "/a%2Fb/..\"/../x", "/%2F..", "/%2F..%2f",
	} {
		status, body := p.get(t, "/proxy/acme"+path)
		if status != 400 || code(body) != "bad-path" {
			t.Errorf("%s: got %d %s, want bad-path", path, status, body)
		}
	}
	if n := p.calls.Load(); n != 0 {
		t.Errorf("the system was called %d times", n)
	}
}

func TestPathsGoOutAsTheyCame(t *testing.T) {
	p := (&proxied{system: echo, path: "/base"}).start(t)
	for path, want := range map[string]string{
		"":                    "/base",
		"/":                   "/base/",
		"/a//b":               "/base/a//b",
		"//host.example/x":    "/base/host.example/x",
		"/a%2Fb%2fc":          "/base/a%2Fb%2fc",
		"/.well-known/x":      "/base/.well-known/x",
		"/a..b/..c/...":       "/base/a..b/..c/...",
		"/100%25/%C3%A4%e9":   "/base/100%25/%C3%A4%e9",
		"/a;v=1/(b)'!*":       "/base/a;v=1/(b)'!*",
		"/a|b":                "/base/a%7Cb",
		"/a%2Fb|c":            "/base/a%2Fb%7Cc",
		"/x?":                 "/base/x?",
		"/x?y=../..&z=%2e%2e": "/base/x?y=../..&z=%2e%2e",
		"/%41?a=b%zz":         "/base/%41?a=b%zz",
	} {
		_, body := p.get(t, "/proxy/acme"+path)
		if line, _, _ := strings.Cut(body, "\n"); line != "GET "+want {
			t.Errorf("%s: the system got %q, want %s", path, line, want)
		}
	}
}

func TestAdapterNamesLeadNowhereElse(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	for _, target := range []string{"/proxy/", "/proxy/nope/x", "/proxy/../acme/x", "/proxy/acme%2f..%2fx", "/proxy/acme%0d%0aX:%20y/x", "/proxy/%61cme%00/x", "/proxy//acme/x", "/proxy/ACME/x"} {
		if status, body := p.get(t, target); status != 404 || code(body) != "no-adapter" || strings.Contains(body, "\r") {
			t.Errorf("%s: got %d %s, want no-adapter", target, status, body)
		}
	}
	if status, body := p.get(t, "/proxy/%61cme/x"); status != 200 {
		t.Errorf("an encoded letter: got %d %s, want 200", status, body)
	}
}

// callerWith lets one caller do what the rules say.
func callerWith(t testing.TB, rules ...string) func(*Config) {
	t.Helper()
	sum := sha256.Sum256([]byte("caller-key"))
	callers, err := NewCallers([]project.Caller{{Name: "reports", KeySHA256: project.Texts{hex.EncodeToString(sum[:])}, Allow: rules}}, project.OIDC{}, Targets{})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Callers = callers }
}

func TestAllowRulesHoldForWhatGoesOut(t *testing.T) {
	p := (&proxied{system: echo, set: callerWith(t, "acme/GET /v1/pub/*", "acme/GET /one", "acme/GET /v1/*/name")}).start(t)
	for target, want := range map[string]int{
		"/proxy/acme/v1/pub/x":         200,
		"/proxy/acme/v1/pub/a%2Fb":     200,
		"/proxy/acme//v1/pub/x":        200, // goes out as /v1/pub/x
		"/proxy/acme/one":              200,
		"/proxy/acme/%6fne":            200,
		"/proxy/acme/one/":             403,
		"/proxy/acme/v1/secret":        403,
		"/proxy/acme/v1%2Fpub%2Fx":     403, // a name at the root, for some servers
		"/proxy/acme/v1//name":         403, // /v1/name, for some servers
		"/proxy/acme/v1/%2570ub/x":     403,
		"/proxy/acme/v1/pub/../secret": 400,
		"/proxy/other/v1/pub/x":        403,
		"/proxy/nope/x":                403,
	} {
		if status, body := p.get(t, target); status != want {
			t.Errorf("%s: got %d %s, want %d", target, status, body, want)
		}
	}
	key := http.Header{"Authorization": {"Bearer caller-key"}}
	if res, body := p.do(t, http.MethodPost, "/one", "", key); res.StatusCode != 403 || code(body) != "forbidden" {
		t.Errorf("another method: got %d %s, want forbidden", res.StatusCode, body)
	}
	for _, header := range methodOverrides {
		if res, body := p.do(t, http.MethodGet, "/one", "", http.Header{"Authorization": key["Authorization"], header: {"delete"}}); res.StatusCode != 403 {
			t.Errorf("%s: got %d %s, want forbidden", header, res.StatusCode, body)
		}
	}
}

func TestTraceDoesNotQuoteTheCredential(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	if res, body := p.do(t, http.MethodTrace, "/", "", nil); res.StatusCode != 405 || code(body) != "bad-method" || res.Header.Get("Allow") == "" || p.calls.Load() != 0 {
		t.Errorf("got %d %s after %d calls, want bad-method and none", res.StatusCode, body, p.calls.Load())
	}
}

// TestSmuggledRequestsEndAtTheDoor sends requests that two servers could read in two ways. None of
// them may reach the system as two.
func TestSmuggledRequestsEndAtTheDoor(t *testing.T) {
	const head, evil = "POST /proxy/acme/one HTTP/1.1\r\nHost: localhost\r\n", "GET /proxy/acme/evil HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, request := range map[string]string{
		"CL and CL":              head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + evil,
		"CL list":                head + "Content-Length: 5, 6\r\n\r\nhello" + evil,
		"CL with sign":           head + "Content-Length: +5\r\n\r\nhello" + evil,
		"TE unknown":             head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + evil,
		"TE twice":               head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + evil,
		"TE list":                head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + evil,
		"space before the colon": head + "Content-Length : 5\r\n\r\nhello" + evil,
		"folded header":          head + "X-A: b\r\n Content-Length: 5\r\nTransfer-Encoding: chunked\r\n X: y\r\n\r\n0\r\n\r\n" + evil,
		"no host":                "POST /proxy/acme/one HTTP/1.1\r\n\r\n" + evil,
		"two hosts":              head + "Host: h\r\n\r\n" + evil,
		"NUL in a header":        head + "X-A: a\x00b\r\n\r\n" + evil,
		"CR in a header":         head + "X-A: a\rContent-Length: 5\r\n\r\nhello" + evil,
		"chunk size with sign":   head + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n" + evil,
		"chunk size with 0x":     head + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n" + evil,
		"huge chunk size":        head + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n" + evil,
		"chunk without CRLF":     head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n" + evil,
		"bare LF in a chunk":     head + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n" + evil,
		"bare LF in extension":   head + "Transfer-Encoding: chunked\r\n\r\n5;\nxx\r\nhello\r\n0\r\n\r\n" + evil,
	} {
		t.Run(name, func(t *testing.T) {
			var paths sync.Map
			p := (&proxied{system: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				paths.Store(fmt.Sprint(r.URL.Path, " ", err), true)
			})}).start(t)
			conn, r := p.raw(t, request)
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			answer, _ := io.ReadAll(r)
			if !bytes.HasPrefix(answer, []byte("HTTP/1.1 4")) && !bytes.HasPrefix(answer, []byte("HTTP/1.1 501")) || bytes.Count(answer, []byte("HTTP/1.1 ")) != 1 {
				t.Errorf("got %q, want one refusal", answer)
			}
			paths.Range(func(path, _ any) bool {
				if path == "/one <nil>" || strings.Contains(path.(string), "evil") {
					t.Errorf("the system got %s", path)
				}
				return true
			})
		})
	}
}

// TestLengthBesideChunksIsNotBelieved: RFC 9112, section 6.3 lets a server go by the chunks, which
// is what goes out; the length is gone then.
func TestLengthBesideChunksIsNotBelieved(t *testing.T) {
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%d %q %q", r.ContentLength, r.TransferEncoding, body)
	})}).start(t)
	conn, r := p.raw(t, "POST /proxy/acme/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
	defer func() { _ = conn.Close() }()
	got, _ := io.ReadAll(r)
	if refused := bytes.HasPrefix(got, []byte("HTTP/1.1 400")); !refused && !bytes.Contains(got, []byte(`-1 ["chunked"] "hello"`)) {
		t.Errorf("got %q, want 400 or the chunks alone", got)
	}
}

// TestChunksOfHTTP10EndTheConnection: what follows the headers is neither a body nor a request.
func TestChunksOfHTTP10EndTheConnection(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	_, r := p.raw(t, "POST /proxy/acme/one HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"0\r\n\r\nGET /proxy/acme/evil HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	got, _ := io.ReadAll(r)
	if p.calls.Load() > 1 || bytes.Contains(got, []byte("evil")) {
		t.Errorf("the system was called %d times: %q", p.calls.Load(), got)
	}
}

func TestBombsInAnswerHeadersAreBounded(t *testing.T) {
	for name, answer := range map[string]func(io.Writer){
		"one header": func(w io.Writer) {
			_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nX-Bomb: ")
			_, _ = io.Copy(w, zerosAs('x', 100<<20))
		},
		"many headers": func(w io.Writer) {
			_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\n")
			line := bytes.Repeat([]byte("X-Bomb: 0123456789\r\n"), 1000)
			for range 5000 {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		},
		"endless 1xx": func(w io.Writer) {
			for range 1 << 20 {
				if _, err := io.WriteString(w, "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"); err != nil {
					return
				}
			}
		},
	} {
		p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			answer(conn)
			_ = conn.Close()
		})}).start(t)
		if res, body := p.do(t, http.MethodPost, "/", "x", nil); res.StatusCode != 502 || code(body) != "upstream-unreachable" || len(body) > 2000 {
			t.Errorf("%s: got %d %.300s, want upstream-unreachable", name, res.StatusCode, body)
		}
	}
}

func zerosAs(c byte, n int64) io.Reader { return io.LimitReader(repeated(c), n) }

type repeated byte

func (c repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func TestAnswersThatAreNotHTTPDoNotPass(t *testing.T) {
	for _, answer := range []string{"", "sesame\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "HTTP/1.1 200 OK\r\nbad header sesame\r\n\r\n"} {
		p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		})}).start(t)
		if res, body := p.do(t, http.MethodPost, "/", "x", nil); res.StatusCode != 502 || code(body) != "upstream-unreachable" || strings.Contains(body, "sesame") {
			t.Errorf("%q: got %d %s, want upstream-unreachable that does not quote it", answer, res.StatusCode, body)
		}
	}
}

func TestThousandCallersOfARefusedLoginAreToldAtOnce(t *testing.T) {
	now := time.Now()
	p := &proxied{system: echo}
	p.options.Now = func() time.Time { return now } // the pause after a refusal does not end
	p.start(t)
	p.login.Set(authtest.Script{Refuse: "invalid_client", Status: 401, Delay: 50 * time.Millisecond})
	var told atomic.Int64
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			w := httptest.NewRecorder()
			p.gateway.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/proxy/acme/x", nil))
			if w.Code == 502 && code(w.Body.String()) == "login-refused" {
				told.Add(1)
			}
		})
	}
	wg.Wait()
	if told.Load() != 1000 || p.login.Requests() != 1 || p.calls.Load() != 0 {
		t.Errorf("%d of 1000 were told, after %d token requests and %d calls, want 1000, 1 and 0", told.Load(), p.login.Requests(), p.calls.Load())
	}
}

func TestErrorsDoNotQuoteTheQuery(t *testing.T) {
	p := (&proxied{auth: fixed("query.api_key", "{token}")}).start(t)
	p.behind.Close()
	res, body := p.do(t, http.MethodGet, "/x?password=hunter2", "", nil)
	if res.StatusCode != 502 || code(body) != "upstream-unreachable" || strings.Contains(body, "hunter2") || strings.Contains(body, "sesame") {
		t.Errorf("got %d %s, want upstream-unreachable without the query", res.StatusCode, body)
	}
}

func TestHostAndSchemeAreTheSystems(t *testing.T) {
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host+" "+r.RequestURI) })}).start(t)
	system, _ := url.Parse(p.behind.URL)
	for _, line := range []string{"GET /proxy/acme/x", "GET http://10.1.1.1/proxy/acme/x"} {
		_, r := p.raw(t, line+" HTTP/1.1\r\nHost: 10.9.8.7\r\nConnection: close\r\n\r\n")
		got, _ := io.ReadAll(r)
		if !strings.HasSuffix(string(got), system.Host+" /x") {
			t.Errorf("%s: got %q, want the system's own host", line, got)
		}
	}
}

func TestCredentialsInTheBodyNeedOneThatIsReadWhole(t *testing.T) {
	p := (&proxied{system: echo, auth: fixed("body.key", "{token}")}).start(t)
	json := http.Header{"Content-Type": {"application/json"}}
	if _, body := p.do(t, http.MethodPost, "/", `{"key":"evil","a":1}`, json); !strings.HasSuffix(body, `{"a":1,"key":"sesame-4711"}`) {
		t.Errorf("got %s, want the credential in place of the caller's", body)
	}
	if res, body := p.do(t, http.MethodPost, "/", `plain`, http.Header{"Content-Type": {"text/plain"}}); res.StatusCode != 400 || code(body) != "no-place-for-credential" {
		t.Errorf("got %d %s, want no-place-for-credential", res.StatusCode, body)
	}
}

// Without callers a browser on this machine is everybody's: no web page may make it call.
func TestWebPagesDoNotCallAnOpenGateway(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	for name, header := range map[string]string{
		"a name that was made to lead here": "Host: evil.example",
		"the same, with a port":             "Host: evil.example:8733",
		"a form of another origin":          "Host: localhost\r\nOrigin: https://evil.example",
		"a picture of another site":         "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site",
		"a neighbour of ours":               "Host: localhost\r\nSec-Fetch-Site: same-site",
	} {
		_, r := p.raw(t, "POST /proxy/acme/x HTTP/1.1\r\n"+header+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		if status, _ := r.ReadString('\n'); !strings.Contains(status, " 403 ") {
			t.Errorf("%s: got %s, want 403", name, status)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8733", "10.1.2.3"} {
		_, r := p.raw(t, "POST /proxy/acme/x HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		if status, _ := r.ReadString('\n'); !strings.Contains(status, " 200 ") {
			t.Errorf("%s: got %s, want 200", host, status)
		}
	}
}

// A WebSocket opens with a GET, and no browser asks before it does.
func TestWebPagesOpenNoSocket(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	for _, origin := range []string{"Origin: https://evil.example", "Origin: null", "Origin: http://127.0.0.1:1", "Origin: http://localhost\r\nOrigin: https://evil.example"} {
		_, r := p.raw(t, "GET /proxy/acme/ws HTTP/1.1\r\nHost: localhost\r\n"+origin+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n")
		if status, _ := r.ReadString('\n'); !strings.Contains(status, " 403 ") {
			t.Errorf("%s: got %s, want 403", origin, status)
		}
	}
}

func TestRulesSeeWhatAServerMayMakeOfTheRequest(t *testing.T) {
	p := (&proxied{system: echo, set: callerWith(t, "acme/GET /v1/*.json")}).start(t)
	for target, want := range map[string]int{
		"/v1/a.json": 200, "/v1/secret": 403, "/v1/secret;x.json": 403, "/v1/secret%3bx.json": 403, "/v1/a.json?_method=DELETE": 403,
		"/v1/a.json?_m%65thod=DELETE": 403, "/v1/a.json?x=1;_method=DELETE": 403, "/v1/a.json?.METHOD=D%45LETE": 403,
		"/v1/a.json?_method[]=DELETE": 403, "/v1/a.json?_method=GET": 200, "/v1/a.json?the_method=DELETE": 200,
	} {
		if status, body := p.get(t, "/proxy/acme"+target); status != want {
			t.Errorf("%s: got %d %s, want %d", target, status, body, want)
		}
	}
	for _, header := range []string{"X-HTTP-Method-Override", "X_HTTP_Method_Override", "x_method"} {
		_, r := p.raw(t, "GET /proxy/acme/v1/a.json HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer caller-key\r\nConnection: close\r\n"+header+": DELETE\r\n\r\n")
		if status, _ := r.ReadString('\n'); !strings.Contains(status, " 403 ") {
			t.Errorf("%s: got %s, want 403", header, status)
		}
	}
}
