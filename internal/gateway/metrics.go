package gateway

import (
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/metrics"
)

// Metrics counts what the gateway and the token engine do. No label holds a user, a URL or what a
// caller chooses. Nil counts nothing.
//
//	keyhitch_gateway_requests_total{adapter,route,class}        requests by the class of their status: 2xx …; aborted
//	keyhitch_gateway_request_duration_seconds{adapter,route}    how long they took
//	keyhitch_gateway_upstream_duration_seconds{adapter}         how long systems took to begin their answers
//	keyhitch_gateway_faults_total{adapter,code}                 problems that the gateway answered with
//	keyhitch_gateway_inflight                                   requests under way
//	keyhitch_gateway_streams{adapter}                           switched connections and streams of events that are open
//	keyhitch_gateway_reloads_total{outcome}                     ok, or failed and nothing changed
//	keyhitch_gateway_reloaded_timestamp_seconds                 when what is served now was loaded
//	keyhitch_build_info{version,go_version}                     1
//	keyhitch_token_…                                            see auth/metrics
type Metrics struct {
	registry *prometheus.Registry
	tokens   *metrics.Collector
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	upstream *prometheus.HistogramVec
	faults   *prometheus.CounterVec
	inflight prometheus.Gauge
	streams  *prometheus.GaugeVec
	reloads  *prometheus.CounterVec
	reloaded prometheus.Gauge
	build    *prometheus.GaugeVec

	adding sync.Mutex
	series atomic.Pointer[map[string]*series] // by adapter; replaced, never changed
}

// NewMetrics makes a registry with everything that /metrics shows.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), tokens: metrics.New(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "keyhitch", Subsystem: "gateway", Name: "requests_total",
			Help: "Requests by adapter, route and class of status."}, []string{"adapter", "route", "class"}),
		seconds:  seconds("request_duration_seconds", "Duration of requests.", "adapter", "route"),
		upstream: seconds("upstream_duration_seconds", "How long systems took to begin their answers, from the first try on.", "adapter"),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "keyhitch", Subsystem: "gateway", Name: "faults_total",
			Help: "Problems that the gateway answered with, by code."}, []string{"adapter", "code"}),
		inflight: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "keyhitch", Subsystem: "gateway", Name: "inflight",
			Help: "Requests under way."}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "keyhitch", Subsystem: "gateway", Name: "streams",
			Help: "Switched connections and streams of events that are open."}, []string{"adapter"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "keyhitch", Subsystem: "gateway", Name: "reloads_total",
			Help: "Loads of the configuration by outcome."}, []string{"outcome"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "keyhitch", Subsystem: "gateway", Name: "reloaded_timestamp_seconds",
			Help: "When the configuration that is served was loaded."}),
		build: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "keyhitch", Name: "build_info",
			Help: "1, with the versions of the program and of Go."}, []string{"version", "go_version"}),
	}
	m.registry.MustRegister(m.tokens, m.requests, m.seconds, m.upstream, m.faults, m.inflight, m.streams, m.reloads, m.reloaded, m.build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// seconds is a histogram of durations from half a millisecond to a minute.
func seconds(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "keyhitch", Subsystem: "gateway", Name: name,
		Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 18)}, labels)
}

// built tells what program this is.
func (m *Metrics) built(version string) {
	if m != nil {
		m.build.WithLabelValues(version, runtime.Version()).Set(1)
	}
}

// Registry is what /metrics shows.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Measure counts what the token engine does. It is what adapter.Options.Measure takes.
func (m *Metrics) Measure(what auth.Measure) { m.tokens.Measure(what) }

// Reloaded counts a load of the configuration; nil is a good one.
func (m *Metrics) Reloaded(err error) {
	switch {
	case m == nil:
	case err != nil:
		m.reloads.WithLabelValues("failed").Inc()
	default:
		m.reloads.WithLabelValues("ok").Inc()
		m.reloaded.SetToCurrentTime()
	}
}

// arrive counts a request that begins.
func (m *Metrics) arrive() {
	if m != nil {
		m.inflight.Inc()
	}
}

// stream counts streams that begin, or end below 0.
func (m *Metrics) stream(adapter string, more float64) {
	if m != nil {
		m.streams.WithLabelValues(adapter).Add(more)
	}
}

// leave counts a request that ends.
func (m *Metrics) leave(x *exchange, took time.Duration) {
	if m == nil {
		return
	}
	m.inflight.Dec()
	s := m.of(x.adapter)
	c := s.of(m, x.adapter, routeOf(x), classOf(x.w.status))
	c.requests.Inc()
	c.seconds.Observe(took.Seconds())
	if upstream := x.timing.upstream(); upstream > 0 && s.upstream != nil {
		s.upstream.Observe(upstream.Seconds())
	}
	if x.fault != nil {
		m.faults.WithLabelValues(x.adapter, x.fault.Code).Inc()
	}
}

// The routes and classes that requests are counted by.
var (
	routeNames = [...]string{"proxy", "action", "api", "openapi", "other"}
	classNames = [...]string{"aborted", "1xx", "2xx", "3xx", "4xx", "5xx"}
)

// routeOf finds a request's route in routeNames.
func routeOf(x *exchange) int {
	switch path := x.request.URL.Path; {
	case strings.HasPrefix(path, "/proxy/"):
		return 0
	case x.entity != "":
		return 1
	case path == "/v1" || strings.HasPrefix(path, "/v1/"):
		return 2
	case path == "/openapi.json":
		return 3
	}
	return 4
}

// classOf finds a status in classNames. No status stands for an answer that never began.
func classOf(status int) int {
	if status < 100 || status > 599 {
		return 0
	}
	return status / 100
}

// series are the counters of one adapter, found once: looking up labels costs more than counting.
type series struct {
	upstream prometheus.Observer // nil: for what belongs to no adapter
	requests [len(routeNames)][len(classNames)]atomic.Pointer[counters]
}

type counters struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
}

func (m *Metrics) of(adapter string) *series {
	if known := m.series.Load(); known != nil && (*known)[adapter] != nil {
		return (*known)[adapter]
	}
	m.adding.Lock()
	defer m.adding.Unlock()
	next := map[string]*series{}
	if known := m.series.Load(); known != nil {
		next = maps.Clone(*known)
	}
	if next[adapter] == nil {
		next[adapter] = new(series)
		if adapter != "" {
			next[adapter].upstream = m.upstream.WithLabelValues(adapter)
		}
		m.series.Store(&next)
	}
	return next[adapter]
}

func (s *series) of(m *Metrics, adapter string, route, class int) *counters {
	place := &s.requests[route][class]
	if c := place.Load(); c != nil {
		return c
	}
	c := &counters{m.requests.WithLabelValues(adapter, routeNames[route], classNames[class]),
		m.seconds.WithLabelValues(adapter, routeNames[route])}
	place.Store(c) // another request may store the same
	return c
}
