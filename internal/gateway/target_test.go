package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/keyhitch/keyhitch/auth"
)

// resolving returns a resolver that gives these addresses, one after another, for every name.
func resolving(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	var asked atomic.Int64
	go func() {
		query := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(query[:n]) != nil {
				continue
			}
			if m.Questions[0].Type == dnsmessage.TypeA {
				ip := netip.MustParseAddr(addresses[min(int(asked.Add(1)), len(addresses))-1])
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET},
					Body: &dnsmessage.AResource{A: ip.As4()}}}
			}
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			answer, _ := m.Pack()
			_, _ = server.WriteTo(answer, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// guarded returns a client that g dials for, and a listener on loopback that counts connections.
func guarded(t *testing.T, g *guard) (client *http.Client, port string, accepted *atomic.Int64) {
	t.Helper()
	accepted = new(atomic.Int64)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			accepted.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	base := auth.NewBase()
	base.DialContext, base.Proxy, base.DisableKeepAlives = g.dial, g.redirected, true
	_, port, _ = net.SplitHostPort(server.Listener.Addr().String())
	return &http.Client{Transport: base}, port, accepted
}

func TestANameThatLeadsToThisMachineIsNotDialled(t *testing.T) {
	g := newGuard(nil, nil)
	g.resolver = resolving(t, "127.0.0.1")
	client, port, accepted := guarded(t, g)
	_, err := client.Get("http://system.example:" + port + "/")
	var forbidden *forbiddenTarget
	if !errors.As(err, &forbidden) || faultOf(err) != faultForbiddenTarget || accepted.Load() != 0 {
		t.Fatalf("got %v after %d connections, want forbidden-target and none", err, accepted.Load())
	}
	if text := forbidden.Error(); strings.Contains(text, "127.0.0.1") || !strings.Contains(text, "system.example") {
		t.Errorf("got %q, want the name and not the address", text)
	}
}

func TestANameIsCheckedEveryTimeItIsDialled(t *testing.T) {
	g := newGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, nil)
	g.resolver = resolving(t, "127.0.0.1", "127.0.0.2") // the first stands for a harmless one
	client, port, accepted := guarded(t, g)
	res, err := client.Get("http://system.example:" + port + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if _, err = client.Get("http://system.example:" + port + "/"); faultOf(err) != faultForbiddenTarget || accepted.Load() != 1 {
		t.Errorf("after the name moved: got %v after %d connections, want forbidden-target and 1", err, accepted.Load())
	}
}

func TestAnAddressOfTheConfigurationIsDialled(t *testing.T) {
	client, port, accepted := guarded(t, newGuard(nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}))
	res, err := client.Get("http://127.0.0.1:" + port + "/")
	if err != nil || accepted.Load() != 1 {
		t.Fatalf("got %v after %d connections, want an answer", err, accepted.Load())
	}
	_ = res.Body.Close()
}

func TestARedirectToAnAddressIsNotTheOperatorsWord(t *testing.T) {
	g := newGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, nil)
	g.resolver = resolving(t, "127.0.0.1")
	client, port, accepted := guarded(t, g)
	location := "http://127.0.0.2:" + port + "/metadata"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, location, http.StatusFound) }))
	defer server.Close()
	if _, err := client.Get(server.URL); faultOf(err) != faultForbiddenTarget || accepted.Load() != 0 {
		t.Errorf("got %v after %d connections, want forbidden-target and none", err, accepted.Load())
	}
	location = "http://127.0.0.1:" + port + "/"
	res, err := client.Get(server.URL)
	if err != nil {
		t.Fatalf("back to where it came from: %v", err)
	}
	_ = res.Body.Close()
}

func TestGuardKnowsAddressesInEverySpelling(t *testing.T) {
	g := newGuard(nil, nil)
	for _, ip := range []string{"127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "168.63.129.16", "100.100.100.200", "192.0.0.192", "224.0.0.1", "255.255.255.255", "240.0.0.1",
		"::", "::1", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "fd00:ec2::254%1", "fd20:ce::254", "fec0::1",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::127.0.0.1", "::a9fe:a9fe",
		"64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::", "2001:db8::1"} {
		if !g.forbids(netip.MustParseAddr(ip)) {
			t.Errorf("%s is allowed", ip)
		}
	}
	for _, ip := range []string{"8.8.8.8", "2606:4700::1111", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::808:808", "168.63.129.17"} {
		if g.forbids(netip.MustParseAddr(ip)) {
			t.Errorf("%s is refused", ip)
		}
	}
}

func TestGuardFollowsTheProjectFile(t *testing.T) {
	g := newGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.2/32")})
	for ip, want := range map[string]bool{"127.0.0.1": false, "::ffff:127.0.0.1": false, "127.0.0.2": true, "10.1.1.1": true, "64:ff9b::10.1.1.1": true, "192.168.0.1": false} {
		if got := g.forbids(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: refused %t, want %t", ip, got, want)
		}
	}
}

func TestGuardedBaseBoundsTheWaitForAnAnswer(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{0: 5 * time.Minute, 7 * time.Second: 7 * time.Second} {
		if got := GuardedBase(nil, nil, asked).ResponseHeaderTimeout; got != want {
			t.Errorf("asked for %s, got %s, want %s", asked, got, want)
		}
	}
}

func TestGuardedBaseTakesNoProxyFromTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	base := GuardedBase(nil, nil, 0)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	res, err := (&http.Client{Transport: base}).Get(server.URL)
	if err != nil || base.ResponseHeaderTimeout == 0 || base.MaxResponseHeaderBytes == 0 {
		t.Fatalf("got %v, want an answer, and bounds for time and size", err)
	}
	_ = res.Body.Close()
}
