package redis

import (
	"errors"
	"testing"
	"time"
)

// These tests look inside: the pauses of a breaker are nobody's business but its own.

type testBreaker struct {
	breaker
	*testing.T
	clock time.Time
}

func newTestBreaker(t *testing.T) *testBreaker {
	b := &testBreaker{T: t, clock: time.Unix(1_000_000_000, 0)}
	b.now = func() time.Time { return b.clock }
	return b
}

var errLost = errors.New("lost")

func (b *testBreaker) open(want bool) uint64 {
	b.Helper()
	round, err := b.enter()
	if (err != nil) != want || err != nil && err != errLost {
		b.Errorf("enter: got %v, want open: %v", err, want)
	}
	return round
}

func TestBreakerPausesGrowFromShortToLong(t *testing.T) {
	b := newTestBreaker(t)
	b.leave(b.open(false), failed, errLost)
	for _, pause := range []time.Duration{100, 200, 400, 800, 1500, 1500} {
		pause *= time.Millisecond
		b.open(true)
		b.clock = b.clock.Add(pause - 1)
		b.open(true)
		b.clock = b.clock.Add(1)
		probe := b.open(false)
		b.open(true) // one probe only
		b.leave(probe, failed, errLost)
	}
	b.clock = b.clock.Add(longestPause)
	b.leave(b.open(false), answered, nil)
	b.open(false)
	b.leave(b.open(false), failed, errLost)
	b.clock = b.clock.Add(shortestPause) // it starts over
	b.open(false)
}

func TestBreakerHearsOnlyWhoBelongsToItsRound(t *testing.T) {
	b := newTestBreaker(t)
	many := []uint64{b.open(false), b.open(false), b.open(false)}
	for _, round := range many { // all fail at once: one opening
		b.leave(round, failed, errLost)
	}
	b.leave(many[0], answered, nil) // a late success from before
	b.open(true)
	b.clock = b.clock.Add(shortestPause)
	b.open(false)
}

func TestBreakerGivesTheProbeToAnotherWhenItsCallerLeft(t *testing.T) {
	b := newTestBreaker(t)
	b.leave(b.open(false), undecided, nil)
	b.open(false)
	b.leave(b.open(false), failed, errLost)
	b.clock = b.clock.Add(shortestPause)
	b.leave(b.open(false), undecided, nil)
	b.leave(b.open(false), answered, nil)
	b.open(false)
}

func TestClockGoesOnByMonotonicTime(t *testing.T) {
	var c clock
	if _, fresh := c.read(time.Now()); fresh {
		t.Error("a clock never measured is fresh")
	}
	local := time.Now()
	server := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	c.set(server, local)
	if now, fresh := c.read(local.Add(30 * time.Second)); !fresh || !now.Equal(server.Add(30*time.Second)) {
		t.Errorf("after 30 s: got %v, fresh %v", now, fresh)
	}
	if now, fresh := c.read(local.Add(time.Minute)); fresh || !now.Equal(server.Add(time.Minute)) {
		t.Errorf("after a minute: got %v, fresh %v, want it stale and still going", now, fresh)
	}
	// A wall clock that was set: time.Time cannot be made with two readings that disagree, so
	// one without a monotonic reading stands for it.
	c.set(server, local.Round(0))
	if _, fresh := c.read(local.Add(10 * time.Second)); !fresh {
		t.Error("clocks that agree: got stale, want fresh")
	}
}
