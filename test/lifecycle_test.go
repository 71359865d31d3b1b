package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
)

// moving is a gateway whose project file is written again with another Redis.
type moving struct {
	*fleet
	old, fresh *redistest.Server
	file, text string
}

// newMoving writes the project file for the first Redis; login, if any, is what the system does then.
func newMoving(t *testing.T, login http.HandlerFunc) *moving {
	t.Helper()
	m := &moving{fleet: newFleet(t), fresh: redistest.Start(t)}
	m.system.login = login
	m.old = m.redis
	m.env = append(m.env, "KEYHITCH_REDIS_URL=") // it would beat the project file
	m.file = m.redisProject(t)
	text, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	m.text = strings.Replace(string(text), "${env:KEYHITCH_REDIS_URL}", "redis://ADDRESS", 1)
	m.at(t, m.old)
	return m
}

// at makes the project file name this Redis.
func (m *moving) at(t *testing.T, redis *redistest.Server) {
	t.Helper()
	write(t, filepath.Dir(m.file), "keyhitch.yaml", strings.Replace(m.text, "ADDRESS", redis.Addr(), 1))
}

// clients waits until a gateway is connected to redis, or none is.
func clients(t *testing.T, redis *redistest.Server, want bool) {
	t.Helper()
	var list string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		list = fmt.Sprint(redis.Do("CLIENT", "LIST"))
		if others := strings.Count(strings.TrimSpace(list), "\n"); others > 0 == want { // one is who asks
			return
		}
	}
	t.Errorf("connected to Redis: %s\nwant a gateway: %v", list, want)
}

func TestAReloadWithAnotherRedisLeavesTheOldOne(t *testing.T) {
	m := newMoving(t, nil)
	d := serve(t, m.env, m.file)
	d.crowd(t, 50)
	clients(t, m.old, true)
	d.forget()
	m.at(t, m.fresh)
	d.says(t, "reloaded: 1 adapter")
	d.crowd(t, 50)
	clients(t, m.old, false)
	m.revoke(t, d)
	clients(t, m.fresh, true)
	if keys := fmt.Sprint(m.fresh.Do("KEYS", "*:token")); !strings.Contains(keys, "gate:") {
		t.Errorf("names in the new Redis: %s, want the token's", keys)
	}
}

// revoke has the gateway ask for another token.
func (m *moving) revoke(t *testing.T, d *door) {
	t.Helper()
	m.system.revoke()
	d.crowd(t, 50)
}

func TestALoginThatOutlivesAReloadIsStillStored(t *testing.T) {
	begun, release := make(chan struct{}, 10), make(chan struct{})
	m := newMoving(t, func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-release
	})
	d := serve(t, m.env, m.file) // it logs in by itself
	<-begun
	d.forget()
	m.at(t, m.fresh)
	d.says(t, "reloaded: 1 adapter")
	close(release)
	d.crowd(t, 10)
	clients(t, m.old, false)
	if keys := fmt.Sprint(m.old.Do("KEYS", "*:token")); !strings.Contains(keys, "gate:") {
		t.Errorf("names in the old Redis: %s, want those of the token that was asked for before the reload", keys)
	}
}

func TestLogFormatFollowsAReload(t *testing.T) {
	s := newSystem(t)
	home := s.home(t)
	file := project(t, home, callers())
	d := serve(t, []string{"KEYHITCH_LOG_FORMAT="}, file)
	for _, format := range []struct{ name, line string }{{"text", `msg=request`}, {"json", `"msg":"request"`}} {
		d.forget()
		write(t, filepath.Dir(file), "keyhitch.yaml", "adapters:\n  acme: {home: "+home+"}\nlog: {format: "+format.name+"}\n"+callers())
		d.says(t, "reloaded: 1 adapter")
		d.crowd(t, 1)
		d.says(t, format.line)
	}
}

func TestDrainDelayServesWhatStillComes(t *testing.T) {
	s := newSystem(t)
	d := serve(t, nil, project(t, s.home(t), callers("drain_delay_seconds: 600")))
	d.signal(t, syscall.SIGTERM)
	d.says(t, "not ready any more; requests are taken for another 10m0s")
	res, err := http.Get(d.admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d, want 503", res.StatusCode)
	}
	client.CloseIdleConnections() // so that new connections come
	d.crowd(t, 50)
	d.signal(t, syscall.SIGTERM)
	if err := d.cmd.Wait(); err == nil {
		t.Error("got exit 0, want that a second signal ends it at once")
	}
}

func TestDrainDelayHasAnEnd(t *testing.T) {
	s := newSystem(t)
	d := serve(t, nil, project(t, s.home(t), callers("drain_delay_seconds: 1")))
	d.signal(t, syscall.SIGTERM)
	d.says(t, "ending: requests under way have 30s")
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit 0", err)
	}
}

func TestHangupsInQuickSuccessionAndDuringTheEndAreHarmless(t *testing.T) {
	s := newSystem(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	inner := s.serve
	s.serve = func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/late") {
			inner(w, r)
			return
		}
		once.Do(func() { close(arrived) })
		<-release
		_, _ = io.WriteString(w, "late but whole")
	}
	d := serve(t, nil, project(t, s.home(t), callers()))
	answer := make(chan string)
	go func() {
		status, body, err := d.ask("/proxy/acme/things/late", callerKey)
		answer <- fmt.Sprint(status, " ", body, " ", err)
	}()
	<-arrived
	for range 5 {
		d.signal(t, syscall.SIGHUP)
	}
	d.crowd(t, 50)
	d.says(t, "reloaded: 1 adapter")
	d.signal(t, syscall.SIGTERM)
	d.says(t, "ending:")
	d.signal(t, syscall.SIGHUP)
	close(release)
	if got := <-answer; got != "200 late but whole <nil>" {
		t.Errorf("the call under way got %s, want its answer", got)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("got %v, want exit 0", err)
	}
}
