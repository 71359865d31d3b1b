package http1_test

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestIdleConnectionsPerHostAreBounded(t *testing.T) {
	for _, c := range []struct{ max, kept int }{{2, 2}, {1, 1}, {0, http.DefaultMaxIdleConnsPerHost}, {-1, 0}, {5, 5}} {
		t.Run(itoa(c.max), func(t *testing.T) {
			o := serve(t, answering(echoing))
			tr, d := over(t, func(b *http.Transport) { b.MaxIdleConnsPerHost = c.max })
			idleOnes(t, tr, 5, same(o.url()+"/x"))
			o.wantEnded(t, 5-c.kept)
			idleOnes(t, tr, 5, same(o.url()+"/x"))
			d.want(t, int64(10-c.kept), 0)
		})
	}
}

func TestIdleConnectionsAreBounded(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, d := over(t, func(b *http.Transport) { b.MaxIdleConns, b.MaxIdleConnsPerHost = 2, 9 })
	d.to = o.addr
	host := func(i int) string { return "http://h" + itoa(i) + ".test/x" }
	for i := range 4 {
		wantBody(t, tr, host(i), "/x")
	}
	ended := o.wantEnded(t, 2)
	if slices.Sort(ended); !slices.Equal(ended, []int{1, 2}) {
		t.Errorf("connections %v were ended, want the two longest idle, 1 and 2", ended)
	}
	wantBody(t, tr, host(2), "/x")
	wantBody(t, tr, host(3), "/x")
	d.want(t, 4, 0)
	wantBody(t, tr, host(0), "/x") // one more, so the one idle for longest goes
	if ended := o.wantEnded(t, 1); ended[0] != 3 {
		t.Errorf("connection %d was ended, want 3", ended[0])
	}
}

// net/http uses the connection that was used last, so that the others can end.
func TestTheLastUsedConnectionIsUsedFirst(t *testing.T) {
	o := serve(t, answering(func(p *peer, _ int, _ *http.Request) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + itoa(p.no)
	}))
	tr, _ := over(t, func(b *http.Transport) { b.MaxIdleConnsPerHost = 3 })
	idleOnes(t, tr, 3, same(o.url()))
	for range 3 {
		wantBody(t, tr, o.url(), "3")
	}
}

func TestConnectionsAreNotSharedAmongHosts(t *testing.T) {
	o := serve(t, answering(func(p *peer, _ int, r *http.Request) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: " + itoa(len(r.Host)) + "\r\n\r\n" + r.Host
	}))
	tr, d := over(t, nil)
	d.to = o.addr
	for range 2 {
		for _, host := range []string{"a.test", "b.test", "a.test:81"} {
			wantBody(t, tr, "http://"+host, host)
		}
	}
	d.want(t, 3, 0)
}

func TestIdleConnectionsEndInTime(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, d := over(t, func(b *http.Transport) {
		b.IdleConnTimeout, b.MaxIdleConnsPerHost = 100*time.Millisecond, 3
	})
	begin := time.Now()
	idleOnes(t, tr, 3, same(o.url()+"/x"))
	o.wantEnded(t, 3)
	if took := time.Since(begin); took < 90*time.Millisecond {
		t.Errorf("ended after %v, want 100ms", took)
	}
	wantBody(t, tr, o.url()+"/y", "/y")
	d.want(t, 4, 0)
}

func TestABusyConnectionIsNotIdle(t *testing.T) {
	o := serve(t, answering(func(_ *peer, n int, _ *http.Request) string {
		if n > 1 {
			<-time.After(300 * time.Millisecond)
		}
		return hello
	}))
	tr, d := over(t, func(b *http.Transport) { b.IdleConnTimeout = 100 * time.Millisecond })
	wantBody(t, tr, o.url(), "hello")
	wantBody(t, tr, o.url(), "hello")
	wantBody(t, tr, o.url(), "hello")
	d.want(t, 1, 0)
}

func TestEndingIdleConnectionsDisturbsNobody(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, _ := over(t, func(b *http.Transport) { b.IdleConnTimeout = 200 * time.Microsecond })
	for i := range 2000 {
		path := "/" + itoa(i)
		wantBody(t, tr, o.url()+path, path)
		for begin := time.Now(); time.Since(begin) < time.Duration(i%300)*time.Microsecond; {
		}
	}
}

func TestCloseIdleConnectionsEndsThemAll(t *testing.T) {
	o := serve(t, answering(echoing))
	tr, d := over(t, nil)
	wantBody(t, tr, o.url()+"/x", "/x")
	if _, err := do(tr, request(t, "POST", o.url())); err != nil {
		t.Fatal(err)
	}
	d.want(t, 1, 1)
	tr.CloseIdleConnections()
	o.wantEnded(t, 2)
	wantBody(t, tr, o.url()+"/y", "/y")
	d.want(t, 2, 1)

	client := &http.Client{Transport: tr}
	client.CloseIdleConnections()
	o.wantEnded(t, 1)
}

func TestCloseIdleConnectionsLeavesTheBusy(t *testing.T) {
	half, goOn := make(chan struct{}), make(chan struct{})
	o := serve(t, answering(func(p *peer, _ int, _ *http.Request) string {
		p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		close(half)
		<-goOn
		return "llo"
	}))
	tr, _ := over(t, nil)
	res, err := tr.RoundTrip(request(t, "GET", o.url()))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	wait(t, half, "half the body")
	tr.CloseIdleConnections()
	close(goOn)
	if b, err := io.ReadAll(res.Body); string(b) != "hello" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
}
