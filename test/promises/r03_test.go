package promises

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
)

// fault is one step at which a token request can fail: on the way there, or in the answer.
type fault struct {
	name   string
	host   func(t *testing.T) string // goes there instead of to the endpoint
	scheme string
	answer http.Handler
	wait   time.Duration // of one token request
	want   string        // in the error
}

const crowdSize = 50

var faults = []fault{
	{name: "dial", host: closedPort, want: "connection refused"},
	{name: "hang up", host: hangsUp, want: "token endpoint"},
	{name: "TLS", host: untrusted, scheme: "https", want: "certificate"},
	{name: "500", answer: status(http.StatusInternalServerError), want: "(status 500)"},
	{name: "bad JSON", answer: body(200, `{"access_token":`), want: "not JSON"},
	{name: "cut body", answer: cut(`{"access_token":"ha`), want: "cut off"},
	{name: "abort", answer: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), want: "EOF"},
	{name: "hang", answer: hangs(), wait: 300 * time.Millisecond, want: "no answer in time"},
}

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().String()
}

func hangsUp(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

func untrusted(t *testing.T) string {
	server := httptest.NewUnstartedServer(status(http.StatusOK))
	server.Config.ErrorLog = quiet // it complains about our mistrust
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func body(status int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	})
}

// cut promises more than it sends.
func cut(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(text))
	})
}

func hangs() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

func TestR3WhateverFailsTheNextCallTriesAgain(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() {
		measured(t, "R3", "%d faults from dial to body: one error each, and the next call succeeded at once", len(faults))
	})
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s, p, heal := f.strike(t)
			err := failed(t, p, f.want)
			heal()
			p.want(t)
			if n := len(s.calls()); n != 1 {
				t.Errorf("%d calls reached the API after %v, want 1: the one with a token", n, err)
			}
		})
	}
}

func TestR3NobodyHangsWhateverFails(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() {
		measured(t, "R3", "%d callers at each of them: all came back with the cause", crowdSize)
	})
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			_, p, heal := f.strike(t)
			all(crowdSize, func(int) { failed(t, p, f.want) })
			heal()
			status, deadline := 0, time.Now().Add(20*time.Second)
			for status != http.StatusOK && time.Now().Before(deadline) {
				status, _ = p.call(t.Context()) // some came when the first had failed, so there is a pause
				time.Sleep(20 * time.Millisecond)
			}
			if status != http.StatusOK {
				t.Errorf("got status %d long after the endpoint was well again, want 200", status)
			}
		})
	}
}

// strike starts a system with the fault, and a process; heal ends the fault.
func (f fault) strike(t *testing.T) (s *system, p *process, heal func()) {
	t.Helper()
	s = newSystem(t)
	s.Set(authtest.Script{Answer: f.answer, Lifetime: time.Hour})
	var healed atomic.Bool
	base, host := s.way(t, nil), ""
	if f.host != nil {
		host = f.host(t)
	}
	p = s.process(t, options{Wait: f.wait, Base: tripper(func(req *http.Request) (*http.Response, error) {
		if host == "" || healed.Load() || req.URL.Path != "/token" {
			return base.RoundTrip(req)
		}
		return base.RoundTrip(elsewhere(req, f.scheme, host))
	})})
	return s, p, func() {
		healed.Store(true)
		s.Set(lives(time.Hour))
	}
}

// elsewhere is the request to another host.
func elsewhere(req *http.Request, scheme, host string) *http.Request {
	out := req.Clone(req.Context())
	out.URL.Host, out.Host = host, host
	if scheme != "" {
		out.URL.Scheme = scheme
	}
	return out
}

// failed fails unless a call comes back in time with a token error of this cause.
func failed(t *testing.T, p *process, cause string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := p.call(ctx)
	if !errors.As(err, new(*auth.TokenError)) || !strings.Contains(err.Error(), cause) || ctx.Err() != nil {
		t.Errorf("got %v, want a token error with %q", err, cause)
	}
	return err
}
