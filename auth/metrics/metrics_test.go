package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/metrics"
)

// Example shows how a program serves the counters of its adapters.
func Example() {
	c := metrics.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	http.Handle("/metrics", handler)

	options := adapter.Options{Measure: c.Measure} // for keyhitch.Open, of every adapter
	options.Measure(auth.Measure{What: auth.Hit, Owner: "acme", Label: auth.TierMemory})
	fmt.Println(testutil.CollectAndCount(c), "series") // one for each tier
	// Output: 4 series
}

// asked gives a token the first time, and refuses the login after that.
type asked int

func (n *asked) Token(context.Context) (auth.Token, error) {
	if *n++; *n > 1 {
		return auth.Token{}, &auth.TokenError{Status: http.StatusUnauthorized}
	}
	now := time.Now()
	return auth.Token{Values: map[string]auth.Secret{"token": auth.NewSecret("T1")}, Obtained: now, Expiry: now.Add(time.Hour)}, nil
}

func TestCollectorCountsWhatTheEngineDoes(t *testing.T) {
	c := metrics.New()
	source := auth.Cached(auth.Credential{Key: "k", Owner: "acme", Source: new(asked)}, auth.Env{Now: time.Now, Measure: c.Measure})
	var token auth.Token
	for range 3 {
		var err error
		if token, err = source.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	source.Invalidate(auth.Stamp(token.Generation))
	if _, err := source.Token(t.Context()); err == nil {
		t.Fatal("got a token after the login was refused")
	}
	want := `
# HELP keyhitch_token_hits_total Calls by the tier their token came from.
# TYPE keyhitch_token_hits_total counter
keyhitch_token_hits_total{adapter="acme",tier="memory"} 2
keyhitch_token_hits_total{adapter="acme",tier="redis"} 0
keyhitch_token_hits_total{adapter="acme",tier="request"} 1
keyhitch_token_hits_total{adapter="acme",tier="stale"} 0
# HELP keyhitch_token_refusals_total Tokens that the system refused.
# TYPE keyhitch_token_refusals_total counter
keyhitch_token_refusals_total{adapter="acme"} 1
# HELP keyhitch_token_requests_total Token requests by outcome.
# TYPE keyhitch_token_requests_total counter
keyhitch_token_requests_total{adapter="acme",outcome="ok"} 1
keyhitch_token_requests_total{adapter="acme",outcome="refused"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "keyhitch_token_hits_total", "keyhitch_token_refusals_total", "keyhitch_token_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestEveryDocumentedMetricExistsAndNoOther(t *testing.T) {
	c := metrics.New()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	for what := auth.Hit; what <= auth.BreakerOpen; what++ {
		c.Measure(auth.Measure{What: what, Owner: "acme", Label: "x", Took: time.Second})
	}
	source, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`//\t(keyhitch_\w+)\{`).FindAllStringSubmatch(string(source), -1) {
		documented[m[1]] = true
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !documented[f.GetName()] {
			t.Errorf("%s is not documented", f.GetName())
		}
		delete(documented, f.GetName())
	}
	if len(documented) > 0 || len(families) == 0 {
		t.Errorf("documented and never counted: %v", documented)
	}
}

func BenchmarkHotTokenCounted(b *testing.B) {
	for name, measure := range map[string]func(auth.Measure){"plain": nil, "counted": metrics.New().Measure} {
		source := auth.Cached(auth.Credential{Key: "k", Owner: "acme", Source: new(asked)}, auth.Env{Now: time.Now, Measure: measure})
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = source.Token(b.Context())
			}
		})
	}
}
