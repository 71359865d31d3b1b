package bench

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// manyCredentials is no contest: it is a bound, for a gateway with many users.
func manyCredentials(testing.TB, *lab) []contender {
	return []contender{{name: "keyhitch", round: func(t testing.TB) []float64 {
		const count = 100_000
		before := heap()
		live, sources := &auth.Tokens{Limit: count}, make([]*auth.CachedSource, count)
		for i := range sources {
			key := "credential " + strconv.Itoa(i)
			sources[i] = auth.Cached(auth.Credential{Key: key, Owner: "demo", Source: tokens(tokenOf(i))},
				auth.Env{Now: time.Now, Tokens: live})
			must(t, ask(engine{token: reading(sources[i])})())
		}
		grown := heap() - before
		if n := len(live.List()); n != count {
			t.Fatalf("%d tokens are live, want %d", n, count)
		}
		runtime.KeepAlive(sources)
		return []float64{grown / (1 << 20)}
	}}}
}

// tokenOf gives each credential a token of its own.
func tokenOf(i int) fetch {
	return func(context.Context) (string, time.Duration, error) {
		return bearer(strconv.Itoa(i), 0), time.Hour, nil
	}
}

// heap is what is in use after a collection.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what has a finalizer goes in the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
