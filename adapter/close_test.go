package adapter_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
)

// timed opens an adapter that wants another time-out than the transport that it is lent has.
func timed(t *testing.T, at string, base *http.Transport) *adapter.Adapter {
	t.Helper()
	data, err := json.Marshal(map[string]any{"baseUrl": at, "authType": "none", "timeout": 7})
	if err != nil {
		t.Fatal(err)
	}
	a, err := adapter.Open(adapter.Options{Name: "timed", Dialect: port.Dialect{}, Base: base, Instance: adapter.File{Name: "timed.json", Data: data}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCloseClosesTheConnectionsOfItsOwnCopyOfALentTransport(t *testing.T) {
	closed := make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, now http.ConnState) {
		if now == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()
	base := auth.NewBase()
	base.IdleConnTimeout = 0 // or it would close them itself
	a := timed(t, server.URL, base)
	res, err := a.Request(t.Context(), http.MethodGet, "/x", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-closed // or the test hangs
}

// wired notes what it is asked for.
type wired struct {
	*http.Transport
	closed *atomic.Int32
}

func (w wired) CloseIdleConnections() {
	w.closed.Add(1)
	w.Transport.CloseIdleConnections()
}

func TestAWireOverALentTransportStaysOpenAndOneOverACopyDoesNot(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		dialect    auth.Dialect
		want       int32
	}{
		{"lent", `{"host":"127.0.0.1","protocol":"http","authentication":{"auth_method":"static_token","token":"pretend-token"}}`, iap.Dialect{}, 0},
		{"copy", `{"baseUrl":"http://127.0.0.1:1","authType":"none","timeout":7}`, port.Dialect{}, 1},
	} {
		var closed atomic.Int32
		a, err := adapter.Open(adapter.Options{Name: tt.name, Dialect: tt.dialect, Base: auth.NewBase(),
			Wire:     func(base *http.Transport) http.RoundTripper { return wired{base, &closed} },
			Instance: adapter.File{Name: tt.name + ".json", Data: []byte(tt.data)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := closed.Load(); got != tt.want {
			t.Errorf("%s: the wire was closed %d times, want %d", tt.name, got, tt.want)
		}
	}
}
