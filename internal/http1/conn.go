package http1

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is a connection that one request at a time has to itself.
type conn struct {
	net.Conn
	plain net.Conn // what is closed: the end of TLS could wait for who does not read
	to    origin
	pool  *pool
	raw   syscall.RawConn      // to look at what has arrived
	tls   *tls.ConnectionState // nil: it is not encrypted
	r     *bufio.Reader        // of this conn
	w     *bufio.Writer
	wait  time.Duration // for an answer to begin
	most  int64         // bytes of its header
	left  int64         // that may still be read
	heard bool          // something of the answer has come
	since time.Time     // idle
}

// defaultHeaderBytes is what net/http takes for 0.
const defaultHeaderBytes = 10 << 20

// dial opens a connection under ctx.
func (t *Transport) dial(ctx context.Context, to origin) (*conn, error) {
	dial := t.base.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	plain, err := dial(ctx, "tcp", to.address())
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: plain, plain: plain, to: to, pool: &t.pool, wait: t.base.ResponseHeaderTimeout, most: cmp.Or(t.base.MaxResponseHeaderBytes, defaultHeaderBytes)}
	if s, ok := plain.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn() // without it the connection is used once
	}
	if to.scheme == "https" {
		if err := c.encrypt(ctx, t.base); err != nil {
			_ = plain.Close()
			return nil, err
		}
	}
	c.r, c.w = bufio.NewReader(c), bufio.NewWriter(c.Conn)
	return c, nil
}

// address is what is dialled.
func (o origin) address() string {
	host, port, err := net.SplitHostPort(o.host)
	if err != nil {
		host, port = o.host, ""
		if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
			host = host[1 : n-1]
		}
	}
	return net.JoinHostPort(host, cmp.Or(port, map[string]string{"http": "80", "https": "443"}[o.scheme]))
}

// encrypt makes the connection one over TLS.
func (c *conn) encrypt(ctx context.Context, base *http.Transport) error {
	config := base.TLSClientConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(c.to.address())
	}
	config.NextProtos = []string{"http/1.1"}
	if base.TLSHandshakeTimeout > 0 {
		limited, cancel := context.WithTimeout(ctx, base.TLSHandshakeTimeout)
		defer cancel()
		ctx = limited
	}
	secure := tls.Client(c.Conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	state := secure.ConnectionState()
	c.Conn, c.tls = secure, &state
	return nil
}

// errHeader is what net/http says, too.
type errHeader int64

// Error tells the bound.
func (e errHeader) Error() string {
	return fmt.Sprintf("the system's answer has a header of more than %d bytes", int64(e))
}

// Read reads from the connection, no more than may be.
func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeader(c.most)
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.Conn.Read(p)
	c.left -= int64(n)
	c.heard = c.heard || n > 0
	return n, err
}

// send sends req and reads the header of its answer.
func (c *conn) send(req *http.Request) (*http.Response, error) {
	u := &use{conn: c, ctx: req.Context()}
	u.stop = context.AfterFunc(u.ctx, func() { _ = c.plain.Close() })
	res, err := c.exchange(req)
	if err != nil {
		u.end(err, false)
		return nil, u.cause(err)
	}
	res.TLS = c.tls
	if res.Body == http.NoBody {
		u.end(io.EOF, !res.Close)
		return res, nil
	}
	u.body, u.whole = res.Body, !res.Close
	res.Body = u
	return res, nil
}

// silent reports whether nothing has arrived on an idle connection: not on its socket, and not in
// what TLS has read beyond the last answer. The latter is asked with a deadline that is over, so
// that the socket is not.
func (c *conn) silent() bool {
	if c.arrived() {
		return false
	}
	if c.tls == nil {
		return true
	}
	var b [1]byte
	if c.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	n, err := c.Conn.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}

// exchange writes the request and reads the answer's header.
func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	c.heard, c.left = false, c.most
	if err := req.Write(c.w); err != nil {
		return nil, err
	}
	if err := c.w.Flush(); err != nil {
		return nil, err
	}
	if c.wait > 0 {
		if err := c.SetReadDeadline(time.Now().Add(c.wait)); err != nil {
			return nil, err
		}
	}
	res, err := c.final(req)
	if err != nil {
		return nil, err
	}
	c.left = math.MaxInt64
	if c.wait > 0 {
		err = c.SetReadDeadline(time.Time{}) // a body takes as long as it takes
	}
	return res, err
}

// final skips the answers that only announce one (RFC 9110, section 15.2). Their bytes count as
// those of its header.
func (c *conn) final(req *http.Request) (*http.Response, error) {
	for {
		res, err := http.ReadResponse(c.r, req)
		switch {
		case err != nil:
			return nil, err
		case res.StatusCode == http.StatusSwitchingProtocols:
			res.Close = true // whatever it speaks now, nobody has asked for it
			return res, nil
		case res.StatusCode < 100 || res.StatusCode >= 200:
			return res, nil
		}
	}
}

// use is one request's hold on a connection, and the body of its answer.
type use struct {
	conn  *conn
	ctx   context.Context // of the request
	stop  func() bool     // ends the watch over ctx
	body  io.ReadCloser
	whole bool                  // the connection can be used again after the body's end
	after atomic.Pointer[error] // what Read says after the end; nil: before
}

// Read reads the body; its end gives the connection back.
func (u *use) Read(p []byte) (int, error) {
	if after := u.after.Load(); after != nil {
		return 0, *after
	}
	n, err := u.body.Read(p)
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		err = u.cause(err)
	}
	u.end(err, err == io.EOF && u.whole)
	return n, err
}

// cause is why the request ended, if somebody has ended it; else err would say that the
// connection is closed.
func (u *use) cause(err error) error {
	if cause := context.Cause(u.ctx); cause != nil {
		return cause
	}
	return err
}

// Close closes the connection, unless the body was read to its end.
func (u *use) Close() error {
	closed := http.ErrBodyReadAfterClose
	u.end(closed, false)
	u.after.Store(&closed)
	return nil
}

// end gives the connection back, or closes it.
func (u *use) end(after error, reusable bool) {
	if !u.after.CompareAndSwap(nil, &after) {
		return
	}
	if !u.stop() { // whoever ends the request is closing the connection
		reusable = false
	}
	if c := u.conn; !reusable || c.raw == nil || c.r.Buffered() > 0 || !c.pool.put(c) {
		_ = c.plain.Close()
	}
}
