package demo

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/keyhitch/keyhitch/auth"
)

// ledger holds what reached the systems, in order of arrival, with fingerprints where
// credentials were.
type ledger struct {
	keys *auth.Keyer

	mu    sync.Mutex
	hits  []hit
	known map[*system][]string // fingerprints in order of appearance
}

// hit is one request and its answer.
type hit struct {
	where        string // nothing for the chapter's own system
	method, path string
	status       int
	login        bool
	prints       []string // of the credentials
	numbers      []int    // of the same: which one of its system's it is, from 1
}

func (l *ledger) add(s *system, r *http.Request, rep reply) {
	h := hit{where: s.where, method: r.Method, path: r.URL.Path, status: rep.status, login: rep.login}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, credential := range rep.shows {
		if credential != "" {
			seen := l.keys.Fingerprint(auth.NewSecret(credential))
			h.prints = append(h.prints, seen)
			h.numbers = append(h.numbers, l.number(s, seen))
		}
	}
	l.hits = append(l.hits, h)
}

func (l *ledger) number(s *system, fingerprint string) int {
	if l.known == nil {
		l.known = map[*system][]string{}
	}
	i := slices.Index(l.known[s], fingerprint)
	if i < 0 {
		i = len(l.known[s])
		l.known[s] = append(l.known[s], fingerprint)
	}
	return i + 1
}

// take returns what came since the last take.
func (l *ledger) take() []hit {
	l.mu.Lock()
	defer l.mu.Unlock()
	hits := l.hits
	l.hits = nil
	return hits
}

// numbered names credentials as the story does: #1, #2.
func (h hit) numbered() string {
	marks := make([]string, len(h.numbers))
	for i, n := range h.numbers {
		marks[i] = fmt.Sprintf("#%d", n)
	}
	return h.text(marks)
}

// printed names credentials by their fingerprints.
func (h hit) printed() string {
	marks := make([]string, len(h.prints))
	for i, fingerprint := range h.prints {
		marks[i] = "#" + fingerprint
	}
	return h.text(marks)
}

func (h hit) text(marks []string) string {
	text := fmt.Sprintf("%s%s %s → %d", h.where, h.method, h.path, h.status)
	switch {
	case len(marks) > 0:
		return text + " " + strings.Join(marks, "+")
	case !h.login:
		return text + " no credentials"
	}
	return text
}

// wire writes hits in one line; what repeats is counted.
func wire(hits []hit, text func(hit) string) string {
	var parts []string
	for i := 0; i < len(hits); {
		part, n := text(hits[i]), 1
		for i+n < len(hits) && text(hits[i+n]) == part {
			n++
		}
		if i += n; n > 1 {
			part = fmt.Sprintf("%d × %s", n, part)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
