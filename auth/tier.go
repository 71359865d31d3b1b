package auth

import (
	"context"
	"errors"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// The cache is the second tier: a call with a token in memory never asks it. A flight reads it
// first; where several processes share it, one of them holds a lease and asks the token endpoint,
// and the others wait for what it publishes. A cache that is down is no cache.

const (
	storeTimeout  = 2 * time.Second
	leaseShortest = 100 * time.Millisecond
	leaseLongest  = 3 * time.Second // it is renewed while the login takes longer
)

// run brings the flight a token: from the cache, from another process, or from the source.
func (c *CachedSource) run(ctx context.Context, fly *flight) {
	if fly.recall {
		if token, ok := c.recall(ctx, fly); ok && c.landShared(fly, token) {
			return
		}
	}
	c.mu.Lock()
	once := c.once // what is good once is stored nowhere: nobody waits for another's
	c.mu.Unlock()
	if shared, ok := c.env.Cache.(cache.Shared); ok && !once {
		c.together(ctx, fly, shared)
		return
	}
	c.alone(ctx, fly)
}

// alone asks the source. The token is stored after it has landed: nobody waits for the cache. A
// shared one gets nothing that was asked for without its lease: that could undo a purge.
func (c *CachedSource) alone(ctx context.Context, fly *flight) {
	token, err := c.obtain(ctx)
	c.land(fly, token, err)
	if _, shared := c.env.Cache.(cache.Shared); err == nil && !shared {
		c.remember(fly)
	}
}

// together asks the source as the one process that holds the lease, or waits for that process.
func (c *CachedSource) together(ctx context.Context, fly *flight, shared cache.Shared) {
	for {
		lease, err := shared.Lease(ctx, c.cred.Key, c.leaseTTL())
		var busy *cache.BusyError
		switch {
		case err == nil:
			if c.holding(fly, lease) {
				return
			}
		case errors.As(err, &busy):
			c.env.Observing("token", "waiting for another process that asks for one", 0)
			start := c.env.Now()
			token, ok := c.await(ctx, fly, shared, busy.Left)
			c.env.measuring(Measure{What: LeaseWait, Owner: c.cred.Owner, Took: c.env.Now().Sub(start)})
			if ok && c.landShared(fly, token) {
				return
			}
		default:
			c.cacheFailed(err)
			c.alone(ctx, fly)
			return
		}
		if ctx.Err() != nil {
			c.land(fly, Token{}, &TokenError{Reason: "another process did not bring a token in time", Err: context.DeadlineExceeded})
			return
		}
	}
}

// await returns the token that another process publishes; false: none came, and the lease may
// be free. Signals may get lost, so the end of the lease is waited for too.
func (c *CachedSource) await(ctx context.Context, fly *flight, shared cache.Shared, left time.Duration) (Token, bool) {
	end := time.Now().Add(left + time.Millisecond) // what follows takes its time
	watching, stop := context.WithCancel(ctx)
	defer stop()
	_, _ = c.shift(ctx) // the shared clock is asked now, not when the token is there
	signal, err := shared.Watch(watching, c.cred.Key)
	c.cacheFailed(err)
	if token, ok := c.recall(ctx, fly); ok { // published before we listened
		return token, true
	}
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-signal:
	case <-timer.C:
	case <-ctx.Done():
		return Token{}, false
	}
	return c.recall(ctx, fly)
}

// holding asks the source under the lease and publishes what comes, however late. The login has a
// deadline of its own: waiting for another process has cost it nothing. False: the lease was lost
// before anything was sent, and everything starts over.
func (c *CachedSource) holding(fly *flight, lease cache.Lease) bool {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout())
	defer cancel()
	if lease.Generation() != fly.seen { // somebody published since we looked
		if token, ok := c.recall(ctx, fly); ok && c.landShared(fly, token) {
			c.release(lease)
			return true
		}
	}
	select {
	case <-lease.Lost():
		return false
	default:
	}
	go func() { _, _ = c.shift(ctx) }() // the shared clock is asked while the endpoint is
	token, err := c.obtain(ctx)
	c.land(fly, token, err)
	if err == nil && c.storable(fly) {
		c.publish(fly, lease)
	} else {
		c.release(lease)
	}
	return true
}

// lookEvery is how often a process that may not ask for a token looks whether another has one.
const lookEvery = 50 * time.Millisecond

// lookAgain starts a flight that only reads the shared cache; c.mu is held. Nil: there is none,
// or it was read a moment ago.
func (c *CachedSource) lookAgain(now time.Time) *flight {
	if _, shared := c.env.Cache.(cache.Shared); !shared || now.Before(c.trouble.look) {
		return nil
	}
	c.trouble.look = now.Add(lookEvery)
	fly := &flight{done: make(chan struct{}), recall: true, not: c.refused, drops: c.drops}
	c.fly = fly
	end := c.env.Tokens.begin()
	go func() {
		defer end()
		if token, ok := c.recall(context.Background(), fly); ok && c.landShared(fly, token) {
			return
		}
		c.mu.Lock()
		fly.err = c.trouble.pace.err(c.env.Now())
		c.fly = nil
		c.mu.Unlock()
		close(fly.done)
	}()
	return fly
}

// recall returns the token that the cache holds, unless it is stale or will not do.
func (c *CachedSource) recall(ctx context.Context, fly *flight) (Token, bool) {
	if c.env.Cache == nil {
		return Token{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for _, key := range c.keys() {
		token, err := c.read(ctx, key)
		c.cacheFailed(err)
		if err != nil {
			continue
		}
		if key == c.cred.Key {
			fly.seen = token.Generation
		}
		if fly.not != nil && token.same(fly.not.token) {
			c.forgetRefused(ctx, key)
		}
		return token, c.good(token) && !token.Obtained.Before(fly.since) && !token.spent(fly.not) && !c.holds(token)
	}
	return Token{}, false
}

func (c *CachedSource) keys() []string { return append([]string{c.cred.Key}, c.cred.Older...) }

// spent reports whether a token from a cache is the refused one, or older: from a cache that came
// back from before.
func (t Token) spent(refused *snapshot) bool {
	return refused != nil && (t.same(refused.token) || t.Obtained.Before(refused.token.Obtained))
}

// holds reports whether it is the token that got stale here: by a clock that was set back it
// would be fresh again.
func (c *CachedSource) holds(token Token) bool {
	held := c.current.Load()
	return held != nil && token.same(held.token)
}

// good reports whether a token from the cache may be used: fresh, or not yet expired where
// nothing better is at hand and another process may be renewing it.
func (c *CachedSource) good(token Token) bool {
	snap, now := c.snapshotOf(token), c.env.Now()
	_, shared := c.env.Cache.(cache.Shared)
	return snap.fresh(now) || shared && c.current.Load() == nil && snap.usable(now)
}

// forgetRefused deletes a refused token from a cache of our own. In a shared one it stays until
// the next one takes its place: deleting it would undo another process's login under way.
func (c *CachedSource) forgetRefused(ctx context.Context, key string) {
	if _, shared := c.env.Cache.(cache.Shared); !shared {
		c.cacheFailed(c.env.Cache.Delete(ctx, key))
	}
}

// leaseTTL is well within the login's own deadline: who waits for a holder that has died is to
// see the end of the lease. A login that takes longer has it renewed.
func (c *CachedSource) leaseTTL() time.Duration {
	return min(max(c.timeout()/2, leaseShortest), leaseLongest)
}

// landShared lands a token that another process, or an earlier one, has asked for. False: it was
// refused here while it was read.
func (c *CachedSource) landShared(fly *flight, token Token) bool {
	token.fromCache = true
	c.mu.Lock()
	if fly.not = c.refused; token.spent(fly.not) {
		c.mu.Unlock()
		return false
	}
	old := c.current.Load()
	c.settle(fly, token, nil)
	c.mu.Unlock()
	c.announce(fly, old)
	return true
}
