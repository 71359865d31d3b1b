package bench

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const endpoint = 200 * time.Millisecond

// each makes a contender of every engine; its round is what run brings of a new one.
func each(makers []func(fetch) engine, run func(t testing.TB, build func(fetch) engine) []float64) []contender {
	var list []contender
	for _, build := range makers {
		list = append(list, contender{name: build(nil).name, round: func(t testing.TB) []float64 { return run(t, build) }})
	}
	return list
}

func ask(e engine) func() error {
	return func() error {
		_, err := e.token(context.Background())
		return err
	}
}

func coldStart(_ testing.TB, l *lab) []contender {
	return each([]func(fetch) engine{keyhitch, xoauth2, azure, awsCredentials, smithy, google},
		func(t testing.TB, build func(fetch) engine) []float64 {
			g := l.guest()
			h := release(1000, time.Time{}, ask(build(g.token("wait=200ms"))))
			h.allServed(t)
			return []float64{float64(g.counts(t).TokenRequests), ms(h.quantile(0.99)) / ms(endpoint)}
		})
}

// midLoad: the first token stops being fresh after 0.8 s by the engine's own rule.
func midLoad(_ testing.TB, l *lab) []contender {
	return each([]func(fetch) engine{keyhitch, xoauth2, awsCredentials, smithy, google},
		func(t testing.TB, build func(fetch) engine) []float64 {
			g := l.guest()
			e := build(aging(g.token("wait=200ms"), build(nil).early+800*time.Millisecond))
			must(t, ask(e)())
			stalled, slowest := load(t, e)
			renewals := g.counts(t).TokenRequests - 1
			if renewals < 1 {
				t.Fatalf("%s: the token did not run out under load", e.name)
			}
			return []float64{float64(renewals), stalled, slowest}
		})
}

// aging is f, with so much life left in the first token.
func aging(f fetch, first time.Duration) fetch {
	var later atomic.Bool
	return func(ctx context.Context) (string, time.Duration, error) {
		token, left, err := f(ctx)
		if !later.Swap(true) {
			left = first
		}
		return token, left, err
	}
}

// load has 64 callers ask for 2 s: how many calls stalled, and the worst in milliseconds.
func load(t testing.TB, e engine) (stalled, slowest float64) {
	var mu sync.Mutex
	end := time.Now().Add(2 * time.Second)
	release(64, time.Time{}, func() error {
		for time.Now().Before(end) {
			start := time.Now()
			err := ask(e)()
			took := time.Since(start)
			if err != nil {
				return err
			}
			mu.Lock()
			slowest = max(slowest, ms(took))
			if took > 50*time.Millisecond {
				stalled++
			}
			mu.Unlock()
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	}).allServed(t)
	return stalled, slowest
}

func failing(_ testing.TB, l *lab) []contender {
	return each([]func(fetch) engine{keyhitch, awsCredentials, smithy, xoauth2},
		func(t testing.TB, build func(fetch) engine) []float64 {
			g := l.guest()
			h := release(100, time.Time{}, ask(build(g.token("wait=50ms&status=500"))))
			if h.failed() != 100 {
				t.Fatalf("%d of 100 callers heard of the failure", h.failed())
			}
			return []float64{float64(g.counts(t).TokenRequests), ms(h.quantile(1)) / 50}
		})
}

const deadline = 250 * time.Millisecond

// hanging: first somebody leads who has all the time in the world, then somebody who has not.
func hanging(_ testing.TB, l *lab) []contender {
	return each([]func(fetch) engine{keyhitch, awsCredentials, smithy, xoauth2, azure, google},
		func(t testing.TB, build func(fetch) engine) []float64 {
			patient, hasty := build(l.guest().token("wait=1s")), build(l.guest().token("wait=1s"))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go func() { _, _ = patient.token(ctx) }()
			time.Sleep(10 * time.Millisecond)
			led := release(99, time.Time{}, withDeadline(t, patient))
			own := release(100, time.Time{}, withDeadline(t, hasty))
			late := max(led.quantile(1), own.quantile(1)) - deadline
			back := inTime(led) + inTime(own)
			return []float64{100 * float64(back) / 199, ms(late)}
		})
}

func inTime(h *herd) (n int) {
	for _, took := range h.took {
		if took <= deadline+10*time.Millisecond {
			n++
		}
	}
	return n
}

// withDeadline is a caller with 250 ms. He cannot get a token in that time.
func withDeadline(t testing.TB, e engine) func() error {
	return func() error {
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		_, err := e.token(ctx)
		if err == nil && time.Since(start) < deadline {
			t.Errorf("%s gave a token before there was one", e.name)
		}
		return err
	}
}

// storm: the token of 1,000 calls is revoked, and the refusals come one after another.
func storm(_ testing.TB, l *lab) []contender {
	return each([]func(fetch) engine{keyhitch, azure}, func(t testing.TB, build func(fetch) engine) []float64 {
		g, base := l.guest(), &refusals{Transport: tuned()}
		defer base.CloseIdleConnections()
		rt := build(g.token("wait=50ms")).wrap(base, g.url(t))
		call := func() error { return g.call(rt, "spread=300ms") }
		must(t, call())                               // the first token
		release(1000, time.Time{}, call).allServed(t) // and 1,000 connections
		g.revoke(t)
		before := g.counts(t)
		h := release(1000, time.Time{}, call)
		after := g.counts(t)
		if after.Refused == before.Refused {
			t.Fatal("the storm did not come")
		}
		slowest := time.Unix(0, base.last.Load()).Sub(h.start)
		return []float64{float64(after.TokenRequests - before.TokenRequests), float64(h.failed()),
			float64(after.Calls - before.Calls), ms(h.quantile(0.99) - slowest)}
	})
}

// refusals notes when the last 401 came.
type refusals struct {
	*http.Transport
	last atomic.Int64
}

// RoundTrip sends, and looks at the status.
func (r *refusals) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.Transport.RoundTrip(req)
	if err == nil && res.StatusCode == http.StatusUnauthorized {
		r.last.Store(time.Now().UnixNano())
	}
	return res, err
}
