package auth

import (
	"context"
	"fmt"
)

// Refresh asks for a new token now, whatever is cached, here or in the shared cache. It joins a
// token request that is under way, but not one that would take a cached token.
func (c *CachedSource) Refresh(ctx context.Context) (Token, TokenInfo, error) {
	fly, fresh := c.asking()
	for {
		select {
		case <-fly.done:
		case <-ctx.Done():
			return Token{}, TokenInfo{}, fmt.Errorf("waiting for a token: %w", context.Cause(ctx))
		}
		if fresh {
			break
		}
		fly, fresh = c.asking()
	}
	if fly.err != nil {
		return Token{}, TokenInfo{}, fly.err
	}
	info := c.info(fly.snap)
	info.Where = TierRequest
	return fly.snap.token, info, nil
}

// asking returns the flight under way, or a new one; fresh: it takes no cached token.
func (c *CachedSource) asking() (fly *flight, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fly == nil {
		return c.takeOff(false), true
	}
	return c.fly, !c.fly.recall
}
