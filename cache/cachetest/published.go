package cachetest

import (
	"context"
	"errors"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

func publishedValueIsEverybodys(p processes) {
	s, b := p.peer()
	p.publish(p.lease(p.a, "k", time.Minute), "v", 1)
	p.want("k", []byte("v"))
	if got, err := s.Get(p.Context(), "k"); err != nil || string(got) != "v" {
		p.Errorf("Get by a peer: got %q, %v, want v", got, err)
	}
	p.lease(b, "k", time.Minute) // it was let go
}

func publishedValueExpires(p processes) {
	l := p.lease(p.a, "k", time.Minute)
	if err := l.Publish(p.Context(), []byte("v"), 1, time.Minute); err != nil {
		p.Fatalf("Publish: %v", err)
	}
	p.advance(time.Minute - p.tick)
	p.want("k", []byte("v"))
	p.advance(p.tick)
	p.wantNone("k")
}

func publishNeedsTTLAndGeneration(p processes) {
	l := p.lease(p.a, "k", time.Minute)
	for _, ttl := range []time.Duration{0, -time.Second} {
		if err := l.Publish(p.Context(), []byte("v"), 1, ttl); err == nil {
			p.Errorf("Publish with a ttl of %v: got no error, want one", ttl)
		}
	}
	if err := l.Publish(p.Context(), []byte("v"), 0, long); err == nil || errors.Is(err, cache.ErrBusy) {
		p.Errorf("Publish of generation 0: got %v, want an error that is not ErrBusy", err)
	}
	p.wantBusy(p.a, "k")
	p.publish(l, "v", 1)
}

func (p processes) wantGeneration(s cache.Shared, want uint64) cache.Lease {
	p.Helper()
	l := p.lease(s, "k", time.Minute)
	if got := l.Generation(); got != want {
		p.Errorf("Generation: got %d, want %d", got, want)
	}
	return l
}

func generationIsTold(p processes) {
	_, b := p.peer()
	p.publish(p.wantGeneration(p.a, 0), "v", 7)
	p.publish(p.wantGeneration(b, 7), "w", 1<<52)
	p.wantGeneration(p.a, 1<<52)
}

func generationOutlivesTheValue(p processes) {
	l := p.lease(p.a, "k", time.Minute)
	if err := l.Publish(p.Context(), []byte("v"), 3, time.Minute); err != nil {
		p.Fatalf("Publish: %v", err)
	}
	p.advance(2 * time.Minute)
	p.wantNone("k")
	p.wantGeneration(p.a, 3)
}

// late returns two leases of one key: that of a holder who was frozen until it ended, and
// that of the next, both taken when the store knew generation 3.
func (p processes) late() (first, second cache.Lease) {
	p.Helper()
	_, b := p.peer()
	p.publish(p.lease(b, "k", time.Minute), "three", 3)
	first = p.lease(p.a, "k", time.Minute)
	p.advance(time.Minute)
	return first, p.lease(b, "k", time.Minute)
}

func olderGenerationIsRefused(p processes) {
	first, second := p.late()
	p.publish(second, "five", 5)
	for _, generation := range []uint64{3, 4, 5} {
		p.wantPublish(first, "late", generation, cache.ErrBusy)
	}
	p.want("k", []byte("five"))
}

func latePublisherLands(p processes) {
	first, second := p.late()
	p.publish(first, "four", 4)
	p.want("k", []byte("four"))
	p.wantPublish(second, "four too", 4, cache.ErrBusy)
	p.want("k", []byte("four"))
	p.publish(second, "five", 5)
	p.want("k", []byte("five"))
}

func latePublisherDoesNotEndAnothersLease(p processes) {
	first, _ := p.late()
	p.publish(first, "four", 4)
	p.wantBusy(p.a, "k")
}

func refusedPublisherLetsGo(p processes) {
	first, second := p.late()
	p.publish(first, "four", 4)
	p.wantPublish(second, "four too", 4, cache.ErrBusy)
	p.lease(p.a, "k", time.Minute)
}

func setIsAGeneration(p processes) {
	l := p.lease(p.a, "k", time.Minute)
	p.set("k", []byte("set"), long)
	p.wantPublish(l, "published", l.Generation()+1, cache.ErrBusy)
	p.want("k", []byte("set"))
	p.wantGeneration(p.a, 1)
}

func purgeIsNotUndone(p processes) {
	_, b := p.peer()
	p.publish(p.lease(b, "k", time.Minute), "v", 3)
	l := p.lease(b, "k", time.Minute)
	p.delete("k")
	p.wantPublish(l, "late", 1000, cache.ErrPurged)
	p.wantNone("k")
	p.wantPublish(l, "later", 1001, cache.ErrPurged)
	p.wantNone("k")
}

func purgeOfNothingIsNotUndone(p processes) {
	l := p.lease(p.a, "k", time.Minute)
	p.delete("k")
	p.wantPublish(l, "late", 1, cache.ErrPurged)
	p.wantNone("k")
}

func purgedKeyHasANextValue(p processes) {
	_, b := p.peer()
	p.publish(p.lease(p.a, "k", time.Minute), "v", 3)
	p.delete("k")
	l := p.lease(b, "k", time.Minute)
	p.publish(l, "next", max(3, l.Generation())+1)
	p.want("k", []byte("next"))
	p.delete("k")
	p.set("k", []byte("set"), long)
	p.want("k", []byte("set"))
}

func publishWakesWatchers(p processes) {
	_, b := p.peer()
	first, second, other := p.watch(b, "k"), p.watch(b, "k"), p.watch(b, "other")
	mine := p.watch(p.a, "k")
	p.publish(p.lease(p.a, "k", time.Minute), "v", 1)
	p.wantSignal(first, "published by a peer, first watcher")
	p.wantSignal(second, "published by a peer, second watcher")
	p.wantSignal(mine, "published by the same process")
	if ready(other) {
		p.Error("another key's watcher got a signal")
	}
	p.publish(p.lease(p.a, "k", time.Minute), "w", 2)
	p.wantSignal(first, "published again")
}

func releaseAndDeleteWakeWatchers(p processes) {
	_, b := p.peer()
	signals := p.watch(b, "k")
	p.release(p.lease(p.a, "k", time.Minute))
	p.wantSignal(signals, "released")
	p.delete("k")
	p.wantSignal(signals, "deleted")
	p.set("k", []byte("v"), long)
	p.wantSignal(signals, "set")
}

func watchEndsWithItsContext(p processes) {
	ctx, cancel := context.WithCancel(p.Context())
	ends, err := p.a.Watch(ctx, "k")
	if err != nil {
		p.Fatalf("Watch: %v", err)
	}
	stays := p.watch(p.a, "k")
	cancel()
	p.wantClosed(ends, "a watch whose context has ended")
	p.set("k", []byte("v"), long)
	p.wantSignal(stays, "another watch")
}

func watchEndsWithTheStore(p processes) {
	s, b := p.peer()
	signals := p.watch(b, "k")
	p.die(s)
	p.wantClosed(signals, "a watch of a closed store")
}
