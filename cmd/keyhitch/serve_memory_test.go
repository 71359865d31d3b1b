package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestABusyGatewayCollectsGarbageLessOften(t *testing.T) {
	now := time.Now()
	c := &collector{percent: quietPercent, last: now}
	for _, tt := range []struct {
		name string
		gap  time.Duration
		live uint64
		want int
	}{
		{"quiet", time.Minute, 4 << 20, 100},
		{"busy", 40 * time.Millisecond, 4 << 20, 400},
		{"busy, and collected less often for it", 160 * time.Millisecond, 4 << 20, 400},
		{"busy with more to keep", 200 * time.Millisecond, 7 << 20, 200},
		{"busy with much to keep", 50 * time.Millisecond, 100 << 20, 100},
		{"neither", 300 * time.Millisecond, 4 << 20, 100},
		{"busy with next to nothing", 10 * time.Millisecond, 0, 400},
		{"quiet again", 2 * time.Second, 4 << 20, 100},
	} {
		before := c.percent
		now = now.Add(tt.gap)
		if changed := c.collected(now, tt.live); c.percent != tt.want || changed != (before != tt.want) {
			t.Errorf("%s: got %d %%, changed %v, want %d %%", tt.name, c.percent, changed, tt.want)
		}
	}
}

func TestCollectionsAreSeen(t *testing.T) {
	const odd = 250 // which it never chooses
	old := debug.SetGCPercent(odd)
	t.Cleanup(func() { debug.SetGCPercent(old) })
	(&collector{percent: odd, last: time.Now()}).follow()
	for range 10_000 {
		runtime.GC()
		if debug.SetGCPercent(odd) != odd {
			return
		}
	}
	t.Error("after 10,000 collections one after the other, the percentage is what it was")
}
