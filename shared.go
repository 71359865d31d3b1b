package keyhitch

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/redis"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

// The environment variables that say where token_cache redis is, and how tokens are sealed there.
const (
	envRedis    = "KEYHITCH_REDIS_URL"
	envSeal     = "KEYHITCH_SEAL_KEY"
	envSealFile = "KEYHITCH_SEAL_KEY_FILE"
	envPlain    = "KEYHITCH_INSECURE_PLAIN_TOKENS"
)

// Redis says where `token_cache: redis` keeps tokens, and how they are sealed there. What is absent
// is as the environment says, which also beats what is here: KEYHITCH_REDIS_URL, KEYHITCH_SEAL_KEY
// or KEYHITCH_SEAL_KEY_FILE.
type Redis struct {
	URL     auth.Secret
	SealKey auth.Secret
	Prefix  string // begins every name in Redis; empty: keyhitch
}

// SharedCache opens that Redis, for adapter.Options. It makes no calls.
func SharedCache(r Redis) func() (adapter.SharedCache, error) {
	return sharedCache(&adapter.Options{LookupEnv: os.LookupEnv, ReadFile: readFile}, r)
}

func sharedCache(o *adapter.Options, r Redis) func() (adapter.SharedCache, error) {
	return func() (adapter.SharedCache, error) {
		where, url := envRedis, redis.URL{}
		if text, _ := o.LookupEnv(envRedis); text != "" {
			url = redis.NewURL(text)
		} else if !r.URL.IsZero() {
			where, url = "cache.redis.url", redis.NewURL(r.URL.Reveal())
		} else {
			return adapter.SharedCache{}, fmt.Errorf("redis needs %s, such as redis://127.0.0.1:6379, or cache.redis.url in the project file", envRedis)
		}
		store, err := (&redis.Config{URL: url, Prefix: r.Prefix}).Open()
		if err != nil {
			return adapter.SharedCache{}, fmt.Errorf("%s: %w", where, withoutPointer(err))
		}
		shared, err := sealedCache(o, store, r.SealKey)
		shared.Process = processName()
		return shared, err
	}
}

// processName tells an operator which process asked for a token that others use.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// withoutPointer drops the place in a Config, which the reader of a variable does not have.
func withoutPointer(err error) error {
	return errors.New(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "/url: "), "/prefix: "))
}

func sealedCache(o *adapter.Options, store cache.Store, otherwise auth.Secret) (adapter.SharedCache, error) {
	text, where, err := sealKeys(o, otherwise)
	if err != nil {
		return adapter.SharedCache{}, err
	}
	if text == "" {
		return plainCache(o, store)
	}
	keys, err := sealed.ParseKeys(text)
	if err != nil {
		return adapter.SharedCache{}, fmt.Errorf("%s: %w", where, err)
	}
	names, err := keys.Derive("cache names")
	if err != nil {
		return adapter.SharedCache{}, err
	}
	keyer, err := auth.NewKeyer(names[0], names[1:]...)
	return adapter.SharedCache{Store: sealed.New(store, keys), Keys: keyer}, err
}

// sealKeys returns the seal keys, and where they stand.
func sealKeys(o *adapter.Options, otherwise auth.Secret) (keys, where string, err error) {
	if text, _ := o.LookupEnv(envSeal); text != "" {
		return text, envSeal, nil
	}
	file, _ := o.LookupEnv(envSealFile)
	if file == "" {
		return otherwise.Reveal(), "cache.redis.seal_key", nil
	}
	data, err := o.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("%s: %s: %w", envSealFile, file, bare(err))
	}
	if strings.TrimSpace(string(data)) == "" {
		return "", "", fmt.Errorf("%s: %s is empty; `keyhitch secret key` makes a key", envSealFile, file)
	}
	return strings.TrimSpace(string(data)), envSealFile, nil
}

// plainCache is the named way to do without sealing. Names are then hashed with a key that
// everybody knows, because all processes must find them.
func plainCache(o *adapter.Options, store cache.Store) (adapter.SharedCache, error) {
	if plain, _ := o.LookupEnv(envPlain); plain != "true" {
		return adapter.SharedCache{}, fmt.Errorf("tokens in Redis are sealed: set %s to what `keyhitch secret key` prints, or %s to a file with it (%s=true does without)",
			envSeal, envSealFile, envPlain)
	}
	keyer, err := auth.NewKeyer([]byte("no seal key: names tell nothing that the plain values do not"))
	return adapter.SharedCache{Store: store, Keys: keyer}, err
}
