// Package memory is the cache of one process: a map with two bounds.
//
// An entry leaves when its time is up, or when it is the least recently used one and the
// store is full. There are no goroutines and no timers: Get drops the expired entry it
// meets, and each Set drops up to a few more, oldest expiry first, so a store that is
// written to keeps itself clean.
//
//	entries ─▶ entry ◀─ recent   a ring, most recently used first: who leaves a full store
//	                 ◀─ expiry   a heap, soonest first: who leaves at what time
package memory

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

const (
	defaultEntries = 100_000
	defaultBytes   = 64 << 20

	// sweep bounds how many expired entries one Set drops. Anything above one is enough to
	// get ahead of the writers; a small number keeps a single Set from paying for all.
	sweep = 8
)

// Store is a cache.Store in this process's memory. The zero value is ready to use. The
// fields are not changed once the store is in use.
type Store struct {
	Now        func() time.Time // the clock; nil is time.Now
	MaxEntries int              // how many entries at most; 0 is 100,000
	MaxBytes   int              // how many bytes of keys and values at most; 0 is 64 MiB

	mu      sync.Mutex
	entries map[string]*entry
	recent  ring
	expiry  byExpiry
	bytes   int
}

// Get implements cache.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	value, ok := s.lookup(key)
	if !ok {
		return nil, cache.ErrNotFound
	}
	return bytes.Clone(value), nil // out of the lock: a stored slice is never written again
}

func (s *Store) lookup(key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	if !ok {
		return nil, false
	}
	if e.expired(s.now()) {
		s.drop(e)
		return nil, false
	}
	s.recent.touch(e)
	return e.value, true
}

// Set implements cache.Store. A key and value that alone exceed MaxBytes are an error.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ttl <= 0 {
		return fmt.Errorf("time to live is %v, want more than zero", ttl)
	}
	if size, limit := len(key)+len(value), s.maxBytes(); size > limit {
		return fmt.Errorf("entry of %d bytes exceeds the cache's limit of %d", size, limit)
	}
	fresh := &entry{key: key, value: bytes.Clone(value)}

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	fresh.expires = now.Add(ttl)
	if old, ok := s.entries[key]; ok {
		s.drop(old)
	}
	s.sweep(now)
	s.makeRoom(now, fresh.size())
	s.add(fresh)
	return nil
}

// Delete implements cache.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[key]; ok {
		s.drop(e)
	}
	return nil
}

// sweep drops the few entries that have been expired for longest.
func (s *Store) sweep(now time.Time) {
	for range sweep {
		if len(s.expiry) == 0 || !s.expiry[0].expired(now) {
			return
		}
		s.drop(s.expiry[0])
	}
}

// makeRoom drops entries until one more of this size fits: expired ones first, so that no
// live entry makes room while a dead one sits.
func (s *Store) makeRoom(now time.Time, size int) {
	entries, limit := cmp.Or(s.MaxEntries, defaultEntries), s.maxBytes()
	for len(s.expiry) > 0 && (len(s.expiry) >= entries || s.bytes+size > limit) {
		if first := s.expiry[0]; first.expired(now) {
			s.drop(first)
		} else {
			s.drop(s.recent.last())
		}
	}
}

func (s *Store) add(e *entry) {
	if s.entries == nil {
		s.entries = make(map[string]*entry)
	}
	s.entries[e.key] = e
	s.recent.pushFront(e)
	heap.Push(&s.expiry, e)
	s.bytes += e.size()
}

func (s *Store) drop(e *entry) {
	delete(s.entries, e.key)
	s.recent.remove(e)
	heap.Remove(&s.expiry, e.index)
	s.bytes -= e.size()
}

func (s *Store) maxBytes() int { return cmp.Or(s.MaxBytes, defaultBytes) }

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
