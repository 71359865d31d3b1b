package http1_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
)

func TestAConnectionIsUsedAgain(t *testing.T) {
	all := func(b io.Reader) { io.Copy(io.Discard, b) }
	none := func(io.Reader) {}
	for _, c := range []struct {
		name, method, answer string
		read                 func(io.Reader)
		closes               bool // the server ends the connection itself
		again                bool
	}{
		{name: "length", answer: hello, read: all, again: true},
		{name: "length, last byte read", answer: hello, read: func(b io.Reader) { io.ReadFull(b, make([]byte, 5)) }, again: true},
		{name: "no bytes", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", read: all, again: true},
		{name: "no bytes, not read", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", read: none, again: true},
		{name: "chunked", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", read: all, again: true},
		{name: "trailers", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", read: all, again: true},
		{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n", read: none, again: true},
		{name: "304", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", read: none, again: true},
		{name: "HEAD", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", read: none, again: true},
		{name: "HEAD, chunked", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", read: none, again: true},
		{name: "HEAD, no length", method: "HEAD", answer: "HTTP/1.1 200 OK\r\n\r\n", read: none, again: true},
		{name: "after 103", answer: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + hello, read: all, again: true},
		{name: "404", answer: "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello", read: all, again: true},

		{name: "not read", answer: hello, read: none},
		{name: "half read", answer: hello, read: func(b io.Reader) { io.ReadFull(b, make([]byte, 2)) }},
		{name: "chunked, not read", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", read: none},
		{name: "Connection: close", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", read: all},
		{name: "Connection: keep-alive, Close", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive, Close\r\n\r\nhello", read: all},
		{name: "204 and close", answer: "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", read: all},
		{name: "HEAD and close", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", read: all},
		{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", read: all},
		{name: "no length", answer: "HTTP/1.1 200 OK\r\n\r\nhello", read: all, closes: true},
		{name: "bytes after it", answer: hello + "x", read: all},
		{name: "empty line after it", answer: hello + "\r\n", read: all},
		{name: "HEAD with a body", method: "HEAD", answer: hello, read: all},
		{name: "204 with a body", answer: "HTTP/1.1 204 No Content\r\n\r\nhello", read: all},
		{name: "101", answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", read: none},
		{name: "parse error", answer: "HTTP/1.1 2x0 OK\r\nContent-Length: 5\r\n\r\nhello", read: all},
		{name: "bad chunk", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", read: all},
		{name: "bad trailer", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nno colon\r\n\r\n", read: all},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := serve(t, func(p *peer) {
				if p.next() == nil {
					return
				}
				if p.no == 1 {
					if p.say(c.answer); c.closes || p.next() == nil {
						return
					}
				}
				p.say(hello)
				p.hold()
			})
			tr, d := over(t, nil)
			req := request(t, "GET", o.url())
			if c.method != "" {
				req.Method = c.method
			}
			if res, err := tr.RoundTrip(req); err == nil {
				c.read(res.Body)
				res.Body.Close()
			}
			if !c.again && !c.closes {
				// It must not wait for the next request either. Bytes that are seen late may.
				if !strings.Contains(c.name, "after it") && !strings.Contains(c.name, "with a body") {
					o.wantEnded(t, 1)
				}
			}
			if !c.again && c.closes {
				d.want(t, 1, 0)
			}
			wantBody(t, tr, o.url(), "hello")
			if c.again {
				d.want(t, 1, 0)
			} else {
				d.want(t, 2, 0)
			}
		})
	}
}

func TestTrailersArrive(t *testing.T) {
	o := serve(t, answering(func(*peer, int, *http.Request) string {
		return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-None\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"
	}))
	tr, _ := over(t, nil)
	for range 2 {
		res, err := tr.RoundTrip(request(t, "GET", o.url()))
		if err != nil {
			t.Fatal(err)
		}
		if want := (http.Header{"X-Sum": nil, "X-None": nil}); !reflect.DeepEqual(res.Trailer, want) {
			t.Errorf("announced trailers %v, want %v", res.Trailer, want)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.Trailer.Get("X-Sum") != "1" || res.Trailer.Get("X-More") != "2" {
			t.Errorf("trailers %v, want X-Sum 1, X-More 2", res.Trailer)
		}
	}
}

func TestAnIdleConnectionThatSaysSomethingIsDropped(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(p *peer) // what an idle connection does
	}{
		{"whole answer", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray") }},
		{"part of an answer", func(p *peer) { p.say("HT") }},
		{"408 and end", func(p *peer) { p.say("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"); p.Close() }},
		{"line break", func(p *peer) { p.say("\r\n") }},
		{"end", func(p *peer) { p.Close() }},
		{"half end", func(p *peer) { p.Conn.(*net.TCPConn).CloseWrite() }},
		{"reset", func(p *peer) { p.abort() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			idle, done := make(chan struct{}), make(chan struct{})
			o := serve(t, func(p *peer) {
				for n := 1; ; n++ {
					r := p.next()
					if r == nil {
						return
					}
					p.say(echoing(p, n, r))
					if p.no == 1 && n == 1 {
						<-idle
						c.then(p)
						close(done)
					}
				}
			})
			tr, d := over(t, nil)
			wantBody(t, tr, o.url()+"/1", "/1")
			close(idle)
			wait(t, done, c.name)
			for _, path := range []string{"/2", "/3"} {
				wantBody(t, tr, o.url()+path, path)
			}
			d.want(t, 2, 0)
			if n := o.sent.Load(); n != 3 {
				t.Errorf("%d requests arrived, want 3: none on the dropped connection", n)
			}
		})
	}
}

// idleOnes leaves n idle connections. The answers must have a body.
func idleOnes(t *testing.T, rt http.RoundTripper, n int, url func(i int) string) {
	t.Helper()
	var bodies []io.ReadCloser
	for i := range n {
		res, err := rt.RoundTrip(request(t, "GET", url(i)))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, res.Body)
	}
	for _, b := range bodies {
		io.Copy(io.Discard, b)
		b.Close()
	}
}

func same(url string) func(int) string { return func(int) string { return url } }

func TestAllDeadIdleConnectionsAreDropped(t *testing.T) {
	idle := make(chan struct{})
	var ends sync.WaitGroup
	ends.Add(4)
	o := serve(t, func(p *peer) {
		p.next()
		p.say(hello)
		if p.no <= 4 {
			<-idle
			p.Close()
			ends.Done()
			return
		}
		p.hold()
	})
	tr, d := over(t, func(b *http.Transport) { b.MaxIdleConnsPerHost = 4 })
	idleOnes(t, tr, 4, same(o.url()))
	d.want(t, 4, 0)
	close(idle)
	ends.Wait()
	wantBody(t, tr, o.url(), "hello")
	d.want(t, 5, 0)
	if n := o.sent.Load(); n != 5 {
		t.Errorf("%d requests arrived, want 5", n)
	}
}

func TestTheSecondTryGoesToANewConnection(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		for how, end := range map[string]func(*peer){"end": func(p *peer) { p.Close() }, "reset": (*peer).abort} {
			t.Run(method+" "+how, func(t *testing.T) {
				const old = 3 // idle connections that break when they are used
				o := serve(t, func(p *peer) {
					r := p.next()
					if r != nil && p.no <= old {
						p.say(hello)
						p.next()
						end(p)
						return
					}
					p.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					p.hold()
				})
				tr, d := over(t, func(b *http.Transport) { b.MaxIdleConnsPerHost = old })
				idleOnes(t, tr, old, same(o.url()))
				if _, err := do(tr, request(t, method, o.url())); err != nil {
					t.Fatal(err)
				}
				d.want(t, old+1, 0)
				if n := o.sent.Load(); n != old+2 {
					t.Errorf("%d requests arrived, want 5: three, one lost, its second try", n)
				}
			})
		}
	}
}

func TestTheSecondTryIsTheLast(t *testing.T) {
	o := serve(t, func(p *peer) {
		p.next()
		if p.no > 1 {
			return
		}
		p.say(hello)
		p.next()
	})
	tr, d := over(t, nil)
	wantBody(t, tr, o.url(), "hello")
	if _, err := get(t, tr, o.url()); err == nil {
		t.Error("got an answer from connections that break")
	}
	d.want(t, 2, 0)
	if n := o.sent.Load(); n != 3 {
		t.Errorf("%d requests arrived, want 3", n)
	}
}

func TestAFreshConnectionThatBreaksIsAnError(t *testing.T) {
	for how, end := range map[string]func(*peer){"end": func(p *peer) { p.Close() }, "reset": (*peer).abort} {
		t.Run(how, func(t *testing.T) {
			o := serve(t, func(p *peer) { p.next(); end(p) })
			tr, d := over(t, nil)
			if _, err := get(t, tr, o.url()); err == nil {
				t.Error("no error")
			}
			d.want(t, 1, 0)
			if n := o.sent.Load(); n != 1 {
				t.Errorf("%d requests arrived, want 1", n)
			}
		})
	}
}

func TestABrokenAnswerIsNeverAskedForAgain(t *testing.T) {
	for _, c := range []struct{ name, part string }{
		{"first byte", "H"},
		{"status line", "HTTP/1.1 200 O"},
		{"header", "HTTP/1.1 200 OK\r\nContent-Le"},
		{"early hints", "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{"header only", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"},
		{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		{"no end of trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"},
	} {
		for _, reused := range []bool{true, false} {
			t.Run(c.name, func(t *testing.T) {
				o := serve(t, func(p *peer) {
					if reused {
						p.next()
						p.say(hello)
					}
					p.next()
					p.say(c.part)
				})
				tr, d := over(t, nil)
				want := int64(1)
				if reused {
					wantBody(t, tr, o.url(), "hello")
					want = 2
				}
				_, err := get(t, tr, o.url())
				if err == nil || err == io.EOF {
					t.Errorf("got %v, want an error that is not io.EOF", err)
				}
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Logf("error of a broken answer: %v", err)
				}
				d.want(t, 1, 0)
				if n := o.sent.Load(); n != want {
					t.Errorf("%d requests arrived, want %d", n, want)
				}
			})
		}
	}
}

func TestReadAfterCloseIsAnError(t *testing.T) {
	o := serve(t, answering(func(*peer, int, *http.Request) string { return hello }))
	tr, _ := over(t, nil)
	for name, read := range map[string]int{"nothing read": 0, "half read": 2, "all read": 6} {
		res, err := tr.RoundTrip(request(t, "GET", o.url()))
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(res.Body, make([]byte, read))
		for range 2 {
			if err := res.Body.Close(); err != nil {
				t.Errorf("%s: Close: %v", name, err)
			}
		}
		if n, err := res.Body.Read(make([]byte, 8)); n > 0 || err == nil || err == io.EOF {
			t.Errorf("%s: Read after Close: %d, %v, want an error", name, n, err)
		}
	}
}

// A closed body must not take the bytes, nor end the connection, of a later answer.
func TestAnOldBodyDoesNotTouchItsConnection(t *testing.T) {
	half, goOn := make(chan struct{}), make(chan struct{})
	o := serve(t, answering(func(p *peer, n int, _ *http.Request) string {
		if n == 2 {
			p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
			close(half)
			<-goOn
			return "llo"
		}
		return hello
	}))
	tr, d := over(t, nil)
	old, err := tr.RoundTrip(request(t, "GET", o.url()))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, old.Body)
	res, err := tr.RoundTrip(request(t, "GET", o.url()))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	wait(t, half, "half the second body")
	if n, err := old.Body.Read(make([]byte, 8)); n > 0 || err != io.EOF {
		t.Errorf("Read of the old body after its end: %d, %v, want EOF", n, err)
	}
	old.Body.Close()
	old.Body.Read(make([]byte, 8))
	close(goOn)
	if b, err := io.ReadAll(res.Body); string(b) != "hello" || err != nil {
		t.Errorf("second body: %q, %v", b, err)
	}
	wantBody(t, tr, o.url(), "hello")
	d.want(t, 1, 0)
}

func TestCloseEndsARead(t *testing.T) {
	o := serve(t, func(p *peer) {
		p.next()
		p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		p.hold()
	})
	for range 50 {
		tr, _ := over(t, nil)
		res, err := tr.RoundTrip(request(t, "GET", o.url()))
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(res.Body, make([]byte, 2))
		reading, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			close(reading)
			_, err := res.Body.Read(make([]byte, 8))
			ended <- err
		}()
		<-reading
		res.Body.Close()
		if err := wait(t, ended, "end of Read"); err == nil || err == io.EOF {
			t.Errorf("Read ended with %v, want an error", err)
		}
		o.wantEnded(t, 1)
	}
}

func TestReadAndCloseTogetherDisturbNobody(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, _ := over(t, nil)
	for i := range 2000 {
		path := "/a" + itoa(i)
		res, err := tr.RoundTrip(request(t, "GET", o.url()+path))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(io.Discard, res.Body) })
		for range 1 + i%2 {
			wg.Go(func() { res.Body.Close() })
		}
		if i%3 > 0 {
			wg.Wait()
		}
		path = "/b" + itoa(i)
		wantBody(t, tr, o.url()+path, path)
		wg.Wait()
	}
}
