package bench

import (
	"net/http"
	"os/exec"
	"testing"
	"time"
)

// gatewayGoals is the table of docs/gateway.md. All gateways have the same system behind them, in a
// process of its own, and get the same calls.
func gatewayGoals(g *gateways) []goal {
	return []goal{
		{id: "P13, P14", what: "1 KiB, 64 connections", rounds: 21, contend: g.small, figures: []figure{
			{what: "requests", unit: "/s", share: true, over: median, must: atLeast(0.90), stretch: atLeast(1)},
			{what: "requests, beside Caddy", unit: "/s", share: true, beside: "Caddy", over: median, must: atLeast(1.4)},
			{what: "p99", unit: "ms", share: true, over: median, must: atMost(1.1)},
			{what: "CPU of the gateway for a request, beside Caddy", unit: "µs", share: true, beside: "Caddy", over: median, must: atMost(0.65)}}},
		{id: "P15", what: "64 bodies of 10 MiB down, then 64 up, 16 at a time", rounds: 15, contend: g.big, figures: []figure{
			{what: "most memory resident, beside the bare proxy", unit: "MiB", share: true, over: median, must: atMost(1.3)},
			{what: "most memory resident", unit: "MiB", over: median, must: atMost(30)},
			{what: "down", unit: "MiB/s", share: true, over: median, must: atLeast(0.95)},
			{what: "up", unit: "MiB/s", share: true, over: median, must: atLeast(0.95)}}},
		{id: "idle", what: "ten adapters loaded, each called once", rounds: 3, contend: g.idle, figures: []figure{
			{what: "memory resident", unit: "MiB", over: median, must: atMost(30)}}},
		{id: "reload", what: "project of 20 homes, 64 connections", rounds: 9, contend: g.reload, figures: []figure{
			{what: "failed calls", over: worst, must: exactly(0)},
			{what: "p99 while it is loaded four times a second, beside before", unit: "×", over: median, must: atMost(1.5)}}},
	}
}

// TestGateway is `make bench-gateway`.
func TestGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some minutes")
	}
	if _, err := exec.LookPath("wrk"); err != nil && *write == "" {
		t.Skip("wrk makes the load, and is not installed; it is a Debian package of that name")
	}
	measureAll(t, nil, gatewayGoals(newGateways(t)), "figures", "make bench-gateway")
}

// small has every gateway warm, and its connections open.
func (g *gateways) small(t testing.TB, _ *lab) []contender {
	var list []contender
	for _, c := range []struct {
		contender
		*gateway
	}{
		{contender{name: "keyhitch"}, g.ours(t, 1)},
		{contender{name: "bare ReverseProxy", base: true, floor: true}, g.bare(t)},
		{contender{name: "Caddy"}, g.caddyServer(t)},
	} {
		c.served(t, time.Second)
		c.round = c.smallCalls
		list = append(list, c.contender)
	}
	return list
}

// big starts a new gateway for each round, because a process knows only the most it ever needed.
func (g *gateways) big(testing.TB, *lab) []contender {
	return []contender{
		{name: "keyhitch", round: inTest(func(t testing.TB) []float64 { return bigCalls(t, g.ours(t, 1)) })},
		{name: "bare ReverseProxy", base: true, floor: true, round: inTest(func(t testing.TB) []float64 { return bigCalls(t, g.bare(t)) })},
		{name: "Caddy", round: inTest(func(t testing.TB) []float64 { return bigCalls(t, g.caddyServer(t)) })},
	}
}

// inTest runs a round as a test of its own, so that the processes it starts end with it.
func inTest(round func(testing.TB) []float64) func(testing.TB) []float64 {
	return func(t testing.TB) (values []float64) {
		if !t.(*testing.T).Run("round", func(t *testing.T) { values = round(t) }) {
			t.FailNow()
		}
		return values
	}
}

// idle is what a sidecar costs that has little to do.
func (g *gateways) idle(testing.TB, *lab) []contender {
	return []contender{{name: "keyhitch", round: inTest(func(t testing.TB) []float64 {
		p := g.ours(t, 10)
		for range 10 {
			res, err := p.send(http.DefaultClient, http.MethodGet, "/small", nil, 0)
			must(t, err)
			_ = res.Body.Close()
		}
		time.Sleep(time.Second)
		return []float64{p.memory(t, "VmRSS")}
	})}}
}
