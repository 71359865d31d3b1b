package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Streams are answers without an end in sight: switched connections and streams of events. They
// need nothing of the configuration that they began on, so they do not hold it, or a browser tab
// left open would hold every configuration since. In return a reload looks at each of them: who
// could not begin it any more does not go on with it.

// streams are those that are open. The zero value has none.
type streams struct {
	mu   sync.Mutex
	open map[*stream]struct{}
	idle chan struct{} // closed with the last of them; nil: nobody waits
}

// stream is one of them.
type stream struct {
	gateway *Gateway
	request *http.Request // that it began with
	token   accepted
	adapter string
	cut     func()    // ends it from outside
	over    sync.Once // it was cut, or has ended
	began   time.Time
	moved   atomic.Int64 // when something last went through, in nanoseconds since it began
	limit   time.Duration
	late    *time.Timer // of streams.mu; nil: it may be idle for ever
}

// follow makes a stream of what is left of an exchange, and lets go of its configuration.
func (x *exchange) follow(cut func()) *stream {
	g, old := x.gateway, x.served
	s := &stream{gateway: g, request: x.request, token: x.Callers.accepted(x.request, x.caller), adapter: x.adapter,
		cut: cut, began: time.Now(), limit: x.Limits.StreamIdle}
	g.streams.add(s)
	g.options.Metrics.stream(s.adapter, 1)
	x.letGo()
	x.served = new(served) // nor the old one's memory
	// A reload looks at the streams after it has changed what is served, and this the other way
	// round: one of both sees that a caller is shut out.
	if now := g.current.Load(); now != nil && now != old && !now.admits(s) {
		s.stop()
	}
	return s
}

// end is called once by who called follow; cut is not called after it.
func (s *stream) end() {
	s.over.Do(func() {})
	s.gateway.streams.remove(s)
	s.gateway.options.Metrics.stream(s.adapter, -1)
}

func (s *stream) stop() { s.over.Do(s.cut) }

// writer notes what goes through to w.
func (s *stream) writer(w io.Writer) io.Writer { return noting{w, s} }

type noting struct {
	io.Writer
	stream *stream
}

// Write writes, and notes when.
func (n noting) Write(p []byte) (int, error) {
	count, err := n.Writer.Write(p)
	n.stream.note()
	return count, err
}

func (s *stream) note() { s.moved.Store(int64(time.Since(s.began))) }

func (l *streams) add(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[*stream]struct{}{}
	}
	l.open[s] = struct{}{}
	if s.limit > 0 {
		s.late = time.AfterFunc(s.limit, func() { l.look(s) })
	}
}

func (l *streams) remove(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, s)
	if s.late != nil {
		s.late.Stop()
	}
	if len(l.open) == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// look stops a stream that was idle for too long, or looks again when it could be.
func (l *streams) look(s *stream) {
	left := s.limit - time.Since(s.began) + time.Duration(s.moved.Load())
	if left <= 0 {
		s.stop()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.open[s]; open {
		s.late.Reset(left)
	}
}

// stop ends the streams that keep is false for, and returns how many.
func (l *streams) stop(keep func(*stream) bool) (stopped int) {
	l.mu.Lock()
	list := make([]*stream, 0, len(l.open))
	for s := range l.open {
		list = append(list, s)
	}
	l.mu.Unlock()
	for _, s := range list {
		if !keep(s) {
			go s.stop() // one that is slow to end must not keep the others open
			stopped++
		}
	}
	return stopped
}

// cutTime is how long a stream may take to end that was cut.
const cutTime = time.Second

// wait returns when no stream is open. At the end of ctx those that are left are cut.
func (l *streams) wait(ctx context.Context) error {
	idle := l.none()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	if l.stop(func(*stream) bool { return false }) == 0 {
		return nil
	}
	select {
	case <-idle:
	case <-time.After(cutTime):
	}
	return ctx.Err()
}

// none returns a channel that is closed when no stream is open.
func (l *streams) none() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	if len(l.open) == 0 {
		close(idle)
		l.idle = nil
	}
	return idle
}

// admits reports whether s could begin now: its caller is still known by what he showed, and may
// still reach where he is.
func (now *served) admits(s *stream) bool {
	caller, known := now.Callers.recognize(s.request, s.token)
	if !known {
		return false
	}
	name, rest := cutTarget(sentPath(s.request.URL))
	x := exchange{served: now, caller: caller, adapter: name}
	f, _ := x.admit(now.doors[name], s.request, name, rest)
	return f == nil
}

// accepted is what is kept of a token that let a caller in; zero: it was a key or a certificate.
type accepted struct {
	issuer  *issuer
	subject string
}

// accepted finds out whether a token let c in.
func (s *Callers) accepted(r *http.Request, c *Caller) accepted {
	shown, found := bearer(r.Header["Authorization"])
	if s == nil || !found || s.byKey(shown) != nil {
		return accepted{}
	}
	for subject, caller := range s.subjects {
		if caller == c {
			return accepted{s.issuer, subject}
		}
	}
	return accepted{}
}

// recognize is identify for a request that was let in before. A token is not checked again: its
// time may have passed since, which ends nothing that has begun.
func (s *Callers) recognize(r *http.Request, token accepted) (caller *Caller, known bool) {
	if s == nil {
		return nil, true
	}
	shown, found := bearer(r.Header["Authorization"])
	switch {
	case !found:
		caller = s.byCertificate(r.TLS)
	case token.issuer == nil:
		caller = s.byKey(shown)
	case s.issuer.same(token.issuer):
		caller = s.subjects[token.subject]
	}
	return caller, caller != nil
}

// passEvents is stream for a stream of events: it has an end, and may be ended.
func (x *exchange) passEvents(res *http.Response) error {
	s := x.follow(func() {
		_ = res.Body.Close()
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now()) // of a caller who does not read
	})
	defer s.end()
	x.w.stream = s
	return x.stream(res)
}

// events reports whether an answer is a stream of events.
func events(res *http.Response) bool {
	return strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream")
}
