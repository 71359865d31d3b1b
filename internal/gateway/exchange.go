package gateway

import (
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// exchange is one request on its way through the gateway. The access log, the counters and the
// problems are written from it.
type exchange struct {
	*served
	gateway *Gateway
	w       *recorder
	request *http.Request // as it came
	start   time.Time
	in      countedBody // of the request
	timing  timing
	id      string
	holds   bool // served: it is not closed before letGo

	caller  *Caller
	adapter string // its name, once it is known to exist
	entity  string // of a declared call
	action  string
	fault   *fault // what went wrong, as the caller was told
	token   string // fingerprint of the token that went out
}

// recorder notes what is answered. It passes streams and upgrades: http.ResponseController finds
// what it wraps.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	stream *stream // that the answer has become; nil: it is none
}

// Unwrap returns the connection's own writer.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader notes the status; those below 200 come before another.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	if r.stream != nil {
		r.stream.note()
	}
	return n, err
}

// requestID is a header that callers may set, and that every answer has.
const requestID = "X-Request-Id"

// begin takes a request in.
func (g *Gateway) begin(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{gateway: g, w: &recorder{ResponseWriter: w}, request: r, start: g.now(), id: r.Header.Get(requestID)}
	if !plainID(x.id) {
		x.id = rand.Text()
	}
	w.Header()[requestID] = []string{x.id}
	x.arrive(r)
	return x
}

// plainID reports whether a caller's own request id can be logged and sent on as it is.
func plainID(id string) bool {
	return id != "" && len(id) <= 100 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:/+=", r)
	})
}

// serve finds out who calls, and what.
func (x *exchange) serve(r *http.Request) {
	caller, fault, detail := x.Callers.identify(r, x.id)
	if fault != nil {
		x.fail(fault, detail)
		return
	}
	x.caller = caller
	if caller == nil && lured(r) {
		x.fail(faultForbidden, "without callers, only localhost or an address is taken for Host, and nothing that a web page of another origin sends")
		return
	}
	now := x.gateway.now()
	x.timing.ready = now.Sub(x.start)
	leave, fault, wait := caller.enter(now)
	if fault != nil {
		x.failFor(fault, "", wait)
		return
	}
	defer leave()
	switch path := r.URL.EscapedPath(); {
	case strings.HasPrefix(path, "/proxy/"):
		x.serveProxy(r, path)
	case path == "/openapi.json":
		x.serveOpenAPI(r)
	case path == "/v1" || strings.HasPrefix(path, "/v1/"):
		x.serveAPI(r)
	default:
		x.fail(faultNoRoute, "the gateway serves /proxy/{adapter}/{path}, /v1/adapters and /openapi.json")
	}
}

// lured reports whether a browser on this machine may have been made to send this. Without
// callers everybody who reaches the listener may call, and a web page must not: neither across
// origins, nor by a name of its own that it has made lead here (DNS rebinding). No browser gets
// to a unix socket, whose callers may say any host.
func lured(r *http.Request) bool {
	at, known := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if known && at.Network() == "unix" {
		return false
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return known && !hereByName(r.Host) || ofAnother(r) || site == "cross-site" || site == "same-site"
}

// ofAnother reports whether the Origin is not our own, whatever the method: a WebSocket opens
// with a GET, and no browser asks before it does.
func ofAnother(r *http.Request) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return false
	}
	u, err := url.Parse(origins[0])
	return len(origins) > 1 || err != nil || u.Host == "" || u.Host != r.Host
}

// hereByName reports whether a Host names this machine in a way that nobody else can take over.
func hereByName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
