package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// inBubble runs test with a fixture that is reached in memory, under a fake clock.
func inBubble(t *testing.T, f *fixture, test func(t *testing.T, a *adapter.Adapter)) {
	t.Helper()
	o := f.options(t)
	f.server.Close() // the real socket is not used
	synctest.Test(t, func(t *testing.T) {
		o.Base = pipeServer(t, f)
		test(t, open(t, o))
		o.Base.CloseIdleConnections()
	})
}

// together runs n calls at once and returns their errors.
func together(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = call(i) })
	}
	wg.Wait()
	return errs
}

func slowToken(d time.Duration) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, n int) {
		time.Sleep(d)
		answerJSON(w, 200, object{"access_token": fmt.Sprintf("T%d", n)})
	}
}

func TestFiftyColdCallersMakeOneTokenRequest(t *testing.T) {
	f := &fixture{token: slowToken(time.Second)}
	inBubble(t, f, func(t *testing.T, a *adapter.Adapter) {
		start := time.Now()
		for i, err := range together(50, func(int) error { _, err := callG(t, a); return err }) {
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		}
		if tokens, calls := f.counts(); tokens != 1 || calls != 50 {
			t.Errorf("%d token requests and %d calls, want 1 and 50", tokens, calls)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %s, want the second of one token request", took)
		}
	})
}

func TestFiftyCallersWithARevokedTokenMakeOneTokenRequest(t *testing.T) {
	var mu sync.Mutex
	good := "T1"
	f := &fixture{token: slowToken(50 * time.Millisecond)}
	f.data = func(w http.ResponseWriter, r *http.Request, n int) {
		mu.Lock()
		ok := r.Header.Get("Authorization") == "Bearer "+good
		mu.Unlock()
		if !ok {
			time.Sleep(time.Duration(n%7) * 30 * time.Millisecond) // refusals spread out
			w.WriteHeader(401)
			return
		}
		answerJSON(w, 200, object{"id": 7})
	}
	inBubble(t, f, func(t *testing.T, a *adapter.Adapter) {
		if _, err := callG(t, a); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		good = "T2"
		mu.Unlock()
		for i, err := range together(50, func(int) error { _, err := callG(t, a); return err }) {
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		}
		if tokens, _ := f.counts(); tokens != 2 {
			t.Errorf("%d token requests, want 2: one cold and one for the revoked token", tokens)
		}
	})
}

func TestTenUsersDoNotWaitForEachOther(t *testing.T) {
	f := &fixture{token: slowToken(time.Second)}
	inBubble(t, f, func(t *testing.T, a *adapter.Adapter) {
		start := time.Now()
		for i, err := range together(10, func(i int) error {
			_, err := a.Call(t.Context(), "widget", "getWidget", adapter.Input{PathVars: []any{"1"},
				CallProperties: object{"authentication": object{"username": fmt.Sprintf("user%d", i), "password": "x"}}})
			return err
		}) {
			if err != nil {
				t.Errorf("user %d: %v", i, err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %s, want one second: the users' token requests run side by side", took)
		}
	})
}

func TestPerCallTokensAreNeitherSharedNorQueued(t *testing.T) {
	f := &fixture{auth: object{"token_timeout": -1}, token: slowToken(time.Second)}
	inBubble(t, f, func(t *testing.T, a *adapter.Adapter) {
		start := time.Now()
		for _, err := range together(20, func(int) error { _, err := callG(t, a); return err }) {
			if err != nil {
				t.Error(err)
			}
		}
		if tokens, _ := f.counts(); tokens != 20 || time.Since(start) != time.Second {
			t.Errorf("%d token requests in %s, want 20 in 1s", tokens, time.Since(start))
		}
	})
}

func TestCallerWhoseContextEndsLeavesAtOnceAndTheRestGetTheToken(t *testing.T) {
	f := &fixture{token: slowToken(2 * time.Second)}
	inBubble(t, f, func(t *testing.T, a *adapter.Adapter) {
		start := time.Now()
		var left time.Duration
		errs := together(2, func(i int) error {
			ctx := t.Context()
			if i == 0 {
				short, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
				defer cancel()
				ctx = short
			}
			_, err := a.Call(ctx, "widget", "getWidget", adapter.Input{PathVars: []any{"1"}})
			if i == 0 {
				left = time.Since(start)
			}
			return err
		})
		if !errors.Is(errs[0], context.DeadlineExceeded) || left != 250*time.Millisecond {
			t.Errorf("the impatient caller got %v after %s, want its deadline after 250ms", errs[0], left)
		}
		if tokens, _ := f.counts(); errs[1] != nil || tokens != 1 {
			t.Errorf("the patient caller got %v after %d token requests, want success after 1", errs[1], tokens)
		}
	})
}

func TestFailedTokenRequestIsToldToAllWaitersAndLocksNothing(t *testing.T) {
	f := &fixture{}
	f.token = func(w http.ResponseWriter, _ *http.Request, n int) {
		time.Sleep(50 * time.Millisecond)
		if n == 1 {
			answerJSON(w, 503, object{"error": "temporarily_unavailable"})
			return
		}
		answerJSON(w, 200, object{"access_token": "T2"})
	}
	inBubble(t, f, func(t *testing.T, a *adapter.Adapter) {
		for i, err := range together(100, func(int) error { _, err := callG(t, a); return err }) {
			var token *auth.TokenError
			if !errors.As(err, &token) || token.Status != 503 || token.Code != "temporarily_unavailable" {
				t.Errorf("caller %d got %v, want the token endpoint's 503", i, err)
			}
		}
		if _, err := callG(t, a); err != nil {
			t.Errorf("the next call got %v, want success", err)
		}
		if tokens, calls := f.counts(); tokens != 2 || calls != 1 {
			t.Errorf("%d token requests and %d calls, want 2 and 1", tokens, calls)
		}
	})
}

func TestRenewalStartsBehindTheCallInTheLastTenth(t *testing.T) {
	f := &fixture{auth: object{"token_timeout": 50000}, token: slowToken(time.Second)}
	inBubble(t, f, func(t *testing.T, a *adapter.Adapter) {
		for _, step := range []struct {
			wait  time.Duration
			token string
			took  time.Duration
		}{
			{0, "T1", time.Second},                // cold
			{44 * time.Second, "T1", 0},           // fresh
			{2 * time.Second, "T1", 0},            // stale but good: served, renewed behind
			{2 * time.Second, "T2", 0},            // the new one
			{60 * time.Second, "T3", time.Second}, // expired: wait
		} {
			time.Sleep(step.wait)
			start := time.Now()
			if _, err := callG(t, a); err != nil {
				t.Fatal(err)
			}
			req, _ := f.last(t, false)
			if got := req.Header.Get("Authorization"); got != "Bearer "+step.token || time.Since(start) != step.took {
				t.Errorf("after %s more: sent %s after %s, want Bearer %s after %s", step.wait, got, time.Since(start), step.token, step.took)
			}
		}
	})
}

func TestSlowAnswersEndAtTheAttemptTimeout(t *testing.T) {
	f := &fixture{props: object{"request": object{"attempt_timeout": 2000}}}
	f.data = func(w http.ResponseWriter, r *http.Request, _ int) { // a slow trickle
		for {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Second):
				_, _ = w.Write([]byte(" "))
				w.(http.Flusher).Flush()
			}
		}
	}
	inBubble(t, f, func(t *testing.T, a *adapter.Adapter) {
		start := time.Now()
		_, err := callG(t, a)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 4*time.Second {
			t.Errorf("got %v after %s, want a passed deadline within 4s", err, time.Since(start))
		}
		if got := a.Failure(err); got.ICode != "AD.501" || got.IAPError.Code != -2 {
			t.Errorf("failure %s code %v, want AD.501 code -2", got.ICode, got.IAPError.Code)
		}
	})
}
