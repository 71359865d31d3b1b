package promises

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
)

// fleet is one real Redis, one system, and four processes that use both.
type fleet struct {
	system   *system
	redis    *redistest.Server
	seal     seal
	children []*child
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	return &fleet{system: newSystem(t), redis: redistest.Start(t), seal: newSeal(t)}
}

// start starts n more processes.
func (f *fleet) start(t *testing.T, n int, wait time.Duration) {
	t.Helper()
	for range n {
		f.children = append(f.children, startChild(t, childSettings{System: f.system.URL, Redis: "redis://" + f.redis.Addr(),
			Seal: f.seal.text, Password: password, Wait: wait}))
	}
}

// herd has each process make n calls at once, and fails unless all of them succeed.
func (f *fleet) herd(t *testing.T, n int) {
	t.Helper()
	for _, c := range f.children {
		c.call(n)
	}
	for i, c := range f.children {
		if report := c.answered(); report.OK != n {
			t.Errorf("process %d: %d of %d calls succeeded; one failed with: %s", i+1, report.OK, n, report.Error)
		}
	}
}

// together answers n calls with 401, all at the same moment, and hands every later one to next.
func together(n int, next http.Handler) http.HandlerFunc {
	var came atomic.Int64
	all := make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		switch seq := came.Add(1); {
		case seq > int64(n):
			next.ServeHTTP(w, r)
			return
		case seq == int64(n):
			close(all)
		}
		select {
		case <-all:
		case <-time.After(20 * time.Second): // too few came: the test fails by its counts
		}
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func TestFourProcessesWith250ColdCallersEachMakeOneTokenRequest(t *testing.T) {
	const each = 250
	f := newFleet(t)
	f.system.Set(authtest.Script{Lifetime: time.Hour, Delay: 200 * time.Millisecond})
	f.start(t, 4, 0)
	began := time.Now()
	f.herd(t, each)
	cold := time.Since(began)
	if n := f.system.Requests(); n != 1 {
		t.Errorf("%d token requests for %d cold callers, want 1", n, 4*each)
	}
	until(t, "the first calls are in the log", func() bool { return len(f.system.calls()) == 4*each })

	f.system.Revoke()
	f.system.answer(together(4*each, f.system.Server))
	f.herd(t, each)
	if n := f.system.Requests(); n != 2 {
		t.Errorf("%d token requests after %d calls were refused at once, want 2", n, 4*each)
	}
	if n := len(f.system.refused()); n != 4*each {
		t.Errorf("%d calls were refused, want %d: no call is refused twice", n, 4*each)
	}
	measured(t, "R1", "4 processes × %d cold callers on one Redis, and then all refused at once: %d token requests (the first after %d ms, with the start of the processes)",
		each, f.system.Requests(), cold.Milliseconds())
}

// mourned is a token endpoint that never answers the first request. Of each later one it notes
// when it came, and who had the lease in Redis then.
type mourned struct {
	*authtest.Server
	redis   *redistest.Server
	first   sync.Once
	arrived chan struct{} // closes with the first request

	mu     sync.Mutex
	lease  string // its name in Redis
	owners []string
	times  []time.Time
}

func (m *mourned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hang := false
	m.first.Do(func() { hang = true })
	if hang {
		close(m.arrived)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done() // the one who asks is dead
		return
	}
	m.mu.Lock()
	owner, _ := m.redis.Do("GET", m.lease).(string)
	m.owners, m.times = append(m.owners, owner), append(m.times, time.Now())
	m.mu.Unlock()
	m.Server.ServeHTTP(w, r)
}

// TestKilledHolderOfTheLeaseIsFollowedWhenItsLeaseEnds kills the process that asks for a token,
// while others wait for it: with much patience, or with the same settings as the dead one.
func TestKilledHolderOfTheLeaseIsFollowedWhenItsLeaseEnds(t *testing.T) {
	t.Run("by the patient", func(t *testing.T) { killHolder(t, time.Second, 20*time.Second) })
	t.Run("by its like", func(t *testing.T) { killHolder(t, 1500*time.Millisecond, 1500*time.Millisecond) })
}

// killHolder gives the holder and the others so long for a token request.
func killHolder(t *testing.T, holder, others time.Duration) {
	f := newFleet(t)
	m := &mourned{Server: new(authtest.Server), redis: f.redis, arrived: make(chan struct{})}
	m.Set(authtest.Script{Lifetime: time.Hour})
	f.system.Set(authtest.Script{Answer: m})
	f.system.answer(func(http.ResponseWriter, *http.Request) {}) // its tokens are m's
	f.start(t, 1, holder)
	victim := f.children[0]
	victim.call(1)
	<-m.arrived
	m.mu.Lock()
	m.lease = leaseName(t, f.redis)
	first := f.redis.Do("GET", m.lease).(string)
	m.mu.Unlock()
	f.children = nil
	f.start(t, 3, others)
	victim.kill()
	left := time.Duration(f.redis.Do("PTTL", m.lease).(int64)) * time.Millisecond
	earliest := time.Now().Add(left - 5*time.Millisecond) // so exactly do Redis and we read clocks
	f.herd(t, 50)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.owners) != 1 {
		t.Fatalf("%d token requests after the holder was killed, want 1", len(m.owners))
	}
	if left <= 0 || m.times[0].Before(earliest) || m.owners[0] == first || m.owners[0] == "" {
		t.Errorf("the next token request came %s before the end of the dead holder's lease, which had %s left",
			earliest.Sub(m.times[0]), left)
	}
}

// leaseName is the name in Redis of the only lease there.
func leaseName(t *testing.T, server *redistest.Server) string {
	t.Helper()
	names := server.Do("KEYS", "*:lease").([]any)
	if len(names) != 1 {
		t.Fatalf("%d leases in Redis, want 1", len(names))
	}
	return names[0].(string)
}
