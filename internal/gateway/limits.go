package gateway

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// state is what is remembered of a caller's requests. It outlives a reload.
type state struct {
	limiter *rate.Limiter
	running atomic.Int64 // counted where there is a limit
}

func newState(c *Caller) *state {
	return &state{limiter: rate.NewLimiter(c.limit())}
}

// limit is the caller's rate, and how many requests may come at once when none came for a while.
func (c *Caller) limit() (limit rate.Limit, burst int) {
	if c.rate == 0 {
		return rate.Inf, 1
	}
	return rate.Limit(c.rate), max(1, int(math.Ceil(min(c.rate, math.MaxInt32))))
}

// adapt sets the caller's limit on what was counted so far.
func (s *state) adapt(c *Caller) {
	limit, burst := c.limit()
	s.limiter.SetLimit(limit)
	s.limiter.SetBurst(burst)
}

// Inherit takes over what old knows of callers of the same name, so that a reload forgives nobody
// and forgets no key of an issuer. It is called before s identifies anybody.
func (s *Callers) Inherit(old *Callers) {
	if s == nil || old == nil {
		return
	}
	if s.issuer.same(old.issuer) {
		s.issuer = old.issuer
	}
	known := make(map[string]*state, len(old.list))
	for _, c := range old.list {
		known[c.name] = c.state
	}
	for _, c := range s.list {
		if kept := known[c.name]; kept != nil {
			c.state = kept
			kept.adapt(c)
		}
	}
}

// enter takes one of the caller's places; leave gives it back, once however often it is called.
func (c *Caller) enter(now time.Time) (leave func(), f *fault, wait time.Duration) {
	if c == nil || c.rate == 0 && c.concurrent == 0 {
		return stay, nil, 0
	}
	leave = c.takePlace()
	if leave == nil {
		return stay, faultTooManyAtOnce, 0
	}
	if wait := c.early(now); wait > 0 {
		leave()
		return stay, faultTooManyRequests, wait
	}
	return leave, nil, 0
}

func stay() {}

// takePlace returns nil when all places are taken.
func (c *Caller) takePlace() (leave func()) {
	if c.concurrent == 0 {
		return stay
	}
	s := c.state
	if s.running.Add(1) > c.concurrent {
		s.running.Add(-1)
		return nil
	}
	var left atomic.Bool
	return func() {
		if !left.Swap(true) {
			s.running.Add(-1)
		}
	}
}

// early returns how long the caller must wait for its next request; 0: it may come now.
func (c *Caller) early(now time.Time) time.Duration {
	if c.rate == 0 {
		return 0
	}
	r := c.state.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
