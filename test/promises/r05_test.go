package promises

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
)

func TestR5AFailingEndpointIsAskedOnceForAHundredCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 200 * time.Millisecond
		s := newBubbled(t)
		s.Set(authtest.Script{Delay: delay, Answer: status(http.StatusServiceUnavailable)})
		p := s.process(t, options{})
		start := time.Now()
		all(100, func(int) {
			if _, err := p.call(t.Context()); err == nil || !strings.Contains(err.Error(), "status 503") || time.Since(start) > delay {
				t.Errorf("got %v after %s, want the cause after %s", err, time.Since(start), delay)
			}
		})
		if n := s.Requests(); n != 1 {
			t.Errorf("%d token requests for 100 callers, want 1", n)
		}
		measured(t, "R5", "100 callers, failing endpoint: 1 request, all told within 1.0 × its time")
	})
}

func TestR5EverybodyIsBackAtHisOwnDeadlineWhoeverLeads(t *testing.T) {
	r := seed(t)
	runs := scaled(20, 200)
	for range runs {
		synctest.Test(t, func(t *testing.T) {
			s := newBubbled(t)
			s.Set(authtest.Script{Delay: time.Hour})
			p := s.process(t, options{Wait: 10 * time.Second})
			deadlines := make([]time.Duration, 100)
			for i := range deadlines {
				deadlines[i] = time.Duration(1 + r.Int64N(int64(5*time.Second)))
			}
			all(100, func(i int) { backAt(t, p, deadlines[i]) })
			if n := s.Requests(); n != 1 {
				t.Errorf("%d token requests, want 1", n)
			}
		})
	}
	measured(t, "R5", "%d runs × 100 callers, hanging endpoint: 100 %% back at their own deadlines, 1 request each", runs)
}

func backAt(t *testing.T, p *process, deadline time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	start := time.Now()
	_, err := p.call(ctx)
	if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != deadline {
		t.Errorf("got %v after %s, want the deadline after %s", err, took, deadline)
	}
}

func TestR5AStormOfRefusalsMakesOneTokenRequest(t *testing.T) {
	r := seed(t)
	storms := scaled(5, 50)
	for range storms {
		lags := make([]time.Duration, 1000)
		for i := range lags {
			lags[i] = time.Duration(r.Int64N(int64(300 * time.Millisecond)))
		}
		synctest.Test(t, func(t *testing.T) { refusalStorm(t, lags) })
	}
	measured(t, "R5", "%d storms of 1,000 calls refused over 300 ms: 1 token request each, 0 failed, 2,000 sent at most", storms)
}

// refusalStorm sends a call per lag with a token that was revoked; each is refused after its lag.
func refusalStorm(t *testing.T, lags []time.Duration) {
	s := newBubbled(t)
	s.Set(authtest.Script{Lifetime: time.Hour, Delay: 200 * time.Millisecond})
	p := s.process(t, options{})
	p.want(t)
	s.Revoke()
	old, next := s.Issued()[0], new(atomic.Int64)
	s.answer(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("Authorization"), old) {
			pause(r.Context(), lags[int(next.Add(1)-1)%len(lags)])
		}
		s.Server.ServeHTTP(w, r)
	})
	start, took := time.Now(), make([]time.Duration, len(lags))
	all(len(lags), func(i int) {
		p.want(t)
		took[i] = time.Since(start)
	})
	slowest := slices.Max(lags) + 200*time.Millisecond
	if worst := slices.Max(took); worst > slowest {
		t.Errorf("the last caller was served after %s, want %s: the slowest refusal and the login", worst, slowest)
	}
	if logins, sent := s.Requests()-1, len(s.calls())-1; logins != 1 || sent > 2*len(lags) {
		t.Errorf("%d token requests and %d calls sent, want 1 and %d at most", logins, sent, 2*len(lags))
	}
}

func TestR5AFirstCallerWhoLeavesNeverPoisonsLaterRefreshes(t *testing.T) {
	rounds := scaled(50, 1000)
	synctest.Test(t, func(t *testing.T) {
		s := newBubbled(t)
		s.Set(authtest.Script{Lifetime: time.Minute, Delay: time.Second})
		p := s.process(t, options{})
		for range rounds {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			var wg sync.WaitGroup
			wg.Go(func() { // leads the flight, and leaves it
				if _, err := p.call(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the first caller: got %v, want his deadline", err)
				}
			})
			synctest.Wait()
			wg.Go(func() { p.want(t) })
			wg.Wait()
			cancel()
			time.Sleep(time.Minute) // the token ends
		}
		if n := s.Requests(); n != rounds {
			t.Errorf("%d token requests, want %d: one per life", n, rounds)
		}
		measured(t, "R5", "%d refreshes whose first caller left: all of them brought a token, 1 request each", rounds)
	})
}
