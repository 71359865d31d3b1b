package adapter_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
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
	a := timed(t, server.URL, auth.NewBase())
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
