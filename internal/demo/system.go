package demo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const loopback = "127.0.0.1"

// system is one pretend system. It checks what it is sent and counts what it answers.
type system struct {
	name   string // of the home that it goes with
	where  string // precedes its paths, where they could be taken for another's
	answer handler
	ledger *ledger
	tamper func(*system, reply) reply

	address string // where it listens; empty: a free port of loopback
	heard   func() // is told after each request; nil: nobody is

	server *http.Server
	port   int
	served sync.WaitGroup // the server, and each of its connections

	mu    sync.Mutex
	count count
}

// handler answers one request. It does not write: what it returns is counted first.
type handler func(*http.Request) reply

// reply is an answer, and what the ledger is told about it.
type reply struct {
	status int
	body   any // a string is sent as text, anything else as JSON
	header map[string]string
	login  bool     // the request asked for a token
	shows  []string // the credentials that came with the request, or go with the answer
}

// count is what a system has counted.
type count struct{ logins, refused, calls int }

func (c count) plus(other count) count {
	return count{c.logins + other.logins, c.refused + other.refused, c.calls + other.calls}
}

// String is such as: 2 logins, 1 refused, 7 calls.
func (c count) String() string {
	return fmt.Sprintf("%d logins, %d refused, %d calls", c.logins, c.refused, c.calls)
}

// listen starts the system.
func (s *system) listen() error {
	l, err := net.Listen("tcp", cmp.Or(s.address, net.JoinHostPort(loopback, "0")))
	if err != nil {
		return fmt.Errorf("pretend system %s: %w", s.name, err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	s.server = &http.Server{Handler: s, ConnState: s.connection,
		ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	s.served.Go(func() { _ = s.server.Serve(l) })
	return nil
}

// connection counts connections in and out. New ones are told of by Serve itself, so that the
// count cannot rise from zero.
func (s *system) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.served.Add(1)
	case http.StateClosed:
		s.served.Done()
	}
}

func (s *system) close() {
	if s.server != nil {
		_ = s.server.Close()
		s.served.Wait()
	}
}

// ServeHTTP answers, after the ledger knows.
func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rep := s.answer(r)
	if s.tamper != nil {
		rep = s.tamper(s, rep)
	}
	s.note(rep)
	s.ledger.add(s, r, rep)
	if s.heard != nil {
		s.heard()
	}
	for name, value := range rep.header {
		w.Header().Set(name, value)
	}
	text, plain := rep.body.(string)
	if !plain {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(rep.status)
		_ = json.NewEncoder(w).Encode(rep.body) // the caller may have left
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(rep.status)
	_, _ = io.WriteString(w, text)
}

func (s *system) note(rep reply) {
	good := rep.status < 400
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case rep.login && good:
		s.count.logins++
	case rep.login:
		s.count.refused++
	case good:
		s.count.calls++
	}
}

func (s *system) counted() count {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}
