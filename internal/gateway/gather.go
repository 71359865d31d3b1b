package gateway

import (
	"io"
	"sync"
	"time"
)

// A Gatherer writes when it holds so much, or holds something for so long. More than gatherMost it
// never holds: whoever brings the next line waits.
const (
	gatherBytes = 32 << 10
	gatherTime  = 100 * time.Millisecond
	gatherMost  = 256 << 10
)

// Gatherer is an io.Writer for the access log. It writes lines together, because a system call
// for each costs more than the line itself; none waits longer than 100 ms. Requests go on while it
// writes: disks and pipes stand still now and then. What a killed process held is lost. It is safe
// for concurrent use.
type Gatherer struct {
	out sync.Mutex // held while it is written
	to  io.Writer

	mu    sync.Mutex
	room  *sync.Cond // lines have been taken
	lines []byte
	spare []byte // room for the next lines
	full  bool   // a Flush is on its way because there are many lines
	late  *time.Timer
}

// Gather returns a Gatherer that writes to w.
func Gather(w io.Writer) *Gatherer {
	g := &Gatherer{to: w, lines: make([]byte, 0, gatherBytes)}
	g.room = sync.NewCond(&g.mu)
	g.late = time.AfterFunc(gatherTime, g.Flush)
	return g
}

// Write takes whole lines. Its error is always nil: a full disk must not stop the requests.
func (g *Gatherer) Write(lines []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.lines) > 0 && len(g.lines)+len(lines) > gatherMost {
		g.room.Wait()
	}
	if len(g.lines) == 0 {
		g.late.Reset(gatherTime)
	}
	g.lines = append(g.lines, lines...)
	if len(g.lines) >= gatherBytes && !g.full {
		g.full = true
		g.late.Reset(0)
	}
	return len(lines), nil
}

// Flush writes what waits.
func (g *Gatherer) Flush() {
	g.out.Lock()
	defer g.out.Unlock()
	lines := g.take()
	if len(lines) > 0 {
		_, _ = g.to.Write(lines)
	}
	g.mu.Lock()
	g.spare = lines[:0]
	g.mu.Unlock()
}

// take takes the lines and makes room for others.
func (g *Gatherer) take() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	lines := g.lines
	g.lines, g.spare, g.full = g.spare, nil, false
	g.room.Broadcast()
	return lines
}
