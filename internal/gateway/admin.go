package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin serves operators: is the process up, is it ready, what has it counted, where does it
// spend its time. It knows no callers: it belongs on a listener that only operators reach.
//
//	/healthz       200 as long as the process answers
//	/readyz        200, or 503 once the gateway drains or is closed; lists the adapters' states
//	/metrics       counters for Prometheus
//	/debug/pprof/  profiles
func (g *Gateway) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", g.serveReady)
	if m := g.options.Metrics; m != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(m.Registry(), promhttp.HandlerOpts{Registry: m.Registry()}))
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lured(r) {
			http.Error(w, "only localhost or an address is taken for Host, and nothing that a web page sends", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Drain makes /readyz say no from now on, so that nobody sends anything new while what is under
// way ends. Requests are served all the same.
func (g *Gateway) Drain() { g.draining.Store(true) }

// readiness is what /readyz answers. A sick adapter does not make the gateway unready: the others
// serve, and another gateway would find the same.
type readiness struct {
	Ready    bool              `json:"ready"`
	Adapters map[string]string `json:"adapters"`
}

func (g *Gateway) serveReady(w http.ResponseWriter, _ *http.Request) {
	out := readiness{Adapters: map[string]string{}}
	if s := g.hold(); s != nil {
		for name := range s.Adapters {
			out.Adapters[name] = s.health.of(name).state()
		}
		s.access.RUnlock()
		out.Ready = !g.draining.Load()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !out.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(out) // who has left hears nothing
}
