package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// countedBody counts what is read of a request's body. The answer may be complete while somebody
// still reads.
type countedBody struct {
	io.ReadCloser
	bytes atomic.Int64
}

// Read reads.
func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// arrive begins to count.
func (x *exchange) arrive(r *http.Request) {
	if r.ContentLength != 0 { // http.NoBody stays what it is: transports look for it
		x.in.ReadCloser = r.Body
		r.Body = &x.in
	}
	x.gateway.options.Metrics.arrive()
}

// end writes the access log's line, counts, and turns a panic into an answer. Where an answer has
// begun it is cut off, so that nobody takes it for whole.
func (x *exchange) end() {
	cause := recover()
	cut := cause != nil && (x.w.status != 0 || cause == http.ErrAbortHandler)
	if cause != nil && cause != http.ErrAbortHandler {
		x.panicked(cause)
	}
	switch {
	case x.w.status != 0:
	case !cut:
		x.w.status = http.StatusOK // what net/http answers for a handler that says nothing
	case x.request.Context().Err() != nil:
		x.w.status, x.fault = statusLeft, faultLeft
	}
	took := x.gateway.now().Sub(x.start)
	x.gateway.options.Metrics.leave(x, took)
	x.log(took, cut)
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// panicked logs a panic, and answers if nothing was answered.
func (x *exchange) panicked(cause any) {
	redact := x.gateway.options.Redact
	x.gateway.options.Log.WithFields(logrus.Fields{"request_id": x.id, "panic": redact.Scrub(fmt.Sprint(cause)),
		"stack": redact.Scrub(string(debug.Stack()))}).Error("a request went wrong inside the gateway")
	if x.w.status == 0 {
		x.fail(faultInternal, "")
	}
}

// longestPath bounds what a caller adds to the access log.
const longestPath = 1024

// log writes the access log's line.
func (x *exchange) log(took time.Duration, cut bool) {
	o := &x.gateway.options
	level := logrus.InfoLevel
	if x.fault != nil && x.fault.Status >= 500 {
		level = logrus.WarnLevel
	}
	if leveled, ok := o.Log.(interface{ IsLevelEnabled(logrus.Level) bool }); ok && !leveled.IsLevelEnabled(level) {
		return
	}
	l := x.line(level, took)
	l.aborted = cut
	if o.AccessLog != nil && !x.gateway.plain.Load() {
		l.writeTo(o.AccessLog)
		return
	}
	entry := o.Log.WithFields(l.fields())
	if level == logrus.WarnLevel {
		entry.Warn(accessMessage)
		return
	}
	entry.Info(accessMessage)
}

// line is what the access log tells of x: nothing of the query, which may hold anything, and what
// the caller chose only without secrets.
func (x *exchange) line(level logrus.Level, took time.Duration) accessLine {
	r, scrub := x.request, x.gateway.options.Redact.Scrub
	l := accessLine{level: level, time: x.start.Add(took), took: took, login: x.timing.login(took), upstream: x.timing.upstream(), status: x.w.status, in: x.in.bytes.Load(), out: x.w.bytes,
		method: scrub(clip(r.Method, 20)), path: scrub(clip(r.URL.EscapedPath(), longestPath)), remote: host(r.RemoteAddr),
		id: x.id, adapter: x.adapter, entity: scrub(clip(x.entity, longestName)), action: scrub(clip(x.action, longestName)), fingerprint: x.token}
	if len(r.Header[requestID]) > 0 {
		l.id = scrub(l.id)
	}
	if x.caller != nil {
		l.caller = x.caller.name
	}
	if x.fault != nil {
		l.fault = x.fault.Code
	}
	return l
}

// clip shortens a text that somebody else chose.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// host is an address without its port; that of a unix socket stays as it is.
func host(address string) string {
	if name, _, err := net.SplitHostPort(address); err == nil {
		return name
	}
	return address
}
