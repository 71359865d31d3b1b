package auth

import (
	"sync"
	"sync/atomic"
	"time"
)

// snapshot is one token and when it gets stale; immutable.
type snapshot struct {
	token  Token
	stale  time.Time // zero: never
	expiry time.Time // zero: never
	shared bool      // it came from the shared cache
}

// tier is where the token was before it was current.
func (s *snapshot) tier() string {
	switch {
	case s.shared:
		return TierRedis
	case s.token.fromCache:
		return TierMemory
	}
	return TierRequest
}

func (s *snapshot) fresh(now time.Time) bool  { return s.stale.IsZero() || now.Before(s.stale) }
func (s *snapshot) usable(now time.Time) bool { return s.expiry.IsZero() || now.Before(s.expiry) }

// live is what a process knows of one credential. It outlives the settings that the credential
// came from, and is small: a process may have very many.
type live struct {
	current atomic.Pointer[snapshot]
	used    atomic.Bool
	listed  atomic.Bool // others who use the credential find it
	doubt   atomic.Bool // the breaker has counted something

	owner, user string
	keys        *Keyer

	mu         sync.Mutex
	fly        *flight
	refused    *snapshot // the last one that was refused
	generation uint64
	drops      uint64   // how often the token was dropped: no flight of before brings it back
	once       bool     // the last token was good for nothing but the calls that waited
	trouble    *trouble // nil: there never was any
}

// flying reports whether a token request is under way.
func (l *live) flying() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fly != nil
}

// trouble is what is remembered of failures; most credentials have none.
type trouble struct {
	pace    pace
	breaker breaker
	warned  time.Time // when a cache failure was last logged
	look    time.Time // no look into the shared cache before this, in a pause
}

// troubles returns where failures are remembered; l.mu is held.
func (l *live) troubles() *trouble {
	if l.trouble == nil {
		l.trouble = new(trouble)
	}
	return l.trouble
}

// paused reports whether a failure still forbids to ask; l.mu is held.
func (l *live) paused(now time.Time) bool { return l.trouble != nil && l.trouble.pace.holds(now) }
