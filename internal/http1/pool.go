package http1

import (
	"slices"
	"sync"
	"time"
)

// pool keeps connections that wait for a request.
type pool struct {
	perHost, most int           // connections; 0: as net/http has it
	life          time.Duration // of an idle connection; 0: for ever

	mu    sync.Mutex
	idle  map[origin][]*conn // the latest last
	count int
	sweep *time.Timer // set while there are idle connections with a limited life
}

// defaultPerHost is what net/http takes for 0.
const defaultPerHost = 2

// get takes out the latest connection on which nothing has arrived. What has arrived is the end,
// or an answer that nobody asked for, which must not be taken for that of the next request.
func (p *pool) get(to origin) *conn {
	for {
		c := p.latest(to)
		if c == nil || c.silent() {
			return c
		}
		_ = c.plain.Close()
	}
}

func (p *pool) latest(to origin) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[to]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	p.keep(to, list[:len(list)-1])
	p.count--
	return c
}

// keep notes what is left of a list; p.mu is held. A busy host's list is empty every moment, and
// goes when expire finds it so.
func (p *pool) keep(to origin, list []*conn) {
	p.idle[to] = list
	if len(list) == 0 && p.life <= 0 {
		delete(p.idle, to)
	}
}

// put keeps a connection, and reports whether there was room.
func (p *pool) put(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	perHost := p.perHost
	if perHost == 0 {
		perHost = defaultPerHost
	}
	if len(p.idle[c.to]) >= perHost {
		return false
	}
	if p.idle == nil {
		p.idle = map[origin][]*conn{}
	}
	if p.most > 0 && p.count >= p.most {
		p.closeOldest()
	}
	c.since = time.Now()
	p.idle[c.to] = append(p.idle[c.to], c)
	p.count++
	if p.life > 0 && p.sweep == nil {
		p.sweep = time.AfterFunc(p.life, p.expire)
	}
	return true
}

// closeOldest makes room; p.mu is held.
func (p *pool) closeOldest() {
	var oldest *conn
	for _, list := range p.idle {
		if len(list) > 0 && (oldest == nil || list[0].since.Before(oldest.since)) {
			oldest = list[0]
		}
	}
	if oldest != nil {
		_ = oldest.plain.Close()
		p.keep(oldest.to, slices.Delete(p.idle[oldest.to], 0, 1))
		p.count--
	}
}

// expire closes what has waited for its whole life, and looks again when the next may have.
func (p *pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, next := time.Now(), time.Duration(-1)
	for to, list := range p.idle {
		old := 0
		for old < len(list) && now.Sub(list[old].since) >= p.life {
			_ = list[old].plain.Close()
			old++
		}
		p.count -= old
		if old == len(list) {
			delete(p.idle, to)
			continue
		}
		p.idle[to] = slices.Clone(list[old:])
		if left := p.life - now.Sub(list[old].since); next < 0 || left < next {
			next = left
		}
	}
	if p.sweep = nil; next >= 0 {
		p.sweep = time.AfterFunc(max(next, time.Millisecond), p.expire)
	}
}

// empty closes all.
func (p *pool) empty() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.idle {
		for _, c := range list {
			_ = c.plain.Close()
		}
	}
	p.idle, p.count = nil, 0
	if p.sweep != nil {
		p.sweep.Stop()
		p.sweep = nil
	}
}
