package custom_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// warm is a transport over a stub, with a cached credential.
func warm(b testing.TB, template string) http.RoundTripper {
	b.Helper()
	a := login{template: template, interval: time.Hour}.open(b, env(b, says(`{"access_token":"eyJhbGciOiJIUzI1NiJ9.e30.sig","id":7,"v":"2.0"}`)))
	rt := &auth.Transport{Base: stub(), Auth: a, Resubmits: 1, Origin: auth.OriginOf(&url.URL{Scheme: "https", Host: "sys.example"})}
	req, _ := http.NewRequest(http.MethodGet, "https://sys.example/", nil)
	if _, err := rt.RoundTrip(req); err != nil {
		b.Fatal(err)
	}
	return rt
}

func stub() http.RoundTripper {
	res := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}
	return tripper(func(*http.Request) (*http.Response, error) { return res, nil })
}

const threeHeaders = `{"headers":{"Authorization":"Bearer {{.access_token}}","X-Id":"{{.id}}","X-Version":"{{.v}}"}}`

// Goal: under 1 µs and at most 4 allocations beyond the bare transport.
func BenchmarkApplyThreeHeaders(b *testing.B) {
	req, _ := http.NewRequest(http.MethodGet, "https://sys.example/v1/things?x=1", nil)
	req.Header.Set("Accept", "application/json")
	for name, rt := range map[string]http.RoundTripper{"bare": stub(), "template": warm(b, threeHeaders)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = rt.RoundTrip(req)
			}
		})
	}
}

// Goal: under 10 µs beyond the bare transport.
func BenchmarkApplyBody1KiB(b *testing.B) {
	body := `{"name":"` + strings.Repeat("x", 480) + `","list":[` + strings.Repeat(`{"id":1234567,"on":true},`, 19) + `{}]}`
	for name, rt := range map[string]http.RoundTripper{"bare": stub(), "template": warm(b, `{"body":{"auth_token":"{{.access_token}}"}}`)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req, _ := http.NewRequest(http.MethodPost, "https://sys.example/v1/things", strings.NewReader(body))
				req.Header.Set("Content-Type", "application/json")
				_, _ = rt.RoundTrip(req)
			}
		})
	}
}

func TestThreeHeadersAllocateAtMostFourTimes(t *testing.T) {
	req, _ := http.NewRequest(http.MethodGet, "https://sys.example/v1/things?x=1", nil)
	req.Header.Set("Accept", "application/json")
	rt := warm(t, threeHeaders)
	if got := testing.AllocsPerRun(100, func() { _, _ = rt.RoundTrip(req) }); got > 4 {
		t.Errorf("got %v allocations, want at most 4", got)
	}
}
