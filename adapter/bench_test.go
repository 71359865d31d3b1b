package adapter_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// BenchmarkCallShare runs a declared action (path, query, body translation, response
// translation, cached token) and a bare tuned http.Client with the finished request against one
// server, in turns, and reports our share of the bare client's calls a second. Goal: 0.5.
func BenchmarkCallShare(b *testing.B) {
	f := &benchSystem{}
	server := httptest.NewServer(f)
	defer server.Close()
	a := openBench(b, server.URL)
	bare := &http.Client{Transport: auth.NewBase()}
	contenders := []func(*testing.B){
		func(b *testing.B) { bareCall(b, bare, server.URL) },
		func(b *testing.B) { declaredCall(b, a) },
	}
	for _, parallel := range []int{1, 64} {
		b.Run(fmt.Sprintf("c=%d", parallel), func(b *testing.B) {
			var shares []float64
			for b.Loop() {
				var took [2]time.Duration
				for i, call := range contenders {
					took[i] = round(b, parallel, call)
				}
				shares = append(shares, float64(took[0])/float64(took[1]))
			}
			slices.Sort(shares)
			b.ReportMetric(shares[len(shares)/2], "share")
		})
	}
}

// round makes 2,000 calls, parallel at a time.
func round(b *testing.B, parallel int, call func(*testing.B)) time.Duration {
	const calls = 2000
	var left atomic.Int64
	left.Store(calls)
	var wg sync.WaitGroup
	start := time.Now()
	for range parallel {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				call(b)
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// benchSystem answers tokens and one small object; it refuses calls without the token.
type benchSystem struct{}

var benchAnswer = []byte(`{"id":7,"label":"w","tags":["a","b"]}`)

// ServeHTTP answers.
func (*benchSystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/api/v2/token":
		_, _ = w.Write([]byte(`{"access_token":"T1"}`))
	case r.Header.Get("Authorization") != "Bearer T1":
		w.WriteHeader(401)
	default:
		_, _ = w.Write(benchAnswer)
	}
}

func openBench(b *testing.B, server string) *adapter.Adapter {
	f := &fixture{}
	o := f.options(b)
	f.server.Close()
	o.Instance.Data = bytes.Replace(o.Instance.Data, []byte(f.server.URL[len("http://127.0.0.1:"):]), []byte(server[len("http://127.0.0.1:"):]), 1)
	return open(b, o)
}

func declaredCall(b *testing.B, a *adapter.Adapter) {
	_, err := a.Call(b.Context(), "widget", "createWidget", adapter.Input{
		Query:   entities.Object{{Name: "widgetName", Value: "x y"}},
		Payload: map[string]any{"widgetName": "w1", "extra": "e"}})
	if err != nil {
		b.Error(err)
	}
}

func bareCall(b *testing.B, c *http.Client, server string) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server+"/api/v2/widgets?label=x%20y", bytes.NewReader([]byte(`{"label":"w1","extra":"e"}`)))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer T1")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}
