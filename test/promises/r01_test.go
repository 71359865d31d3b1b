package promises

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// crowd is what one run of cold callers, some of whom leave, came to.
type crowd struct {
	mu    sync.Mutex
	late  []time.Duration // how long after its cancellation each one was back
	ok    int
	wrong []error
}

func TestR1CallersShareOneFlightAndACancelledOneEndsOnlyItsOwnWait(t *testing.T) {
	r := seed(t)
	runs, callers, leaving := scaled(10, 200), scaled(400, 1000), scaled(120, 300)
	var late []time.Duration
	for range runs {
		late = append(late, coldRun(t, r, callers, leaving)...)
	}
	slices.Sort(late)
	share := func(percent int) time.Duration { return late[(len(late)-1)*percent/100] }
	// The machine has a say in the slowest; that keyhitch has none is what the bubble below shows.
	if limit := scaled(time.Second, 10*time.Millisecond); share(90) > limit {
		t.Errorf("nine of ten cancelled callers were back within %s, want %s", share(90), limit)
	}
	measured(t, "R1", "%d runs × %d callers, %d of them cancelled: 1 token request each, %d served; half of the cancelled back within %s, 99 %% within %s, all within %s",
		runs, callers, leaving, callers-leaving, round(share(50)), round(share(99)), round(share(100)))
}

func TestR1ACancelledCallerIsBackAtOnce(t *testing.T) {
	r, runs := seed(t), scaled(5, 50)
	for range runs {
		synctest.Test(t, func(t *testing.T) {
			if late := slices.Max(coldRun(t, r, 1000, 300)); late != 0 {
				t.Errorf("a cancelled caller was back after %s, want 0 in a bubble", late)
			}
		})
	}
	measured(t, "R1", "%d runs × 1,000 callers in simulated time: each of the 300 cancelled back after 0 s", runs)
}

// coldRun holds the token endpoint back until everybody who leaves has left: a cancelled caller
// that waited for the flight would wait for ever. It returns how long after its cancellation each was back.
func coldRun(t *testing.T, r *rand.Rand, callers, leaving int) (late []time.Duration) {
	t.Helper()
	s, open, c := newBubbled(t), make(chan struct{}), new(crowd)
	p := s.process(t, options{Base: held(s.wire, open)})
	var gone sync.WaitGroup
	gone.Add(leaving)
	go func() {
		gone.Wait()
		close(open)
	}()
	who := r.Perm(callers) // anybody may lead
	waits := make([]time.Duration, leaving)
	for i := range waits {
		waits[i] = time.Duration(r.Int64N(int64(20 * time.Millisecond)))
	}
	all(callers, func(i int) {
		if n := who[i]; n < leaving {
			defer gone.Done()
			c.leave(t.Context(), p, waits[n])
			return
		}
		c.stay(t.Context(), p)
	})
	if n := s.Requests(); n != 1 || len(c.wrong) > 0 || c.ok != callers-leaving || len(c.late) != leaving {
		t.Fatalf("%d token requests, %d served and %d cancelled, want 1, %d and %d; the rest: %v",
			n, c.ok, len(c.late), callers-leaving, leaving, errors.Join(c.wrong...))
	}
	return c.late
}

func (c *crowd) stay(ctx context.Context, p *process) {
	status, err := p.call(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || status != http.StatusOK {
		c.wrong = append(c.wrong, err)
		return
	}
	c.ok++
}

func (c *crowd) leave(ctx context.Context, p *process, after time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := make(chan time.Time, 1)
	timer := time.AfterFunc(after, func() {
		left <- time.Now()
		cancel()
	})
	defer timer.Stop()
	_, err := p.call(ctx)
	back := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !errors.Is(err, context.Canceled) {
		c.wrong = append(c.wrong, err)
		return
	}
	c.late = append(c.late, back.Sub(<-left))
}

// round shortens a time for people.
func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
