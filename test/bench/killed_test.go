package bench

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

// killedHolder waits out five leases at once; each is as long as the product makes it.
func killedHolder(t testing.TB, l *lab) []contender {
	server := redistest.Start(t)
	o, key := observe(t, server.Addr()), sealed.NewKey()
	return []contender{{name: "keyhitch", round: func(t testing.TB) []float64 {
		var heirs []heir
		var late []float64
		for range 5 {
			g := l.guest()
			heirs = append(heirs, o.kill(t, g, process{Redis: server.Addr(), SealKey: key, Key: string(g), URL: string(g), Callers: 1}))
		}
		for _, h := range heirs {
			a := <-h.came
			if a.err != nil {
				t.Logf("the next process got no token: %v", a.err)
				late = append(late, math.Inf(1))
				continue
			}
			late = append(late, ms(a.at.Sub(h.due)))
			if n := h.guest.counts(t).TokenRequests; n != 2 {
				t.Errorf("%d token requests, want the killed one and the next", n)
			}
		}
		slices.Sort(late)
		return []float64{late[len(late)/2]}
	}}}
}

// heir waits for the token that a killed process does not bring any more.
type heir struct {
	guest guest
	due   time.Time // when the lease is over, and a token request after it
	came  chan arrival
}

// arrival is when a call with the next token was answered, or why it was not.
type arrival struct {
	at  time.Time
	err error
}

// kill ends a process while the token endpoint works for it; another one waits already.
func (o observer) kill(t testing.TB, g guest, p process) heir {
	t.Helper()
	w := start(t, "worker")
	w.tell(t, p)
	w.line(t)
	w.tell(t, time.Now())
	for g.counts(t).TokenRequests == 0 {
		time.Sleep(time.Millisecond)
	}
	source, end, err := p.open(g.token("wait=200ms"))
	must(t, err)
	t.Cleanup(end)
	h := heir{guest: g, came: make(chan arrival, 1)}
	go func() {
		err := g.call(transport(tuned(), source, g.url(t)), "")
		h.came <- arrival{time.Now(), err}
	}()
	time.Sleep(20 * time.Millisecond) // it has found the lease taken
	asked := time.Now()
	left, err := o.PTTL(context.Background(), "keyhitch:{"+p.Key+"}:lease").Result()
	must(t, err)
	must(t, w.Process.Kill())
	if h.due = asked.Add(left + endpoint); left <= 0 {
		t.Fatal("nobody held the lease")
	}
	return h
}
