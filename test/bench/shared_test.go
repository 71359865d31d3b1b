package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/cache/backends/redis"
	"github.com/keyhitch/keyhitch/cache/backends/redis/redistest"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

// observer asks a Redis about itself, on one connection; its own questions do not count.
type observer struct{ *goredis.Client }

func observe(t testing.TB, addr string) observer {
	t.Helper()
	o := observer{goredis.NewClient(&goredis.Options{Addr: addr, PoolSize: 1, DisableIdentity: true})}
	t.Cleanup(func() { _ = o.Close() })
	o.commands(t) // the connection's own commands are sent now
	return o
}

// commands is how many commands Redis has run, those inside scripts too, less our INFO.
func (o observer) commands(t testing.TB) float64 {
	t.Helper()
	text, err := o.Info(context.Background(), "commandstats").Result()
	must(t, err)
	sum := 0
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":calls=")
		if !ok || name == "cmdstat_info" {
			continue
		}
		number, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(number)
		must(t, err)
		sum += n
	}
	return float64(sum)
}

// process is what one process on a Redis needs to know.
type process struct {
	Redis, SealKey, Key, URL string
	Callers                  int
	Peer                     bool // x/oauth2, which knows of no Redis
}

// loginTimeout is what a definition has that says nothing (attempt_timeout).
const loginTimeout = 5 * time.Second

// open returns the process's source, and what to do before it ends.
func (p process) open(f fetch) (source *auth.CachedSource, end func(), err error) {
	keys, err := sealed.ParseKeys(p.SealKey)
	if err != nil {
		return nil, nil, err
	}
	store, err := (&redis.Config{URL: redis.NewURL("redis://" + p.Redis)}).Open()
	if err != nil {
		return nil, nil, err
	}
	live := new(auth.Tokens)
	source = auth.Cached(auth.Credential{Key: p.Key, Source: tokens(f), Timeout: loginTimeout},
		auth.Env{Now: time.Now, Jitter: noJitter, Tokens: live, Cache: sealed.New(store, keys)})
	return source, func() {
		_ = live.Wait(context.Background()) // what was got is stored
		_ = store.(interface{ Close() error }).Close()
	}, nil
}

// hotWithRedis: both ways are the same call; one has a Redis behind it.
func hotWithRedis(t testing.TB, _ *lab) []contender {
	watched, other := redistest.Start(t), redistest.Start(t)
	o := observe(t, watched.Addr())
	source, end, err := process{Redis: watched.Addr(), SealKey: sealed.NewKey(), Key: "hot"}.open(fixed)
	must(t, err)
	t.Cleanup(end)
	with := hotCall(t, source)
	memory := hotCall(t, auth.Cached(auth.Credential{Source: tokens(fixed)}, auth.Env{Now: time.Now}))
	time.Sleep(100 * time.Millisecond) // the token is stored behind the call that got it
	if o.commands(t) == 0 {
		t.Fatal("the first call asked Redis nothing: it is not configured")
	}
	return []contender{
		{name: "keyhitch", round: func(t testing.TB) []float64 {
			before := o.commands(t)
			took := cost(with)[0]
			return []float64{o.commands(t) - before, took}
		}},
		{name: "keyhitch, memory only", base: true, floor: true, round: func(testing.TB) []float64 { return []float64{0, cost(memory)[0]} }},
		rueidisRead(t, other.Addr()),
	}
}

func hotCall(t testing.TB, source *auth.CachedSource) func() {
	req := request(t)
	looked := transport(looking(t), source, req.URL)
	_ = sending(t, looked, request(t))
	tr := transport(answer(), source, req.URL)
	_ = sending(t, tr, request(t)) // the first call shows what the placement writes
	return sending(t, tr.Own(), req)
}

// rueidisRead is the best that a client of Redis does: it keeps what it read until Redis tells
// it of a change. It has a server of its own, so that it is not counted as ours.
func rueidisRead(t testing.TB, addr string) contender {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}})
	must(t, err)
	t.Cleanup(client.Close)
	ctx, want := context.Background(), bearer("1", 0)
	must(t, client.Do(ctx, client.B().Set().Key("token").Value(want).Build()).Error())
	o := observe(t, addr)
	return contender{name: "rueidis, client-side cache, reading only", round: func(t testing.TB) []float64 {
		before := o.commands(t)
		took := cost(func() {
			if got, err := client.DoCache(ctx, client.B().Get().Key("token").Cache(), time.Minute).ToString(); err != nil || got != want {
				t.Errorf("got %q, %v", got, err)
			}
		})
		return []float64{o.commands(t) - before, took[0]}
	}}
}

// outcome is what a worker tells when its callers are done.
type outcome struct {
	Took   []time.Duration
	Failed int
}

// work is the worker's main: it says that it is there, is told when to start, and reports.
func work() {
	var p process
	var at time.Time
	in := json.NewDecoder(os.Stdin)
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	check(in.Decode(&p))
	ask, end, err := p.caller()
	check(err)
	fmt.Println("ready")
	check(in.Decode(&at))
	h := release(p.Callers, at, ask)
	end()
	out, err := json.Marshal(outcome{h.took, h.failed()})
	check(err)
	fmt.Println(string(out))
}

func (p process) caller() (ask func() error, end func(), err error) {
	f := guest(p.URL).token("wait=200ms")
	if p.Peer {
		e := xoauth2(f)
		return func() error { _, err := e.token(context.Background()); return err }, func() {}, nil
	}
	source, end, err := p.open(f)
	if err != nil {
		return nil, nil, err
	}
	return func() error { _, err := source.Token(context.Background()); return err }, end, nil
}

// processes: nobody has the token, and nobody has spoken with Redis yet.
func processes(t testing.TB, l *lab) []contender {
	server := redistest.Start(t)
	o, key := observe(t, server.Addr()), sealed.NewKey()
	round := func(peer bool) func(testing.TB) []float64 {
		return func(t testing.TB) []float64 {
			g := l.guest()
			before := o.commands(t)
			h := together(t, process{Redis: server.Addr(), SealKey: key, Key: string(g), URL: string(g), Callers: 250, Peer: peer})
			return []float64{float64(g.counts(t).TokenRequests), ms(h.quantile(0.99)), o.commands(t) - before}
		}
	}
	return []contender{{name: "keyhitch", round: round(false)}, {name: "x/oauth2, one in each process", round: round(true)}}
}

// together runs four of p and gathers their callers.
func together(t testing.TB, p process) *herd {
	t.Helper()
	var workers []*child
	for range 4 {
		w := start(t, "worker")
		w.tell(t, p)
		workers = append(workers, w)
	}
	for _, w := range workers {
		w.line(t)
	}
	at := time.Now().Add(300 * time.Millisecond)
	for _, w := range workers {
		w.tell(t, at)
	}
	all := &herd{}
	for _, w := range workers {
		var o outcome
		must(t, json.Unmarshal([]byte(w.line(t)), &o))
		if o.Failed > 0 {
			t.Fatalf("%d callers of a process failed", o.Failed)
		}
		all.took = append(all.took, o.Took...)
	}
	slices.Sort(all.took)
	return all
}
