package authtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/keyhitch/keyhitch/auth"
)

func validConfigIsValid(f *fixture) {
	if err := f.New().Validate(); err != nil {
		f.Errorf("Validate: got %v, want no error", err)
	}
}

func emptyConfigIsRefused(f *fixture) {
	if f.Empty == nil {
		return
	}
	err := f.Empty.Validate()
	if err == nil {
		f.Fatal("Validate of no settings: got no error, want one")
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if pointer, reason, found := strings.Cut(line, ": "); !found || !strings.HasPrefix(pointer, "/") || reason == "" {
			f.Errorf("Validate: got %q, want «/pointer: reason»", line)
		}
	}
}

func preparingMakesNoCalls(f *fixture) {
	c := f.New()
	_ = c.Validate()
	f.open()
	for _, reveal := range []bool{false, true} {
		plan, err := c.Plan(f.Context(), reveal)
		if err != nil {
			f.Fatalf("Plan: got %v, want no error", err)
		}
		if _, err := plan.Auth.Apply(private(f.request())); err != nil {
			f.Errorf("applying the plan: got %v, want no error", err)
		}
	}
	if n := f.calls.count(); n != 0 {
		f.Errorf("Validate, Open and Plan made %d calls, want 0", n)
	}
}

func applyAddsTheCredential(f *fixture) {
	a, req := f.open(), private(f.request())
	plain := dump(private(f.request()))
	if _, err := a.Apply(req); err != nil {
		f.Fatalf("Apply: got %v, want no error", err)
	}
	if changed := dump(req) != plain; changed != (len(f.Secrets) > 0) {
		f.Errorf("Apply changed the request: %t, want %t", changed, len(f.Secrets) > 0)
	}
	if got := req.Header.Get("X-Own"); got != "kept" {
		f.Errorf("the caller's own header is %q, want kept", got)
	}
}

func applyIsSafeForConcurrentUse(f *fixture) {
	a := f.open()
	base := f.request()
	texts := make([]string, 16)
	var wg sync.WaitGroup
	for i := range texts {
		wg.Go(func() {
			for range 20 {
				req := private(base)
				if _, err := a.Apply(req); err != nil {
					f.Errorf("Apply: got %v, want no error", err)
					return
				}
				texts[i] = dump(req)
			}
		})
	}
	wg.Wait()
	for _, text := range texts[1:] {
		if text != texts[0] && f.Server == nil {
			f.Error("two callers got different requests, want the same")
		}
	}
}

func applyWritesIntoNothingShared(f *fixture) {
	base := f.request()
	u, header := base.URL, base.Header.Clone()
	before, body := *u, base.Body
	if _, err := f.open().Apply(private(base)); err != nil {
		f.Fatalf("Apply: got %v, want no error", err)
	}
	if base.URL != u || *u != before {
		f.Errorf("the shared URL became %s, want %s", u.Redacted(), before.Redacted())
	}
	if got, want := fmt.Sprint(base.Header), fmt.Sprint(header); got != want {
		f.Errorf("the shared header became %s, want %s", got, want)
	}
	if rest, _ := io.ReadAll(body); len(rest) != int(base.ContentLength) {
		f.Errorf("%d bytes of the shared body are left, want %d", len(rest), base.ContentLength)
	}
}

// applyTwiceGivesTheSameRequest holds because a shared injection is not changed by who uses it.
func applyTwiceGivesTheSameRequest(f *fixture) {
	if f.Server != nil {
		return // each token differs
	}
	a := f.open()
	first, second := private(f.request()), private(f.request())
	for _, req := range []*http.Request{first, second} {
		if _, err := a.Apply(req); err != nil {
			f.Fatalf("Apply: got %v, want no error", err)
		}
		req.Header.Add("Authorization", "more") // whoever sends it may add
	}
	if dump(first) != dump(second) {
		f.Error("the second request differs from the first, want the same")
	}
}

func credentialsStayOnTheirOrigin(f *fixture) {
	wire := &recorder{}
	client := &http.Client{Transport: &auth.Transport{Base: wire, Auth: f.open(),
		Origin: auth.OriginOf(mustParse("https://resource.example"))}}
	for _, elsewhere := range []string{"https://other.example/", "http://resource.example/", "https://resource.example:8443/"} {
		req := private(f.request())
		req.URL = mustParse(elsewhere)
		res, err := client.Do(req)
		if err != nil {
			f.Fatalf("Do: got %v, want no error", err)
		}
		_ = res.Body.Close()
		f.hidden("a request to "+elsewhere, wire.last, f.issued()...)
	}
	if n := f.calls.count(); n != 0 {
		f.Errorf("%d token requests for foreign origins, want 0", n)
	}
}

// recorder keeps the last request as text.
type recorder struct{ last string }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.last = dump(req)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
}

func errorsAndLogsHoldNoSecret(f *fixture) {
	for name, answer := range hostile {
		f.calls.next = answer
		f.env.Tokens = new(auth.Tokens)
		f.env.Observe = func(e auth.Event) { f.hidden(name+": an event", fmt.Sprintf("%+v", e), f.issued()...) }
		if _, err := f.open().Apply(private(f.request())); err != nil {
			f.hidden(name+": the error", err.Error(), f.issued()...)
			f.hidden(name+": the error in Go syntax", fmt.Sprintf("%#v %+v", err, err), f.issued()...)
		}
	}
	for _, entry := range f.log.AllEntries() {
		text, _ := entry.String()
		f.hidden("the log", text, f.issued()...)
	}
}

// hostile are token endpoints that give back what they were sent, each in another place.
var hostile = map[string]answering{
	"no way there": func(req *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("dial %s: refused", req.URL.Host)
	},
	"unreadable status line": func(req *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("malformed HTTP response %q", dump(req))
	},
	"HTML with 200": echo(http.StatusOK, "<html>%s</html>"),
	"HTML with 500": echo(http.StatusInternalServerError, "<html>%s</html>"),
	"error":         echo(http.StatusUnauthorized, `{"error":%q}`),
	"description":   echo(http.StatusBadRequest, `{"error":"invalid_request","error_description":%q}`),
	"no token":      echo(http.StatusOK, `{"echo":%q}`),
}

type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) { return a(req) }

func echo(status int, format string) answering {
	return func(req *http.Request) (*http.Response, error) {
		body := fmt.Sprintf(format, dump(req))
		return &http.Response{StatusCode: status, Header: http.Header{}, Request: req,
			Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func endedContextIsNoPanic(f *fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	if _, err := f.open().Apply(private(f.request()).WithContext(ctx)); err == nil && f.Server != nil {
		f.Error("Apply under an ended context: got no error, want one")
	}
}

func (f *fixture) plan(reveal bool) string {
	f.Helper()
	plan, err := f.New().Plan(f.Context(), reveal)
	if err != nil {
		f.Fatalf("Plan: got %v, want no error", err)
	}
	var all strings.Builder
	for _, req := range plan.Requests {
		all.WriteString(dump(req))
	}
	req := private(f.request())
	if _, err := plan.Auth.Apply(req); err != nil {
		f.Fatalf("applying the plan: got %v, want no error", err)
	}
	return all.String() + dump(req)
}

func planMasksSecrets(f *fixture) {
	text := f.plan(false)
	f.hidden("the masked plan", text)
	if len(f.Secrets) > 0 && !strings.Contains(text, "redacted") {
		f.Errorf("got the masked plan\n%s\nwant it to say where secrets go", text)
	}
}

func revealedPlanShowsSecrets(f *fixture) {
	text := f.plan(true)
	for i, secret := range f.Secrets {
		var r auth.Redactor
		r.Learn(auth.NewSecret(secret))
		if r.Scrub(text) == text {
			f.Errorf("the revealed plan lacks secret %d of %d", i+1, len(f.Secrets))
		}
	}
}
