package gateway

import (
	"io"
	"sync"
	"time"
)

// A Gatherer writes when it holds so much, or holds something for so long.
const (
	gatherBytes = 32 << 10
	gatherTime  = 100 * time.Millisecond
)

// Gatherer is an io.Writer for the access log. It writes lines together, because a system call
// for each costs more than the line itself; none waits longer than 100 ms. What a killed process
// held is lost. It is safe for concurrent use.
type Gatherer struct {
	mu    sync.Mutex
	to    io.Writer
	lines []byte
	late  *time.Timer // set while lines wait
}

// Gather returns a Gatherer that writes to w.
func Gather(w io.Writer) *Gatherer {
	g := &Gatherer{to: w, lines: make([]byte, 0, gatherBytes)}
	g.late = time.AfterFunc(gatherTime, g.Flush)
	return g
}

// Write takes whole lines. Its error is always nil: a full disk must not stop the requests.
func (g *Gatherer) Write(lines []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.lines)+len(lines) > gatherBytes {
		g.flush()
	}
	if len(g.lines) == 0 {
		g.late.Reset(gatherTime)
	}
	g.lines = append(g.lines, lines...)
	return len(lines), nil
}

// Flush writes what waits.
func (g *Gatherer) Flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flush()
}

func (g *Gatherer) flush() {
	if len(g.lines) > 0 {
		_, _ = g.to.Write(g.lines)
		g.lines = g.lines[:0]
	}
}
