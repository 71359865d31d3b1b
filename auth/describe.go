package auth

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What is told of a token: when it was asked for, where it is, its fingerprint; never its value.

// Info describes the current token; false: there is none.
func (l *live) Info() (TokenInfo, bool) {
	snap := l.current.Load()
	if snap == nil {
		return TokenInfo{}, false
	}
	return l.info(snap), true
}

func (l *live) info(snap *snapshot) TokenInfo {
	info := TokenInfo{Owner: l.owner, User: l.user, Obtained: snap.token.Obtained, Expires: snap.expiry,
		Fingerprint: l.keys.Fingerprint(snap.token.identity()), Where: TierMemory}
	if snap.shared {
		info.Where = TierRedis
	}
	for name := range snap.token.Values {
		info.Names = append(info.Names, name)
	}
	slices.Sort(info.Names)
	return info
}

// Peek describes the token at hand, here or in the cache, without asking for one.
func (c *CachedSource) Peek(ctx context.Context) (TokenInfo, bool) {
	if info, ok := c.Info(); ok || c.env.Cache == nil {
		return info, ok
	}
	for _, key := range c.keys() {
		token, err := c.read(ctx, key)
		c.cacheFailed(err)
		if err == nil {
			token.fromCache = true
			return c.info(c.snapshotOf(token)), true
		}
	}
	return TokenInfo{}, false
}

// tell reports where a call's token came from, and how long the call waited for it.
func (c *CachedSource) tell(snap *snapshot, tier string, waited time.Duration) {
	c.env.measuring(Measure{What: Hit, Owner: c.cred.Owner, Label: tier})
	if c.env.Observe != nil {
		c.env.Observing("token", c.describe(snap, tier), waited)
	}
}

// describe is a token in words: where it was, who asked for it and when, and how long it lasts.
func (c *CachedSource) describe(snap *snapshot, tier string) string {
	now := c.env.Now()
	var b strings.Builder
	b.WriteString(origins[tier])
	if tier != TierRequest {
		who := "this process"
		if snap.shared {
			who = cmp.Or(snap.token.by, "another process")
		}
		fmt.Fprintf(&b, ", asked for %s ago by %s", max(0, now.Sub(snap.token.Obtained)).Round(time.Second), who)
	}
	b.WriteString(", fingerprint " + c.env.Keys.Fingerprint(snap.token.identity()))
	if !snap.expiry.IsZero() {
		b.WriteString(", expires in " + snap.expiry.Sub(now).Round(time.Second).String())
	}
	return b.String()
}

// origins are the tiers in words.
var origins = map[string]string{
	TierMemory: "from memory", TierStale: "from memory, while a new one is asked for",
	TierRedis: "from the shared cache", TierRequest: "new",
}
