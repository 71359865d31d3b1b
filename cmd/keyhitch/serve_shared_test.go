package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/gateway"
	"github.com/keyhitch/keyhitch/internal/project"
)

func TestWhatLoadsHaveInCommonIsClosedByTheLast(t *testing.T) {
	opened, closed := 0, 0
	c := common[string, int]{close: func(int) { closed++ }}
	open := func() (int, error) { opened++; return opened, nil }
	take := func(want int) (back func()) {
		t.Helper()
		got, back, err := c.take("here", open)
		if got != want || err != nil {
			t.Errorf("got the %d. one and error %v, want the %d.", got, err, want)
		}
		return back
	}
	first, second := take(1), take(1)
	first()
	first() // counts once
	if closed != 0 {
		t.Error("closed while somebody has it")
	}
	third := take(1)
	second()
	if third(); closed != 1 {
		t.Errorf("closed %d times, want once", closed)
	}
	if take(2)(); closed != 2 {
		t.Errorf("closed %d times, want the one that was opened anew closed too", closed)
	}
	if _, _, err := c.take("there", func() (int, error) { return 0, errors.New("no") }); err == nil || len(c.by) != 0 {
		t.Errorf("got error %v and %d left, want an error and none", err, len(c.by))
	}
}

func TestALoadThatFailsKeepsNothingOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keyhitch.yaml")
	put(t, filepath.Join(dir, "acme.yaml"), "baseUrl: http://127.0.0.1:1\nauthType: none\n")
	a := &app{err: io.Discard, redact: new(auth.Redactor), project: file}
	a.log = a.newLog()
	s := newServer(a)
	s.metrics = gateway.NewMetrics()
	var err error
	if s.keys, err = auth.NewKeyer(nil); err != nil {
		t.Fatal(err)
	}
	put(t, file, "adapters: {acme: {config: acme.yaml}}\ngateway: {callers: [{name: nobody}]}\n")
	if _, err := s.load(); err == nil || len(s.links.by) != 0 {
		t.Errorf("got error %v and %d transports, want an error and none", err, len(s.links.by))
	}
	put(t, file, "adapters: {acme: {config: acme.yaml}}\n")
	config, err := s.load()
	if err != nil || len(s.links.by) != 1 {
		t.Fatalf("got error %v and %d transports, want one", err, len(s.links.by))
	}
	if config.Release(); len(s.links.by) != 0 {
		t.Error("the transport is still there, want it closed with its only load")
	}
}

func TestLimitsOfTheProjectFileCount(t *testing.T) {
	g := project.Gateway{AnswerSeconds: 7, StreamIdleSeconds: 8}
	if got := wireOf(g).ResponseHeaderTimeout; got != 7*time.Second {
		t.Errorf("got %s for an answer, want 7 s", got)
	}
	if got := limits(g).StreamIdle; got != 8*time.Second {
		t.Errorf("got %s for a silent stream, want 8 s", got)
	}
	if got := limits(project.Gateway{}).StreamIdle; got >= 0 {
		t.Errorf("got %s for a silent stream where the file says 0, want no limit", got)
	}
}

// net/http's Transport would leave a goroutine for each connection.
func TestWhatIsServedGoesOutInTheRequestsOwnGoroutine(t *testing.T) {
	system := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer system.Close()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "acme.yaml"), "baseUrl: "+system.URL+"\nauthType: none\n")
	put(t, filepath.Join(dir, "slow.yaml"), "baseUrl: "+system.URL+"\nauthType: none\ntimeout: 7\n")
	put(t, filepath.Join(dir, "keyhitch.yaml"), "adapters: {acme: {config: acme.yaml}, slow: {config: slow.yaml}}\n")
	a := &app{err: io.Discard, redact: new(auth.Redactor), project: filepath.Join(dir, "keyhitch.yaml")}
	a.log = a.newLog()
	s := newServer(a)
	s.metrics = gateway.NewMetrics()
	var err error
	if s.keys, err = auth.NewKeyer(nil); err != nil {
		t.Fatal(err)
	}
	config, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	defer config.Release()
	for name, served := range config.Adapters {
		res, err := served.Request(t.Context(), http.MethodGet, "/x", http.Header{"Accept-Encoding": {"identity"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		stacks := make([]byte, 1<<20)
		if stacks = stacks[:runtime.Stack(stacks, true)]; strings.Contains(string(stacks), "persistConn).readLoop") {
			t.Errorf("%s: the connection has a goroutine of its own", name)
		}
		if err := served.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
