package gateway

import (
	"bufio"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
	"github.com/keyhitch/keyhitch/internal/http1"
)

type block = map[string]any

// direct is the wire of `keyhitch serve`.
func direct(base *http.Transport) http.RoundTripper { return http1.Over(base) }

// proxied is a gateway with the adapter acme before a system and an authorization server.
type proxied struct {
	system  http.Handler           // for what has a good token
	auth    block                  // an iap authentication block; nil: tokens of the authorization server, Bearer
	path    string                 // of the base URL, with auth nil
	set     func(*Config)          // changes the configuration
	serve   func(*httptest.Server) // changes the system's server before it starts
	patient bool                   // the system reads a body before it refuses it
	options adapter.Options        // Base is taken

	login   authtest.Server
	calls   atomic.Int64 // that reached the system, refused ones included
	behind  *httptest.Server
	front   *httptest.Server
	gateway *Gateway
}

// start starts all three.
func (p *proxied) start(t testing.TB) *proxied {
	t.Helper()
	p.behind = httptest.NewUnstartedServer(http.HandlerFunc(p.answer))
	p.behind.Config.ErrorLog = quiet()
	if p.serve != nil {
		p.serve(p.behind)
	} else {
		p.behind.Start()
	}
	t.Cleanup(p.behind.Close)
	config := Config{Adapters: map[string]*adapter.Adapter{"acme": p.open(t)}}
	if p.set != nil {
		p.set(&config)
	}
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	var err error
	p.gateway, err = New(Options{Log: logger, Load: func() (Config, error) { return config, nil }})
	if err != nil {
		t.Fatal(err)
	}
	p.front = httptest.NewUnstartedServer(p.gateway)
	p.front.Config.ErrorLog = quiet()
	p.front.Start()
	t.Cleanup(p.front.Close)
	return p
}

// answer is the system: /token, or what needs a token.
func (p *proxied) answer(w http.ResponseWriter, r *http.Request) {
	if p.auth == nil && r.URL.Path == "/token" {
		p.login.ServeHTTP(w, r)
		return
	}
	p.calls.Add(1)
	if p.auth == nil {
		probe := httptest.NewRecorder()
		p.login.ServeHTTP(probe, &http.Request{Method: http.MethodGet, URL: r.URL, Header: r.Header})
		if probe.Code != http.StatusOK {
			if p.patient {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "refused", http.StatusUnauthorized)
			return
		}
	}
	if p.system != nil {
		p.system.ServeHTTP(w, r)
	}
}

// open opens the adapter.
func (p *proxied) open(t testing.TB) *adapter.Adapter {
	t.Helper()
	o := p.options
	o.Name, o.Wire = "acme", direct
	if p.auth != nil {
		u, _ := url.Parse(p.behind.URL)
		o.Dialect = iap.Dialect{}
		o.Instance = adapter.File{Name: "acme.json", Data: text(block{"host": u.Hostname(), "port": json.Number(u.Port()),
			"protocol": u.Scheme, "authentication": p.auth})}
	} else {
		o.Dialect = port.Dialect{}
		o.Instance = adapter.File{Name: "acme.json", Data: text(block{"baseUrl": p.behind.URL + p.path, "authType": "custom",
			"customAuthRequest": block{"endpoint": p.behind.URL + "/token", "method": "POST", "bodyForm": "grant_type=client_credentials",
				"headers": block{"Content-Type": "application/x-www-form-urlencoded"}, "reauthenticateIntervalSeconds": 3600},
			"customAuthRequestTemplate": block{"headers": block{"Authorization": "Bearer {{.access_token}}"}}})}
	}
	a, err := adapter.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func text(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// fixed is an iap authentication block with a static token in a place.
func fixed(place, format string) block {
	return block{"auth_method": "static_token", "token": "sesame-4711", "auth_field": place, "auth_field_format": format}
}

// do sends a request to acme through the gateway and reads the answer.
func (p *proxied) do(t testing.TB, method, path, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.front.URL+"/proxy/acme"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(data)
}

// raw sends bytes to the gateway's server and returns the connection.
func (p *proxied) raw(t testing.TB, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", p.front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// code is the code of a problem.
func code(body string) string {
	var p problem
	_ = json.Unmarshal([]byte(body), &p)
	return p.Code
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
