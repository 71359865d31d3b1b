package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/project"
)

// clocked is a gateway whose logins are refused as long as refuse is set, with a clock of its own.
type clocked struct {
	*faulty
	refuse atomic.Bool
	later  atomic.Int64 // than the beginning
}

func newClocked(t *testing.T, caller project.Caller) *clocked {
	t.Helper()
	c, began := &clocked{}, time.Now()
	clock := func() time.Time { return began.Add(time.Duration(c.later.Load())) }
	c.faulty = (&faulty{now: clock, caller: caller, login: func(w http.ResponseWriter, _ *http.Request) {
		if c.refuse.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"token":"`+apiToken+`"}`)
	}}).start(t)
	c.gateway.now = clock
	return c
}

func (c *clocked) pass(d time.Duration) { c.later.Add(int64(d)) }

// ask sends a request and returns the status.
func (c *clocked) ask(t *testing.T, method, path, body string) int {
	w := httptest.NewRecorder()
	c.gateway.ServeHTTP(w, c.request(t, method, path, body))
	return w.Code
}

func (c *clocked) state() string { return c.gateway.current.Load().health.of("acme").state() }

func TestCallsTellWhetherTheAdapterIsReady(t *testing.T) {
	for _, path := range []string{"/proxy/acme/x", getDevice} {
		c := newClocked(t, project.Caller{})
		c.refuse.Store(true)
		const body = `{"uriPathVars":["7"]}`
		if got := c.ask(t, "POST", path, body); got != http.StatusBadGateway || c.state() != stateNotReady {
			t.Errorf("%s: got %d and the state %s after a refused login, want %s", path, got, c.state(), stateNotReady)
		}
		c.refuse.Store(false)
		c.pass(10 * time.Second)
		if got := c.ask(t, "POST", path, body); got != http.StatusOK || c.state() != stateReady {
			t.Errorf("%s: got %d and the state %s after a good login, want %s", path, got, c.state(), stateReady)
		}
		if c.logins.Load() != 2 {
			t.Errorf("%s: got %d logins, want those of the two calls alone", path, c.logins.Load())
		}
	}
}

func TestAnotherLoginThanTheAdaptersSaysNothingOfIt(t *testing.T) {
	c := newClocked(t, project.Caller{May: []string{mayAuthData}})
	if got := c.ask(t, "POST", getDevice, `{"uriPathVars":["7"],"authData":{"username":"else","password":"wrong"}}`); got == http.StatusOK {
		t.Fatalf("got %d, want the other login to fail", got)
	}
	if c.logins.Load() != 1 || c.state() != stateUnknown {
		t.Errorf("got the state %s after %d logins, want %s after 1", c.state(), c.logins.Load(), stateUnknown)
	}
}

// Others renew in the background what calls still use: an old token does not hide that this is refused.
func TestAnOldTokenDoesNotMakeAnAdapterReady(t *testing.T) {
	c := newClocked(t, project.Caller{})
	if got := c.ask(t, "GET", "/proxy/acme/x", ""); got != http.StatusOK {
		t.Fatalf("got %d, want the first login to work", got)
	}
	c.pass(time.Second)
	c.refuse.Store(true)
	if got := c.ask(t, "POST", credential+":refresh", ""); got != http.StatusBadGateway || c.state() != stateNotReady {
		t.Fatalf("got %d, state %s, want a refused refresh", got, c.state())
	}
	c.pass(2 * time.Second)
	if got := c.ask(t, "GET", "/proxy/acme/x", ""); got != http.StatusOK || c.state() != stateNotReady {
		t.Errorf("got %d, state %s, want a good answer with the old token, and still %s", got, c.state(), stateNotReady)
	}
}

func TestAFailedLoginOfACallBringsNoLoginsInTheBackground(t *testing.T) {
	var h health
	now := time.Now()
	h.note("acme", now, nil)
	h.heard("acme", now.Add(time.Second), now.Add(time.Second), &auth.TokenError{Status: 503})
	a := &fakeAdapter{}
	if err := look(t.Context(), h.of("acme"), a); err == nil || a.asked != 0 {
		t.Errorf("got %v after %d checks, want what the call told and none", err, a.asked)
	}
}

func TestManyFailedCallsCountAsOne(t *testing.T) {
	var h health
	now := time.Now()
	for range 1000 {
		h.heard("acme", now, now, &auth.TokenError{Status: 401, RetryAfter: 2 * time.Second})
	}
	if v := h.of("acme"); v.failures != 1 || v.resume.Sub(now) != 2*time.Second || h.sick.Load() != 1 {
		t.Errorf("got %d failures, a rest of %s and %d sick adapters, want 1, the engine's 2 s and 1", v.failures, v.resume.Sub(now), h.sick.Load())
	}
	h.note("acme", now.Add(time.Second), nil)
	h.heard("acme", now, now.Add(2*time.Second), &auth.TokenError{Status: 401})
	if h.of("acme").state() != stateReady || h.sick.Load() != 0 {
		t.Errorf("got the state %s and %d sick adapters, want a call that began before to change nothing", h.of("acme").state(), h.sick.Load())
	}
}

// Another gateway may have logged in before the last call hears of the pause.
func TestATokenThatIsNewerThanTheFailureCounts(t *testing.T) {
	var h health
	now := time.Now()
	h.note("acme", now, nil)
	h.heard("acme", now.Add(time.Second), now.Add(time.Second), &auth.TokenError{Status: 503})
	obtained := now.Add(2 * time.Second)
	h.heard("acme", now.Add(3*time.Second), now.Add(3*time.Second), &auth.TokenError{Status: 503})
	if err := look(t.Context(), h.of("acme"), &fakeAdapter{tokens: []auth.TokenInfo{{Obtained: obtained}}}); err != nil {
		t.Errorf("got %v, want the token to make the adapter ready", err)
	}
}

func TestWhileLoginsRestEveryCallHearsHowLong(t *testing.T) {
	c := newClocked(t, project.Caller{})
	c.refuse.Store(true)
	for _, want := range []string{"2", "1", "1"} { // of 1 s and at most a quarter
		w := httptest.NewRecorder()
		c.gateway.ServeHTTP(w, c.request(t, "GET", "/proxy/acme/x", ""))
		if got := w.Header().Get("Retry-After"); got != want || !strings.Contains(w.Body.String(), `"retryable":false`) {
			t.Errorf("got Retry-After %q with %s, want %s, and not retryable", got, w.Body, want)
		}
		c.pass(400 * time.Millisecond)
	}
	if c.logins.Load() != 1 {
		t.Errorf("got %d logins, want 1", c.logins.Load())
	}
}
