package auth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// rights is a system whose calls are refused, whatever the token, until they are granted.
type rights struct {
	granted bool
	calls   int
}

// RoundTrip answers.
func (r *rights) RoundTrip(*http.Request) (*http.Response, error) {
	r.calls++
	if r.granted {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}
	return &http.Response{StatusCode: 401, Body: http.NoBody}, nil
}

func TestWrongRightsDoNotBecomeALoginLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire, src := &rights{}, &source{life: 24 * time.Hour}
		tr := transport(t, wire, placed(t, src))
		call := func(status, logins int) {
			t.Helper()
			res, err := tr.RoundTrip(get(t, "https://a.example/"))
			if err != nil || res.StatusCode != status || src.requests() != logins {
				t.Errorf("after %d calls: %v, %d logins, want status %d after %d", wire.calls, err, src.requests(), status, logins)
			}
		}
		call(401, 2) // cold, and once more with a new token
		for range 100 {
			call(401, 2) // handed through without a login
			time.Sleep(290 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		call(401, 3) // after 30 s one login is tried
		time.Sleep(50 * time.Second)
		call(401, 3) // the pause has doubled
		time.Sleep(11 * time.Second)
		call(401, 4)
		for pause := 120 * time.Second; pause < time.Hour; pause += 5 * time.Minute {
			time.Sleep(5 * time.Minute) // no pause is longer
			call(401, src.requests()+1)
		}
		wire.granted = true
		logins := src.requests()
		call(200, logins) // success closes it
		wire.granted = false
		call(401, logins+1) // as from the beginning: one more token
		call(401, logins+1)
	})
}

// Where one path is refused and another is not, rights are wrong all the same.
func TestRefusedPathBesideAGoodOneIsNoLoginLoop(t *testing.T) {
	for _, other := range []int{200, 404, 503} {
		synctest.Test(t, func(t *testing.T) {
			wire := roundTripFunc(func(r *http.Request) *http.Response {
				if r.URL.Path == "/forbidden" {
					return &http.Response{StatusCode: 401, Body: http.NoBody}
				}
				return &http.Response{StatusCode: other, Body: http.NoBody}
			})
			src := &source{life: 24 * time.Hour}
			tr := transport(t, wire, placed(t, src))
			for range 600 { // 10 min
				for _, path := range []string{"good", "forbidden", "good"} {
					if _, err := tr.RoundTrip(get(t, "https://a.example/"+path)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second)
			}
			if n := src.requests(); n < 3 || n > 7 { // cold, one or two more, then one after each pause
				t.Errorf("%d logins in 10 min beside a path that answers %d, want 3 to 7", n, other)
			}
		})
	}
}

func TestOneRevocationAfterAnotherIsNoLoginLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := "T1"
		wire := roundTripFunc(func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.Header.Get("Authorization"), good) {
				return &http.Response{StatusCode: 200, Body: http.NoBody}
			}
			return &http.Response{StatusCode: 401, Body: http.NoBody}
		})
		src := &source{life: 24 * time.Hour}
		tr := transport(t, wire, placed(t, src))
		for _, next := range []string{"T1", "T2", "T3", "T4", "T5"} {
			good = next // revoked again and again, with successes in between
			if res, err := tr.RoundTrip(get(t, "https://a.example/")); err != nil || res.StatusCode != 200 {
				t.Errorf("%s: got %v, %v, want 200", next, res, err)
			}
		}
	})
}

type roundTripFunc func(*http.Request) *http.Response

// RoundTrip answers.
func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req), nil }

func TestRetryAfterIsObeyedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{life: time.Hour, fail: func(n int) error {
			if n == 1 {
				return &auth.TokenError{Status: 429, RetryAfter: 2 * time.Second}
			}
			return nil
		}}
		c := cached(src, auth.Env{})
		for range 1000 {
			_, err := c.Token(t.Context())
			var token *auth.TokenError
			if !errors.As(err, &token) || token.Status != 429 {
				t.Fatalf("got %v, want the 429", err)
			}
		}
		if _, err := c.Token(t.Context()); src.requests() != 1 || !strings.Contains(err.Error(), "not asked again for 2s") {
			t.Errorf("%d token requests, %v, want 1 and the wait", src.requests(), err)
		}
		time.Sleep(2 * time.Second)
		if _, err := c.Token(t.Context()); err != nil || src.requests() != 2 {
			t.Errorf("after the wait: %v after %d token requests, want a token after 2", err, src.requests())
		}
	})
}

func TestFailingEndpointIsAskedLessAndLess(t *testing.T) {
	spread := map[time.Duration]bool{}
	for i := range 50 {
		synctest.Test(t, func(t *testing.T) {
			src := &source{fail: func(int) error { return &auth.TokenError{Status: 503} }}
			jitter := float64(i) / 50
			c := cached(src, auth.Env{Jitter: func() float64 { return jitter }})
			var last time.Time
			var gap time.Duration
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				before := src.requests()
				if _, _ = c.Token(t.Context()); src.requests() > before {
					if now := time.Since(last); before > 2 && now <= gap {
						t.Errorf("gap %s after %s, want it to grow", now, gap)
					}
					gap, last = time.Since(last), time.Now()
				}
			}
			if n := src.requests(); n > 12 || n < 4 {
				t.Errorf("%d token requests in a minute, want 4 to 12", n)
			}
			spread[gap] = true
		})
	}
	if len(spread) < 10 {
		t.Errorf("the last gap has %d values over 50 instances, want them spread", len(spread))
	}
}

func TestARefusedLoginTellsHowLongItRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &auth.TokenError{Status: 401, Code: "invalid_client"}
		c := cached(&source{fail: func(int) error { return refused }}, auth.Env{Jitter: func() float64 { return 0 }})
		rests := func(want time.Duration) {
			t.Helper()
			_, err := c.Token(t.Context())
			var token *auth.TokenError
			if !errors.As(err, &token) || token.RetryAfter != want || token.Code != "invalid_client" || !errors.Is(err, refused) {
				t.Errorf("got %v, %+v, want the refusal and a rest of %s", err, token, want)
			}
		}
		rests(time.Second) // who waited for it hears it too
		time.Sleep(400 * time.Millisecond)
		rests(600 * time.Millisecond)
		time.Sleep(600 * time.Millisecond)
		rests(2 * time.Second)
		if refused.RetryAfter != 0 {
			t.Errorf("the failure itself has become %+v", refused)
		}
	})
}

func TestAFailureThatMayBeTriedAgainAtOnceNamesNoRest(t *testing.T) {
	c := cached(&source{fail: func(int) error { return &auth.TokenError{Status: 503} }}, auth.Env{})
	_, err := c.Token(t.Context())
	var token *auth.TokenError
	if !errors.As(err, &token) || token.RetryAfter != 0 {
		t.Errorf("got %v, want no rest after the first failure", err)
	}
}
