package auth

import (
	"context"
	"fmt"
)

// Refresh asks for a new token now, whatever is cached, here or in the shared cache. It joins a
// flight that is under way.
func (c *CachedSource) Refresh(ctx context.Context) (Token, TokenInfo, error) {
	c.mu.Lock()
	fly := c.fly
	if fly == nil {
		fly = c.takeOff(false)
	}
	c.mu.Unlock()
	select {
	case <-fly.done:
	case <-ctx.Done():
		return Token{}, TokenInfo{}, fmt.Errorf("waiting for a token: %w", context.Cause(ctx))
	}
	if fly.err != nil {
		return Token{}, TokenInfo{}, fly.err
	}
	info := c.info(fly.snap)
	info.Where = "request"
	return fly.snap.token, info, nil
}
