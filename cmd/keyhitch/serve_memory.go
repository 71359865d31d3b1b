package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Garbage may grow to so many percent of the live memory before it is collected: Go's own default
// while the gateway is quiet, and what makes busyRoom while it is busy.
const (
	quietPercent = 100
	mostPercent  = 400
	busyRoom     = 16 << 20 // bytes
)

// Collections that follow each other this fast, or this slowly, tell a busy gateway from a quiet one.
const (
	busyGap  = 100 * time.Millisecond
	quietGap = time.Second
)

// collector has garbage collected less often while there is much of it. A gateway's live memory is
// some MiB, so by Go's default a busy one would collect many times a second; a quiet one, and one that passes large bodies on, is to stay small.
type collector struct {
	percent int
	last    time.Time // of the latest collection
}

// tuneCollector has the collector tuned from now on, unless GOGC says what the operator wants.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		(&collector{percent: quietPercent, last: time.Now()}).follow()
	}
}

// follow waits for the next collection, which finds garbage made for it. It costs nothing until then.
func (c *collector) follow() {
	runtime.AddCleanup(new([64]byte), func(c *collector) {
		if c.collected(time.Now(), liveBytes()) {
			debug.SetGCPercent(c.percent)
		}
		c.follow()
	}, c)
}

// liveBytes is what the latest collection left.
func liveBytes() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// collected takes note of a collection, and reports whether the percentage is another now.
func (c *collector) collected(now time.Time, live uint64) (changed bool) {
	gap, before := now.Sub(c.last), c.percent
	c.last = now
	switch {
	case gap > quietGap:
		c.percent = quietPercent
	case gap < busyGap || c.percent > quietPercent:
		hundreds := busyRoom / max(live, 1) // whole ones, so that it seldom changes
		c.percent = int(min(max(hundreds*100, quietPercent), mostPercent))
	}
	return c.percent != before
}
