package auth

import (
	"context"
	"errors"
	"time"
)

// Measure is one thing that the token engine did, for counters and histograms. It holds no
// secret, no user and no URL.
type Measure struct {
	What  What
	Owner string        // the adapter's name
	Label string        // of a Hit the tier, of a Fetch the outcome
	Took  time.Duration // of Fetch, Wait, LeaseWait and Lead
}

// What is measured.
type What uint8

const (
	Hit         What = iota // a call got a token; Label is memory, stale, redis or request
	Fetch                   // a token request ended; Label is ok or the cause of its failure
	Wait                    // a call waited for a token
	Lead                    // a token was replaced so long before its end; 0: too late
	LeaseWait               // a token request of another process was waited for
	Refusal                 // the system refused the current token
	CacheFault              // the token cache failed or held an odd record
	BreakerOpen             // tokens were refused one after another; logins rest
)

// The tiers that a token comes from.
const (
	TierMemory  = "memory"
	TierStale   = "stale" // from memory, while a new one is asked for
	TierRedis   = "redis"
	TierRequest = "request"
)

func (e Env) measuring(m Measure) {
	if e.Measure != nil {
		e.Measure(m)
	}
}

// Measured returns source with every token request measured.
func Measured(source TokenSource, owner string, env Env) TokenSource {
	if env.Measure == nil {
		return source
	}
	return TokenSourceFunc(func(ctx context.Context) (Token, error) {
		start := env.Now()
		token, err := source.Token(ctx)
		env.Measure(Measure{What: Fetch, Owner: owner, Label: outcome(err), Took: env.Now().Sub(start)})
		return token, err
	})
}

// outcome names what came of a token request in one word of a small set.
func outcome(err error) string {
	var t *TokenError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case !errors.As(err, &t):
		return "internal"
	case t.Status == 0 && t.Err != nil:
		return "unreachable"
	case t.Status == 429:
		return "limited"
	case t.Status >= 500:
		return "server_error"
	case t.Status >= 400:
		return "refused"
	}
	return "bad_answer"
}
