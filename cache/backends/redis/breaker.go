package redis

import (
	"sync"
	"time"
)

const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 1500 * time.Millisecond // so that a Redis that is back is in use within 2 s
)

// breaker keeps a lost Redis off the path. After a failure nobody asks for a pause; then one
// does, and the others wait for what he finds: success closes the breaker, failure doubles
// the pause. Who was under way when it opened or closed has no say any more.
type breaker struct {
	now func() time.Time

	mu      sync.Mutex
	round   uint64        // counts openings and closings
	pause   time.Duration // zero: closed
	until   time.Time
	probing bool
	cause   error
}

// outcome is what came of one question to Redis.
type outcome int

const (
	answered  outcome = iota
	failed            // Redis is lost
	undecided         // the caller left too early to know
)

// enter returns the round to leave with, or why Redis is not asked now.
func (b *breaker) enter() (round uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pause > 0 {
		if b.probing || b.now().Before(b.until) {
			return 0, b.cause
		}
		b.probing = true
	}
	return b.round, nil
}

// leave reports what came of the question; cause is the error of one that failed.
func (b *breaker) leave(round uint64, o outcome, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if round != b.round {
		return
	}
	switch {
	case o == failed:
		b.round++
		b.pause = min(max(2*b.pause, shortestPause), longestPause)
		b.until, b.cause = b.now().Add(b.pause), cause
	case o == answered && b.pause > 0:
		b.round++
		b.pause, b.cause = 0, nil
	}
	b.probing = false
}
