package cachetest

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// RunShared checks every promise of cache.Shared and cache.Lease, each against a store of its
// own and peers of it. Harness.Peer, Sleep and Cut must be there.
func RunShared(t *testing.T, h Harness) {
	for _, p := range sharedPromises {
		t.Run(p.name, func(t *testing.T) {
			f := h.fixture(t)
			p.check(processes{f, h, f.shared(f.store)})
		})
	}
}

var sharedPromises = []struct {
	name  string
	check func(processes)
}{
	{"OneOfManyGetsTheLease", oneOfManyGetsTheLease},
	{"LeasesOfOtherKeysAreFree", leasesOfOtherKeysAreFree},
	{"BusySaysHowLong", busySaysHowLong},
	{"LeaseOfADeadHolderEnds", leaseOfADeadHolderEnds},
	{"HeldLeaseIsRenewed", heldLeaseIsRenewed},
	{"LostLeaseIsNoticed", lostLeaseIsNoticed},
	{"LeaseIsLostWhenItCannotBeRenewed", leaseIsLostWhenItCannotBeRenewed},
	{"ReleasedLeaseIsFree", releasedLeaseIsFree},
	{"ReleaseByAnotherDoesNothing", releaseByAnotherDoesNothing},
	{"PublishedValueIsEverybodys", publishedValueIsEverybodys},
	{"PublishedValueExpires", publishedValueExpires},
	{"PublishNeedsTTLAndGeneration", publishNeedsTTLAndGeneration},
	{"GenerationIsTold", generationIsTold},
	{"GenerationOutlivesTheValue", generationOutlivesTheValue},
	{"OlderGenerationIsRefused", olderGenerationIsRefused},
	{"LatePublisherLands", latePublisherLands},
	{"LatePublisherDoesNotEndAnothersLease", latePublisherDoesNotEndAnothersLease},
	{"RefusedPublisherLetsGo", refusedPublisherLetsGo},
	{"SetIsAGeneration", setIsAGeneration},
	{"PurgeIsNotUndone", purgeIsNotUndone},
	{"PurgeOfNothingIsNotUndone", purgeOfNothingIsNotUndone},
	{"PurgedKeyHasANextValue", purgedKeyHasANextValue},
	{"PublishWakesWatchers", publishWakesWatchers},
	{"ReleaseAndDeleteWakeWatchers", releaseAndDeleteWakeWatchers},
	{"WatchEndsWithItsContext", watchEndsWithItsContext},
	{"WatchEndsWithTheStore", watchEndsWithTheStore},
	{"PeersShareAClock", peersShareAClock},
	{"EndedContextAsksNothing", endedContextAsksNothing},
	{"DownIsNotBusy", downIsNotBusy},
}

// processes is one promise's test: several processes' views of one place.
type processes struct {
	fixture
	h Harness
	a cache.Shared // of the fixture's store
}

// enough is how long a test waits for what should come soon: it ends a test that has failed.
const enough = 20 * time.Second

func (f fixture) shared(s cache.Store) cache.Shared {
	f.Helper()
	shared, ok := s.(cache.Shared)
	if !ok {
		f.Fatalf("%T is not a cache.Shared", s)
	}
	return shared
}

func (p processes) peer() (cache.Store, cache.Shared) {
	p.Helper()
	s := p.h.Peer(p.T, p.store)
	return s, p.shared(s)
}

// die ends the process whose view s is, without a word to anybody.
func (p processes) die(s cache.Store) {
	p.Helper()
	c, ok := s.(io.Closer)
	if !ok {
		p.Fatalf("%T is not an io.Closer", s)
	}
	if err := c.Close(); err != nil {
		p.Errorf("Close: got %v, want no error", err)
	}
}

func (p processes) lease(s cache.Shared, key string, ttl time.Duration) cache.Lease {
	p.Helper()
	l, err := s.Lease(p.Context(), key, ttl)
	if err != nil {
		p.Fatalf("Lease(%s): got %v, want the lease", brief(key), err)
	}
	return l
}

func (p processes) wantBusy(s cache.Shared, key string) {
	p.Helper()
	l, err := s.Lease(p.Context(), key, time.Minute)
	if !errors.Is(err, cache.ErrBusy) || errors.Is(err, cache.ErrDown) || l != nil {
		p.Errorf("Lease(%s) of a leased key: got %v, %v, want ErrBusy", brief(key), l, err)
	}
}

func (p processes) publish(l cache.Lease, value string, generation uint64) {
	p.Helper()
	p.wantPublish(l, value, generation, nil)
}

func (p processes) wantPublish(l cache.Lease, value string, generation uint64, want error) {
	p.Helper()
	if err := l.Publish(p.Context(), []byte(value), generation, long); !errors.Is(err, want) {
		p.Errorf("Publish(%q, generation %d): got %v, want %v", value, generation, err, want)
	}
}

func (p processes) release(l cache.Lease) {
	p.Helper()
	if err := l.Release(p.Context()); err != nil {
		p.Errorf("Release: got %v, want no error", err)
	}
}

func (p processes) watch(s cache.Shared, key string) <-chan struct{} {
	p.Helper()
	signals, err := s.Watch(p.Context(), key)
	if err != nil {
		p.Fatalf("Watch(%s): got %v, want no error", brief(key), err)
	}
	return signals
}

// wantSignal waits for a signal; wantClosed for the end of a channel.
func (p processes) wantSignal(signals <-chan struct{}, why string) {
	p.Helper()
	select {
	case _, open := <-signals:
		if !open {
			p.Errorf("%s: the watch has ended, want a signal", why)
		}
	case <-time.After(enough):
		p.Errorf("%s: no signal within %v", why, enough)
	}
}

func (p processes) wantClosed(c <-chan struct{}, why string) {
	p.Helper()
	timeout := time.After(enough)
	for {
		select {
		case _, open := <-c:
			if !open {
				return
			}
		case <-timeout:
			p.Errorf("%s: the channel is open after %v, want it closed", why, enough)
			return
		}
	}
}

// ready reports whether c is closed, or has a signal.
func ready(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
