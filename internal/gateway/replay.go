package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// tape is a request's body that keeps its first bytes while they are sent, so that it can be sent
// once more after a refusal:
//
//	caller ─ source ─▶ kept ─▶ first take ─▶ system: 401
//	                     └───▶ next take (what is kept, then the rest of the source) ─▶ system
//
// It works as long as everything that was read is kept, so also for a large body of which nothing
// was read yet (Expect: 100-continue).
type tape struct {
	source io.Reader
	limit  int // bytes that are kept at most
	whence *http.Request
	to     http.Header // trailers that go out; filled at the end

	mu     sync.Mutex // held while the source is read
	kept   []byte
	read   int64 // from the source
	end    error // how the source ended
	latest *take

	broken  atomic.Bool // the source ended with an error: the caller's doing
	lost    atomic.Bool // another take was asked for and could not be had
	stopped atomic.Bool // the request is over
}

// errNotKept is what stands between a body and its next try.
var errNotKept = errors.New("the connection broke, and the body is too large to be sent again")

// errOver ends reading for an attempt that nobody waits for any more.
var errOver = errors.New("the request is over")

// take is one reading of the tape, from its beginning.
type take struct {
	*tape
	at     int64
	closed atomic.Bool
}

// first returns the take that goes out first.
func (t *tape) first() *take {
	t.latest = &take{tape: t}
	return t.latest
}

// again is http.Request.GetBody. It does not wait for a read under way: that one waits for the
// caller, who may wait for us.
func (t *tape) again() (io.ReadCloser, error) {
	if !t.mu.TryLock() {
		t.lost.Store(true)
		return nil, errNotKept
	}
	defer t.mu.Unlock()
	if t.read != int64(len(t.kept)) {
		t.lost.Store(true)
		return nil, errNotKept
	}
	if t.latest.at > 0 {
		t.latest.closed.Store(true) // or both would share what is still to come
	}
	t.latest = &take{tape: t}
	return t.latest, nil
}

// Read reads what is kept, then the source.
func (k *take) Read(p []byte) (int, error) {
	t := k.tape
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case k.closed.Load() || t.stopped.Load():
		return 0, errOver
	case k.at < int64(len(t.kept)):
		n := copy(p, t.kept[k.at:])
		k.at += int64(n)
		return n, nil
	case k.at < t.read:
		return 0, errNotKept
	case t.end != nil:
		return 0, t.end
	}
	n, err := t.source.Read(p)
	t.keep(p[:n])
	k.at += int64(n)
	if err != nil {
		t.finish(err)
	}
	return n, err
}

// keep remembers what was read, as long as it is everything.
func (t *tape) keep(p []byte) {
	if t.read == int64(len(t.kept)) {
		if len(t.kept)+len(p) <= t.limit {
			t.kept = append(t.kept, p...)
		} else {
			t.kept = nil
		}
	}
	t.read += int64(len(p))
}

// finish notes the end of the source, where its trailers are.
func (t *tape) finish(err error) {
	t.end = err
	if err != io.EOF {
		t.broken.Store(true)
		return
	}
	for name := range t.to {
		t.to[name] = t.whence.Trailer[name]
	}
}

// Close ends this take. The source belongs to the server, which may still have to answer 100.
func (k *take) Close() error {
	k.closed.Store(true)
	return nil
}

// stop ends the tape: a transport may read on after the answer, but not after the request.
func (t *tape) stop() { t.stopped.Store(true) }
