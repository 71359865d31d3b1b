package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/internal/project"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// Callers are those who may call. Nil stands for everybody. It does not change once requests are
// identified with it.
type Callers struct {
	list         []*Caller
	keys         map[uint64]knownKey // by the beginning of a key's SHA-256
	certificates map[string]*Caller  // by a name in a certificate
	subjects     map[string]*Caller  // by the subject of a token
	issuer       *issuer             // nil: tokens are not accepted
}

// keyDigest is a key's SHA-256.
type keyDigest [sha256.Size]byte

// index is where a digest is looked up.
func (d *keyDigest) index() uint64 { return binary.BigEndian.Uint64(d[:]) }

type knownKey struct {
	digest keyDigest
	caller *Caller
}

// Caller is who may call, and what. Nil may call everything.
type Caller struct {
	name       string
	rules      []rule
	privileges []string
	rate       float64 // requests a second; 0: no limit
	concurrent int64   // requests at once; 0: no limit
	state      *state
}

// Targets are addresses that names may lead to although they are special, and that they may not.
type Targets struct{ Allow, Deny []netip.Prefix }

func (t Targets) same(other Targets) bool {
	return slices.Equal(t.Allow, other.Allow) && slices.Equal(t.Deny, other.Deny)
}

// NewCallers compiles the project file's callers; nil when there are none. The issuer's name may
// lead where those of systems may. Its error is settings.Problems: everything that is wrong, by
// JSON Pointer in the project file.
func NewCallers(list []project.Caller, oidc project.OIDC, targets Targets) (*Callers, error) {
	if len(list) == 0 && oidc == (project.OIDC{}) {
		return nil, nil
	}
	b := builder{names: map[string]int{}, callers: &Callers{
		keys: map[uint64]knownKey{}, certificates: map[string]*Caller{}, subjects: map[string]*Caller{}}}
	b.issuer(oidc, targets)
	for i := range list {
		b.caller("/gateway/callers/"+strconv.Itoa(i), i, &list[i])
	}
	if oidc != (project.OIDC{}) && !slices.ContainsFunc(list, func(c project.Caller) bool { return c.Subject != "" }) {
		b.problem("/gateway/oidc", "is set, but no caller has a subject, so no token would let anybody in")
	}
	if err := b.problems.Err(); err != nil {
		return nil, err
	}
	return b.callers, nil
}

// LogTo has the reasons logged for which tokens cannot be checked.
func (s *Callers) LogTo(log logrus.FieldLogger) {
	if s != nil && s.issuer != nil {
		s.issuer.logTo(log)
	}
}

// builder collects callers and what is wrong with them. No problem repeats a value: it may be a
// key in the wrong place.
type builder struct {
	callers  *Callers
	names    map[string]int // place in the list by name
	problems settings.Problems
}

func (b *builder) problem(at, format string, args ...any) {
	b.problems = append(b.problems, &settings.Problem{Pointer: at, Reason: fmt.Sprintf(format, args...)})
}

func (b *builder) caller(at string, i int, in *project.Caller) {
	c := &Caller{name: in.Name, privileges: in.May, rate: in.Rate, concurrent: int64(in.Concurrent)}
	c.state = newState(c)
	b.callers.list = append(b.callers.list, c)
	b.name(at+"/name", i, in.Name)
	b.known(at, c, in)
	for n, text := range in.Allow {
		r, err := parseRule(text)
		if err != nil {
			b.problem(fmt.Sprintf("%s/allow/%d", at, n), "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		c.rules = append(c.rules, r)
	}
	for n, privilege := range in.May {
		if !slices.Contains(privileges, privilege) {
			b.problem(fmt.Sprintf("%s/may/%d", at, n), "is not one of %s%s", strings.Join(privileges, ", "), meant(privilege))
		}
	}
	if !(in.Rate >= 0) || math.IsInf(in.Rate, 0) {
		b.problem(at+"/rate", "must be a number of requests a second, 0 or more")
	}
	if in.Concurrent < 0 {
		b.problem(at+"/concurrent", "must be a number of requests, 0 or more")
	}
}

// meant offers the privilege that is nearest to a misspelt one.
func meant(privilege string) string {
	if near := settings.Nearest(privilege, privileges); near != "" {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

// longestName bounds what a caller's name adds to each line of the access log.
const longestName = 100

func (b *builder) name(at string, i int, name string) {
	other, taken := b.names[name]
	switch {
	case name == "":
		b.problem(at, "is required: logs call the caller by it")
	case len(name) > longestName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		b.problem(at, "must be %d bytes at most, without control characters", longestName)
	case taken:
		b.problem(at, "is the name of /gateway/callers/%d too", other)
	default:
		b.names[name] = i
	}
}

// known takes the ways in which a caller is known.
func (b *builder) known(at string, c *Caller, in *project.Caller) {
	if len(in.KeySHA256) == 0 && in.Certificate == "" && in.Subject == "" {
		b.problem(at, "cannot be known by anything; it needs key_sha256, certificate or subject")
	}
	for n, text := range in.KeySHA256 {
		place := at + "/key_sha256"
		if len(in.KeySHA256) > 1 {
			place += "/" + strconv.Itoa(n)
		}
		b.key(place, c, text)
	}
	if in.Certificate != "" {
		b.claim(b.callers.certificates, at+"/certificate", in.Certificate, c)
	}
	if in.Subject == "" {
		return
	}
	b.claim(b.callers.subjects, at+"/subject", in.Subject, c)
	if b.callers.issuer == nil {
		b.problem(at+"/subject", "needs gateway.oidc, which says whose tokens are accepted")
	}
}

// key takes a key's SHA-256. That of the empty text is what a script makes of an unset variable.
func (b *builder) key(at string, c *Caller, text string) {
	sum, err := hex.DecodeString(text)
	switch {
	case err != nil || len(sum) != sha256.Size:
		b.problem(at, "is not 64 hexadecimal digits; make it with: printf %%s \"$KEY\" | sha256sum")
	case keyDigest(sum) == sha256.Sum256(nil):
		b.problem(at, "is the SHA-256 of an empty key, which nobody can show")
	default:
		k := knownKey{keyDigest(sum), c}
		if b.free(at, b.callers.keys[k.digest.index()].caller) {
			b.callers.keys[k.digest.index()] = k
		}
	}
}

// claim notes that c is known by a name, and nobody else is.
func (b *builder) claim(taken map[string]*Caller, at, name string, c *Caller) {
	if b.free(at, taken[name]) {
		taken[name] = c
	}
}

// free reports that a key or name is another caller's, if it is.
func (b *builder) free(at string, other *Caller) bool {
	if other != nil {
		b.problem(at, "is what /gateway/callers/%d is known by, too", slices.Index(b.callers.list, other))
	}
	return other == nil
}

// issuer takes the issuer of tokens. Where something is wrong with it, what the callers say of it
// is not judged again.
func (b *builder) issuer(oidc project.OIDC, targets Targets) {
	if oidc == (project.OIDC{}) {
		return
	}
	if reason := issuerProblem(oidc.Issuer); reason != "" {
		b.problem("/gateway/oidc/issuer", "%s", reason)
	}
	if oidc.Audience == "" {
		b.problem("/gateway/oidc/audience", "is required: without it a token for anybody would be accepted here")
	}
	b.callers.issuer = newIssuer(oidc, targets)
}

func issuerProblem(issuer string) string {
	u, err := url.Parse(issuer)
	switch {
	case issuer == "":
		return "is required: it is the URL that the tokens' iss holds"
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "must be a URL of scheme, host and path alone, as the tokens' iss holds it"
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	}
	return "must begin with https://, because its keys decide who may call; http:// is for loopback alone"
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
