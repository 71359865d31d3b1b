package auth

import (
	"cmp"
	"context"
	"maps"
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
	warned  time.Time // when a failing cache was last logged
	flights flights
}

// flights are the token requests under way, each a channel that closes at its end.
type flights struct {
	mu      sync.Mutex
	running map[chan struct{}]struct{}
}

// TokenInfo is what may be shown of a cached token.
type TokenInfo struct {
	Owner, User, Fingerprint string
	Obtained, Expires        time.Time // Expires is zero when unknown
	Names                    []string  // token, tokenp2, …
	Where                    string    // memory, redis or request
}

// known returns what is known of key: what build makes, when there is nothing yet.
func (t *Tokens) known(key string, now time.Time, build func() *live) *live {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.byKey[key]; l != nil {
		l.used.Store(true)
		return l
	}
	l := build()
	t.add(key, l, now)
	return l
}

// keep makes sure that what is in use is found by others who use it: it may have left as idle
// while somebody held it.
func (t *Tokens) keep(key string, l *live, now time.Time) {
	if !l.used.Load() {
		l.used.Store(true)
	}
	if t == nil || l.listed.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey[key] == nil {
		t.add(key, l, now)
	}
}

// tidy drops what was idle for long, now and then.
func (t *Tokens) tidy(now time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(now)
}

// add makes room and keeps l; t.mu is held.
func (t *Tokens) add(key string, l *live, now time.Time) {
	if t.byKey == nil {
		t.byKey, t.swept = map[string]*live{}, now
	}
	t.sweep(now)
	if limit := cmp.Or(t.Limit, defaultLimit); len(t.byKey) >= limit {
		// Whoever was used since the last look gets a second chance; the second look finds all idle.
		if some := limit/leaveAtOnce + 1; t.forgetIdle(some) == 0 {
			t.forgetIdle(some)
		}
	}
	t.byKey[key] = l
	l.listed.Store(true)
}

// sweep drops what was not used for MaxIdle or longer; t.mu is held.
func (t *Tokens) sweep(now time.Time) {
	if now.Sub(t.swept) >= t.maxIdle() {
		t.swept = now
		t.forgetIdle(len(t.byKey))
	}
}

// mayWarn reports whether a failing cache is to be logged now: not again within a minute.
func (t *Tokens) mayWarn(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.warned.IsZero() && now.Sub(t.warned) < cacheWarnEvery {
		return false
	}
	t.warned = now
	return true
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
			s.listed.Store(false)
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

// Wait returns when every token request that is under way now has ended, or with ctx.
func (t *Tokens) Wait(ctx context.Context) error {
	t.flights.mu.Lock()
	running := slices.Collect(maps.Keys(t.flights.running))
	t.flights.mu.Unlock()
	for _, done := range running {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// begin notes a token request; end is called when it, and what follows from it, is over.
func (t *Tokens) begin() (end func()) {
	if t == nil {
		return func() {}
	}
	f, done := &t.flights, make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == nil {
		f.running = map[chan struct{}]struct{}{}
	}
	f.running[done] = struct{}{}
	return func() {
		f.mu.Lock()
		delete(f.running, done)
		f.mu.Unlock()
		close(done)
	}
}
