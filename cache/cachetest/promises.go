package cachetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const long = time.Hour

func absentKeyIsNotFound(f fixture) {
	f.wantNone("k")
	f.wantNone("")
}

func getReturnsWhatWasSet(f fixture) {
	f.set("k", []byte("v"), long)
	f.want("k", []byte("v"))
	f.want("k", []byte("v"))
}

func setReplaces(f fixture) {
	f.set("k", []byte("a long first value"), long)
	f.set("k", []byte("second"), long)
	f.want("k", []byte("second"))
}

func setReplacesTheExpiryToo(f fixture) {
	f.set("longer", []byte("v"), time.Second)
	f.set("longer", []byte("v"), time.Minute)
	f.set("shorter", []byte("v"), time.Minute)
	f.set("shorter", []byte("v"), time.Second)
	f.advance(time.Second)
	f.want("longer", []byte("v"))
	f.wantNone("shorter")
}

func deleteForgets(f fixture) {
	f.set("k", []byte("v"), long)
	f.set("other", []byte("v"), long)
	f.delete("k")
	f.wantNone("k")
	f.want("other", []byte("v"))
}

func deleteOfAbsentKeyIsNoError(f fixture) {
	f.delete("k")
	f.set("k", []byte("v"), long)
	f.delete("k")
	f.delete("k")
}

func valueExpiresExactlyAtItsTTL(f fixture) {
	f.set("k", []byte("v"), time.Minute)
	f.advance(time.Minute - f.tick)
	f.want("k", []byte("v"))
	f.advance(f.tick)
	f.wantNone("k")
}

func readingDoesNotProlong(f fixture) {
	f.set("k", []byte("v"), time.Minute)
	f.advance(time.Minute / 2)
	f.want("k", []byte("v"))
	f.advance(time.Minute / 2)
	f.wantNone("k")
}

func expiredKeyCanBeSetAgain(f fixture) {
	f.set("k", []byte("old"), time.Second)
	f.advance(time.Minute)
	f.set("k", []byte("new"), time.Second)
	f.want("k", []byte("new"))
}

func ttlMustBePositive(f fixture) {
	f.set("k", []byte("old"), long)
	for _, ttl := range []time.Duration{0, -1, -time.Hour} {
		if err := f.store.Set(f.Context(), "k", []byte("new"), ttl); err == nil {
			f.Errorf("Set with a ttl of %v: got no error, want one", ttl)
		}
	}
	f.want("k", []byte("old"))
}

func emptyValueIsAValue(f fixture) {
	f.set("empty", []byte{}, long)
	f.set("nil", nil, long)
	f.want("empty", nil)
	f.want("nil", nil)
}

func anyBytesAreAValue(f fixture) {
	value := make([]byte, 256)
	for i := range value {
		value[i] = byte(i)
	}
	f.set("k", value, long)
	f.want("k", value)
}

func largeValueIsKept(f fixture) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16)
	f.set("k", value, long)
	f.want("k", value)
}

// keysAreExact writes keys that a careless backend would fold, cut, join or read as a
// pattern, each with a value of its own, and then reads them all.
func keysAreExact(f fixture) {
	deep := strings.Repeat("k", 8<<10)
	keys := []string{
		"", "k", "K", " k", "k ", "k\n", "k\x00", "k\x00k", "\x00", "k*", "*", "k:k", "k/k", "k/../k", "{k}k",
		"é", "e\u0301", "É", "ß", "ss", "日本", "\xff", "\xfe", deep, deep + "1", deep + "2",
	}
	for i, key := range keys {
		f.set(key, fmt.Append(nil, "value ", i), long)
	}
	for i, key := range keys {
		f.want(key, fmt.Append(nil, "value ", i))
	}
}

func storedValueIsNotTheCallersSlice(f fixture) {
	value := []byte("value")
	f.set("k", value, long)
	copy(value, "spoil")
	f.want("k", []byte("value"))
}

func returnedValueIsNotTheStoresSlice(f fixture) {
	f.set("k", []byte("value"), long)
	got, err := f.store.Get(f.Context(), "k")
	if err != nil {
		f.Fatalf("Get: %v", err)
	}
	copy(got, "spoil")
	_ = append(got, "more"...)
	f.want("k", []byte("value"))
}

func endedContextChangesNothing(f fixture) {
	f.set("k", []byte("old"), long)
	ended, cancel := context.WithCancel(f.Context())
	cancel()

	_, err := f.store.Get(ended, "k")
	calls := map[string]error{
		"Get":    err,
		"Set":    f.store.Set(ended, "k", []byte("new"), long),
		"Delete": f.store.Delete(ended, "k"),
	}
	for name, err := range calls {
		if !errors.Is(err, context.Canceled) {
			f.Errorf("%s with an ended context: got %v, want context.Canceled", name, err)
		}
	}
	f.want("k", []byte("old"))
}

func manyKeysLiveTogether(f fixture) {
	const n = 2000
	for i := range n {
		f.set(fmt.Sprint("key ", i), fmt.Append(nil, "value ", i), long)
	}
	for i := range n {
		f.want(fmt.Sprint("key ", i), fmt.Append(nil, "value ", i))
	}
}

// concurrentWritersLoseNothing gives each of many goroutines keys of its own: what one
// writes and deletes, no other may undo.
func concurrentWritersLoseNothing(f fixture) {
	const writers, rounds = 32, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for r := range rounds {
				kept, gone := fmt.Sprint("kept ", w), fmt.Sprint("gone ", w)
				f.set(kept, fmt.Append(nil, r), long)
				f.set(gone, fmt.Append(nil, r), long)
				f.want(kept, fmt.Append(nil, r))
				f.delete(gone)
				f.wantNone(gone)
			}
		})
	}
	wg.Wait()
	for w := range writers {
		f.want(fmt.Sprint("kept ", w), fmt.Append(nil, rounds-1))
	}
}

// concurrentReadersSeeWholeValues has many goroutines write one key, each with a value of
// one repeated byte: a reader may see anyone's value, but never a mixture.
func concurrentReadersSeeWholeValues(f fixture) {
	const workers, rounds, size = 16, 50, 4 << 10
	f.set("k", bytes.Repeat([]byte{'a'}, size), long)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			mine := bytes.Repeat([]byte{byte('a' + w)}, size)
			for range rounds {
				f.set("k", mine, long)
				got, err := f.store.Get(f.Context(), "k")
				if err != nil || !whole(got, size) {
					f.Errorf("Get: got %s, %v, want %d equal bytes", brief(got), err, size)
				}
			}
		})
	}
	wg.Wait()
}

func whole(value []byte, size int) bool {
	return len(value) == size && bytes.Count(value, value[:1]) == size
}

// brief quotes a key or value, or its beginning.
func brief[T string | []byte](v T) string {
	const most = 40
	if len(v) > most {
		return fmt.Sprintf("%q… (%d bytes)", string(v[:most]), len(v))
	}
	return fmt.Sprintf("%q", string(v))
}
