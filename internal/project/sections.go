package project

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/keyhitch/keyhitch/internal/settings"
)

// Adapter finds a named adapter; nil: the file does not know it. What is wrong with others does
// not matter.
func (f *File) Adapter(name string) (*Adapter, error) {
	adapters, _ := f.root["adapters"].(map[string]any)
	raw, ok := adapters[name]
	if !ok {
		return nil, nil
	}
	entry, found := f.adapter(name, raw)
	return &entry, f.error(found)
}

func (f *File) adapter(name string, raw any) (Adapter, settings.Problems) {
	var entry Adapter
	at := "/adapters/" + escape(name)
	found := f.decode(raw, at, &entry)
	switch {
	case len(found) > 0:
	case (entry.Home == "") == (entry.Config == ""):
		found = settings.Problems{problem(at, "needs either home or config")}
	case entry.Config != "" && entry.Instance != "":
		found = settings.Problems{problem(at+"/instance", "goes with a home; config is a configuration itself")}
	}
	entry.Home, entry.Config, entry.Instance = f.below(entry.Home), f.below(entry.Config), f.below(entry.Instance)
	return entry, found
}

// Cache is where tokens are shared.
func (f *File) Cache() (Cache, error) {
	var c Cache
	err := f.section("cache", &c)
	return c, err
}

// Log is what is logged.
func (f *File) Log() (Log, error) {
	var l Log
	err := f.section("log", &l)
	return l, err
}

func (f *File) section(name string, into any) error {
	return f.error(f.decodeSection(name, into))
}

func (f *File) decodeSection(name string, into any) settings.Problems {
	raw := f.root[name]
	if raw == nil {
		raw = map[string]any{} // for the defaults
	}
	return f.decode(raw, "/"+name, into)
}

// decode is strict: what Decode warns of is an error here.
func (f *File) decode(raw any, at string, into any) settings.Problems {
	raw, found := settings.Expand(raw, at, f.from)
	return append(found, settings.Decode(raw, at, into)...)
}

// Settings is everything that the file says. Its error has every problem of the file.
func (f *File) Settings() (Settings, error) {
	s := Settings{Adapters: map[string]Adapter{}}
	var found settings.Problems
	adapters, _ := f.root["adapters"].(map[string]any)
	for _, name := range f.Names() {
		entry, more := f.adapter(name, adapters[name])
		s.Adapters[name], found = entry, append(found, more...)
		if reason := badName(name); reason != "" {
			found = append(found, problem("/adapters/"+escape(name), reason))
		}
	}
	for name, into := range map[string]any{"cache": &s.Cache, "log": &s.Log, "gateway": &s.Gateway} {
		found = append(found, f.decodeSection(name, into)...)
	}
	found = append(found, f.complete(&s.Gateway)...)
	return s, f.error(found)
}

// badName tells why an adapter's name cannot stand in a path and in an allow rule.
func badName(name string) string {
	switch {
	case name == "":
		return "is a name without a character"
	case name == ".", name == "..":
		return "is a name that means something else in a path"
	case strings.ContainsFunc(name, oddInName):
		return "is a name that cannot stand in a path; use letters, digits, . _ and -"
	}
	return ""
}

func oddInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}

// complete makes paths usable from here, and finds what the types cannot say.
func (f *File) complete(g *Gateway) settings.Problems {
	t := &g.TLS
	t.Certificate, t.Key, t.ClientAuthority = f.below(t.Certificate), f.below(t.Key), f.below(t.ClientAuthority)
	var found settings.Problems
	switch {
	case (t.Certificate == "") != (t.Key == ""):
		found = append(found, problem("/gateway/tls", "needs both certificate and key"))
	case t.ClientAuthority != "" && t.Certificate == "":
		found = append(found, problem("/gateway/tls/client_authority", "needs certificate and key: callers show certificates only over TLS"))
	}
	for i, c := range g.Callers {
		if c.Certificate != "" && t.ClientAuthority == "" {
			found = append(found, problem(fmt.Sprintf("/gateway/callers/%d/certificate", i), "needs gateway.tls.client_authority, which signs it"))
		}
	}
	return append(append(found, prefixes("/gateway/allow_targets", g.AllowTargets)...), prefixes("/gateway/deny_targets", g.DenyTargets)...)
}

func prefixes(at string, list []string) settings.Problems {
	var found settings.Problems
	for i, text := range list {
		if _, err := Prefix(text); err != nil {
			found = append(found, problem(fmt.Sprintf("%s/%d", at, i), "is no address range; write 10.0.0.0/8 or one address"))
		}
	}
	return found
}

// Prefix reads an address range (CIDR) or one address.
func Prefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	return netip.ParsePrefix(text)
}

// Gateway is how `keyhitch serve` serves.
func (f *File) Gateway() (Gateway, error) {
	var g Gateway
	found := f.decodeSection("gateway", &g)
	return g, f.error(append(found, f.complete(&g)...))
}
