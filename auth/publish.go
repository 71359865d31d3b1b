package auth

import (
	"context"
	"errors"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// A login's token is published under its lease. Where another process was faster, the newer token
// of the two is kept, here and in the shared cache.

// clockError is how far two processes may be apart about when a token was obtained: each asks the
// shared clock over the network.
const clockError = 100 * time.Millisecond

// publish gives the flight's token to the other processes.
func (c *CachedSource) publish(fly *flight, lease cache.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	generation := lease.Generation() + 1
	if c.write(ctx, fly, lease) && c.adopt(ctx, fly, generation) {
		c.replace(ctx, fly, generation)
	}
}

// write publishes the flight's token; busy: there is one of a process that was faster.
func (c *CachedSource) write(ctx context.Context, fly *flight, lease cache.Lease) (busy bool) {
	token := fly.snap.token
	token.Generation = lease.Generation() + 1
	data, err := c.encode(ctx, token)
	if err == nil {
		err = lease.Publish(ctx, data, token.Generation, c.ttl(fly)+storedBeyond)
	}
	switch {
	case errors.Is(err, cache.ErrBusy):
		return true
	case errors.Is(err, cache.ErrPurged):
		c.current.CompareAndSwap(fly.snap, nil) // dropped meanwhile: good for who waited, and no longer
	case err != nil: // a lease that nobody lets go is renewed for ever, and holds everybody up
		c.cacheFailed(err)
		c.cacheFailed(lease.Release(ctx))
	}
	return false
}

// adopt takes the token of a process that was faster, if it is newer than ours: the next login of
// some systems ends the token of the one before. It reports whether ours is to take the place of
// theirs: it is newer by the clock that both know, and theirs is of the very generation that ours
// was to be. One of a later generation may have been asked for after a purge, and ours was not.
func (c *CachedSource) adopt(ctx context.Context, fly *flight, generation uint64) (replace bool) {
	token, err := c.read(ctx, c.cred.Key)
	if err != nil {
		c.cacheFailed(err)
		return false
	}
	held := fly.snap.token.Obtained
	if !c.good(token) || !token.Obtained.After(held) {
		return token.Generation == generation && !token.Expiry.IsZero() && held.Sub(token.Obtained) > clockError
	}
	token.fromCache = true
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current.Load() == fly.snap {
		c.current.Store(c.made(token))
	}
	return false
}

// replace publishes our token over the older one that came first, which others would find refused
// and log in. It looks again under a lease of its own: a purge has emptied the place by then, or
// is told by Publish. There is one attempt: who holds the lease brings a newer token than ours.
func (c *CachedSource) replace(ctx context.Context, fly *flight, generation uint64) {
	shared, ok := c.env.Cache.(cache.Shared)
	if !ok {
		return
	}
	lease, err := shared.Lease(ctx, c.cred.Key, c.leaseTTL())
	if err != nil {
		if !errors.Is(err, cache.ErrBusy) {
			c.cacheFailed(err)
		}
		return
	}
	if c.adopt(ctx, fly, generation) && c.storable(fly) {
		c.write(ctx, fly, lease)
		return
	}
	c.release(lease)
}

func (c *CachedSource) release(lease cache.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	c.cacheFailed(lease.Release(ctx))
}
