package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

// lease is a cache.Lease in Redis. A goroutine renews it until it ends.
type lease struct {
	store      *Store
	key        string
	owner      string // 128 random bits: nobody else's lease is taken for ours
	generation uint64
	epoch      string // of the last purge when the lease was taken
	ttl        time.Duration

	lost  chan struct{}
	done  chan struct{}
	ended sync.Once
}

// Lease implements cache.Shared.
func (s *Store) Lease(ctx context.Context, key string, ttl time.Duration) (cache.Lease, error) {
	if ttl < time.Millisecond {
		return nil, fmt.Errorf("lease of %v, want a millisecond or more", ttl)
	}
	l := &lease{store: s, key: key, owner: random(), ttl: ttl, lost: make(chan struct{}), done: make(chan struct{})}
	var reply any
	began := time.Now() // before Redis's clock starts to count
	if err := s.run(ctx, leaseScript, []string{s.name(key, "lease"), s.name(key, "state")}, &reply, l.owner, millis(ttl)); err != nil {
		if ctx.Err() != nil { // nobody knows whether we have it, and nobody will renew it
			go l.forget()
		}
		return nil, err
	}
	switch r := reply.(type) {
	case int64:
		return nil, &cache.BusyError{Left: time.Duration(r) * time.Millisecond}
	case []any:
		if len(r) == 2 {
			generation, _ := r[0].(string)
			l.generation, _ = strconv.ParseUint(generation, 10, 64)
			l.epoch, _ = r[1].(string)
			go l.keep(began.Add(ttl))
			return l, nil
		}
	}
	return nil, fmt.Errorf("%w: %s: a lease's answer makes no sense", cache.ErrDown, s.where)
}

// Generation implements cache.Lease.
func (l *lease) Generation() uint64 { return l.generation }

// Lost implements cache.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Publish implements cache.Lease.
func (l *lease) Publish(ctx context.Context, value []byte, generation uint64, ttl time.Duration) error {
	if err := check(value, ttl); err != nil {
		return err
	}
	if generation == 0 || generation > maxGeneration {
		return fmt.Errorf("generation %d, want 1 to 2^52", generation)
	}
	s := l.store
	keys := []string{s.name(l.key, "token"), s.name(l.key, "state"), s.name(l.key, "lease")}
	var reply any
	err := s.run(ctx, publishScript, keys, &reply, l.owner, l.epoch, generation, marked(value),
		millis(ttl), millis(max(ttl, memory)), s.name(l.key, "changes"))
	if err != nil {
		return err
	}
	l.end(false)
	return map[any]error{int64(0): cache.ErrBusy, int64(-1): cache.ErrPurged}[reply]
}

// Release implements cache.Lease.
func (l *lease) Release(ctx context.Context) error {
	select {
	case <-l.done:
		return nil
	default:
	}
	l.end(false) // at worst Redis does not hear of it: nobody renews it, so it ends by itself
	return l.release(ctx)
}

func (l *lease) release(ctx context.Context) error {
	s := l.store
	return s.run(ctx, releaseScript, []string{s.name(l.key, "lease")}, nil, l.owner, s.name(l.key, "changes"))
}

// forget releases a lease that nobody holds in his hands.
func (l *lease) forget() {
	ctx, cancel := context.WithTimeout(l.store.closing, l.store.patience)
	defer cancel()
	_ = l.release(ctx) // at worst it ends by itself
}

func (l *lease) end(lost bool) {
	l.ended.Do(func() {
		if lost {
			close(l.lost)
		}
		close(l.done)
	})
}

// keep renews the lease every third of its time, and sooner after a renewal that failed. The
// lease is lost at end, by our own monotonic clock, unless a renewal moved it.
func (l *lease) keep(end time.Time) {
	wait := l.ttl / 3
	for {
		select {
		case <-l.done:
			return
		case <-l.store.closing.Done():
			l.end(true)
			return
		case <-time.After(min(wait, time.Until(end))):
		}
		began := time.Now()
		held, err := l.renew(end)
		switch {
		case err == nil && held:
			end, wait = began.Add(l.ttl), l.ttl/3
		case err == nil || !time.Now().Before(end):
			l.end(true)
			return
		default:
			wait = l.ttl / 10
		}
	}
}

func (l *lease) renew(end time.Time) (held bool, err error) {
	ctx, cancel := context.WithDeadline(l.store.closing, end)
	defer cancel()
	var reply any
	err = l.store.run(ctx, renewScript, []string{l.store.name(l.key, "lease")}, &reply, l.owner, millis(l.ttl))
	return reply == int64(1), err
}

// random returns 128 random bits in hexadecimal.
func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
