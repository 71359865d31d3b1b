package adapter_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
)

// pipeServer serves h over in-memory connections, so that waiting can be tested inside a
// synctest bubble; the transport reaches it whatever the address.
func pipeServer(t testing.TB, h http.Handler) *http.Transport {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 100, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		near, far := net.Pipe()
		select {
		case l.conns <- far:
			return near, nil
		case <-l.done:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return transport
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

// Accept returns the next dialled connection.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *pipeListener) Close() error {
	select {
	case <-l.done:
		return errors.New("closed twice")
	default:
		close(l.done)
		return nil
	}
}

// Addr is a name.
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
