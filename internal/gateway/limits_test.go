package gateway

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/internal/project"
)

// limited is a caller with limits.
func limited(t *testing.T, rate float64, concurrent int) *Callers {
	t.Helper()
	return callersOf(t, project.Caller{Name: "reports", KeySHA256: project.Texts{sha("key")}, Rate: rate, Concurrent: concurrent})
}

func TestRateBoundsRequestsAndSaysWhenToComeBack(t *testing.T) {
	for _, tt := range []struct {
		rate  float64
		burst int
		wait  time.Duration // of the first that is refused
	}{
		{rate: 0.5, burst: 1, wait: 2 * time.Second},
		{rate: 2.5, burst: 3, wait: 400 * time.Millisecond},
		{rate: 10, burst: 10, wait: 100 * time.Millisecond},
	} {
		c, now := limited(t, tt.rate, 0).list[0], time.Now()
		for i := range tt.burst {
			if _, f, _ := c.enter(now); f != nil {
				t.Fatalf("rate %v: request %d of a burst of %d got %s, want it in", tt.rate, i+1, tt.burst, f.Code)
			}
		}
		for range 3 { // being refused costs nothing
			if _, f, wait := c.enter(now); f != faultTooManyRequests || wait != tt.wait {
				t.Errorf("rate %v: got %v, wait %s after the burst, want %s and %s", tt.rate, f, wait, faultTooManyRequests.Code, tt.wait)
			}
		}
		if _, f, _ := c.enter(now.Add(tt.wait)); f != nil {
			t.Errorf("rate %v: got %s after the wait that was named, want it in", tt.rate, f.Code)
		}
	}
}

func TestPlacesBoundRequestsAtOnce(t *testing.T) {
	c, now := limited(t, 0, 2).list[0], time.Now()
	leave, _, _ := c.enter(now)
	if _, f, _ := c.enter(now); f != nil {
		t.Fatalf("got %s for the second of two, want it in", f.Code)
	}
	if _, f, _ := c.enter(now); f != faultTooManyAtOnce {
		t.Fatalf("got %v for the third of two, want %s", f, faultTooManyAtOnce.Code)
	}
	leave()
	leave()
	if _, f, _ := c.enter(now); f != nil {
		t.Errorf("got %s after one had left, want it in", f.Code)
	}
	if _, f, _ := c.enter(now); f != faultTooManyAtOnce {
		t.Errorf("got %v after one had left twice, want it to count once", f)
	}
}

func TestARefusedRateKeepsNoPlace(t *testing.T) {
	c, now := limited(t, 1, 1).list[0], time.Now()
	leave, _, _ := c.enter(now)
	leave()
	for range 3 {
		if _, f, _ := c.enter(now); f != faultTooManyRequests {
			t.Errorf("got %v, want %s: the place must be free again", f, faultTooManyRequests.Code)
		}
	}
}

func TestWithoutLimitsEverybodyEnters(t *testing.T) {
	unlimited := limited(t, 0, 0).list[0]
	for _, c := range []*Caller{nil, unlimited} {
		if allocs := testing.AllocsPerRun(1000, func() {
			leave, f, _ := c.enter(time.Time{})
			if f != nil {
				t.Fatalf("got %s, want no limit", f.Code)
			}
			leave()
		}); allocs != 0 {
			t.Errorf("entering takes %v allocations where there is no limit, want 0", allocs)
		}
	}
}

func TestNeverMoreAtOnceThanAllowedHoweverManyTry(t *testing.T) {
	c, now := limited(t, 0, 5).list[0], time.Now()
	var in, most atomic.Int64
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for range 200 {
				leave, f, _ := c.enter(now)
				if f == nil {
					if n := in.Add(1); n > most.Load() {
						most.Store(n)
					}
					in.Add(-1)
				}
				leave()
			}
		})
	}
	group.Wait()
	if most.Load() > 5 || c.state.running.Load() != 0 {
		t.Errorf("%d at once and %d left over, want 5 at most and 0", most.Load(), c.state.running.Load())
	}
}

func TestAReloadForgivesNobody(t *testing.T) {
	old, now := limited(t, 1, 1), time.Now()
	leave, _, _ := old.list[0].enter(now)
	next := limited(t, 2, 1)
	next.Inherit(old)
	if _, f, _ := next.list[0].enter(now); f != faultTooManyAtOnce {
		t.Errorf("got %v, want the place taken that was taken before the reload", f)
	}
	leave()
	if _, f, wait := next.list[0].enter(now); f != faultTooManyRequests || wait.Round(10*time.Millisecond) != 500*time.Millisecond {
		t.Errorf("got %v, wait %s, want the rate used up as before the reload, by the new rate", f, wait)
	}
	fresh := limited(t, 1, 1)
	fresh.Inherit(nil)
	if _, f, _ := fresh.list[0].enter(now); f != nil {
		t.Errorf("got %s where there was nobody before, want it in", f.Code)
	}
}

func TestAReloadKnowsCallersByTheirNames(t *testing.T) {
	old, now := limited(t, 1, 0), time.Now()
	old.list[0].enter(now)
	next := callersOf(t, project.Caller{Name: "other", KeySHA256: project.Texts{sha("key")}, Rate: 1})
	next.Inherit(old)
	if _, f, _ := next.list[0].enter(now); f != nil {
		t.Errorf("got %s for a caller of another name, want it in", f.Code)
	}
}
