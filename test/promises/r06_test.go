package promises

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
)

// load calls at an even rate until it is stopped, and counts.
type load struct {
	p     *process
	calls atomic.Int64
	lost  atomic.Int64
	stop  chan struct{}
	done  chan struct{}

	mu    sync.Mutex
	epoch *sync.WaitGroup // the calls since settle
}

func startLoad(t *testing.T, p *process, perSecond int) *load {
	l := &load{p: p, stop: make(chan struct{}), done: make(chan struct{}), epoch: new(sync.WaitGroup)}
	go l.run(t, time.Second/time.Duration(perSecond))
	return l
}

func (l *load) run(t *testing.T, every time.Duration) {
	defer close(l.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		epoch := l.epoch
		epoch.Add(1)
		l.mu.Unlock()
		wg.Go(func() {
			defer epoch.Done()
			l.call(t)
		})
	}
}

func (l *load) call(t *testing.T) {
	l.calls.Add(1)
	if status, err := l.p.call(t.Context()); err != nil || status != http.StatusOK {
		l.lost.Add(1)
		t.Errorf("a call: got status %d, %v, want 200", status, err)
	}
}

// settle returns when every call that began before it has ended.
func (l *load) settle() {
	l.mu.Lock()
	old := l.epoch
	l.epoch = new(sync.WaitGroup)
	l.mu.Unlock()
	old.Wait()
}

func (l *load) end() {
	close(l.stop)
	<-l.done
}

func TestR6ARevokedTokenIsRenewedOnceAndNoCallSeesIt(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.Set(authtest.Script{Lifetime: time.Hour, Delay: 20 * time.Millisecond})
	chance, taken := seed(t), new(sync.Mutex)
	s.answer(func(w http.ResponseWriter, r *http.Request) { // so that refusals come late, after the new token too
		s.Server.ServeHTTP(w, r)
		taken.Lock()
		late := time.Duration(chance.Int64N(int64(50 * time.Millisecond)))
		taken.Unlock()
		pause(r.Context(), late)
	})
	p := s.process(t, options{})
	p.want(t)
	l := startLoad(t, p, 200)
	revocations, every := scaled(5, 20), scaled(200*time.Millisecond, 500*time.Millisecond)
	for i := range revocations {
		time.Sleep(every)
		s.Revoke()
		waitFor(t, "a new token", func() bool { return len(s.Issued()) == i+2 })
		l.settle() // a call may lose one token on its way, not two
	}
	time.Sleep(every)
	l.end()
	if n := s.Requests() - 1; n != revocations {
		t.Errorf("%d token requests for %d revocations, want one each", n, revocations)
	}
	measured(t, "R6", "%d revocations under 200 calls/s: %d calls, %d saw a refusal, %d token requests", revocations, l.calls.Load(), l.lost.Load(), s.Requests()-1)
}

// waitFor fails unless the condition comes true in time.
func waitFor(t *testing.T, what string, true func() bool) {
	t.Helper()
	for range 20_000 {
		if true() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s: not within 20 s", what)
}
