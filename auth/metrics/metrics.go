// Package metrics counts what the token engine does, for Prometheus:
//
//	engine ─ auth.Measure ─▶ Collector ─ prometheus.Registry ─▶ /metrics
//
// It is a package of its own so that a program without Prometheus does not carry it. No label
// holds a user, a URL or anything that a caller chooses: adapter is the adapter's name.
package metrics

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyhitch/keyhitch/auth"
)

// Collector holds the counters and histograms. Register it, and hand Measure to adapter.Options.
//
//	keyhitch_token_requests_total{adapter,outcome}     token requests: ok, refused, limited, server_error,
//	                                                   timeout, unreachable, bad_answer, canceled, internal
//	keyhitch_token_request_duration_seconds{adapter}   how long they took
//	keyhitch_token_hits_total{adapter,tier}            calls by where their token came from: memory, stale,
//	                                                   redis, request
//	keyhitch_token_wait_seconds{adapter}               how long calls waited for a token
//	keyhitch_token_refresh_lead_seconds{adapter}       how long before its end a token was replaced
//	keyhitch_token_lease_wait_seconds{adapter}         how long another process's token request was waited for
//	keyhitch_token_refusals_total{adapter}             tokens that the system refused
//	keyhitch_token_breaker_opened_total{adapter}       token after token refused: logins rest
//	keyhitch_token_cache_faults_total{adapter}         the shared cache failed, or held an odd record
type Collector struct {
	last   atomic.Pointer[owner] // whom the last hit was of: mostly the next one is, too
	owners sync.Map              // adapter → *owner

	requests, hits, refusals, breaker, faults *prometheus.CounterVec
	request, wait, lead, lease                *prometheus.HistogramVec
}

// New makes a Collector.
func New() *Collector {
	return &Collector{
		requests: counter("requests_total", "Token requests by outcome.", "outcome"),
		hits:     counter("hits_total", "Calls by the tier their token came from.", "tier"),
		refusals: counter("refusals_total", "Tokens that the system refused."),
		breaker:  counter("breaker_opened_total", "Times that logins were stopped because token after token was refused."),
		faults:   counter("cache_faults_total", "Failures of the token cache and odd records in it."),
		request:  histogram("request_duration_seconds", "Duration of token requests.", prometheus.ExponentialBuckets(0.005, 2, 13)),
		wait:     histogram("wait_seconds", "How long calls waited for a token.", prometheus.ExponentialBuckets(0.0005, 2, 17)),
		lead:     histogram("refresh_lead_seconds", "How long before its end a token was replaced.", prometheus.ExponentialBuckets(0.25, 2, 16)),
		lease:    histogram("lease_wait_seconds", "How long the token request of another process was waited for.", prometheus.ExponentialBuckets(0.0005, 2, 16)),
	}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "keyhitch", Subsystem: "token", Name: name, Help: help},
		append([]string{"adapter"}, labels...))
}

func histogram(name, help string, buckets []float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "keyhitch", Subsystem: "token", Name: name, Help: help,
		Buckets: buckets}, []string{"adapter"})
}

// Measure counts one thing. It is what adapter.Options.Measure takes.
func (c *Collector) Measure(m auth.Measure) {
	switch m.What {
	case auth.Hit:
		c.hit(m)
	case auth.Fetch:
		c.requests.WithLabelValues(m.Owner, m.Label).Inc()
		seconds(c.request, m)
	case auth.Wait:
		seconds(c.wait, m)
	case auth.Lead:
		seconds(c.lead, m)
	case auth.LeaseWait:
		seconds(c.lease, m)
	case auth.Refusal:
		c.refusals.WithLabelValues(m.Owner).Inc()
	case auth.BreakerOpen:
		c.breaker.WithLabelValues(m.Owner).Inc()
	case auth.CacheFault:
		c.faults.WithLabelValues(m.Owner).Inc()
	}
}

// owner holds the counters of one adapter's hits, which are on the path of every call.
type owner struct {
	name  string
	tiers map[string]prometheus.Counter
}

func (c *Collector) hit(m auth.Measure) {
	o := c.last.Load()
	if o == nil || o.name != m.Owner {
		o = c.owner(m.Owner)
		c.last.Store(o)
	}
	if counter, ok := o.tiers[m.Label]; ok {
		counter.Inc()
	}
}

func (c *Collector) owner(name string) *owner {
	if found, ok := c.owners.Load(name); ok {
		return found.(*owner)
	}
	o := &owner{name, map[string]prometheus.Counter{}}
	for _, tier := range []string{auth.TierMemory, auth.TierStale, auth.TierRedis, auth.TierRequest} {
		o.tiers[tier] = c.hits.WithLabelValues(name, tier)
	}
	found, _ := c.owners.LoadOrStore(name, o)
	return found.(*owner)
}

func seconds(h *prometheus.HistogramVec, m auth.Measure) {
	h.WithLabelValues(m.Owner).Observe(float64(m.Took) / float64(time.Second))
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, part := range c.parts() {
		part.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	for _, part := range c.parts() {
		part.Collect(out)
	}
}

func (c *Collector) parts() []prometheus.Collector {
	return []prometheus.Collector{c.requests, c.hits, c.refusals, c.breaker, c.faults, c.request, c.wait, c.lead, c.lease}
}
