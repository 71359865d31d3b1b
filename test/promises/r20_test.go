package promises

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/cache/backends/redis"
	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
)

// overheard is everything that a run shows to anybody: log lines, errors, events, printed values.
type overheard struct {
	lines
	log *logrus.Logger

	mu      sync.Mutex
	secrets []string
}

func newOverheard() *overheard {
	o := &overheard{log: logrus.New()}
	o.log.SetOutput(&o.lines)
	o.log.SetLevel(logrus.TraceLevel)
	return o
}

// hide notes secrets that must not be seen.
func (o *overheard) hide(secrets ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.secrets = append(o.secrets, secrets...)
}

// observe notes an event.
func (o *overheard) observe(e auth.Event) { o.print("event", e) }

// err notes an error, and all that it wraps.
func (o *overheard) err(err error) {
	for ; err != nil; err = errors.Unwrap(err) {
		o.print("error "+err.Error(), err)
	}
}

// print notes a value as every verb and encoder shows it.
func (o *overheard) print(what string, value any) {
	text, err := json.Marshal(value)
	_, _ = fmt.Fprintf(&o.lines, "%s: %v %+v %#v %s %q %x %s %v\n", what, value, value, value, value, value, value, text, err)
}

// shownAs lists how a secret can be read, by what that is called.
func shownAs(secret string) map[string]string {
	raw := []byte(secret)
	return map[string]string{
		"as it is": secret, "in base64": base64.StdEncoding.EncodeToString(raw), "in raw base64": base64.RawStdEncoding.EncodeToString(raw),
		"in base64url": base64.RawURLEncoding.EncodeToString(raw), "in hex": hex.EncodeToString(raw), "as a query": url.QueryEscape(secret),
		"as a path": url.PathEscape(secret), "in JSON": strings.Trim(fmt.Sprintf("%q", secret), `"`),
	}
}

// found lists in which form which secret can be read.
func (o *overheard) found() []string {
	text, list := o.String(), []string(nil)
	for i, secret := range o.secrets {
		for form, shown := range shownAs(secret) {
			if at := strings.Index(text, shown); at >= 0 {
				list = append(list, fmt.Sprintf("secret %d %s, in the line %.60q…", i, form, text[strings.LastIndexByte(text[:at], '\n')+1:at]))
			}
		}
	}
	return list
}

// talk is a fleet whose processes all write to one place, where all that they say is overheard.
type talk struct {
	*sharing
	seen  *overheard
	redis *redistest.Server
}

func newTalk(t *testing.T) *talk {
	t.Helper()
	secret := authtest.Marker()
	server := redistest.Start(t, "--user", "keyhitch", "on", ">"+secret, "~*", "&*", "+@all")
	r := &talk{newSharing(t, "redis://keyhitch:"+secret+"@"+server.Addr()), newOverheard(), server}
	r.seen.hide(secret, r.seal.text, password, evil, tricky)
	return r
}

// tricky is a token that is another text in every encoding.
var tricky = authtest.Marker() + `+/=&%25"\<tricky>`

// calls makes calls with a new process, after each of which it is its system's turn.
func (r *talk) calls(t *testing.T, between ...func()) *process {
	t.Helper()
	p := r.process(t, options{Log: r.seen.log, Observe: r.seen.observe, Wait: 500 * time.Millisecond})
	for _, turn := range append([]func(){func() {}}, between...) {
		turn()
		_, err := p.call(t.Context())
		r.seen.err(err)
	}
	p.settle(t)
	r.show(t, p)
	return p
}

// show prints what a program could print of a process.
func (r *talk) show(t *testing.T, p *process) {
	t.Helper()
	token, err := p.source.Token(t.Context())
	r.seen.err(err)
	info, _ := p.source.Info()
	config := p.config(t, options{})
	plan, err := config.Plan(context.Background(), false) // it gets printed, and the test's own is in use
	r.seen.err(err)
	for _, value := range []any{token, info, p.tokens.List(), config, plan, plan.Requests[0], r.seal.keys, r.seal.names,
		&redis.Config{URL: redis.NewURL(r.url)}, redis.NewURL(r.url)} {
		r.seen.print("value", value)
	}
	r.seen.hide(r.Issued()...)
}

// echo answers a token request with what came, where body says so by its verb.
func echo(status int, header, body string) authtest.Script {
	return authtest.Script{Answer: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := r.PostFormValue("password")
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, strings.ReplaceAll(value, "PASSWORD", sent))
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, strings.NewReplacer("PASSWORD", sent, "TOKEN", tricky).Replace(body))
	})}
}

// rawAnswer writes text to the connection: it need not be HTTP.
func rawAnswer(text func(*http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		said := text(r)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write([]byte(said))
		_ = conn.Close()
	}
}

// TestR20SecretsStayOutOfSight does all that can go wrong, and reads what it said.
func TestR20SecretsStayOutOfSight(t *testing.T) {
	r := newTalk(t)
	r.calls(t, r.Revoke, func() { r.answer(unauthorized) }, func() { r.answer(nil) })
	for _, script := range []authtest.Script{
		echo(200, "", `{"access_token": TOKEN}`), echo(200, "", `{"access_token":"TOKEN","expires_in":PASSWORD}`),
		echo(200, "", "\x00TOKEN PASSWORD"), echo(200, "", `["TOKEN"]`), echo(200, "", `{"access_token":"line\nbreak TOKEN"}`),
		echo(200, "", `{"access_token":{"PASSWORD":"TOKEN"}}`), echo(200, "Content-Length: 5000", `{"access_token":"PASSWORD`),
		echo(302, "Location: http://127.0.0.1:1/?PASSWORD", ""), echo(500, "", "<p>PASSWORD</p>"),
		echo(400, "", `{"error":"invalid_grant","error_description":"wrong: PASSWORD"}`), echo(401, "", `{"error":"PASSWORD"}`),
		echo(429, "Retry-After: PASSWORD", "PASSWORD"), {Refuse: "invalid_client"}, {Delay: 700 * time.Millisecond},
		{Answer: rawAnswer(func(r *http.Request) string { return "HTTP/1.1 " + r.PostFormValue("password") + "\r\n\r\n" })},
		{Answer: rawAnswer(func(r *http.Request) string { return "HTTP/1.1 200 OK\r\n" + r.PostFormValue("password") + "\r\n\r\n" })},
	} {
		r.Set(script)
		r.forget()
		r.calls(t)
	}
	r.Set(authtest.Script{Lifetime: time.Hour})
	r.poison(t)
	r.Set(authtest.Script{Lifetime: time.Hour})
	r.redis.Kill()
	r.calls(t, r.Revoke)
	gone := httptest.NewServer(nil)
	gone.Close()
	r.URL = gone.URL
	r.calls(t)
	r.report(t)
}

// report fails for every secret that can be read, and when there was little to read.
func (r *talk) report(t *testing.T) {
	t.Helper()
	text := r.seen.String()
	for _, want := range []string{"level=warning", "event", "invalid_grant", "not JSON", "fingerprint", "going on without", "[redacted]"} {
		if !strings.Contains(text, want) {
			t.Errorf("nobody said %q: the run did not do what it should", want)
		}
	}
	found := r.seen.found()
	slices.Sort(found)
	for _, f := range found {
		t.Error(f)
	}
	measured(t, "R20", "%d lines of log, errors, events and values searched for %d secrets in 8 forms: %d hits",
		strings.Count(text, "\n"), len(r.seen.secrets), len(found))
}

func unauthorized(w http.ResponseWriter, r *http.Request) {
	http.Error(w, r.Header.Get("Authorization"), http.StatusUnauthorized)
}

// forget empties Redis, so that the next process asks for a token.
func (r *talk) forget() { r.redis.Do("FLUSHALL") }

// poison puts records into Redis that do not open, and one that belongs elsewhere.
func (r *talk) poison(t *testing.T) {
	t.Helper()
	r.forget()
	r.calls(t)
	now := time.Now().UnixMilli()
	key := tokenKey(t, r.redis)
	for _, record := range [][]byte{plain(now, now+3_600_000, 1), []byte(evil), sealedAs(t, r.seal.keys, "other", plain(now, 0, 1))} {
		r.redis.Do("SET", inRedis(key, "token"), "1"+string(record))
		r.calls(t)
	}
}

// TestR20SearchFindsWhatIsThere keeps the test above honest.
func TestR20SearchFindsWhatIsThere(t *testing.T) {
	for form, shown := range shownAs(tricky) {
		seen := newOverheard()
		seen.hide(tricky)
		_, _ = fmt.Fprintln(&seen.lines, "a token:", shown)
		if !slices.ContainsFunc(seen.found(), func(f string) bool { return strings.Contains(f, form) }) {
			t.Errorf("a token %s is not found", form)
		}
	}
	quoted := newOverheard()
	quoted.hide(tricky)
	quoted.log.Trace(tricky)
	if len(quoted.found()) == 0 {
		t.Error("a line of the log that shows a token is not found")
	}
}

// TestR20APIThatEchoesTheTokenInABrokenAnswer: net/http quotes in its errors what it cannot read.
func TestR20APIThatEchoesTheTokenInABrokenAnswer(t *testing.T) {
	for name, text := range map[string]string{"as its status line": "HTTP/1.1 %s\r\n\r\n", "as a status": "HTTP/1.1 2%s OK\r\n\r\n",
		"as a header": "HTTP/1.1 200 OK\r\n%s\r\n\r\n", "as anything": "%s\r\n\r\n", "as a length": "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
		"as an encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			s, seen := newSystem(t), newOverheard()
			s.answer(rawAnswer(func(r *http.Request) string {
				return fmt.Sprintf(text, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			}))
			a := s.adapter(t, adapter.Options{Log: seen.log, Observe: seen.observe})
			_, err := a.Call(t.Context(), "thing", "get", adapter.Input{})
			if err == nil || s.Requests() != 1 {
				t.Fatalf("got %v after %d token requests, want an error of the call after 1", err, s.Requests())
			}
			seen.print("error "+err.Error(), a.Failure(err))
			seen.hide(s.Issued()...)
			for _, f := range seen.found() {
				t.Error(f)
			}
		})
	}
}

// adapter opens a whole adapter for the system: what a program calls is scrubbed there.
func (s *system) adapter(t *testing.T, o adapter.Options) *adapter.Adapter {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	for name, text := range map[string]string{
		"service-instance.json": fmt.Sprintf(`{"host": %q, "port": %s, "authentication": {"auth_method": "request_token", "username": "ann",
			"password": %q, "token_timeout": 600000, "auth_field": "header.headers.Authorization", "auth_field_format": "Bearer {token}"}}`, u.Hostname(), u.Port(), password),
		"entities/.system/action.json": `{"actions": [{"name": "getToken", "protocol": "REST", "method": "POST", "entitypath": "/token",
			"requestSchema": "login.json", "responseSchema": "token.json"}]}`,
		"entities/.system/login.json": `{"type": "object", "properties": {"username": {"type": "string"}, "password": {"type": "string"}}}`,
		"entities/.system/token.json": `{"type": "object", "properties": {"token": {"type": "string", "placement": "BODY", "external_name": "access_token"}}}`,
		"entities/thing/action.json":  `{"actions": [{"name": "get", "protocol": "REST", "method": "GET", "entitypath": "/things", "schema": "thing.json"}]}`,
		"entities/thing/thing.json":   `{"type": "object", "properties": {}}`,
	} {
		file := filepath.Join(home, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	a, err := keyhitch.Open(home, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	return a
}
