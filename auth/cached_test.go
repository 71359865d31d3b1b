package auth_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/memory"
)

// source is a scripted TokenSource: T1, T2, …; it counts requests and how many run at once.
type source struct {
	takes time.Duration
	life  time.Duration // 0: good once; below 0: unknown, good until refused
	fail  func(n int) error

	mu           sync.Mutex
	n, now, most int
}

func (s *source) Token(ctx context.Context) (auth.Token, error) {
	s.mu.Lock()
	s.n++
	n := s.n
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return auth.Token{}, &auth.TokenError{Err: ctx.Err()}
	}
	if s.fail != nil {
		if err := s.fail(n); err != nil {
			return auth.Token{}, err
		}
	}
	return token(fmt.Sprint("T", n), s.life), nil
}

func (s *source) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func token(text string, life time.Duration) auth.Token {
	t := auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret(text)}, Obtained: time.Now()}
	if life >= 0 {
		t.Expiry = t.Obtained.Add(life)
	}
	return t
}

func cached(src auth.TokenSource, env auth.Env) *auth.CachedSource {
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.Jitter == nil {
		env.Jitter = func() float64 { return 0 }
	}
	return auth.Cached(auth.Credential{Key: "k", Owner: "demo", User: "ann", Source: src}, env)
}

// want fails unless the source hands out the token.
func want(t *testing.T, c *auth.CachedSource, text string) auth.Stamp {
	t.Helper()
	got, err := c.Token(t.Context())
	if err != nil || got.Value("token").Reveal() != text {
		t.Errorf("got %q, %v, want %s", got.Value("token").Reveal(), err, text)
	}
	return auth.Stamp(got.Generation)
}

func TestCachedFetchesOnceForManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{takes: time.Second, life: time.Hour}
		c := cached(src, auth.Env{})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { want(t, c, "T1") })
		}
		wg.Wait()
		if src.requests() != 1 {
			t.Errorf("%d token requests, want 1", src.requests())
		}
	})
}

func TestStaleTokenIsServedWhileOneFlightRunsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{takes: time.Second, life: 100 * time.Second}
		c := cached(src, auth.Env{})
		want(t, c, "T1")
		time.Sleep(90 * time.Second)
		start := time.Now()
		for range 50 {
			want(t, c, "T1")
		}
		if time.Since(start) != 0 {
			t.Errorf("callers waited %s, want 0", time.Since(start))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, c, "T2")
		if src.requests() != 2 {
			t.Errorf("%d token requests, want 2", src.requests())
		}
	})
}

func TestTimeIsThatOfTheEnvironment(t *testing.T) {
	now := time.Now()
	src := &source{life: time.Hour}
	c := cached(src, auth.Env{Now: func() time.Time { return now }})
	want(t, c, "T1")
	now = now.Add(50 * time.Minute)
	want(t, c, "T1")
	now = now.Add(20 * time.Minute)
	want(t, c, "T2")
}

func TestExpiredTokenIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{takes: time.Second, life: 100 * time.Second}
		c := cached(src, auth.Env{})
		want(t, c, "T1")
		time.Sleep(100 * time.Second)
		start := time.Now()
		want(t, c, "T2")
		if time.Since(start) != time.Second {
			t.Errorf("the caller waited %s, want 1s", time.Since(start))
		}
	})
}

func TestFailedRenewalIsHiddenUntilExpiryAndPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{life: 100 * time.Second, fail: func(n int) error {
			if n > 1 {
				return &auth.TokenError{Status: 500}
			}
			return nil
		}}
		c := cached(src, auth.Env{})
		want(t, c, "T1")
		time.Sleep(90 * time.Second)
		for range 99 { // 9.9 s, a call every 0.1 s: tries after 0, 0.1, 1.1, 3.1, 6.6, 8.4 and 9.4 s
			want(t, c, "T1")
			time.Sleep(100 * time.Millisecond)
		}
		if got := src.requests(); got != 8 {
			t.Errorf("%d token requests, want 8", got)
		}
		time.Sleep(time.Second)
		for _, want := range []string{"(status 500)", "(status 500); not asked again for "} { // asked once more, then paused
			if _, err := c.Token(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("after expiry: got %v, want %s", err, want)
			}
		}
	})
}

func TestCallerWhoLeavesDoesNotEndTheFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{takes: 10 * time.Second, life: time.Hour}
		c := cached(src, auth.Env{})
		cause := errors.New("gave up")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { // the first caller, who took off
			if _, err := c.Token(ctx); !errors.Is(err, cause) || time.Since(start) != time.Second {
				t.Errorf("got %v after %s, want the cause after 1s", err, time.Since(start))
			}
		})
		synctest.Wait()
		for range 9 {
			wg.Go(func() { want(t, c, "T1") })
		}
		wg.Wait()
		if time.Since(start) != 10*time.Second || src.requests() != 1 {
			t.Errorf("%d token requests in %s, want 1 in 10s", src.requests(), time.Since(start))
		}
		if _, err := c.Token(ctx); err != nil {
			t.Errorf("a good token under an ended context: got %v, want it", err)
		}
	})
}

func TestEndedContextStartsNoFlight(t *testing.T) {
	src := &source{life: time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cached(src, auth.Env{}).Token(ctx); !errors.Is(err, context.Canceled) || src.requests() != 0 {
		t.Errorf("got %v and %d token requests, want canceled and 0", err, src.requests())
	}
}

func TestFlightHasItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for timeout, limit := range map[time.Duration]time.Duration{0: 30 * time.Second, 5 * time.Second: 5 * time.Second} {
			c := auth.Cached(auth.Credential{Source: &source{takes: time.Hour}, Timeout: timeout}, auth.Env{Now: time.Now})
			start := time.Now()
			if _, err := c.Token(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != limit {
				t.Errorf("got %v after %s, want a deadline after %s", err, time.Since(start), limit)
			}
		}
	})
}

func TestFailureIsToldToAllWaitersAndNothingStaysLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := &auth.TokenError{Endpoint: "https://as.example/token", Status: 503, Reason: "busy"}
		src := &source{takes: time.Second, life: time.Hour, fail: func(n int) error {
			if n == 1 {
				return failed
			}
			return nil
		}}
		c := cached(src, auth.Env{})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := c.Token(t.Context()); !errors.Is(err, error(failed)) {
					t.Errorf("got %v, want %v", err, failed)
				}
			})
		}
		wg.Wait()
		if src.requests() != 1 {
			t.Errorf("%d token requests for 50 callers, want 1", src.requests())
		}
		want(t, c, "T2") // at once: a busy server is asked again
	})
}

func TestRefusedLoginIsPausedLongerEachTime(t *testing.T) {
	for _, status := range []int{400, 401, 403} {
		synctest.Test(t, func(t *testing.T) {
			src := &source{life: time.Hour, fail: func(n int) error {
				if n <= 12 {
					return &auth.TokenError{Status: status, Code: "invalid_client"}
				}
				return nil
			}}
			c := cached(src, auth.Env{})
			var pauses []time.Duration
			last := time.Now()
			for src.requests() < 13 {
				before := src.requests()
				_, err := c.Token(t.Context())
				switch {
				case src.requests() > before:
					pauses = append(pauses, time.Since(last))
					last = time.Now()
				case err == nil || !strings.Contains(err.Error(), "invalid_client") || !strings.Contains(err.Error(), "not asked again for "):
					t.Fatalf("in the pause: got %v, want the cause and the time", err)
				}
				time.Sleep(time.Second)
			}
			want := []time.Duration{0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300}
			for i := range want {
				if pauses[i] != want[i]*time.Second {
					t.Errorf("status %d: got the pauses %v, want %v seconds", status, pauses, want)
					break
				}
			}
		})
	}
}

func TestPauseBeginsAnewAfterSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{fail: func(n int) error {
			if n == 3 {
				return nil
			}
			return &auth.TokenError{Status: 401}
		}}
		c := cached(src, auth.Env{})
		for i, wait := range []time.Duration{0, 1, 2, 0, 1, 2, 4} {
			time.Sleep(wait * time.Second)
			if _, _ = c.Token(t.Context()); src.requests() != i+1 {
				t.Fatalf("%d token requests, want %d", src.requests(), i+1)
			}
		}
	})
}

func TestRevokedTokenCausesOneFetchHoweverLateTheRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{takes: time.Second, life: time.Hour}
		c := cached(src, auth.Env{})
		stamp := want(t, c, "T1")
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { // before, during and after the flight
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				c.Invalidate(stamp)
				want(t, c, "T2")
			})
		}
		wg.Wait()
		if src.requests() != 2 {
			t.Errorf("%d token requests, want 2", src.requests())
		}
	})
}

func TestSingleUseTokenIsSharedOnlyWithThoseWhoWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{takes: time.Second, life: 0}
		store := &memory.Store{}
		c := cached(src, auth.Env{Cache: store})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { want(t, c, "T1") })
		}
		wg.Wait()
		want(t, c, "T2")
		want(t, c, "T3")
		synctest.Wait()
		if _, err := store.Get(t.Context(), "k"); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("the store: got %v, want nothing in it", err)
		}
	})
}

func TestTokenWithoutExpiryIsGoodUntilRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cached(&source{life: -1}, auth.Env{})
		stamp := want(t, c, "T1")
		time.Sleep(365 * 24 * time.Hour)
		want(t, c, "T1")
		c.Invalidate(stamp)
		want(t, c, "T2")
	})
}

func TestSlowSourcesOfDifferentKeysDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := auth.Env{Now: time.Now, Tokens: new(auth.Tokens)}
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				c := auth.Cached(auth.Credential{Key: fmt.Sprint(i), Source: &source{takes: time.Second, life: time.Hour}}, env)
				want(t, c, "T1")
			})
		}
		wg.Wait()
		if time.Since(start) != time.Second {
			t.Errorf("ten keys took %s, want 1s", time.Since(start))
		}
	})
}

func TestPanickingSourceIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := cached(auth.TokenSourceFunc(func(context.Context) (auth.Token, error) {
			if n++; n == 1 {
				panic("a secret")
			}
			return token("T2", time.Hour), nil
		}), auth.Env{})
		var failed *auth.TokenError
		if _, err := c.Token(t.Context()); !errors.As(err, &failed) || strings.Contains(err.Error(), "a secret") {
			t.Errorf("got %v, want a TokenError without the panic's words", err)
		}
		want(t, c, "T2")
	})
}

func TestTokenThatCannotBeSentIsRefused(t *testing.T) {
	for name, text := range map[string]string{"CR": "T\rx", "LF": "T\nx", "NUL": "T\x00x", "size": strings.Repeat("x", 256<<10+1)} {
		c := cached(auth.TokenSourceFunc(func(context.Context) (auth.Token, error) { return token(text, time.Hour), nil }), auth.Env{})
		var failed *auth.TokenError
		if _, err := c.Token(t.Context()); !errors.As(err, &failed) || strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want a TokenError without the value", name, err)
		}
		if _, found := c.Info(); found {
			t.Errorf("%s: the token is kept, want it refused", name)
		}
	}
}

func TestMarginOfAnotherClockIsNotNegative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory.Store{}
		ahead := auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret("OLD")}, Obtained: time.Now().Add(time.Hour), Expiry: time.Now().Add(-time.Second)}
		data, _ := auth.EncodeToken(ahead)
		_ = store.Set(t.Context(), "k", data, time.Hour)
		want(t, cached(&source{life: time.Hour}, auth.Env{Cache: store}), "T1")
	})
}

// slowStore takes its time, or fails.
type slowStore struct {
	cache.Store
	takes time.Duration
	err   error
	sets  atomic.Int32
}

func (s *slowStore) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *slowStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.sets.Add(1)
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Store.Set(ctx, key, value, ttl)
}

func (s *slowStore) wait(ctx context.Context) error {
	select {
	case <-time.After(s.takes):
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestStoreIsReadFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory.Store{}
		first, second := &source{life: time.Hour}, &source{life: time.Hour}
		want(t, cached(first, auth.Env{Cache: store}), "T1")
		synctest.Wait()
		want(t, cached(second, auth.Env{Cache: store}), "T1")
		if second.requests() != 0 {
			t.Errorf("%d token requests of the second process, want 0", second.requests())
		}
	})
}

func TestBadRecordsAreIgnored(t *testing.T) {
	record := func(t auth.Token) []byte { data, _ := auth.EncodeToken(t); return data }
	cases := map[string]func() []byte{
		"stale": func() []byte {
			s := token("OLD", 30*time.Second)
			s.Obtained = s.Obtained.Add(-23 * time.Hour)
			return record(s)
		},
		"expired":    func() []byte { return record(token("OLD", 0)) },
		"empty":      func() []byte { return nil },
		"no JSON":    func() []byte { return []byte("OLD") },
		"cut":        func() []byte { return record(token("OLD", time.Hour))[:20] },
		"no values":  func() []byte { return []byte(`{"values":{},"obtained":1}`) },
		"no value":   func() []byte { return []byte(`{"values":{"token":""},"obtained":1}`) },
		"old layout": func() []byte { return []byte(`{"values":{"token":{"p":"OLD"}}}`) },
		"oversized":  func() []byte { return record(token(strings.Repeat("x", 200<<10), time.Hour)) },
		"line break": func() []byte { return record(token("a\r\nb", time.Hour)) },
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &memory.Store{}
				if err := store.Set(t.Context(), "k", data(), time.Hour); err != nil {
					t.Fatal(err)
				}
				want(t, cached(&source{life: time.Hour}, auth.Env{Cache: store}), "T1")
				synctest.Wait()
				want(t, cached(&source{life: time.Hour, fail: func(int) error { return errors.New("asked again") }}, auth.Env{Cache: store}), "T1") // healed
			})
		})
	}
}

func TestRefusedTokenIsNotTakenFromTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory.Store{}
		c := cached(&source{life: time.Hour}, auth.Env{Cache: store})
		stamp := want(t, c, "T1")
		synctest.Wait()
		c.Invalidate(stamp)
		want(t, c, "T2")
	})
}

func TestNobodyWaitsForTheStoreToKeepAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{Store: &memory.Store{}, takes: time.Second}
		tokens := new(auth.Tokens)
		c := cached(&source{life: time.Hour}, auth.Env{Cache: store, Tokens: tokens})
		start := time.Now()
		want(t, c, "T1")
		if took := time.Since(start); took != time.Second { // for the Get alone
			t.Errorf("the caller waited %s, want 1s", took)
		}
		if err := tokens.Wait(t.Context()); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("Wait: got %v after %s, want it to wait for the Set", err, time.Since(start))
		}
		want(t, cached(nil, auth.Env{Cache: store}), "T1")
	})
}

func TestStoreThatIsDownCostsOneWarningAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, hook := logtest.NewNullLogger()
		src := &source{life: 0}
		c := cached(src, auth.Env{Cache: &slowStore{err: cache.ErrDown}, Log: logger})
		for range 120 { // two minutes of logins
			if _, err := c.Token(t.Context()); err != nil {
				t.Fatalf("got %v, want the call to go on", err)
			}
			time.Sleep(time.Second)
		}
		entries := hook.AllEntries()
		if len(entries) != 2 {
			t.Errorf("%d log entries, want 2", len(entries))
		}
		for _, e := range entries {
			if e.Level != logrus.WarnLevel || e.Message != "token cache: going on without it" {
				t.Errorf("got %s %q, want a warning", e.Level, e.Message)
			}
		}
	})
}

func TestTokenOfAnyBytesSurvivesTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, text := &memory.Store{}, "\xff\xfe é \x01 <&>"
		src := auth.TokenSourceFunc(func(context.Context) (auth.Token, error) { return token(text, time.Hour), nil })
		want(t, cached(src, auth.Env{Cache: store}), text)
		synctest.Wait()
		want(t, cached(nil, auth.Env{Cache: store}), text)
	})
}

func TestDropForgetsHereAndInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory.Store{}
		c := cached(&source{life: time.Hour}, auth.Env{Cache: store})
		want(t, c, "T1")
		synctest.Wait()
		if err := c.Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, found := c.Info(); found {
			t.Error("the token is still there")
		}
		want(t, c, "T2")
	})
}

func TestRefreshAsksWhateverIsCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory.Store{}
		want(t, cached(&source{life: time.Hour}, auth.Env{Cache: store}), "T1")
		synctest.Wait()
		src := &source{takes: time.Second, life: time.Hour, fail: func(n int) error {
			if n == 2 {
				return &auth.TokenError{Status: 500}
			}
			return nil
		}}
		c := cached(src, auth.Env{Cache: store, Keys: keyer(t, "k")})
		got, info, err := c.Refresh(t.Context()) // nothing in memory, but a good token in the store
		if err != nil || src.requests() != 1 || info.Where != "request" || got.Value("token").Reveal() != "T1" {
			t.Errorf("got %d token requests, %+v, %v, want 1", src.requests(), info, err)
		}
		if _, _, err := c.Refresh(t.Context()); err == nil {
			t.Error("a failed refresh: got no error, want one")
		}
		want(t, c, "T1") // and the old token is still good
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, _, err := c.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a deadline", err)
		}
		if got, _, err := c.Refresh(t.Context()); err != nil || got.Value("token").Reveal() != "T3" {
			t.Errorf("joining the flight: got %v, want T3", err)
		}
	})
}

func TestInfoAndListDescribeTokensWithoutShowingThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env := auth.Env{Now: time.Now, Tokens: new(auth.Tokens), Keys: keyer(t, "k")}
		for i, user := range []string{"zoe", "ann", "bob"} {
			c := auth.Cached(auth.Credential{Key: user, Owner: "demo", User: user, Source: &source{life: time.Hour}}, env)
			if _, found := c.Info(); found {
				t.Error("a token before the first call")
			}
			if i < 2 {
				want(t, c, "T1")
			}
		}
		list := env.Tokens.List()
		if len(list) != 2 || list[0].User != "ann" || list[1].User != "zoe" {
			t.Fatalf("got %+v, want those of ann and zoe", list)
		}
		want := auth.TokenInfo{Owner: "demo", User: "ann", Where: "memory", Fingerprint: env.Keys.Fingerprint(auth.NewSecret("T1")),
			Obtained: time.Now(), Expires: time.Now().Add(time.Hour), Names: []string{"token"}}
		if got := fmt.Sprintf("%+v", list[0]); got != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %s\nwant %+v", got, want)
		}
	})
}

func TestWaitReturnsWhenNoRequestIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := new(auth.Tokens)
		if err := tokens.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := cached(&source{takes: time.Minute, life: time.Hour}, auth.Env{Tokens: tokens})
		go func() { _, _ = c.Token(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := tokens.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a deadline", err)
		}
		start := time.Now()
		if err := tokens.Wait(t.Context()); err != nil || time.Since(start) != 29*time.Second {
			t.Errorf("got %v after %s, want no error after 29s", err, time.Since(start))
		}
	})
}

// A gateway that shuts down waits while the last calls still start token requests.
func TestWaitingWhileRequestsStartIsSafe(t *testing.T) {
	tokens := new(auth.Tokens)
	c := cached(&source{life: 0}, auth.Env{Tokens: tokens})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if _, err := c.Token(t.Context()); err != nil {
					t.Errorf("a token while another waits: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range 200 {
				if err := tokens.Wait(t.Context()); err != nil {
					t.Errorf("waiting while requests start: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestIdleCredentialsLeaveFirst(t *testing.T) {
	env := auth.Env{Now: time.Now, Tokens: &auth.Tokens{Limit: 1000}}
	open := func(key string) *auth.CachedSource {
		return auth.Cached(auth.Credential{Key: key, Source: &source{life: time.Hour}}, env)
	}
	want(t, open("busy"), "T1")
	for i := range 5_000 {
		open(fmt.Sprint(i))
		if i%100 == 0 {
			want(t, open("busy"), "T1")
		}
	}
	if _, ok := open("busy").Info(); !ok {
		t.Error("the busy credential was forgotten")
	}
	if len(env.Tokens.List()) != 1 {
		t.Errorf("%d tokens are known, want that of the busy one", len(env.Tokens.List()))
	}
}

// Whatever happens when: no expired token is handed out, and at most one flight is under way.
func TestRandomSchedulesNeverHandOutAnExpiredToken(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	schedules := 2000
	if testing.Short() {
		schedules = 100
	}
	for i := range schedules {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		synctest.Test(t, func(t *testing.T) { schedule(t, r) })
		if t.Failed() {
			t.Fatalf("schedule %d of seed %d", i, seed)
		}
	}
}

func schedule(t *testing.T, r *rand.Rand) {
	some := func(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) }
	src := &source{takes: some(20 * time.Second), life: some(2 * time.Minute)}
	if r.IntN(3) == 0 {
		every := r.IntN(3) + 2
		status := []int{400, 500, 0}[r.IntN(3)]
		src.fail = func(n int) error {
			if n%every == 0 {
				return &auth.TokenError{Status: status}
			}
			return nil
		}
	}
	env := auth.Env{Now: time.Now, Tokens: new(auth.Tokens)}
	if r.IntN(2) == 0 {
		env.Cache = &slowStore{Store: &memory.Store{}, takes: some(3 * time.Second)}
	}
	margin := some(time.Minute) - 10*time.Second
	c := auth.Cached(auth.Credential{Key: "k", Source: src, Margin: func(time.Duration) time.Duration { return margin }}, env)
	var wg sync.WaitGroup
	for range r.IntN(8) + 1 {
		pauses := make([]time.Duration, r.IntN(8)+1)
		for i := range pauses {
			pauses[i] = some(30 * time.Second)
		}
		patience, refuses, drops := some(time.Minute), r.IntN(4) == 0, r.IntN(8) == 0
		wg.Go(func() {
			for _, pause := range pauses {
				time.Sleep(pause)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				got, err := c.Token(ctx)
				cancel()
				switch {
				case err != nil:
				case src.life > 0 && !time.Now().Before(got.Expiry):
					t.Errorf("got a token that ended %s ago", time.Since(got.Expiry))
				case refuses:
					c.Invalidate(auth.Stamp(got.Generation))
				case drops:
					_ = c.Drop(t.Context())
				}
			}
		})
	}
	wg.Wait()
	_ = env.Tokens.Wait(t.Context())
	if src.most > 1 {
		t.Errorf("%d token requests at once, want 1", src.most)
	}
}

func TestPlacedRendersOncePerToken(t *testing.T) {
	place := &counting{Placement: compile(t, "", auth.Field{Path: "header.headers.X", Format: "{token}"})}
	p := &auth.Placed{Source: cached(&source{life: -1}, auth.Env{}), Placement: place}
	for _, want := range []string{"T1", "T1", "T2", "T2"} {
		req := get(t, "https://a.example/")
		stamp, err := p.Apply(req)
		if err != nil || req.Header.Get("X") != want {
			t.Errorf("got %q, %v, want %s", req.Header.Get("X"), err, want)
		}
		if want == "T1" && place.n == 1 && req.Header.Get("X") == "T1" {
			p.Invalidate(t.Context(), stamp+1) // of no token: ignored
		}
		if place.calls++; place.calls == 2 {
			p.Invalidate(t.Context(), stamp)
		}
	}
	if place.n != 2 {
		t.Errorf("rendered %d times for two tokens, want 2", place.n)
	}
}

type counting struct {
	auth.Placement
	n, calls int
}

func (c *counting) Render(t auth.Token) (auth.Injection, error) {
	c.n++
	return c.Placement.Render(t)
}

func TestTokenThatCannotBePlacedIsAnErrorWithoutIt(t *testing.T) {
	src := auth.TokenSourceFunc(func(context.Context) (auth.Token, error) { return token("se\x01cret", time.Hour), nil })
	place := compile(t, "", auth.Field{Path: "header.headers.X", Format: "{token}"})
	for name, a := range map[string]auth.Authenticator{
		"cached":   &auth.Placed{Source: cached(src, auth.Env{}), Placement: place},
		"per call": &auth.PerCall{Source: src, Placement: place},
	} {
		req, _ := http.NewRequest(http.MethodGet, "https://a.example/", nil)
		_, err := a.Apply(req)
		if want := "token endpoint: header X: the value holds a line break or another control character"; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}
