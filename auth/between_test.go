package auth_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/cache"
)

// What happens between the steps of a flight: purges, refusals and looks by others.

// flaky is a shared store whose leases can be down, and that lets a test act while it is read.
type flaky struct {
	*counted
	down  atomic.Bool
	onGet func()
}

// Lease fails while the store is down.
func (f *flaky) Lease(ctx context.Context, key string, ttl time.Duration) (cache.Lease, error) {
	if f.down.Load() {
		return nil, fmt.Errorf("no answer: %w", cache.ErrDown)
	}
	return f.counted.Lease(ctx, key, ttl)
}

// Get lets the test act after the record was read.
func (f *flaky) Get(ctx context.Context, key string) ([]byte, error) {
	data, err := f.counted.Get(ctx, key)
	if f.onGet != nil {
		f.onGet()
	}
	return data, err
}

// flakyProcess opens a process whose tokens are stale at once.
func (c *cluster) flakyProcess(t *testing.T) (*auth.CachedSource, *flaky, *auth.Tokens) {
	t.Helper()
	_, shared := c.process(t)
	store, tokens := &flaky{counted: shared}, new(auth.Tokens)
	t.Cleanup(func() { _ = tokens.Wait(context.Background()) })
	return auth.Cached(auth.Credential{Key: "k", Owner: "demo", Source: c, Timeout: 10 * time.Second,
		Margin: func(life time.Duration) time.Duration { return life - time.Millisecond }},
		auth.Env{Now: time.Now, Cache: store, Tokens: tokens}), store, tokens
}

// begun waits until a login has begun.
func (c *cluster) begun() {
	for c.logins.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestPeekIsNoPartOfAFlight(t *testing.T) {
	c := newCluster(t, 0)
	first, _ := c.process(t)
	want(t, first, "T1")
	settled(t, c)
	for range 20 {
		p, _ := c.process(t)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { p.Peek(t.Context()) })
		}
		wg.Go(func() { want(t, p, "T1") })
		wg.Wait()
	}
}

func TestPurgeIsNotUndoneByALoginWithoutALease(t *testing.T) {
	c := newCluster(t, 100*time.Millisecond)
	p, store, tokens := c.flakyProcess(t)
	store.down.Store(true)
	go func() { _, _ = p.Token(context.Background()) }()
	c.begun()
	other, _ := c.process(t)
	if err := other.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = tokens.Wait(t.Context())
	if info, ok := other.Peek(t.Context()); ok {
		t.Errorf("the cache holds %+v, want nothing after the drop", info)
	}
}

func TestDropIsNotUndoneByALoginUnderWayHere(t *testing.T) {
	c := newCluster(t, 100*time.Millisecond)
	tokens := new(auth.Tokens)
	p := auth.Cached(auth.Credential{Key: "k", Source: c}, auth.Env{Now: time.Now, Tokens: tokens})
	waited := make(chan error)
	go func() {
		_, err := p.Token(context.Background())
		waited <- err
	}()
	c.begun()
	if err := p.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Errorf("who waited got %v, want the token", err)
	}
	_ = tokens.Wait(t.Context())
	if info, ok := p.Info(); ok {
		t.Errorf("the process holds %+v, want nothing after the drop", info)
	}
}

func TestTokenRefusedWhileTheCacheIsReadDoesNotComeBack(t *testing.T) {
	c := newCluster(t, 0)
	p, store, tokens := c.flakyProcess(t)
	first := want(t, p, "T1")
	settled(t, c)
	_ = tokens.Wait(t.Context())
	time.Sleep(5 * time.Millisecond) // it is stale now
	var once sync.Once
	store.onGet = func() { once.Do(func() { p.Invalidate(first) }) }
	_, _ = p.Token(t.Context()) // starts a flight behind itself, which reads T1
	_ = tokens.Wait(t.Context())
	store.onGet = nil
	if got, err := p.Token(t.Context()); err != nil || got.Value("token").Reveal() == "T1" {
		t.Errorf("got %v, %v after T1 was refused, want another token", got.Value("token").Reveal(), err)
	}
}

func TestCredentialInUseIsFoundByOthersWhoUseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{takes: time.Second} // good once: every call asks
		env := auth.Env{Now: time.Now, Tokens: &auth.Tokens{MaxIdle: time.Minute}}
		open := func(key string) *auth.CachedSource {
			return auth.Cached(auth.Credential{Key: key, Source: src}, env)
		}
		first := open("a")
		for i := range 4 {
			want(t, first, fmt.Sprint("T", src.requests()+1))
			time.Sleep(2 * time.Minute)
			open(fmt.Sprint("other", i)) // looks for the idle
		}
		time.Sleep(2 * time.Minute)
		open("one more")
		before := src.requests()
		held := make(chan struct{})
		go func() {
			defer close(held)
			_, _ = first.Token(t.Context())
		}()
		synctest.Wait()
		_, _ = open("a").Token(t.Context())
		<-held
		if n := src.requests() - before; n != 1 {
			t.Errorf("%d token requests of two callers at once, want 1", n)
		}
	})
}

func TestRefreshDoesNotTakeACachedToken(t *testing.T) {
	c := newCluster(t, 0)
	first, _ := c.process(t)
	want(t, first, "T1")
	settled(t, c)
	p, store, _ := c.flakyProcess(t)
	reading, refreshed := make(chan struct{}), make(chan string)
	var once sync.Once
	store.onGet = func() {
		once.Do(func() {
			close(reading)
			time.Sleep(50 * time.Millisecond)
		})
	}
	go func() { _, _ = p.Token(context.Background()) }() // takes T1 from the cache
	<-reading
	go func() {
		token, _, err := p.Refresh(context.Background())
		refreshed <- fmt.Sprint(token.Value("token").Reveal(), err)
	}()
	if got := <-refreshed; got != "T2<nil>" {
		t.Errorf("got %s, want T2", got)
	}
}

// lines counts what is logged.
type lines struct{ atomic.Int64 }

// Levels are all.
func (*lines) Levels() []logrus.Level { return logrus.AllLevels }

// Fire counts.
func (l *lines) Fire(*logrus.Entry) error { l.Add(1); return nil }

func TestCacheThatIsDownIsLoggedOnceForAllCredentials(t *testing.T) {
	log, count := logrus.New(), new(lines)
	log.SetOutput(io.Discard)
	log.AddHook(count)
	c := newCluster(t, 0)
	_, shared := c.process(t)
	c.redis.Close()
	tokens := new(auth.Tokens)
	for i := range 50 {
		_, _ = auth.Cached(auth.Credential{Key: fmt.Sprint(i), Source: c}, auth.Env{Now: time.Now, Cache: shared, Tokens: tokens, Log: log}).Token(t.Context())
	}
	_ = tokens.Wait(t.Context())
	if n := count.Load(); n != 1 {
		t.Errorf("%d lines, want 1 a minute", n)
	}
}
