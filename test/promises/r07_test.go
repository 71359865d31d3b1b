package promises

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
)

func TestR7RetryAfterIsObeyedAndToldToTheCallers(t *testing.T) {
	const wait = 2 * time.Second
	for name, text := range map[string]func() string{
		"seconds": func() string { return "2" },
		"date":    func() string { return time.Now().Add(wait).UTC().Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { throttled(t, wait, text) })
		})
	}
	measured(t, "R7", "429 with `Retry-After` of %s as seconds and as a date, 1,000 callers: 1 token request before and 1 after, 2 in 4 s; every error named the wait", wait)
}

func throttled(t *testing.T, wait time.Duration, text func() string) {
	s := newBubbled(t)
	s.Set(authtest.Script{Answer: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", text())
		w.WriteHeader(http.StatusTooManyRequests)
	})})
	p := s.process(t, options{})
	until := time.Now().Add(wait)
	if _, err := p.call(t.Context()); err == nil || !strings.Contains(err.Error(), "status 429") {
		t.Errorf("got %v, want the 429", err)
	}
	askedInThePause(t, p, until)
	if n := s.Requests(); n != 1 {
		t.Errorf("%d token requests before the named time, want 1", n)
	}
	s.Set(lives(time.Hour))
	time.Sleep(time.Until(until))
	all(1000, func(int) { p.want(t) })
	time.Sleep(wait)
	p.want(t)
	if n := s.Requests(); n != 2 {
		t.Errorf("%d token requests in 4 s, want 2", n)
	}
}

// askedInThePause has 1,000 callers come at any time before until: each hears at once how long.
func askedInThePause(t *testing.T, p *process, until time.Time) {
	step := time.Until(until) / 1000
	all(1000, func(i int) {
		time.Sleep(time.Duration(i) * step)
		start := time.Now()
		_, err := p.call(t.Context())
		left := time.Until(until).Round(time.Millisecond).String()
		if err == nil || !strings.Contains(err.Error(), "not asked again for "+left) || time.Since(start) > 0 {
			t.Errorf("got %v after %s, want at once an error that names %s", err, time.Since(start), left)
		}
	})
}
