package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

var oneKiB = bytes.Repeat([]byte("x"), 1024)

// benchFront is the whole pipeline: a caller's key, the access log, a cached token.
func benchFront(b *testing.B, system string) http.Handler {
	u, _ := url.Parse(system)
	p := &proxied{auth: fixed("header.headers.Authorization", "Bearer {token}"), behind: &httptest.Server{URL: u.String()}}
	p.options.Base = auth.NewBase()
	config := Config{Adapters: map[string]*adapter.Adapter{"acme": p.open(b)}}
	callerWith(b, "acme/GET /x/*")(&config)
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetFormatter(&logrus.JSONFormatter{})
	g, err := New(Options{Log: logger, AccessLog: io.Discard, Metrics: NewMetrics(), Load: func() (Config, error) { return config, nil }})
	if err != nil {
		b.Fatal(err)
	}
	return g
}

// bareFront is a tuned httputil.ReverseProxy.
func bareFront(system string) http.Handler {
	target, _ := url.Parse(system)
	base := auth.NewBase()
	base.DisableCompression = true
	return &httputil.ReverseProxy{Transport: base, BufferPool: barePool{}, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header["Authorization"] = []string{"Bearer sesame-4711"}
	}}
}

type barePool struct{}

func (barePool) Get() []byte  { return buffers.Get().(*[32 << 10]byte)[:] }
func (barePool) Put(b []byte) { buffers.Put((*[32 << 10]byte)(b)) }

// BenchmarkProxy sends rounds of requests through the bare proxy and the gateway in turns, all in
// this process, and reports the gateway's share of the bare proxy's requests a second. The load,
// the system and both proxies share the processors, so this steers and does not measure:
// make bench-gateway does.
func BenchmarkProxy(b *testing.B) {
	system := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(oneKiB) }))
	defer system.Close()
	bare, ours := httptest.NewServer(bareFront(system.URL)), httptest.NewServer(benchFront(b, system.URL))
	defer bare.Close()
	defer ours.Close()
	client := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	defer client.CloseIdleConnections()
	var shares []float64
	for b.Loop() {
		slow := benchRound(b, client, bare.URL+"/x/devices?page=1")
		own := benchRound(b, client, ours.URL+"/proxy/acme/x/devices?page=1")
		shares = append(shares, float64(slow)/float64(own))
	}
	slices.Sort(shares)
	b.ReportMetric(shares[len(shares)/2], "share")
}

// benchRound sends 4,000 requests, 64 at a time.
func benchRound(b *testing.B, client http.RoundTripper, target string) time.Duration {
	var left atomic.Int64
	left.Store(4000)
	var wg sync.WaitGroup
	start := time.Now()
	for range 64 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, target, nil)
				req.Header["Authorization"] = []string{"Bearer caller-key"}
				res, err := client.RoundTrip(req)
				if err != nil {
					b.Error(err)
					return
				}
				if n, _ := io.Copy(io.Discard, res.Body); n != 1024 || res.StatusCode != 200 {
					b.Errorf("got %d bytes and status %d", n, res.StatusCode)
				}
				_ = res.Body.Close()
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// BenchmarkHandler is what a request costs inside the handler, over a system without a network.
func BenchmarkHandler(b *testing.B) {
	listener := httptest.NewServer(http.NotFoundHandler())
	listener.Close()
	for _, tt := range []struct {
		name, target string
		handler      http.Handler
	}{
		{"bare", "/x/devices?page=1", bareFront("http://127.0.0.1:1")},
		{"gateway", "/proxy/acme/x/devices?page=1", benchFront(b, "http://127.0.0.1:1")},
	} {
		b.Run(tt.name, func(b *testing.B) {
			swapTransport(tt.handler)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			req := httptest.NewRequestWithContext(ctx, http.MethodGet, tt.target, nil)
			req.Header = http.Header{"Authorization": {"Bearer caller-key"}, "User-Agent": {"bench"}, "Accept": {"*/*"}, "Accept-Encoding": {"identity"}}
			b.ReportAllocs()
			for b.Loop() {
				w := &discard{header: http.Header{}}
				tt.handler.ServeHTTP(w, req)
			}
		})
	}
}

// swapTransport answers in place of the network.
func swapTransport(h http.Handler) {
	switch h := h.(type) {
	case *httputil.ReverseProxy:
		h.Transport = canned{}
	case *Gateway:
		d := h.current.Load().doors["acme"]
		transport := *d.adapter.Transport()
		transport.Base = canned{}
		d.transport = &transport
	}
}

type canned struct{}

// RoundTrip answers 1 KiB.
func (canned) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, ContentLength: 1024, Body: io.NopCloser(bytes.NewReader(oneKiB)), Request: req,
		Header: http.Header{"Content-Length": {"1024"}, "Content-Type": {"text/plain"}, "Date": {"today"}}}, nil
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
