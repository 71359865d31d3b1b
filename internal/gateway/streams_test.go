package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/internal/project"
)

// streaming is a system whose /ws is a WebSocket that echoes, and everything else events: one for
// each value that is sent to next.
func streaming(next <-chan struct{}) http.Handler {
	events := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/ws", upgrades("websocket"))
	mux.Handle("/", events)
	return mux
}

// reports is a caller with keys who may reach what the rules say.
func reports(allow string, keys ...string) []project.Caller {
	c := project.Caller{Name: "reports", Allow: []string{allow}}
	for _, key := range keys {
		c.KeySHA256 = append(c.KeySHA256, sha(key))
	}
	return []project.Caller{c}
}

// reload serves the adapter acme, opened anew, to these callers from now on.
func (p *proxied) reload(t *testing.T, callers []project.Caller, adapters ...string) {
	t.Helper()
	config := Config{Adapters: map[string]*adapter.Adapter{}}
	if callers != nil {
		config.Callers = callersOf(t, callers...)
	}
	for _, name := range adapters {
		config.Adapters[name] = p.open(t)
	}
	p.gateway.options.Load = func() (Config, error) { return config, nil }
	if err := p.gateway.Reload(); err != nil {
		t.Fatal(err)
	}
}

// stream begins a stream with the key «first».
func (p *proxied) stream(t *testing.T, path string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn, r := p.raw(t, "GET /proxy/acme"+path+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer first\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("got %v %v, want a stream", res, err)
	}
	return conn, r, res
}

func TestAReloadCutsTheStreamsOfWhoIsShutOut(t *testing.T) {
	other := project.Caller{Name: "other", KeySHA256: project.Texts{sha("other")}, Allow: []string{"*"}}
	for _, tt := range []struct {
		name     string
		callers  []project.Caller
		adapters string
		cut      bool
	}{
		{"nothing has changed", reports("acme/*", "first"), "acme", false},
		{"a second key", reports("acme/*", "second", "first"), "acme", false},
		{"his key is gone", reports("acme/*", "second"), "acme", true},
		{"the caller is gone", []project.Caller{other}, "acme", true},
		{"his key is another's, who may", []project.Caller{{Name: "new", KeySHA256: project.Texts{sha("first")}, Allow: []string{"acme/GET /*"}}}, "acme", false},
		{"another adapter is all he has", reports("billing/*", "first"), "acme", true},
		{"another method is all he has", reports("acme/POST /*", "first"), "acme", true},
		{"the adapter is gone", reports("acme/*", "first"), "billing", true},
		{"everybody may", nil, "acme", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{})
			p := (&proxied{system: streaming(next), set: func(c *Config) { c.Callers = callersOf(t, reports("acme/*", "first")...) }}).start(t)
			conn, socket, _ := p.stream(t, "/ws")
			_, _, events := p.stream(t, "/events")
			p.reload(t, tt.callers, tt.adapters)
			if tt.cut {
				if _, err := socket.ReadByte(); err == nil {
					t.Error("the WebSocket is still open")
				}
				if _, err := io.ReadAll(events.Body); err == nil {
					t.Error("the stream of events has an end, want that it breaks off")
				}
				return
			}
			_, _ = io.WriteString(conn, "ping")
			expect(t, socket, "ping")
			next <- struct{}{}
			expect(t, events.Body, "data: x\n\n")
		})
	}
}

func TestWhoBecomesAStreamDuringAReloadIsShutOutToo(t *testing.T) {
	p := (&proxied{system: streaming(nil), set: func(c *Config) { c.Callers = callersOf(t, reports("acme/*", "first")...) }}).start(t)
	r := httptest.NewRequest(http.MethodGet, "/proxy/acme/ws", nil)
	r.Header.Set("Authorization", "Bearer first")
	x := &exchange{gateway: p.gateway, served: p.gateway.hold(), holds: true, request: r, adapter: "acme", w: new(recorder)}
	p.reload(t, reports("acme/*", "second"), "acme") // x is none yet
	cut := false
	defer x.follow(func() { cut = true }).end()
	if !cut {
		t.Error("the stream goes on, want it cut: its key was gone when it began")
	}
}

func TestATokensStreamEndsWithItsSubjectAndNotWithItsTime(t *testing.T) {
	callers := func(subject, issuer string) *Callers {
		s, err := NewCallers([]project.Caller{{Name: "robot", Subject: subject}}, project.OIDC{Issuer: issuer, Audience: "keyhitch"}, Targets{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	old, r := callers("robot-7", "https://issuer.example"), shown("Bearer any.old.token")
	token := old.accepted(r, old.list[0])
	for _, tt := range []struct {
		name  string
		now   *Callers
		known bool
	}{
		{"as it was", callers("robot-7", "https://issuer.example"), true},
		{"another subject", callers("robot-8", "https://issuer.example"), false},
		{"another issuer", callers("robot-7", "https://other.example"), false},
		{"no issuer", callersOf(t, reports("*", "key")...), false},
		{"no callers", nil, true},
	} {
		if _, known := tt.now.recognize(r, token); known != tt.known {
			t.Errorf("%s: got known %v, want %v", tt.name, known, tt.known)
		}
	}
	if _, known := callers("robot-7", "https://issuer.example").recognize(shown(), accepted{}); known {
		t.Error("who showed nothing is known, want him shut out when callers are listed")
	}
}

func TestAStreamDoesNotHoldWhatItBeganOn(t *testing.T) {
	for _, path := range []string{"/ws", "/events"} {
		released, next := make(chan struct{}), make(chan struct{})
		p := (&proxied{system: streaming(next), set: func(c *Config) { c.Release = func() { close(released) } }}).start(t)
		conn, r, res := p.stream(t, path)
		p.reload(t, nil, "acme")
		<-released // or the test hangs
		if path == "/ws" {
			_, _ = io.WriteString(conn, "ping")
			expect(t, r, "ping")
			continue
		}
		next <- struct{}{}
		expect(t, res.Body, "data: x\n\n")
	}
}

// quietStream is a stream between two pipes, and their far ends.
func quietStream(idle time.Duration) (s *stream, near, far [2]net.Conn) {
	near[0], far[0] = net.Pipe()
	near[1], far[1] = net.Pipe()
	x := &exchange{gateway: new(Gateway), served: &served{Config: Config{Limits: Limits{StreamIdle: idle}}},
		request: httptest.NewRequest(http.MethodGet, "/proxy/acme/ws", nil)}
	return x.follow(func() { _ = near[0].Close(); _ = near[1].Close() }), near, far
}

func TestASilentStreamIsClosedAndATalkingOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, near, far := quietStream(time.Minute)
		ended := make(chan time.Time)
		go func() {
			s.join(near[0], near[0], near[1])
			s.end()
			ended <- time.Now()
		}()
		for n := range 4 { // each side says something within the minute
			time.Sleep(50 * time.Second)
			_, _ = io.WriteString(far[n%2], "x")
			expect(t, far[1-n%2], "x")
		}
		last := time.Now()
		if took := (<-ended).Sub(last); took != time.Minute {
			t.Errorf("closed %s after the last byte, want a minute", took)
		}
	})
}

func TestAStreamWithoutALimitMayBeSilentForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, near, far := quietStream(-1)
		ended := make(chan struct{})
		go func() { s.join(near[0], near[0], near[1]); s.end(); close(ended) }()
		time.Sleep(1000 * time.Hour)
		_, _ = io.WriteString(far[0], "x")
		expect(t, far[1], "x")
		_ = far[0].Close()
		<-ended
	})
}

func TestCloseWaitsForStreamsAndCutsThemAtTheEndOfItsPatience(t *testing.T) {
	p := (&proxied{system: streaming(nil)}).start(t)
	conn, r, _ := p.stream(t, "/ws")
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan error)
	go func() { closed <- p.gateway.Close(ctx) }()
	for s := p.gateway.hold(); s != nil; s = p.gateway.hold() { // until Close waits
		s.access.RUnlock()
	}
	_, _ = io.WriteString(conn, "ping")
	expect(t, r, "ping")
	cancel()
	if err := <-closed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that a stream was left", err)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the stream is still open")
	}
}

func TestOpenStreamsAreCounted(t *testing.T) {
	m := NewMetrics()
	open := func() float64 { return testutil.ToFloat64(m.streams.WithLabelValues("acme")) }
	x := &exchange{gateway: &Gateway{options: Options{Metrics: m}}, served: new(served), adapter: "acme",
		request: httptest.NewRequest(http.MethodGet, "/proxy/acme/ws", nil)}
	s := x.follow(func() {})
	during := open()
	if s.end(); during != 1 || open() != 0 {
		t.Errorf("got %v open, then %v, want 1, then 0", during, open())
	}
}

func TestReloadsInQuickSuccessionAndDuringTheEndLoseNoCall(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	var released sync.WaitGroup
	p.gateway.options.Load = func() (Config, error) {
		released.Add(1)
		return Config{Adapters: map[string]*adapter.Adapter{"acme": p.open(t)}, Release: released.Done}, nil
	}
	var calls, reloads sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			for range 25 {
				if res, body := p.do(t, http.MethodGet, "/", "", nil); res.StatusCode != 200 {
					t.Errorf("got %d %s during reloads", res.StatusCode, body)
				}
			}
		})
		reloads.Go(func() {
			for range 5 {
				if err := p.gateway.Reload(); err != nil && !errors.Is(err, errClosed) {
					t.Error(err)
				}
			}
		})
	}
	calls.Wait()
	if err := p.gateway.Close(t.Context()); err != nil { // reloads may still go on
		t.Error(err)
	}
	reloads.Wait()
	released.Wait() // each is given back, once
	if err := p.gateway.Reload(); !errors.Is(err, errClosed) {
		t.Errorf("got %v from a reload after the end, want %v", err, errClosed)
	}
}

func TestTheAccessLogGoesWhereItIsTold(t *testing.T) {
	var lines, plain strings.Builder
	f := newAPIGateway(t, apiOptions{})
	logger := logrus.New()
	logger.SetOutput(&plain)
	f.Gateway.options.AccessLog, f.Gateway.options.Log = &lines, logger
	for n, on := range []bool{false, true, false} {
		f.Gateway.LogPlainly(on)
		f.ask(t, keyAll, "GET", fmt.Sprintf("/v1/adapters?n=%d", n), "")
	}
	if got, want := strings.Count(lines.String(), "\n"), 2; got != want {
		t.Errorf("got %d lines in the access log, want %d: %s", got, want, lines.String())
	}
	if got := strings.Count(plain.String(), "msg="+accessMessage); got != 1 {
		t.Errorf("got %d lines in the log, want 1: %s", got, plain.String())
	}
}
