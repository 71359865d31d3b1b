package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	issuerTime    = 10 * time.Second // for one answer of the issuer
	issuerBytes   = 1 << 20          // of one answer
	issuerRest    = 10 * time.Second // after a good answer: callers with made-up keys must not have it asked all the time
	issuerWait    = time.Second      // after a failure, and twice as long after each further one
	issuerLongest = 5 * time.Minute
)

// issuerWire is how the issuer is asked: one bounded answer, no redirect, and a rest after each.
// go-oidc itself would ask for every token with an unknown key, and read answers of any size.
type issuerWire struct {
	base http.RoundTripper
	now  func() time.Time
	log  atomic.Pointer[logrus.FieldLogger]

	mu     sync.Mutex
	visits map[string]visit // by URL: the discovery document's and the keys'
}

// visit is when a URL may be asked again, and why not now.
type visit struct {
	next     time.Time
	failures int
	err      error // of the last one; nil: it was good
}

// issuerError says that the issuer does not give what tokens are checked with.
type issuerError struct {
	url    string
	err    error
	lately bool // it did give it, a moment ago
}

// Error names the URL, which holds no secret, and the cause.
func (e *issuerError) Error() string { return fmt.Sprintf("the issuer's %s: %v", e.url, e.err) }

// Unwrap returns the cause.
func (e *issuerError) Unwrap() error { return e.err }

var errAskedLately = errors.New("was read a moment ago")

// RoundTrip asks, unless it was asked just now. Every error is an *issuerError.
func (w *issuerWire) RoundTrip(req *http.Request) (*http.Response, error) {
	at := req.URL.String()
	if err := w.resting(at); err != nil {
		return nil, err
	}
	res, err := w.fetch(req)
	if err != nil {
		return nil, w.unusable(at, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.visits[at] = visit{next: w.now().Add(issuerRest)}
	return res, nil
}

// resting returns why at is not asked now.
func (w *issuerWire) resting(at string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.visits[at]
	switch {
	case !w.now().Before(v.next):
		return nil
	case v.err == nil:
		return &issuerError{at, errAskedLately, true}
	}
	return v.err
}

// unusable notes that what at gave is of no use, and has it rest.
func (w *issuerWire) unusable(at string, err error) *issuerError {
	failed := &issuerError{url: at, err: err}
	w.mu.Lock()
	v := w.visits[at]
	pause := issuerLongest
	if v.failures < 9 {
		pause = min(issuerWait<<v.failures, issuerLongest)
	}
	w.visits[at] = visit{next: w.now().Add(pause), failures: v.failures + 1, err: failed}
	w.mu.Unlock()
	if log := w.log.Load(); log != nil {
		(*log).WithError(failed).Warnf("callers' tokens cannot be checked; the issuer is asked again in %s at the earliest", pause)
	}
	return failed
}

// fetch asks once and reads the whole answer. It has its own deadline, because others wait for
// the same answer.
func (w *issuerWire) fetch(req *http.Request) (*http.Response, error) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(req.Context()), issuerTime)
	defer stop()
	res, err := w.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answers with status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, issuerBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > issuerBytes:
		return nil, fmt.Errorf("is larger than %d bytes", issuerBytes)
	case !json.Valid(body):
		return nil, errors.New("is not JSON")
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// isAddress reports whether a host is written as an address, in whichever way systems read one.
func isAddress(host string) bool {
	last := host[strings.LastIndexByte(strings.TrimSuffix(host, "."), '.')+1:]
	return net.ParseIP(host) != nil || strings.Contains(host, ":") || last != "" && last[0] >= '0' && last[0] <= '9'
}
