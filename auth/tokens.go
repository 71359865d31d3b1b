package auth

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	defaultLimit   = 100_000
	defaultMaxIdle = 24 * time.Hour
	leaveAtOnce    = 100 // one in so many leaves when the limit is reached
)

// Tokens holds the live tokens of a process by credential key, so that however many authenticators
// use one credential, it has one token and one flight. The zero value is
// ready to use. The fields are not changed after the first use.
type Tokens struct {
	Limit   int           // credentials kept at once; idle ones leave first; 0: 100,000
	MaxIdle time.Duration // a credential, or a token without expiry in a cache, leaves after so long unused; 0: 24 h

	mu      sync.Mutex
	byKey   map[string]*live
	swept   time.Time // when idle tokens were last looked for
	flights flights
}

// flights counts the token requests under way. It is no sync.WaitGroup, because requests may
// start while somebody waits.
type flights struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n gets 0; nil when nobody waits
}

// TokenInfo is what may be shown of a cached token.
type TokenInfo struct {
	Owner, User, Fingerprint string
	Obtained, Expires        time.Time // Expires is zero when unknown
	Names                    []string  // token, tokenp2, …
	Where                    string    // memory or request
}

// known returns what is known of key: what build makes, when there is nothing yet.
func (t *Tokens) known(key string, now time.Time, build func() *live) *live {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byKey[key]; s != nil {
		s.used.Store(true)
		return s
	}
	if t.byKey == nil {
		t.byKey, t.swept = map[string]*live{}, now
	}
	if now.Sub(t.swept) >= t.maxIdle() {
		t.swept = now
		t.forgetIdle(len(t.byKey))
	}
	if limit := cmp.Or(t.Limit, defaultLimit); len(t.byKey) >= limit {
		// Whoever was used since the last look gets a second chance; the second look finds all idle.
		if some := limit/leaveAtOnce + 1; t.forgetIdle(some) == 0 {
			t.forgetIdle(some)
		}
	}
	s := build()
	t.byKey[key] = s
	return s
}

// forgetIdle drops at most so many of the tokens that nobody used since the last look, and returns
// how many it dropped.
func (t *Tokens) forgetIdle(most int) (dropped int) {
	for key, s := range t.byKey {
		if dropped == most {
			break
		}
		if !s.used.Swap(false) && !s.flying() {
			delete(t.byKey, key)
			dropped++
		}
	}
	return dropped
}

// maxIdle is MaxIdle or its default, for nil too.
func (t *Tokens) maxIdle() time.Duration {
	if t == nil {
		return defaultMaxIdle
	}
	return cmp.Or(t.MaxIdle, defaultMaxIdle)
}

// List describes every token held, by owner and user.
func (t *Tokens) List() []TokenInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []TokenInfo
	for _, s := range t.byKey {
		if snap := s.current.Load(); snap != nil {
			list = append(list, s.info(snap))
		}
	}
	slices.SortFunc(list, func(a, b TokenInfo) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.User, b.User), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return list
}

// Wait returns when no token request is under way, or with ctx.
func (t *Tokens) Wait(ctx context.Context) error {
	f := &t.flights
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin counts a token request; it and end do nothing for nil.
func (t *Tokens) begin() {
	if t == nil {
		return
	}
	t.flights.mu.Lock()
	defer t.flights.mu.Unlock()
	t.flights.n++
}

func (t *Tokens) end() {
	if t == nil {
		return
	}
	f := &t.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.n == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}
