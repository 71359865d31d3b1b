package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// counts is what the upstream saw of one guest.
type counts struct {
	TokenRequests, Calls, Refused int
}

// upstream is the pretend system, a process of its own so that its CPU is not ours. Each guest
// has a path, so that contenders are counted apart:
//
//	POST /7/token?wait=200ms&status=500   a token, counted when it is asked for
//	GET  /7/api?spread=300ms              200 with the newest token, else 401, up to spread later
//	POST /7/revoke                        the token so far is refused from now on
//	GET  /7/counts
type upstream struct {
	mu     sync.Mutex
	guests map[string]*guestbook
}

type guestbook struct {
	counts
	generation int
}

// bearer is the guest's token; 78 bytes or a few more, like those that services give out.
func bearer(guest string, generation int) string {
	return strings.Repeat("token.", 12) + guest + "." + strconv.Itoa(generation)
}

func serveUpstream() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = http.Serve(listener, &upstream{guests: map[string]*guestbook{}}) }()
	fmt.Println("http://" + listener.Addr().String())
	_, _ = io.Copy(io.Discard, os.Stdin) // until our parent lets go of it, or is gone
}

// ServeHTTP is the whole system.
func (u *upstream) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	guest, what, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	switch what {
	case "token":
		u.token(w, req, guest)
	case "api":
		u.api(w, req, guest)
	case "revoke":
		u.note(guest, func(g *guestbook) { g.generation++ })
	case "counts":
		_ = json.NewEncoder(w).Encode(u.note(guest, func(*guestbook) {}).counts)
	default:
		http.NotFound(w, req)
	}
}

// note changes a guest's book and returns a copy.
func (u *upstream) note(guest string, change func(*guestbook)) guestbook {
	u.mu.Lock()
	defer u.mu.Unlock()
	g := u.guests[guest]
	if g == nil {
		g = new(guestbook)
		u.guests[guest] = g
	}
	change(g)
	return *g
}

func (u *upstream) token(w http.ResponseWriter, req *http.Request, guest string) {
	u.note(guest, func(g *guestbook) { g.TokenRequests++ })
	wait, _ := time.ParseDuration(req.FormValue("wait"))
	select {
	case <-time.After(wait):
	case <-req.Context().Done():
		return
	}
	if status, err := strconv.Atoi(req.FormValue("status")); err == nil {
		w.WriteHeader(status)
		return
	}
	g := u.note(guest, func(*guestbook) {})
	_, _ = io.WriteString(w, bearer(guest, g.generation))
}

func (u *upstream) api(w http.ResponseWriter, req *http.Request, guest string) {
	refused := false
	u.note(guest, func(g *guestbook) {
		g.Calls++
		if refused = req.Header.Get("Authorization") != "Bearer "+bearer(guest, g.generation); refused {
			g.Refused++
		}
	})
	if !refused {
		_, _ = io.WriteString(w, `{"hello":"world"}`)
		return
	}
	if spread, err := time.ParseDuration(req.FormValue("spread")); err == nil {
		time.Sleep(rand.N(spread))
	}
	// azcore asks again only for a challenge of this form.
	w.Header().Set("WWW-Authenticate", `Bearer realm="", error="insufficient_claims", claims="e30="`)
	w.WriteHeader(http.StatusUnauthorized)
}
