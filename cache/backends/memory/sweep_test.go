package memory

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// These tests look inside: no caller can see when an entry's memory is let go.

func TestSetForgetsExpiredEntriesThatNobodyReads(t *testing.T) {
	s, advance := clocked()
	const n = 1000
	for i := range n {
		put(t, s, fmt.Sprint(i), time.Minute)
	}
	advance(time.Minute)
	for i := range n / (sweep - 1) { // each Set adds one and drops up to sweep
		put(t, s, fmt.Sprint("new ", i), time.Hour)
	}
	if want := n / (sweep - 1); len(s.entries) > want+1 {
		t.Errorf("got %d entries, want the %d live ones", len(s.entries), want)
	}
	wantSound(t, s)
}

func TestGetForgetsTheExpiredEntryItMeets(t *testing.T) {
	s, advance := clocked()
	put(t, s, "k", time.Minute)
	advance(time.Minute)
	if _, err := s.Get(t.Context(), "k"); err == nil {
		t.Error("got a value, want none")
	}
	if len(s.entries) != 0 || s.bytes != 0 {
		t.Errorf("got %d entries and %d bytes, want none", len(s.entries), s.bytes)
	}
}

func TestExpiredEntriesMakeRoomBeforeLiveOnes(t *testing.T) {
	s, advance := clocked()
	s.MaxBytes = 100
	put(t, s, "live", time.Hour) // the least recently used
	for i := range 3 * sweep {
		put(t, s, fmt.Sprint(i), time.Minute)
	}
	advance(time.Minute)
	if err := s.Set(t.Context(), "big", make([]byte, 90), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.entries["live"]; !ok {
		t.Error("a live entry made room, want the expired ones to go first")
	}
	wantSound(t, s)
}

func TestBookkeepingHoldsUnderAnyOrderOfCalls(t *testing.T) {
	s, advance := clocked()
	s.MaxEntries, s.MaxBytes = 50, 400
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		key := fmt.Sprint(random.IntN(120))
		switch random.IntN(8) {
		case 0:
			_ = s.Delete(t.Context(), key)
		case 1:
			advance(time.Duration(random.IntN(3000)) * time.Millisecond)
		case 2, 3, 4:
			_, _ = s.Get(t.Context(), key)
		default:
			ttl := time.Duration(1+random.IntN(60)) * time.Second
			if err := s.Set(t.Context(), key, make([]byte, random.IntN(40)), ttl); err != nil {
				t.Fatal(err)
			}
		}
		wantSound(t, s)
	}
}

func BenchmarkGet(b *testing.B) {
	var s Store
	if err := s.Set(b.Context(), "k", make([]byte, 1<<10), time.Hour); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Get(b.Context(), "k"); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkSetWhenFull(b *testing.B) {
	s := Store{MaxEntries: 1000}
	keys := make([]string, 4000)
	for i := range keys {
		keys[i] = fmt.Sprint("key ", i)
	}
	value := make([]byte, 1<<10)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.Set(b.Context(), keys[i%len(keys)], value, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}

func clocked() (*Store, func(time.Duration)) {
	now := time.Unix(1_000_000_000, 0)
	return &Store{Now: func() time.Time { return now }}, func(d time.Duration) { now = now.Add(d) }
}

func put(t *testing.T, s *Store, key string, ttl time.Duration) {
	t.Helper()
	if err := s.Set(t.Context(), key, []byte("v"), ttl); err != nil {
		t.Fatal(err)
	}
}

// wantSound checks that map, ring, heap and byte count tell the same story, within bounds.
func wantSound(t *testing.T, s *Store) {
	t.Helper()
	inRing, bytes := 0, 0
	for e := s.recent.root.next; e != nil && e != &s.recent.root; e = e.next {
		inRing++
		bytes += e.size()
		if s.entries[e.key] != e || s.expiry[e.index] != e {
			t.Fatalf("entry %q is not in its place", e.key)
		}
	}
	if inRing != len(s.entries) || inRing != len(s.expiry) || bytes != s.bytes {
		t.Fatalf("got %d in the ring, %d in the map, %d in the heap; %d bytes, counted %d",
			inRing, len(s.entries), len(s.expiry), bytes, s.bytes)
	}
	if s.MaxEntries > 0 && inRing > s.MaxEntries || s.bytes > s.maxBytes() {
		t.Fatalf("got %d entries and %d bytes, beyond the bounds", inRing, s.bytes)
	}
}
