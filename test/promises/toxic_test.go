package promises

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

// leftByOthers is what others leave for a while: links whose connection has ended go on for what their toxic delays, and a
// slicer's for good.
func leftByOthers() []goleak.Option {
	var options []goleak.Option
	for _, f := range []string{"toxics.(*SlicerToxic).Pipe", "toxics.(*LatencyToxic).Pipe", "toxics.(*BandwidthToxic).Pipe", "toxics.(*NoopToxic).Pipe",
		"stream.(*ChanReader).Read", "stream.(*ChanWriter).Write"} {
		options = append(options, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/"+f))
	}
	// A pool of go-redis that met a Redis which is away looks once a second whether it is closed.
	return append(options, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// toxic is a proxy before a server that can spoil what passes (github.com/Shopify/toxiproxy).
type toxic struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

var quietProxies = sync.OnceFunc(func() { zerolog.SetGlobalLevel(zerolog.Disabled) })

// newToxic starts a proxy that spoils nothing yet.
func newToxic(t testing.TB, upstream string) *toxic {
	t.Helper()
	quietProxies()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &toxic{t, toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", upstream)}
	p.up()
	t.Cleanup(p.down)
	return p
}

func (p *toxic) up() {
	p.t.Helper()
	if err := p.proxy.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// down ends all connections and refuses new ones. The port stays the proxy's own in practice: it
// is taken again in a moment.
func (p *toxic) down() { p.proxy.Stop() }

func (p *toxic) addr() string { return p.proxy.Listen }

// spoil ends all connections, and spoils what passes on new ones: a kind of toxic with its
// attributes. Some kinds can only be put on a connection from its start.
func (p *toxic) spoil(kind string, attributes map[string]any) {
	p.t.Helper()
	text, err := json.Marshal(map[string]any{"type": kind, "attributes": attributes})
	if err != nil {
		p.t.Fatal(err)
	}
	p.down()
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
		p.t.Fatal(err)
	}
	p.up()
}

// deaf is a proxy before a Redis that can keep back the answers to one kind of command: Redis has
// done what it was told, and nobody hears of it.
type deaf struct {
	listener net.Listener
	upstream string
	open     sync.WaitGroup
	to       atomic.Pointer[string] // connections whose commands hold this text hear nothing more
}

func newDeaf(t testing.TB, upstream string) *deaf {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deaf{listener: l, upstream: upstream}
	d.hear()
	d.open.Go(d.accept)
	t.Cleanup(func() { _ = l.Close(); d.open.Wait() })
	return d
}

func (d *deaf) ignore(text string) { d.to.Store(&text) }
func (d *deaf) hear()              { d.to.Store(nil) }

func (d *deaf) accept() {
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", d.upstream)
		if err != nil {
			_ = client.Close()
			continue
		}
		var muted atomic.Bool
		d.open.Go(func() {
			pass(server, client, func(b []byte) bool {
				if text := d.to.Load(); text != nil && bytes.Contains(b, []byte(*text)) {
					muted.Store(true)
				}
				return true
			})
		})
		d.open.Go(func() { pass(client, server, func([]byte) bool { return !muted.Load() }) })
	}
}

// pass copies what passes, until one side ends; then it ends both.
func pass(to, from net.Conn, passes func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	for b := make([]byte, 64<<10); ; {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if passes(b[:n]) {
			_, _ = to.Write(b[:n])
		}
	}
}
