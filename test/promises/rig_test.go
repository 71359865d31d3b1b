package promises

import (
	"flag"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth/authtest"
)

var (
	full   = flag.Bool("full", false, "run the promises' table figures instead of seconds")
	seeded = flag.Uint64("seed", 0, "run the random schedules of this seed again")
)

// scaled returns what fits seconds, or with -full what the table asks for.
func scaled[T any](short, long T) T {
	if *full {
		return long
	}
	return short
}

// seed returns a source of chance and says how to run the same again.
func seed(t testing.TB) *rand.Rand {
	t.Helper()
	s := *seeded
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("again by: go test ./test/promises -run '^%s$' -seed %d", t.Name(), s)
	return rand.New(rand.NewPCG(s, 0))
}

// system is an authorization server and the API beside it, with a log of what they were sent.
type system struct {
	*authtest.Server
	URL  string
	wire http.RoundTripper // how a process gets there without sockets; nil: by its own connections

	mu    sync.Mutex
	serve http.HandlerFunc // answers API calls instead of the Server; nil: the Server does
	log   []entry
}

// entry is one answered request.
type entry struct {
	at     time.Time // when it came
	path   string
	token  string // the access token it was sent with
	status int
}

// newSystem serves a system on a loopback port. Tokens live for an hour until Set says otherwise.
func newSystem(t testing.TB) *system {
	t.Helper()
	s := newUnserved("")
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// newBubbled returns a system that is reached without sockets, for a synctest bubble.
func newBubbled(testing.TB) *system {
	s := newUnserved("https://system.example")
	s.wire = authtest.Wire{Handler: s}
	return s
}

func newUnserved(url string) *system {
	s := &system{Server: new(authtest.Server), URL: url}
	s.Set(authtest.Script{Lifetime: time.Hour})
	return s
}

// answer lets h answer the API calls that come from now on; nil: the authtest.Server does.
func (s *system) answer(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = h
}

// ServeHTTP answers and logs. The log is complete before the caller has the whole answer, unless
// that is longer than net/http's buffer or was flushed.
func (s *system) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := entry{at: time.Now(), path: r.URL.Path}
	e.token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	out := &statusWriter{ResponseWriter: w}
	defer func() { // an aborted answer is an answer too
		e.status = out.status
		s.mu.Lock()
		defer s.mu.Unlock()
		s.log = append(s.log, e)
	}()
	s.mu.Lock()
	serve := s.serve
	s.mu.Unlock()
	if serve == nil || r.URL.Path == "/token" {
		serve = s.Server.ServeHTTP
	}
	serve(out, r)
}

// statusWriter remembers the status; 0: nothing was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the status that goes without saying.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush and hijack.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// entries returns the log, in the order of the answers.
func (s *system) entries() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]entry(nil), s.log...)
}

// calls returns the API calls in the log.
func (s *system) calls() []entry {
	return keep(s.entries(), func(e entry) bool { return e.path != "/token" })
}

// tokenRequests returns the token requests in the log.
func (s *system) tokenRequests() []entry {
	return keep(s.entries(), func(e entry) bool { return e.path == "/token" })
}

// refused returns the calls that came with a token that was no good any more: expired or revoked.
func (s *system) refused() []entry {
	return keep(s.calls(), func(e entry) bool { return e.status == http.StatusUnauthorized })
}

func keep(log []entry, which func(entry) bool) []entry {
	var kept []entry
	for _, e := range log {
		if which(e) {
			kept = append(kept, e)
		}
	}
	return kept
}
