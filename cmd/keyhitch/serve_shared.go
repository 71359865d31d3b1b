package main

import (
	"io"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/cache"
)

// sharedStore is the shared cache of all adapters. It is opened once for each setting and stays
// open until the end, so that a token request that outlives a reload can still store what it brings.
type sharedStore struct {
	of      map[place]adapter.SharedCache
	closers []io.Closer
}

// place tells one setting from another.
type place struct{ url, keys, prefix string }

func (s *sharedStore) open(r keyhitch.Redis) (adapter.SharedCache, error) {
	at := place{r.URL.Reveal(), r.SealKey.Reveal(), r.Prefix}
	if found, ok := s.of[at]; ok {
		return found, nil
	}
	shared, err := keyhitch.SharedCache(r)()
	if err != nil {
		return shared, err
	}
	if c, ok := shared.Store.(io.Closer); ok {
		s.closers = append(s.closers, c)
	}
	shared.Store = lasting(shared.Store)
	if s.of == nil {
		s.of = map[place]adapter.SharedCache{}
	}
	s.of[at] = shared
	return shared, nil
}

func (s *sharedStore) close() {
	for _, c := range s.closers {
		_ = c.Close()
	}
}

// lasting hides Close: an adapter closes the cache that it was given.
func lasting(store cache.Store) cache.Store {
	shared, ok := store.(cache.Shared)
	if !ok {
		return struct{ cache.Store }{store}
	}
	return struct {
		cache.Store
		cache.Shared
	}{store, shared}
}
