package custom_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/methods/custom"
)

// login is a configuration as a test writes it: objects as JSON text.
type login struct {
	base     string // empty: https://sys.example
	calls    []call // none: one POST to /token
	template string // empty: the access token as a bearer
	interval time.Duration
	from     string
}

type call struct{ method, endpoint, headers, query, body, form string }

const bearer = `{"headers":{"Authorization":"Bearer {{.access_token}}"}}`

func tree(t testing.TB, text string) map[string]any {
	t.Helper()
	if text == "" {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var out map[string]any
	if err := dec.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func texts(t testing.TB, text string) map[string]auth.Secret {
	t.Helper()
	out := map[string]auth.Secret{}
	for name, value := range tree(t, text) {
		out[name] = auth.NewSecret(fmt.Sprint(value))
	}
	return out
}

func section(tree map[string]any, name string) map[string]any {
	out, _ := tree[name].(map[string]any)
	return out
}

func parseTemplate(t testing.TB, text string) (custom.Template, []custom.Fault) {
	t.Helper()
	all := tree(t, text)
	headers := map[string]auth.Secret{}
	for name, value := range section(all, "headers") {
		headers[name] = auth.NewSecret(fmt.Sprint(value))
	}
	return custom.NewTemplate(custom.Written{Headers: headers, Query: section(all, "queryParams"), Body: section(all, "body")})
}

func parseCall(t testing.TB, base string, c call, templated bool) (custom.Call, []custom.Fault) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	if c.method == "" {
		c.method = http.MethodPost
	}
	return custom.NewCall(custom.WrittenCall{
		Written: custom.Written{Headers: texts(t, c.headers), Query: tree(t, c.query), Body: tree(t, c.body)},
		Base:    u, Endpoint: c.endpoint, Method: c.method, Form: auth.NewSecret(c.form), Templated: templated})
}

func (l login) config(t testing.TB) *custom.Config {
	t.Helper()
	if l.base == "" {
		l.base = "https://sys.example"
	}
	if l.calls == nil {
		l.calls = []call{{endpoint: "/token"}}
	}
	if l.template == "" {
		l.template = bearer
	}
	c := &custom.Config{Base: l.base, Interval: l.interval, Owner: "test", Tries: 2}
	for i, written := range l.calls {
		made, faults := parseCall(t, l.base, written, i > 0)
		if faults != nil {
			t.Fatal(faults)
		}
		c.Calls = append(c.Calls, made)
	}
	made, faults := parseTemplate(t, l.template)
	if faults != nil {
		t.Fatal(faults)
	}
	c.Template = made
	if l.from != "" {
		from, err := custom.ParseExpression(l.from)
		if err != nil {
			t.Fatal(err)
		}
		c.IntervalFrom = from
	}
	return c
}

func env(t testing.TB, wire http.RoundTripper) auth.Env {
	t.Helper()
	keys, err := auth.NewKeyer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return auth.Env{Client: &http.Client{Transport: wire}, Tokens: new(auth.Tokens), Keys: keys, Redact: new(auth.Redactor), Now: time.Now,
		Jitter: func() float64 { return 0 }}
}

func (l login) open(t testing.TB, e auth.Env) auth.Authenticator {
	t.Helper()
	a, err := l.config(t).Open(e)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// endpoint answers authentication calls in order, the last answer again and again, and keeps
// what it was sent.
type endpoint struct {
	answers []answer
	mu      sync.Mutex
	seen    []*http.Request
	bodies  []string
	delay   time.Duration
}

type answer struct {
	status int // 0: 200; -1: no connection
	body   string
	header http.Header
}

func says(bodies ...string) *endpoint {
	e := new(endpoint)
	for _, body := range bodies {
		e.answers = append(e.answers, answer{body: body})
	}
	return e
}

func (e *endpoint) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(e.delay)
	body := ""
	if req.Body != nil {
		data, _ := io.ReadAll(req.Body)
		body = string(data)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.answers[min(len(e.seen), len(e.answers)-1)]
	e.seen, e.bodies = append(e.seen, req), append(e.bodies, body)
	if a.status == -1 {
		return nil, fmt.Errorf("connection refused")
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: req}, nil
}

func (e *endpoint) calls() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen)
}

// apply lets a write on a request of the caller's own.
func apply(ctx context.Context, a auth.Authenticator, method, body, kind string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://sys.example/things?page=1&limit=10", nil)
	if err != nil {
		return nil, err
	}
	if body != "" {
		req, _ = http.NewRequestWithContext(ctx, method, req.URL.String(), strings.NewReader(body))
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	_, err = a.Apply(req)
	return req, err
}

func get(ctx context.Context, a auth.Authenticator) (string, error) {
	req, err := apply(ctx, a, http.MethodGet, "", "")
	if err != nil {
		return "", err
	}
	return req.Header.Get("Authorization"), nil
}

func TestConformance(t *testing.T) {
	for name, template := range map[string]string{
		"header": bearer, "query": `{"queryParams":{"access_token":"{{.access_token}}"}}`, "body": `{"body":{"auth":{"token":"{{.access_token}}"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			password, server := authtest.Marker(), new(authtest.Server)
			server.Set(authtest.Script{Username: "ann", Password: password, Grant: "password", Lifetime: time.Hour})
			l := login{template: template, interval: time.Hour,
				calls: []call{{endpoint: "/token", form: "grant_type=password&username=ann&password=" + password}}}
			authtest.Run(t, authtest.Harness{New: func() auth.Config { return l.config(t) }, Empty: new(custom.Config),
				Secrets: []string{password}, Server: server})
			if problems := server.Problems(); len(problems) > 0 {
				t.Errorf("the server was sent something wrong: %s", problems)
			}
		})
	}
}

// Sections 8 and 14, «flow».
func TestRefusedCredentialIsRenewedAndTheRequestSentOnce(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		as := says(`{"access_token":"T1"}`, `{"access_token":"T2"}`)
		var sent []string
		wire := tripper(func(req *http.Request) (*http.Response, error) {
			sent = append(sent, req.Header.Get("Authorization"))
			status := http.StatusUnauthorized
			if len(sent) > 1 {
				status = http.StatusOK
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		})
		client := &http.Client{Transport: &auth.Transport{Base: wire, Auth: login{}.open(t, env(t, as)), Resubmits: 1,
			Origin: auth.OriginOf(&url.URL{Scheme: "https", Host: "sys.example"})}}
		req, _ := http.NewRequestWithContext(t.Context(), method, "https://sys.example/x", nil)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := strings.Join(sent, ", "); res.StatusCode != 200 || got != "Bearer T1, Bearer T2" || as.calls() != 2 {
			t.Errorf("%s: status %d, sent %s after %d auth calls; want 200, Bearer T1, Bearer T2 after 2", method, res.StatusCode, got, as.calls())
		}
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Section 8.2: cold, at the interval's end, and refused, whatever the number of callers.
func TestAThousandCallersMakeOneAuthCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := says(`{"access_token":"T"}`)
		as.delay = 100 * time.Millisecond
		l := login{interval: time.Hour}
		a := l.open(t, env(t, as))
		all := func(refused bool) {
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					if refused {
						a.(auth.Invalidator).Invalidate(t.Context(), 2)
					}
					if _, err := get(t.Context(), a); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Second)
		}
		for i, step := range []struct {
			later   time.Duration
			refused bool
		}{{0, false}, {59*time.Minute + 30*time.Second, false}, {0, true}} {
			time.Sleep(step.later)
			all(step.refused)
			if got := as.calls(); got != i+1 {
				t.Errorf("step %d: %d auth calls, want %d", i+1, got, i+1)
			}
		}
	})
}

// Section 8 [N]: the buffer is min(60 s, interval / 10), at least a second.
func TestCredentialIsRenewedInTheBufferBeforeItsEnd(t *testing.T) {
	for _, c := range []struct{ interval, fresh, stale time.Duration }{
		{time.Hour, 3539 * time.Second, 3540 * time.Second},
		{61 * time.Second, 54 * time.Second, 55 * time.Second},
		{60 * time.Second, 53 * time.Second, 54 * time.Second},
		{5 * time.Second, 3999 * time.Millisecond, 4 * time.Second},
		{time.Second, 499 * time.Millisecond, 500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			as := says(`{"access_token":"T"}`)
			a := login{interval: c.interval}.open(t, env(t, as))
			start := time.Now()
			for i, at := range []time.Duration{0, c.fresh, c.stale} {
				time.Sleep(time.Until(start.Add(at)))
				if _, err := get(t.Context(), a); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if want := []int{1, 1, 2}[i]; as.calls() != want {
					t.Errorf("interval %s, after %s: %d auth calls, want %d", c.interval, at, as.calls(), want)
				}
			}
		})
	}
}

// Section 8 [N]: inside the buffer the old credential serves while its renewal fails.
func TestOldCredentialServesWhileItsRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := &endpoint{answers: []answer{{body: `{"access_token":"T1"}`}, {status: 500}}}
		a := login{interval: time.Hour}.open(t, env(t, as))
		for _, later := range []time.Duration{0, 3570 * time.Second, 5 * time.Second} {
			time.Sleep(later)
			if got, err := get(t.Context(), a); err != nil || got != "Bearer T1" {
				t.Errorf("got %q, %v, want Bearer T1", got, err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		if _, err := get(t.Context(), a); err == nil {
			t.Error("after its end: got no error, want one")
		}
	})
}

func TestWithoutIntervalACredentialIsGoodUntilRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := says(`{"access_token":"T","expires_in":1}`)
		a := login{}.open(t, env(t, as))
		for range 3 {
			if _, err := get(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1000 * time.Hour)
		}
		if as.calls() != 1 {
			t.Errorf("%d auth calls, want 1", as.calls())
		}
	})
}

// Section 15: expires_in and the like, which the published dialect ignores.
func TestIntervalCanComeFromTheAnswer(t *testing.T) {
	cases := []struct {
		name, body, from string
		interval         time.Duration
		want             time.Duration // 0: never
		err              string
	}{
		{name: "seconds", body: `{"access_token":"T","expires_in":100}`, from: "expires_in", want: 100 * time.Second},
		{name: "path", body: `{"access_token":"T","d":{"e":"100"}}`, from: ".d.e", want: 100 * time.Second},
		{name: "braces", body: `{"access_token":"T","e":100}`, from: "{{.e}}", want: 100 * time.Second},
		{name: "program", body: `{"access_token":"T","ms":100000}`, from: ".ms / 1000", want: 100 * time.Second},
		{name: "date", body: `{"access_token":"T","at":"2000-01-01T00:01:40Z"}`, from: "at", want: 100 * time.Second},
		{name: "before the interval", body: `{"access_token":"T","expires_in":100}`, from: "expires_in", interval: time.Hour, want: 100 * time.Second},
		{name: "absent", body: `{"access_token":"T"}`, from: "expires_in", interval: 50 * time.Second, want: 50 * time.Second},
		{name: "absent, no interval", body: `{"access_token":"T"}`, from: "expires_in"},
		{name: "nonsense", body: `{"access_token":"T","expires_in":"soon"}`, from: "expires_in",
			err: "reauthenticateIntervalFrom: the value is neither seconds nor a date (status 200)"},
		{name: "object", body: `{"access_token":"T","expires_in":{}}`, from: "expires_in",
			err: "reauthenticateIntervalFrom: is an object; choose a member, or ask for its JSON (| tojson) (status 200)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := env(t, says(c.body))
				_, err := get(t.Context(), login{from: c.from, interval: c.interval}.open(t, e))
				if c.err != "" {
					if err == nil || !strings.HasSuffix(err.Error(), c.err) {
						t.Errorf("got %v, want …%s", err, c.err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				info := e.Tokens.List()[0]
				if got := info.Expires.Sub(info.Obtained); c.want == 0 && !info.Expires.IsZero() || c.want > 0 && got != c.want {
					t.Errorf("expires %s, want %s after it came", info.Expires, c.want)
				}
			})
		})
	}
}

func TestKeyNamesAllThatDecidesTheCredential(t *testing.T) {
	first := call{endpoint: "/token", headers: `{"X-A":"1"}`, query: `{"q":"1"}`, body: `{"p":"w"}`}
	base := login{calls: []call{first}, interval: time.Hour}
	with := func(change func(*call)) login {
		l, c := base, first
		change(&c)
		l.calls = []call{c}
		return l
	}
	cases := []struct {
		name   string
		other  login
		shared bool
	}{
		{name: "nothing", other: base, shared: true},
		{name: "method", other: with(func(c *call) { c.method = "PUT" })},
		{name: "endpoint", other: with(func(c *call) { c.endpoint = "/other/token" })},
		{name: "header", other: with(func(c *call) { c.headers = `{"X-A":"2"}` })},
		{name: "query", other: with(func(c *call) { c.query = `{"q":"2"}` })},
		{name: "body", other: with(func(c *call) { c.body = `{"p":"x"}` })},
		{name: "base", other: login{calls: base.calls, interval: base.interval, base: "https://other.example"}},
		{name: "interval", other: login{calls: base.calls, interval: time.Minute}},
		{name: "expression", other: login{calls: base.calls, interval: base.interval, template: `{"headers":{"X":"{{.other}}"}}`}},
		{name: "another call", other: login{calls: []call{first, first}, interval: base.interval}},
		{name: "text around the expression", other: login{calls: base.calls, interval: base.interval,
			template: `{"headers":{"X":"Token {{.access_token}}"}}`}, shared: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			as := says(`{"access_token":"T","other":"O"}`)
			e := env(t, as)
			for _, l := range []login{base, c.other} {
				if _, err := get(t.Context(), l.open(t, e)); err != nil {
					t.Fatal(err)
				}
			}
			if shared := as.calls() == 1; shared != c.shared {
				t.Errorf("the credential is shared: %t, want %t", shared, c.shared)
			}
		})
	}
}

// Neither settings nor what is made of them print what they hold.
func TestNoVerbPrintsASecret(t *testing.T) {
	marker := authtest.Marker()
	c := login{template: `{"headers":{"X-Key":"` + marker + `"},"queryParams":{"n":"` + marker + `"},"body":{"a":["` + marker + `"]}}`,
		calls: []call{{endpoint: "/token", headers: `{"X-H":"` + marker + `"}`, query: `{"q":"` + marker + `"}`, body: `{"p":{"q":"` + marker + `"}}`},
			{endpoint: "/token", form: marker}}}.config(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, c) + fmt.Sprintf(verb, *c) + fmt.Sprintf(verb, c.Calls) + fmt.Sprintf(verb, c.Template); strings.Contains(text, marker) {
			t.Errorf("%s shows a secret: %s", verb, text)
		}
	}
}
