package http1_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestOnlyPlainRequestsGoDirect(t *testing.T) {
	set := func(key, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(key, value) }
	}
	gzip := func(b *http.Transport) { b.DisableCompression = false }
	for _, c := range []struct {
		name   string
		method string
		edit   func(*http.Request)
		base   func(*http.Transport)
		direct bool
	}{
		{name: "GET", method: "GET", direct: true},
		{name: "HEAD", method: "HEAD", direct: true},
		{name: "OPTIONS", method: "OPTIONS", direct: true},
		{name: "GET with NoBody", method: "GET", edit: func(r *http.Request) { r.Body = http.NoBody }, direct: true},
		{name: "GET with headers", method: "GET", edit: set("Authorization", "Bearer x"), direct: true},
		{name: "GET with Host", method: "GET", edit: func(r *http.Request) { r.Host = "other.test" }, direct: true},
		{name: "GET with own Accept-Encoding", method: "GET", edit: set("Accept-Encoding", "gzip"), base: gzip, direct: true},
		{name: "GET with Range", method: "GET", edit: set("Range", "bytes=0-1"), base: gzip, direct: true},
		{name: "no proxy for it", method: "GET", base: func(b *http.Transport) {
			b.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
		}, direct: true},

		{name: "POST", method: "POST"},
		{name: "PUT", method: "PUT"},
		{name: "PATCH", method: "PATCH"},
		{name: "DELETE", method: "DELETE"},
		{name: "TRACE", method: "TRACE"},
		{name: "own method", method: "GETT"},
		{name: "GET with a body", method: "GET", edit: func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1
		}},
		{name: "GET with a body of unknown length", method: "GET", edit: func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), -1
		}},
		{name: "OPTIONS with a body", method: "OPTIONS", edit: func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1
		}},
		{name: "Upgrade", method: "GET", edit: set("Upgrade", "websocket")},
		{name: "Expect", method: "GET", edit: set("Expect", "100-continue")},
		{name: "Connection", method: "GET", edit: set("Connection", "close")},
		//lint:ignore SA1019 callers may still set it
		{name: "Cancel", method: "GET", edit: func(r *http.Request) { r.Cancel = make(chan struct{}) }},
		{name: "Trailer", method: "GET", edit: func(r *http.Request) { r.Trailer = http.Header{"X": nil} }},
		{name: "traced", method: "GET", edit: func(r *http.Request) {
			*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {}}))
		}},
		{name: "DisableKeepAlives", method: "GET", base: func(b *http.Transport) { b.DisableKeepAlives = true }},
		{name: "MaxConnsPerHost", method: "GET", base: func(b *http.Transport) { b.MaxConnsPerHost = 3 }},
		{name: "host that is not ASCII", method: "GET", edit: func(r *http.Request) { r.URL.Host, r.Host = "bücher.test", "" }},
		{name: "transparent gzip", method: "GET", base: gzip},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := serve(t, answering(func(_ *peer, _ int, r *http.Request) string {
				if r.Method == "HEAD" {
					return "HTTP/1.1 200 OK\r\n\r\n"
				}
				return hello
			}))
			tr, d := over(t, c.base)
			d.to = o.addr
			req := request(t, c.method, o.url())
			if c.edit != nil {
				c.edit(req)
			}
			if _, err := do(tr, req); err != nil {
				t.Fatal(err)
			}
			if c.direct {
				d.want(t, 1, 0)
			} else {
				d.want(t, 0, 1)
			}
		})
	}
}

func TestAProxyIsUsedByBase(t *testing.T) {
	lines := make(chan string, 1)
	o := serve(t, answering(func(_ *peer, _ int, r *http.Request) string {
		lines <- r.RequestURI
		return hello
	}))
	tr, d := over(t, func(b *http.Transport) {
		b.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(o.url()) }
	})
	wantBody(t, tr, "http://origin.test/x", "hello")
	d.want(t, 0, 1)
	if got := wait(t, lines, "request"); got != "http://origin.test/x" {
		t.Errorf("the proxy was asked for %q", got)
	}
}

func TestAnErrorOfProxyIsTheErrorOfTheRequest(t *testing.T) {
	o := serve(t, answering(echoing))
	refused := errors.New("no way for you")
	calls := 0
	tr, d := over(t, func(b *http.Transport) {
		b.Proxy = func(*http.Request) (*url.URL, error) {
			if calls++; calls > 1 {
				return nil, refused
			}
			return nil, nil
		}
	})
	wantBody(t, tr, o.url()+"/1", "/1")
	for _, method := range []string{"GET", "POST"} {
		if _, err := tr.RoundTrip(request(t, method, o.url())); !errors.Is(err, refused) {
			t.Errorf("%s: got %v, want %v, an idle connection or not", method, err, refused)
		}
	}
	d.want(t, 1, 0)
	if n := o.sent.Load(); n != 1 {
		t.Errorf("%d requests were sent, want 1", n)
	}
}

func TestAWrongRequestIsBasesError(t *testing.T) {
	o := serve(t, answering(echoing))
	for _, c := range []struct {
		name string
		edit func(*http.Request)
	}{
		{"header value", func(r *http.Request) { r.Header.Set("X", "a\r\nSmuggled: 1") }},
		{"header value with NUL", func(r *http.Request) { r.Header.Set("X", "a\x00") }},
		{"header name", func(r *http.Request) { r.Header["X Y"] = []string{"a"} }},
		{"empty header name", func(r *http.Request) { r.Header[""] = []string{"a"} }},
		{"trailer", func(r *http.Request) { r.Trailer = http.Header{"X Y": {"a"}} }},
		{"nil header", func(r *http.Request) { r.Header = nil }},
		{"nil URL", func(r *http.Request) { r.URL = nil }},
		{"no host", func(r *http.Request) { r.URL.Host = "" }},
		{"scheme", func(r *http.Request) { r.URL.Scheme = "gopher" }},
		{"no scheme", func(r *http.Request) { r.URL.Scheme = "" }},
		{"method", func(r *http.Request) { r.Method = "GE T" }},
		{"control byte in path", func(r *http.Request) { r.URL.Opaque = "//x/a b\r\n" }},
		{"control byte in Host", func(r *http.Request) { r.Host = "a\r\nSmuggled: 1" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, _ := over(t, nil)
			plain := &http.Transport{DisableCompression: true}
			defer plain.CloseIdleConnections()
			mine, theirs := request(t, "GET", o.url()), request(t, "GET", o.url())
			c.edit(mine)
			c.edit(theirs)
			_, got := do(tr, mine)
			_, want := do(plain, theirs)
			if (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestAWrongHeaderIsAnErrorOnAnIdleConnectionToo(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, _ := over(t, nil)
	wantBody(t, tr, o.url()+"/1", "/1")
	req := request(t, "GET", o.url()+"/2")
	req.Header.Set("X", "a\r\n\r\nGET /smuggled HTTP/1.1")
	if _, err := tr.RoundTrip(req); err == nil {
		t.Error("a header with a line break was sent")
	}
	wantBody(t, tr, o.url()+"/3", "/3")
	if n := o.sent.Load(); n != 2 {
		t.Errorf("%d requests arrived, want 2", n)
	}
}

func TestADirectRequestLeavesNoGoroutine(t *testing.T) {
	inBody, goOn := make(chan struct{}), make(chan struct{})
	o := serve(t, answering(func(p *peer, n int, _ *http.Request) string {
		if n == 2 {
			p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
			close(inBody)
			<-goOn
			return "llo"
		}
		return hello
	}))
	wantNoTransportGoroutines(t)
	tr, _ := over(t, nil)
	wantBody(t, tr, o.url(), "hello")
	if n := transportGoroutines(); n > 0 {
		t.Errorf("%d goroutines for an idle connection, want none", n)
	}
	res, err := tr.RoundTrip(request(t, "GET", o.url()))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	wait(t, inBody, "half the body")
	if n := transportGoroutines(); n > 0 {
		t.Errorf("%d goroutines for a busy connection, want none", n)
	}
	close(goOn)
	if b, err := io.ReadAll(res.Body); string(b) != "hello" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestDialingIsBases(t *testing.T) {
	o := serve(t, answering(echoing))
	for _, c := range []struct{ url, addr string }{
		{"http://origin.test/", "origin.test:80"},
		{"http://origin.test:/", "origin.test:80"},
		{"http://origin.test:8080/", "origin.test:8080"},
		{"http://[::1]/", "[::1]:80"},
		{"http://[fe80::1%25lo]:81/", "[fe80::1%lo]:81"},
		{"http://ORIGIN.test/", "ORIGIN.test:80"},
	} {
		mine := new(dials)
		for _, rt := range []bool{true, false} {
			d := &dials{to: o.addr}
			base := &http.Transport{DialContext: d.dial, DisableCompression: true}
			var tr http.RoundTripper = base
			if rt {
				mine = d
				tr, _ = over(t, func(b *http.Transport) { b.DialContext = d.dial })
			}
			wantBody(t, tr, c.url, "/")
			base.CloseIdleConnections()
			if !rt && !strings.EqualFold(strings.Join(mine.addrs, ","), strings.Join(d.addrs, ",")) {
				t.Errorf("%s: dialled %q, net/http dials %q", c.url, mine.addrs, d.addrs)
			}
		}
		if got := strings.Join(mine.addrs, ","); !strings.EqualFold(got, "tcp "+c.addr) {
			t.Errorf("%s: dialled %q, want %q", c.url, got, "tcp "+c.addr)
		}
	}
}

func TestDialSeesTheValuesOfTheContext(t *testing.T) {
	o := serve(t, answering(echoing))
	type key struct{}
	seen := make(chan any, 1)
	tr, _ := over(t, func(b *http.Transport) {
		b.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			seen <- ctx.Value(key{})
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
	req := request(t, "GET", o.url())
	if _, err := do(tr, req.WithContext(context.WithValue(req.Context(), key{}, "v"))); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, seen, "dial"); got != "v" {
		t.Errorf("dial saw %v, want v", got)
	}
}

func TestAnErrorOfDialIsTheErrorOfTheRequest(t *testing.T) {
	refused := errors.New("refused")
	tr, _ := over(t, func(b *http.Transport) {
		b.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, refused }
	})
	if _, err := get(t, tr, "http://origin.test/"); !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
}

func TestABaseWithoutDialContextDials(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, _ := over(t, func(b *http.Transport) { b.DialContext = nil })
	wantBody(t, tr, o.url()+"/x", "/x")

	dialled := false
	tr, _ = over(t, func(b *http.Transport) {
		b.DialContext = nil
		//lint:ignore SA1019 callers may still set it
		b.Dial = func(network, addr string) (net.Conn, error) {
			dialled = true
			return net.Dial(network, addr)
		}
	})
	wantBody(t, tr, o.url()+"/x", "/x")
	if !dialled {
		t.Error("base.Dial was passed over")
	}
}

// A connection that hides its file descriptor cannot be looked at without reading it.
func TestAConnectionThatIsNotASocketWorks(t *testing.T) {
	o := serve(t, answering(func(p *peer, n int, r *http.Request) string {
		return echoing(p, n, r) + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"
	}))
	tr, _ := over(t, func(b *http.Transport) {
		b.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return struct{ net.Conn }{c}, err
		}
	})
	for i := range 20 {
		path := "/" + strings.Repeat("x", i*500)
		wantBody(t, tr, o.url()+path, path)
	}
}

func TestARequestIsLeftAsItWas(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, _ := over(t, nil)
	req := request(t, "GET", o.url()+"/a%2Fb?q")
	req.Header["x-odd"] = []string{" a ", "b"}
	before := req.Clone(req.Context())
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Request != req {
		t.Error("res.Request is not the request")
	}
	if got, want := dump(req), dump(before); got != want {
		t.Errorf("request is now %q, was %q", got, want)
	}
}
