package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	clockSlack = 20 * time.Millisecond
	// pauseAfter is how long a process may hold back after a refused login: the second failure
	// pauses for 1 s and a quarter of jitter, a Retry-After here for 1 s.
	pauseAfter = 1300 * time.Millisecond
	// knownAfter is when a token that one process uses can be known to all.
	knownAfter = 100 * time.Millisecond
)

// proof is what came of a run.
type proof struct {
	settings
	took     time.Duration
	events   []event
	calls    int
	lost     []failure
	byDesign int // no token was valid and logins were refused
	heldBack int // the process obeyed the pause that a refused login demands
	stranded int // in such a pause too, although another process had published a token
	reasons  map[string]int
	needed   int
	made     int
	refused  int
	unwanted int
	died     int
	longest  time.Duration
	commands int
	breaches []string
}

func prove(f *fleet) proof {
	s := f.system
	s.mu.Lock()
	defer s.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	p := proof{settings: f.settings, took: f.took, events: f.events, calls: f.tally.Calls, longest: f.tally.Longest,
		made: len(s.tokens), refused: s.refused, unwanted: s.unwanted, died: f.died, commands: f.redis.count(), breaches: f.broken}
	p.needed, p.reasons = theory(s.tokens, s.life)
	for _, fail := range f.tally.Failures {
		p.classify(fail, s)
	}
	return p
}

// theory walks the system's log. The first login is needed; another one is if, when it arrived,
// the token before it was refused or due for renewal: the last 11 % of its life (the default
// margin and its jitter).
func theory(tokens []*token, life time.Duration) (needed int, reasons map[string]int) {
	reasons = map[string]int{}
	for i, t := range tokens {
		if i == 0 {
			needed++
			continue
		}
		before := tokens[i-1]
		due, why := before.issued.Add(life*89/100-clockSlack), endOfLife
		if before.end.Before(due) {
			due, why = before.end, before.why
		}
		if !t.arrived.Before(due) {
			needed++
			reasons[why]++
		}
	}
	return needed, reasons
}

func (p *proof) classify(fail failure, s *system) {
	switch {
	case fail.Login && s.nothingToGet(fail):
		p.byDesign++
	case fail.Login && s.refusedLately(fail.To) && s.valid(fail.From) && s.valid(fail.From.Add(-knownAfter)):
		p.stranded++
	case fail.Login && s.refusedLately(fail.To):
		p.heldBack++
	default:
		p.lost = append(p.lost, fail)
	}
}

// nothingToGet reports whether, while the call lasted, there was a moment in which logins were
// refused and no token was valid; s.mu is held.
func (s *system) nothingToGet(fail failure) bool {
	for _, w := range s.down {
		from, to := w.from, w.until()
		if fail.From.After(from) {
			from = fail.From
		}
		if fail.To.Before(to) {
			to = fail.To
		}
		if from.After(to) {
			continue
		}
		moments := []time.Time{from}
		for _, t := range s.tokens {
			if t.end.After(from) && !t.end.After(to) {
				moments = append(moments, t.end)
			}
		}
		if slices.ContainsFunc(moments, func(at time.Time) bool { return !s.valid(at) }) {
			return true
		}
	}
	return false
}

func (s *system) refusedLately(at time.Time) bool {
	return slices.ContainsFunc(s.down, func(w window) bool { return at.After(w.from) && at.Before(w.until().Add(pauseAfter)) })
}

// valid reports whether somebody had a good token at that time. One that never came to use died
// with its process.
func (s *system) valid(at time.Time) bool {
	return slices.ContainsFunc(s.tokens, func(t *token) bool { return !t.used.IsZero() && !at.Before(t.used) && at.Before(t.end) })
}

func (w window) until() time.Time {
	if w.to.IsZero() {
		return time.Now()
	}
	return w.to
}

// tolerance is how many logins more than theory are allowed: each process fends for itself once
// while Redis is away, and a login may die with its process.
func (p proof) tolerance() int {
	n := p.died
	if p.RedisOutage {
		n += p.Processes
	}
	return n
}

// broken returns the promises that were not kept.
func (p proof) broken() []string {
	list := slices.Clone(p.breaches)
	if n := len(p.lost); n > 0 {
		list = append(list, fmt.Sprintf("%d calls were lost; the first: %s (%s to %s after the start took %s)", n, p.lost[0].Text,
			p.lost[0].From.Format("05.000"), p.lost[0].To.Format("05.000"), p.lost[0].To.Sub(p.lost[0].From).Round(time.Millisecond)))
	}
	if p.stranded > 0 {
		list = append(list, fmt.Sprintf("%d calls failed in a process that paused after a refused login, while Redis had a valid token", p.stranded))
	}
	if p.made > p.needed+p.tolerance() {
		list = append(list, fmt.Sprintf("%d logins, and theory allows %d", p.made, p.needed+p.tolerance()))
	}
	if p.calls == 0 {
		list = append(list, "nobody called")
	}
	return list
}

// String is the page that is printed.
func (p proof) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(&b, "  %-33s %s\n", name, fmt.Sprintf(format, args...))
	}
	_, _ = fmt.Fprintf(&b, "%d processes with %d callers each on one Redis, for %s; a token lives %s\n\n", p.Processes, p.Callers, p.took.Round(100*time.Millisecond), p.Life)
	line("calls", "%d", p.calls)
	line("calls lost", "%d", len(p.lost))
	line("calls refused by design", "%d (no token was valid, and logins were refused)", p.byDesign)
	line("calls held back by a pause", "%d (it follows a refused login; nobody had a token yet)", p.heldBack)
	line("calls stranded in a pause", "%d (another process had a token for %s or more)", p.stranded, knownAfter)
	line("logins needed in theory", "%d = 1%s", p.needed, p.sum())
	line("logins made", "%d", p.made)
	line("double logins", "%d (allowed: %d)", p.made-p.needed, p.tolerance())
	line("logins refused by the system", "%d", p.refused)
	line("calls sent again (token refused)", "%d", p.unwanted)
	line("longest wait of a call", "%s", p.longest.Round(time.Millisecond))
	line("Redis commands per call", "%.4f (%d in all)", float64(p.commands)/float64(max(p.calls, 1)), p.commands)
	_, _ = fmt.Fprintf(&b, "\nwhat happened\n%s\nagain: %s\n\n", p.story(), p.command())
	if list := p.broken(); len(list) > 0 {
		return b.String() + "BROKEN: " + strings.Join(list, "\nBROKEN: ") + "\n"
	}
	return b.String() + "PROVED: no call was lost, and no login was made that theory does not allow\n"
}

func (p proof) sum() string {
	text := ""
	for _, why := range slices.Sorted(maps.Keys(p.reasons)) {
		text += fmt.Sprintf(" + %d (%s)", p.reasons[why], why)
	}
	return text
}

// story lists what was planned and came to pass.
func (p proof) story() string {
	type chapter struct {
		at   time.Duration
		text string
	}
	var list []chapter
	for _, e := range p.events {
		text := e.what
		if e.lasts > 0 {
			text += " for " + e.lasts.String()
		}
		if e.revoke {
			text += ", and in the middle of it " + revokeAll
		}
		list = append(list, chapter{e.at, text})
	}
	if p.Kill {
		list = append(list, chapter{p.For / 2, fmt.Sprintf("kill process %d and start it again", p.Seed%uint64(p.Processes)+1)})
	}
	if p.RedisOutage {
		from, to := p.outage()
		list = append(list, chapter{from, fmt.Sprintf("kill Redis and start it again, empty, after %s", to-from)})
	}
	slices.SortFunc(list, func(a, b chapter) int { return int(a.at - b.at) })
	var b strings.Builder
	for _, c := range list {
		if c.at < p.took {
			_, _ = fmt.Fprintf(&b, "  %6.2f s  %s\n", c.at.Seconds(), c.text)
		}
	}
	return b.String()
}
