package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/memory"
	"github.com/keyhitch/keyhitch/cache/cachetest"
)

func TestConformance(t *testing.T) {
	now := time.Now()
	cachetest.Run(t, cachetest.Harness{
		New:     func(*testing.T) cache.Store { return &memory.Store{Now: func() time.Time { return now }} },
		Advance: func(d time.Duration) { now = now.Add(d) },
	})
}

func TestLeastRecentlyUsedEntryMakesRoom(t *testing.T) {
	s := &memory.Store{MaxEntries: 3}
	set(t, s, "a", 1)
	set(t, s, "b", 1)
	set(t, s, "c", 1)
	if _, err := s.Get(t.Context(), "a"); err != nil { // now b is the least recently used
		t.Fatal(err)
	}
	set(t, s, "d", 1)
	wantKeys(t, s, "a", "c", "d") // reads in this order: now a is
	set(t, s, "a", 2)             // an overwrite is a use, and needs no room: now c is
	set(t, s, "e", 1)
	wantKeys(t, s, "a", "d", "e")
}

func TestEntriesLeaveUntilTheBytesFit(t *testing.T) {
	s := &memory.Store{MaxBytes: 10}
	set(t, s, "a", 2) // 3 bytes with its key
	set(t, s, "b", 2)
	set(t, s, "c", 2)
	wantKeys(t, s, "a", "b", "c")
	set(t, s, "d", 4) // 9 + 5 > 10: a and b leave
	wantKeys(t, s, "c", "d")
	set(t, s, "d", 6) // an overwrite frees what it replaces
	wantKeys(t, s, "c", "d")
}

func TestEntryBeyondTheBoundIsAnErrorAndChangesNothing(t *testing.T) {
	s := &memory.Store{MaxBytes: 10}
	set(t, s, "a", 2)
	err := s.Set(t.Context(), "a", make([]byte, 10), time.Hour)
	if want := "entry of 11 bytes exceeds the cache's limit of 10"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	wantKeys(t, s, "a")
}

func TestDefaultBounds(t *testing.T) {
	s := new(memory.Store)
	if err := s.Set(t.Context(), "", make([]byte, 64<<20), time.Hour); err != nil {
		t.Errorf("64 MiB: got %v, want it kept", err)
	}
	if err := s.Set(t.Context(), "k", make([]byte, 64<<20), time.Hour); err == nil {
		t.Error("64 MiB and one byte: got no error, want one")
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	err := (&memory.Config{MaxEntries: -1, MaxBytes: -2}).Validate()
	if err == nil {
		t.Fatal("got no error, want two")
	}
	for _, want := range []string{"/max_entries: is -1", "/max_bytes: is -2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
}

func TestConfigSetsTheBounds(t *testing.T) {
	c := &memory.Config{MaxEntries: 1, MaxBytes: 10}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	set(t, s, "a", 1)
	set(t, s, "b", 1)
	wantKeys(t, s, "b")
	if err := s.Set(t.Context(), "a", make([]byte, 10), time.Hour); err == nil {
		t.Error("more than max_bytes: got no error, want one")
	}
}

func Example() {
	ctx := context.Background()
	var store memory.Store // the zero value works

	_ = store.Set(ctx, "greeting", []byte("hello"), time.Minute)
	value, _ := store.Get(ctx, "greeting")
	_, err := store.Get(ctx, "farewell")
	fmt.Printf("%s\n%v\n", value, errors.Is(err, cache.ErrNotFound))
	// Output:
	// hello
	// true
}

func set(t *testing.T, s cache.Store, key string, size int) {
	t.Helper()
	if err := s.Set(t.Context(), key, make([]byte, size), time.Hour); err != nil {
		t.Fatalf("Set(%s): %v", key, err)
	}
}

// wantKeys reads all one-letter keys, which are all that these tests use.
func wantKeys(t *testing.T, s cache.Store, want ...string) {
	t.Helper()
	var got []string
	for c := 'a'; c <= 'z'; c++ {
		if _, err := s.Get(t.Context(), string(c)); err == nil {
			got = append(got, string(c))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("keys: got %q, want %q", got, want)
	}
}
