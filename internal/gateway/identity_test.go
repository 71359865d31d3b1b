package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/internal/project"
)

// shown is a request with Authorization headers.
func shown(authorization ...string) *http.Request {
	r := httptest.NewRequest("GET", "/v1/adapters", nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return r
}

// whoIs returns the name of the caller who is found; "" is nobody.
func whoIs(t *testing.T, s *Callers, r *http.Request) string {
	t.Helper()
	c, f, detail := s.identify(r, "")
	switch {
	case c == nil && (f != faultNoCaller || detail != unknownCaller):
		t.Errorf("got %v, %q for nobody, want the one wording whatever was wrong", f, detail)
	case c == nil:
		return ""
	case f != nil:
		t.Errorf("got %v beside a caller, want none", f)
	}
	return c.name
}

func TestCallersAreKnownByTheirKeys(t *testing.T) {
	s := callersOf(t, project.Caller{Name: "reports", KeySHA256: project.Texts{sha("key one"), sha("key.two.b")}},
		project.Caller{Name: "other", KeySHA256: project.Texts{strings.ToUpper(sha("key three"))}})
	for _, tt := range []struct {
		name   string
		values []string
		want   string
	}{
		{"a key", []string{"Bearer key one"}, "reports"},
		{"his other key, which looks like a token", []string{"bearer key.two.b"}, "reports"},
		{"another's key", []string{"Bearer  key three "}, "other"},
		{"no header", nil, ""},
		{"an unknown key", []string{"Bearer key four"}, ""},
		{"a prefix of a key", []string{"Bearer key on"}, ""},
		{"the digest itself", []string{"Bearer " + sha("key one")}, ""},
		{"nothing", []string{"Bearer "}, ""},
		{"the scheme alone", []string{"Bearer"}, ""},
		{"another scheme", []string{"Basic key one"}, ""},
		{"two headers", []string{"Bearer key one", "Bearer key one"}, ""},
		{"a header that is too long", []string{"Bearer " + strings.Repeat("a.", 1<<16)}, ""},
		{"something like a token", []string{"Bearer a.b.c"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := whoIs(t, s, shown(tt.values...)); got != tt.want {
				t.Errorf("got caller %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEverybodyMayCallWhereThereAreNoCallers(t *testing.T) {
	if c, f, _ := (*Callers)(nil).identify(shown("Bearer whatever"), ""); c != nil || f != nil {
		t.Errorf("got %v, %v, want neither caller nor fault", c, f)
	}
}

// certified is a request over TLS with a certificate, verified or not.
func certified(verified bool, leaf *x509.Certificate) *http.Request {
	r := shown()
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	if verified {
		r.TLS.VerifiedChains = [][]*x509.Certificate{{leaf}}
	}
	return r
}

func TestCallersAreKnownByVerifiedCertificates(t *testing.T) {
	s := callersOf(t, project.Caller{Name: "dns", Certificate: "reports.example"}, project.Caller{Name: "uri", Certificate: "spiffe://example/reports"},
		project.Caller{Name: "cn", Certificate: "Reports"}, project.Caller{Name: "key", KeySHA256: project.Texts{sha("key")}})
	spiffe := []*url.URL{{Scheme: "spiffe", Host: "example", Path: "/reports"}}
	named := pkix.Name{CommonName: "Reports"}
	for _, tt := range []struct {
		name     string
		verified bool
		leaf     x509.Certificate
		want     string
	}{
		{"DNS name", true, x509.Certificate{DNSNames: []string{"unknown.example", "reports.example"}}, "dns"},
		{"URI", true, x509.Certificate{URIs: spiffe}, "uri"},
		{"common name", true, x509.Certificate{Subject: named}, "cn"},
		{"common name beside other names", true, x509.Certificate{Subject: named, DNSNames: []string{"unknown.example"}}, ""},
		{"two callers' names", true, x509.Certificate{DNSNames: []string{"reports.example"}, URIs: spiffe}, ""},
		{"wildcard", true, x509.Certificate{DNSNames: []string{"*.example"}}, ""},
		{"no name", true, x509.Certificate{}, ""},
		{"not verified", false, x509.Certificate{DNSNames: []string{"reports.example"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := whoIs(t, s, certified(tt.verified, &tt.leaf)); got != tt.want {
				t.Errorf("got caller %q, want %q", got, tt.want)
			}
		})
	}
	wrong := certified(true, &x509.Certificate{DNSNames: []string{"reports.example"}})
	wrong.Header.Set("Authorization", "Bearer wrong")
	if got := whoIs(t, s, wrong); got != "" {
		t.Errorf("a certificate made up for a wrong key: got %q, want nobody", got)
	}
	wrong.Header.Set("Authorization", "Bearer key")
	if got := whoIs(t, s, wrong); got != "key" {
		t.Errorf("got %q for a key beside a certificate, want the key's caller", got)
	}
}

func BenchmarkIdentify(b *testing.B) {
	s := callersOf(b, project.Caller{Name: "reports", KeySHA256: project.Texts{sha("0123456789abcdef0123456789abcdef")}, Allow: []string{"acme/*"}})
	r := shown("Bearer 0123456789abcdef0123456789abcdef")
	b.ReportAllocs()
	for b.Loop() {
		if c, _, _ := s.identify(r, ""); c == nil {
			b.Fatal("nobody was found")
		}
	}
}
