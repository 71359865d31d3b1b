package gateway

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// checks runs the schedule of one adapter for a while and returns when it was checked, in seconds.
func checks(h *health, every, last time.Duration, outcome func() error) []int {
	var at []int
	start := time.Now()
	for ; time.Since(start) < last; time.Sleep(time.Second) {
		if h.begin("acme", time.Now()) {
			at = append(at, int(time.Since(start)/time.Second))
			h.end("acme", time.Now(), outcome(), every)
		}
	}
	return at
}

func TestChecksComeInGrowingPausesUntilTheAdapterIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h health
		left := 5
		at := checks(&h, 10*time.Second, time.Hour, func() error {
			if left--; left > 0 {
				return &auth.TokenError{Status: 503}
			}
			return nil
		})
		want := []int{0, 10, 30, 70, 150}
		if len(at) != len(want) {
			t.Fatalf("checked at %v, want %v", at, want)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("checked at %v, want %v", at, want)
				break
			}
		}
		if h.of("acme").state() != stateReady {
			t.Errorf("the state is %s", h.of("acme").state())
		}
	})
}

// fakeAdapter counts its checks.
type fakeAdapter struct {
	err    error
	asked  int
	tokens []auth.TokenInfo
}

func (f *fakeAdapter) Check(context.Context) error             { f.asked++; return f.err }
func (f *fakeAdapter) Tokens(context.Context) []auth.TokenInfo { return f.tokens }

func TestNoLoginFollowsARefusedOne(t *testing.T) {
	for name, err := range map[string]error{"400": &auth.TokenError{Status: 400}, "401": &auth.TokenError{Status: 401}, "403": &auth.TokenError{Status: 403}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h health
				a := &fakeAdapter{err: err}
				day := func() {
					checks(&h, time.Second, 24*time.Hour, func() error { return look(t.Context(), h.of("acme"), a) })
				}
				if day(); a.asked != 1 || h.of("acme").state() != stateNotReady {
					t.Errorf("asked %d times within a day, want once; the state is %s", a.asked, h.of("acme").state())
				}
				a.tokens = []auth.TokenInfo{{Obtained: time.Now()}} // a call was luckier
				time.Sleep(time.Second)
				if day(); a.asked != 1 || h.of("acme").state() != stateReady {
					t.Errorf("after a call has logged in: asked %d times, the state is %s", a.asked, h.of("acme").state())
				}
			})
		})
	}
}

func TestAPanicInACheckIsAFailedCheck(t *testing.T) {
	if err := look(t.Context(), vital{}, nil); err == nil {
		t.Error("there is no error")
	}
}

func TestChecksObeyRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h health
		at := checks(&h, time.Second, 100*time.Second, func() error { return &auth.TokenError{Status: 429, RetryAfter: 60 * time.Second} })
		if len(at) != 2 || at[1] != 60 {
			t.Errorf("checked at %v, want 0 and 60", at)
		}
	})
}

func TestChecksAreBounded(t *testing.T) {
	var h health
	for i := range maxChecks {
		if !h.begin(string(rune('a'+i)), time.Now()) {
			t.Fatalf("check %d was refused", i)
		}
	}
	if h.begin("one more", time.Now()) {
		t.Error("one more check began")
	}
	h.abandon("a")
	if !h.begin("one more", time.Now()) {
		t.Error("no check began after one had ended")
	}
}

func TestLongFailuresDoNotOverflowThePause(t *testing.T) {
	var v vital
	now := time.Now()
	for range 100 {
		v.learn(now, errors.New("down"), time.Minute)
		if pause := v.resume.Sub(now); pause < time.Minute || pause > pauseLongest {
			t.Fatalf("after %d failures the pause is %s", v.failures, pause)
		}
	}
}

// settle waits until no adapter of the gateway is unknown.
func (f *apiGateway) settle(t *testing.T) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		list := f.ask(t, keyAll, "GET", "/v1/adapters", "").wantOK()["adapters"].([]any)
		unknown := false
		for _, a := range list {
			unknown = unknown || a.(map[string]any)["state"] == stateUnknown
		}
		if !unknown {
			return
		}
		select {
		case <-deadline:
			t.Fatal("the adapters were not checked within 10 s")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (f *apiGateway) watch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Watch(ctx, 5*time.Millisecond)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func TestWatchLogsEachAdapterInOnce(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	f.watch(t)
	f.settle(t)
	got := f.ask(t, keyAll, "GET", "/v1/adapters/acme/health", "").wantOK()
	if got["state"] != stateReady || got["ok"] != true || got["login"] != true || got["method"] != "request_token" || got["checked_at"] == nil {
		t.Errorf("health is %v", got)
	}
	f.ask(t, keyAll, "POST", getDevice, `{"uriPathVars":["7"]}`).wantOK()
	if f.logins != 1 || f.calls() != 1 {
		t.Errorf("%d logins and %d calls, want 1 and 1", f.logins, f.calls())
	}
}

func TestARefusedLoginLeavesTheOtherAdaptersReadyAndIsNotRepeated(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	f.refuse = true
	f.watch(t)
	f.settle(t)
	got := f.ask(t, keyAll, "GET", "/v1/adapters/acme/health", "").wantOK()
	if got["state"] != stateNotReady || got["code"] != "login-refused" || got["detail"] == "" {
		t.Errorf("health is %v", got)
	}
	if state := f.ask(t, keyAll, "GET", "/v1/adapters/fixed", "").wantOK()["state"]; state != stateReady {
		t.Errorf("the other adapter is %v", state)
	}
	f.ask(t, keyAll, "POST", "/v1/adapters/fixed/actions/device/get", `{"uriPathVars":["7"]}`).wantOK()
	if f.logins != 1 {
		t.Errorf("%d logins, want 1", f.logins)
	}
}

func TestAReloadBeginsAnewAfterARefusedLogin(t *testing.T) {
	f := newAPIGateway(t, apiOptions{})
	f.refuse = true
	f.watch(t)
	f.settle(t)
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if state := f.ask(t, keyAll, "GET", "/v1/adapters/acme", "").wantOK()["state"]; state == stateReady {
		t.Errorf("the state is %v", state)
	}
	f.settle(t)
	if f.logins > 2 {
		t.Errorf("%d logins", f.logins)
	}
}

func TestReadyzListsTheAdaptersAndSaysNoOnlyAtTheEnd(t *testing.T) {
	f := newAPIGateway(t, apiOptions{metrics: NewMetrics()})
	f.refuse = true
	f.watch(t)
	f.settle(t)
	admin := func(path string) apiAnswer { return f.admin(t, path) }
	got := admin("/readyz").wantOK()
	states := got["adapters"].(map[string]any)
	if got["ready"] != true || states["acme"] != stateNotReady || states["fixed"] != stateReady {
		t.Errorf("readyz says %v", got)
	}
	f.Drain()
	if a := admin("/readyz"); a.Code != http.StatusServiceUnavailable || a.object()["ready"] != false {
		t.Errorf("while draining, readyz says %d %s", a.Code, a.Body)
	}
	f.ask(t, keyAll, "POST", "/v1/adapters/fixed/actions/device/get", `{"uriPathVars":["7"]}`).wantOK()
	if a := admin("/healthz"); a.Code != http.StatusOK || a.Body.String() != "ok\n" {
		t.Errorf("healthz says %d %s", a.Code, a.Body)
	}
}
