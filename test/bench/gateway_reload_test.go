package bench

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// reload compares calls with those made while the project is loaded four times a second.
func (g *gateways) reload(t testing.TB, _ *lab) []contender {
	p := g.ours(t, 20)
	p.served(t, time.Second)
	return []contender{{name: "keyhitch", round: func(t testing.TB) []float64 {
		before := p.served(t, 2*time.Second)
		loaded := p.reloads(t)
		stop := p.hangUp(t)
		during := p.wrk(t, 2*time.Second)
		stop()
		if loaded = p.reloads(t) - loaded; loaded < 5 {
			t.Fatalf("the project was loaded %v times in 2 s of calls: that tells nothing", loaded)
		}
		t.Logf("loaded %v times; p99 %.2f ms, before it %.2f ms", loaded, during.P99/1000, before.P99/1000)
		return []float64{float64(during.Failed), during.P99 / before.P99}
	}}}
}

// hangUp tells the gateway to load its project, again and again until stop is called.
func (p *gateway) hangUp(t testing.TB) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		pause := time.NewTicker(250 * time.Millisecond)
		defer pause.Stop()
		for syscall.Kill(p.pid, syscall.SIGHUP) == nil {
			select {
			case <-done:
				return
			case <-pause.C:
			}
		}
	}()
	stop = sync.OnceFunc(func() { close(done); <-ended })
	t.Cleanup(stop) // before that of the process: its number may soon be another's
	return stop
}

// reloads counts how often the project was loaded.
func (p *gateway) reloads(t testing.TB) (n float64) {
	t.Helper()
	res, err := http.Get(p.admin + "/metrics")
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), `keyhitch_gateway_reloads_total{outcome="ok"} `); ok {
			n, err = strconv.ParseFloat(value, 64)
			must(t, err)
		}
	}
	return n
}
