package keyhitch_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"

	"github.com/keyhitch/keyhitch"
	"github.com/keyhitch/keyhitch/adapter"
)

// A Go program adopts one function: the client adds the credentials.
func ExampleOpen() {
	system := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		_, _ = fmt.Fprintf(w, "hello, %s", user)
	}))
	defer system.Close()
	at, err := url.Parse(system.URL)
	if err != nil {
		panic(err)
	}

	a, err := keyhitch.Open("examples/basic", adapter.Options{Set: []adapter.Assignment{
		{Path: "protocol", Value: "http"}, {Path: "host", Value: at.Hostname()}, {Path: "port", Value: at.Port()},
		{Path: "authentication.username", Value: "ann"},
	}})
	if err != nil {
		panic(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, system.URL+"/any/path", nil)
	if err != nil {
		panic(err)
	}
	res, err := a.Client().Do(req)
	if err != nil {
		panic(err)
	}
	defer func() { _ = res.Body.Close() }()
	body := make([]byte, 20)
	n, _ := res.Body.Read(body)
	_, _ = os.Stdout.Write(body[:n])
	// Output: hello, ann
}
