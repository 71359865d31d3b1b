package test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

// fleet is what several processes on one Redis have in common.
type fleet struct {
	system *system
	redis  *redistest.Server
	home   string
	env    []string
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{system: newSystem(t), redis: redistest.Start(t)}
	f.home = f.system.home(t)
	f.env = append(os.Environ(), "KEYHITCH_REDIS_URL=redis://"+f.redis.Addr(), "KEYHITCH_SEAL_KEY="+sealed.NewKey())
	return f
}

// member is one process of the fleet, with a batch on its standard input.
type member struct {
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr bytes.Buffer
}

func (f *fleet) start(t *testing.T, more ...string) *member {
	t.Helper()
	args := append([]string{"call", f.home, "--batch", "-", "--parallel", "50", "--set", "authentication.token_cache=redis"}, more...)
	m := &member{cmd: exec.CommandContext(t.Context(), binary, args...)}
	m.cmd.Env, m.cmd.Stdout, m.cmd.Stderr = f.env, &m.stdout, &m.stderr
	var err error
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *member) send(from, to int) {
	for n := from; n <= to; n++ {
		_, _ = io.WriteString(m.stdin, line(n))
	}
}

// end waits for the process and fails unless it answered so many calls, all with success.
func (m *member) end(t *testing.T, calls int) {
	t.Helper()
	_ = m.stdin.Close()
	if err := m.cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, m.stderr.String())
	}
	if got := strings.Count(m.stdout.String(), `"icode":"AD.200"`); got != calls {
		t.Errorf("%d calls answered, want %d: %s", got, calls, m.stderr.String())
	}
}

// each starts four processes together and gives them all to run.
func (f *fleet) each(t *testing.T, run func(m *member)) {
	t.Helper()
	var members []*member
	for range 4 {
		members = append(members, f.start(t))
	}
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() { run(m) })
	}
	wg.Wait()
}

func TestFourProcessesOnOneRedisLogInOnceAndNeverAgain(t *testing.T) {
	f := newFleet(t)
	for round := 1; round <= 2; round++ { // the second round is a restart of all
		f.each(t, func(m *member) {
			m.send(1, 100)
			m.end(t, 100)
		})
		if logins := f.system.logins.Load(); logins != 1 {
			t.Errorf("round %d: %d logins in all, want 1", round, logins)
		}
	}
}

func TestKilledProcessStartsAgainWithoutALogin(t *testing.T) {
	f := newFleet(t)
	first := f.start(t)
	first.send(1, 1)
	for stored := false; !stored; time.Sleep(time.Millisecond) { // it goes to Redis behind the callers
		keys, _ := f.redis.Do("KEYS", "*:token").([]any)
		stored = len(keys) > 0
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait()
	second := f.start(t)
	second.send(1, 50)
	second.end(t, 50)
	if logins := f.system.logins.Load(); logins != 1 {
		t.Errorf("%d logins, want the one of the killed process", logins)
	}
}

func TestTokenRevokedUnderFourProcessesCostsOneLoginAndNoCall(t *testing.T) {
	f := newFleet(t)
	var once sync.Once
	var all sync.WaitGroup
	all.Add(4)
	f.each(t, func(m *member) {
		m.send(1, 50)
		all.Done()
		all.Wait()
		once.Do(func() {
			for f.system.calls.Load() < 200 {
				time.Sleep(time.Millisecond)
			}
			f.system.revoke()
		})
		m.send(51, 150)
		m.end(t, 150)
	})
	if logins := f.system.logins.Load(); logins != 2 {
		t.Errorf("%d logins, want 2: one cold and one for the revoked token", logins)
	}
}

func TestRedisPulledAwayCostsNoCall(t *testing.T) {
	f := newFleet(t)
	m := f.start(t)
	m.send(1, 50)
	for f.system.calls.Load() < 50 {
		time.Sleep(time.Millisecond)
	}
	f.redis.Kill()
	m.send(51, 100)
	f.system.revoke() // now a new token is needed too
	m.send(101, 150)
	m.end(t, 150)
	if logins := f.system.logins.Load(); logins != 2 {
		t.Errorf("%d logins, want 2", logins)
	}
	cold := f.start(t)
	cold.send(1, 50)
	cold.end(t, 50)
	if logins := f.system.logins.Load(); logins != 3 {
		t.Errorf("%d logins after a process that found no Redis, want 3", logins)
	}
}

func TestKilledHolderOfTheLeaseHoldsNobodyForLong(t *testing.T) {
	f := newFleet(t)
	var hang sync.Once
	arrived := make(chan struct{})
	f.system.login = func(http.ResponseWriter, *http.Request) {
		hang.Do(func() {
			close(arrived)
			time.Sleep(500 * time.Millisecond) // until the one who asks is dead
		})
	}
	first := f.start(t, "--set", "request.attempt_timeout=1000")
	first.send(1, 1)
	<-arrived
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait()
	second := f.start(t, "--set", "request.attempt_timeout=5000")
	second.send(1, 50)
	second.end(t, 50)
	if logins := f.system.logins.Load(); logins != 2 {
		t.Errorf("%d logins, want 2: the one that died with its process, and the next", logins)
	}
}

func TestAnotherSealKeyIsAnotherFleet(t *testing.T) {
	f := newFleet(t)
	run := func(key string, logins int64) {
		t.Helper()
		f.env = append(f.env, "KEYHITCH_SEAL_KEY="+key)
		m := f.start(t)
		m.send(1, 2)
		m.end(t, 2)
		if got := f.system.logins.Load(); got != logins {
			t.Errorf("%d logins, want %d", got, logins)
		}
	}
	old, fresh := sealed.NewKey(), sealed.NewKey()
	run(old, 1)
	run(fresh+","+old, 1) // rotation: what the old key sealed is still read
	run(fresh, 2)
	if keys := fmt.Sprint(f.redis.Do("KEYS", "*")); strings.Contains(keys, "ann") || !strings.Contains(keys, "keyhitch:") {
		t.Errorf("names in Redis: %s; want ours, and none that tells a user", keys)
	}
}

func TestExplanationTellsWhichProcessAskedForASharedToken(t *testing.T) {
	f := newFleet(t)
	first := f.start(t)
	first.send(1, 1)
	first.end(t, 1)
	second := f.start(t, "--explain")
	second.send(1, 1)
	second.end(t, 1)
	host, _ := os.Hostname()
	want := fmt.Sprintf("ago by %s/%d, fingerprint ", host, first.cmd.Process.Pid)
	if told := second.stderr.String(); !strings.Contains(told, "from the shared cache, asked for ") || !strings.Contains(told, want) {
		t.Errorf("explained:\n%swant the shared cache and %q", told, want)
	}
}

func TestTokensAreShownAndDroppedOnBothTiers(t *testing.T) {
	f := newFleet(t)
	token := func(what string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, "token", f.home, what, "--set", "authentication.token_cache=redis", "-o", "json")
		cmd.Env = f.env
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("token %s: %v", what, err)
		}
		return string(out)
	}
	if out := token("show"); strings.TrimSpace(out) != "[]" {
		t.Errorf("before any login: %s, want nothing", out)
	}
	if out := token("refresh"); !strings.Contains(out, `"source":"request"`) {
		t.Errorf("refreshed: %s", out)
	}
	if out := token("show"); !strings.Contains(out, `"source":"redis"`) || f.system.logins.Load() != 1 {
		t.Errorf("another process shows %s after %d logins, want the token in Redis and 1", out, f.system.logins.Load())
	}
	token("drop")
	if out := token("show"); strings.TrimSpace(out) != "[]" {
		t.Errorf("after the drop: %s, want nothing", out)
	}
}
