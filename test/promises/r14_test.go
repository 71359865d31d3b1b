package promises

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
)

// A token of these tests lives for six seconds, and is renewed after six tenths of one: a fault
// sees renewals that ask Redis. A call with a token in memory would prove nothing.
const (
	toxicLife   = 6 * time.Second
	toxicMargin = 5400 * time.Millisecond
)

// TestR14RedisThatIsAwayOrSlowCostsNoCall spoils the way to a real Redis under load.
func TestR14RedisThatIsAwayOrSlowCostsNoCall(t *testing.T) {
	faults := []struct {
		name  string
		spoil func(*toxic)
	}{
		{"down", (*toxic).down},
		{"latency of 5 s", func(p *toxic) { p.spoil("latency", map[string]any{"latency": 5000}) }},
		{"reset", func(p *toxic) { p.spoil("reset_peer", map[string]any{"timeout": 0}) }},
		{"cut after 3 bytes", func(p *toxic) { p.spoil("limit_data", map[string]any{"bytes": 3}) }},
		{"cut after 300 bytes", func(p *toxic) { p.spoil("limit_data", map[string]any{"bytes": 300}) }},
		{"slices of 2 bytes", func(p *toxic) {
			p.spoil("slicer", map[string]any{"average_size": 2, "size_variation": 1, "delay": 5000})
		}},
		{"bandwidth of 1 KiB a second", func(p *toxic) { p.spoil("bandwidth", map[string]any{"rate": 1}) }},
	}
	try := func(i int) {
		t.Run(faults[i].name, func(t *testing.T) { toxicRun(t, faults[i].name, faults[i].spoil) })
	}
	if !*full {
		all(len(faults), try)
		return
	}
	for i := range faults { // one after another: latencies are compared
		try(i)
	}
}

// p99Floor is what the scheduler of a busy machine may do to one call in a hundred.
const p99Floor = 5 * time.Millisecond

// toxicRun drives two processes while Redis is well, and while it is spoiled.
func toxicRun(t *testing.T, name string, spoil func(*toxic)) {
	proxy, margin := newToxic(t, redistest.Start(t).Addr()), toxicMargin
	s := newSharing(t, "redis://"+proxy.addr())
	s.Set(authtest.Script{Lifetime: toxicLife})
	var processes []*process
	for range 2 {
		processes = append(processes, s.process(t, options{Timeout: toxicLife, Margin: &margin}))
	}
	length := scaled(3*time.Second, time.Minute)
	well := drive(t, processes, length/6)
	before, began := s.Requests(), time.Now()
	spoil(proxy)
	spoiled := drive(t, processes, length)
	lives := int(time.Since(began)/(toxicLife-toxicMargin)) + 1
	asked := s.Requests() - before
	if asked > len(processes)*lives {
		t.Errorf("%d token requests, want %d at most: one per process and life", asked, len(processes)*lives)
	}
	if asked < lives/4 {
		t.Errorf("%d token requests in %d lives: the fault was not felt, so nothing is proved", asked, lives)
	}
	measured(t, "R14", "%s: %d calls, p99 %s (%s while Redis is well), %d token requests in %d lives of 2 processes",
		name, len(spoiled), p99(spoiled).Round(100*time.Microsecond), p99(well).Round(100*time.Microsecond), asked, lives)
	if limit := max(p99(well)*12/10, p99Floor); *full && p99(spoiled) > limit {
		t.Errorf("p99 is %s while Redis is spoiled, want %s at most", p99(spoiled), limit)
	}
}

// drive makes the calls of a while, at an even rate, and fails the test when one of them fails.
func drive(t *testing.T, processes []*process, length time.Duration) []time.Duration {
	t.Helper()
	var (
		mu    sync.Mutex
		took  []time.Duration
		calls sync.WaitGroup
	)
	tick := time.NewTicker(time.Second / time.Duration(scaled(40, 200)))
	defer tick.Stop()
	for end, i := time.Now().Add(length), 0; time.Now().Before(end); i++ {
		<-tick.C
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			began := time.Now()
			status, err := processes[i%len(processes)].call(ctx)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
			if err != nil || status != http.StatusOK {
				t.Errorf("a call: got status %d, %v, want 200", status, err)
			}
		})
	}
	calls.Wait()
	return took
}

func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	if len(took) == 0 {
		return 0
	}
	return took[len(took)*99/100]
}

// TestR14RedisThatFailsAtThePublishHoldsNobodyUp: a lease whose value could not be stored ends.
func TestR14RedisThatFailsAtThePublishHoldsNobodyUp(t *testing.T) {
	for name, fault := range map[string]struct {
		begin, end func(*redistest.Server, *toxic)
	}{
		"away for a moment": {func(_ *redistest.Server, p *toxic) { p.down() }, func(_ *redistest.Server, p *toxic) { p.up() }},
		"full": {func(r *redistest.Server, _ *toxic) { r.Do("CONFIG", "SET", "maxmemory", "1") },
			func(r *redistest.Server, _ *toxic) { r.Do("CONFIG", "SET", "maxmemory", "0") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			proxy, issue := newToxic(t, server.Addr()), new(authtest.Server)
			s := newSharing(t, "redis://"+proxy.addr())
			s.answer(func(http.ResponseWriter, *http.Request) {}) // its tokens are issue's
			s.Set(authtest.Script{Answer: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if issue.Requests() == 0 {
					fault.begin(server, proxy)
				}
				issue.ServeHTTP(w, r)
			})})
			issue.Set(authtest.Script{Lifetime: time.Hour})
			first := s.process(t, options{Wait: 500 * time.Millisecond})
			first.want(t)
			first.settle(t) // it has published, or tried to
			fault.end(server, proxy)
			s.process(t, options{Wait: 6 * time.Second}).want(t) // the lease had 2.5 at most
			if n := s.Requests(); n != 2 {
				t.Errorf("%d token requests, want 2: the second process asks when the lease of the first has ended", n)
			}
		})
	}
}

// TestR14LeaseThatNobodyKnowsOfHoldsNobodyUp: Redis gave it, and the answer got lost. Who comes
// later, with the same settings, sees its end, and soon.
func TestR14LeaseThatNobodyKnowsOfHoldsNobodyUp(t *testing.T) {
	for name, wait := range map[string]time.Duration{"2 s for a token request": 2 * time.Second, "the usual time for it": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			proxy := newDeaf(t, server.Addr())
			url := "redis://" + proxy.listener.Addr().String()
			before := newSharing(t, url).process(t, options{}) // teaches Redis the scripts
			before.want(t)
			before.settle(t)
			s := newSharing(t, url)
			proxy.ignore(":lease")
			first := s.process(t, options{Wait: wait})
			first.want(t)
			first.settle(t)
			if names := server.Do("KEYS", "*:lease").([]any); len(names) != 1 {
				t.Fatalf("%d leases in Redis, want the one that nobody knows of", len(names))
			}
			proxy.hear()
			began := time.Now()
			s.process(t, options{Wait: wait}).want(t)
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("the next process waited for %s, want 6 s at most", took)
			}
			if n := s.Requests(); n > 2 {
				t.Errorf("%d token requests, want 2 at most: one of each process", n)
			}
		})
	}
}

// TestR14FaultIsOne keeps the test above honest: what it calls a fault is one for the cache.
func TestR14FaultIsOne(t *testing.T) {
	proxy := newToxic(t, redistest.Start(t).Addr())
	store := openRedis(t, "redis://"+proxy.addr())
	if _, err := store.Get(t.Context(), "k"); !errors.Is(err, cache.ErrNotFound) {
		t.Fatalf("through the proxy: got %v, want ErrNotFound", err)
	}
	proxy.spoil("latency", map[string]any{"latency": 5000})
	if _, err := store.Get(t.Context(), "k"); !errors.Is(err, cache.ErrDown) {
		t.Errorf("5 s late: got %v, want ErrDown", err)
	}
}
