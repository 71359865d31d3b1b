package promises

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
)

// watched is a master, its replica, and the Sentinel that makes the replica the master.
type watched struct {
	master, replica, sentinel *redistest.Server
	url                       string
}

func newWatched(t *testing.T) watched {
	t.Helper()
	w := watched{master: redistest.Start(t, "--repl-diskless-sync-delay", "0")}
	w.replica = redistest.Start(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", w.master.Port))
	until(t, "the replica is in step", func() bool {
		return strings.Contains(w.replica.Do("INFO", "replication").(string), "master_link_status:up")
	})
	w.sentinel = redistest.StartSentinel(t, "tokens", w.master)
	until(t, "the Sentinel knows the replica", func() bool {
		return len(w.sentinel.Do("SENTINEL", "REPLICAS", "tokens").([]any)) == 1
	})
	w.url = "redis+sentinel://" + w.sentinel.Addr() + "/tokens"
	return w
}

// failedOver reports whether the Sentinel sends everybody to the replica.
func (w watched) failedOver() bool {
	return fmt.Sprint(w.sentinel.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tokens")) == fmt.Sprintf("[127.0.0.1 %d]", w.replica.Port) &&
		strings.Contains(w.replica.Do("INFO", "replication").(string), "role:master")
}

// failover is two systems on one watched pair: in one a token stays fresh all the time, in the
// other it is renewed all the time. Each has two processes.
type failover struct {
	watched
	fresh, renewed *sharing
	processes      []*process
}

func newFailover(t *testing.T) *failover {
	t.Helper()
	w, margin := newWatched(t), toxicMargin
	f := &failover{watched: w, fresh: newSharing(t, w.url), renewed: newSharing(t, w.url)}
	f.renewed.Set(authtest.Script{Lifetime: toxicLife})
	for range 2 {
		f.processes = append(f.processes, f.fresh.process(t, options{}), f.renewed.process(t, options{Timeout: toxicLife, Margin: &margin}))
	}
	for _, p := range f.processes {
		p.want(t)
		p.settle(t)
	}
	until(t, "the tokens are on the replica too", func() bool { return len(w.replica.Do("KEYS", "*:token").([]any)) == 2 })
	return f
}

// TestR11RedisThatFailsOverCostsNoCall kills the master under load.
func TestR11RedisThatFailsOverCostsNoCall(t *testing.T) {
	f := newFailover(t)
	stop := keepCalling(t, f.processes)
	defer stop()
	time.Sleep(scaled(300*time.Millisecond, 5*time.Second))
	asked, began := f.renewed.Requests(), time.Now()
	f.master.Kill()
	back := backInUse(t.Context(), openRedis(t, f.url))
	until(t, "the Sentinel has failed over", f.failedOver)
	took := time.Since(began)
	outage := max(0, (<-back).Sub(began.Add(took)))
	time.Sleep(scaled(300*time.Millisecond, 20*time.Second))
	calls := stop()
	if limit := 2 * time.Second; outage > limit {
		t.Errorf("the cache is written and read again %s after the failover, want %s at most", outage, limit)
	}
	lives := int(time.Since(began)/(toxicLife-toxicMargin)) + 1
	if n := f.renewed.Requests() - asked; n > 2*lives {
		t.Errorf("%d token requests of processes that renew, want %d at most: one per process and life", n, 2*lives)
	}
	f.fresh.process(t, options{}).want(t)
	if n := f.fresh.Requests(); n != 1 {
		t.Errorf("%d token requests for a token that was fresh all the time, want 1: a cold start too finds it on the new master", n)
	}
	measured(t, "R11", "kill -9 of the master: failover after %s, Redis in use again %s later; %d calls, %d token request for the fresh token",
		took.Round(10*time.Millisecond), outage.Round(10*time.Millisecond), calls, f.fresh.Requests())
}

// keepCalling has eight callers of each process call until stop, which returns how many calls
// were made. A call that fails, fails the test.
func keepCalling(t *testing.T, processes []*process) (stop func() int64) {
	t.Helper()
	var made atomic.Int64
	var callers sync.WaitGroup
	ended := make(chan struct{})
	caller := func(p *process) {
		for {
			select {
			case <-ended:
				return
			case <-time.After(10 * time.Millisecond):
			}
			p.want(t)
			made.Add(1)
		}
	}
	for _, p := range processes {
		for range 8 {
			callers.Go(func() { caller(p) })
		}
	}
	stop = func() int64 {
		close(ended)
		callers.Wait()
		return made.Load()
	}
	return sync.OnceValue(stop)
}

// backInUse tells when a value can be written and read again, after it could not; nothing comes
// when ctx ends before.
func backInUse(ctx context.Context, store cache.Store) <-chan time.Time {
	back := make(chan time.Time, 1)
	go func() {
		for away := false; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			err := store.Set(ctx, "probe", []byte("v"), time.Minute)
			if err == nil && away {
				_, err = store.Get(ctx, "probe")
			}
			if err == nil && away {
				back <- time.Now()
				return
			}
			away = away || err != nil
		}
	}()
	return back
}
