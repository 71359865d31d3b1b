package main

import (
	"crypto/tls"
	"crypto/x509"
	"sync/atomic"

	"github.com/keyhitch/keyhitch/internal/project"
)

// certificate is what the public listener shows, and whom it lets in.
type certificate struct{ config *tls.Config }

// readCertificate is nil where the listener speaks plain HTTP.
func readCertificate(t project.TLS, read func(string) ([]byte, error)) (*certificate, error) {
	if t.Certificate == "" || t.Key == "" {
		return nil, nil
	}
	chain, err := read(t.Certificate)
	if err != nil {
		return nil, unusable(t.Certificate, "the certificate cannot be read: %v", plainPath(err))
	}
	key, err := read(t.Key)
	if err != nil {
		return nil, unusable(t.Key, "the certificate's key cannot be read: %v", plainPath(err))
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, unusable(t.Certificate, "the certificate and %s do not fit together: %v", t.Key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if t.ClientAuthority == "" {
		return &certificate{config}, nil
	}
	authority, err := read(t.ClientAuthority)
	if err != nil {
		return nil, unusable(t.ClientAuthority, "the clients' authority cannot be read: %v", plainPath(err))
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven // keys and tokens still do without
	if !config.ClientCAs.AppendCertsFromPEM(authority) {
		return nil, unusable(t.ClientAuthority, "is no PEM certificate")
	}
	return &certificate{config}, nil
}

// certificates hands the newest certificate to each new connection.
type certificates struct{ now atomic.Pointer[certificate] }

func (c *certificates) set(next *certificate) {
	if next != nil {
		c.now.Store(next)
	}
}

// config is the listener's; each handshake takes what was loaded last.
func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.now.Load().config, nil }}
}
