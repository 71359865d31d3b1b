package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// meter collects what is measured, one line each.
type meter struct {
	mu    sync.Mutex
	lines []string
}

func (m *meter) add(x auth.Measure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := []string{"hit", "fetch", "wait", "lead", "lease wait", "refusal", "cache fault", "breaker open"}
	line := names[x.What]
	if x.Label != "" {
		line += " " + x.Label
	}
	if x.Took > 0 {
		line += " " + x.Took.String()
	}
	if x.Owner != "demo" {
		line += " of " + x.Owner
	}
	m.lines = append(m.lines, line)
}

func (m *meter) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := m.lines
	m.lines = nil
	return lines
}

func TestEngineMeasuresWhatItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(meter)
		src := &source{takes: time.Second, life: 100 * time.Second}
		c := cached(src, auth.Env{Measure: m.add})
		expect := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := m.take(); !slices.Equal(got, want) {
				t.Errorf("%s: measured %q, want %q", what, got, want)
			}
		}
		stamp := auth.Stamp(must(c.Token(t.Context())).Generation)
		expect("cold", "fetch ok 1s", "wait 1s", "hit request")
		must(c.Token(t.Context()))
		expect("hot", "hit memory")
		time.Sleep(95 * time.Second)
		stale := must(c.Token(t.Context()))
		time.Sleep(2 * time.Second)
		expect("stale", "hit stale", "fetch ok 1s", "lead 4s")
		c.Invalidate(stamp)
		expect("an older token refused")
		c.Invalidate(auth.Stamp(must(c.Token(t.Context())).Generation))
		expect("refused", "hit memory", "refusal")
		src.fail = func(int) error { return &auth.TokenError{Status: 503} }
		if _, err := c.Token(t.Context()); err == nil {
			t.Errorf("got a token after %v, want none", stale.Generation)
		}
		expect("endpoint down", "fetch server_error 1s", "wait 1s")
	})
}

func must(token auth.Token, err error) auth.Token {
	if err != nil {
		panic(err)
	}
	return token
}

func TestFailuresAreMeasuredByCause(t *testing.T) {
	for want, err := range map[string]error{
		"ok":           nil,
		"timeout":      &auth.TokenError{Err: context.DeadlineExceeded},
		"canceled":     context.Canceled,
		"unreachable":  &auth.TokenError{Err: errors.New("connection refused")},
		"limited":      &auth.TokenError{Status: 429},
		"server_error": &auth.TokenError{Status: 502},
		"refused":      &auth.TokenError{Status: 401},
		"bad_answer":   &auth.TokenError{Status: 200, Reason: "the answer holds no token"},
		"internal":     errors.New("something else"),
	} {
		m := new(meter)
		env := auth.Env{Now: time.Now, Measure: func(x auth.Measure) { x.Took = 0; m.add(x) }}
		source := auth.TokenSourceFunc(func(context.Context) (auth.Token, error) { return auth.Token{}, err })
		_, _ = auth.Measured(source, "demo", env).Token(t.Context())
		if got := fmt.Sprint(m.take()); got != "[fetch "+want+"]" {
			t.Errorf("%v: measured %s, want [fetch %s]", err, got, want)
		}
	}
}

func TestExplanationTellsTierAgeWaitAndWhoAsked(t *testing.T) {
	c := newCluster(t, 0)
	first, _ := c.process(t)
	want(t, first, "T1")
	settled(t, c)
	var events []auth.Event
	second, _ := c.processWith(t, auth.Env{Observe: func(e auth.Event) { events = append(events, e) }})
	want(t, second, "T1")
	want(t, second, "T1")
	if len(events) != 2 || events[0].Took <= 0 || events[1].Took != 0 {
		t.Fatalf("got %+v, want the wait for the cache, and then none", events)
	}
	for i, text := range []string{"from the shared cache, asked for 0s ago by another-host/7,", "from memory, asked for 0s ago by another-host/7,"} {
		if got := events[i].Detail; len(got) < len(text) || got[:len(text)] != text {
			t.Errorf("explained %q, want %q first", got, text)
		}
	}
}

func TestCredentialsThatNobodyUsesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := &auth.Tokens{Limit: 100, MaxIdle: time.Hour}
		open := func(i int) *auth.CachedSource {
			return auth.Cached(auth.Credential{Key: fmt.Sprint(i), Owner: "demo", Source: &source{life: -1}},
				auth.Env{Now: time.Now, Tokens: tokens})
		}
		for i := range 250 {
			must(open(i).Token(t.Context()))
			must(open(0).Token(t.Context())) // always in use
		}
		if n := len(tokens.List()); n < 90 || n > 100 {
			t.Errorf("%d credentials are kept, want up to the limit of 100", n)
		}
		if info := must(open(0).Token(t.Context())); info.Value("token").Reveal() != "T1" {
			t.Error("the credential in use has left")
		}
		time.Sleep(time.Hour)
		must(open(1000).Token(t.Context())) // looks, and everybody has a second chance
		time.Sleep(time.Hour)
		must(open(1001).Token(t.Context()))
		synctest.Wait()
		if n := len(tokens.List()); n > 3 {
			t.Errorf("%d credentials are kept after two idle hours, want the two new ones and the one in use", n)
		}
	})
}
