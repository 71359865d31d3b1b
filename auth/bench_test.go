package auth_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// stub answers without a network.
func stub() http.RoundTripper {
	res := answer(200)
	return tripper(func(*http.Request) (*http.Response, error) { return res, nil })
}

// warm is a Transport whose token is cached.
func warm(b testing.TB) *auth.Transport {
	tr := transport(b, stub(), placed(b, &source{life: time.Hour}))
	if _, err := tr.RoundTrip(get(b, "https://a.example/")); err != nil {
		b.Fatal(err)
	}
	return tr
}

// Goal P1: at most 0.10 × x/oauth2 (test/bench compares), 0 allocations.
func BenchmarkOwnRequest(b *testing.B) {
	own, req := warm(b).Own(), get(b, "https://a.example/v1/things?x=1")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = own.RoundTrip(req)
	}
}

// Goal P2: at most 0.75 × x/oauth2, 3 allocations.
func BenchmarkCopiedRequest(b *testing.B) {
	tr, req := warm(b), get(b, "https://a.example/v1/things?x=1")
	req.Header.Set("Accept", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = tr.RoundTrip(req)
	}
}

// Goal P16: on a new token at most 0.2 × text/template, 1 allocation.
func BenchmarkRender(b *testing.B) {
	f, err := auth.CompileFormat("Basic {b64}{username}:{password}{/b64}", names...)
	if err != nil {
		b.Fatal(err)
	}
	with := values("T1")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = f.Render(with)
	}
}

// Goal P3: at most 0.25 × x/oauth2.
func BenchmarkTokenParallel(b *testing.B) {
	c := cached(&source{life: time.Hour}, auth.Env{})
	_, _ = c.Token(b.Context())
	var failed atomic.Bool
	b.SetParallelism(32) // 64 goroutines on 2 cores
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Token(b.Context()); err != nil {
				failed.Store(true)
			}
		}
	})
	if failed.Load() {
		b.Error("a token was not served")
	}
}

func TestHotPathAllocatesWhatWasPromised(t *testing.T) {
	tr := warm(t)
	own, req := tr.Own(), get(t, "https://a.example/")
	req.Header.Set("Accept", "application/json")
	for name, c := range map[string]struct {
		rt   http.RoundTripper
		want float64
	}{"own": {own, 0}, "copied": {tr, 3}} {
		if got := testing.AllocsPerRun(100, func() { _, _ = c.rt.RoundTrip(req) }); got != c.want {
			t.Errorf("%s: got %v allocations, want %v", name, got, c.want)
		}
	}
}
