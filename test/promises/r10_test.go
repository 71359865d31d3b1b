package promises

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/cache/backends/memory"
)

// plan is one random schedule: an endpoint that is slow and fails, processes, and callers.
type plan struct {
	script    authtest.Script
	outcomes  []string // of the token requests, in turn; "": a token
	options   options
	processes int
	callers   []visits
}

// visits is when one caller calls, each time with so much patience.
type visits struct {
	process  int
	pauses   []time.Duration
	patience time.Duration
}

var outcomes = []string{"", "", "", "503", "empty", "half", "HTML", "cut", "reset"}

func newPlan(t *testing.T, r *rand.Rand) plan {
	some := func(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) }
	life := time.Duration(1+r.IntN(120)) * time.Second
	margin := some(time.Minute)
	p := plan{script: authtest.Script{Lifetime: life, Delay: some(20 * time.Second)}, processes: 1 + r.IntN(2)}
	jitter := r.Float64()
	p.options = options{Margin: &margin, Jitter: func() float64 { return jitter }, Keys: newKeys(t)}
	if r.IntN(3) == 0 {
		p.options.Margin = nil
	}
	if r.IntN(3) == 0 {
		p.options.Timeout = life
	}
	if r.IntN(2) == 0 {
		p.options.Cache = new(memory.Store)
	}
	for range r.IntN(12) {
		p.outcomes = append(p.outcomes, outcomes[r.IntN(len(outcomes))])
	}
	for range 1 + r.IntN(6) {
		v := visits{process: r.IntN(p.processes), patience: some(time.Minute)}
		for range 1 + r.IntN(8) {
			v.pauses = append(v.pauses, some(30*time.Second))
		}
		p.callers = append(p.callers, v)
	}
	return p
}

// tally is what all schedules came to.
type tally struct{ calls, served, logins, failed int }

func TestR10AnExpiredTokenIsNeverSent(t *testing.T) {
	r := seed(t)
	schedules := scaled(1000, 100_000)
	var sum tally
	for i := range schedules {
		synctest.Test(t, func(t *testing.T) { newPlan(t, r).run(t, &sum) })
		if t.Failed() {
			t.Fatalf("in schedule %d", i)
		}
	}
	if sum.served < sum.calls/4 || sum.failed < sum.logins/4 {
		t.Errorf("%+v: the schedules try too little", sum)
	}
	measured(t, "R10", "%d random schedules, %d calls sent after %d token requests of which %d failed: 0 expired tokens sent", schedules, sum.served, sum.logins, sum.failed)
}

func (p plan) run(t *testing.T, sum *tally) {
	s := newBubbled(t)
	s.Set(p.script)
	var requests atomic.Int64
	p.options.Base = tripper(func(req *http.Request) (*http.Response, error) {
		res, err := s.wire.RoundTrip(req)
		n := int(requests.Load())
		if req.URL.Path != "/token" || err != nil || n >= len(p.outcomes) || !requests.CompareAndSwap(int64(n), int64(n+1)) {
			return res, err
		}
		return spoil(res, p.outcomes[n])
	})
	var processes []*process
	for range p.processes {
		processes = append(processes, s.process(t, p.options))
	}
	all(len(p.callers), func(i int) { p.callers[i].make(t, processes[p.callers[i].process]) })
	if expired := s.refused(); len(expired) > 0 {
		t.Errorf("%d expired tokens sent, the first after %s of %s", len(expired), expired[0].at.Sub(s.entries()[0].at), p.script.Lifetime)
	}
	for _, c := range p.callers {
		sum.calls += len(c.pauses)
	}
	sum.served += len(s.calls())
	sum.logins += s.Requests()
	for _, outcome := range p.outcomes[:min(len(p.outcomes), int(requests.Load()))] {
		sum.failed += min(1, len(outcome))
	}
}

func (v visits) make(t *testing.T, p *process) {
	for _, wait := range v.pauses {
		time.Sleep(wait)
		ctx, cancel := context.WithTimeout(t.Context(), v.patience)
		status, err := p.call(ctx)
		cancel()
		if err == nil && status != http.StatusOK {
			t.Errorf("got status %d, want 200 or an error", status)
		}
	}
}

// spoil makes a token answer that never arrives as it was sent.
func spoil(res *http.Response, how string) (*http.Response, error) {
	text, _ := io.ReadAll(res.Body)
	switch how {
	case "503":
		res.StatusCode = http.StatusServiceUnavailable
	case "empty":
		text = nil
	case "half":
		text = text[:len(text)/2]
	case "HTML":
		text = []byte("<html>welcome</html>")
	case "cut":
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(text[:len(text)/2])), broken{}))
		return res, nil
	case "reset":
		return nil, errors.New("connection reset by peer")
	}
	res.Body = io.NopCloser(strings.NewReader(string(text)))
	return res, nil
}

// broken is where an answer breaks off.
type broken struct{}

// Read fails as net/http does for a body that is shorter than announced.
func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestR10AnEmptyOrBrokenAnswerWithStatus200IsAFailure(t *testing.T) {
	s := newSystem(t)
	answers := map[string]http.Handler{
		"empty": body(200, ""), "blank": body(200, " \r\n"), "null": body(200, "null"), "no members": body(200, "{}"), "a list": body(200, "[]"),
		"half": body(200, `{"access_token":"T`), "HTML": body(200, "<html></html>"), "cut": cut(`{"access_token":"T"`),
		"empty token": body(200, `{"access_token":"","expires_in":60}`), "no text": body(200, `{"access_token":7}`), "two lines": body(200, `{"access_token":"a\r\nb"}`),
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			before := len(s.calls())
			p := s.process(t, options{})
			s.Set(authtest.Script{Answer: answer})
			if _, err := p.call(t.Context()); !errors.As(err, new(*auth.TokenError)) || len(s.calls()) != before {
				t.Errorf("got %v and %d calls sent, want a token error and none", err, len(s.calls())-before)
			}
			s.Set(lives(time.Hour))
			p.want(t)
		})
	}
	measured(t, "R10", "%d kinds of empty, cut or odd answers with status 200: each a failure, nothing sent, and the next call tried again", len(answers))
}

// A good token outlives a renewal whose answer is broken.
func TestR10ABrokenRenewalLeavesTheGoodToken(t *testing.T) {
	for _, how := range outcomes[3:] {
		synctest.Test(t, func(t *testing.T) {
			s := newBubbled(t)
			s.Set(lives(100 * time.Second))
			how, first := how, new(sync.Once)
			p := s.process(t, options{Base: tripper(func(req *http.Request) (*http.Response, error) {
				res, err := s.wire.RoundTrip(req)
				if req.URL.Path == "/token" && s.Requests() == 2 {
					first.Do(func() { res, err = spoil(res, how) })
				}
				return res, err
			})})
			p.want(t)
			time.Sleep(91 * time.Second)
			p.want(t)
			synctest.Wait()
			p.want(t)
			synctest.Wait()
			if n, refused := s.Requests(), len(s.refused()); n != 3 || refused != 0 {
				t.Errorf("%s: %d token requests and %d refusals, want 3 and 0", how, n, refused)
			}
		})
	}
}
