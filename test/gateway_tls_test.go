package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issue makes a certificate for loopback, signed by itself: PEM of certificate and key.
func issue(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// shake makes a call over a new connection; show is the client's certificate, if any.
func shake(t *testing.T, url string, show ...tls.Certificate) (server, protocol, body string) {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, Certificates: show} // the test looks at the name itself
	through := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	res, err := through.Get(url + "/proxy/acme/things/1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.TLS.PeerCertificates[0].Subject.CommonName, res.Proto, string(text)
}

func TestCertificatesOfBothSidesAndTheirReload(t *testing.T) {
	s := newSystem(t)
	section := strings.Replace(callers("tls: {certificate: cert.pem, key: key.pem, client_authority: clients.pem}"), "callers: [",
		"callers: [{name: badge, certificate: reports.example, allow: [\"acme/*\"]}, ", 1)
	file := project(t, s.home(t), section)
	dir := filepath.Dir(file)
	put := func(name string) {
		certificate, key := issue(t, name)
		write(t, dir, "cert.pem", certificate)
		write(t, dir, "key.pem", key)
	}
	put("first")
	badge, badgeKey := issue(t, "reports.example")
	write(t, dir, "clients.pem", badge)
	mine, err := tls.X509KeyPair([]byte(badge), []byte(badgeKey))
	if err != nil {
		t.Fatal(err)
	}
	d := serve(t, nil, file)
	if name, protocol, body := shake(t, d.url, mine); name != "first" || protocol != "HTTP/2.0" || body != `{"id":1}` {
		t.Errorf("got %s over %s and %s, want the first certificate, HTTP/2 and the answer", name, protocol, body)
	}
	if _, _, body := shake(t, d.url); !strings.Contains(body, "no-caller") {
		t.Errorf("got %s without a client's certificate, want no-caller", body)
	}
	write(t, dir, "cert.pem", "torn")
	d.says(t, "not reloaded, everything is as before: "+filepath.Join(dir, "cert.pem")+": the certificate and ")
	if name, _, _ := shake(t, d.url, mine); name != "first" {
		t.Errorf("got %s after a bad certificate, want the first as before", name)
	}
	d.forget()
	put("second")
	d.says(t, `"msg":"reloaded: 1 adapter"`)
	if name, _, body := shake(t, d.url, mine); name != "second" || body != `{"id":1}` {
		t.Errorf("got %s and %s, want the second certificate and the answer", name, body)
	}
}
