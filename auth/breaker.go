package auth

import "time"

const (
	breakerShortest = 30 * time.Second
	breakerLongest  = 5 * time.Minute
	breakerFrom     = 2 // generations refused in a row, at least
)

// breaker stops a login loop: when fresh tokens are refused one after another, it is the rights
// that are wrong, not the token. While it is open, calls go out and refusals are handed through
// without a login. Afterwards one login is tried; success closes it.
type breaker struct {
	inRow int
	last  uint64    // the newest generation that was refused
	at    time.Time // of its refusal
	until time.Time
	pause time.Duration
}

// refuse counts the refusal of a token and reports whether a login may follow. From most refused
// tokens in a row on it may not. A token that is older than the last refusal proves nothing: it
// came from the shared cache, and was revoked with the other.
func (b *breaker) refuse(now time.Time, t Token, most int) bool {
	most = max(most, breakerFrom)
	switch {
	case now.Before(b.until):
		return false
	case t.Generation == b.last && b.inRow >= most:
		return true // the pause is over: one login is tried
	case b.inRow > 0 && t.Obtained.Before(b.at):
		return true
	case t.Generation != b.last+1:
		b.inRow = 0
	}
	b.inRow++
	b.last, b.at = t.Generation, now
	if b.inRow < most {
		return true
	}
	b.pause = min(max(breakerShortest, 2*b.pause), breakerLongest)
	b.until = now.Add(b.pause)
	return false
}

func (b *breaker) accept() { *b = breaker{} }
