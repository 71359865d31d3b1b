package auth

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Origin is where credentials belong: scheme, host and port (RFC 6454).
type Origin struct{ scheme, host, port, written string }

// OriginOf returns the origin of u.
func OriginOf(u *url.URL) Origin {
	scheme := strings.ToLower(u.Scheme)
	return Origin{scheme, strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), portOf(scheme, u.Port()), u.Host}
}

func portOf(scheme, port string) string {
	switch {
	case port != "":
		return port
	case scheme == "https":
		return "443"
	case scheme == "http":
		return "80"
	}
	return ""
}

// Holds reports whether u is on the origin.
func (o Origin) Holds(u *url.URL) bool {
	if u.Host == o.written && u.Scheme == o.scheme {
		return true
	}
	other := OriginOf(u)
	return o.scheme == other.scheme && o.host == other.host && o.port == other.port
}

// String returns scheme://host:port.
func (o Origin) String() string { return o.scheme + "://" + net.JoinHostPort(o.host, o.port) }

// harmless lists the headers that may follow a redirect to another origin; everything else
// might be a credential and stays behind.
var harmless = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Content-Type": true,
	"User-Agent": true, "Range": true, "If-None-Match": true, "If-Modified-Since": true,
}

// RedirectError is a redirect that may not be followed.
type RedirectError struct {
	From, To Origin
	Reason   string
}

// Error names both origins, never a query.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("redirect from %s to %s not followed: %s", e.From, e.To, e.Reason)
}

// Redirects is an http.Client's CheckRedirect: at most most hops are followed, further ones are
// handed to the caller as they are. A hop to another origin goes without Referer and with
// harmless headers only, and not at all with a body; so does every hop after it, even back home.
// Transport adds credentials per hop.
func Redirects(most int, observe func(Event)) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if len(via) > most {
			return http.ErrUseLastResponse
		}
		req.Header.Del("Referer")
		home, next := OriginOf(via[0].URL), OriginOf(req.URL)
		if home.Holds(req.URL) && !slices.ContainsFunc(via, func(r *http.Request) bool { return !home.Holds(r.URL) }) {
			return nil
		}
		if req.Body != nil && req.Body != http.NoBody {
			_ = req.Body.Close() // a fresh one from GetBody, which nobody else will close
			return &RedirectError{home, next, "the request body would leave its origin"}
		}
		for name := range req.Header {
			if !harmless[name] {
				delete(req.Header, name)
			}
		}
		if observe != nil {
			observe(Event{Step: "redirect", Detail: "to " + next.String() + ", without credentials"})
		}
		return nil
	}
}
