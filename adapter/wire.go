package adapter

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/keyhitch/keyhitch/auth"
)

// tuned returns base as the system wants to be reached: its own TLS settings, and how long an
// answer may take to begin.
func tuned(base *http.Transport, s *auth.System) (*http.Transport, error) {
	config, err := tlsConfig(s)
	if err != nil {
		return nil, err
	}
	if config == nil && s.Timeout == 0 {
		return base, nil
	}
	base = base.Clone()
	if config != nil {
		base.TLSClientConfig = config
	}
	if s.Timeout > 0 {
		base.ResponseHeaderTimeout = s.Timeout
	}
	return base, nil
}

// tlsConfig is nil where the usual settings do.
func tlsConfig(s *auth.System) (*tls.Config, error) {
	if !s.InsecureSkipVerify && s.Certificate.IsZero() && s.PrivateKey.IsZero() && s.Authority.IsZero() {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.InsecureSkipVerify}
	if !s.Certificate.IsZero() || !s.PrivateKey.IsZero() {
		pair, err := tls.X509KeyPair([]byte(s.Certificate.Reveal()), []byte(s.PrivateKey.Reveal()))
		if err != nil {
			return nil, fmt.Errorf("the client certificate and its key do not fit together: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if !s.Authority.IsZero() {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(s.Authority.Reveal())) {
			return nil, errors.New("the authority's certificate is no PEM certificate")
		}
	}
	return config, nil
}

// limited lets so many calls run at the same time; a call runs until its answer is read or
// closed. Who has to wait waits under his own context.
type limited struct {
	http.RoundTripper
	slots chan struct{}
}

// RoundTrip sends req when there is room.
func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case l.slots <- struct{}{}:
	case <-req.Context().Done():
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("waiting for one of %d calls to end: %w", cap(l.slots), req.Context().Err())
	}
	release := sync.OnceFunc(func() { <-l.slots })
	res, err := l.RoundTripper.RoundTrip(req)
	if err != nil || res.StatusCode == http.StatusSwitchingProtocols {
		release()
		return res, err
	}
	res.Body = &counted{res.Body, release}
	return res, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (l limited) CloseIdleConnections() {
	if c, ok := l.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// counted is an answer's body that frees its call's place.
type counted struct {
	io.ReadCloser
	release func()
}

// Read reads; the end of the answer is the end of the call.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil {
		c.release()
	}
	return n, err
}

// Close closes the body.
func (c *counted) Close() error {
	c.release()
	return c.ReadCloser.Close()
}
