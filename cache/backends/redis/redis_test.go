package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/redis"
	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
	"github.com/keyhitch/keyhitch/cache/cachetest"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

func open(t testing.TB, url string) *redis.Store {
	t.Helper()
	return openConfig(t, &redis.Config{URL: redis.NewURL(url)})
}

func openConfig(t testing.TB, c *redis.Config) *redis.Store {
	t.Helper()
	s, err := c.Open()
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	store := s.(*redis.Store)
	t.Cleanup(func() { store.Close() })
	return store
}

// onMiniredis is a harness whose time is miniredis's: it does not pass by itself.
func onMiniredis() cachetest.Harness {
	var server *miniredis.Miniredis
	peer := func(t *testing.T, _ cache.Store) cache.Store { return open(t, "redis://"+server.Addr()+patient) }
	return cachetest.Harness{
		New: func(t *testing.T) cache.Store {
			server = miniredis.RunT(t)
			return peer(t, nil)
		},
		Advance: func(d time.Duration) { server.FastForward(d) },
		Peer:    peer,
		Sleep:   func(d time.Duration) { time.Sleep(d); server.FastForward(d) },
		Cut:     func(*testing.T, cache.Store) { server.Close() },
	}
}

// patient is for tests that are not about time: a busy machine stands still now and then.
const patient = "?timeout=5s&dial_timeout=5s"

// onServer is a harness on a real Redis. Its clock cannot be moved, so Advance takes the time
// off everything that is there; what passes by itself is less than a tick.
func onServer(t *testing.T) cachetest.Harness {
	server := redistest.Start(t)
	cut, cases, prefix := false, 0, ""
	peer := func(t *testing.T, _ cache.Store) cache.Store {
		return openConfig(t, &redis.Config{URL: redis.NewURL("redis://" + server.Addr() + patient), Prefix: prefix})
	}
	return cachetest.Harness{
		New: func(t *testing.T) cache.Store {
			if cut {
				server.Restart()
				cut = false
			}
			cases++
			prefix = fmt.Sprint("case", cases)
			return peer(t, nil)
		},
		Advance: func(d time.Duration) {
			server.Do("EVAL", `for _, key in ipairs(redis.call('KEYS', '*')) do
				local left = redis.call('PTTL', key)
				if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
			end`, 0, d.Milliseconds())
		},
		Tick:  2 * time.Second,
		Peer:  peer,
		Sleep: time.Sleep,
		Cut:   func(*testing.T, cache.Store) { server.Kill(); cut = true },
	}
}

// sealing has the same stores behind a seal.
func sealing(h cachetest.Harness) cachetest.Harness {
	keys, err := sealed.ParseKeys(sealed.NewKey())
	if err != nil {
		panic(err)
	}
	plain, peer := h.New, h.Peer
	h.New = func(t *testing.T) cache.Store { return sealed.New(plain(t), keys) }
	h.Peer = func(t *testing.T, s cache.Store) cache.Store { return sealed.New(peer(t, s), keys) }
	return h
}

func TestConformanceOnMiniredis(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, onMiniredis())
}

func TestSharedOnMiniredis(t *testing.T) {
	t.Parallel()
	cachetest.RunShared(t, onMiniredis())
}

func TestConformanceOnServer(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, onServer(t))
}

func TestSharedOnServer(t *testing.T) {
	t.Parallel()
	cachetest.RunShared(t, onServer(t))
}

func TestSealedConformance(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, sealing(onMiniredis()))
}

func TestSealedShared(t *testing.T) {
	t.Parallel()
	cachetest.RunShared(t, sealing(onMiniredis()))
}

func TestNamesInRedis(t *testing.T) {
	server := miniredis.RunT(t)
	s := open(t, "redis://"+server.Addr())
	if _, err := s.Lease(t.Context(), "k", time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), "k", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(server.Keys(), " ")
	if want := "keyhitch:{k}:lease keyhitch:{k}:state keyhitch:{k}:token"; got != want {
		t.Errorf("names: got %s, want %s", got, want)
	}
	if v, _ := server.Get("keyhitch:{k}:token"); v != "1v" {
		t.Errorf("token: got %q, want 1 and the value", v)
	}
	for _, key := range server.Keys() {
		if server.TTL(key) <= 0 {
			t.Errorf("%s: has no time to live", key)
		}
	}
}

// TestForeignRecords puts what is not ours under our names: it is never an outage, it is
// never handed out as a value, and the next value takes its place.
func TestForeignRecords(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, "redis://"+server.Addr())
	for name, command := range map[string][]any{
		"list as value":     {"RPUSH", "keyhitch:{k}:token", "x"},
		"large value":       {"EVAL", "redis.call('SET', KEYS[1], string.rep('1', 10485760))", 1, "keyhitch:{k}:token"},
		"value of others":   {"SET", "keyhitch:{k}:token", "not ours"},
		"hash as state":     {"HSET", "keyhitch:{k}:state", "x", "y"},
		"words as state":    {"SET", "keyhitch:{k}:state", "not ours"},
		"huge generation":   {"SET", "keyhitch:{k}:state", "99999999999999999999 "},
		"negative":          {"SET", "keyhitch:{k}:state", "-5 "},
		"infinite":          {"SET", "keyhitch:{k}:state", "inf "},
		"list as lease":     {"RPUSH", "keyhitch:{k}:lease", "x"},
		"lease without end": {"SET", "keyhitch:{k}:lease", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			server.Do("FLUSHALL")
			server.Do(command...)
			if value, err := s.Get(t.Context(), "k"); !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("Get: got %d bytes, %v, want ErrNotFound", len(value), err)
			} else if _, bad := errors.AsType[*cache.RecordError](err); bad != strings.Contains(name, "value") {
				t.Errorf("Get: got %T, want a *RecordError for a record that is there", err)
			}
			l, err := s.Lease(t.Context(), "k", time.Minute)
			if err != nil {
				t.Fatalf("Lease: %v", err)
			}
			if err := l.Publish(t.Context(), []byte("v"), l.Generation()+1, time.Minute); err != nil {
				t.Fatalf("Publish: %v", err)
			}
			if value, err := s.Get(t.Context(), "k"); err != nil || string(value) != "v" {
				t.Errorf("Get: got %q, %v, want v", value, err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	s := open(t, "redis://"+miniredis.RunT(t).Addr())
	if err := s.Set(t.Context(), "k", make([]byte, 2<<20), time.Minute); err != nil {
		t.Errorf("2 MiB: got %v, want it kept", err)
	}
	l, err := s.Lease(t.Context(), "k", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Set of 2 MiB and one":      s.Set(t.Context(), "k", make([]byte, 2<<20+1), time.Minute),
		"Publish of 2 MiB and one":  l.Publish(t.Context(), make([]byte, 2<<20+1), 9, time.Minute),
		"Publish of a huge number":  l.Publish(t.Context(), nil, 1<<52+1, time.Minute),
		"Lease of less than a tick": func() error { _, err := s.Lease(t.Context(), "new", time.Microsecond); return err }(),
	} {
		if err == nil || errors.Is(err, cache.ErrDown) || errors.Is(err, cache.ErrBusy) {
			t.Errorf("%s: got %v, want an error of the caller's", name, err)
		}
	}
}

// TestClosedStoreLeavesNothing counts what is left of a store after all that it can do.
func TestClosedStoreLeavesNothing(t *testing.T) {
	server := miniredis.RunT(t)
	before := goroutines()
	for range 5 {
		s := open(t, "redis://"+server.Addr())
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 10 {
			key := fmt.Sprint(i)
			if _, err := s.Lease(ctx, key, time.Minute); err != nil && !errors.Is(err, cache.ErrBusy) {
				t.Fatal(err)
			}
			if _, err := s.Watch(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close again: got %v, want no error", err)
		}
		cancel()
	}
	settle(t, "goroutines of closed stores", func() bool { return goroutines() <= before+2 })
}

// TestCommandsOfOneColdFleet counts what four processes send for one login, in the steps
// that the caller of a cold cache takes.
func TestCommandsOfOneColdFleet(t *testing.T) {
	server := redistest.Start(t)
	var stores []*redis.Store
	for range 4 {
		stores = append(stores, open(t, "redis://"+server.Addr()))
	}
	before := commands(server)
	var leases []cache.Lease
	var waits []func()
	for _, s := range stores {
		_, _ = s.Get(t.Context(), "k")
		l, err := s.Lease(t.Context(), "k", time.Minute)
		if err == nil {
			leases = append(leases, l)
			continue
		}
		signals, err := s.Watch(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Get(t.Context(), "k")
		waits = append(waits, func() {
			<-signals
			if _, err := s.Get(t.Context(), "k"); err != nil {
				t.Error(err)
			}
		})
	}
	if len(leases) != 1 {
		t.Fatalf("%d leases, want 1", len(leases))
	}
	if err := leases[0].Publish(t.Context(), []byte("v"), 1, time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, wait := range waits {
		wait()
	}
	// The goal of a fleet (P11 in tokens-and-speed.md), by Redis's own count.
	got := commands(server) - before - 2 // which says HELLO and INFO
	if t.Logf("%d commands for 4 processes, those inside scripts included", got); got > 50 {
		t.Errorf("%d commands, want 50 at most: %v", got, server.Do("INFO", "commandstats"))
	}
}

func commands(server *redistest.Server) (n int) {
	_, rest, _ := strings.Cut(server.Do("INFO", "stats").(string), "total_commands_processed:")
	_, _ = fmt.Sscan(rest, &n)
	return n
}

func Example() {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	config := &redis.Config{URL: redis.NewURL("redis://" + server.Addr())}
	opened, err := config.Open()
	if err != nil {
		fmt.Println(err)
		return
	}
	store := opened.(*redis.Store)
	defer store.Close()

	ctx := context.Background()
	mine, _ := store.Lease(ctx, "k", time.Minute)
	_, err = store.Lease(ctx, "k", time.Minute)
	fmt.Println(err)

	_ = mine.Publish(ctx, []byte("value"), mine.Generation()+1, time.Hour)
	value, _ := store.Get(ctx, "k")
	fmt.Printf("%s\n", value)
	// Output:
	// another process is at it
	// value
}

func BenchmarkGetWhileDown(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, "redis://"+server.Addr())
	server.Kill()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), "k"); err == nil {
			b.Fatal("a value of nobody's")
		}
	}
}

func BenchmarkGet(b *testing.B) {
	bench(b, func(s *redis.Store) error { _, err := s.Get(b.Context(), "k"); return err })
}

func BenchmarkLeaseAndPublish(b *testing.B) {
	value, generation := make([]byte, 1<<10), uint64(0)
	bench(b, func(s *redis.Store) error {
		l, err := s.Lease(b.Context(), "k", time.Minute)
		if err != nil {
			return err
		}
		generation = max(generation, l.Generation()) + 1
		return l.Publish(b.Context(), value, generation, time.Hour)
	})
}

func BenchmarkPlainGoRedisGet(b *testing.B) {
	server := redistest.Start(b)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer client.Close()
	client.Set(b.Context(), "k", make([]byte, 1<<10), time.Hour)
	for b.Loop() {
		if err := client.Get(b.Context(), "k").Err(); err != nil {
			b.Fatal(err)
		}
	}
}

func bench(b *testing.B, call func(*redis.Store) error) {
	s := open(b, "redis://"+redistest.Start(b).Addr())
	if err := s.Set(b.Context(), "k", make([]byte, 1<<10), time.Hour); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := call(s); err != nil {
			b.Fatal(err)
		}
	}
}
