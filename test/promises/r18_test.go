package promises

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
)

// cutter is an API on a bare socket that cuts each answer after as many bytes as the call's
// X-Cut says, and counts how often each call was sent.
type cutter struct {
	listener net.Listener
	answer   []byte
	open     sync.WaitGroup

	mu   sync.Mutex
	sent map[string]int
}

func newCutter(t *testing.T, answer []byte) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, answer: answer, sent: map[string]int{}}
	c.open.Go(c.accept)
	t.Cleanup(func() { _ = l.Close(); c.open.Wait() })
	return c
}

func (c *cutter) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.open.Go(func() { c.serve(conn) })
	}
}

// serve answers one request of a connection.
func (c *cutter) serve(conn net.Conn) {
	defer conn.Close()
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, req.Body) // what is left unread turns the end into a reset
	if req.URL.Path == "/token" {
		const token = `{"access_token":"T","expires_in":3600}`
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(token), token)
		return
	}
	call := req.Header.Get("X-Cut")
	c.mu.Lock()
	c.sent[call]++
	c.mu.Unlock()
	cut, _ := strconv.Atoi(call)
	_, _ = conn.Write(c.answer[:cut])
}

// cutBody is 2 kB without a repetition that a wrong byte could hide in.
func cutBody() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 2000; i++ {
		fmt.Fprintf(&b, "%d.", i)
	}
	return b.Bytes()
}

// chunked is body in chunks of 300 bytes.
func chunked(body []byte) []byte {
	var b bytes.Buffer
	for len(body) > 0 {
		n := min(300, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}

// TestR18CutAnswerIsNeverAShortSuccess cuts an answer of 2 kB at every byte.
func TestR18CutAnswerIsNeverAShortSuccess(t *testing.T) {
	body := cutBody()
	for name, answer := range map[string][]byte{
		"with Content-Length": append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", len(body)), body...),
		"in chunks":           append([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"), chunked(body)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCutter(t, answer)
			base := auth.NewBase()
			defer base.CloseIdleConnections()
			p := newUnserved("http://"+c.listener.Addr().String()).process(t, options{Base: base})
			var next, whole atomic.Int64
			all(8, func(int) {
				for cut := next.Add(1) - 1; cut <= int64(len(answer)); cut = next.Add(1) - 1 {
					if cutCall(t, p, cut, body) {
						whole.Add(1)
					}
				}
			})
			if n := whole.Load(); n != 1 {
				t.Errorf("%d answers arrived whole, want 1: the one that was not cut", n)
			}
			for call, n := range c.sent {
				if n != 1 {
					t.Errorf("a call whose answer was cut after %s bytes was sent %d times, want once", call, n)
				}
			}
			if t.Failed() {
				return
			}
			measured(t, "R18", "%s: cut at each of %d bytes, 0 short successes, 0 calls sent twice", name, len(answer))
		})
	}
}

// cutCall makes one call, and reports whether the answer came whole. Anything between that and
// an error fails the test.
func cutCall(t *testing.T, p *process, cut int64, body []byte) bool {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/things", nil)
	if err != nil {
		t.Error(err)
		return false
	}
	req.Header.Set("X-Cut", strconv.FormatInt(cut, 10))
	res, err := p.client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err == nil && !bytes.Equal(got, body) {
		t.Errorf("cut after %d bytes: %d bytes and no error, want the %d or an error", cut, len(got), len(body))
	}
	return err == nil
}
