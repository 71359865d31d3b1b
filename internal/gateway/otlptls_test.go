package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pemFile writes a file and returns its name.
func pemFile(t *testing.T, kind string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// clientPair makes the files of a certificate that signs itself.
func clientPair(t *testing.T) (certificate, key string, parsed *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pemFile(t, "CERTIFICATE", der), pemFile(t, "PRIVATE KEY", secret), parsed
}

func TestACollectorIsTrustedByItsAuthorityAndKnowsUsByOurCertificate(t *testing.T) {
	certificate, key, parsed := clientPair(t)
	to := &pretendCollector{}
	server := httptest.NewUnstartedServer(to)
	server.Config.ErrorLog = quiet()
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	server.TLS.ClientCAs.AddCert(parsed)
	server.StartTLS()
	defer server.Close()
	authority := pemFile(t, "CERTIFICATE", server.Certificate().Raw)
	for _, tt := range []struct {
		name      string
		variables []string
		taken     bool
	}{
		{"both", []string{"CERTIFICATE", authority, "CLIENT_CERTIFICATE", certificate, "CLIENT_KEY", key}, true},
		{"the variables of traces", []string{"CERTIFICATE", certificate, "TRACES_CERTIFICATE", authority, "TRACES_CLIENT_CERTIFICATE", certificate, "TRACES_CLIENT_KEY", key}, true},
		{"another authority", []string{"CERTIFICATE", certificate, "CLIENT_CERTIFICATE", certificate, "CLIENT_KEY", key}, false},
		{"no certificate of ours", []string{"CERTIFICATE", authority}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := collectorOf(t, append(tt.variables, "ENDPOINT", server.URL)...)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := c.encode(oneSpan)
			if _, err := c.send(t.Context(), body); (err == nil) != tt.taken {
				t.Errorf("got %v", err)
			}
		})
	}
}
