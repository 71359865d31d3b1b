package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// The record of a token is what the cache holds: the token with times that all processes
// understand. What cannot be read is no record, and costs a warning at most.

const (
	storedLongest  = 10 * 365 * 24 * time.Hour // a token that ends in the year 9999 overflows a Duration
	storedBeyond   = 30 * time.Second          // how long a record outlives its token, for clocks that differ
	cacheWarnEvery = time.Minute
)

// read returns the record of a key, with its times by our own clock.
func (c *CachedSource) read(ctx context.Context, key string) (Token, error) {
	data, err := c.env.Cache.Get(ctx, key)
	if err != nil {
		return Token{}, err
	}
	token, err := decodeToken(data)
	if err != nil || token.Expiry.IsZero() {
		return token, err
	}
	shift, err := c.shift(ctx)
	token.Expiry, token.Obtained = token.Expiry.Add(-shift), token.Obtained.Add(-shift)
	return token, err
}

// encode writes the record, with times by the clock that all processes share.
func (c *CachedSource) encode(ctx context.Context, token Token) ([]byte, error) {
	if !token.Expiry.IsZero() {
		shift, err := c.shift(ctx)
		if err != nil {
			return nil, err
		}
		token.Obtained, token.Expiry = token.Obtained.Add(shift), token.Expiry.Add(shift)
	}
	return encodeToken(token)
}

// shift is how far the shared clock is ahead of ours.
func (c *CachedSource) shift(ctx context.Context) (time.Duration, error) {
	shared, ok := c.env.Cache.(cache.Shared)
	if !ok {
		return 0, nil
	}
	now, err := shared.Now(ctx)
	if err != nil {
		return 0, fmt.Errorf("the clock of the shared cache: %w", err)
	}
	return now.Sub(c.env.Now()), nil
}

// remember puts a token into a cache of our own.
func (c *CachedSource) remember(fly *flight) {
	if !c.storable(fly) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	data, err := c.encode(ctx, fly.snap.token)
	if err == nil {
		err = c.env.Cache.Set(ctx, c.cred.Key, data, c.ttl(fly))
	}
	c.cacheFailed(err)
}

// storable reports whether the flight's token is worth keeping: it lives, and was neither
// refused nor dropped meanwhile.
func (c *CachedSource) storable(fly *flight) bool {
	return c.env.Cache != nil && c.ttl(fly) > 0 && c.current.Load() == fly.snap
}

func (c *CachedSource) ttl(fly *flight) time.Duration {
	if fly.snap.expiry.IsZero() {
		return c.env.Tokens.maxIdle()
	}
	return min(fly.snap.expiry.Sub(fly.landed), storedLongest)
}

// cacheFailed logs a failing cache once a minute in the whole process, and an odd record once a
// minute for its credential; the call goes on without it.
func (c *CachedSource) cacheFailed(err error) {
	var odd *cache.RecordError
	isOdd := errors.As(err, &odd) || errors.Is(err, errBadRecord)
	if err == nil || errors.Is(err, cache.ErrNotFound) && !isOdd {
		return
	}
	c.env.measuring(Measure{What: CacheFault, Owner: c.cred.Owner})
	if c.env.Log == nil || !c.mayWarn(isOdd) {
		return
	}
	c.env.Log.WithField("adapter", c.cred.Owner).WithError(err).Warn("token cache: going on without it")
}

func (c *CachedSource) mayWarn(odd bool) bool {
	now := c.env.Now()
	if !odd && c.env.Tokens != nil {
		return c.env.Tokens.mayWarn(now)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	warned := &c.troubles().warned
	if !warned.IsZero() && now.Sub(*warned) < cacheWarnEvery {
		return false
	}
	*warned = now
	return true
}
