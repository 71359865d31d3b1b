package sealed_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/cachetest"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

// shelf is a cache.Store as simple as it gets, whose records the tests can reach.
type shelf struct {
	mu      sync.Mutex
	now     time.Duration
	records map[string][]byte
	expiry  map[string]time.Duration
}

func newShelf() *shelf {
	return &shelf{records: map[string][]byte{}, expiry: map[string]time.Duration{}}
}

func (s *shelf) Get(ctx context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, ok := s.records[key]
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !ok || s.expiry[key] <= s.now:
		return nil, cache.ErrNotFound
	}
	return bytes.Clone(record), nil
}

func (s *shelf) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ttl <= 0 {
		return errors.New("no time to live")
	}
	if ctx.Err() == nil {
		s.records[key], s.expiry[key] = bytes.Clone(value), s.now+ttl
	}
	return ctx.Err()
}

func (s *shelf) Delete(ctx context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		delete(s.records, key)
	}
	return ctx.Err()
}

func keys(t testing.TB, text ...string) sealed.Keys {
	t.Helper()
	k, err := sealed.ParseKeys(strings.Join(text, ","))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func set(t testing.TB, s cache.Store, key, value string) {
	t.Helper()
	if err := s.Set(t.Context(), key, []byte(value), time.Hour); err != nil {
		t.Fatalf("Set: %v", err)
	}
}

func want(t testing.TB, s cache.Store, key, value string) {
	t.Helper()
	if got, err := s.Get(t.Context(), key); err != nil || string(got) != value {
		t.Errorf("Get(%s): got %q, %v, want %q", key, got, err, value)
	}
}

func wantIgnored(t testing.TB, s cache.Store, key, reason string) {
	t.Helper()
	got, err := s.Get(t.Context(), key)
	record, ok := errors.AsType[*cache.RecordError](err)
	if got != nil || !ok || !errors.Is(err, cache.ErrNotFound) || !strings.Contains(record.Reason, reason) {
		t.Errorf("Get(%s): got %q, %v, want a *RecordError: %s", key, got, err, reason)
	}
}

func TestConformance(t *testing.T) {
	var inner *shelf
	cachetest.Run(t, cachetest.Harness{
		New: func(t *testing.T) cache.Store {
			inner = newShelf()
			return sealed.New(inner, keys(t, sealed.NewKey()))
		},
		Advance: func(d time.Duration) { inner.now += d },
	})
}

func TestNothingOfTheValueIsStored(t *testing.T) {
	inner := newShelf()
	s := sealed.New(inner, keys(t, sealed.NewKey()))
	const canary = "canary-7F3kQ0zPq2Lw9XbA"
	set(t, s, "k", strings.Repeat(canary, 20))
	if bytes.Contains(inner.records["k"], []byte(canary[:8])) {
		t.Error("the record holds the value in the clear")
	}
	first := inner.records["k"]
	set(t, s, "k", strings.Repeat(canary, 20))
	if bytes.Equal(first[5:], inner.records["k"][5:]) {
		t.Error("the same value gave the same record twice, want another nonce")
	}
}

func TestEveryAlteredByteIsNoticed(t *testing.T) {
	inner := newShelf()
	s := sealed.New(inner, keys(t, sealed.NewKey()))
	set(t, s, "k", "value")
	whole := inner.records["k"]
	for i := range whole {
		for bit := range 8 {
			inner.records["k"] = bytes.Clone(whole)
			inner.records["k"][i] ^= 1 << bit
			wantIgnored(t, s, "k", "")
		}
		inner.records["k"] = whole[:i]
		wantIgnored(t, s, "k", "")
	}
	inner.records["k"] = append(bytes.Clone(whole), 0)
	wantIgnored(t, s, "k", "altered")
	inner.records["k"] = whole
	want(t, s, "k", "value")
}

func TestReasons(t *testing.T) {
	inner := newShelf()
	key := sealed.NewKey()
	s := sealed.New(inner, keys(t, key))
	set(t, s, "k", "value")
	set(t, s, "other", "other value")
	set(t, inner, "empty", "")
	set(t, inner, "plain", `{"token":"in the clear, as an older program wrote it"}`)
	set(t, inner, "large", strings.Repeat("x", 2<<20))
	set(t, inner, "moved", string(inner.records["k"]))
	set(t, sealed.New(inner, keys(t, sealed.NewKey())), "foreign", "value")
	for name, reason := range map[string]string{
		"empty": "too short", "plain": "unknown version", "large": "too large",
		"moved": "another key's", "foreign": "a key that is not here",
	} {
		wantIgnored(t, s, name, reason)
	}
	want(t, s, "k", "value")
	if _, err := s.Get(t.Context(), "absent"); err != cache.ErrNotFound {
		t.Errorf("absent key: got %v, want the plain ErrNotFound: nothing to log", err)
	}
}

func TestKeysRotate(t *testing.T) {
	inner := newShelf()
	k := []string{sealed.NewKey(), sealed.NewKey(), sealed.NewKey(), sealed.NewKey()}
	set(t, sealed.New(inner, keys(t, k[0])), "k", "value")
	for i := 1; i < 4; i++ { // newer keys in front
		s := sealed.New(inner, keys(t, k[i], k[i-1]))
		want(t, s, "k", "value")
		set(t, s, "k", "value")
		want(t, sealed.New(inner, keys(t, k[i])), "k", "value")
		wantIgnored(t, sealed.New(inner, keys(t, k[i-1])), "k", "a key that is not here")
	}
	want(t, sealed.New(inner, keys(t, k[0], k[1], k[2], k[3])), "k", "value")
}

func TestValueBeyondTheLimitIsAnError(t *testing.T) {
	inner := newShelf()
	s := sealed.New(inner, keys(t, sealed.NewKey()))
	set(t, s, "k", strings.Repeat("x", sealed.MaxValue))
	if err := s.Set(t.Context(), "k", make([]byte, sealed.MaxValue+1), time.Hour); err == nil {
		t.Error("got no error, want one")
	}
	want(t, s, "k", strings.Repeat("x", sealed.MaxValue))
}

func TestSealedIsSharedOnlyIfTheStoreIs(t *testing.T) {
	if _, ok := sealed.New(newShelf(), keys(t, sealed.NewKey())).(cache.Shared); ok {
		t.Error("a sealed shelf is a cache.Shared, want it as little as the shelf")
	}
}

func TestParseKeys(t *testing.T) {
	good := sealed.NewKey()
	raw, _ := base64.StdEncoding.DecodeString(good)
	for _, text := range []string{good, " " + good + "\n", strings.TrimRight(good, "="), base64.URLEncoding.EncodeToString(raw)} {
		inner := newShelf()
		set(t, sealed.New(inner, keys(t, good)), "k", "v")
		want(t, sealed.New(inner, keys(t, text)), "k", "v")
	}
	for text, wantError := range map[string]string{
		"":                      "seal key 1: is empty; `keyhitch secret key` makes one",
		good + ",":              "seal key 2: is empty; `keyhitch secret key` makes one",
		"sesame!open":           "seal key 1: is not base64",
		good + ",c2hvcnQ":       "seal key 2: is 5 bytes, want 32; `keyhitch secret key` makes one",
		"c2hvcnQ=,not base64":   "seal key 1: is 5 bytes, want 32; `keyhitch secret key` makes one\nseal key 2: is not base64",
		good[:20] + "\n" + good: "seal key 1: is 47 bytes, want 32; `keyhitch secret key` makes one",
	} {
		k, err := sealed.ParseKeys(text)
		if err == nil || err.Error() != wantError || !k.IsZero() {
			t.Errorf("%d characters: got %v, %v, want %s", len(text), k, err, wantError)
		}
	}
}

func TestKeysDoNotShow(t *testing.T) {
	text := sealed.NewKey()
	raw, _ := base64.StdEncoding.DecodeString(text)
	k := keys(t, text)
	inJSON, _ := json.Marshal(map[string]any{"keys": k})
	shown := string(inJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb+verb+verb, k, struct{ k sealed.Keys }{k}, sealed.New(newShelf(), k))
	}
	for _, secret := range []string{text, string(raw), fmt.Sprintf("%x", raw), fmt.Sprint(raw)[1:20], fmt.Sprintf("%#v", raw)[8:30]} {
		if strings.Contains(shown, secret) {
			t.Errorf("a key shows in %s", shown)
		}
	}
}

func TestDeriveTellsKeysAndPurposesApart(t *testing.T) {
	k := keys(t, sealed.NewKey(), sealed.NewKey())
	a, errA := k.Derive("names")
	b, errB := k.Derive("other")
	again, errAgain := k.Derive("names")
	if err := errors.Join(errA, errB, errAgain); err != nil || len(a) != 2 {
		t.Fatalf("got %d secrets, %v, want one per key", len(a), err)
	}
	if bytes.Equal(a[0], a[1]) || bytes.Equal(a[0], b[0]) || !bytes.Equal(a[0], again[0]) || len(a[0]) != 32 {
		t.Error("want 32 bytes, equal for the same key and purpose and only for these")
	}
}

func Example() {
	keys, err := sealed.ParseKeys(sealed.NewKey())
	if err != nil {
		fmt.Println(err)
		return
	}
	inner := newShelf()
	store := sealed.New(inner, keys)
	ctx := context.Background()
	_ = store.Set(ctx, "k", []byte("value"), time.Minute)

	value, _ := store.Get(ctx, "k")
	fmt.Printf("%s\n", value)

	inner.records["k"][20] ^= 1
	_, err = store.Get(ctx, "k")
	fmt.Println(errors.Is(err, cache.ErrNotFound), err)
	// Output:
	// value
	// true cached record ignored: does not open: it was altered, or is another key's
}

// FuzzOpenRecord lets the fuzzer write to the store: whatever is there, what comes out is what
// was sealed for that key, or nothing.
func FuzzOpenRecord(f *testing.F) {
	fixed := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)) // so that found records stay
	values := map[string]string{"k": "the value of k", "other": "the value of other", "empty": ""}
	inner := newShelf()
	s := sealed.New(inner, keys(f, fixed, sealed.NewKey()))
	for name, value := range values {
		set(f, s, name, value)
		f.Add(name, inner.records[name], uint(0), byte(0))
		f.Add(name, inner.records[name], uint(3), byte(1))
		f.Add(name, inner.records[name][:20], uint(3), byte(1))
		f.Add("k", inner.records[name], uint(40), byte(128))
	}
	f.Add("k", []byte("plain"), uint(0), byte(0))
	f.Add("k", bytes.Repeat([]byte{1}, 2<<20), uint(0), byte(0))
	f.Fuzz(func(t *testing.T, name string, record []byte, at uint, flip byte) {
		if len(record) > 0 {
			record[at%uint(len(record))] ^= flip
		}
		inner.mu.Lock()
		inner.records[name], inner.expiry[name] = record, time.Hour
		inner.mu.Unlock()
		got, err := s.Get(t.Context(), name)
		switch sealedFor, known := values[name]; {
		case err == nil && (!known || string(got) != sealedFor):
			t.Errorf("%q: got %q, want it ignored", name, got)
		case err != nil && (got != nil || !errors.Is(err, cache.ErrNotFound)):
			t.Errorf("%q: got %q, %v, want nothing and ErrNotFound", name, got, err)
		}
	})
}

func BenchmarkGet(b *testing.B) {
	s := sealed.New(newShelf(), keys(b, sealed.NewKey()))
	set(b, s, "k", strings.Repeat("x", 1<<10))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), "k"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	s := sealed.New(newShelf(), keys(b, sealed.NewKey()))
	value := []byte(strings.Repeat("x", 1<<10))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Set(b.Context(), "k", value, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}
