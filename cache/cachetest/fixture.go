package cachetest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// fixture is one promise's test, its store and the clock. Its methods use Errorf, never
// Fatalf, so they may be called from any goroutine.
type fixture struct {
	*testing.T
	store   cache.Store
	advance func(time.Duration)
	tick    time.Duration // no time in a promise is finer
}

func (f fixture) set(key string, value []byte, ttl time.Duration) {
	f.Helper()
	if err := f.store.Set(f.Context(), key, value, ttl); err != nil {
		f.Errorf("Set(%s): got %v, want no error", brief(key), err)
	}
}

func (f fixture) delete(key string) {
	f.Helper()
	if err := f.store.Delete(f.Context(), key); err != nil {
		f.Errorf("Delete(%s): got %v, want no error", brief(key), err)
	}
}

func (f fixture) want(key string, value []byte) {
	f.Helper()
	got, err := f.store.Get(f.Context(), key)
	if err != nil || !bytes.Equal(got, value) {
		f.Errorf("Get(%s): got %s, %v, want %s", brief(key), brief(got), err, brief(value))
	}
}

func (f fixture) wantNone(key string) {
	f.Helper()
	got, err := f.store.Get(f.Context(), key)
	if !errors.Is(err, cache.ErrNotFound) || got != nil {
		f.Errorf("Get(%s): got %s, %v, want no value and ErrNotFound", brief(key), brief(got), err)
	}
}
