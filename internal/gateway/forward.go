package gateway

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// What goes on, and what does not: a caller's own credentials and claims about where he comes from
// end here, and so do a system's words about itself that would be taken for the gateway's.

// private lists request headers that never go out.
var private = set(
	"Authorization", "Cookie", "Cookie2", "Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "X-Cluster-Client-Ip",
	"X-Original-Url", "X-Rewrite-Url", "X-Original-Host", "X-Host", // other paths and hosts than were checked
	"Http2-Settings", "X-Forwarded", "X-Remote-User", "Remote-User", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Original-Method",
)

// ofHop lists headers of one connection (RFC 9110, section 7.6.1).
var ofHop = set("Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade")

// ofOrigin lists answer headers that speak for the system's own origin.
var ofOrigin = set("Alt-Svc", "Strict-Transport-Security", "Clear-Site-Data", "Public-Key-Pins")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[http.CanonicalHeaderKey(name)] = true
	}
	return m
}

// Values that are shared by all requests and never written to.
var (
	noUserAgent = []string{""} // net/http would send its own
	identity    = []string{"identity"}
	trailersToo = []string{"trailers"}
	upgrade     = []string{"Upgrade"}
	websocket   = []string{"websocket"}
)

// keeps reports whether a caller's header may go out. Servers that make variables of headers read
// X_Api_Key as X-Api-Key.
func (d *door) keeps(name string) bool {
	if strings.IndexByte(name, '_') >= 0 {
		name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	}
	return !private[name] && !ofHop[name] && !d.headers[name] &&
		!strings.HasPrefix(name, "X-Forwarded-") && !strings.HasPrefix(name, "Proxy-")
}

// request makes what goes out. The tape is nil where there is no body.
func (d *door) request(r *http.Request, rest string, id []string) (*http.Request, *tape) {
	out := new(http.Request)
	*out = *r // its context above all
	out.URL, out.Host, out.RequestURI, out.Close = d.url(r.URL, rest), "", "", false
	out.TransferEncoding, out.Trailer, out.Pattern = nil, nil, ""
	out.Header = d.header(r, id)
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		out.Body, out.GetBody, out.ContentLength = nil, nil, 0
		return out, nil
	}
	return out, d.body(out, r)
}

// header makes the headers that go out.
func (d *door) header(r *http.Request, id []string) http.Header {
	out := make(http.Header, len(r.Header)+4)
	for name, values := range r.Header {
		if d.keeps(name) {
			out[name] = values
		}
	}
	withoutNamed(out, r.Header["Connection"])
	if httpguts.HeaderValuesContainsToken(r.Header["Te"], "trailers") {
		out["Te"] = trailersToo
	}
	if asksWebSocket(r) {
		out["Connection"], out["Upgrade"] = upgrade, websocket
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = noUserAgent
	}
	if _, ok := out["Accept-Encoding"]; !ok {
		out["Accept-Encoding"] = identity // the transport would ask for gzip and unpack it
	}
	out[requestID] = id
	return out
}

// withoutNamed takes out the headers that a Connection header names.
func withoutNamed(header http.Header, connection []string) {
	for _, value := range connection {
		for name := range strings.SplitSeq(value, ",") {
			delete(header, http.CanonicalHeaderKey(textproto.TrimString(name)))
		}
	}
}

// asksWebSocket reports whether a request wants to become a WebSocket. Other upgrades are not
// passed on, as RFC 9110, section 7.8 allows: over h2c any request could follow, unchecked.
func asksWebSocket(r *http.Request) bool {
	return len(r.Header["Upgrade"]) == 1 && strings.EqualFold(r.Header["Upgrade"][0], "websocket") &&
		r.Method == http.MethodGet && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade")
}

// body makes the body that goes out, which can be sent again where it is kept.
func (d *door) body(out, r *http.Request) *tape {
	t := &tape{source: r.Body, limit: int(d.replay), whence: r}
	known := r.ContentLength > 0 && r.ContentLength <= d.replay
	if r.ContentLength > d.replay {
		t.limit = 0
	}
	out.Body, out.GetBody = t.first(), nil
	if known || !d.inBody { // a credential in the body has it read before it is sent, which a stream cannot be twice
		out.GetBody = t.again
	}
	for name := range r.Trailer {
		if d.keeps(name) {
			if t.to == nil {
				t.to = http.Header{}
			}
			t.to[name] = nil
		}
	}
	out.Trailer = t.to
	return t
}

// answerHeaders copies the headers of an answer that go on to the caller.
func (d *door) answerHeaders(to http.Header, res *http.Response, cookies bool) {
	for name, values := range res.Header {
		if passes(name, cookies) {
			to[name] = values
		}
	}
	if connection := res.Header["Connection"]; len(connection) > 0 {
		id := to[requestID]
		withoutNamed(to, connection)
		to[requestID] = id
	}
	for _, name := range pointers {
		if len(to[name]) > 0 {
			to[name] = []string{d.location(res.Request.URL, to.Get(name))}
		}
	}
	if d.inURL {
		for _, name := range quoters {
			for i, value := range to[name] {
				to[name][i] = d.scrub(value)
			}
		}
	}
}

// Answer headers that point to somewhere, and those that may quote the URL of the request.
var (
	pointers = []string{"Location", "Content-Location"}
	quoters  = []string{"Location", "Content-Location", "Link", "Refresh"}
)

// passes reports whether a header of an answer goes on to the caller.
func passes(name string, cookies bool) bool {
	switch name {
	case "Set-Cookie", "Set-Cookie2":
		return cookies
	case requestID:
		return false
	}
	return !ofHop[name] && !ofOrigin[name] && !strings.HasPrefix(name, "Proxy-")
}

// location is where a caller finds what the system points to: its own paths are behind the
// gateway, everything else is where it is. No credential goes along, not even one that the system
// repeats.
func (d *door) location(from *url.URL, location string) string {
	to, err := from.Parse(location)
	if err != nil {
		return "/proxy/" + url.PathEscape(d.name) + "/" // nobody can follow what is no URL
	}
	to.RawQuery = d.withoutCredentials(to.RawQuery)
	rest, inside := strings.CutPrefix(to.EscapedPath(), d.base.RawPath)
	if !d.origin.Holds(to) || !inside || rest != "" && rest[0] != '/' {
		return to.String()
	}
	local := url.URL{Path: "/proxy/" + d.name + unescape(rest), RawPath: "/proxy/" + url.PathEscape(d.name) + rest,
		RawQuery: to.RawQuery, ForceQuery: to.ForceQuery, Fragment: to.Fragment, RawFragment: to.RawFragment}
	return local.String()
}
