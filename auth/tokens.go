package auth

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// maxSources bounds how many credentials a process keeps at once; idle ones leave first.
const maxSources = 10_000

// Tokens holds the live tokens of a process: one source per credential key, so that however
// many authenticators use one credential, it has one token and one flight. The zero value is
// ready to use.
type Tokens struct {
	mu      sync.Mutex
	sources map[string]*CachedSource
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

// source returns the one source of key, made by build when there is none.
func (t *Tokens) source(key string, build func() *CachedSource) *CachedSource {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sources[key]; s != nil {
		s.used.Store(true)
		return s
	}
	if t.sources == nil {
		t.sources = map[string]*CachedSource{}
	}
	if len(t.sources) >= maxSources {
		t.forgetIdle()
	}
	s := build()
	t.sources[key] = s
	return s
}

// forgetIdle drops the sources that nobody used since the last look (second chance).
func (t *Tokens) forgetIdle() {
	for key, s := range t.sources {
		if !s.used.Swap(false) && !s.flying() {
			delete(t.sources, key)
		}
	}
}

// List describes every token held, by owner and user.
func (t *Tokens) List() []TokenInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []TokenInfo
	for _, s := range t.sources {
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
