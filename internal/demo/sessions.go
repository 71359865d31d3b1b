package demo

import (
	"crypto/rand"
	"sync"
	"time"
)

// sessions are the tokens that a system gave out and still honours.
type sessions struct {
	now  func() time.Time
	life time.Duration

	mu   sync.Mutex
	live map[string]session
}

type session struct {
	csrf string // the token that goes with it, if any
	ends time.Time
}

// begin makes a session and returns its token.
func (s *sessions) begin(csrf string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		s.live = map[string]session{}
	}
	token := newToken()
	s.live[token] = session{csrf, s.now().Add(s.life)}
	return token
}

// good reports whether the token is one of ours, young enough, and comes with its CSRF token.
func (s *sessions) good(token, csrf string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.live[token]
	return ok && known.csrf == csrf && s.now().Before(known.ends)
}

// revoke forgets every session.
func (s *sessions) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.live)
}

func newToken() string { return rand.Text() }
