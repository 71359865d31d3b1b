// Package http1 sends requests without a body over HTTP/1.1 in the goroutine of whoever sends them.
//
//	RoundTrip ─ direct? ─ no ──▶ http.Transport: bodies, upgrades, HTTP/2
//	                └ yes ─ pool ─▶ conn ─ Request.Write ─ http.ReadResponse ─▶ body ─ its end ─▶ pool
//
// net/http's Transport has two goroutines for each connection and hands every request and answer
// over twice, which is a good part of what a gateway does. What is written and parsed is written and
// parsed by net/http here too.
package http1

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Transport is an http.RoundTripper. It is safe for concurrent use.
type Transport struct {
	base    *http.Transport
	special bool // the base sends everything
	pool    pool

	mu     sync.Mutex
	speaks map[origin]time.Time // when https origins answered in HTTP/1.1
}

// origin is where a connection leads.
type origin struct{ scheme, host string }

// So many origins are remembered, for so long: by then one may speak HTTP/2.
const (
	maxOrigins = 1024
	memory     = 10 * time.Minute
)

// Over returns a Transport that dials, waits and bounds as the fields of base say, and leaves to base
// what it does not send itself. The fields are not changed after that. Its idle connections are
// bounded as those of base, and are not among them.
func Over(base *http.Transport) *Transport {
	return &Transport{base: base, special: !peeks || special(base), pool: pool{perHost: base.MaxIdleConnsPerHost, most: base.MaxIdleConns, life: base.IdleConnTimeout},
		speaks: map[origin]time.Time{}}
}

// CloseIdleConnections closes the connections that wait for a request, those of the base too.
func (t *Transport) CloseIdleConnections() {
	t.pool.empty()
	t.base.CloseIdleConnections()
}

// RoundTrip sends req.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.sends(req) {
		return t.base.RoundTrip(req)
	}
	if t.base.Proxy != nil {
		if proxy, err := t.base.Proxy(req); err != nil || proxy != nil {
			return t.base.RoundTrip(req)
		}
	}
	to := origin{req.URL.Scheme, req.URL.Host}
	if to.scheme == "https" && !t.known(to) {
		res, err := t.base.RoundTrip(req)
		if err == nil && res.ProtoMajor == 1 {
			t.learn(to)
		}
		return res, err
	}
	return t.direct(req, to)
}

// direct sends req over a connection of its own kind. An idle connection may end at the very
// moment it is used; then another is dialled, because the request changes nothing.
func (t *Transport) direct(req *http.Request, to origin) (*http.Response, error) {
	if cause := context.Cause(req.Context()); cause != nil {
		return nil, cause
	}
	if c := t.pool.get(to); c != nil {
		res, err := c.send(req)
		if err == nil || c.heard || errors.Is(err, os.ErrDeadlineExceeded) || req.Context().Err() != nil {
			return res, err
		}
	}
	c, err := t.dial(req.Context(), to)
	if refusesUs(err) {
		t.forget(to) // it may speak HTTP/2 only by now
		return t.base.RoundTrip(req)
	}
	if err != nil {
		return nil, err
	}
	return c.send(req)
}

// refusesUs reports whether the system ended the handshake by a TLS alert.
func refusesUs(err error) bool {
	var alert *net.OpError
	return errors.As(err, &alert) && alert.Op == "remote error"
}

// sends reports whether t itself can send the request: one that may be sent twice, and that asks
// for nothing but an answer.
func (t *Transport) sends(req *http.Request) bool {
	return (req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodOptions) &&
		(req.Body == nil || req.Body == http.NoBody) && req.ContentLength == 0 && len(req.TransferEncoding)+len(req.Trailer) == 0 && !req.Close &&
		req.URL != nil && (req.URL.Scheme == "http" || req.URL.Scheme == "https") && plainHost(req.URL) && plainHeader(req.Header) &&
		!t.special && !asksGzip(t.base, req) && !older(req) && httptrace.ContextClientTrace(req.Context()) == nil
}

// older reports whether the request is ended in the way that came before contexts.
func older(req *http.Request) bool {
	return req.Cancel != nil //lint:ignore SA1019 others may still use it
}

// special reports whether connections are made, or counted, in a way that is the base's alone.
func special(b *http.Transport) bool {
	//lint:ignore SA1019 others may still use Dial and DialTLS
	return b.Dial != nil || b.DialTLS != nil || b.DialTLSContext != nil || b.DisableKeepAlives || b.MaxConnsPerHost != 0 || b.Protocols != nil
}

// plainHost reports whether a host can be dialled as it stands.
func plainHost(u *url.URL) bool {
	for i := range len(u.Host) {
		if c := u.Host[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return u.Host != "" && u.Opaque == ""
}

// ofConnection are headers that change what becomes of the connection.
var ofConnection = [...]string{"Connection", "Upgrade", "Expect", "Te", "Trailer", "Transfer-Encoding"}

// plainHeader reports whether the header is well-formed and leaves the connection alone.
func plainHeader(header http.Header) bool {
	if header == nil {
		return false
	}
	for _, name := range ofConnection {
		if len(header[name]) > 0 {
			return false
		}
	}
	for name, values := range header {
		if !httpguts.ValidHeaderFieldName(name) || http.CanonicalHeaderKey(name) != name {
			return false
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return false
			}
		}
	}
	return true
}

// asksGzip reports whether net/http would ask for gzip and unpack it.
func asksGzip(b *http.Transport, req *http.Request) bool {
	return !b.DisableCompression && req.Header.Get("Accept-Encoding") == "" && req.Header.Get("Range") == "" && req.Method != http.MethodHead
}

func (t *Transport) known(to origin) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, known := t.speaks[to]
	return known && time.Since(at) < memory
}

func (t *Transport) learn(to origin) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.speaks) >= maxOrigins {
		clear(t.speaks)
	}
	t.speaks[to] = time.Now()
}

func (t *Transport) forget(to origin) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.speaks, to)
}
