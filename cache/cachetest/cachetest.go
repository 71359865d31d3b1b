// Package cachetest is the contract of cache.Store as a test suite. A backend that passes
// Run keeps every promise that callers build on; a bug found in one backend becomes a case
// here, for all of them.
package cachetest

import (
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// Harness is what a backend lends to the suite.
type Harness struct {
	// New returns an empty store, ready to use. What it needs to close is t's to clean up.
	New func(t *testing.T) cache.Store

	// Advance moves the time that all stores of this harness see.
	Advance func(d time.Duration)
}

// Run checks every promise of cache.Store, each against a store of its own. The cases run
// one after another, because they share the harness's clock.
func Run(t *testing.T, h Harness) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.check(fixture{t, h.New(t), h.Advance}) })
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
