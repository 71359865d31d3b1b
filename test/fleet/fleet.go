package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/keyhitch/keyhitch/cache/sealed"
)

// endWithin is how long a process may take to end its last calls.
const endWithin = 30 * time.Second

// fleet is all that one run consists of.
type fleet struct {
	settings
	system *system
	redis  *redisServer
	home   string
	env    []string
	events []event

	began   time.Time
	took    time.Duration
	members []*member
	killed  int // processes
	died    int // logins that may have died with them

	mu     sync.Mutex
	tally  report
	broken []string
}

// run builds the fleet, lets it run, and returns the proof.
func run(ctx context.Context, s settings, progress io.Writer) (proof, error) {
	dir, err := os.MkdirTemp("", "keyhitch-fleet")
	if err != nil {
		return proof{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	redis, err := startRedis(ctx, dir)
	if err != nil {
		return proof{}, err
	}
	defer redis.stop()
	f := &fleet{settings: s, redis: redis, system: newSystem(s.Life), home: filepath.Join(dir, "home"), events: deal(s)}
	defer f.system.Close()
	if err := f.writeHome(); err != nil {
		return proof{}, err
	}
	f.env = append(os.Environ(), "KEYHITCH_REDIS_URL=redis://"+redis.addr, "KEYHITCH_SEAL_KEY="+sealed.NewKey())
	defer f.killAll()
	if err := f.start(ctx); err != nil {
		return proof{}, err
	}
	err = f.play(ctx, progress)
	f.took = time.Since(f.began)
	f.finish()
	return prove(f), err
}

// start starts all processes, and lets them call at the same moment.
func (f *fleet) start(ctx context.Context) error {
	for n := 1; n <= f.Processes; n++ {
		m, err := f.enlist(n)
		if err != nil {
			return err
		}
		f.members = append(f.members, m)
	}
	for _, m := range f.members {
		if err := m.waitReady(ctx); err != nil {
			return err
		}
	}
	f.began = time.Now()
	for _, m := range f.members {
		m.goOn()
	}
	return nil
}

// step is something to do at a time after the start.
type step struct {
	at time.Duration
	do func() error
}

// steps are all that happens to the fleet, in no order.
func (f *fleet) steps(ctx context.Context) []step {
	var list []step
	plan := func(at time.Duration, do func()) {
		list = append(list, step{at, func() error { do(); return nil }})
	}
	for _, e := range f.events {
		plan(e.at, func() { f.system.begin(e) })
		if e.revoke {
			plan(e.at+e.lasts/2, f.system.revokeNow)
		}
		if e.lasts > 0 {
			plan(e.at+e.lasts, func() { f.system.end(e) })
		}
	}
	if f.Kill {
		list = append(list, step{f.For / 2, func() error { return f.replace(ctx) }})
	}
	if f.RedisOutage {
		from, to := f.outage()
		plan(from, f.redis.stop)
		list = append(list, step{to, func() error { return f.redis.start(ctx) }})
	}
	return list
}

// replace kills a process in mid-run and starts it again. The victim follows from the seed.
func (f *fleet) replace(ctx context.Context) error {
	i := int(f.Seed % uint64(f.Processes))
	f.members[i].kill()
	f.killed++
	if f.system.loginDies(strconv.Itoa(i + 1)) {
		f.died++
	}
	m, err := f.enlist(i + 1)
	if err != nil {
		return err
	}
	f.members[i] = m
	if err := m.waitReady(ctx); err != nil {
		return err
	}
	m.goOn()
	return nil
}

// finish lets every process end its last calls.
func (f *fleet) finish() {
	for _, m := range f.members {
		_ = m.stdin.Close()
	}
	deadline := time.After(endWithin)
	for _, m := range f.members {
		select {
		case <-m.ended:
		case <-deadline:
			f.breach(fmt.Sprintf("process %d did not end within %s", m.number, endWithin))
			return
		}
		if m.err != nil {
			f.breach(fmt.Sprintf("process %d ended by itself: %v %s", m.number, m.err, m.stderr.String()))
		}
	}
}

func (f *fleet) killAll() {
	for _, m := range f.members {
		m.kill()
	}
}

func (f *fleet) breach(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = append(f.broken, text)
}

func (f *fleet) add(r report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.Calls += r.Calls
	f.tally.Longest = max(f.tally.Longest, r.Longest)
	f.tally.Failures = append(f.tally.Failures, r.Failures...)
}

// writeHome writes the adapter home that all processes open.
func (f *fleet) writeHome() error {
	host, port, err := net.SplitHostPort(f.system.Listener.Addr().String())
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"service-instance.json": fmt.Sprintf(`{"host": %q, "port": %s, "authentication": {"auth_method": "request_token", "username": "ann",
			"password": "correct-horse-battery", "token_timeout": %d, "token_cache": "redis", "auth_field": "header.headers.X-Auth-Token"}}`,
			host, port, f.Life.Milliseconds()),
		"entities/.system/action.json": `{"actions": [{"name": "getToken", "protocol": "REST", "method": "POST", "entitypath": "/login",
			"requestSchema": "login.json", "responseSchema": "token.json"}]}`,
		"entities/.system/login.json": `{"type": "object", "properties": {"username": {"type": "string"}, "password": {"type": "string"}}}`,
		"entities/.system/token.json": `{"type": "object", "properties": {"token": {"type": "string", "placement": "BODY", "external_name": "sid"}}}`,
		"entities/thing/action.json":  `{"actions": [{"name": "get", "protocol": "REST", "method": "GET", "entitypath": "/things/{pathv1}", "schema": "thing.json"}]}`,
		"entities/thing/thing.json":   `{"type": "object", "translate": true, "properties": {"name": {"type": "string", "external_name": "id"}}}`,
	} {
		file := filepath.Join(f.home, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
