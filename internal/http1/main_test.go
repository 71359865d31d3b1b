package http1_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/internal/http1"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http's Transport logs what servers say unasked
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// origin is a pretend server: it accepts connections and lets talk speak on each.
type origin struct {
	addr  string
	conns atomic.Int64
	sent  atomic.Int64  // requests that arrived
	ended chan int      // numbers of the connections that the client ended
	over  chan struct{} // closed with the test

	mu   sync.Mutex
	open []net.Conn
	wg   sync.WaitGroup
}

// peer is one connection as the server sees it; the first has number 1.
type peer struct {
	net.Conn
	*origin
	br *bufio.Reader
	no int
}

func serve(t *testing.T, talk func(*peer)) *origin {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, talk)
}

func serveOn(t *testing.T, ln net.Listener, talk func(*peer)) *origin {
	o := &origin{addr: ln.Addr().String(), ended: make(chan int, 1<<16), over: make(chan struct{})}
	o.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			o.mu.Lock()
			o.open = append(o.open, c)
			o.mu.Unlock()
			p := &peer{Conn: c, origin: o, br: bufio.NewReader(c), no: int(o.conns.Add(1))}
			o.wg.Go(func() {
				defer c.Close()
				talk(p)
			})
		}
	})
	t.Cleanup(func() {
		close(o.over)
		ln.Close()
		o.mu.Lock()
		for _, c := range o.open {
			c.Close()
		}
		o.mu.Unlock()
		o.wg.Wait()
	})
	return o
}

func (o *origin) url() string { return "http://" + o.addr }

// next reads a request; nil says that the client ended the connection.
func (p *peer) next() *http.Request {
	r, err := http.ReadRequest(p.br)
	if err != nil {
		p.ended <- p.no
		return nil
	}
	io.Copy(io.Discard, r.Body)
	p.sent.Add(1)
	return r
}

func (p *peer) say(raw string) { io.WriteString(p, raw) }

// hold keeps the connection until the client ends it or the test is over.
func (p *peer) hold() {
	io.Copy(io.Discard, p.br)
	p.ended <- p.no
}

// abort ends the connection with a reset.
func (p *peer) abort() {
	if c, ok := p.Conn.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	p.Close()
}

// answering gives each request what answer says: n counts the requests of one connection from 1.
func answering(answer func(p *peer, n int, r *http.Request) string) func(*peer) {
	return func(p *peer) {
		for n := 1; ; n++ {
			r := p.next()
			if r == nil {
				return
			}
			p.say(answer(p, n, r))
		}
	}
}

// echoing answers every request with its path.
func echoing(_ *peer, _ int, r *http.Request) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + itoa(len(r.URL.Path)) + "\r\n\r\n" + r.URL.Path
}

// wantEnded fails unless the client ends n connections.
func (o *origin) wantEnded(t *testing.T, n int) (ended []int) {
	t.Helper()
	for range n {
		select {
		case no := <-o.ended:
			ended = append(ended, no)
		case <-time.After(patience):
			t.Fatalf("client ended connections %v, want %d of them", ended, n)
		}
	}
	return ended
}

// dials counts who dials: net/http's Transport, or the code under test.
type dials struct {
	to           string // where every connection goes, when not to the address asked for
	direct, base atomic.Int64

	mu    sync.Mutex
	addrs []string
}

func (d *dials) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d.count(network, addr)
	return new(net.Dialer).DialContext(ctx, network, cmp.Or(d.to, addr))
}

func (d *dials) count(network, addr string) {
	buf := make([]byte, 64<<10)
	if bytes.Contains(buf[:runtime.Stack(buf, false)], []byte("net/http.(*Transport).dialConn")) {
		d.base.Add(1)
	} else {
		d.direct.Add(1)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addrs = append(d.addrs, network+" "+addr)
}

func (d *dials) want(t *testing.T, direct, base int64) {
	t.Helper()
	if d.direct.Load() != direct || d.base.Load() != base {
		t.Errorf("%d direct connections and %d of base, want %d and %d", d.direct.Load(), d.base.Load(), direct, base)
	}
}

// over makes the transport under test; edit, if any, changes its base first.
func over(t *testing.T, edit func(*http.Transport)) (*http1.Transport, *dials) {
	d := new(dials)
	base := &http.Transport{DialContext: d.dial, DisableCompression: true}
	if edit != nil {
		edit(base)
	}
	tr := http1.Over(base)
	t.Cleanup(tr.CloseIdleConnections)
	return tr, d
}

func request(t *testing.T, method, url string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// get sends a GET and reads the answer's body to its end.
func get(t *testing.T, rt http.RoundTripper, url string) (string, error) {
	t.Helper()
	return do(rt, request(t, "GET", url))
}

func do(rt http.RoundTripper, req *http.Request) (string, error) {
	res, err := rt.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func wantBody(t *testing.T, rt http.RoundTripper, url, want string) {
	t.Helper()
	if got, err := get(t, rt, url); got != want || err != nil {
		t.Fatalf("GET %s: got %.80q, %v, want %.80q", url, got, err, want)
	}
}

// wait returns when ch is closed or gives something, and fails if it does not.
func wait[T any](t *testing.T, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%s: did not happen", what)
	}
	return v
}

// transportGoroutines counts the goroutines that net/http's Transport keeps for connections.
func transportGoroutines() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "created by net/http.(*Transport)")
}

// wantNoTransportGoroutines waits until those of earlier tests have gone.
func wantNoTransportGoroutines(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); transportGoroutines() > 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines of net/http's Transport, want none", transportGoroutines())
		}
	}
}
