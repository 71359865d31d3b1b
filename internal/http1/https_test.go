package http1_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// certificate makes one that signs itself, for the names.
func certificate(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// hellos records what clients offered.
type hellos struct {
	mu   sync.Mutex
	seen []*tls.ClientHelloInfo
}

func (h *hellos) add(i *tls.ClientHelloInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, i)
}

func (h *hellos) last() *tls.ClientHelloInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[len(h.seen)-1]
}

// serveTLS is serve behind TLS; config, if any, changes the server's configuration first.
func serveTLS(t *testing.T, config func(*tls.Config), talk func(*peer)) (*origin, *x509.CertPool, *hellos) {
	t.Helper()
	cert, pool := certificate(t, "origin.test")
	seen := new(hellos)
	conf := &tls.Config{
		Certificates:       []tls.Certificate{cert},
		NextProtos:         []string{"http/1.1"},
		GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) { seen.add(i); return nil, nil },
	}
	if config != nil {
		config(conf)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, tls.NewListener(corking{ln}, conf), talk), pool, seen
}

// corking is a listener whose connections can hold back what is written, to send it in one piece.
type corking struct{ net.Listener }

func (l corking) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &corked{TCPConn: c.(*net.TCPConn)}, nil
}

type corked struct {
	*net.TCPConn
	held *bytes.Buffer // nil: nothing is held back
}

func (c *corked) Write(b []byte) (int, error) {
	if c.held != nil {
		return c.held.Write(b)
	}
	return c.TCPConn.Write(b)
}

// sayAtOnce says each part in TLS records of its own, and all in one piece.
func (p *peer) sayAtOnce(parts ...string) {
	c := p.Conn.(*tls.Conn).NetConn().(*corked)
	c.held = new(bytes.Buffer)
	for _, part := range parts {
		p.say(part)
	}
	c.TCPConn.Write(c.held.Bytes())
	c.held = nil
}

func TestHTTPSGoesDirectOnceItsOriginIsKnown(t *testing.T) {
	for name, protos := range map[string][]string{"ALPN": {"http/1.1"}, "no ALPN": nil} {
		t.Run(name, func(t *testing.T) {
			o, pool, seen := serveTLS(t, func(c *tls.Config) { c.NextProtos = protos }, answering(echoing))
			var conf *tls.Config
			tr, d := over(t, func(b *http.Transport) {
				conf = &tls.Config{RootCAs: pool}
				b.TLSClientConfig, b.ForceAttemptHTTP2 = conf, true
			})
			d.to = o.addr
			wantBody(t, tr, "https://origin.test/1", "/1")
			d.want(t, 0, 1)
			for i := range 50 {
				path := "/" + itoa(i)
				res, err := tr.RoundTrip(request(t, "GET", "https://origin.test"+path))
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if string(b) != path || err != nil {
					t.Fatalf("got %q, %v", b, err)
				}
				if res.TLS == nil || !res.TLS.HandshakeComplete || len(res.TLS.VerifiedChains) == 0 || res.TLS.ServerName != "origin.test" {
					t.Fatalf("res.TLS is %+v", res.TLS)
				}
			}
			d.want(t, 1, 1)
			hello := seen.last()
			if !slices.Equal(hello.SupportedProtos, []string{"http/1.1"}) || hello.ServerName != "origin.test" {
				t.Errorf("offered %q to %q, want http/1.1 to origin.test", hello.SupportedProtos, hello.ServerName)
			}
			if conf.ServerName != "" {
				t.Error("base's TLSClientConfig was changed")
			}
			if got := strings.Join(d.addrs, ","); got != "tcp origin.test:443,tcp origin.test:443" {
				t.Errorf("dialled %q", got)
			}
		})
	}
}

func TestHTTPSLeavesNoGoroutine(t *testing.T) {
	o, pool, _ := serveTLS(t, nil, answering(echoing))
	tr, d := over(t, func(b *http.Transport) { b.TLSClientConfig = &tls.Config{RootCAs: pool} })
	d.to = o.addr
	wantBody(t, tr, "https://origin.test/1", "/1")
	wantBody(t, tr, "https://origin.test/2", "/2")
	tr.CloseIdleConnections()
	o.wantEnded(t, 2)
	wantNoTransportGoroutines(t)
	wantBody(t, tr, "https://origin.test/3", "/3")
	if n := transportGoroutines(); n > 0 {
		t.Errorf("%d goroutines, want none", n)
	}
	d.want(t, 2, 1)
}

func TestAnHTTP2OriginStaysWithBase(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	tr, d := over(t, func(b *http.Transport) {
		pool := x509.NewCertPool()
		pool.AddCert(srv.Certificate())
		b.TLSClientConfig, b.ForceAttemptHTTP2 = &tls.Config{RootCAs: pool}, true
	})
	for range 3 {
		wantBody(t, tr, srv.URL, "HTTP/2.0")
	}
	d.want(t, 0, 1)
	tr.CloseIdleConnections()
}

func TestAWrongCertificateIsAnError(t *testing.T) {
	good, pool := certificate(t, "origin.test")
	unknown, _ := certificate(t, "origin.test")
	otherName, _ := certificate(t, "other.test")
	pool.AddCert(otherName.Leaf)
	for name, bad := range map[string]tls.Certificate{"unknown authority": unknown, "other name": otherName} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			serving := good
			o, _, _ := serveTLS(t, func(c *tls.Config) {
				c.Certificates = nil
				c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
					mu.Lock()
					defer mu.Unlock()
					return &serving, nil
				}
			}, answering(echoing))
			tr, d := over(t, func(b *http.Transport) { b.TLSClientConfig = &tls.Config{RootCAs: pool} })
			d.to = o.addr
			wantBody(t, tr, "https://origin.test/1", "/1")
			mu.Lock()
			serving = bad
			mu.Unlock()
			_, err := get(t, tr, "https://origin.test/2")
			var refused *tls.CertificateVerificationError
			if !errors.As(err, &refused) {
				t.Errorf("got %v (%T), want a *tls.CertificateVerificationError", err, err)
			}
			if n := o.sent.Load(); n != 1 {
				t.Errorf("%d requests arrived, want 1", n)
			}
			if d.direct.Load() == 0 {
				t.Error("the second request did not go direct")
			}
		})
	}
}

func TestTLSClientConfigIsUsed(t *testing.T) {
	mine, minePool := certificate(t, "client.test")
	o, pool, seen := serveTLS(t, func(c *tls.Config) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, minePool
	}, answering(echoing))
	tr, d := over(t, func(b *http.Transport) {
		b.TLSClientConfig = &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{mine}, ServerName: "origin.test", MinVersion: tls.VersionTLS13}
	})
	d.to = o.addr
	for range 3 {
		wantBody(t, tr, "https://alias.test/x", "/x")
	}
	d.want(t, 1, 1)
	if h := seen.last(); h.ServerName != "origin.test" || slices.Contains(h.SupportedVersions, tls.VersionTLS12) {
		t.Errorf("offered %q, versions %x; want origin.test, TLS 1.3 only", h.ServerName, h.SupportedVersions)
	}
}

func TestDialingTLSIsBases(t *testing.T) {
	o, pool, _ := serveTLS(t, nil, answering(echoing))
	dialled := int64(0)
	dialTLS := func(network string) (net.Conn, error) {
		dialled++
		return tls.Dial(network, o.addr, &tls.Config{RootCAs: pool, ServerName: "origin.test"})
	}
	for name, edit := range map[string]func(*http.Transport){
		"DialTLSContext": func(b *http.Transport) {
			b.DialTLSContext = func(_ context.Context, network, _ string) (net.Conn, error) { return dialTLS(network) }
		},
		"DialTLS": func(b *http.Transport) {
			//lint:ignore SA1019 callers may still set it
			b.DialTLS = func(network, _ string) (net.Conn, error) { return dialTLS(network) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, conns := dialled, o.conns.Load()
			tr, d := over(t, edit)
			for range 3 {
				wantBody(t, tr, "https://origin.test/x", "/x")
			}
			if n := dialled - before; n == 0 || n != o.conns.Load()-conns {
				t.Errorf("%s made %d of %d connections", name, n, o.conns.Load()-conns)
			}
			d.want(t, 0, 0)
		})
	}
}

func TestAHandshakeThatNeverEndsIsATimeout(t *testing.T) {
	cert, pool := certificate(t, "origin.test")
	o := serve(t, func(p *peer) {
		if p.no > 1 {
			p.hold()
			return
		}
		c := tls.Server(p.Conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		c.Read(make([]byte, 1))
	})
	for name, c := range map[string]struct {
		limit  time.Duration
		cancel bool
		check  func(error) bool
	}{
		"TLSHandshakeTimeout": {200 * time.Millisecond, false, isTimeout},
		"context":             {0, true, func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		t.Run(name, func(t *testing.T) {
			o.conns.Store(0)
			tr, d := over(t, func(b *http.Transport) {
				b.TLSClientConfig, b.TLSHandshakeTimeout = &tls.Config{RootCAs: pool}, c.limit
			})
			d.to = o.addr
			wantBody(t, tr, "https://origin.test/", "")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if c.cancel {
				time.AfterFunc(100*time.Millisecond, cancel)
			}
			begin := time.Now()
			_, err := tr.RoundTrip(request(t, "GET", "https://origin.test/").WithContext(ctx))
			if !c.check(err) || time.Since(begin) > patience/2 {
				t.Errorf("got %v after %v", err, time.Since(begin))
			}
			d.want(t, 1, 1)
			o.wantEnded(t, 1)
		})
	}
}

// Bytes after an answer may hide in what TLS has read already: neither the socket nor a buffer
// above shows them.
func TestAStrayAnswerInsideTLSIsDropped(t *testing.T) {
	const stray = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"
	for _, size := range []int{0, 1, 100, 2000, 4096, 6000, 8000, 12000, 15000} {
		for _, how := range []string{"same record", "next record", "when idle"} {
			t.Run(how+" "+itoa(size), func(t *testing.T) {
				body := strings.Repeat("b", size)
				idle, said := make(chan struct{}), make(chan struct{})
				large := func(c *tls.Config) { c.DynamicRecordSizingDisabled = true }
				o, pool, _ := serveTLS(t, large, answering(func(p *peer, n int, r *http.Request) string {
					if p.no != 2 || n > 1 {
						return echoing(p, n, r)
					}
					answer := "HTTP/1.1 200 OK\r\nContent-Length: " + itoa(size) + "\r\n\r\n" + body
					defer close(said)
					switch how {
					case "same record":
						p.sayAtOnce(answer + stray)
					case "next record":
						p.sayAtOnce(answer, stray)
					default:
						p.say(answer)
						<-idle
						p.say(stray)
					}
					return ""
				}))
				tr, d := over(t, func(b *http.Transport) { b.TLSClientConfig = &tls.Config{RootCAs: pool} })
				d.to = o.addr
				wantBody(t, tr, "https://origin.test/0", "/0")
				res, err := tr.RoundTrip(request(t, "GET", "https://origin.test/1"))
				if err != nil {
					t.Fatal(err)
				}
				io.ReadFull(res.Body, make([]byte, size+64<<10))
				res.Body.Close()
				close(idle)
				wait(t, said, "stray answer")
				for _, path := range []string{"/2", "/3"} {
					wantBody(t, tr, "https://origin.test"+path, path)
				}
				d.want(t, 2, 1)
			})
		}
	}
}

func TestADeadIdleTLSConnectionIsReplaced(t *testing.T) {
	for name, end := range map[string]func(*tls.Conn){
		"close_notify": func(c *tls.Conn) { c.Close() },
		"half end":     func(c *tls.Conn) { c.CloseWrite() },
		"EOF":          func(c *tls.Conn) { c.NetConn().Close() },
		"reset":        func(c *tls.Conn) { c.NetConn().(*corked).SetLinger(0); c.NetConn().Close() },
	} {
		t.Run(name, func(t *testing.T) {
			idle, ended := make(chan struct{}), make(chan struct{})
			o, pool, _ := serveTLS(t, nil, func(p *peer) {
				for n := 1; ; n++ {
					r := p.next()
					if r == nil {
						return
					}
					p.say(echoing(p, n, r))
					if p.no == 2 {
						<-idle
						end(p.Conn.(*tls.Conn))
						close(ended)
						return
					}
				}
			})
			tr, d := over(t, func(b *http.Transport) { b.TLSClientConfig = &tls.Config{RootCAs: pool} })
			d.to = o.addr
			wantBody(t, tr, "https://origin.test/0", "/0")
			wantBody(t, tr, "https://origin.test/1", "/1")
			close(idle)
			wait(t, ended, name)
			wantBody(t, tr, "https://origin.test/2", "/2")
			wantBody(t, tr, "https://origin.test/3", "/3")
			d.want(t, 2, 1)
		})
	}
}

func TestCancelDuringTLSDisturbsNobody(t *testing.T) {
	o, pool, _ := serveTLS(t, nil, answering(echoing))
	tr, d := over(t, func(b *http.Transport) { b.TLSClientConfig = &tls.Config{RootCAs: pool} })
	d.to = o.addr
	wantBody(t, tr, "https://origin.test/0", "/0")
	for i := range 300 {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Duration(i)*10*time.Microsecond, cancel)
		if got, err := do(tr, request(t, "GET", "https://origin.test/x").WithContext(ctx)); err == nil && got != "/x" {
			t.Fatalf("got %q", got)
		} else if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want context.Canceled", err)
		}
		path := "/" + itoa(i)
		wantBody(t, tr, "https://origin.test"+path, path)
		cancel()
	}
}
