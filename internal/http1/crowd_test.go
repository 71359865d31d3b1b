package http1_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// mixed answers in the way that the path's first part names; the body begins with the path.
func mixed(p *peer) {
	for {
		r := p.next()
		if r == nil {
			return
		}
		id := r.URL.Path
		kind, _, _ := strings.Cut(id[1:], "/")
		head := "HTTP/1.1 200 OK\r\nX-Id: " + id + "\r\n"
		switch kind {
		case "length":
			p.say(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(id), id))
		case "chunked":
			p.say(fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: %s\r\n\r\n", head, len(id), id, id))
		case "slowly":
			p.say(head)
			p.say(fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(id), id[:3]))
			p.say(id[3:])
		case "hints":
			p.say("HTTP/1.1 103 Early Hints\r\nX-Id: none\r\n\r\n")
			p.say(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(id), id))
		case "none":
			p.say("HTTP/1.1 204 No Content\r\nX-Id: " + id + "\r\n\r\n")
		case "large":
			p.say(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(id)+30000, id+strings.Repeat(".", 30000)))
		case "stray":
			// In one piece: what comes after the next request was sent cannot be told from its answer.
			p.say(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(id), id) +
				"HTTP/1.1 200 OK\r\nX-Id: stray\r\nContent-Length: 5\r\n\r\nstray")
		case "close":
			p.say(fmt.Sprintf("%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", head, len(id), id))
			return
		case "end":
			p.say(head + "\r\n" + id)
			return
		}
	}
}

func TestEachGetsItsOwnAnswer(t *testing.T) {
	const workers, each = 64, 500
	kinds := []string{"length", "chunked", "slowly", "hints", "none", "large", "length", "chunked", "none", "slowly"}
	rare := []string{"stray", "close", "end", "early", "cancel"}
	o := serve(t, mixed)
	tr, _ := over(t, func(b *http.Transport) { b.MaxIdleConnsPerHost = workers })
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				kind := kinds[(w+i)%len(kinds)]
				if i%20 == 7 {
					kind = rare[(w+i/20)%len(rare)]
				}
				if err := one(tr, o.url(), kind, fmt.Sprintf("%d-%d", w, i)); err != nil {
					t.Errorf("%s %d-%d: %v", kind, w, i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := o.conns.Load(); n > workers+workers*each/20*2 {
		t.Errorf("%d connections for %d requests", n, workers*each)
	}
}

// one sends a request of the kind and compares what comes with its id.
func one(rt http.RoundTripper, url, kind, id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	defer cancel()
	path := "/" + kind + "/" + id
	switch kind {
	case "early", "cancel":
		path = "/large/" + id
	}
	req, err := http.NewRequestWithContext(ctx, "GET", url+path, nil)
	if err != nil {
		return err
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if got := res.Header.Get("X-Id"); got != path {
		return fmt.Errorf("answer of %q", got)
	}
	switch kind {
	case "early":
		return nil
	case "cancel":
		go cancel()
		io.Copy(io.Discard, res.Body)
		return nil
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if kind != "none" && !strings.HasPrefix(string(b), path) {
		return fmt.Errorf("body %.80q", b)
	}
	if kind == "chunked" && res.Trailer.Get("X-Sum") != path {
		return fmt.Errorf("trailer %v", res.Trailer)
	}
	return nil
}
