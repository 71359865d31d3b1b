package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// Credential says how one credential is kept.
type Credential struct {
	Key         string   // from Keyer.CacheKey: everything that decides the token
	Older       []string // the same by older seal keys: read, not written
	Owner, User string   // for TokenInfo
	Source      TokenSource
	Margin      func(lifetime time.Duration) time.Duration // renew this long before expiry; nil: DefaultMargin
	Timeout     time.Duration                              // of one token request; 0: 30 s
	Refusals    int                                        // generations refused in a row that stop the logins; 0: 2
}

// DefaultMargin is min(60 s, 10 % of the lifetime).
func DefaultMargin(lifetime time.Duration) time.Duration { return min(time.Minute, lifetime/10) }

// loginTimeout is for a token request that says none.
const loginTimeout = 30 * time.Second

// flight is one token request and all who wait for it.
type flight struct {
	done   chan struct{}
	recall bool      // a token from the cache will do
	not    *snapshot // the token that will not do
	since  time.Time // nor will one that is older; zero: any age
	seen   uint64    // newest generation that it has read from the shared cache
	drops  uint64    // of the credential when it took off
	snap   *snapshot
	landed time.Time
	err    error
}

// CachedSource keeps one credential's token: callers read an immutable snapshot, at most one
// token request is under way, and whoever waits for it waits under his own context. A stale but
// good token is served while one request runs behind it.
type CachedSource struct {
	*live
	cred    Credential
	env     Env
	machine bool // env.Now is time.Now
}

// Cached returns a source of c's token. What is known of c.Key is shared by all sources with the
// same env.Tokens.
func Cached(c Credential, env Env) *CachedSource {
	machine := reflect.ValueOf(env.Now).Pointer() == reflect.ValueOf(time.Now).Pointer()
	known := func() *live { return &live{owner: c.Owner, user: c.User, keys: env.Keys} }
	if env.Tokens == nil {
		return &CachedSource{live: known(), cred: c, env: env, machine: machine}
	}
	return &CachedSource{live: env.Tokens.known(c.Key, env.Now(), known), cred: c, env: env, machine: machine}
}

// Token returns a token good to use now.
func (c *CachedSource) Token(ctx context.Context) (Token, error) {
	snap, err := c.get(ctx)
	if err != nil {
		return Token{}, err
	}
	return snap.token, nil
}

func (c *CachedSource) get(ctx context.Context) (*snapshot, error) {
	snap := c.current.Load()
	if snap != nil && c.fresh(snap) {
		if c.env.Observe != nil || c.env.Measure != nil {
			c.tell(snap, TierMemory, 0)
		}
		if !c.used.Load() {
			c.used.Store(true)
		}
		return snap, nil
	}
	return c.slow(ctx)
}

// fresh is on the path of every call: time.Until reads only the monotonic clock where the
// comparison needs no other, which is half the price of time.Now.
func (c *CachedSource) fresh(snap *snapshot) bool {
	if c.machine {
		return snap.stale.IsZero() || time.Until(snap.stale) > 0
	}
	return snap.fresh(c.env.Now())
}

// slow serves a stale token and renews it behind the caller, or waits for a flight.
func (c *CachedSource) slow(ctx context.Context) (*snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	start := c.env.Now()
	c.env.Tokens.keep(c.cred.Key, c.live, start) // before c.mu
	snap, fly, err := c.join(start)
	if snap != nil {
		c.tell(snap, TierStale, 0)
	}
	if fly == nil {
		return snap, err
	}
	select {
	case <-fly.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a token: %w", context.Cause(ctx))
	}
	waited := c.env.Now().Sub(start)
	c.env.measuring(Measure{What: Wait, Owner: c.cred.Owner, Took: waited})
	if fly.err == nil {
		c.tell(fly.snap, fly.snap.tier(), waited)
	}
	return fly.snap, fly.err
}

// join returns a usable snapshot, or the flight to wait for, or the failure that still holds.
func (c *CachedSource) join(now time.Time) (*snapshot, *flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	snap := c.current.Load()
	good := snap != nil && snap.usable(now)
	switch {
	case good && (snap.fresh(now) || c.fly != nil || c.paused(now)):
		return snap, nil, nil
	case c.fly != nil:
		return nil, c.fly, nil
	case !good && c.paused(now):
		if fly := c.lookAgain(now); fly != nil {
			return nil, fly, nil
		}
		return nil, nil, c.trouble.pace.err(now)
	}
	fly := c.takeOff(true)
	if good {
		return snap, nil, nil
	}
	return nil, fly, nil
}

// takeOff starts the flight; c.mu is held. It has its own deadline, so that no caller's leaving
// ends it for the rest. A new token is stored after it has landed: nobody waits for the cache.
func (c *CachedSource) takeOff(recall bool) *flight {
	fly := &flight{done: make(chan struct{}), recall: recall, not: c.refused, drops: c.drops}
	c.fly = fly
	if !recall {
		fly.not, fly.since = c.current.Load(), c.env.Now()
	}
	end := c.env.Tokens.begin()
	go func() {
		defer end()
		ctx, cancel := context.WithTimeout(context.Background(), c.timeout())
		defer cancel()
		c.run(ctx, fly)
	}()
	return fly
}

func (c *CachedSource) timeout() time.Duration {
	if c.cred.Timeout > 0 {
		return c.cred.Timeout
	}
	return loginTimeout
}

// obtain asks the source, and measures what came of it. It never leaves a flight hanging: a
// panic of a source is a failure like any other.
func (c *CachedSource) obtain(ctx context.Context) (Token, error) {
	guarded := TokenSourceFunc(func(ctx context.Context) (token Token, err error) {
		defer func() {
			if r := recover(); r != nil {
				err = &TokenError{Reason: "reading the answer went wrong inside keyhitch"}
			}
		}()
		if token, err = c.cred.Source.Token(ctx); err != nil {
			return Token{}, err
		}
		if err := token.check(); err != nil {
			return Token{}, &TokenError{Reason: err.Error()}
		}
		return token, nil
	})
	token, err := Measured(guarded, c.cred.Owner, c.env).Token(ctx)
	token.by = c.env.Process
	return token, err
}

// land publishes the flight's outcome and frees the place for the next.
func (c *CachedSource) land(fly *flight, token Token, err error) {
	c.mu.Lock()
	old := c.current.Load()
	c.settle(fly, token, err)
	c.mu.Unlock()
	c.announce(fly, old)
}

// announce tells who waits, and measures how long before its end the old token was replaced.
func (c *CachedSource) announce(fly *flight, old *snapshot) {
	close(fly.done)
	if fly.err == nil {
		c.env.Tokens.tidy(fly.landed)
	}
	if fly.err == nil && old != nil && !old.expiry.IsZero() {
		c.env.measuring(Measure{What: Lead, Owner: c.cred.Owner, Took: max(0, old.expiry.Sub(fly.landed))})
	}
}

// settle makes the outcome known; c.mu is held. What was dropped meanwhile is good for who waited,
// and no longer.
func (c *CachedSource) settle(fly *flight, token Token, err error) {
	now := c.env.Now()
	c.fly = nil
	if err != nil {
		c.troubles().pace.fail(now, err, c.jitter())
		if good := c.current.Load(); good != nil {
			c.trouble.pace.hurry(now, good.expiry)
		}
		fly.err = c.trouble.pace.told(now)
		return
	}
	if c.trouble != nil {
		c.trouble.pace.succeed()
	}
	fly.snap, fly.landed = c.made(token), now
	if fly.drops == c.drops {
		c.current.Store(fly.snap)
	}
	c.once = !fly.snap.usable(now)
}

// made gives token its generation in this process; c.mu is held.
func (c *CachedSource) made(token Token) *snapshot {
	c.generation++
	token.Generation = c.generation
	for _, value := range token.Values {
		c.env.Redact.learnTokens(value)
	}
	return c.snapshotOf(token)
}

func (c *CachedSource) snapshotOf(token Token) *snapshot {
	_, shared := c.env.Cache.(cache.Shared)
	snap := &snapshot{token: token, expiry: token.Expiry, shared: token.fromCache && shared}
	if !token.Expiry.IsZero() {
		// A moment that was read has no monotonic part: were our clock set back, it would come later.
		now := c.env.Now()
		snap.expiry = now.Add(token.Expiry.Sub(now))
		margin := c.cred.Margin
		if margin == nil {
			margin = DefaultMargin
		}
		// A token from another clock may end before it was obtained: its margin must not be negative.
		early := max(0, margin(token.Expiry.Sub(token.Obtained)))
		// Jitter only moves the renewal earlier, so that a fleet does not renew in step.
		snap.stale = snap.expiry.Add(-early - time.Duration(float64(early)*c.jitter()/10))
	}
	return snap
}

func (c *CachedSource) jitter() float64 {
	if c.env.Jitter != nil {
		return c.env.Jitter()
	}
	return rand.Float64()
}
