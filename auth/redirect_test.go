package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
)

// web answers for every host name on one listener, and keeps what each was sent.
type web struct {
	*httptest.Server
	port    string
	mu      sync.Mutex
	arrived map[string][]string // by host, with its port
	next    map[string]redirect // by host and path
}

type redirect struct {
	status int
	to     string
}

func newWeb(t *testing.T) *web {
	w := &web{arrived: map[string][]string{}, next: map[string]redirect{}}
	w.Server = httptest.NewServer(w)
	t.Cleanup(w.Close)
	_, w.port, _ = net.SplitHostPort(w.Listener.Addr().String())
	return w
}

func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived[r.Host] = append(w.arrived[r.Host], fmt.Sprintf("%s %s %v %s", r.Method, r.RequestURI, r.Header, body))
	if next, found := w.next[r.Host+r.URL.Path]; found {
		rw.Header().Set("Location", next.to)
		rw.WriteHeader(next.status)
	}
}

// client sends to any name and port by the one listener, with the token at every place.
func (w *web) client(t *testing.T, token, home string, most int, observe func(auth.Event), fields ...auth.Field) *http.Client {
	t.Helper()
	fixed, err := auth.NewFixed(compile(t, token, fields...), auth.Env{})
	if err != nil {
		t.Fatal(err)
	}
	base := auth.NewBase()
	base.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, w.Listener.Addr().String())
	}
	t.Cleanup(base.CloseIdleConnections)
	return &http.Client{Transport: &auth.Transport{Base: base, Auth: fixed, Origin: auth.OriginOf(parse(t, home))},
		CheckRedirect: auth.Redirects(most, observe)}
}

var everywhere = []auth.Field{
	{Path: "header.headers.Authorization", Format: "Bearer {token}"}, {Path: "header.headers.X-Api-Key", Format: "{token}"},
	{Path: "header.headers.Cookie", Format: "s={token}"}, {Path: "query.access_token", Format: "{token}"},
}

// own puts the caller's own credentials on a request, as well as what may travel.
func own(req *http.Request, token string) {
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie", "Proxy-Authorization", "X-Custom"} {
		req.Header.Set(name, "own-"+token)
	}
	req.Header.Set("Accept", "text/plain")
	req.Header.Set("Referer", "https://a.example/?own="+token)
}

// The 16 rows of security.md, section 1.
func TestCredentialsNeverFollowARedirectElsewhere(t *testing.T) {
	elsewhere := map[string]string{"other port": "http://a.example:8081/in", "other host": "http://b.example/in"}
	for _, status := range []int{302, 303, 307, 308} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for kind, target := range elsewhere {
				t.Run(fmt.Sprintf("%d %s to %s", status, method, kind), func(t *testing.T) {
					w, token := newWeb(t), authtest.Marker()
					w.next["a.example/out"] = redirect{status, target}
					fields := everywhere
					req := get(t, "http://a.example/out?own=1")
					if method == http.MethodPost {
						fields = append([]auth.Field{{Path: "body.client_secret", Format: "{token}"}}, fields...)
						req = post(t, "application/x-www-form-urlencoded", "code=own-"+token)
						req.URL = parse(t, "http://a.example/out?own=1")
						req.Host = ""
					}
					own(req, token)
					res, err := w.client(t, token, "http://a.example", 5, nil, fields...).Do(req)
					home, there := w.arrived["a.example"], w.arrived[parse(t, target).Host]
					if len(home) != 1 || strings.Count(home[0], token) < 4 {
						t.Errorf("home got %d requests, want 1 with every credential", len(home))
					}
					replayed := method == http.MethodPost && status >= 307
					if replayed {
						var refused *auth.RedirectError
						want := "redirect from http://a.example:80 to " + auth.OriginOf(parse(t, target)).String() + " not followed: the request body would leave its origin"
						if !errors.As(err, &refused) || refused.Error() != want || strings.Contains(err.Error(), token) || len(there) != 0 {
							t.Errorf("got %v and %d requests there, want %s and none", err, len(there), want)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					_ = res.Body.Close()
					if len(there) != 1 || strings.Contains(there[0], token) || strings.Contains(there[0], "Referer") {
						t.Errorf("there arrived %q, want one request without credentials and Referer", there)
					}
					if !strings.Contains(there[0], "Accept:[text/plain]") {
						t.Errorf("there arrived %q, want it to say what is accepted", there)
					}
				})
			}
		}
	}
}

func TestCredentialsStayAwayOnLongerChains(t *testing.T) {
	cases := []struct {
		name   string
		hops   []string        // the first is home
		with   map[string]bool // hosts that get credentials
		times  map[string]int
		strays bool // another origin chose the last hop
	}{
		{name: "A to B to B (CVE-2024-45336)", hops: []string{"http://a.example/1", "http://b.example/2", "http://b.example/3"},
			with: map[string]bool{"a.example": true}, times: map[string]int{"a.example": 1, "b.example": 2}},
		{name: "A to sub.A", hops: []string{"http://a.example/1", "http://sub.a.example/2"},
			with: map[string]bool{"a.example": true}, times: map[string]int{"a.example": 1, "sub.a.example": 1}},
		{name: "A to B to A", hops: []string{"http://a.example/1", "http://b.example/2", "http://a.example/3"},
			with: map[string]bool{"a.example": true}, times: map[string]int{"a.example": 2, "b.example": 1}, strays: true},
		{name: "A to A", hops: []string{"http://a.example/1", "http://a.example/2"},
			with: map[string]bool{"a.example": true}, times: map[string]int{"a.example": 2}},
	}
	for i := range 2 * len(cases) {
		c, inPlace := cases[i/2], i%2 == 1
		t.Run(fmt.Sprintf("%s own=%t", c.name, inPlace), func(t *testing.T) {
			w, token := newWeb(t), authtest.Marker()
			for i, hop := range c.hops[1:] {
				from := parse(t, c.hops[i])
				w.next[from.Host+from.Path] = redirect{302, hop}
			}
			var events []auth.Event
			req := get(t, c.hops[0])
			own(req, token)
			client := w.client(t, token, c.hops[0], 5, func(e auth.Event) { events = append(events, e) }, everywhere[:3]...)
			if inPlace {
				client.Transport = client.Transport.(*auth.Transport).Own()
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			for host, times := range c.times {
				if len(w.arrived[host]) != times {
					t.Errorf("%s got %d requests, want %d", host, len(w.arrived[host]), times)
				}
				for i, text := range w.arrived[host] {
					with := c.with[host] && (i == 0 || !c.strays)
					if strings.Contains(text, token) != with || strings.Contains(text, "Referer") && !strings.Contains(text, "/1 ") {
						t.Errorf("%s got %q, want credentials: %t", host, text, with)
					}
				}
			}
			if strings.Contains(fmt.Sprint(events), token) {
				t.Errorf("the events %v show the token", events)
			}
		})
	}
}

func TestRedirectToAnotherSchemeGoesWithoutCredentials(t *testing.T) {
	token := authtest.Marker()
	plain := newWeb(t)
	secure := httptest.NewTLSServer(http.RedirectHandler("http://a.example:"+plain.port+"/in", http.StatusFound))
	defer secure.Close()
	fixed, err := auth.NewFixed(compile(t, token, everywhere...), auth.Env{})
	if err != nil {
		t.Fatal(err)
	}
	base := secure.Client().Transport.(*http.Transport).Clone()
	base.TLSClientConfig.ServerName = "example.com" // the certificate's
	home := "https://a.example:" + plain.port
	secureAddr := secure.Listener.Addr().String()
	first := true
	base.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		to := plain.Listener.Addr().String()
		if first {
			to, first = secureAddr, false
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
	client := &http.Client{Transport: &auth.Transport{Base: base, Auth: fixed, Origin: auth.OriginOf(parse(t, home))}, CheckRedirect: auth.Redirects(1, nil)}
	req := get(t, home+"/out")
	own(req, token)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := plain.arrived["a.example:"+plain.port]; len(got) != 1 || strings.Contains(got[0], token) || strings.Contains(got[0], "Referer") {
		t.Errorf("over http arrived %q, want one request without credentials", got)
	}
}

func TestAtMostSoManyRedirectsAreFollowed(t *testing.T) {
	for most, want := range map[int]struct{ requests, status int }{0: {1, 302}, 1: {2, 302}, 3: {4, 302}, 9: {6, 200}} {
		w := newWeb(t)
		for i := range 5 {
			w.next[fmt.Sprintf("a.example/%d", i)] = redirect{302, fmt.Sprintf("/%d", i+1)}
		}
		res, err := w.client(t, "T", "http://a.example", most, nil, everywhere...).Get("http://a.example/0")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := len(w.arrived["a.example"]); got != want.requests || res.StatusCode != want.status {
			t.Errorf("at most %d: %d requests and status %d, want %d and %d", most, got, res.StatusCode, want.requests, want.status)
		}
	}
}

func TestBodyStaysWithARedirectAtHome(t *testing.T) {
	w := newWeb(t)
	w.next["a.example/1"] = redirect{307, "/2"}
	req := post(t, "application/json", `{"a":1}`)
	req.URL, req.Host = parse(t, "http://a.example/1"), ""
	res, err := w.client(t, "SEK", "http://a.example", 1, nil, auth.Field{Path: "body.k", Format: "{token}"}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	for _, text := range w.arrived["a.example"] {
		if !strings.HasSuffix(text, `{"a":1,"k":"SEK"}`) {
			t.Errorf("arrived %q, want the patched body", text)
		}
	}
}

func TestRefusedRedirectClosesItsBody(t *testing.T) {
	first, second := get(t, "https://a.example/"), get(t, "https://b.example/")
	b := &body{Reader: strings.NewReader("x")}
	second.Body = b
	if err := auth.Redirects(1, nil)(second, []*http.Request{first}); err == nil || b.closed.Load() != 1 {
		t.Errorf("got %v with the body closed %d times, want an error and 1", err, b.closed.Load())
	}
}
