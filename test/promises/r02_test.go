package promises

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
)

// caller calls at an even pace for as long as it is told to, and notes failures and waits.
type caller struct {
	p     *process
	every time.Duration // 0: 100 ms
	calls int
	lost  int
	worst time.Duration
	last  error // of the newest call that failed
}

func (c *caller) until(t *testing.T, end time.Time) {
	for time.Now().Before(end) {
		start := time.Now()
		status, err := c.p.call(t.Context())
		c.calls++
		if err != nil || status != http.StatusOK {
			c.lost, c.last = c.lost+1, err
		}
		c.worst = max(c.worst, time.Since(start))
		time.Sleep(cmp.Or(c.every, 100*time.Millisecond))
	}
}

func (c *caller) unharmed(t *testing.T) {
	t.Helper()
	if c.lost > 0 || c.worst > 0 {
		t.Errorf("%d of %d calls failed, the longest took %s; want none and no wait; the last: %v", c.lost, c.calls, c.worst, c.last)
	}
}

func TestR2CallersNeverWaitForARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBubbled(t)
		s.Set(authtest.Script{Lifetime: 100 * time.Second, Delay: 200 * time.Millisecond})
		p := s.process(t, options{})
		p.want(t) // cold: this one waits
		start := time.Now()
		callers := make([]caller, 64)
		var wg sync.WaitGroup
		for i := range callers {
			callers[i].p = p
			wg.Go(func() { callers[i].until(t, start.Add(95*time.Second)) })
		}
		wg.Wait()
		for i := range callers {
			callers[i].unharmed(t)
		}
		if n := s.Requests(); n != 2 {
			t.Errorf("%d token requests, want 2: one cold and one renewal", n)
		}
		measured(t, "R2", "a renewal of 200 ms under %d callers: %d calls, 0 waited, 1 token request", len(callers), len(callers)*callers[0].calls)
	})
}

// The endpoint goes away when the token gets stale and is back one second before it ends.
func TestR2RenewalIsTriedAgainUntilItSucceeds(t *testing.T) {
	r := seed(t)
	for _, life := range []time.Duration{100 * time.Second, 10 * time.Minute, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { awayUntilTheLastSecond(t, life, r.Float64) })
		})
	}
}

func awayUntilTheLastSecond(t *testing.T, life time.Duration, jitter func() float64) {
	s := newBubbled(t)
	s.Set(lives(life))
	c := caller{p: s.process(t, options{Jitter: jitter})}
	c.p.want(t)
	stale, expiry := time.Now().Add(life-min(time.Minute, life/10)), time.Now().Add(life)
	time.Sleep(time.Until(stale))
	s.Set(down())
	c.until(t, expiry.Add(-time.Second))
	tries := s.Requests() - 1
	s.Set(lives(life))
	c.until(t, expiry.Add(time.Minute))
	c.unharmed(t)
	if tries < 3 {
		t.Errorf("%d tries while the endpoint was away, want 3 or more", tries)
	}
	measured(t, "R2", "life %s, endpoint away from refresh-at to 1 s before expiry: %d tries, %d of %d calls lost", life, tries, c.lost, c.calls)
}

func TestR4OneFailedRenewalIsMadeGoodBehindTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBubbled(t)
		s.Set(lives(10 * time.Minute))
		c := caller{p: s.process(t, options{})}
		c.p.want(t)
		time.Sleep(9 * time.Minute)
		stale := time.Now()
		s.Set(down())
		c.p.want(t)
		synctest.Wait()
		s.Set(authtest.Script{Lifetime: 10 * time.Minute, Delay: 200 * time.Millisecond})
		for len(s.Issued()) < 2 && time.Since(stale) < time.Minute {
			c.until(t, time.Now().Add(100*time.Millisecond))
		}
		took := time.Since(stale)
		c.unharmed(t)
		if limit := 2500 * time.Millisecond; took > limit || s.Requests() != 3 {
			t.Errorf("renewed after %s and %d tries, want within two backoffs (%s) by the second", took, s.Requests()-1, limit)
		}
		measured(t, "R4", "a failed renewal: the next succeeded after %s, 0 of %d calls waited", round(took), c.calls)
	})
}

func TestR9AGoodTokenIsUsedWhileTheEndpointIsAwayAndThenCallsFailAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBubbled(t)
		s.Set(lives(10 * time.Minute))
		c := caller{p: s.process(t, options{})}
		c.p.want(t)
		expiry := time.Now().Add(10 * time.Minute)
		time.Sleep(time.Minute)
		s.Set(down())
		c.until(t, expiry)
		c.unharmed(t)
		after := caller{p: c.p}
		after.until(t, expiry.Add(time.Minute))
		switch {
		case after.lost != after.calls:
			t.Errorf("%d of %d calls failed after the token's end, want all", after.lost, after.calls)
		case after.worst > 5*time.Millisecond:
			t.Errorf("a call without a token took %s to fail, want 5ms at most", after.worst)
		case !strings.Contains(after.last.Error(), "status 503"):
			t.Errorf("got %v, want the cause", after.last)
		}
		measured(t, "R9", "token of 10 min, endpoint away for 9: 0 of %d calls failed; after its end each failed within %s, with the cause", c.calls, after.worst)
	})
}
