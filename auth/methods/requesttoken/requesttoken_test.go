package requesttoken_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/methods/requesttoken"
)

var bearer = auth.Field{Path: "header.headers.Authorization", Format: "Bearer {token}"}

// login is one method's settings as a test writes them.
type login struct {
	endpoint, password string
	timeout            time.Duration
	margin             *time.Duration
	header             map[string]string
	form               map[string]string
	wait               time.Duration
	fields             []auth.Field
}

func (l login) config(t testing.TB) *requesttoken.Config {
	t.Helper()
	if l.fields == nil {
		l.fields = []auth.Field{bearer}
	}
	fixed := map[string]auth.Secret{"username": auth.NewSecret("ann"), "password": auth.NewSecret(l.password)}
	place, problems := auth.CompileFields(l.fields, fixed, "token", "tokenp2", "username", "password")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	req := authtest.FormRequest{Endpoint: l.endpoint, Wait: l.wait, Header: map[string]auth.Secret{},
		Form: map[string]auth.Secret{"username": fixed["username"], "password": fixed["password"], "grant_type": auth.NewSecret("password")}}
	for name, value := range l.form {
		req.Form[name] = auth.NewSecret(value)
	}
	for name, value := range l.header {
		req.Header[name] = auth.NewSecret(value)
	}
	return &requesttoken.Config{User: fixed["username"], Secrets: []auth.Secret{fixed["password"]}, Request: req, Place: place,
		Second: place.Uses("tokenp2"), Timeout: l.timeout, Margin: l.margin, Owner: "test"}
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

// apply returns the Authorization header that a puts on a request.
func apply(ctx context.Context, a auth.Authenticator) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://resource.example/", nil)
	if err != nil {
		return "", err
	}
	_, err = a.Apply(req)
	return req.Header.Get("Authorization"), err
}

func TestConformance(t *testing.T) {
	password := authtest.Marker()
	for name, timeout := range map[string]time.Duration{"cached": time.Hour, "said": 0, "per call": requesttoken.PerCall} {
		t.Run(name, func(t *testing.T) {
			server := new(authtest.Server)
			server.Set(authtest.Script{Username: "ann", Password: password, Grant: "password", Lifetime: time.Hour})
			authtest.Run(t, authtest.Harness{
				New: func() auth.Config {
					return login{endpoint: "https://as.example/token", password: password, timeout: timeout}.config(t)
				},
				Empty: new(requesttoken.Config), Secrets: []string{password}, Server: server,
			})
			if problems := server.Problems(); len(problems) > 0 {
				t.Errorf("the server was sent something wrong: %s", problems)
			}
		})
	}
}

func TestClientAuthenticationByBasicReachesTheServer(t *testing.T) {
	server := new(authtest.Server)
	server.Set(authtest.Script{ClientID: "cid", ClientSecret: "s&c", Basic: true, Grant: "password"})
	a := login{endpoint: "https://as.example/token", password: "pw", timeout: time.Hour,
		header: map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("cid:s&c"))}}.
		open(t, env(t, authtest.Wire{Handler: server}))
	got, err := apply(t.Context(), a)
	if err != nil || got != "Bearer "+server.Issued()[0] {
		t.Errorf("got %v, %v, want the token", got != "", err)
	}
}

// The rows of spec 1.3 and 1.4: who says how long a token lives.
func TestTokenLivesAsLongAsSomebodySays(t *testing.T) {
	jwt := func(exp time.Time) string {
		return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, exp.Unix())) + ".sig"
	}
	second := 50 * time.Second
	cases := []struct {
		name    string
		timeout time.Duration
		margin  *time.Duration
		extra   func(now time.Time) map[string]any
		good    time.Duration // served without a new request until just before
		stale   time.Duration // served, and renewed behind, from here
	}{
		{name: "token_timeout", timeout: 600 * time.Second, good: 540 * time.Second, stale: 540 * time.Second},
		{name: "token_timeout under a minute", timeout: 50 * time.Second, good: 45 * time.Second, stale: 45 * time.Second},
		{name: "token_timeout wins over the answer", timeout: 50 * time.Second,
			extra: func(time.Time) map[string]any { return map[string]any{"expires_in": 3600} }, good: 45 * time.Second, stale: 45 * time.Second},
		{name: "lifetime", extra: func(time.Time) map[string]any { return map[string]any{"expires_in": 100} },
			good: 90 * time.Second, stale: 90 * time.Second},
		{name: "digits as text", extra: func(time.Time) map[string]any { return map[string]any{"expires_in": "100"} },
			good: 90 * time.Second, stale: 90 * time.Second},
		{name: "epoch seconds", extra: func(now time.Time) map[string]any { return map[string]any{"expires_in": now.Unix() + 3600} },
			good: 3539 * time.Second, stale: 3541 * time.Second},
		{name: "epoch milliseconds", extra: func(now time.Time) map[string]any { return map[string]any{"expires_in": now.UnixMilli() + 3600_000} },
			good: 3539 * time.Second, stale: 3541 * time.Second},
		{name: "exp of a JWT", extra: func(now time.Time) map[string]any {
			return map[string]any{"access_token": jwt(now.Add(time.Hour))}
		}, good: 3539 * time.Second, stale: 3541 * time.Second},
		{name: "token_margin", timeout: 600 * time.Second, margin: &second, good: 550 * time.Second, stale: 550 * time.Second},
		{name: "token_margin longer than the life", timeout: 20 * time.Second, margin: &second, good: 2 * time.Second, stale: 2 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(26 * 365 * 24 * time.Hour) // a bubble begins in 2000, when epoch seconds were few
				server := new(authtest.Server)
				if c.extra != nil {
					server.Set(authtest.Script{Extra: c.extra(time.Now())})
				}
				a := login{endpoint: "https://as.example/token", password: "pw", timeout: c.timeout, margin: c.margin}.
					open(t, env(t, authtest.Wire{Handler: server}))
				start := time.Now()
				at := func(d time.Duration, want int) {
					t.Helper()
					time.Sleep(time.Until(start.Add(d)))
					if _, err := apply(t.Context(), a); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if got := server.Requests(); got != want {
						t.Errorf("%d token requests after %s, want %d", got, d, want)
					}
				}
				at(0, 1)
				at(c.good-time.Millisecond, 1)
				at(c.stale, 2)
			})
		})
	}
}

func TestTokenOfUnknownLifeIsGoodOnce(t *testing.T) {
	server := new(authtest.Server)
	a := login{endpoint: "https://as.example/token", password: "pw"}.open(t, env(t, authtest.Wire{Handler: server}))
	for want := 1; want <= 3; want++ {
		if _, err := apply(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if got := server.Requests(); got != want {
			t.Errorf("%d token requests, want %d", got, want)
		}
	}
}

func TestPerCallTokensAreNeitherSharedNorQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(authtest.Server)
		server.Set(authtest.Script{Delay: time.Second})
		a := login{endpoint: "https://as.example/token", password: "pw", timeout: requesttoken.PerCall}.
			open(t, env(t, authtest.Wire{Handler: server}))
		start := time.Now()
		var mu sync.Mutex
		seen := map[string]bool{}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				token, err := apply(t.Context(), a)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				seen[token] = true
			})
		}
		wg.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("20 callers took %s, want 1s: nobody queues", took)
		}
		if len(seen) != 20 || server.Requests() != 20 {
			t.Errorf("%d tokens by %d requests, want 20 by 20", len(seen), server.Requests())
		}
	})
}

func TestPerCallTokenRequestEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(authtest.Server)
		server.Set(authtest.Script{Delay: time.Hour})
		l := login{endpoint: "https://as.example/token", password: "pw", timeout: requesttoken.PerCall, wait: 5 * time.Second}
		start := time.Now()
		_, err := apply(t.Context(), l.open(t, env(t, authtest.Wire{Handler: server})))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("got %v after %s, want a deadline after 5s", err, time.Since(start))
		}
	})
}

func TestEveryBadAnswerIsAClearError(t *testing.T) {
	password := authtest.Marker()
	huge := strings.Repeat("x", 1<<20+1)
	cases := []struct {
		name   string
		script authtest.Script
		want   string // after «token endpoint URL»
	}{
		{name: "HTML with 200", script: authtest.Script{Answer: text(200, "text/html", "<html>"+password)},
			want: ": the answer is not JSON, as was declared (status 200)"},
		{name: "empty", script: authtest.Script{Answer: text(200, "application/json", "")},
			want: ": the answer is not JSON, as was declared (status 200)"},
		{name: "no token", script: authtest.Script{Answer: text(200, "application/json", `{"token_type":"Bearer"}`)},
			want: ": the answer holds no token (status 200)"},
		{name: "401", script: authtest.Script{Refuse: "invalid_client", Status: 401}, want: ": invalid_client (status 401)"},
		{name: "401 without words", script: authtest.Script{Answer: text(401, "text/plain", password)}, want: ": login refused (status 401)"},
		{name: "500", script: authtest.Script{Answer: text(500, "text/html", password)}, want: ": no token, an error of the server (status 500)"},
		{name: "hostile words", script: authtest.Script{Refuse: "a\r\nb\x1b[31m\u202e" + password, Extra: map[string]any{
			"error_description": strings.Repeat("ä", 300)}}, want: ": a  b [31m [redacted]: " + strings.Repeat("ä", 100) + "… (status 400)"},
		{name: "odd types", script: authtest.Script{Refuse: "x", Extra: map[string]any{"error": []int{1}, "error_description": 7}},
			want: ": login refused (status 400)"},
		{name: "too large", script: authtest.Script{Answer: text(200, "application/json", huge)},
			want: ": the answer is larger than 1 MiB (status 200)"},
		{name: "line break in the token", script: authtest.Script{Extra: map[string]any{"access_token": "T\r\nX-Evil: " + password}},
			want: ""},
		{name: "cut", script: authtest.Script{Answer: cut()}, want: ": the answer was cut off: unexpected EOF (status 200)"},
		{name: "redirect", script: authtest.Script{Answer: http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect)},
			want: ": no token, a redirect (status 307)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := new(authtest.Server)
			server.Set(c.script)
			elsewhere := 0
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					elsewhere++
				}
				server.ServeHTTP(w, r)
			}))
			defer web.Close()
			for _, timeout := range []time.Duration{time.Hour, requesttoken.PerCall} {
				a := login{endpoint: web.URL + "/token", password: password, timeout: timeout}.open(t, env(t, web.Client().Transport))
				_, err := apply(t.Context(), a)
				var failed *auth.TokenError
				if !errors.As(err, &failed) {
					t.Fatalf("got %v, want a TokenError", err)
				}
				want := "token endpoint " + web.URL + "/token" + c.want
				if c.want == "" {
					want = "token endpoint: token holds a line break or NUL and cannot be sent"
				}
				if err.Error() != want {
					t.Errorf("got  %q\nwant %q", err, want)
				}
			}
			if elsewhere > 0 {
				t.Error("the redirect was followed, want it to be the answer")
			}
		})
	}
}

func text(status int, kind, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// cut promises more than it sends.
func cut() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"access_token":"ha`))
	})
}

func TestSecondTokenIsMissedBeforeTheCall(t *testing.T) {
	server := new(authtest.Server)
	l := login{endpoint: "https://as.example/token", password: "pw", timeout: time.Hour,
		fields: []auth.Field{bearer, {Path: "header.headers.X-Csrf", Format: "{tokenp2}"}}}
	e := env(t, authtest.Wire{Handler: server})
	_, err := apply(t.Context(), l.open(t, e))
	if err == nil || !strings.Contains(err.Error(), "no second token (tokenp2)") {
		t.Errorf("got %v, want an error about the second token", err)
	}
	server.Set(authtest.Script{Extra: map[string]any{"second_token": "S"}})
	if _, err := apply(t.Context(), l.open(t, e)); err != nil {
		t.Errorf("with a second token: got %v, want no error", err)
	}
}

// A status line that cannot be read is quoted by net/http, and a server may have echoed there.
func TestUnreadableStatusLineShowsNoSecret(t *testing.T) {
	password := authtest.Marker()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 abc " + password + "\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	base := auth.NewBase()
	defer base.CloseIdleConnections()
	a := login{endpoint: "http://" + listener.Addr().String() + "/token", password: password, timeout: time.Hour}.open(t, env(t, base))
	if _, err := apply(t.Context(), a); err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("got %v, want an error without the password", err)
	}
}

// Some systems take the login in the path (spec, section 8).
func TestCredentialsInTheEndpointsPathAreNotShown(t *testing.T) {
	password := authtest.Marker()
	server := new(authtest.Server)
	server.Set(authtest.Script{Refuse: "invalid_grant"})
	c := login{endpoint: "https://as.example/token", password: password, timeout: time.Hour}.config(t)
	c.Request = pathRequest{c.Request.(authtest.FormRequest), auth.NewSecret(password)}
	e := env(t, authtest.Wire{Handler: server})
	e.Redact = nil // the last line of defence is not needed
	var events []auth.Event
	e.Observe = func(event auth.Event) { events = append(events, event) }
	a, err := c.Open(e)
	if err != nil {
		t.Fatal(err)
	}
	_, err = apply(t.Context(), a)
	if want := "token endpoint https://as.example/[redacted]/token: invalid_grant (status 400)"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if got := fmt.Sprint(events); strings.Contains(got, password) {
		t.Errorf("the events %s show the password", got)
	}
}

// pathRequest writes the password into the path.
type pathRequest struct {
	authtest.FormRequest
	password auth.Secret
}

func (p pathRequest) New(ctx context.Context, reveal bool) (*http.Request, error) {
	f := p.FormRequest
	f.Endpoint = "https://as.example/" + p.password.MaskedUnless(reveal).Reveal() + "/token"
	return f.New(ctx, reveal)
}

func TestKeyNamesAllThatDecidesTheToken(t *testing.T) {
	base := login{endpoint: "https://as.example/token", password: "pw", timeout: time.Hour,
		form: map[string]string{"scope": "r"}, header: map[string]string{"X-A": "1", "X-B": "2"}}
	cases := []struct {
		name   string
		change func(*login)
		shared bool
	}{
		{name: "nothing", change: func(*login) {}, shared: true},
		{name: "password", change: func(l *login) { l.password = "other" }},
		{name: "host", change: func(l *login) { l.endpoint = "https://other.example/token" }},
		{name: "path", change: func(l *login) { l.endpoint = "https://as.example/v2/token" }},
		{name: "scope", change: func(l *login) { l.form = map[string]string{"scope": "w"} }},
		{name: "another field", change: func(l *login) { l.form = map[string]string{"scope": "r", "domain": "corp"} }},
		{name: "header", change: func(l *login) { l.header = map[string]string{"X-A": "1", "X-B": "3"} }},
		{name: "token_timeout", change: func(l *login) { l.timeout = time.Minute }},
		{name: "placement", change: func(l *login) {
			l.fields = []auth.Field{{Path: "header.headers.Authorization", Format: "Token {token}"}}
		}, shared: true},
		{name: "header order", change: func(l *login) { l.header = map[string]string{"X-B": "2", "X-A": "1"} }, shared: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := new(authtest.Server)
			e := env(t, authtest.Wire{Handler: server})
			other := base
			c.change(&other)
			for _, l := range []login{base, other} {
				if _, err := apply(t.Context(), l.open(t, e)); err != nil {
					t.Fatal(err)
				}
			}
			if shared := server.Requests() == 1; shared != c.shared {
				t.Errorf("the token is shared: %t, want %t", shared, c.shared)
			}
			if list := e.Tokens.List(); len(list) != server.Requests() || list[0].User != "ann" || list[0].Owner != "test" {
				t.Errorf("got the list %+v, want %d of ann", list, server.Requests())
			}
		})
	}
}

func TestFiftyColdCallersMakeOneTokenRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(authtest.Server)
		server.Set(authtest.Script{Delay: 100 * time.Millisecond})
		e := env(t, authtest.Wire{Handler: server})
		l := login{endpoint: "https://as.example/token", password: "pw", timeout: time.Hour}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { // each with an authenticator of its own
				if _, err := apply(t.Context(), l.open(t, e)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := server.Requests(); got != 1 {
			t.Errorf("%d token requests, want 1", got)
		}
	})
}

func TestTenUsersWithASlowEndpointDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(authtest.Server)
		server.Set(authtest.Script{Delay: 100 * time.Millisecond})
		e := env(t, authtest.Wire{Handler: server})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				l := login{endpoint: "https://as.example/token", password: fmt.Sprint("pw", i), timeout: time.Hour}
				if _, err := apply(t.Context(), l.open(t, e)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 100*time.Millisecond || server.Requests() != 10 {
			t.Errorf("%d token requests took %s, want 10 in 100ms", server.Requests(), took)
		}
	})
}

func TestPlanShowsTheTokenRequestAndWhereTheTokenGoes(t *testing.T) {
	l := login{endpoint: "https://as.example/token", password: "p:w", timeout: time.Hour,
		fields: []auth.Field{bearer, {Path: "header.headers.X-Pw", Format: "{b64}{username}:{password}{/b64}"}}}
	for _, c := range []struct {
		reveal                bool
		body, bearer, encoded string
	}{
		{reveal: false, body: "grant_type=%5Bredacted%5D&password=%5Bredacted%5D&username=%5Bredacted%5D",
			bearer: "Bearer {token}", encoded: "{b64}[redacted]:[redacted]{/b64}"},
		{reveal: true, body: "grant_type=password&password=p%3Aw&username=ann", bearer: "Bearer {token}", encoded: "YW5uOnA6dw=="},
	} {
		plan, err := l.config(t).Plan(t.Context(), c.reveal)
		if err != nil || len(plan.Requests) != 1 {
			t.Fatalf("got %d requests, %v, want 1", len(plan.Requests), err)
		}
		if err := plan.Requests[0].ParseForm(); err != nil || plan.Requests[0].PostForm.Encode() != c.body {
			t.Errorf("reveal %t: got the form %s, want %s", c.reveal, plan.Requests[0].PostForm.Encode(), c.body)
		}
		req, _ := http.NewRequest(http.MethodGet, "https://resource.example/", nil)
		if _, err := plan.Auth.Apply(req); err != nil {
			t.Fatal(err)
		}
		if got := req.Header.Get("Authorization"); got != c.bearer {
			t.Errorf("reveal %t: got %q, want %q", c.reveal, got, c.bearer)
		}
		if got := req.Header.Get("X-Pw"); got != c.encoded {
			t.Errorf("reveal %t: got %q, want %q", c.reveal, got, c.encoded)
		}
	}
}

func TestRevokedTokenIsReplacedWithinTheCall(t *testing.T) {
	server := new(authtest.Server)
	wire := authtest.Wire{Handler: server}
	origin := httptest.NewRequest(http.MethodGet, "https://resource.example/", nil).URL
	client := &http.Client{Transport: &auth.Transport{Base: wire, Origin: auth.OriginOf(origin), Resubmits: 1,
		Auth: login{endpoint: "https://as.example/token", password: "pw", timeout: time.Hour}.open(t, env(t, wire))}}
	for i, want := range []int{1, 1, 2, 2} { // token requests after each call; revoked before the third
		if i == 2 {
			server.Revoke()
		}
		res, err := client.Get("https://resource.example/")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || server.Requests() != want {
			t.Errorf("call %d: status %d after %d token requests, want 200 after %d", i+1, res.StatusCode, server.Requests(), want)
		}
	}
}
