package auth

import "time"

const (
	breakerShortest = 30 * time.Second
	breakerLongest  = 5 * time.Minute
	breakerFrom     = 2 // generations refused in a row, at least
)

// breaker stops a login loop: when fresh tokens are refused one after another, it is the rights
// that are wrong, not the token. While it is open, calls go out and refusals are handed through
// without a login. Afterwards one login is tried. Success closes it, but not again and again:
// where some calls are refused and others are not, rights are wrong all the same.
type breaker struct {
	inRow  int
	last   uint64    // the newest generation that was refused
	at     time.Time // of its refusal
	opened time.Time
	until  time.Time
	pause  time.Duration
	early  bool // a success has closed it before the pause was over
}

// verdict is what follows from a refused token.
type verdict uint8

const (
	newLogin verdict = iota // another token may do
	opens                   // this refusal has opened the breaker
	noLogin                 // it is open
)

// refuse counts the refusal of a token and says whether a login may follow. From most refused
// tokens in a row on it may not. A token that is older than the last refusal proves nothing: it
// came from the shared cache, and was revoked with the other.
func (b *breaker) refuse(now time.Time, t Token, most int) verdict {
	most = max(most, breakerFrom)
	switch {
	case now.Before(b.until):
		return noLogin
	case t.Generation == b.last && b.inRow >= most:
		return newLogin // the pause is over: one login is tried
	case b.inRow > 0 && t.Obtained.Before(b.at):
		return newLogin
	case t.Generation != b.last+1:
		b.inRow = 0
	}
	b.inRow++
	b.last, b.at = t.Generation, now
	if b.inRow < most {
		return newLogin
	}
	b.open(now)
	return opens
}

func (b *breaker) open(now time.Time) {
	if now.Sub(b.opened) > 2*b.pause { // the last time was long ago
		b.pause, b.early = 0, false
	}
	b.pause = min(max(breakerShortest, 2*b.pause), breakerLongest)
	b.opened, b.until = now, now.Add(b.pause)
}

// accept closes the breaker, if it may, and reports whether it is closed.
func (b *breaker) accept(now time.Time) bool {
	if now.Before(b.until) {
		if b.early {
			return false
		}
		b.early = true
	}
	b.inRow, b.until = 0, time.Time{}
	return true
}
