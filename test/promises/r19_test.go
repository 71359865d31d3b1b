package promises

import (
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// faulty answers one in a hundred calls with a fault; it keeps no log, which would be a leak.
type faulty struct {
	*system
	mu     sync.Mutex
	chance *rand.Rand
	faults atomic.Int64
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	fault := f.chance.IntN(400)
	f.mu.Unlock()
	if r.URL.Path == "/token" || fault >= 4 {
		f.Server.ServeHTTP(w, r)
		return
	}
	f.faults.Add(1)
	switch fault {
	case 0:
		w.WriteHeader(http.StatusUnauthorized)
	case 1:
		w.WriteHeader(http.StatusBadGateway)
	case 2: // cut
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(make([]byte, 10))
		panic(http.ErrAbortHandler)
	case 3:
		reset(w)
	}
}

// reset ends the connection with a TCP reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// usage is what a process holds of what can leak.
type usage struct {
	goroutines, files int
	heap              uint64
}

func use(t *testing.T) usage {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("open files cannot be counted here: %v", err)
	}
	var m runtime.MemStats
	for range 3 { // finalizers and pools need more than one
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return usage{runtime.NumGoroutine(), len(files), m.HeapAlloc}
}

// TestR19NothingLeaks makes very many calls, of which some go wrong, and counts what is left.
func TestR19NothingLeaks(t *testing.T) {
	api := &faulty{system: newUnserved(""), chance: seed(t)}
	server := httptest.NewServer(api)
	defer server.Close()
	api.URL = server.URL
	base := auth.NewBase()
	p := api.process(t, options{Base: base})
	quiet := func() {
		base.CloseIdleConnections()
		p.settle(t)
		time.Sleep(20 * time.Millisecond) // the server hears of it
	}
	sixteen(t, p, 2000)
	quiet()
	start := use(t)
	calls := scaled(10_000, 1_000_000)
	good := sixteen(t, p, calls)
	faults := api.faults.Load()
	if good < calls*95/100 || faults < int64(calls)/200 {
		t.Errorf("%d of %d calls succeeded with %d faults, want 95 %% and a fault in a hundred", good, calls, faults)
	}
	var end usage
	until(t, "goroutines and files are back", func() bool {
		quiet()
		end = use(t)
		return end.goroutines <= start.goroutines+2 && end.files <= start.files+2
	})
	// The redactor remembers tokens up to a bound, the fake server all of them: some megabytes.
	if room := max(start.heap/20, scaled[uint64](3<<20, 8<<20)); end.heap > start.heap+room {
		t.Errorf("the heap grew from %d to %d bytes, want %d more at most", start.heap, end.heap, room)
	}
	measured(t, "R19", "%d calls, %d faults: goroutines %d → %d, files %d → %d, heap %.1f → %.1f MB",
		calls, faults, start.goroutines, end.goroutines, start.files, end.files, float64(start.heap)/1e6, float64(end.heap)/1e6)
}

// sixteen makes n calls with 16 callers and returns how many had status 200.
func sixteen(t *testing.T, p *process, n int) int {
	t.Helper()
	var good, next atomic.Int64
	all(16, func(int) {
		for next.Add(1) <= int64(n) {
			if status, err := p.call(t.Context()); err == nil && status == http.StatusOK {
				good.Add(1)
			}
		}
	})
	return int(good.Load())
}
