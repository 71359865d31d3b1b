package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// token is one login that succeeded, as the system logs it.
type token struct {
	arrived, issued time.Time // of the login
	end             time.Time // from when it is refused
	why             string    // it ended
	used            time.Time // for the first time
	users           map[string]int
}

// window is a time in which logins were refused.
type window struct{ from, to time.Time }

// system is the pretend one. It knows what it gave out, who used it, and when it was unwell.
type system struct {
	*httptest.Server
	life time.Duration

	mu       sync.Mutex
	tokens   []*token // in order of issue
	byValue  map[string]*token
	now      event // what is wrong at present
	down     []window
	calls    int
	refused  int // logins
	asking   int // logins under way
	unwanted int // calls refused for their token
}

const endOfLife = "end of life"

func newSystem(life time.Duration) *system {
	s := &system{life: life, byValue: map[string]*token{}}
	s.Server = httptest.NewServer(s)
	return s
}

// ServeHTTP serves /login and /things/PROCESS-NUMBER.
func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path == "/login" {
		s.login(w, r)
		return
	}
	id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	ok, delay := s.judge(r.Header.Get("X-Auth-Token"), id)
	pause(r, delay)
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = fmt.Fprintf(w, `{"id":%q}`, id)
}

// judge decides when the call arrives, not when it is answered.
func (s *system) judge(value, id string) (ok bool, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.now.what == slowCalls {
		delay = s.life / 15
	}
	t, now := s.byValue[value], time.Now()
	if t == nil || !now.Before(t.end) {
		s.unwanted++
		return false, delay
	}
	if t.used.IsZero() {
		t.used = now
	}
	process, _, _ := strings.Cut(id, "-")
	t.users[process]++
	return true, delay
}

func (s *system) login(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	s.mu.Lock()
	now := s.now
	if now.status != 0 {
		s.refused++
		s.mu.Unlock()
		if now.status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(now.status)
		return
	}
	s.asking++
	s.mu.Unlock()
	delay := s.life / 100
	if now.what == slowLogins {
		delay = s.life / 6
	}
	pause(r, delay)
	_, _ = fmt.Fprintf(w, `{"sid":%q}`, s.issue(arrived))
}

func (s *system) issue(arrived time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking--
	now := time.Now()
	t := &token{arrived: arrived, issued: now, end: now.Add(s.life), why: endOfLife, users: map[string]int{}}
	s.tokens = append(s.tokens, t)
	value := fmt.Sprintf("token-%d", len(s.tokens))
	s.byValue[value] = t
	return value
}

// begin starts an event, and end ends it.
func (s *system) begin(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.what {
	case revokeAll:
		s.revoke()
	case expireEarly:
		if n := len(s.tokens); n > 0 {
			s.tokens[n-1].stop("early expiry")
		}
	default:
		s.now = e
	}
	if e.status != 0 {
		s.down = append(s.down, window{from: time.Now()})
	}
}

func (s *system) end(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = event{}
	if e.status != 0 {
		s.down[len(s.down)-1].to = time.Now()
	}
}

// revoke stops all tokens; s.mu is held.
func (s *system) revoke() {
	for _, t := range s.tokens {
		t.stop("revocation")
	}
}

func (s *system) revokeNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoke()
}

func (t *token) stop(why string) {
	if now := time.Now(); now.Before(t.end) {
		t.end, t.why = now, why
	}
}

// loginDies reports whether the process, which was killed just now, may have taken a login with
// it: one under way, or one whose token nobody else has used yet.
func (s *system) loginDies(process string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking > 0 || len(s.tokens) == 0 {
		return true
	}
	newest := s.tokens[len(s.tokens)-1]
	return len(newest.users) == 0 || len(newest.users) == 1 && newest.users[process] > 0
}

func (s *system) counts() (calls, logins int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, len(s.tokens)
}

func pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}
