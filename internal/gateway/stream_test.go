package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
)

// upgrades switches to protocol and echoes what comes then.
func upgrades(protocol string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSet-Cookie: a=b\r\nX-Asked: %s\r\n\r\n", protocol, r.Header.Get("Upgrade"))
		_ = buffered.Flush()
		_, _ = io.Copy(conn, buffered)
	})
}

const upgradeRequest = "GET /proxy/acme/ws HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Version: 13\r\n\r\n"

func TestProxyEchoesAWebSocket(t *testing.T) {
	p := (&proxied{system: upgrades("WebSocket")}).start(t)
	conn, r := p.raw(t, fmt.Sprintf(upgradeRequest, "websocket")+"early")
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "websocket" || res.Header.Get("X-Asked") != "websocket" || res.Header.Get("Set-Cookie") != "" {
		t.Fatalf("got %v %v, want 101 without a cookie", res, err)
	}
	expect(t, r, "early")
	for range 3 {
		_, _ = io.WriteString(conn, "ping")
		expect(t, r, "ping")
	}
	_ = conn.Close()
	if err := p.gateway.Close(t.Context()); err != nil {
		t.Errorf("the connection's end did not end the request: %v", err)
	}
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q %v, want %q", got, err, want)
	}
}

func TestProxyEndsAWebSocketWhenTheSystemDoes(t *testing.T) {
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbye")
		_ = conn.Close()
	})}).start(t)
	conn, r := p.raw(t, fmt.Sprintf(upgradeRequest, "websocket"))
	if _, err := http.ReadResponse(r, nil); err != nil {
		t.Fatal(err)
	}
	expect(t, r, "bye")
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
	_ = conn.Close()
}

func TestProxyOnlySwitchesToWhatWasAskedFor(t *testing.T) {
	for _, tt := range []struct{ asked, system string }{{"websocket", "h2c"}, {"h2c", "h2c"}, {"none", "websocket"}} {
		p := (&proxied{system: upgrades(tt.system)}).start(t)
		_, r := p.raw(t, fmt.Sprintf(upgradeRequest, tt.asked))
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != 400 || code(string(body)) != "bad-upgrade" {
			t.Errorf("asked for %s, got %s: answered %d %s, want bad-upgrade", tt.asked, tt.system, res.StatusCode, body)
		}
	}
}

func TestProxyPassesEventsWhenTheyCome(t *testing.T) {
	next := make(chan struct{})
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for range next {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	})}).start(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.front.URL+"/proxy/acme/", nil)
	res, err := http.DefaultTransport.RoundTrip(req) // the headers come before any event
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		next <- struct{}{}
		expect(t, res.Body, "data: x\n\n")
	}
	close(next)
	if rest, err := io.ReadAll(res.Body); len(rest) != 0 || err != nil {
		t.Errorf("got %q %v, want the end", rest, err)
	}
}

func TestProxyAnswersWhileTheBodyStillComes(t *testing.T) {
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(flushing{w}, r.Body)
	})}).start(t)
	conn, r := p.raw(t, "POST /proxy/acme/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"one", "two"} {
		_, _ = fmt.Fprintf(conn, "3\r\n%s\r\n", word)
		expect(t, res.Body, word)
	}
	_, _ = io.WriteString(conn, "0\r\n\r\n")
	if rest, err := io.ReadAll(res.Body); len(rest) != 0 || err != nil {
		t.Errorf("got %q %v, want the end", rest, err)
	}
}

type flushing struct{ http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	_ = http.NewResponseController(f.ResponseWriter).Flush()
	return n, err
}

func TestProxyAsksForABodyOnlyWhenTheSystemDoes(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	const head = "POST /proxy/acme/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n"
	conn, r := p.raw(t, head)
	if line, err := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q %v, want 100", line, err)
	}
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(conn, strings.Repeat("x", 1000000))
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 200 {
		t.Errorf("got %v %v, want 200", res, err)
	}
	p.login.Revoke() // refused before the body: it can still be sent, however large it is
	conn, r = p.raw(t, head)
	if line, err := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("after a refusal: got %q %v, want 100", line, err)
	}
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(conn, strings.Repeat("x", 1000000))
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 200 || p.login.Requests() != 2 {
		t.Errorf("after a refusal: got %v %v after %d logins, want 200 after 2", res, err, p.login.Requests())
	}
}

// zeros is a body of so many bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }

func TestProxyStreamsAGibibyteInConstantMemory(t *testing.T) {
	const size = int64(streamed)
	var peak atomic.Uint64
	measure := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak.Store(max(peak.Load(), m.HeapAlloc))
	}
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		measure()
		w.Header().Set("X-Got", fmt.Sprint(n))
		_, _ = io.CopyN(w, zeroReader{}, size)
	})}).start(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, p.front.URL+"/proxy/acme/", io.NopCloser(zeros(size)))
	req.ContentLength = size
	measure()
	before := peak.Load()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	half, err := io.CopyN(io.Discard, res.Body, size/2)
	measure()
	rest, err2 := io.Copy(io.Discard, res.Body)
	if got := half + rest; got != size || err != nil || err2 != nil || res.Header.Get("X-Got") != fmt.Sprint(size) {
		t.Errorf("got %d bytes down (%v, %v) and %s up, want %d", got, err, err2, res.Header.Get("X-Got"), size)
	}
	if grown := int64(peak.Load()) - int64(before); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes for %d, want a constant", grown, size)
	}
}

// overHTTP2 has the system speak HTTP/2.
func (p *proxied) overHTTP2() *proxied {
	p.options.Base = auth.NewBase()
	p.serve = func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		p.options.Base.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return p
}

func TestProxyReachesAnHTTP2System(t *testing.T) {
	var proto atomic.Value
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto.Store(r.Proto)
		w.Header().Set("Trailer", "X-End")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-End", "yes")
	})}).overHTTP2()
	p.start(t)
	for range 2 {
		p.login.Revoke()
		res, body := p.do(t, http.MethodPost, "/x", "hello", nil)
		if res.StatusCode != 200 || body != "hello" || proto.Load() != "HTTP/2.0" || res.Trailer.Get("X-End") != "yes" {
			t.Errorf("got %d %q over %v with trailers %v, want hello over HTTP/2 and X-End", res.StatusCode, body, proto.Load(), res.Trailer)
		}
	}
}

func TestProxyBreaksOffWhenTheAnswerBreaks(t *testing.T) {
	for _, length := range []string{"", "Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"} {
		p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+length+"\r\n")
			if strings.HasPrefix(length, "T") {
				_, _ = io.WriteString(conn, "5\r\n")
			}
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		})}).start(t)
		_, r := p.raw(t, "GET /proxy/acme/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			if length == "" || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: got %v", length, err)
			}
			continue
		}
		_, err = io.ReadAll(res.Body)
		if whole := length == ""; whole != (err == nil) { // only without a length is the close the end
			t.Errorf("%q: reading ended with %v, want an error unless the close is the end", length, err)
		}
	}
}

func TestProxyLetsASystemGoWhoseCallerHasGone(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	p := (&proxied{system: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})}).start(t)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.front.URL+"/proxy/acme/", nil)
	go func() { <-arrived; cancel() }()
	if _, err := http.DefaultTransport.RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	<-left
}

func TestProxyEndsWaitingForASystemThatNeverAnswers(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		release := make(chan struct{})
		p := &proxied{auth: fixed("header.headers.X-Api-Key", "{token}"), system: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })}
		p.options.Base = auth.NewBase()
		if protocol == "HTTP/2" {
			p.overHTTP2()
		}
		p.options.Base.ResponseHeaderTimeout = 50 * time.Millisecond
		p.start(t)
		if res, body := p.do(t, http.MethodPost, "/", "x", nil); res.StatusCode != 504 || code(body) != "upstream-timeout" {
			t.Errorf("%s: got %d %s, want upstream-timeout", protocol, res.StatusCode, body)
		}
		close(release)
	}
}

func TestProxyDoesNotPassEarlyHintsOn(t *testing.T) {
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Set-Cookie")
		_, _ = io.WriteString(w, "done")
	})}).start(t)
	_, r := p.raw(t, "GET /proxy/acme/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	got, _ := io.ReadAll(bufio.NewReader(r))
	if !strings.HasPrefix(string(got), "HTTP/1.1 200") || strings.Contains(string(got), "Cookie") || strings.Count(string(got), "X-Request-Id") != 1 {
		t.Errorf("got %q, want the answer alone", got)
	}
}

func TestProxyServesHTTP2Callers(t *testing.T) {
	p := (&proxied{system: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Sum", r.Trailer.Get("X-Count"))
	})}).start(t)
	front := httptest.NewUnstartedServer(p.gateway)
	front.EnableHTTP2 = true
	front.StartTLS()
	defer front.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/proxy/acme/", io.NopCloser(strings.NewReader("hi")))
	req.Trailer = http.Header{"X-Count": {"2"}}
	res, err := front.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if res.Proto != "HTTP/2.0" || string(body) != "hi" || err != nil || res.Trailer.Get("X-Sum") != "2" {
		t.Errorf("got %s %q %v with trailers %v, want hi and X-Sum over HTTP/2", res.Proto, body, err, res.Trailer)
	}
}

func TestProxySendsTheRestOfABodyThatWasRefusedEarly(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	p.do(t, http.MethodGet, "/", "", nil)
	p.login.Revoke()
	p.login.Set(authtest.Script{Delay: time.Millisecond})
	conn, r := p.raw(t, "POST /proxy/acme/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhello")
	go func() {
		for p.login.Refusals() == 0 {
			runtime.Gosched()
		}
		_, _ = io.WriteString(conn, "world")
	}()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	// Whether the first attempt was still reading is a matter of luck; neither outcome loses a byte.
	if got := string(body); res.StatusCode == 200 && !strings.HasSuffix(got, "\nhelloworld") || res.StatusCode != 200 && code(got) != "upstream-auth-refused" {
		t.Errorf("got %d %s, want the whole body, or that it cannot be sent again", res.StatusCode, got)
	}
}

func TestProxyNamesTheTokenThatWentOut(t *testing.T) {
	p := (&proxied{system: echo}).start(t)
	named := func() string {
		x := p.gateway.begin(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/proxy/acme/x", nil))
		x.served = p.gateway.hold()
		defer x.access.RUnlock()
		x.serveProxy(x.request, "")
		return x.token
	}
	first, same := named(), named()
	p.login.Revoke()
	named()
	if next := named(); first == "" || same != first || next == first || next == "" || strings.Contains(strings.Join(p.login.Issued(), " "), first) {
		t.Errorf("got %q, %q, then %q: want one name for each token, and not the token", first, same, next)
	}
}
