package auth

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

// So much of a refused answer is read, for so long, that the connection can be used again.
const (
	drainBytes = 64 << 10
	drainTime  = 250 * time.Millisecond
)

// Transport is an http.RoundTripper that adds credentials to requests for one origin, and sends
// a request once more with a new credential when the system says that the old one is refused.
// It sets no deadline and never wraps an answer's body, so streams and upgrades pass.
type Transport struct {
	Base      http.RoundTripper
	Auth      Authenticator
	Origin    Origin // credentials go here and nowhere else
	Refused   []int  // statuses that mean «credential refused»; empty: 401
	Resubmits int    // how often one request is sent again after a refusal
	Observe   func(Event)
}

// RoundTrip sends req, which it does not change.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) { return t.send(req, false) }

// Own returns the same transport for requests that belong to the sender: a credential that is
// only a header is written in place, which saves the copy. The request must not be shown after.
func (t *Transport) Own() http.RoundTripper { return ownTransport{t} }

type ownTransport struct{ *Transport }

func (t ownTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.send(req, true)
}

func (t *Transport) send(req *http.Request, own bool) (*http.Response, error) {
	if !t.Origin.Holds(req.URL) || t.strayed(req) {
		return t.Base.RoundTrip(req)
	}
	first := t.keeping(req)
	res, stamp, err := t.try(req, first, own)
	for tries := 1; err == nil && stamp != 0 && t.refused(res.StatusCode); tries++ {
		body, ok := t.again(req, first, refusal{res.StatusCode, stamp, tries})
		if !ok {
			return res, nil
		}
		drain(res)
		status := res.StatusCode
		if res, stamp, err = t.try(req, body, false); err != nil && stamp == 0 {
			err = fmt.Errorf("the system refused the credential (status %d), and there is no other: %w", status, err)
		}
	}
	if err == nil && stamp != 0 && res.StatusCode < 400 {
		t.accepted(stamp)
	}
	return res, err
}

// refusal is an answer that says that the credential will not do.
type refusal struct {
	status int
	stamp  Stamp // of the credential
	tries  int   // so far
}

// again drops the refused credential and returns the body for one more try; false: there is none,
// and the refusal is the answer.
func (t *Transport) again(req *http.Request, first io.ReadCloser, r refusal) (io.ReadCloser, bool) {
	inv, ok := t.Auth.(Invalidator)
	if !ok {
		return nil, false
	}
	if !inv.Invalidate(req.Context(), r.stamp) {
		t.observe("refused", fmt.Sprintf("status %d; new tokens were refused too, so none is asked for now", r.status), 0)
		return nil, false
	}
	if r.tries > t.Resubmits {
		return nil, false
	}
	body, ok := replay(req, first)
	if !ok {
		t.observe("refused", fmt.Sprintf("status %d; the body cannot be sent twice, the next call uses a new token", r.status), 0)
		return nil, false
	}
	t.observe("refused", fmt.Sprintf("status %d; sending once more with a new token", r.status), 0)
	return body, true
}

// accepted tells the token's source that the system took it.
func (t *Transport) accepted(with Stamp) {
	if p, ok := t.Auth.(*Placed); ok {
		p.Source.accepted(with)
	}
}

// strayed reports whether the redirects that led to req have been elsewhere: another origin must
// not choose a path here that is called with credentials.
func (t *Transport) strayed(req *http.Request) bool {
	for res := req.Response; res != nil && res.Request != nil; res = res.Request.Response {
		if !t.Origin.Holds(res.Request.URL) {
			return true
		}
	}
	return false
}

// try sends one authenticated copy of req, or req itself where that is allowed.
func (t *Transport) try(req *http.Request, body io.ReadCloser, own bool) (*http.Response, Stamp, error) {
	out := req
	if !own || req.Header == nil || !t.headersOnly() {
		out = copyRequest(req)
	}
	out.Body = body
	stamp, err := t.Auth.Apply(out)
	if k, ok := out.Body.(*keeper); ok {
		out.Body = k.ReadCloser // it was not read here: the wire gets what the caller gave
	}
	if err != nil {
		if body != nil {
			_ = body.Close()
		}
		return nil, 0, err
	}
	var start time.Time
	if t.Observe != nil {
		start = time.Now()
	}
	res, err := t.Base.RoundTrip(out)
	if res != nil {
		res.Request = req // the one without credentials
	}
	if t.Observe != nil {
		t.report(req, res, err, time.Since(start))
	}
	return res, stamp, err
}

// headersOnly reports whether the authenticator is known to write nothing but headers.
func (t *Transport) headersOnly() bool {
	switch a := t.Auth.(type) { // concrete types: this is on the path of every call
	case *Placed:
		return a.headersOnly()
	case *Fixed:
		return a.headersOnly()
	}
	return false
}

func (t *Transport) refused(status int) bool {
	if len(t.Refused) == 0 {
		return status == http.StatusUnauthorized
	}
	return slices.Contains(t.Refused, status)
}

func (t *Transport) report(req *http.Request, res *http.Response, err error, took time.Duration) {
	what := req.Method + " " + t.Origin.String() + req.URL.EscapedPath()
	if err != nil {
		t.observe("call", what+": no answer", took)
		return
	}
	t.observe("call", fmt.Sprintf("%s: status %d", what, res.StatusCode), took)
}

func (t *Transport) observe(step, detail string, took time.Duration) {
	if t.Observe != nil {
		t.Observe(Event{Step: step, Detail: detail, Took: took})
	}
}

// copyRequest copies the struct and the header map, not the header values (3 allocations, where
// http.Request.Clone takes 7).
func copyRequest(req *http.Request) *http.Request {
	out := new(http.Request)
	*out = *req
	out.Header = make(http.Header, len(req.Header)+1)
	maps.Copy(out.Header, req.Header)
	return out
}

// keeper is a stream that remembers what a credential was merged into, and nothing else.
type keeper struct {
	io.ReadCloser
	data []byte
	full bool // data is all of it
}

// keeping returns the body of the first try.
func (t *Transport) keeping(req *http.Request) io.ReadCloser {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil || t.headersOnly() {
		return req.Body
	}
	return &keeper{ReadCloser: req.Body}
}

// replay returns the body for another try; false: it was a stream, and nobody read it here.
func replay(req *http.Request, first io.ReadCloser) (io.ReadCloser, bool) {
	if k, ok := first.(*keeper); ok && k.full {
		return io.NopCloser(bytes.NewReader(k.data)), true
	}
	if req.Body == nil || req.Body == http.NoBody {
		return req.Body, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	return body, err == nil
}

func drain(res *http.Response) {
	late := time.AfterFunc(drainTime, func() { _ = res.Body.Close() })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, res.Body, drainBytes)
	_ = res.Body.Close()
}

// NewBase returns the tuned http.Transport that calls and token requests share: many idle
// connections per host, bounded dial, handshake and header sizes, and no proxy from the environment.
func NewBase() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           1024,
		MaxIdleConnsPerHost:    256,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
	}
}
