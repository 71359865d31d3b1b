package promises

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/cache/backends/memory"
)

// clock is one machine's: wrong by a constant, and its wall time may jump. As on a real machine the
// monotonic reading does not; a bubble's own time has none, so it is borrowed from outside.
type clock struct {
	outside time.Time // when the bubble began
	inside  time.Time
	wrong   time.Duration
	jump    atomic.Int64
}

// Now is the machine's time.
func (c *clock) Now() time.Time {
	return jumped(c.outside.Add(time.Since(c.inside)+c.wrong), time.Duration(c.jump.Load()))
}

// clocks are the system's, which is right, and the client's. They live in one bubble.
func clocks(outside time.Time, wrong time.Duration) (right, client *clock) {
	inside := time.Now()
	return &clock{outside: outside, inside: inside}, &clock{outside: outside, inside: inside, wrong: wrong}
}

// jumped moves t's wall time and leaves its monotonic reading, which package time offers to nobody
// but the kernel. Its result is checked where it is used, so a change of the layout is noticed.
func jumped(t time.Time, by time.Duration) time.Time {
	const secondsAt = 30 // bits of nanoseconds below the seconds of a time with a monotonic reading
	wall := (*uint64)(unsafe.Pointer(&t))
	*wall += uint64(int64(by/time.Second)) << secondsAt
	return t
}

func TestJumpedMovesTheWallTimeOnly(t *testing.T) {
	now := time.Now()
	for _, by := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		then := jumped(now, by)
		if mono, wall := then.Sub(now), then.Round(0).Sub(now.Round(0)); mono != 0 || wall != by {
			t.Errorf("moved by %s: got %s monotonic and %s wall, want 0 and %[1]s", by, mono, wall)
		}
	}
}

// absolute rewrites the lifetime that an endpoint states to the moment, by its own clock.
func absolute(base http.RoundTripper, own *clock) http.RoundTripper {
	return tripper(func(req *http.Request) (*http.Response, error) {
		res, err := base.RoundTrip(req)
		if err != nil || req.URL.Path != "/token" {
			return res, err
		}
		var answer map[string]any
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			return nil, err
		}
		answer["expires_in"] = own.Now().UnixMilli() + 1000*int64(answer["expires_in"].(float64))
		res.Header.Set("Date", own.Now().UTC().Format(http.TimeFormat))
		text, err := json.Marshal(answer)
		res.Body = io.NopCloser(strings.NewReader(string(text)))
		return res, err
	})
}

// skewed is a client whose clock is wrong, and how an endpoint says when its tokens end.
type skewed struct {
	form    string
	wrong   time.Duration
	life    time.Duration
	refused int // at most: a slow clock cannot know that a moment has passed
}

func TestR16AWrongClockSendsNoExpiredTokenThatItCouldKnow(t *testing.T) {
	sent := 0
	for _, c := range []skewed{
		{form: "lifetime", wrong: 10 * time.Minute, life: 5 * time.Minute},
		{form: "lifetime", wrong: -10 * time.Minute, life: 5 * time.Minute},
		{form: "lifetime", wrong: 10 * time.Minute, life: time.Hour},
		{form: "lifetime", wrong: -10 * time.Minute, life: time.Hour},
		{form: "moment", wrong: 10 * time.Minute, life: 5 * time.Minute}, // it has passed before it was said
		{form: "moment", wrong: 10 * time.Minute, life: time.Hour},
		{form: "moment", wrong: -10 * time.Minute, life: time.Hour, refused: 3},
	} {
		t.Run(fmt.Sprintf("%s of %s, clock wrong by %s", c.form, c.life, c.wrong), func(t *testing.T) {
			outside := time.Now()
			synctest.Test(t, func(t *testing.T) { sent += c.live(t, outside) })
		})
	}
	measured(t, "R16", "client's clock ± 10 min: 0 calls lost, one token request per life, %d expired tokens sent (a slow clock that is told a moment may send one per life)", sent)
}

// live calls for three and a half lives, and returns how many expired tokens were sent.
func (k skewed) live(t *testing.T, outside time.Time) int {
	s := newBubbled(t)
	s.Set(lives(k.life))
	right, client := clocks(outside, k.wrong)
	base := s.wire
	if k.form == "moment" {
		base = absolute(base, right)
	}
	c := caller{p: s.process(t, options{Now: client.Now, Base: base}), every: time.Second}
	c.until(t, time.Now().Add(7*k.life/2))
	c.unharmed(t)
	if n := len(s.refused()); n > k.refused {
		t.Errorf("%d expired tokens sent, want %d at most", n, k.refused)
	}
	if n := s.Requests(); n > 5 { // a fast clock takes 50 of 60 minutes for the life
		t.Errorf("%d token requests in three and a half lives, want one per life", n)
	}
	return len(s.refused())
}

func TestR16AJumpOfTheClockSendsNoExpiredToken(t *testing.T) {
	for _, form := range []string{"lifetime", "moment", "lifetime from the cache"} {
		for _, jump := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
			t.Run(fmt.Sprintf("%s, jump of %s", form, jump), func(t *testing.T) {
				outside := time.Now()
				synctest.Test(t, func(t *testing.T) { jumpMidRun(t, outside, form, jump) })
			})
		}
	}
	measured(t, "R16", "the clock jumps by ± 10 min half-way through a life of 1 h: 0 expired tokens sent, 0 calls lost, 1 refresh at most")
}

func jumpMidRun(t *testing.T, outside time.Time, form string, jump time.Duration) {
	const life = time.Hour
	s := newBubbled(t)
	s.Set(lives(life))
	right, client := clocks(outside, 0)
	o := options{Now: client.Now, Base: s.wire, Keys: newKeys(t)}
	switch form {
	case "moment":
		o.Base = absolute(s.wire, right)
	case "lifetime from the cache":
		o.Cache = &memory.Store{Now: client.Now}
	}
	start, c := time.Now(), caller{p: s.process(t, o), every: 500 * time.Millisecond}
	c.p.want(t)
	synctest.Wait()
	if o.Cache != nil {
		c.p = s.process(t, o) // a restart
	}
	c.until(t, start.Add(life/2))
	client.jump.Store(int64(jump))
	c.until(t, start.Add(life+time.Minute))
	c.unharmed(t)
	if expired, refreshes := len(s.refused()), s.Requests()-1; expired > 0 || refreshes > 1 {
		t.Errorf("%d expired tokens sent and %d refreshes, want 0 and 1 at most", expired, refreshes)
	}
}

// The moment that a Retry-After names is by the endpoint's clock, as its Date tells it.
func TestR16AWrongClockDoesNotChangeRetryAfter(t *testing.T) {
	for _, wrong := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		t.Run(wrong.String(), func(t *testing.T) {
			outside := time.Now()
			synctest.Test(t, func(t *testing.T) { retryAfterDate(t, outside, wrong) })
		})
	}
	measured(t, "R16", "`Retry-After` as a date, 2 s ahead: obeyed to the second")
}

func retryAfterDate(t *testing.T, outside time.Time, wrong time.Duration) {
	const wait = 2 * time.Second
	s := newBubbled(t)
	right, client := clocks(outside, wrong)
	s.Set(authtest.Script{Answer: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", right.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Retry-After", right.Now().Add(wait).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusTooManyRequests)
	})})
	c := caller{p: s.process(t, options{Now: client.Now})}
	start := time.Now()
	c.until(t, start.Add(wait-time.Second)) // dates have whole seconds
	if n := s.Requests(); n != 1 {
		t.Errorf("%d token requests before the named time, want 1", n)
	}
	s.Set(lives(time.Hour))
	c.until(t, start.Add(2*wait))
	c.p.want(t)
}
