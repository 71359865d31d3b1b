package test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// door is one running gateway.
type door struct {
	cmd        *exec.Cmd
	url, admin string

	mu    sync.Mutex
	lines []string
	ended bool
	heard chan struct{} // closed with the next line, and at the end
}

// serve starts a gateway with a project file, and waits until it serves.
func serve(t *testing.T, env []string, project string, more ...string) *door {
	t.Helper()
	d := launch(t, env, append([]string{"--project", project, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, more...)...)
	var said struct{ Listen, Admin string }
	if err := json.Unmarshal([]byte(d.says(t, `"msg":"serving `)), &said); err != nil {
		t.Fatal(err)
	}
	d.url, d.admin = said.Listen, said.Admin
	return d
}

func launch(t *testing.T, env []string, args ...string) *door {
	t.Helper()
	d := &door{cmd: exec.Command(binary, append([]string{"serve"}, args...)...), heard: make(chan struct{})}
	d.cmd.Env = append(append(os.Environ(), "KEYHITCH_LOG_FORMAT=json"), env...)
	out, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill(); _ = d.cmd.Wait() })
	go d.listen(out)
	return d
}

func (d *door) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	for more := true; more; {
		more = lines.Scan()
		d.mu.Lock()
		d.ended = !more
		if more {
			d.lines = append(d.lines, lines.Text())
		}
		close(d.heard)
		d.heard = make(chan struct{})
		d.mu.Unlock()
	}
}

// says waits for a line of the log that holds text.
func (d *door) says(t *testing.T, text string) string {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		d.mu.Lock()
		lines, heard, ended := d.lines, d.heard, d.ended
		d.mu.Unlock()
		for _, line := range lines {
			if strings.Contains(line, text) {
				return line
			}
		}
		if !ended {
			select {
			case <-heard:
				continue
			case <-late:
			}
		}
		t.Fatalf("the log does not say %s:\n%s", text, strings.Join(lines, "\n"))
	}
}

// forget makes says wait for what comes from now on.
func (d *door) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = nil
}

func (d *door) kill() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

func (d *door) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

const callerKey = "correct-caller-key"

// client keeps enough connections for a crowd.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}, Timeout: 30 * time.Second}

// ask makes one call through the gateway.
func (d *door) ask(path, key string) (int, string, error) {
	req, err := http.NewRequest(http.MethodGet, d.url+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// crowd makes so many calls, 50 at a time, and fails for each that is not answered as it should be.
func (d *door) crowd(t *testing.T, calls int) {
	t.Helper()
	var next, lost atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(calls); n = next.Add(1) {
				status, body, err := d.ask(fmt.Sprintf("/proxy/acme/things/%d", n), callerKey)
				if (err != nil || status != 200 || body != fmt.Sprintf(`{"id":%d}`, n)) && lost.Add(1) < 4 {
					t.Errorf("call %d: status %d, body %s, error %v", n, status, body, err)
				}
			}
		})
	}
	wg.Wait()
	if n := lost.Load(); n > 0 {
		t.Errorf("%d of %d calls lost", n, calls)
	}
}

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// callers is the section of a project file that lets callerKey do everything with acme.
func callers(more ...string) string {
	return "gateway:\n  callers: [{name: reports, key_sha256: " + digest(callerKey) + ", allow: [\"acme*/*\"]}]\n  " +
		strings.Join(more, "\n  ") + "\n"
}

// project writes a project file with the adapter acme, and returns its path.
func project(t *testing.T, home string, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "keyhitch.yaml", "adapters:\n  acme: {home: "+home+"}\n"+strings.Join(more, "\n"))
	return filepath.Join(dir, "keyhitch.yaml")
}

// redisProject is a project file whose adapter shares its token.
func (f *fleet) redisProject(t *testing.T) string {
	t.Helper()
	instance := filepath.Join(f.home, "service-instance.json")
	text, err := os.ReadFile(instance)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.home, "service-instance.json", strings.Replace(string(text), `"token_timeout"`, `"token_cache": "redis", "token_timeout"`, 1))
	return project(t, f.home, "cache: {redis: {url: \"${env:KEYHITCH_REDIS_URL}\", prefix: gate}}", callers())
}

// both starts two gateways on one Redis.
func (f *fleet) both(t *testing.T, file string) []*door {
	t.Helper()
	return []*door{serve(t, f.env, file), serve(t, f.env, file)}
}

func together(doors []*door, fn func(*door)) {
	var wg sync.WaitGroup
	for _, d := range doors {
		wg.Go(func() { fn(d) })
	}
	wg.Wait()
}

func TestTwoGatewaysOnOneRedisLogInOnceAlsoAfterKill(t *testing.T) {
	f := newFleet(t)
	file := f.redisProject(t)
	for round := 1; round <= 2; round++ { // the second round follows kill -9 of both
		doors := f.both(t, file)
		together(doors, func(d *door) { d.crowd(t, 1000) })
		if n := f.system.logins.Load(); n != 1 {
			t.Errorf("round %d: %d logins, want 1", round, n)
		}
		for _, d := range doors {
			d.kill()
		}
	}
	if keys := fmt.Sprint(f.redis.Do("KEYS", "*")); !strings.Contains(keys, "gate:") {
		t.Errorf("names in Redis: %s, want those with the project file's prefix", keys)
	}
}

func TestTokenRevokedUnderLoadCostsOneLoginAndNoCall(t *testing.T) {
	f := newFleet(t)
	doors := f.both(t, f.redisProject(t))
	var once sync.Once
	inner := f.system.serve
	f.system.serve = func(w http.ResponseWriter, r *http.Request) {
		if f.system.calls.Load() > 500 {
			once.Do(f.system.revoke)
		}
		inner(w, r)
	}
	together(doors, func(d *door) { d.crowd(t, 1000) })
	if n := f.system.logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2: one cold, and one for the revoked token", n)
	}
}

func TestRedisPulledAwayFromGatewaysCostsNoCall(t *testing.T) {
	f := newFleet(t)
	doors := f.both(t, f.redisProject(t))
	doors[0].crowd(t, 100)
	f.redis.Kill()
	doors[0].crowd(t, 100)
	f.system.revoke() // now a token is needed that no Redis can share
	doors[0].crowd(t, 100)
	if n := f.system.logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

// generous is a system that honours every token it ever gave: each adapter has its own.
func generous(t *testing.T) *system {
	s := new(system)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			_, _ = fmt.Fprintf(w, `{"sid":"token-%d"}`, s.logins.Add(1))
			return
		}
		s.calls.Add(1)
		if !strings.HasPrefix(r.Header.Get("X-Auth-Token"), "token-") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, `{"id":%s}`, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	}))
	t.Cleanup(s.Close)
	return s
}

func TestReloadUnderLoadLosesNoCallAndNoToken(t *testing.T) {
	s := generous(t)
	home := s.home(t)
	var list strings.Builder
	for n := range 20 {
		fmt.Fprintf(&list, "  acme%d: {home: %s}\n", n, home)
	}
	file := project(t, home, list.String()+callers())
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := serve(t, nil, file)
	for n := range 20 {
		d.says(t, fmt.Sprintf(`{"adapter":"acme%d","level":"info","msg":"the adapter is ready"`, n))
	}
	d.crowd(t, 1)
	logins := s.logins.Load()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			d.crowd(t, 200)
		}
	}()
	d.signal(t, syscall.SIGHUP)
	d.says(t, "reloaded: 21 adapters")
	d.forget()
	write(t, home, "entities/other/action.json", `{"actions": []}`) // by file watch
	d.says(t, "reloaded: 21 adapters")
	write(t, filepath.Dir(file), "keyhitch.yaml", strings.Replace(string(good), "acme7: {home", "acme7: {hoem", 1))
	d.says(t, `keyhitch.yaml:10:17: /adapters/acme7/hoem: is not a known property; did you mean \"home\"?`)
	d.crowd(t, 100) // on what was before
	d.forget()
	write(t, filepath.Dir(file), "keyhitch.yaml", string(good))
	d.says(t, "reloaded: 21 adapters")
	cancel()
	<-done
	if n := s.logins.Load(); n != logins {
		t.Errorf("%d logins, want %d as before: tokens outlive a reload", n, logins)
	}
}

func TestSIGTERMDrains(t *testing.T) {
	s := newSystem(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	s.serve = func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "late but whole")
	}
	d := serve(t, nil, project(t, s.home(t), callers()))
	answer := make(chan string)
	go func() {
		status, body, err := d.ask("/proxy/acme/things/1", callerKey)
		answer <- fmt.Sprint(status, " ", body, " ", err)
	}()
	<-arrived
	d.signal(t, syscall.SIGTERM)
	d.says(t, "ending: requests under way have 30s")
	address := strings.TrimPrefix(d.url, "http://")
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			_ = conn.Close()
		}
		if time.Now().After(end) {
			t.Fatal("still takes new connections, want them refused")
		}
	}
	res, err := http.Get(d.admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d while it drains, want 503", res.StatusCode)
	}
	close(release)
	if got := <-answer; got != "200 late but whole <nil>" {
		t.Errorf("the call under way got %s, want its answer", got)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit 0", err)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	s, begun := hung(t)
	d := serve(t, nil, project(t, s.home(t), callers()))
	go func() { _, _, _ = d.ask("/proxy/acme/things/1", callerKey) }()
	<-begun
	d.signal(t, syscall.SIGTERM)
	d.says(t, "ending:")
	d.signal(t, syscall.SIGTERM)
	start := time.Now()
	_ = d.cmd.Wait()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s to end, want no drain", took)
	}
}

func TestDrainHasALimit(t *testing.T) {
	s, begun := hung(t)
	d := serve(t, nil, project(t, s.home(t), callers("drain_seconds: 1")))
	go func() { _, _, _ = d.ask("/proxy/acme/things/1", callerKey) }()
	<-begun
	d.signal(t, syscall.SIGTERM)
	d.says(t, "are cut off")
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit 0", err)
	}
}

func TestOnlyCallersWithTheirKeyAndTheirAdapter(t *testing.T) {
	s := generous(t)
	home := s.home(t)
	d := serve(t, nil, project(t, home, "  other: {home: "+home+"}\n"+callers()))
	for _, tt := range []struct {
		name, path, key string
		status          int
		code            string
	}{
		{"the right key", "/proxy/acme/things/1", callerKey, 200, ""},
		{"a wrong key", "/proxy/acme/things/1", "guessed", 401, "no-caller"},
		{"another's adapter", "/proxy/other/things/1", callerKey, 403, "forbidden"},
	} {
		status, body, err := d.ask(tt.path, tt.key)
		if err != nil || status != tt.status || !strings.Contains(body, tt.code) {
			t.Errorf("%s: got %d %s (%v), want %d %s", tt.name, status, body, err, tt.status, tt.code)
		}
	}
	if n := s.calls.Load(); n != 1 {
		t.Errorf("the system got %d calls, want 1", n)
	}
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	s := newSystem(t)
	d := serve(t, nil, project(t, s.home(t), callers("header_seconds: 1")))
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET /proxy/acme/things/1 HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open after ten seconds, want it cut off after one")
	}
}

func TestUnixSocketIsOurOwn(t *testing.T) {
	s := newSystem(t)
	dir := t.TempDir()
	socket := filepath.Join(dir, "gateway.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close() // as after kill -9
	d := serve(t, nil, project(t, s.home(t)), "--listen", "unix:"+socket)
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v and error %v, want mode 0600", info.Mode(), err)
	}
	through := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	res, err := through.Get("http://gateway/proxy/acme/things/5")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if body, _ := io.ReadAll(res.Body); string(body) != `{"id":5}` {
		t.Errorf("got %s, want the system's answer: a socket needs no callers", body)
	}
	refusedToStart(t, project(t, s.home(t)), "another program listens there", "--listen", "unix:"+socket)
	d.signal(t, syscall.SIGTERM)
	_ = d.cmd.Wait()
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is still there after the end")
	}
	plain := filepath.Join(dir, "plain.txt")
	write(t, dir, "plain.txt", "precious")
	refusedToStart(t, project(t, s.home(t)), "is there already and is no socket", "--listen", "unix:"+plain)
	if text, _ := os.ReadFile(plain); string(text) != "precious" {
		t.Error("a file that is no socket was changed")
	}
}

// refusedToStart runs a gateway that must end with exit 3, and say why.
func refusedToStart(t *testing.T, file, why string, more ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"serve", "--project", file, "--admin", "none"}, more...)...)
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(string(out), why) || strings.Contains(string(out), "goroutine") {
		t.Errorf("got exit code %d and %s, want 3 and %q", code, out, why)
	}
}

func TestDangerousListenersAreRefused(t *testing.T) {
	home := newSystem(t).home(t)
	open := project(t, home)
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "somewhere.example:0"} {
		refusedToStart(t, open, "list who may call under gateway.callers", "--listen", address)
	}
	refusedToStart(t, project(t, home, callers()), "other machines could read metrics and profiles", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	refusedToStart(t, open, "another program listens there", "--listen", taken.Addr().String())
}

func TestNonLoopbackWithCallersServes(t *testing.T) {
	s := newSystem(t)
	d := serve(t, nil, project(t, s.home(t), callers()), "--listen", "0.0.0.0:0")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(d.url, "http://"))
	d.url = "http://127.0.0.1:" + port
	d.crowd(t, 10)
}

func TestReloadThatWouldOpenTheDoorIsRefused(t *testing.T) {
	s := newSystem(t)
	home := s.home(t)
	file := project(t, home, callers())
	d := serve(t, nil, file, "--listen", "0.0.0.0:0")
	write(t, filepath.Dir(file), "keyhitch.yaml", "adapters:\n  acme: {home: "+home+"}\n")
	d.says(t, "other machines could use every credential")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(d.url, "http://"))
	d.url = "http://127.0.0.1:" + port
	if status, _, _ := d.ask("/proxy/acme/things/1", "guessed"); status != 401 {
		t.Errorf("got %d without a key, want 401 as before", status)
	}
}

// What the file says of the address counts from the next start on: the door that is open now decides.
func TestReloadThatOnlyWritesAnotherAddressOpensNoDoor(t *testing.T) {
	s := newSystem(t)
	home := s.home(t)
	file := project(t, home, callers("listen: 0.0.0.0:0"))
	d := launch(t, nil, "--project", file, "--admin", "none")
	var said struct{ Listen string }
	if err := json.Unmarshal([]byte(d.says(t, `"msg":"serving `)), &said); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(file), "keyhitch.yaml", "adapters:\n  acme: {home: "+home+"}\ngateway: {listen: 127.0.0.1:0}\n")
	d.says(t, "other machines could use every credential")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(said.Listen, "http://"))
	d.url = "http://127.0.0.1:" + port
	if status, _, _ := d.ask("/proxy/acme/things/1", "guessed"); status != 401 {
		t.Errorf("got %d without a key, want 401 as before", status)
	}
}

func TestServeTellsEveryProblemBeforeItStarts(t *testing.T) {
	home := newSystem(t).home(t)
	file := project(t, home, "  gone: {home: ./nowhere}\n  both: {home: x, config: y}\ngateway: {lisen: x, callers: [{name: a, key_sha256: short, allow: [nonsense]}]}\n")
	cmd := exec.CommandContext(t.Context(), binary, "serve", "--project", file)
	out, _ := cmd.CombinedOutput()
	for _, want := range []string{"nowhere: there is no such directory or file", "/adapters/both: needs either home or config",
		`/gateway/lisen: is not a known property; did you mean "listen"?`, "keyhitch.yaml:5:53: /gateway/callers/0/key_sha256", "/gateway/callers/0/allow/0"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("got\n%s\nwant a line with %s", out, want)
		}
	}
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("got exit code %d, want 3", code)
	}
}

func TestReadyAsksARunningGateway(t *testing.T) {
	s := newSystem(t)
	file := project(t, s.home(t), callers())
	d := serve(t, nil, file)
	d.says(t, "the adapter is ready")
	ready := func() (string, int) {
		cmd := exec.CommandContext(t.Context(), binary, "serve", "--ready", "--project", file, "--admin", strings.TrimPrefix(d.admin, "http://"))
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := ready(); code != 0 || !strings.Contains(out, `"acme":"ready"`) {
		t.Errorf("got exit code %d and %s, want 0 and a ready adapter", code, out)
	}
	d.kill()
	if out, code := ready(); code != 6 || !strings.Contains(out, "no gateway answers on 127.0.0.1:") {
		t.Errorf("got exit code %d and %s from a dead gateway, want 6", code, out)
	}
}

func TestServiceManagerIsTold(t *testing.T) {
	s := newSystem(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	told := func(want string) {
		t.Helper()
		_ = socket.SetReadDeadline(time.Now().Add(20 * time.Second))
		buf := make([]byte, 1000)
		n, err := socket.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), want) {
			t.Errorf("got %q and error %v, want %s", buf[:n], err, want)
		}
	}
	d := serve(t, []string{"NOTIFY_SOCKET=" + path}, project(t, s.home(t), callers()))
	told("READY=1")
	d.signal(t, syscall.SIGHUP)
	told("RELOADING=1")
	told("READY=1")
	d.signal(t, syscall.SIGTERM)
	told("STOPPING=1")
}

func TestNoSecretInTheLogOfAGateway(t *testing.T) {
	f := newFleet(t)
	d := serve(t, append(f.env, "KEYHITCH_LOG_LEVEL=trace"), f.redisProject(t))
	d.crowd(t, 20)
	_, _, _ = d.ask("/proxy/acme/things/1?api_key=inquisitive-secret", callerKey)
	f.system.revoke()
	d.crowd(t, 20)
	d.signal(t, syscall.SIGTERM)
	_ = d.cmd.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	log := strings.Join(d.lines, "\n")
	for _, secret := range []string{callerKey, "correct-horse-battery", "token-1", "token-2", "inquisitive-secret"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
	if !strings.Contains(log, `"caller":"reports"`) {
		t.Errorf("the log has no line for a request:\n%s", log)
	}
}
