package main

import (
	"log"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// stdLog takes what others write with the standard log package: net/http tells there, in clear,
// what a system sends after the end of an answer. Runs under way log it at level debug. It may
// come after the end of a run, so the standard output of that package is never given back.
var stdLog logTap

type logTap struct {
	mu   sync.Mutex
	runs []*app
}

// join begins to tell a about it; leave ends that.
func (t *logTap) join(a *app) (leave func()) {
	log.SetFlags(0)
	log.SetOutput(t) // without the lock: log holds its own while it writes
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs = append(t.runs, a)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.runs = slices.DeleteFunc(t.runs, func(other *app) bool { return other == a })
	}
}

// quotedText is what a message repeats of an answer. It may hold half of a secret, which no
// redactor knows again.
var quotedText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// Write logs one message.
func (t *logTap) Write(p []byte) (int, error) {
	text := quotedText.ReplaceAllString(strings.TrimSpace(string(p)), `"…"`)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.runs {
		a.log.WithField("step", "log").Debug(text)
	}
	return len(p), nil
}
