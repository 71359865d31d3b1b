package authtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is an authorization server in this process, with a resource server beside it. It is an
// http.Handler: serve it with httptest, or call it without sockets through Wire, which also
// works in a synctest bubble. The zero value issues a token to everybody.
//
//	POST /token   the token endpoint (RFC 6749, section 3.2): checks what it is sent, then Script
//	any other     a resource: 200 for a good access token (Bearer, RFC 6750), else 401
type Server struct {
	Now func() time.Time // nil: time.Now

	mu       sync.Mutex
	script   Script
	requests int
	refusals int
	problems []string
	issued   []issued
}

// Script says what the token endpoint expects and how it behaves. Zero fields ask for nothing.
type Script struct {
	ClientID, ClientSecret string // expected client authentication
	Basic                  bool   // in the Authorization header; else in the form (RFC 6749, section 2.3.1)
	Username, Password     string // expected with the password grant (section 4.3)
	Grant                  string // expected grant_type

	Delay    time.Duration // before every answer
	Lifetime time.Duration // expires_in of new tokens; 0: not said, they live until revoked
	Early    time.Duration // how much earlier than said they end
	Rotate   bool          // a new token ends all others

	Refuse string         // an RFC 6749 error, such as invalid_client, instead of a token
	Status int            // of the refusal; 0: 400
	Extra  map[string]any // more members of the answer, or other values for its own
	Answer http.Handler   // answers instead: HTML, half an answer, nonsense
}

type issued struct {
	token   string
	expiry  time.Time // zero: never
	revoked bool
}

// Set changes the script for the requests that come after.
func (s *Server) Set(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Requests returns how many token requests came.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Refusals returns how many calls the resource answered with 401.
func (s *Server) Refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusals
}

// Problems lists what was wrong with token requests, in words without secrets.
func (s *Server) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

// Issued returns every token that was issued, in order.
func (s *Server) Issued() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var tokens []string
	for _, t := range s.issued {
		tokens = append(tokens, t.token)
	}
	return tokens
}

// Revoke ends every token issued so far.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.issued {
		s.issued[i].revoked = true
	}
}

// ServeHTTP answers for both servers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/token") {
		s.serveToken(w, r)
		return
	}
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !s.good(bearer) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	_, _ = fmt.Fprintln(w, `{"ok":true}`)
}

func (s *Server) good(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	i := slices.IndexFunc(s.issued, func(t issued) bool { return t.token == token })
	if i < 0 || s.issued[i].revoked || !s.issued[i].expiry.IsZero() && !now.Before(s.issued[i].expiry) {
		s.refusals++
		return false
	}
	return true
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	script := s.script
	s.mu.Unlock()
	select {
	case <-time.After(script.Delay):
	case <-r.Context().Done():
		return
	}
	code, problem := script.check(r)
	switch {
	case problem != "":
		s.mu.Lock()
		s.problems = append(s.problems, problem)
		s.mu.Unlock()
		status := http.StatusBadRequest
		if code == "invalid_client" {
			status = http.StatusUnauthorized
		}
		writeJSON(w, status, map[string]any{"error": code, "error_description": problem})
	case script.Answer != nil:
		script.Answer.ServeHTTP(w, r)
	case script.Refuse != "":
		status := script.Status
		if status == 0 {
			status = http.StatusBadRequest
		}
		writeJSON(w, status, merge(map[string]any{"error": script.Refuse}, script.Extra))
	default:
		writeJSON(w, http.StatusOK, s.issue(script))
	}
}

// issue makes a token and the answer that brings it.
func (s *Server) issue(script Script) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if script.Rotate {
		for i := range s.issued {
			s.issued[i].revoked = true
		}
	}
	t := issued{token: Marker()}
	answer := map[string]any{"access_token": t.token, "token_type": "Bearer"}
	if script.Lifetime > 0 {
		answer["expires_in"] = int(script.Lifetime.Seconds())
		t.expiry = s.now().Add(script.Lifetime - script.Early)
	}
	s.issued = append(s.issued, t)
	return merge(answer, script.Extra)
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// check returns the RFC 6749 error and what is wrong with a token request.
func (c Script) check(r *http.Request) (code, problem string) {
	if err := r.ParseForm(); err != nil {
		return "invalid_request", "the body is no form"
	}
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	switch {
	case c.ClientID == "" && c.ClientSecret == "":
	case basic != c.Basic:
		return "invalid_client", fmt.Sprintf("client authentication by Basic is %t, want %t", basic, c.Basic)
	case id != c.ClientID:
		return "invalid_client", "another client_id is expected"
	case secret != c.ClientSecret:
		return "invalid_client", "another client_secret is expected"
	}
	grant := r.PostForm.Get("grant_type")
	switch {
	case c.Grant != "" && grant != c.Grant:
		return "unsupported_grant_type", "grant_type must be " + c.Grant
	case c.Username != "" && r.PostForm.Get("username") != c.Username:
		return "invalid_grant", "another username is expected"
	case c.Password != "" && r.PostForm.Get("password") != c.Password:
		return "invalid_grant", "another password is expected"
	}
	return "", ""
}

func merge(answer, extra map[string]any) map[string]any {
	for name, value := range extra {
		answer[name] = value
	}
	return answer
}

func writeJSON(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // RFC 6749, section 5.1
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
