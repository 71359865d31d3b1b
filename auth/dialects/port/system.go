package port

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/auth"
)

// system is where the system is and how it is reached.
func (p *parser) system() *auth.System {
	c := &p.config
	s := &auth.System{
		BaseURL: p.base(), Timeout: time.Duration(c.Timeout), MaxConcurrent: int(c.MaxConcurrentRequests),
		InsecureSkipVerify: !bool(c.VerifySSL),
		Certificate:        c.ClientCertificate, PrivateKey: c.ClientPrivateKey, Authority: c.CACertificate,
	}
	if s.InsecureSkipVerify {
		p.warn("/verifySsl", "is off: whoever is on the way can read and change everything")
	}
	p.certificates()
	return s
}

// identity is one text for who we are to the system and whom we take for it: a login over one
// connection is no credential for the holder of another certificate.
func identity(s *auth.System) string {
	if !s.InsecureSkipVerify && s.Certificate.IsZero() && s.PrivateKey.IsZero() && s.Authority.IsZero() {
		return ""
	}
	h := sha256.New()
	for _, text := range []string{s.Certificate.Reveal(), s.PrivateKey.Reveal(), s.Authority.Reveal(), strconv.FormatBool(s.InsecureSkipVerify)} {
		_, _ = h.Write([]byte(strconv.Itoa(len(text)) + ":" + text))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// base is the base URL; nil when it is absent or wrong.
func (p *parser) base() *url.URL {
	if p.config.BaseURL == "" {
		return nil // the decoder has said so
	}
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(p.config.BaseURL), "/"))
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		p.problem("/baseUrl", "must be a URL with http:// or https:// and a host") // without the parser's words: they quote
	case u.User != nil:
		p.problem("/baseUrl", "holds a user name; use authType basic with username and password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		p.problem("/baseUrl", "has a query or a fragment, which no path can be joined to")
	default:
		return u
	}
	return nil
}

// certificates checks what can be checked without a connection.
func (p *parser) certificates() {
	cert, key, authority := p.config.ClientCertificate, p.config.ClientPrivateKey, p.config.CACertificate
	switch {
	case cert.IsZero() && !key.IsZero():
		p.problem("/clientCertificate", "is required with clientPrivateKey")
	case !cert.IsZero() && key.IsZero():
		p.problem("/clientPrivateKey", "is required with clientCertificate")
	case !cert.IsZero() && !unresolved(cert) && !unresolved(key):
		if _, err := tls.X509KeyPair([]byte(cert.Reveal()), []byte(key.Reveal())); err != nil {
			p.problem("/clientCertificate", "and clientPrivateKey are no pair of a certificate and its key in PEM")
		}
	}
	if !authority.IsZero() && !unresolved(authority) && !x509.NewCertPool().AppendCertsFromPEM([]byte(authority.Reveal())) {
		p.problem("/caCertificate", "holds no certificate in PEM")
	}
}

// unresolved reports whether a reference stayed in a PEM text. That is a problem already.
func unresolved(pem auth.Secret) bool { return strings.Contains(pem.Reveal(), "${") }
