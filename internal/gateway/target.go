package gateway

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/keyhitch/keyhitch/auth"
)

// GuardedBase is auth.NewBase for systems whose names somebody else resolves: a name that leads to
// a loopback, link-local, multicast, metadata or otherwise special address is refused when it is
// dialled, so that DNS cannot point a credential or a caller at what only this machine may reach.
// Private networks are where systems live and are not refused. An address that the configuration
// names is the operator's own word; one that a redirect names is not. What deny holds is always
// refused, what allow holds is not. A system must begin its answer in so much time once it has the
// whole request; 0: 5 min.
func GuardedBase(allow, deny []netip.Prefix, answer time.Duration) *http.Transport {
	g := newGuard(allow, deny)
	base := auth.NewBase()
	base.DialContext = g.dial
	base.Proxy = g.redirected
	base.ResponseHeaderTimeout = cmp.Or(answer, 5*time.Minute)
	return base
}

// guard decides which addresses names may lead to.
type guard struct {
	allow, deny []netip.Prefix
	special     *ssrf.Guardian // the registries of special-purpose addresses, less private networks
	resolver    *net.Resolver  // nil: the system's
}

func newGuard(allow, deny []netip.Prefix) *guard {
	return &guard{allow: allow, deny: deny, special: ssrf.New(ssrf.WithAnyPort(),
		ssrf.WithAllowedV4Prefixes(prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")...),
		ssrf.WithAllowedV6Prefixes(prefixes("fc00::/7")...))}
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range list {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// metadata are addresses of platforms that hand out credentials, in ranges that are otherwise fine.
var metadata = prefixes(
	"168.63.129.16/32",   // Azure
	"100.100.100.200/32", // Alibaba Cloud
	"fd00:ec2::/32",      // AWS
	"fd20:ce::254/128",   // Google Cloud
)

// dial connects to a literal address as it is, and to a name only where the guard agrees with what
// it resolves to.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Resolver: g.resolver}
	if _, err := netip.ParseAddr(host); err != nil {
		dialer.Control = func(_, resolved string, _ syscall.RawConn) error {
			if to, err := netip.ParseAddrPort(resolved); err != nil || g.forbids(to.Addr()) {
				return &forbiddenTarget{host}
			}
			return nil
		}
	}
	conn, err := dialer.DialContext(ctx, network, address)
	var forbidden *forbiddenTarget
	if errors.As(err, &forbidden) {
		return nil, forbidden // without the address, which callers need not know
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		return wireConn{tcp}, nil
	}
	return conn, err
}

// redirected refuses a literal address that a redirect leads to, as if a name had resolved to it.
// It is the transport's Proxy function because nothing else of it sees requests; there is no proxy.
func (g *guard) redirected(req *http.Request) (*url.URL, error) {
	if req.Response == nil {
		return nil, nil
	}
	ip, err := netip.ParseAddr(req.URL.Hostname())
	if err != nil {
		return nil, nil // a name: dial decides
	}
	first := req
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request
	}
	if first.URL.Hostname() == req.URL.Hostname() || !g.forbids(ip) {
		return nil, nil
	}
	return nil, &forbiddenTarget{req.URL.Hostname()}
}

// forbids reports whether no name may lead to ip.
func (g *guard) forbids(ip netip.Addr) bool {
	ip = innermost(ip)
	holds := func(p netip.Prefix) bool { return p.Contains(ip) }
	switch {
	case slices.ContainsFunc(g.deny, holds):
		return true
	case slices.ContainsFunc(g.allow, holds):
		return false
	}
	return slices.ContainsFunc(metadata, holds) || g.special.SafeAddr(ip) != nil
}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixTo4 = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// innermost is the IPv4 address that an IPv6 address stands for, or ip itself.
func innermost(ip netip.Addr) netip.Addr {
	ip = ip.WithZone("").Unmap()
	b := ip.As16()
	switch {
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixTo4.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}

// forbiddenTarget is a host that leads to an address that no credential goes to.
type forbiddenTarget struct{ host string }

// Error names the host, and not what listens there.
func (e *forbiddenTarget) Error() string {
	return e.host + " leads to an address that is not allowed"
}
