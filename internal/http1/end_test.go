package http1_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestInformationalAnswersAreSkipped(t *testing.T) {
	o := serve(t, answering(func(*peer, int, *http.Request) string {
		return "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + hello
	}))
	tr, d := over(t, nil)
	for range 3 {
		res, err := tr.RoundTrip(request(t, "GET", o.url()))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || string(b) != "hello" || err != nil || res.Header.Get("Link") != "" {
			t.Errorf("got %d %v %q, %v", res.StatusCode, res.Header, b, err)
		}
	}
	d.want(t, 1, 0)
}

func TestAnswersThatNeverBeginAreAnError(t *testing.T) {
	for _, c := range []struct {
		name, flood string
		limit       int64
	}{
		{"informational, default limit", "HTTP/1.1 100 Continue\r\n\r\n", 0},
		{"informational", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 2000},
		{"one line", strings.Repeat("a", 1000), 2000},
		{"one line, default limit", strings.Repeat("a", 100_000), 0},
		{"header lines", "X-Header: 0123456789\r\n", 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := serve(t, func(p *peer) {
				p.next()
				if !strings.HasPrefix(c.flood, "HTTP/") {
					p.say("HTTP/1.1 200 OK\r\nX: ")
				}
				for {
					if _, err := io.WriteString(p, strings.Repeat(c.flood, 10)); err != nil {
						return
					}
				}
			})
			tr, d := over(t, func(b *http.Transport) { b.MaxResponseHeaderBytes = c.limit })
			_, err := get(t, tr, o.url())
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want an error that names the limit", err)
			}
			d.want(t, 1, 0)
		})
	}
}

func TestTheLimitOfHeadersCountsEachAnswerAnew(t *testing.T) {
	const limit = 2000
	body := strings.Repeat("b", 100_000)
	o := serve(t, answering(func(*peer, int, *http.Request) string {
		return "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", limit*3/4) + "\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
	}))
	tr, d := over(t, func(b *http.Transport) { b.MaxResponseHeaderBytes = limit })
	for range 5 {
		wantBody(t, tr, o.url(), body)
	}
	d.want(t, 1, 0)
}

func TestHeadersOverTheLimitAreAnErrorOnAReusedConnectionToo(t *testing.T) {
	o := serve(t, answering(func(p *peer, n int, _ *http.Request) string {
		if n == 1 {
			return hello
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n"
	}))
	tr, d := over(t, func(b *http.Transport) { b.MaxResponseHeaderBytes = 2000 })
	wantBody(t, tr, o.url(), "hello")
	if _, err := get(t, tr, o.url()); err == nil {
		t.Error("no error")
	}
	d.want(t, 1, 0)
	if n := o.sent.Load(); n != 2 {
		t.Errorf("%d requests arrived, want 2", n)
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func TestAHeaderThatNeverComesIsATimeout(t *testing.T) {
	for _, c := range []struct{ name, trickle string }{
		{"silence", ""},
		{"header lines", "X: y\r\n"},
		{"informational", "HTTP/1.1 100 Continue\r\n\r\n"},
	} {
		for _, reused := range []bool{true, false} {
			t.Run(c.name, func(t *testing.T) {
				o := serve(t, func(p *peer) {
					if reused {
						p.next()
						p.say(hello)
					}
					p.next()
					if c.trickle == "" {
						p.hold()
						return
					}
					if !strings.HasPrefix(c.trickle, "HTTP/") {
						p.say("HTTP/1.1 200 OK\r\n")
					}
					tick := time.NewTicker(20 * time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-tick.C:
						case <-p.over:
							return
						}
						if _, err := io.WriteString(p, c.trickle); err != nil {
							return
						}
					}
				})
				tr, d := over(t, func(b *http.Transport) { b.ResponseHeaderTimeout = 200 * time.Millisecond })
				sent := int64(1)
				if reused {
					wantBody(t, tr, o.url(), "hello")
					sent = 2
				}
				begin := time.Now()
				req, _ := http.NewRequest("GET", o.url(), nil)
				_, err := do(tr, req)
				if !isTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v (%T), want a timeout that is not the context's", err, err)
				}
				if took := time.Since(begin); took > patience/2 {
					t.Errorf("took %v", took)
				}
				d.want(t, 1, 0)
				if n := o.sent.Load(); n != sent {
					t.Errorf("%d requests arrived, want %d", n, sent)
				}
			})
		}
	}
}

func TestABodyMayTakeLongerThanItsHeader(t *testing.T) {
	o := serve(t, answering(func(p *peer, n int, _ *http.Request) string {
		p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		if n == 1 {
			<-time.After(500 * time.Millisecond)
		}
		return "llo"
	}))
	tr, d := over(t, func(b *http.Transport) { b.ResponseHeaderTimeout = 200 * time.Millisecond })
	wantBody(t, tr, o.url(), "hello")
	wantBody(t, tr, o.url(), "hello")
	<-time.After(300 * time.Millisecond) // idle for longer, too
	wantBody(t, tr, o.url(), "hello")
	d.want(t, 1, 0)
}

func TestACancelledRequestIsNotSent(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, d := over(t, nil)
	for _, idle := range []bool{false, true} {
		if idle {
			wantBody(t, tr, o.url()+"/x", "/x")
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		before := o.sent.Load()
		_, err := tr.RoundTrip(request(t, "GET", o.url()).WithContext(ctx))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if n := o.sent.Load(); n != before {
			t.Errorf("%d requests were sent", n-before)
		}
	}
	wantBody(t, tr, o.url()+"/y", "/y")
	if n := d.direct.Load(); n > 2 {
		t.Errorf("%d connections, want at most 2", n)
	}
}

func TestCancelEndsTheDial(t *testing.T) {
	dialling := make(chan struct{}, 1)
	tr, _ := over(t, func(b *http.Transport) {
		b.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			dialling <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-dialling; cancel() }()
	if _, err := tr.RoundTrip(request(t, "GET", "http://origin.test/").WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestCancelEndsTheWaitForTheHeader(t *testing.T) {
	for _, c := range []struct{ name, said string }{{"silence", ""}, {"early hints", "HTTP/1.1 103 Early Hints\r\n\r\n"}, {"half a header", "HTTP/1.1 200 OK\r\nX"}} {
		for _, reused := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				asked := make(chan struct{}, 9)
				o := serve(t, func(p *peer) {
					if p.no > 1 {
						answering(echoing)(p)
						return
					}
					if reused {
						r := p.next()
						p.say(echoing(p, 1, r))
					}
					p.next()
					p.say(c.said)
					asked <- struct{}{}
					p.hold()
				})
				tr, d := over(t, nil)
				if reused {
					wantBody(t, tr, o.url()+"/0", "/0")
				}
				ctx, cancel := context.WithCancel(context.Background())
				go func() { <-asked; cancel() }()
				if _, err := tr.RoundTrip(request(t, "GET", o.url()).WithContext(ctx)); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want context.Canceled", err)
				}
				o.wantEnded(t, 1)
				wantBody(t, tr, o.url()+"/1", "/1")
				d.want(t, 2, 0)
			})
		}
	}
}

func TestADeadlineEndsTheWaitForTheHeader(t *testing.T) {
	o := serve(t, func(p *peer) { p.next(); p.hold() })
	tr, _ := over(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := tr.RoundTrip(request(t, "GET", o.url()).WithContext(ctx))
	if !errors.Is(err, context.DeadlineExceeded) || !isTimeout(err) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	o.wantEnded(t, 1)
}

func TestCancelEndsTheSending(t *testing.T) {
	began := make(chan struct{})
	o := serve(t, func(p *peer) {
		p.Read(make([]byte, 1))
		close(began)
		<-p.over
	})
	tr, _ := over(t, nil)
	req := request(t, "GET", o.url())
	req.Header.Set("X", strings.Repeat("x", 32<<20))
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-began; cancel() }()
	if _, err := tr.RoundTrip(req.WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestCancelEndsTheBody(t *testing.T) {
	for name, header := range map[string]string{
		"length":    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
		"chunked":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
		"no length": "HTTP/1.1 200 OK\r\n\r\nhe",
	} {
		t.Run(name, func(t *testing.T) {
			o := serve(t, func(p *peer) {
				r := p.next()
				if r.URL.Path == "/slow" {
					p.say(header)
				} else {
					p.say(echoing(p, 1, r))
				}
				p.hold()
			})
			tr, d := over(t, nil)
			ctx, cancel := context.WithCancel(context.Background())
			res, err := tr.RoundTrip(request(t, "GET", o.url()+"/slow").WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			io.ReadFull(res.Body, make([]byte, 2))
			ended := make(chan error, 1)
			go func() {
				_, err := res.Body.Read(make([]byte, 8))
				ended <- err
			}()
			cancel()
			err = wait(t, ended, "end of Read")
			if err == nil || err == io.EOF {
				t.Errorf("Read ended with %v, want an error", err)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Read ended with %v; net/http says context.Canceled", err)
			}
			if n, err := res.Body.Read(make([]byte, 8)); n > 0 || err == nil || err == io.EOF {
				t.Errorf("the next Read gave %d, %v, want an error", n, err)
			}
			res.Body.Close()
			o.wantEnded(t, 1)
			wantBody(t, tr, o.url()+"/1", "/1")
			d.want(t, 2, 0)
		})
	}
}

// A caller that cancels and neither reads nor closes must not keep the connection.
func TestCancelAfterTheHeaderEndsTheConnection(t *testing.T) {
	o := serve(t, func(p *peer) {
		p.next()
		p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		p.hold()
	})
	tr, _ := over(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	res, err := tr.RoundTrip(request(t, "GET", o.url()).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	o.wantEnded(t, 1)
	res.Body.Close()
}

func TestCancelAtTheEndDisturbsNobody(t *testing.T) {
	answer := func(p *peer, n int, r *http.Request) string {
		if strings.HasPrefix(r.URL.Path, "/chunked") {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
		}
		if strings.HasPrefix(r.URL.Path, "/none") {
			return "HTTP/1.1 204 No Content\r\n\r\n"
		}
		return echoing(p, n, r)
	}
	for name, part := range map[string]func(ctx context.Context, cancel func(), tr http.RoundTripper, req *http.Request){
		"while it is read": func(ctx context.Context, cancel func(), tr http.RoundTripper, req *http.Request) {
			if res, err := tr.RoundTrip(req); err == nil {
				go cancel()
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		},
		"when it was read": func(ctx context.Context, cancel func(), tr http.RoundTripper, req *http.Request) {
			if res, err := tr.RoundTrip(req); err == nil {
				io.Copy(io.Discard, res.Body)
				go cancel()
				res.Body.Close()
			}
		},
		"as net/http's callers do": func(ctx context.Context, cancel func(), tr http.RoundTripper, req *http.Request) {
			defer cancel()
			if res, err := tr.RoundTrip(req); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		},
		"while it is waited for": func(ctx context.Context, cancel func(), tr http.RoundTripper, req *http.Request) {
			go cancel()
			if res, err := tr.RoundTrip(req); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := serve(t, answering(answer))
			tr, _ := over(t, nil)
			var wg sync.WaitGroup
			for w := range 2 {
				wg.Go(func() {
					for i := range 1500 {
						path := [...]string{"/length", "/chunked", "/none"}[i%3]
						ctx, cancel := context.WithCancel(context.Background())
						req, _ := http.NewRequestWithContext(ctx, "GET", o.url()+path, nil)
						part(ctx, cancel, tr, req)
						want := "/next" + itoa(w) + "-" + itoa(i)
						next, _ := http.NewRequest("GET", o.url()+want, nil)
						if got, err := do(tr, next); got != want || err != nil {
							t.Errorf("the next request got %q, %v, want %q", got, err, want)
							cancel()
							return
						}
						cancel()
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestADeadlineAtTheEndDisturbsNobody(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, _ := over(t, nil)
	for i := range 2000 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%200)*time.Microsecond)
		req, _ := http.NewRequestWithContext(ctx, "GET", o.url()+"/x", nil)
		if got, err := do(tr, req); err == nil && got != "/x" {
			t.Fatalf("got %q", got)
		} else if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want context.DeadlineExceeded", err)
		}
		cancel()
		want := "/next" + itoa(i)
		next, _ := http.NewRequest("GET", o.url()+want, nil)
		if got, err := do(tr, next); got != want || err != nil {
			t.Fatalf("the next request got %q, %v, want %q", got, err, want)
		}
	}
}

func TestTheTimeoutOfAClientWorks(t *testing.T) {
	o := serve(t, func(p *peer) {
		p.next()
		p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		p.hold()
	})
	tr, _ := over(t, nil)
	client := &http.Client{Transport: tr, Timeout: 200 * time.Millisecond}
	res, err := client.Get(o.url())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if !bytes.Equal(b, []byte("he")) || !isTimeout(err) {
		t.Errorf("got %q, %v, want a timeout", b, err)
	}
	o.wantEnded(t, 1)
}
