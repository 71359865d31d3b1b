package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/keyhitch/keyhitch/cache"
)

const (
	defaultPrefix      = "keyhitch"
	defaultTimeout     = 250 * time.Millisecond
	defaultDialTimeout = 500 * time.Millisecond
)

// Config is where Redis is and under which names we keep things there.
type Config struct {
	// URL is redis://, redis+sentinel:// or redis+cluster://, with rediss for TLS; see type
	// URL. It is required.
	URL URL `json:"url"`

	// Prefix begins every name that we use in Redis; programs that share a prefix share
	// tokens. Braces are not allowed in it. Default keyhitch.
	Prefix string `json:"prefix,omitempty"`

	// TLS is what a rediss URL starts from: certificate authorities, a client certificate.
	// Nil is the system's authorities and TLS 1.2 or later.
	TLS *tls.Config `json:"-"`
}

// Validate implements cache.Config.
func (c *Config) Validate() error {
	var errs []error
	switch {
	case c.URL.IsZero():
		errs = append(errs, errors.New("/url: is required (or set KEYHITCH_REDIS_URL)"))
	default:
		if _, err := c.URL.parse(); err != nil {
			errs = append(errs, fmt.Errorf("/url: %w", err))
		}
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		errs = append(errs, errors.New("/prefix: must not contain braces"))
	}
	return errors.Join(errs...)
}

// Open implements cache.Config. Redis is dialled when the store is first used.
func (c *Config) Open() (cache.Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	t, err := c.URL.parse()
	if err != nil {
		return nil, err
	}
	logging.Disable() // of go-redis, for the whole process: what we have to say is in our errors
	prefix := c.Prefix
	if prefix == "" {
		prefix = defaultPrefix
	}
	return newStore(goredis.NewUniversalClient(c.options(t)), prefix, t), nil
}

// options keeps every wait short and every retry single: whoever asks us has a second way to
// get what he wants, and the breaker decides when Redis is worth another try.
func (c *Config) options(t target) *goredis.UniversalOptions {
	o := &goredis.UniversalOptions{
		Addrs:            t.addrs,
		DB:               t.db,
		Username:         t.user,
		Password:         t.password,
		SentinelUsername: t.sentinelUser,
		SentinelPassword: t.sentinelPassword,
		MasterName:       t.master,
		IsClusterMode:    t.cluster,

		DialTimeout:           t.dialTimeout,
		DialerRetries:         1,
		ReadTimeout:           t.timeout,
		WriteTimeout:          t.timeout,
		PoolTimeout:           t.timeout,
		ContextTimeoutEnabled: true,
		MaxRetries:            1,
		MinRetryBackoff:       time.Millisecond,
		MaxRetryBackoff:       8 * time.Millisecond,

		DisableIdentity:          true, // two commands less for each connection
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if t.tls {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if c.TLS != nil {
			o.TLSConfig = c.TLS.Clone()
		}
	}
	return o
}
