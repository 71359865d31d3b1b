package gateway

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// What calls tell of logins. They begin none for it: a call that could not log in makes its adapter
// not-ready, and one that went out with a newer token makes it ready again.

// heard takes a login that failed in a call that began then, unless something newer is known. The
// engine has its own pauses, so that a failure counts once however many calls tell of it.
func (h *health) heard(name string, began, now time.Time, err *auth.TokenError) (before, after vital) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.vital(name)
	if began.Before(v.checked) {
		return *v, *v
	}
	return h.change(v, func() {
		// What was ready before is looked at no more than a refused one is: calls will tell.
		v.final = err.Refused() || v.final || v.state() == stateReady
		if v.state() != stateNotReady { // later ones may only tell of the pause, when another gateway has a token already
			v.checked = began
		}
		v.err, v.failures = err, max(v.failures, 1)
		if resume := now.Add(min(err.RetryAfter, waitLongest)); resume.After(v.resume) {
			v.resume = resume
		}
	})
}

// doubts reports whether a call that went well is to look if that makes the adapter ready, and
// since when its token must be: not again within a second.
func (h *health) doubts(name string, now time.Time) (since time.Time, doubts bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.byName[name]
	if v == nil || v.state() != stateNotReady || now.Sub(v.looked) < time.Second {
		return time.Time{}, false
	}
	v.looked = now
	return v.checked, true
}

// called tells what a declared call says of its adapter's login.
func (x *exchange) called(ctx context.Context, a checked, input adapter.Input, err error) {
	switch {
	case len(input.AuthData)+len(input.CallProperties) > 0: // it may have logged in as somebody else
	case err != nil:
		x.loginFailed(err)
	default:
		x.wentWell(ctx, a)
	}
}

// loginFailed tells of a call that failed, if it did so for want of a token.
func (x *exchange) loginFailed(err error) {
	var token *auth.TokenError
	if !errors.As(err, &token) || errors.Is(err, context.Canceled) {
		return
	}
	before, after := x.health.heard(x.adapter, x.start, x.gateway.now(), token)
	x.gateway.tell(x.adapter, before, after)
}

// wentWell tells of a call that the system has taken. An old token proves nothing: it may be good
// for a while after the login was refused.
func (x *exchange) wentWell(ctx context.Context, a checked) {
	if x.health.sick.Load() == 0 {
		return
	}
	now := x.gateway.now()
	since, doubts := x.health.doubts(x.adapter, now)
	if doubts && slices.ContainsFunc(a.Tokens(ctx), func(token auth.TokenInfo) bool { return token.Obtained.After(since) }) {
		before, after := x.health.note(x.adapter, now, nil)
		x.gateway.tell(x.adapter, before, after)
	}
}
