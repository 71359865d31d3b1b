package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
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
	targets  Targets
	now      func() time.Time
	wire     *issuerWire
	turn     chan struct{} // held by whoever reads the discovery document
	keys     atomic.Pointer[oidc.RemoteKeySet]
}

func newIssuer(settings project.OIDC, targets Targets) *issuer {
	w := &issuerWire{base: GuardedBase(targets.Allow, targets.Deny, issuerTime), now: time.Now, visits: map[string]visit{}}
	return &issuer{settings: settings, targets: targets, now: time.Now, turn: make(chan struct{}, 1), wire: w}
}

// logTo has the reasons logged for which tokens cannot be checked.
func (i *issuer) logTo(log logrus.FieldLogger) { i.wire.log.Store(&log) }

// longestReason bounds what a token's claims add to the log.
const longestReason = 300

// tellRefused logs why a token lets nobody in.
func (i *issuer) tellRefused(id string, err error) {
	if log := i.wire.log.Load(); log != nil {
		(*log).WithField("request_id", id).Debug("a caller's token is refused: " + clip(err.Error(), longestReason))
	}
}

// badToken says what is wrong with a token. Only the log hears it.
type badToken struct{ reason string }

// Error returns the reason. It may quote claims, which nobody has vouched for, but not the token.
func (e *badToken) Error() string { return e.reason }

// signatures are the algorithms that are accepted: none that shares its key with the issuer
// (HS256), and not none.
var signatures = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// subject returns whom a good token names. Its error is a *badToken, or an *issuerError where the
// token could not be checked.
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
	case err != nil:
		return "", &badToken{err.Error()}
	}
	if reason := i.misfit(token, good); reason != "" {
		return "", &badToken{reason}
	}
	return good.Subject, nil
}

// clockSkew is how far the issuer's clock may be ahead.
const clockSkew = 5 * time.Minute

// tokenTypes are the kinds of token (RFC 8725, section 3.11) that a caller may show; "" is a token
// that does not say. Others, such as logout tokens, are signed by the same issuer for other uses.
var tokenTypes = []string{"", "jwt", "jose", accessToken}

// accessToken is the type of an access token (RFC 9068, section 2.1).
const accessToken = "at+jwt"

// typeOf is the type in a token's header, whose signature is good.
func typeOf(token string) string {
	var header struct {
		Type string `json:"typ"`
	}
	first, _, _ := strings.Cut(token, ".")
	data, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || json.Unmarshal(data, &header) != nil {
		return "unreadable"
	}
	return strings.TrimPrefix(strings.ToLower(header.Type), "application/") // RFC 7515, section 4.1.9
}

// misfit says what is wrong that go-oidc leaves to us: a token was issued, to somebody, before now,
// and is no ID token of another party. That our audience is in it has been checked.
func (i *issuer) misfit(raw string, token *oidc.IDToken) string {
	kind := typeOf(raw)
	switch {
	case !slices.Contains(tokenTypes, kind):
		return "its typ says that it is for other uses"
	case token.Subject == "":
		return "it names no subject"
	case token.IssuedAt.Unix() <= 0:
		return "it does not say when it was issued"
	case !token.IssuedAt.Before(i.now().Add(clockSkew)):
		return "it was issued later than now; compare the clocks"
	case kind != accessToken && len(token.Audience) > 1 && i.isOfAnother(token):
		return "it is an ID token that another party was given (azp)"
	}
	return ""
}

// isOfAnother reports whether a token for several audiences is an ID token that another party was
// given (OpenID Connect Core, section 3.1.3.7). An access token's azp is the party that shows it
// here; many issuers write no at+jwt, but client_id or scope, which ID tokens do not have.
func (i *issuer) isOfAnother(token *oidc.IDToken) bool {
	var claims struct {
		Party  any `json:"azp"`
		Client any `json:"client_id"`
		Scope  any `json:"scope"`
	}
	if token.Claims(&claims) != nil {
		return true
	}
	return claims.Client == nil && claims.Scope == nil && claims.Party != nil && claims.Party != i.settings.Audience
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
	return i != nil && other != nil && i.settings == other.settings && i.targets.same(other.targets)
}
