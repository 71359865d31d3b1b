package auth_test

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
)

func keyer(t testing.TB, seal string) *auth.Keyer {
	t.Helper()
	k, err := auth.NewKeyer([]byte(seal))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCacheKeyTellsAllPartsApart(t *testing.T) {
	k := keyer(t, "")
	seen := map[string][]string{}
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"c", "ab"}, {"a", "b", "c"}, {"ab\x00c"}, {"ab", "c", ""}} {
		key := k.CacheKey(parts...)
		if other, found := seen[key]; found {
			t.Errorf("%q and %q have one key", parts, other)
		}
		seen[key] = parts
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(key) {
			t.Errorf("got the key %s, want 64 hex digits", key)
		}
		if k.CacheKey(parts...) != key {
			t.Errorf("%q has two keys", parts)
		}
	}
}

func TestKeysAreStableWithASealKeyAndRandomWithout(t *testing.T) {
	cases := []struct {
		name, first, second string
		same                bool
	}{
		{name: "one seal key", first: "k1", second: "k1", same: true},
		{name: "two seal keys", first: "k1", second: "k2"},
		{name: "none", first: "", second: ""},
	}
	for _, c := range cases {
		a, b := keyer(t, c.first), keyer(t, c.second)
		if same := a.CacheKey("x") == b.CacheKey("x"); same != c.same {
			t.Errorf("%s: the same keys: %t, want %t", c.name, same, c.same)
		}
		s := auth.NewSecret("x")
		if same := a.Fingerprint(s) == b.Fingerprint(s); same != c.same {
			t.Errorf("%s: the same fingerprints: %t, want %t", c.name, same, c.same)
		}
	}
}

// A key that was written down once must be found by the next version.
func TestCacheKeyOfASealKeyDoesNotChange(t *testing.T) {
	k, err := auth.NewKeyer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.CacheKey("request_token", "POST"), "6f6d4768"; got[:8] != want {
		t.Errorf("got %s…, want %s…", got[:8], want)
	}
}

func TestFingerprintTellsSecretsApartWithoutShowingThem(t *testing.T) {
	k := keyer(t, "")
	a, b := auth.NewSecret(authtest.Marker()), auth.NewSecret(authtest.Marker())
	if k.Fingerprint(a) == k.Fingerprint(b) || k.Fingerprint(a) != k.Fingerprint(auth.NewSecret(a.Reveal())) {
		t.Error("fingerprints do not tell the secrets apart")
	}
	if got := len(k.Fingerprint(a)); got != 8 {
		t.Errorf("got %d characters, want 8", got)
	}
	if got := k.Fingerprint(auth.Secret{}) + (*auth.Keyer)(nil).Fingerprint(a); got != "" {
		t.Errorf("got %q for no secret and for no keyer, want nothing", got)
	}
}
