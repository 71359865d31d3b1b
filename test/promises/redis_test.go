package promises

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/redis"
	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

// seal is what the processes of one fleet have in common to share a cache: the key that seals
// their tokens, and the names of these.
type seal struct {
	text  string
	keys  sealed.Keys
	names *auth.Keyer
}

func newSeal(t testing.TB) seal {
	t.Helper()
	return sealOf(t, sealed.NewKey())
}

// sealOf does what the program does with KEYHITCH_SEAL_KEY.
func sealOf(t testing.TB, text string) seal {
	t.Helper()
	keys, err := sealed.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := keys.Derive("cache names")
	if err != nil {
		t.Fatal(err)
	}
	names, err := auth.NewKeyer(secrets[0], secrets[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return seal{text, keys, names}
}

// openRedis opens the product's store as a process would, without the seal.
func openRedis(t testing.TB, url string) cache.Store {
	t.Helper()
	store, err := (&redis.Config{URL: redis.NewURL(url)}).Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.(io.Closer).Close() })
	return store
}

// open opens the store that a process of the fleet has.
func (s seal) open(t testing.TB, url string) cache.Store {
	t.Helper()
	return sealed.New(openRedis(t, url), s.keys)
}

// sharing is a system whose processes share a Redis.
type sharing struct {
	*system
	seal seal
	url  string
}

func newSharing(t testing.TB, url string) *sharing {
	t.Helper()
	return &sharing{newSystem(t), newSeal(t), url}
}

// process starts a process that has nothing in memory, with connections of its own to Redis.
func (s *sharing) process(t testing.TB, o options) *process {
	t.Helper()
	o.Keys, o.Cache = s.seal.names, s.seal.open(t, s.url)
	return s.system.process(t, o)
}

// settle waits until the process asks for nothing, and has stored what it got.
func (p *process) settle(t testing.TB) {
	t.Helper()
	if err := p.tokens.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// until waits until it is so, and fails the test when it never is.
func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not so after 20 s", what)
		}
	}
}

// tokenKey waits until a token is stored in Redis and returns the cache key it is stored under.
func tokenKey(t testing.TB, server *redistest.Server) string {
	t.Helper()
	var name string
	until(t, "a token is in Redis", func() bool {
		for _, key := range server.Do("KEYS", "keyhitch:*").([]any) {
			if name = key.(string); strings.HasSuffix(name, "}:token") {
				return true
			}
		}
		return false
	})
	return strings.TrimSuffix(strings.TrimPrefix(name, "keyhitch:{"), "}:token")
}

// inRedis is what Redis calls a thing of a cache key's.
func inRedis(key, thing string) string { return "keyhitch:{" + key + "}:" + thing }

// TestTokenLivesInRedisAsLongAsItIsGood: a record outlives its token by the grace that clocks
// which differ need; a token that nobody gives an end is forgotten after a day.
func TestTokenLivesInRedisAsLongAsItIsGood(t *testing.T) {
	const grace = 30 * time.Second
	for name, lifetime := range map[string]time.Duration{"with an expiry": time.Hour, "without": 0} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			store := newSeal(t).open(t, "redis://"+server.Addr())
			token := auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret("T")}, Obtained: time.Now()}
			want := 24 * time.Hour
			if lifetime > 0 {
				token.Expiry, want = token.Obtained.Add(lifetime), lifetime
			}
			source := auth.TokenSourceFunc(func(context.Context) (auth.Token, error) { return token, nil })
			tokens := new(auth.Tokens)
			cached := auth.Cached(auth.Credential{Key: "k", Source: source}, auth.Env{Now: time.Now, Cache: store, Tokens: tokens})
			if _, err := cached.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := tokens.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			ttl := time.Duration(server.Do("PTTL", inRedis("k", "token")).(int64)) * time.Millisecond
			if ttl > want+grace || ttl < want+grace-10*time.Second {
				t.Errorf("the record lives for %s, want %s and a grace of %s", ttl, want, grace)
			}
		})
	}
}

// TestTokenWithoutAnEndInSightIsShared: some servers say that a token ends in the year 9999.
func TestTokenWithoutAnEndInSightIsShared(t *testing.T) {
	server := redistest.Start(t)
	s := newSharing(t, "redis://"+server.Addr())
	s.Set(authtest.Script{Lifetime: time.Hour, Extra: map[string]any{"expires_in": 253402300799000}})
	for range 2 {
		p := s.process(t, options{Wait: time.Second})
		p.want(t)
		p.settle(t)
	}
	if n := s.Requests(); n != 1 {
		t.Errorf("%d token requests of two processes, want 1", n)
	}
}
