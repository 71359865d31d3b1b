package gateway

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// What is known of an adapter.
const (
	stateUnknown  = "unknown" // not checked yet
	stateReady    = "ready"
	stateNotReady = "not-ready"
)

// health is what checks and calls have found of each adapter. The zero value knows nothing.
type health struct {
	sick     atomic.Int32 // adapters that are not ready: calls look no further where there are none
	mu       sync.Mutex
	byName   map[string]*vital
	checking int
}

// vital is what is known of one adapter.
type vital struct {
	checking bool
	looked   time.Time // by a call: is there a newer token?
	checked  time.Time // zero: not yet
	err      error     // of the last check; nil: it went well
	failures int       // in a row
	resume   time.Time // nobody asks before
	final    bool      // asking again cannot help, and could lock an account: only what callers bring about counts
}

// maxChecks bounds how many adapters are checked at the same time.
const maxChecks = 8

// of returns what is known of an adapter.
func (h *health) of(name string) vital {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v := h.byName[name]; v != nil {
		return *v
	}
	return vital{}
}

func (v vital) state() string {
	switch {
	case v.checked.IsZero():
		return stateUnknown
	case v.err != nil:
		return stateNotReady
	}
	return stateReady
}

// begin reports whether an adapter is to be checked now, and marks it.
func (h *health) begin(name string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.vital(name)
	if v.state() == stateReady || v.checking || now.Before(v.resume) || h.checking >= maxChecks {
		return false
	}
	v.checking = true
	h.checking++
	return true
}

// vital returns the entry of an adapter; h.mu is held.
func (h *health) vital(name string) *vital {
	if h.byName == nil {
		h.byName = map[string]*vital{}
	}
	if h.byName[name] == nil {
		h.byName[name] = new(vital)
	}
	return h.byName[name]
}

// end takes the outcome of a check that begin allowed.
func (h *health) end(name string, now time.Time, err error, every time.Duration) (before, after vital) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.vital(name)
	v.checking = false
	h.checking--
	return h.change(v, func() { v.learn(now, err, every) })
}

// abandon ends a check that begin allowed and that found nothing.
func (h *health) abandon(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.vital(name).checking = false
	h.checking--
}

// note takes the outcome of a login that somebody asked for.
func (h *health) note(name string, now time.Time, err error) (before, after vital) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.vital(name)
	return h.change(v, func() { v.learn(now, err, pauseShortest) })
}

// change changes what is known of one adapter, and counts the sick; h.mu is held.
func (h *health) change(v *vital, by func()) (before, after vital) {
	before = *v
	by()
	h.sick.Add(v.sick() - before.sick())
	return before, *v
}

// sick is 1 for an adapter that is not ready, else 0.
func (v *vital) sick() int32 {
	if v.state() == stateNotReady {
		return 1
	}
	return 0
}

const (
	pauseShortest = time.Second
	pauseLongest  = 5 * time.Minute
	waitLongest   = time.Hour // a longer Retry-After is taken for a mistake
)

// learn notes an outcome, and when to look again: in growing pauses, and not before a time that the
// token endpoint named. After a refusal looking is all that is done.
func (v *vital) learn(now time.Time, err error, every time.Duration) {
	v.checked, v.err = now, err
	if err == nil {
		v.failures, v.resume, v.final = 0, time.Time{}, false
		return
	}
	pause := min(every<<min(v.failures, 10), max(every, pauseLongest))
	v.failures++
	var token *auth.TokenError
	if errors.As(err, &token) {
		pause = max(pause, min(token.RetryAfter, waitLongest))
		v.final = token.Refused()
	}
	v.final = v.final || isConfig(err) || isCall(err)
	v.resume = now.Add(pause)
}

// report is what `keyhitch check` finds, and when.
type report struct {
	Adapter string `json:"adapter"`
	Method  string `json:"method"`
	Login   bool   `json:"login"` // false: nothing is sent to check it, the first call will tell
	State   string `json:"state"`
	OK      bool   `json:"ok"`
	Checked string `json:"checked_at,omitempty"`
	Code    string `json:"code,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// report tells of an error what told leaves of it.
func (v vital) report(name, method string, login bool, told func(error) string) report {
	out := report{Adapter: name, Method: method, Login: login, State: v.state(), OK: v.state() == stateReady}
	if !v.checked.IsZero() {
		out.Checked = v.checked.UTC().Format(time.RFC3339)
	}
	if v.err != nil {
		out.Code, out.Detail = faultOf(v.err).Code, told(v.err)
	}
	return out
}

// defaultEvery is the first pause after a failed check.
const defaultEvery = 10 * time.Second

// Watch logs each adapter in once, and once more after a reload. One that is not ready is tried
// again after every (0: 10 s) and then in growing pauses; others serve meanwhile. After a refused
// login it tries nothing before the next reload, so that no account is locked, and only looks
// whether a call has got a token since. Watch returns when ctx ends, and its checks with it: end it
// before Close.
func (g *Gateway) Watch(ctx context.Context, every time.Duration) {
	every = max(cmp.Or(every, defaultEvery), time.Millisecond)
	ticker := time.NewTicker(min(every, time.Second)) // a reload is noticed soon
	defer ticker.Stop()
	var checks sync.WaitGroup
	defer checks.Wait()
	for {
		g.checkDue(ctx, every, &checks)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// checkDue begins the checks whose time has come.
func (g *Gateway) checkDue(ctx context.Context, every time.Duration, checks *sync.WaitGroup) {
	s := g.hold()
	if s == nil {
		return
	}
	defer s.access.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(s.Adapters)) {
		if !s.access.TryRLock() { // not RLock: who lets s go may wait already
			return
		}
		if !s.health.begin(name, g.now()) {
			s.access.RUnlock()
			continue
		}
		checks.Go(func() {
			defer s.access.RUnlock()
			g.check(ctx, s, name, every)
		})
	}
}

func (g *Gateway) check(ctx context.Context, s *served, name string, every time.Duration) {
	limited, cancel := context.WithTimeout(ctx, s.Limits.CallTime)
	defer cancel()
	err := look(limited, s.health.of(name), s.Adapters[name])
	if ctx.Err() != nil { // the gateway ends: that says nothing of the adapter
		s.health.abandon(name)
		return
	}
	before, after := s.health.end(name, g.now(), err, every)
	g.tell(name, before, after)
}

// checked is what a check asks: an adapter.
type checked interface {
	Check(ctx context.Context) error
	Tokens(ctx context.Context) []auth.TokenInfo
}

// look checks an adapter: by a login, or after a refused one by what later calls have brought. A
// fault of our own is told as any other: the process serves on.
func look(ctx context.Context, v vital, a checked) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("checking the adapter went wrong inside keyhitch")
		}
	}()
	if !v.final {
		return a.Check(ctx)
	}
	if slices.ContainsFunc(a.Tokens(ctx), func(token auth.TokenInfo) bool { return token.Obtained.After(v.checked) }) {
		return nil
	}
	return v.err
}

// tell logs what has changed.
func (g *Gateway) tell(name string, before, after vital) {
	log := g.options.Log.WithField("adapter", name)
	switch from, to := before.state(), after.state(); {
	case from == to:
	case to == stateReady:
		log.Info("the adapter is ready")
	default:
		log.WithField("fault", faultOf(after.err).Code).
			Warn("the adapter is not ready: " + g.options.Redact.Scrub(after.err.Error()))
	}
}
