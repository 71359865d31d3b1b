package gateway

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/internal/project"
)

// issuing is an issuer of tokens that can misbehave.
type issuing struct {
	*httptest.Server
	key     ed25519.PrivateKey
	mu      sync.Mutex
	name    string // of the key
	answer  http.HandlerFunc
	asked   atomic.Int64
	callers *Callers
	now     atomic.Int64 // the gateway's clock
}

func newIssuing(t *testing.T) *issuing {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuing{key: key, name: "k1"}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	i.callers, err = NewCallers([]project.Caller{{Name: "reports", Subject: "subject", Allow: []string{"*"}},
		{Name: "key", KeySHA256: project.Texts{sha("key")}}}, project.OIDC{Issuer: i.URL, Audience: "keyhitch"}, Targets{})
	if err != nil {
		t.Fatal(err)
	}
	i.now.Store(time.Now().Unix())
	clock := func() time.Time { return time.Unix(i.now.Load(), 0) }
	i.callers.issuer.now, i.callers.issuer.wire.now = clock, clock
	return i
}

// misbehave sets what every request is answered with; nil: what is right.
func (i *issuing) misbehave(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

func (i *issuing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.asked.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.answer != nil:
		i.answer(w, r)
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	case r.URL.Path == "/keys":
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: i.name, Algorithm: "EdDSA", Use: "sig"}}})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// token signs good claims with others laid over; nil takes one away.
func (i *issuing) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	now := i.now.Load()
	all := map[string]any{"iss": i.URL, "sub": "subject", "aud": "keyhitch", "iat": now, "exp": now + 600}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return sign(t, jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: i.key, KeyID: i.name}}, all)
}

// sign signs claims; typ: is the type in the header.
func sign(t *testing.T, key jose.SigningKey, claims map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if kind, ok := claims["typ:"].(string); ok {
		claims = maps.Clone(claims)
		delete(claims, "typ:")
		options.WithType(jose.ContentType(kind))
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := json.Marshal(claims)
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCallersAreKnownByTokensOfTheIssuer(t *testing.T) {
	i := newIssuing(t)
	now := i.now.Load()
	for _, tt := range []struct {
		name   string
		claims map[string]any
		want   string
	}{
		{"good", nil, "reports"},
		{"another subject", map[string]any{"sub": "other"}, ""},
		{"no subject", map[string]any{"sub": nil}, ""},
		{"another issuer", map[string]any{"iss": "https://evil.example"}, ""},
		{"another audience", map[string]any{"aud": "other"}, ""},
		{"no audience", map[string]any{"aud": nil}, ""},
		{"several audiences, made for us", map[string]any{"aud": []string{"other", "keyhitch"}, "azp": "keyhitch"}, "reports"},
		{"several audiences, made for another", map[string]any{"aud": []string{"other", "keyhitch"}, "azp": "other"}, ""},
		{"several audiences, made for nobody", map[string]any{"aud": []string{"other", "keyhitch"}}, "reports"},
		{"an access token that another party shows", map[string]any{"aud": []string{"other", "keyhitch"}, "azp": "other", "typ:": "at+jwt"}, "reports"},
		{"an access token of an issuer that writes no type", map[string]any{"aud": []string{"other", "keyhitch"}, "azp": "other", "scope": "read"}, "reports"},
		{"an access token for others", map[string]any{"aud": []string{"other", "third"}, "azp": "keyhitch", "typ:": "application/at+jwt", "scope": "read"}, ""},
		{"an access token without audience", map[string]any{"aud": nil, "client_id": "keyhitch", "typ:": "at+jwt"}, ""},
		{"a plain type", map[string]any{"typ:": "JWT"}, "reports"},
		{"a logout token", map[string]any{"typ:": "logout+jwt"}, ""},
		{"a type in other letters", map[string]any{"typ:": "Application/AT+JWT"}, "reports"},
		{"expired", map[string]any{"exp": now - 1}, ""},
		{"never expires", map[string]any{"exp": nil}, ""},
		{"not yet", map[string]any{"nbf": now + 3600}, ""},
		{"issued tomorrow", map[string]any{"iat": now + 86400}, ""},
		{"issued never", map[string]any{"iat": nil}, ""},
		{"expiry as text", map[string]any{"exp": "tomorrow"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := whoIs(t, i.callers, shown("Bearer "+i.token(t, tt.claims))); got != tt.want {
				t.Errorf("got caller %q, want %q", got, tt.want)
			}
		})
	}
}

func TestForgedTokensAreNobodys(t *testing.T) {
	i := newIssuing(t)
	good := i.token(t, nil)
	parts := strings.Split(good, ".")
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	claims := map[string]any{"iss": i.URL, "sub": "subject", "aud": "keyhitch", "iat": i.now.Load(), "exp": i.now.Load() + 600}
	public := []byte(i.key.Public().(ed25519.PublicKey))
	for name, token := range map[string]string{
		"another key of the same name": sign(t, jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: other, KeyID: "k1"}}, claims),
		"an unknown key":               sign(t, jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: other, KeyID: "k9"}}, claims),
		"signed with the public key":   sign(t, jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: "k1"}}, claims),
		"not signed":                   "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"cut signature":                good[:len(good)-4],
		"other claims":                 parts[0] + "." + strings.Split(i.token(t, map[string]any{"sub": "other"}), ".")[1] + "." + parts[2],
		"too long":                     good + strings.Repeat("A", longestKey),
		"dots":                         "..",
	} {
		if got := whoIs(t, i.callers, shown("Bearer "+token)); got != "" {
			t.Errorf("%s: got caller %q, want nobody", name, got)
		}
	}
}

func TestTheIssuerIsNotAskedForEveryToken(t *testing.T) {
	i := newIssuing(t)
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() { whoIs(t, i.callers, shown("Bearer "+i.token(t, nil))) })
	}
	group.Wait()
	for range 50 {
		whoIs(t, i.callers, shown("Bearer "+sign(t, jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: other, KeyID: "k9"}}, map[string]any{})))
	}
	if got := i.asked.Load(); got != 2 {
		t.Errorf("the issuer was asked %d times, want once for its document and once for its keys", got)
	}
}

func TestANewKeyOfTheIssuerIsFound(t *testing.T) {
	i := newIssuing(t)
	whoIs(t, i.callers, shown("Bearer "+i.token(t, nil)))
	i.mu.Lock()
	_, i.key, _ = ed25519.GenerateKey(rand.Reader)
	i.name = "k2"
	i.mu.Unlock()
	i.now.Add(int64(issuerRest / time.Second))
	got := ""
	for range 1000 { // go-oidc may still be putting the first answer away, and give it once more
		if got = whoIs(t, i.callers, shown("Bearer "+i.token(t, nil))); got != "" {
			break
		}
		runtime.Gosched()
	}
	if got != "reports" || i.asked.Load() != 3 {
		t.Errorf("got caller %q after the keys were changed and %d requests, want reports after one more", got, i.asked.Load())
	}
}

func TestAnIssuerThatIsAwayIsNotTheCallersFault(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"error": status(500),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		},
		"not JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"too large": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte(" "), issuerBytes+1)) },
		"other name": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"https://evil.example"}`))
		},
		"hang up": hangUp,
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuing(t)
			i.Config.ErrorLog = quiet()
			i.misbehave(answer)
			var out bytes.Buffer
			log := logrus.New()
			log.SetOutput(&out)
			i.callers.LogTo(log)
			token := shown("Bearer " + i.token(t, nil))
			for range 10 {
				if c, f, _ := i.callers.identify(token, ""); c != nil || f != faultIssuer {
					t.Fatalf("got %v, %v, want %s", c, f, faultIssuer.Code)
				}
				if got := whoIs(t, i.callers, shown("Bearer key")); got != "key" {
					t.Errorf("got caller %q for a key, want its own", got)
				}
			}
			if i.asked.Load() != 1 || strings.Count(out.String(), "\n") != 1 {
				t.Errorf("asked %d times, log %q, want one of each", i.asked.Load(), out.String())
			}
			i.misbehave(nil)
			i.now.Add(1)
			if got := whoIs(t, i.callers, token); got != "reports" {
				t.Errorf("got caller %q once the issuer is back, want reports", got)
			}
		})
	}
}

func TestPausesGrowWhileTheIssuerIsAway(t *testing.T) {
	i := newIssuing(t)
	i.misbehave(status(500))
	token := shown("Bearer " + i.token(t, map[string]any{"exp": i.now.Load() + 1e6}))
	for range 3600 {
		_, _, _ = i.callers.identify(token, "")
		i.now.Add(1)
	}
	if got := i.asked.Load(); got < 15 || got > 25 {
		t.Errorf("asked %d times in an hour, want about 20", got)
	}
}

func TestKeysAreNotFetchedFromWithin(t *testing.T) {
	for keys, want := range map[string]bool{
		"https://issuer.example/keys": true, "https://keys.example/x": true, "https://issuer.example:444/keys": true,
		"http://issuer.example/keys": false, "http://keys.example/x": false, "https://10.0.0.1/keys": false, "https://[::1]/": false,
		"https://2130706433/": false, "https://0x7f.1/": false, "https://user@keys.example/": false, "file:///etc/keys": false, "": false, "/keys": false,
	} {
		if got := safeKeys("https://issuer.example", keys); got != want {
			t.Errorf("%s: got %t, want %t", keys, got, want)
		}
	}
}

func TestAReloadKeepsTheIssuersKeys(t *testing.T) {
	i := newIssuing(t)
	whoIs(t, i.callers, shown("Bearer "+i.token(t, nil)))
	next, err := NewCallers([]project.Caller{{Name: "reports", Subject: "subject"}}, i.callers.issuer.settings, Targets{})
	if err != nil {
		t.Fatal(err)
	}
	next.Inherit(i.callers)
	if got := whoIs(t, next, shown("Bearer "+i.token(t, nil))); got != "reports" || i.asked.Load() != 2 {
		t.Errorf("got caller %q after %d requests, want reports and none after the reload", got, i.asked.Load())
	}
}

// named gives the issuer a name instead of its address.
func (i *issuing) named(t *testing.T, targets Targets) *Callers {
	t.Helper()
	i.URL = strings.Replace(i.URL, "127.0.0.1", "localhost", 1)
	callers, err := NewCallers([]project.Caller{{Name: "reports", Subject: "subject"}}, project.OIDC{Issuer: i.URL, Audience: "keyhitch"}, targets)
	if err != nil {
		t.Fatal(err)
	}
	return callers
}

func TestTheIssuersNameMayLeadWhereASystemsMay(t *testing.T) {
	i := newIssuing(t)
	callers := i.named(t, Targets{})
	if c, f, _ := callers.identify(shown("Bearer "+i.token(t, nil)), ""); c != nil || f != faultIssuer || i.asked.Load() != 0 {
		t.Errorf("got %v, %v after %d requests, want %s and none", c, f, i.asked.Load(), faultIssuer.Code)
	}
	callers = i.named(t, Targets{Allow: prefixes("127.0.0.0/8", "::1/128")})
	if got := whoIs(t, callers, shown("Bearer "+i.token(t, nil))); got != "reports" {
		t.Errorf("got caller %q where the target is allowed, want reports", got)
	}
}

func TestAReloadWithOtherTargetsAsksTheIssuerAnew(t *testing.T) {
	i := newIssuing(t)
	whoIs(t, i.callers, shown("Bearer "+i.token(t, nil)))
	next, err := NewCallers([]project.Caller{{Name: "reports", Subject: "subject"}}, i.callers.issuer.settings, Targets{Deny: prefixes("10.0.0.0/8")})
	if err != nil {
		t.Fatal(err)
	}
	next.Inherit(i.callers)
	if next.issuer == i.callers.issuer {
		t.Error("the issuer is asked as before the reload, want by the new lists")
	}
}

func TestTheLogSaysWhyATokenIsRefusedButNotTheToken(t *testing.T) {
	i := newIssuing(t)
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	log.SetLevel(logrus.DebugLevel)
	i.callers.LogTo(log)
	good := i.token(t, nil)
	for token, want := range map[string]string{
		i.token(t, map[string]any{"iss": "https://evil.example"}): "issued by a different provider",
		i.token(t, map[string]any{"aud": "other"}):                "expected audience",
		i.token(t, map[string]any{"exp": i.now.Load() - 1}):       "expired",
		i.token(t, map[string]any{"sub": "stranger"}):             "stranger",
		i.token(t, map[string]any{"sub": nil}):                    "names no subject",
		i.token(t, map[string]any{"typ:": "logout+jwt"}):          "other uses",
		good[:strings.LastIndex(good, ".")+1] + "AAAA":            "signature",
		good + strings.Repeat("A", longestKey):                    "too long",
	} {
		out.Reset()
		_, _, _ = i.callers.identify(shown("Bearer "+token), "id-4711")
		line := out.String()
		if !strings.Contains(line, want) || !strings.Contains(line, "request_id=id-4711") || !strings.Contains(line, "level=debug") {
			t.Errorf("got %q, want a line that tells %q", line, want)
		}
		for part := range strings.SplitSeq(token, ".") {
			if len(part) > 10 && strings.Contains(line, part) {
				t.Errorf("the line shows a part of the token: %s", line)
			}
		}
	}
}
