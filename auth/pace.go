package auth

import (
	"errors"
	"fmt"
	"time"
)

const (
	pauseShortest = time.Second
	pauseLongest  = 5 * time.Minute
	retryAfterMax = time.Hour // a longer Retry-After is taken for a mistake
)

// pace says when a token may be asked for again after failures: at once after the first one,
// unless it was a refusal or named a time, then in growing pauses with jitter, so that a fleet
// does not come back in step. A Retry-After (RFC 9110, section 10.2.3) is obeyed.
type pace struct {
	failures int
	resume   time.Time
	cause    error
}

func (p *pace) fail(now time.Time, err error, jitter float64) {
	p.failures++
	p.cause = err
	var t *TokenError
	step := p.failures - 1 // the first failure waits for nothing
	if errors.As(err, &t) && t.Refused() {
		step++ // trying again cannot help, and may lock the account
	}
	wait := time.Duration(0)
	if step > 0 {
		wait = pauseLongest
		if step < 10 {
			wait = min(pauseShortest<<(step-1), pauseLongest)
		}
	}
	wait += time.Duration(float64(wait) * jitter / 4)
	if t != nil {
		wait = max(wait, min(t.RetryAfter, retryAfterMax))
	}
	p.resume = now.Add(wait)
}

// hurry shortens the pause while there is a token that ends at expiry: half of what is left of it
// is long enough to wait, so that an endpoint that is back before the end is found. A refusal or
// a Retry-After is not hurried.
func (p *pace) hurry(now, expiry time.Time) {
	var t *TokenError
	left := expiry.Sub(now)
	if expiry.IsZero() || left <= 0 || errors.As(p.cause, &t) && (t.Refused() || t.RetryAfter > 0) {
		return
	}
	if soon := now.Add(min(left, max(pauseShortest, left/2))); soon.Before(p.resume) {
		p.resume = soon
	}
}

func (p *pace) succeed() { p.failures, p.resume, p.cause = 0, time.Time{}, nil }

// holds reports whether a failure still forbids to ask.
func (p *pace) holds(now time.Time) bool { return now.Before(p.resume) }

// err tells the cause to a caller who does not get to ask.
func (p *pace) err(now time.Time) error {
	return fmt.Errorf("%w; not asked again for %s", p.told(now), max(p.resume.Sub(now).Round(time.Millisecond), time.Millisecond))
}

// told is the cause as callers get it: whoever finds a TokenError in it reads there how long
// nobody asks again.
func (p *pace) told(now time.Time) error {
	if !p.holds(now) {
		return p.cause
	}
	return &restingError{p.cause, p.resume.Sub(now)}
}

// restingError is a failure after which nobody asks for a while.
type restingError struct {
	error
	left time.Duration
}

// Unwrap returns the failure itself.
func (e *restingError) Unwrap() error { return e.error }

// As finds a TokenError in the failure, with the time that is left in place of what the answer asked for.
func (e *restingError) As(target any) bool {
	to, ok := target.(**TokenError)
	if !ok || !errors.As(e.error, to) {
		return false
	}
	told := **to
	told.RetryAfter = e.left
	*to = &told
	return true
}
