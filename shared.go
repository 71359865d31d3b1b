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

// sharedCache opens the Redis that the environment names. It makes no calls.
func sharedCache(o *adapter.Options) func() (adapter.SharedCache, error) {
	return func() (adapter.SharedCache, error) {
		text, _ := o.LookupEnv(envRedis)
		if text == "" {
			return adapter.SharedCache{}, fmt.Errorf("redis needs %s, such as redis://127.0.0.1:6379", envRedis)
		}
		store, err := (&redis.Config{URL: redis.NewURL(text)}).Open()
		if err != nil {
			return adapter.SharedCache{}, fmt.Errorf("%s: %w", envRedis, withoutPointer(err))
		}
		shared, err := sealedCache(o, store)
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
	return errors.New(strings.TrimPrefix(err.Error(), "/url: "))
}

func sealedCache(o *adapter.Options, store cache.Store) (adapter.SharedCache, error) {
	text, err := sealKeys(o)
	if err != nil {
		return adapter.SharedCache{}, err
	}
	if text == "" {
		return plainCache(o, store)
	}
	keys, err := sealed.ParseKeys(text)
	if err != nil {
		return adapter.SharedCache{}, fmt.Errorf("%s: %w", envSeal, err)
	}
	names, err := keys.Derive("cache names")
	if err != nil {
		return adapter.SharedCache{}, err
	}
	keyer, err := auth.NewKeyer(names[0], names[1:]...)
	return adapter.SharedCache{Store: sealed.New(store, keys), Keys: keyer}, err
}

func sealKeys(o *adapter.Options) (string, error) {
	if text, _ := o.LookupEnv(envSeal); text != "" {
		return text, nil
	}
	file, _ := o.LookupEnv(envSealFile)
	if file == "" {
		return "", nil
	}
	data, err := o.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", envSealFile, file, bare(err))
	}
	if strings.TrimSpace(string(data)) == "" {
		return "", fmt.Errorf("%s: %s is empty; `keyhitch secret key` makes a key", envSealFile, file)
	}
	return strings.TrimSpace(string(data)), nil
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
