package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the pretend system knows: its only user.
const (
	pretendUser     = "ann"
	pretendPassword = "correct-horse-battery"
	staticToken     = "static-token-of-ann"
)

// pretend is a system with a login, a few resources and a memory of what it was sent.
type pretend struct {
	URL, Host, Port string
	close           func()
	password        string
	token           func(n int) string // the n-th token

	mu     sync.Mutex
	log    []string // METHOD /path, as requests came
	whole  []string // the same requests as HTTP text
	valid  string   // the token that is good now; the static one always is
	tokens int
	answer map[string]http.HandlerFunc // METHOD /path: what is answered instead
}

func newPretend() *pretend {
	p := &pretend{password: pretendPassword, answer: map[string]http.HandlerFunc{},
		token: func(n int) string { return fmt.Sprintf("session-%d-of-ann", n) }}
	server := httptest.NewServer(p)
	p.close = server.Close
	u, _ := url.Parse(server.URL)
	p.URL, p.Host, p.Port = server.URL, u.Hostname(), u.Port()
	return p
}

// pretending starts a system for one test, and a copy of the home acme that points to it.
func pretending(t testing.TB) (*pretend, string) {
	t.Helper()
	p := newPretend()
	t.Cleanup(p.close)
	home := filepath.Join(t.TempDir(), "acme")
	if err := copyHome(home, p.Port); err != nil {
		t.Fatal(err)
	}
	return p, home
}

// copyHome writes testdata/acme to home, with the system's port in its instance.
func copyHome(home, port string) error {
	if err := os.CopyFS(home, os.DirFS(filepath.Join("testdata", "acme"))); err != nil {
		return err
	}
	file := filepath.Join(home, "service-instance.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.Replace(string(data), "8080", port, 1)), 0o600)
}

// instead makes the system answer differently at METHOD /path.
func (p *pretend) instead(what string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer[what] = h
}

// count returns how many requests came for METHOD /path; "" counts them all.
func (p *pretend) count(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, line := range p.log {
		if what == "" || line == what {
			n++
		}
	}
	return n
}

// summary names all requests, in the order they came.
func (p *pretend) summary() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, ", ")
}

// sent returns all requests as HTTP text, from the given one on.
func (p *pretend) sent(from int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.whole[min(from, len(p.whole)):], "\n")
}

// ServeHTTP notes the request and answers it.
func (p *pretend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	what := r.Method + " " + r.URL.Path
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s\n", r.Method, r.RequestURI)
	_ = r.Header.Write(&text)
	p.mu.Lock()
	p.log = append(p.log, what)
	p.whole = append(p.whole, strings.ReplaceAll(text.String(), "\r", "")+"\n"+string(body))
	instead := p.answer[what]
	valid := p.valid
	p.mu.Unlock()
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	switch {
	case instead != nil:
		instead(w, r)
	case what == "POST /api/login":
		p.login(w, body)
	case !slices.Contains([]string{valid, staticToken}, r.Header.Get("X-Auth-Token")):
		answer(w, 401, object{"message": "log in first"})
	default:
		serve(w, r, body)
	}
}

func (p *pretend) login(w http.ResponseWriter, body []byte) {
	var in struct{ User, Pass string }
	if json.Unmarshal(body, &in) != nil || in.User != pretendUser || in.Pass != p.password {
		answer(w, 401, object{"error": "invalid_grant", "error_description": "wrong user or password"})
		return
	}
	p.mu.Lock()
	p.tokens++
	p.valid = p.token(p.tokens)
	sid := p.valid
	p.mu.Unlock()
	answer(w, 200, object{"sid": sid, "csrf": "second-" + sid})
}

type object = map[string]any

// serve answers who is logged in.
func serve(w http.ResponseWriter, r *http.Request, body []byte) {
	path := strings.TrimPrefix(r.URL.Path, "/api")
	last := path[strings.LastIndex(path, "/")+1:]
	switch {
	case strings.HasPrefix(path, "/echo"):
		answer(w, 200, object{"method": r.Method, "uri": r.RequestURI, "type": r.Header.Get("Content-Type"),
			"mark": r.Header.Get("X-Mark"), "body": string(body)})
	case strings.HasPrefix(path, "/status/"):
		status, _ := strconv.Atoi(last)
		answer(w, status, object{"message": "as you wish: " + last})
	case path == "/odd/slow":
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	case path == "/text":
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "plain text\n")
	case path == "/health":
		answer(w, 200, object{"ok": true})
	case path == "/devices" && r.Method == http.MethodPost:
		in := object{}
		_ = json.Unmarshal(body, &in)
		in["id"] = 9
		answer(w, 201, in)
	case path == "/devices":
		answer(w, 200, []object{{"id": 7, "hostname": "r7", "oper_up": true}, {"id": 8, "hostname": "r8", "oper_up": false}})
	case strings.HasPrefix(path, "/devices/"):
		id, _ := strconv.Atoi(last)
		answer(w, 200, object{"id": id, "hostname": "r" + last, "oper_up": true, "extra": "untold"})
	default:
		answer(w, 404, object{"message": "no such thing"})
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Del("Date")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
