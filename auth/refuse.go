package auth

import (
	"context"
	"errors"
)

// Invalidate drops the token of generation refused, if it is still the current one, and reports
// whether another try can bring another token. It cannot while the breaker is open.
func (c *CachedSource) Invalidate(refused Stamp) bool {
	v, current := c.refuse(refused)
	if current && v != noLogin {
		c.env.measuring(Measure{What: Refusal, Owner: c.cred.Owner})
	}
	if v == opens {
		c.env.measuring(Measure{What: BreakerOpen, Owner: c.cred.Owner})
	}
	return v == newLogin
}

func (c *CachedSource) refuse(refused Stamp) (v verdict, current bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	snap := c.current.Load()
	if snap == nil || Stamp(snap.token.Generation) != refused {
		return newLogin, false // there is a newer one, or will be
	}
	c.doubt.Store(true)
	if v = c.troubles().breaker.refuse(c.env.Now(), snap.token, c.cred.Refusals); v == newLogin {
		c.refused = snap
		c.current.Store(nil)
	}
	return v, true
}

// accepted closes the breaker: a call with the current token has been answered.
func (c *CachedSource) accepted(with Stamp) {
	if !c.doubt.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if snap := c.current.Load(); snap != nil && Stamp(snap.token.Generation) == with {
		c.doubt.Store(!c.troubles().breaker.accept(c.env.Now()))
	}
}

// Drop forgets the token here and in the shared cache, and whatever a flight under way brings.
func (c *CachedSource) Drop(ctx context.Context) error {
	c.mu.Lock()
	c.current.Store(nil)
	c.drops++
	c.mu.Unlock()
	if c.env.Cache == nil {
		return nil
	}
	var errs []error
	for _, key := range append([]string{c.cred.Key}, c.cred.Older...) {
		errs = append(errs, c.env.Cache.Delete(ctx, key))
	}
	return errors.Join(errs...)
}
