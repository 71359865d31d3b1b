package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/internal/project"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// sha returns what the project file holds of a key.
func sha(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// callersOf compiles callers that are right.
func callersOf(t testing.TB, list ...project.Caller) *Callers {
	t.Helper()
	s, err := NewCallers(list, project.OIDC{}, Targets{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var goodIssuer = project.OIDC{Issuer: "https://issuer.example", Audience: "keyhitch"}

func TestWhatIsWrongWithCallersIsToldWithItsPlace(t *testing.T) {
	one := project.Caller{Name: "one", KeySHA256: project.Texts{sha("key one")}}
	for _, tt := range []struct {
		name string
		list []project.Caller
		oidc project.OIDC
		want []string // pointer: beginning of the reason
	}{
		{name: "no name", list: []project.Caller{{KeySHA256: project.Texts{sha("k")}}},
			want: []string{"/gateway/callers/0/name: is required"}},
		{name: "name with a line break", list: []project.Caller{{Name: "a\nb", KeySHA256: project.Texts{sha("k")}}},
			want: []string{"/gateway/callers/0/name: must be 100 bytes at most"}},
		{name: "same name twice", list: []project.Caller{one, {Name: "one", KeySHA256: project.Texts{sha("other")}}},
			want: []string{"/gateway/callers/1/name: is the name of /gateway/callers/0 too"}},
		{name: "unknowable", list: []project.Caller{{Name: "one"}},
			want: []string{"/gateway/callers/0: cannot be known by anything"}},
		{name: "key instead of its digest", list: []project.Caller{{Name: "one", KeySHA256: project.Texts{"s3cret-key"}}},
			want: []string{"/gateway/callers/0/key_sha256: is not 64 hexadecimal digits"}},
		{name: "one of several digests is short", list: []project.Caller{{Name: "one", KeySHA256: project.Texts{sha("a"), sha("b")[:62]}}},
			want: []string{"/gateway/callers/0/key_sha256/1: is not 64 hexadecimal digits"}},
		{name: "digest of nothing", list: []project.Caller{{Name: "one", KeySHA256: project.Texts{sha("")}}},
			want: []string{"/gateway/callers/0/key_sha256: is the SHA-256 of an empty key"}},
		{name: "one key for two", list: []project.Caller{one, {Name: "two", KeySHA256: project.Texts{strings.ToUpper(sha("key one"))}}},
			want: []string{"/gateway/callers/1/key_sha256: is what /gateway/callers/0 is known by"}},
		{name: "one certificate for two", list: []project.Caller{{Name: "one", Certificate: "c"}, {Name: "two", Certificate: "c"}},
			want: []string{"/gateway/callers/1/certificate: is what /gateway/callers/0 is known by"}},
		{name: "one subject for two", list: []project.Caller{{Name: "one", Subject: "s"}, {Name: "two", Subject: "s"}}, oidc: goodIssuer,
			want: []string{"/gateway/callers/1/subject: is what /gateway/callers/0 is known by"}},
		{name: "subject without issuer", list: []project.Caller{{Name: "one", Subject: "s"}},
			want: []string{"/gateway/callers/0/subject: needs gateway.oidc"}},
		{name: "issuer that nobody needs", list: []project.Caller{one}, oidc: goodIssuer,
			want: []string{"/gateway/oidc: is set, but no caller has a subject"}},
		{name: "issuer without callers", oidc: goodIssuer,
			want: []string{"/gateway/oidc: is set, but no caller has a subject"}},
		{name: "audience alone", list: []project.Caller{{Name: "one", Subject: "s"}}, oidc: project.OIDC{Audience: "keyhitch"},
			want: []string{"/gateway/oidc/issuer: is required"}},
		{name: "issuer alone", list: []project.Caller{{Name: "one", Subject: "s"}}, oidc: project.OIDC{Issuer: "https://issuer.example"},
			want: []string{"/gateway/oidc/audience: is required"}},
		{name: "issuer in clear", list: []project.Caller{{Name: "one", Subject: "s"}}, oidc: project.OIDC{Issuer: "http://issuer.example", Audience: "a"},
			want: []string{"/gateway/oidc/issuer: must begin with https://"}},
		{name: "issuer with a query", list: []project.Caller{{Name: "one", Subject: "s"}}, oidc: project.OIDC{Issuer: "https://issuer.example?x=1", Audience: "a"},
			want: []string{"/gateway/oidc/issuer: must be a URL"}},
		{name: "rule that says nothing", list: []project.Caller{{Name: "one", KeySHA256: one.KeySHA256, Allow: []string{"acme/*", "acme"}}},
			want: []string{"/gateway/callers/0/allow/1: is no rule"}},
		{name: "misspelt privilege", list: []project.Caller{{Name: "one", KeySHA256: one.KeySHA256, May: []string{"callproperties"}}},
			want: []string{`/gateway/callers/0/may/0: is not one of authData, callProperties, credential_headers, files; did you mean "callProperties"?`}},
		{name: "rates and places below nothing", list: []project.Caller{{Name: "one", KeySHA256: one.KeySHA256, Rate: math.NaN(), Concurrent: -1}},
			want: []string{"/gateway/callers/0/rate: must be", "/gateway/callers/0/concurrent: must be"}},
		{name: "everything at once", list: []project.Caller{{Allow: []string{"x"}, May: []string{"y"}}, {}},
			want: []string{"/gateway/callers/0/name: ", "/gateway/callers/0: ", "/gateway/callers/0/allow/0: ", "/gateway/callers/0/may/0: ",
				"/gateway/callers/1/name: ", "/gateway/callers/1: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := NewCallers(tt.list, tt.oidc, Targets{})
			var got settings.Problems
			if !errors.As(err, &got) || len(got) != len(tt.want) {
				t.Fatalf("got %v (%v), want %d problems", err, s, len(tt.want))
			}
			for i, p := range got {
				if !strings.HasPrefix(p.Error(), tt.want[i]) {
					t.Errorf("got %q, want it to begin with %q", p, tt.want[i])
				}
				if strings.Contains(p.Error(), "s3cret-key") {
					t.Errorf("%q repeats the key", p)
				}
			}
		})
	}
}

func TestWithoutCallersThereIsNobodyToKnow(t *testing.T) {
	s, err := NewCallers(nil, project.OIDC{}, Targets{})
	if s != nil || err != nil {
		t.Errorf("got %v, %v, want nil for everybody", s, err)
	}
	s.Inherit(nil)
	s.LogTo(nil)
}
