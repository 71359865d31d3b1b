package cachetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// short is a lease that a test waits for to end, but that a busy machine renews in time.
const short = 1500 * time.Millisecond

func oneOfManyGetsTheLease(p processes) {
	_, b := p.peer()
	_, c := p.peer()
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			l, err := []cache.Shared{p.a, b, c}[i%3].Lease(p.Context(), "k", time.Minute)
			switch {
			case err == nil && l != nil:
				won.Add(1)
			case !errors.Is(err, cache.ErrBusy):
				p.Errorf("Lease: got %v, want ErrBusy", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		p.Errorf("%d of 30 got the lease, want 1", won.Load())
	}
}

func leasesOfOtherKeysAreFree(p processes) {
	_, b := p.peer()
	for i, key := range []string{"", "k", "}k", "{k}", "k:lease", "K"} {
		p.lease(p.a, key, time.Minute)
		p.wantBusy(b, key)
		if i > 0 {
			p.publish(p.lease(b, key+" of b", time.Minute), "v", 1)
		}
	}
}

func busySaysHowLong(p processes) {
	_, b := p.peer()
	p.lease(p.a, "k", time.Minute)
	_, err := b.Lease(p.Context(), "k", time.Hour)
	var busy *cache.BusyError
	if !errors.As(err, &busy) || busy.Left <= 0 || busy.Left > time.Minute {
		p.Errorf("Lease: got %#v, want a BusyError with up to a minute left", err)
	}
}

func leaseOfADeadHolderEnds(p processes) {
	s, b := p.peer()
	l := p.lease(b, "k", short)
	p.wantBusy(p.a, "k")
	p.die(s)
	p.wantClosed(l.Lost(), "Lost of a closed store's lease")
	p.h.Sleep(short + p.tick)
	p.lease(p.a, "k", time.Minute)
}

func heldLeaseIsRenewed(p processes) {
	_, b := p.peer()
	l := p.lease(p.a, "k", short)
	for range 6 {
		p.h.Sleep(short / 3)
		p.wantBusy(b, "k")
	}
	if ready(l.Lost()) {
		p.Error("Lost is closed, want the lease renewed")
	}
	p.release(l)
	p.lease(b, "k", time.Minute)
}

// lostLeaseIsNoticed freezes the holder until another has the lease.
func lostLeaseIsNoticed(p processes) {
	_, b := p.peer()
	l := p.lease(p.a, "k", short)
	p.advance(short)
	p.lease(b, "k", time.Minute)
	p.wantClosed(l.Lost(), "Lost when another has the lease")
}

func leaseIsLostWhenItCannotBeRenewed(p processes) {
	l := p.lease(p.a, "k", short)
	p.h.Cut(p.T, p.store)
	p.wantClosed(l.Lost(), "Lost without the store")
}

func releasedLeaseIsFree(p processes) {
	_, b := p.peer()
	l := p.lease(p.a, "k", time.Minute)
	p.release(l)
	p.release(l)
	p.lease(b, "k", time.Minute)
	p.release(l)
	p.wantBusy(p.a, "k")
	if ready(l.Lost()) {
		p.Error("Lost is closed after Release, want it open: nothing was lost")
	}
}

func releaseByAnotherDoesNothing(p processes) {
	_, b := p.peer()
	l := p.lease(p.a, "k", time.Minute)
	p.advance(time.Minute)
	p.lease(b, "k", time.Minute)
	p.release(l) // a does not know yet
	p.wantBusy(p.a, "k")
}

func peersShareAClock(p processes) {
	_, b := p.peer()
	before, err := p.a.Now(p.Context())
	between, errB := b.Now(p.Context())
	after, errA := p.a.Now(p.Context())
	if err := errors.Join(err, errA, errB); err != nil {
		p.Fatalf("Now: got %v, want no error", err)
	}
	const slack = 2 * time.Second
	if after.Before(before) || between.Before(before.Add(-slack)) || between.After(after.Add(slack)) {
		p.Errorf("Now: got %v, then %v from a peer, then %v, want one order", before, between, after)
	}
}

func endedContextAsksNothing(p processes) {
	_, b := p.peer()
	l := p.lease(p.a, "k", time.Minute)
	ended, cancel := context.WithCancel(p.Context())
	cancel()

	_, errLease := p.a.Lease(ended, "free", time.Minute)
	_, errWatch := p.a.Watch(ended, "k")
	calls := map[string]error{
		"Lease":   errLease,
		"Watch":   errWatch,
		"Publish": l.Publish(ended, []byte("v"), 1, long),
		"Release": l.Release(ended),
	}
	for name, err := range calls {
		if !errors.Is(err, context.Canceled) {
			p.Errorf("%s with an ended context: got %v, want context.Canceled", name, err)
		}
	}
	p.lease(b, "free", time.Minute)
	p.wantBusy(b, "k")
	p.wantNone("k")
	p.publish(l, "v", 1)
}

func downIsNotBusy(p processes) {
	l := p.lease(p.a, "k", time.Minute)
	p.h.Cut(p.T, p.store)
	_, errGet := p.store.Get(p.Context(), "k")
	_, errLease := p.a.Lease(p.Context(), "k", time.Minute)
	_, errWatch := p.a.Watch(p.Context(), "k")
	_, errNow := p.a.Now(p.Context())
	calls := map[string]error{
		"Get":     errGet,
		"Set":     p.store.Set(p.Context(), "k", []byte("v"), long),
		"Delete":  p.store.Delete(p.Context(), "k"),
		"Lease":   errLease,
		"Watch":   errWatch,
		"Now":     errNow,
		"Publish": l.Publish(p.Context(), []byte("v"), 1, long),
		"Release": l.Release(p.Context()),
	}
	for name, err := range calls {
		if !errors.Is(err, cache.ErrDown) || errors.Is(err, cache.ErrBusy) || errors.Is(err, cache.ErrNotFound) {
			p.Errorf("%s without the store: got %v, want ErrDown and nothing else", name, err)
		}
	}
}
