package http1_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/keyhitch/keyhitch/internal/http1"
)

// A system may be upgraded, or one of several behind a name may be older.
func TestAnOriginThatSpeaksOnlyHTTP2ByNowIsLeftToBase(t *testing.T) {
	var upgraded atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		own := &tls.Config{Certificates: server.TLS.Certificates, NextProtos: []string{"http/1.1"}}
		if upgraded.Load() {
			own.NextProtos = []string{"h2"}
			if !slices.Contains(hello.SupportedProtos, "h2") { // crypto/tls itself would let HTTP/1.1 pass
				return nil, errors.New("no application protocol")
			}
		}
		return own, nil
	}}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	tr := http1.Over(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableCompression: true})
	defer tr.CloseIdleConnections()
	for _, want := range []string{"HTTP/1.1", "HTTP/1.1", "HTTP/2.0", "HTTP/2.0"} {
		if want == "HTTP/2.0" && !upgraded.Swap(true) {
			tr.CloseIdleConnections()
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatalf("want %s, got error %v", want, err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if string(body) != want {
			t.Errorf("got %s, want %s", body, want)
		}
	}
}
