package promises

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestR15ErrorsOfTheAPIMakeNoLoginsAndNoResubmission(t *testing.T) {
	statuses := []int{500, 502, 503, 504, 429, 403}
	synctest.Test(t, func(t *testing.T) {
		s := newBubbled(t)
		p := s.process(t, options{})
		p.want(t)
		calls := 0
		for start := time.Now(); time.Since(start) < 30*time.Second; calls++ {
			want := statuses[calls%len(statuses)]
			s.answer(status(want).ServeHTTP)
			if got, err := p.call(t.Context()); err != nil || got != want {
				t.Errorf("got status %d, %v, want the API's own %d", got, err, want)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if n := len(s.calls()) - 1; n != calls {
			t.Errorf("%d calls sent for %d made, want as many: nothing is resubmitted", n, calls)
		}
		s.answer(nil)
		p.want(t)
		if n := s.Requests(); n != 1 {
			t.Errorf("%d token requests, want 1: none for the storm", n)
		}
		measured(t, "R15", "%d calls in a storm of 5xx, 429 and 403 of 30 s: 0 token requests, 0 resubmitted", calls)
	})
}

// The rights are wrong: every token is refused, however new. The breaker pauses for 30 s, 60 s, …
func TestR15AnOpenBreakerLetsOneLoginThroughAfterEachPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBubbled(t)
		p := s.process(t, options{})
		p.want(t)
		s.answer(status(http.StatusUnauthorized).ServeHTTP)
		s.logins(t, p, "the first refusals", 1)
		for _, open := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
			sent := len(s.calls())
			s.logins(t, p, "the breaker is open", 0)
			time.Sleep(open - time.Millisecond)
			s.logins(t, p, "the breaker is still open", 0)
			if n := len(s.calls()) - sent; n != 200 {
				t.Errorf("%d calls sent for 200, want as many: an open breaker resubmits nothing", n)
			}
			time.Sleep(time.Millisecond)
			s.logins(t, p, "half open", 1)
		}
		refusals := len(s.refused())
		s.answer(nil) // somebody has mended the rights
		p.want(t)
		s.Revoke()
		all(100, func(int) { p.want(t) })
		if n := s.Requests(); n != 6 {
			t.Errorf("%d token requests in all, want 6: the success closed the breaker for one more", n)
		}
		measured(t, "R15", "every token refused: %d calls cost %d logins: one at once, and one after each pause of 30, 60 and 120 s", refusals, s.Requests()-2)
	})
}

// logins fails unless a hundred calls, all refused, make so many token requests.
func (s *system) logins(t *testing.T, p *process, when string, want int) {
	t.Helper()
	before := s.Requests()
	all(100, func(int) { refusedCall(t, p) })
	if n := s.Requests() - before; n != want {
		t.Errorf("%s: %d token requests for 100 callers, want %d", when, n, want)
	}
}

func refusedCall(t *testing.T, p *process) {
	if status, err := p.call(t.Context()); err != nil || status != http.StatusUnauthorized {
		t.Errorf("got status %d, %v, want the refusal handed through", status, err)
	}
}
