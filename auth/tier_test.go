package auth_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/cache"
	"github.com/keyhitch/keyhitch/cache/backends/redis"
	"github.com/keyhitch/keyhitch/cache/sealed"
)

// counted is a shared store that counts what it is asked.
type counted struct {
	cache.Store
	cache.Shared
	asked, leases atomic.Int64
	beforeGet     func() // nil: nothing
	beforeLease   func() // nil: nothing
	beforePublish func() // nil: nothing
	loseFirst     bool   // the first lease is lost at once
}

// watched is a lease of counted.
type watched struct {
	cache.Lease
	before func()
	lost   bool
}

// Lost returns a closed channel where the lease is to be lost.
func (w *watched) Lost() <-chan struct{} {
	if !w.lost {
		return w.Lease.Lost()
	}
	_ = w.Lease.Release(context.Background())
	lost := make(chan struct{})
	close(lost)
	return lost
}

// Publish lets the test do something first.
func (w *watched) Publish(ctx context.Context, value []byte, generation uint64, ttl time.Duration) error {
	if w.before != nil {
		_ = w.Lease.Release(ctx)
		w.before()
	}
	return w.Lease.Publish(ctx, value, generation, ttl)
}

// Get counts.
func (c *counted) Get(ctx context.Context, key string) ([]byte, error) {
	c.asked.Add(1)
	if c.beforeGet != nil {
		c.beforeGet()
	}
	return c.Store.Get(ctx, key)
}

// Lease counts.
func (c *counted) Lease(ctx context.Context, key string, ttl time.Duration) (cache.Lease, error) {
	c.asked.Add(1)
	if c.beforeLease != nil {
		c.beforeLease()
	}
	lease, err := c.Shared.Lease(ctx, key, ttl)
	if err != nil {
		return nil, err
	}
	return &watched{Lease: lease, before: c.beforePublish, lost: c.loseFirst && c.leases.Add(1) == 1}, nil
}

// cluster is one Redis and processes that share it, each with a source of its own to the same
// token endpoint.
type cluster struct {
	redis  *miniredis.Miniredis
	addr   string
	keys   sealed.Keys
	logins atomic.Int64
	takes  time.Duration
	apart  time.Duration // how long after the one before each login says it was; 0: real time
	err    atomic.Pointer[error]
}

func newCluster(t *testing.T, takes time.Duration) *cluster {
	t.Helper()
	keys, err := sealed.ParseKeys(sealed.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	r := miniredis.RunT(t)
	return &cluster{redis: r, addr: r.Addr(), keys: keys, takes: takes}
}

// Token is the token endpoint.
func (c *cluster) Token(ctx context.Context) (auth.Token, error) {
	n := c.logins.Add(1)
	select {
	case <-time.After(c.takes):
	case <-ctx.Done():
		return auth.Token{}, ctx.Err()
	}
	if err := c.err.Load(); err != nil {
		return auth.Token{}, *err
	}
	made := token(fmt.Sprintf("T%d", n), time.Hour)
	if c.apart > 0 {
		made.Obtained = made.Obtained.Add(time.Duration(n-10) * c.apart)
	}
	return made, nil
}

// process opens a process of the cluster.
func (c *cluster) process(t *testing.T) (*auth.CachedSource, *counted) {
	t.Helper()
	return c.processWith(t, auth.Env{Process: "another-host/7"})
}

func (c *cluster) processWith(t *testing.T, env auth.Env) (*auth.CachedSource, *counted) {
	t.Helper()
	store, err := (&redis.Config{URL: redis.NewURL("redis://" + c.addr)}).Open()
	if err != nil {
		t.Fatal(err)
	}
	store = sealed.New(store, c.keys)
	shared := &counted{Store: store, Shared: store.(cache.Shared)}
	t.Cleanup(func() { _ = store.(interface{ Close() error }).Close() })
	if env.Tokens == nil {
		env.Tokens = new(auth.Tokens)
	}
	t.Cleanup(func() { _ = env.Tokens.Wait(context.Background()) })
	env.Now, env.Cache = time.Now, shared
	return auth.Cached(auth.Credential{Key: "k", Owner: "demo", Source: c, Timeout: 10 * time.Second}, env), shared
}

func all(n int, call func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { call(i) })
	}
	wg.Wait()
}

func TestProcessesThatShareACacheLogInOnce(t *testing.T) {
	c := newCluster(t, 100*time.Millisecond)
	var processes []*auth.CachedSource
	for range 4 {
		p, _ := c.process(t)
		processes = append(processes, p)
	}
	stamps := make([]auth.Stamp, 4)
	all(1000, func(i int) {
		got, err := processes[i%4].Token(t.Context())
		if err != nil || got.Value("token").Reveal() != "T1" {
			t.Errorf("caller %d: got %v, %v, want T1", i, got.Value("token"), err)
		}
	})
	for i, p := range processes {
		got, _ := p.Token(t.Context())
		stamps[i] = auth.Stamp(got.Generation)
	}
	all(1000, func(i int) { // all are refused at once
		p := processes[i%4]
		p.Invalidate(stamps[i%4])
		if got, err := p.Token(t.Context()); err != nil || got.Value("token").Reveal() != "T2" {
			t.Errorf("caller %d after the refusal: %v, want T2", i, err)
		}
	})
	if n := c.logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2: one cold, one for the refused token", n)
	}
	restarted, _ := c.process(t)
	want(t, restarted, "T2")
	if n := c.logins.Load(); n != 2 {
		t.Errorf("a restart made it %d logins, want still 2", n)
	}
}

func TestHotCallAsksTheSharedCacheNothing(t *testing.T) {
	c := newCluster(t, 0)
	p, store := c.process(t)
	want(t, p, "T1")
	before := store.asked.Load()
	for range 1000 {
		want(t, p, "T1")
	}
	if n := store.asked.Load() - before; n != 0 {
		t.Errorf("%d questions for 1,000 calls, want none", n)
	}
}

func TestFailedLoginLetsTheLeaseGo(t *testing.T) {
	c := newCluster(t, 10*time.Millisecond)
	down := error(&auth.TokenError{Status: 503})
	c.err.Store(&down)
	first, _ := c.process(t)
	if _, err := first.Token(t.Context()); !errors.As(err, new(*auth.TokenError)) {
		t.Errorf("got %v, want the endpoint's error", err)
	}
	c.err.Store(nil)
	second, _ := c.process(t)
	start := time.Now()
	want(t, second, "T2")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the next process waited %s for a lease that nobody needs", took)
	}
}

func TestPoisonedRecordIsNeverSentAndHealedByOneLogin(t *testing.T) {
	for name, poison := range map[string]string{"random": "\x00\xff\x17garbage", "plain": `{"values":{"token":"ZXZpbA=="},"obtained":1,"generation":9}`, "empty": ""} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 0)
			first, _ := c.process(t)
			want(t, first, "T1")
			settled(t, c)
			for _, key := range c.redis.Keys() {
				if c.redis.Type(key) == "string" {
					_ = c.redis.Set(key, poison)
				}
			}
			second, _ := c.process(t)
			want(t, second, "T2")
			if n := c.logins.Load(); n != 2 {
				t.Errorf("%d logins, want 2", n)
			}
		})
	}
}

// settled waits until a process's token is in Redis: it is stored behind the callers.
func settled(t *testing.T, c *cluster) {
	t.Helper()
	for range 1000 {
		reader, _ := c.process(t)
		if _, ok := reader.Peek(t.Context()); ok {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no token in Redis after a second")
}

func TestSharedCacheThatIsDownIsNoCache(t *testing.T) {
	c := newCluster(t, 0)
	p, _ := c.process(t)
	want(t, p, "T1")
	settled(t, c)
	c.redis.Close()
	want(t, p, "T1") // hot
	alone, _ := c.process(t)
	want(t, alone, "T2")
	if n := c.logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestDropIsNotUndoneByALoginUnderWay(t *testing.T) {
	c := newCluster(t, 200*time.Millisecond)
	p, _ := c.process(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = p.Token(t.Context())
	}()
	for c.logins.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	other, _ := c.process(t)
	if err := other.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	time.Sleep(50 * time.Millisecond)
	if info, ok := other.Peek(t.Context()); ok {
		t.Errorf("the cache holds %+v, want nothing after the drop", info)
	}
}

func TestProcessInAPauseTakesAnotherProcessesToken(t *testing.T) {
	c := newCluster(t, 0)
	busy := error(&auth.TokenError{Status: 429, RetryAfter: time.Minute})
	c.err.Store(&busy)
	paused, _ := c.process(t)
	if _, err := paused.Token(t.Context()); err == nil {
		t.Fatal("got a token from an endpoint that gives none")
	}
	if _, err := paused.Token(t.Context()); err == nil || c.logins.Load() != 1 {
		t.Fatalf("got %v after %d logins, want the pause after 1", err, c.logins.Load())
	}
	c.err.Store(nil)
	other, _ := c.process(t)
	want(t, other, "T2")
	settled(t, c)
	time.Sleep(60 * time.Millisecond) // the next look
	want(t, paused, "T2")
	if n := c.logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestTokensRevokedTogetherAreNoLoginLoop(t *testing.T) {
	c := newCluster(t, 0)
	first, _ := c.process(t)
	second, _ := c.process(t)
	mine := want(t, first, "T1")
	settled(t, c)
	if _, _, err := second.Refresh(t.Context()); err != nil { // T2, which the first does not know of
		t.Fatal(err)
	}
	settled(t, c)
	time.Sleep(5 * time.Millisecond)
	if !first.Invalidate(mine) {
		t.Fatal("the first refusal allows no other token")
	}
	theirs := want(t, first, "T2") // from the cache, and revoked with the other
	if !first.Invalidate(theirs) {
		t.Error("two tokens that were revoked together stop the logins")
	}
	want(t, first, "T3")
}

func TestSlowerLoginTakesTheNewerTokenOfAnotherProcess(t *testing.T) {
	c := newCluster(t, 0)
	slow, store := c.process(t)
	other, _ := c.process(t)
	store.beforePublish = func() { // the lease was lost meanwhile: another process has logged in
		time.Sleep(2 * time.Millisecond)
		if _, _, err := other.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		settled(t, c)
	}
	want(t, slow, "T1") // for who waited
	for range 1000 {
		if got, err := slow.Token(t.Context()); err == nil && got.Value("token").Reveal() == "T2" {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("it keeps its own token, which a login after it may have ended; want T2")
}

func TestLeaseLostBeforeAnythingWasSentIsAskedForAgain(t *testing.T) {
	c := newCluster(t, 0)
	p, store := c.process(t)
	store.loseFirst = true
	want(t, p, "T1")
	if n := store.leases.Load(); n != 2 || c.logins.Load() != 1 {
		t.Errorf("%d leases and %d logins, want the second lease to make the one login", n, c.logins.Load())
	}
}
