package main

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// event is one misbehaviour of the system, at a time after the start.
type event struct {
	at, lasts time.Duration
	what      string
	status    int  // with which logins are refused
	revoke    bool // every token, in the middle of it
}

const (
	revokeAll   = "revoke all tokens"
	expireEarly = "expire the newest token early"
	slowLogins  = "slow logins"
	slowCalls   = "slow calls"
	refuse503   = "logins refused with 503"
	refuse429   = "logins refused with 429, Retry-After: 1"
)

// deal makes the schedule of a seed: each kind once before any comes again. Two events are at
// least a quarter of a token's life apart, because a call is sent again once, not twice.
func deal(s settings) []event {
	kinds := []event{{what: revokeAll}, {what: expireEarly}, {what: slowLogins, lasts: s.Life / 2}, {what: slowCalls, lasts: s.Life / 4},
		{what: refuse503, lasts: s.away(), status: http.StatusServiceUnavailable}, {what: refuse429, lasts: s.away(), status: http.StatusTooManyRequests}}
	rng := rand.New(rand.NewPCG(s.Seed, 0))
	var list []event
	at := s.Life / 4
	for n := 0; ; n++ {
		if n%len(kinds) == 0 {
			rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		}
		e := kinds[n%len(kinds)]
		e.at = at + time.Duration(rng.Int64N(int64(s.Life/4)))
		e.revoke = e.lasts > 0 && rng.IntN(2) == 0
		if e.at+e.lasts > s.For-s.Life/4 {
			return list
		}
		at = e.at + e.lasts + s.Life/4
		if s.quiet(e) {
			continue
		}
		list = append(list, e)
	}
}

// away is how long logins are refused: less than the first pause that a process then makes, so
// that it is known when the pause has to be over.
func (s settings) away() time.Duration { return min(s.Life/4, 900*time.Millisecond) }

// outage is when Redis is killed, and when it is started again.
func (s settings) outage() (from, to time.Duration) { return s.For * 6 / 10, s.For*6/10 + s.Life/3 }

// quiet keeps events away from the outage: its price is then known.
func (s settings) quiet(e event) bool {
	from, to := s.outage()
	return s.RedisOutage && e.at < to+2*time.Second && e.at+e.lasts > from-s.Life/10-pauseAfter
}
