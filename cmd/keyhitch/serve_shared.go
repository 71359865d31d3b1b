package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/internal/gateway"
	"github.com/keyhitch/keyhitch/internal/http1"
	"github.com/keyhitch/keyhitch/internal/project"
)

// common are things that loads with the same setting have in common, so that connections outlive a
// reload. Each is opened for the first load that takes it, and closed when the last one has given
// it back: when the requests and logins of that load have ended. The zero value has none.
type common[K comparable, T any] struct {
	mu    sync.Mutex
	by    map[K]*taken[T]
	close func(T)
}

type taken[T any] struct {
	value T
	loads int
}

// take returns what at stands for, until back is called.
func (c *common[K, T]) take(at K, open func() (T, error)) (value T, back func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.by[at]
	if t == nil {
		if value, err = open(); err != nil {
			return value, nil, err
		}
		if c.by == nil {
			c.by = map[K]*taken[T]{}
		}
		t = &taken[T]{value: value}
		c.by[at] = t
	}
	t.loads++
	return t.value, sync.OnceFunc(func() { c.giveBack(at, t) }), nil
}

func (c *common[K, T]) giveBack(at K, t *taken[T]) {
	c.mu.Lock()
	t.loads--
	last := t.loads == 0
	if last {
		delete(c.by, at)
	}
	c.mu.Unlock()
	if last {
		c.close(t.value)
	}
}

type (
	caches = common[place, adapter.SharedCache]
	links  = common[string, link] // by the settings that they are made of
)

// place tells one setting of the shared cache from another.
type place struct{ url, keys, prefix, keyFile string }

// sharedCacheOf is the shared cache of all adapters of a load.
func (s *server) sharedCacheOf(l *load, r keyhitch.Redis) (adapter.SharedCache, error) {
	at := place{r.URL.Reveal(), r.SealKey.Reveal(), r.Prefix, l.sealKeyFile()}
	shared, back, err := s.shared.take(at, keyhitch.SharedCache(r))
	if err != nil {
		return shared, err
	}
	l.giveBack = append(l.giveBack, back)
	shared.Store = lasting(shared.Store)
	return shared, nil
}

// sealKeyFile is what the file of seal keys holds that the environment names. It is watched; why it
// cannot be read, is for who needs it to tell.
func (l *load) sealKeyFile() string {
	file := os.Getenv("KEYHITCH_SEAL_KEY_FILE")
	if file == "" {
		return ""
	}
	keys, _ := l.reading.file(file)
	return string(keys)
}

func closeShared(shared adapter.SharedCache) {
	if c, ok := shared.Store.(io.Closer); ok {
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

// link is how the adapters of a load reach their systems.
type link struct {
	base *http.Transport
	over *http1.Transport
}

// link is the same for loads with the same settings.
func (s *server) link(l *load) link {
	g := l.settings.Gateway
	at := fmt.Sprint(g.AllowTargets, g.DenyTargets, g.AnswerSeconds)
	shared, back, _ := s.links.take(at, func() (link, error) {
		base := wireOf(g)
		return link{base, http1.Over(base)}, nil
	})
	l.giveBack = append(l.giveBack, back)
	return shared
}

// wire is what sends over a transport: the base, or a copy with the settings of one system.
func (k link) wire(base *http.Transport) http.RoundTripper {
	if base == k.base {
		return k.over
	}
	return http1.Over(base)
}

func closeLink(k link) { k.over.CloseIdleConnections() }

func wireOf(g project.Gateway) *http.Transport {
	return gateway.GuardedBase(prefixes(g.AllowTargets), prefixes(g.DenyTargets), seconds(g.AnswerSeconds))
}
