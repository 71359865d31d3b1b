package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

// portSystem answers logins as one example of the published page does, if they are sent as the
// page says, and everything else to who shows what the login brought. It counts both.
type portSystem struct {
	*httptest.Server
	login         func(*http.Request, string) bool // whether a login is right; its body
	answer        string                           // to it; TOKEN stands for a new token
	good          func(*http.Request, string) bool // whether a call shows the token
	logins, calls atomic.Int64
	wrong         atomic.Int64 // logins that were not as they should be

	mu    sync.Mutex
	token string
}

func (s *portSystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body)
	body := string(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/v2/"):
		if !s.good(r, body) || s.token == "" || !strings.Contains(fmt.Sprint(r.Header, r.URL, body), s.token) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.calls.Add(1)
		_, _ = io.WriteString(w, "answered")
	case s.login(r, body):
		s.token = fmt.Sprintf("token-%d", s.logins.Add(1))
		_, _ = io.WriteString(w, strings.ReplaceAll(s.answer, "TOKEN", s.token))
	default:
		s.wrong.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// isJSON reports whether a request is a POST of exactly this JSON.
func isJSON(path, want string) func(*http.Request, string) bool {
	return func(r *http.Request, body string) bool {
		return r.Method == http.MethodPost && r.URL.Path == path && strings.Join(r.Header["Content-Type"], "|") == "application/json" && body == want
	}
}

// pageExamples are those of the published page, with placeholders filled in.
var pageExamples = []struct {
	name, config, answer string
	login, good          func(*http.Request, string) bool
}{
	{"client credentials", `"customAuthRequest":{"endpoint":"/oauth/token","method":"POST","headers":{"Content-Type":"application/x-www-form-urlencoded"},
		"bodyForm":"grant_type=client_credentials&client_id=id-1&client_secret=${env:PORT_SECRET}","reauthenticateIntervalSeconds":3600},
		"customAuthRequestTemplate":{"headers":{"Authorization":"Bearer {{.access_token}}"}}`,
		`{"access_token":"TOKEN","token_type":"Bearer","expires_in":3600}`,
		func(r *http.Request, body string) bool {
			return r.Method == http.MethodPost && r.URL.Path == "/oauth/token" && body == "grant_type=client_credentials&client_id=id-1&client_secret=s-1" &&
				strings.Join(r.Header["Content-Type"], "|") == "application/x-www-form-urlencoded"
		},
		func(r *http.Request, _ string) bool {
			return strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-")
		}},
	{"API key in the query", `"customAuthRequest":{"endpoint":"/api/auth/login","method":"POST","headers":{"Content-Type":"application/json"},
		"body":{"username":"ann","password":"${env:PORT_SECRET}"}},"customAuthRequestTemplate":{"queryParams":{"api_key":"{{.apiKey}}"}}`,
		`{"apiKey":"TOKEN","userId":"12345"}`, isJSON("/api/auth/login", `{"password":"s-1","username":"ann"}`),
		func(r *http.Request, _ string) bool {
			return strings.HasPrefix(r.URL.Query().Get("api_key"), "token-") && r.URL.Query().Get("page") == "1"
		}},
	{"JWT with a version", `"customAuthRequest":{"endpoint":"/v1/auth/token","method":"POST","headers":{"Content-Type":"application/json"},
		"body":{"clientId":"id-1","clientSecret":"${env:PORT_SECRET}"}},
		"customAuthRequestTemplate":{"headers":{"Authorization":"Bearer {{.jwt}}","X-API-Version":"{{.version}}"}}`,
		`{"jwt":"TOKEN","version":"2.0","expiresAt":"2024-12-31T23:59:59Z"}`, isJSON("/v1/auth/token", `{"clientId":"id-1","clientSecret":"s-1"}`),
		func(r *http.Request, _ string) bool {
			return strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-") && r.Header.Get("X-API-Version") == "2.0"
		}},
	{"nested answer", `"customAuthRequest":{"endpoint":"/auth/login","method":"POST","body":{"credentials":{"username":"ann","password":"${env:PORT_SECRET}"}}},
		"customAuthRequestTemplate":{"headers":{"Authorization":"Bearer {{.data.token}}","X-Session-ID":"{{.data.sessionId}}"}}`,
		`{"status":"success","data":{"token":"TOKEN","sessionId":"sess_abc123"}}`, isJSON("/auth/login", `{"credentials":{"password":"s-1","username":"ann"}}`),
		func(r *http.Request, _ string) bool {
			return strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-") && r.Header.Get("X-Session-ID") == "sess_abc123"
		}},
	{"three places at once", `"customAuthRequest":{"endpoint":"/v1/auth/token","method":"POST","body":{"clientId":"id-1","clientSecret":"${env:PORT_SECRET}"}},
		"customAuthRequestTemplate":{"headers":{"Authorization":"Bearer {{.access_token}}"},"queryParams":{"token":"{{.access_token}}"},"body":{"auth_token":"{{.access_token}}"}}`,
		`{"access_token":"TOKEN"}`, isJSON("/v1/auth/token", `{"clientId":"id-1","clientSecret":"s-1"}`),
		func(r *http.Request, body string) bool {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			return r.URL.Query().Get("token") == token && body == `{"own":1,"auth_token":"`+token+`"}`
		}},
}

// portFile starts a system for an example and writes the configuration for it.
func portFile(t *testing.T, n int, more string) (*portSystem, string) {
	t.Helper()
	e := pageExamples[n]
	s := &portSystem{login: e.login, answer: e.answer, good: e.good}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	dir := t.TempDir()
	write(t, dir, "port.json", fmt.Sprintf(`{"baseUrl": %q, "authType": "custom", %s %s}`, s.URL, e.config, more))
	return s, filepath.Join(dir, "port.json")
}

// requested runs the program and returns what it printed.
func requested(t *testing.T, env []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var out, errOut bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(append(os.Environ(), "PORT_SECRET=s-1"), env...), &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

func TestEveryExampleOfThePublishedPage(t *testing.T) {
	for n, e := range pageExamples {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			s, file := portFile(t, n, "")
			post := []string{"request", file, "POST", "/v2/things", "-q", "page=1", "-d", `{"own":1}`}
			out, told, err := requested(t, nil, post...)
			if err != nil || out != "answered" || s.logins.Load() != 1 || s.calls.Load() != 1 {
				t.Errorf("got %q, %v, %s after %d logins and %d calls; want answered after 1 and 1", out, err, told, s.logins.Load(), s.calls.Load())
			}
			if _, told, err := requested(t, nil, "check", file); err != nil || s.logins.Load() != 2 || s.calls.Load() != 1 {
				t.Errorf("check: %v, %s", err, told)
			}
			_, told, err = requested(t, []string{"PORT_SECRET=wrong"}, post...)
			if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 || s.wrong.Load() != 1 || strings.Contains(told, "wrong\"") {
				t.Errorf("with a wrong secret: %v, %s after %d refused logins; want exit 7 after 1", err, told, s.wrong.Load())
			}
		})
	}
}

// redisEnv starts a real Redis and says where it is.
func redisEnv(t *testing.T) []string {
	t.Helper()
	return []string{"KEYHITCH_REDIS_URL=redis://" + redistest.Start(t).Addr(), "KEYHITCH_SEAL_KEY=" + sealed.NewKey()}
}

// Spec port.md, section 8.4: one credential for one configuration, in however many processes.
func TestProcessesOnOneRedisShareTheLoginOfAPortFile(t *testing.T) {
	env := redisEnv(t)
	s, file := portFile(t, 0, `, "tokenCache": "redis"`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if out, told, err := requested(t, env, "request", file, "GET", "/v2/things"); err != nil || out != "answered" {
				t.Errorf("got %q, %v: %s", out, err, told)
			}
		})
	}
	wg.Wait()
	if logins := s.logins.Load(); logins != 1 {
		t.Errorf("four processes made %d authentication calls, want 1", logins)
	}
	out, told, err := requested(t, env, "token", file, "show", "-o", "json")
	if err != nil || !strings.Contains(out, `"source":"redis"`) || strings.Contains(out, "token-1") {
		t.Errorf("token show: got %s, %v, %s; want the metadata of a token in redis", out, err, told)
	}
}

// Spec port.md, section 8: a restart finds the credential of the process before.
func TestProcessThatIsKilledAndStartedAgainMakesNoAuthCall(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	env := redisEnv(t)
	s, file := portFile(t, 0, `, "tokenCache": "redis"`)
	slow := make(chan struct{})
	var once sync.Once
	s.mu.Lock()
	held := s.good
	s.good = func(r *http.Request, body string) bool {
		if r.URL.Path == "/v2/hang" {
			once.Do(func() { close(slow) })
			s.mu.Unlock()
			<-r.Context().Done()
			s.mu.Lock()
		}
		return held(r, body)
	}
	s.mu.Unlock()
	cmd := exec.CommandContext(t.Context(), binary, "request", file, "GET", "/v2/hang")
	cmd.Env = append(append(os.Environ(), "PORT_SECRET=s-1"), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-slow
	for shown := ""; !strings.Contains(shown, `"source":"redis"`); { // nobody waits for the store, but we do
		shown, _, _ = requested(t, env, "token", file, "show", "-o", "json")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if out, told, err := requested(t, env, "request", file, "GET", "/v2/things"); err != nil || out != "answered" {
		t.Errorf("got %q, %v: %s", out, err, told)
	}
	if logins := s.logins.Load(); logins != 1 {
		t.Errorf("%d authentication calls in all, want that of the first process alone", logins)
	}
}

// stay starts `keyhitch demo --stay` on a free port and returns its address and how to end it.
func stay(t *testing.T) (address string, end func() error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "demo", "--stay", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, found := strings.Cut(lines.Text(), "http://"); found && address == "" {
			address, _, _ = strings.Cut(rest, " ")
		}
		if strings.HasPrefix(lines.Text(), "What reaches them") {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return address, func() error {
		_ = cmd.Process.Signal(os.Interrupt)
		return cmd.Wait()
	}
}

func TestDemoStaysUntilItIsInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	address, end := stay(t)
	client := http.Client{Timeout: 5 * time.Second}
	res, err := client.Post("http://"+address+"/jwt/v1/auth/token", "application/json", strings.NewReader(`{"clientId":"device-reader","clientSecret":"pretend-secret-5"}`))
	if err != nil {
		t.Fatal(err)
	}
	var token struct{ JWT string }
	err = json.NewDecoder(res.Body).Decode(&token)
	_ = res.Body.Close()
	if err != nil || token.JWT == "" {
		t.Errorf("got %v, want a token", err)
	}
	if err := end(); err != nil {
		t.Errorf("interrupted: got %v, want exit code 0", err)
	}
}
