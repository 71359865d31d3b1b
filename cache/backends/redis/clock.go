package redis

import (
	"context"
	"sync"
	"time"
)

const (
	clockKept  = time.Minute // how long one measurement serves
	clockDrift = time.Second // how far our wall clock may jump before we measure again
)

// clock is Redis's clock as of the last measurement, carried on by our monotonic one.
type clock struct {
	mu     sync.Mutex
	server time.Time
	local  time.Time // with its monotonic reading
}

// Now implements cache.Shared. When Redis is lost, the last measurement goes on serving.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	now, fresh := s.clock.read(time.Now())
	if fresh {
		return now, ctx.Err()
	}
	var server time.Time
	began := time.Now()
	err := s.ask(ctx, func(ctx context.Context) (err error) {
		server, err = s.client.Time(ctx).Result()
		return err
	})
	if err != nil {
		if now.IsZero() || ctx.Err() != nil {
			return time.Time{}, err
		}
		return now, nil
	}
	middle := began.Add(time.Since(began) / 2)
	s.clock.set(server, middle)
	now, _ = s.clock.read(time.Now())
	return now, nil
}

// read returns the server's time, zero if it was never measured, and whether that is fresh.
// A machine that slept, or whose clock was set, shows a wall clock and a monotonic one that
// disagree: the second may have stood still.
func (c *clock) read(local time.Time) (now time.Time, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server.IsZero() {
		return time.Time{}, false
	}
	passed := local.Sub(c.local)
	wall := local.Round(0).Sub(c.local.Round(0))
	return c.server.Add(passed), passed < clockKept && (wall-passed).Abs() < clockDrift
}

func (c *clock) set(server, local time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server, c.local = server, local
}
