package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/sirupsen/logrus"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/project"
)

// issuer checks callers' tokens: signature, issuer, audience and times. Its discovery document is
// read when the first token comes, its keys again when a token names one that is not known.
type issuer struct {
	settings project.OIDC
	now      func() time.Time
	wire     *issuerWire
	turn     chan struct{} // held by whoever reads the discovery document
	keys     atomic.Pointer[oidc.RemoteKeySet]
}

func newIssuer(settings project.OIDC) *issuer {
	w := &issuerWire{own: auth.NewBase(), others: GuardedBase(nil, nil), now: time.Now, visits: map[string]visit{}}
	if u, err := url.Parse(settings.Issuer); err == nil {
		w.host = u.Host
	}
	return &issuer{settings: settings, now: time.Now, turn: make(chan struct{}, 1), wire: w}
}

// logTo has the reasons logged for which tokens cannot be checked.
func (i *issuer) logTo(log logrus.FieldLogger) { i.wire.log.Store(&log) }

// errBadToken stands for everything that can be wrong with a token: nobody is told what.
var errBadToken = errors.New("the token is not good here")

// signatures are the algorithms that are accepted: none that shares its key with the issuer
// (HS256), and not none.
var signatures = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// subject returns whom a good token names. A token that could not be checked is an *issuerError.
func (i *issuer) subject(ctx context.Context, token string) (string, error) {
	keys, err := i.keySet(ctx)
	if err != nil {
		return "", err
	}
	watched := &watchedKeys{KeySet: keys}
	good, err := oidc.NewVerifier(i.settings.Issuer, watched,
		&oidc.Config{ClientID: i.settings.Audience, SupportedSigningAlgs: signatures, Now: i.now}).Verify(ctx, token)
	var down *issuerError
	switch {
	case errors.As(watched.err, &down) && !down.lately:
		return "", down
	case err != nil || !i.fits(good):
		return "", errBadToken
	}
	return good.Subject, nil
}

// clockSkew is how far the issuer's clock may be ahead.
const clockSkew = 5 * time.Minute

// fits checks what go-oidc leaves to us: that the token was issued, to somebody, before now, and,
// where it is for several audiences, that it was made for us (OpenID Connect Core, section 3.1.3.7).
func (i *issuer) fits(token *oidc.IDToken) bool {
	var claims struct {
		Party string `json:"azp"`
	}
	if token.Claims(&claims) != nil || token.Subject == "" || token.IssuedAt.Unix() <= 0 {
		return false
	}
	return token.IssuedAt.Before(i.now().Add(clockSkew)) && (len(token.Audience) == 1 || claims.Party == i.settings.Audience)
}

// watchedKeys remembers why the keys could not be had, which go-oidc's error does not carry.
type watchedKeys struct {
	oidc.KeySet
	err error
}

// VerifySignature checks the signature with the issuer's keys.
func (w *watchedKeys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := w.KeySet.VerifySignature(ctx, token)
	w.err = err
	return payload, err
}

// keySet returns the issuer's keys, after reading its discovery document once. One request does
// so; the others wait for it, each under his own context.
func (i *issuer) keySet(ctx context.Context) (*oidc.RemoteKeySet, error) {
	if keys := i.keys.Load(); keys != nil {
		return keys, nil
	}
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if keys := i.keys.Load(); keys != nil {
		return keys, nil
	}
	keys, err := i.discover()
	if err == nil {
		i.keys.Store(keys)
	}
	return keys, err
}

// discover reads the discovery document (OpenID Connect Discovery, section 4), not under a
// caller's context: his leaving must not take it from the others.
func (i *issuer) discover() (*oidc.RemoteKeySet, error) {
	ctx := oidc.ClientContext(context.Background(), &http.Client{Transport: i.wire})
	document := strings.TrimSuffix(i.settings.Issuer, "/") + "/.well-known/openid-configuration"
	provider, err := oidc.NewProvider(ctx, i.settings.Issuer)
	var down *issuerError
	switch {
	case errors.As(err, &down):
		return nil, down
	case errors.As(err, new(*oidc.IssuerMismatchError)):
		return nil, i.wire.unusable(document, errors.New("names another issuer than gateway.oidc.issuer; the two must be the same to the letter"))
	case err != nil:
		return nil, i.wire.unusable(document, errors.New("is no discovery document"))
	}
	var named struct {
		Keys string `json:"jwks_uri"`
	}
	if provider.Claims(&named) != nil || !safeKeys(i.settings.Issuer, named.Keys) {
		return nil, i.wire.unusable(document, errors.New("names no jwks_uri that may be asked: the issuer's own origin, or another host by its name over https"))
	}
	return oidc.NewRemoteKeySet(ctx, named.Keys), nil
}

// safeKeys reports whether keys may be read from a URL that the issuer names: its own origin, or
// another host by name over TLS. The document must not lead us to an address within.
func safeKeys(issuer, keys string) bool {
	own, _ := url.Parse(issuer) // was parsed at load
	u, err := url.Parse(keys)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	return auth.OriginOf(own).Holds(u) || u.Scheme == "https" && !isAddress(u.Hostname())
}

// same reports whether what is known of other holds for i.
func (i *issuer) same(other *issuer) bool {
	return i != nil && other != nil && i.settings == other.settings
}
