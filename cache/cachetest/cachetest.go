// Package cachetest is the contract of cache.Store as a test suite. A backend that passes
// Run keeps every promise that callers build on, and one that several processes see passes
// RunShared too; a bug found in one backend becomes a case here, for all of them.
package cachetest

import (
	"cmp"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// Harness is what a backend lends to the suite.
type Harness struct {
	// New returns an empty store, ready to use. What it needs to close is t's to clean up.
	New func(t *testing.T) cache.Store

	// Advance moves the time that all stores of this harness see. In a Shared store it moves
	// the time of the place where the values are, and not ours: to it, we stood still.
	Advance func(d time.Duration)

	// Tick is the finest step that Advance and the stores can tell apart; 0 is a millisecond.
	Tick time.Duration

	// Peer returns another process's view of the values that are in store; for RunShared.
	Peer func(t *testing.T, store cache.Store) cache.Store

	// Sleep lets time pass, for us and for the place where the values are; for RunShared.
	Sleep func(d time.Duration)

	// Cut makes the values of store out of reach, for its peers too; for RunShared.
	Cut func(t *testing.T, store cache.Store)
}

func (h Harness) fixture(t *testing.T) fixture {
	return fixture{t, h.New(t), h.Advance, cmp.Or(h.Tick, time.Millisecond)}
}

// Run checks every promise of cache.Store, each against a store of its own. The cases run
// one after another, because they share the harness's clock.
func Run(t *testing.T, h Harness) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.check(h.fixture(t)) })
	}
}

var promises = []struct {
	name  string
	check func(fixture)
}{
	{"AbsentKeyIsNotFound", absentKeyIsNotFound},
	{"GetReturnsWhatWasSet", getReturnsWhatWasSet},
	{"SetReplaces", setReplaces},
	{"SetReplacesTheExpiryToo", setReplacesTheExpiryToo},
	{"DeleteForgets", deleteForgets},
	{"DeleteOfAbsentKeyIsNoError", deleteOfAbsentKeyIsNoError},
	{"ValueExpiresExactlyAtItsTTL", valueExpiresExactlyAtItsTTL},
	{"ReadingDoesNotProlong", readingDoesNotProlong},
	{"ExpiredKeyCanBeSetAgain", expiredKeyCanBeSetAgain},
	{"TTLMustBePositive", ttlMustBePositive},
	{"EmptyValueIsAValue", emptyValueIsAValue},
	{"AnyBytesAreAValue", anyBytesAreAValue},
	{"LargeValueIsKept", largeValueIsKept},
	{"KeysAreExact", keysAreExact},
	{"StoredValueIsNotTheCallersSlice", storedValueIsNotTheCallersSlice},
	{"ReturnedValueIsNotTheStoresSlice", returnedValueIsNotTheStoresSlice},
	{"EndedContextChangesNothing", endedContextChangesNothing},
	{"ManyKeysLiveTogether", manyKeysLiveTogether},
	{"ConcurrentWritersLoseNothing", concurrentWritersLoseNothing},
	{"ConcurrentReadersSeeWholeValues", concurrentReadersSeeWholeValues},
}
