package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// longestKey bounds what is hashed or parsed of a key or token.
const longestKey = 16 << 10

// unknownCaller is said whatever was wrong: who guesses learns nothing from it.
const unknownCaller = "show a key of a caller, a client certificate or a token of the issuer"

// identify finds out who calls. A request that shows a key or token is judged by it alone: a
// certificate does not make up for a wrong one. What is wrong with a token, the log says at debug.
func (s *Callers) identify(r *http.Request, id string) (caller *Caller, f *fault, detail string) {
	if s == nil {
		return nil, nil, ""
	}
	shown, found := bearer(r.Header["Authorization"])
	if found {
		caller = s.byKey(shown)
	} else {
		caller = s.byCertificate(r.TLS)
	}
	if caller == nil && found && s.issuer != nil && strings.Count(shown, ".") == 2 {
		var err error
		caller, err = s.byToken(r.Context(), shown)
		switch {
		case errors.As(err, new(*issuerError)):
			return nil, faultIssuer, ""
		case err != nil:
			s.issuer.tellRefused(id, err)
		}
	}
	if caller == nil {
		return nil, faultNoCaller, unknownCaller
	}
	return caller, nil, ""
}

// bearer returns the key or token of an Authorization header (RFC 6750, section 2.1). Two headers
// show nothing: whoever reads the other one would see another caller.
func bearer(values []string) (shown string, found bool) {
	switch len(values) {
	case 0:
		return "", false
	case 1:
		scheme, shown, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false
		}
		return strings.TrimSpace(shown), true
	}
	return "", true
}

// byKey finds the caller of a key. It looks by the first bytes of the key's SHA-256 and compares
// all of them in constant time, for keys that exist and others alike. What time may tell of those
// first bytes helps nobody: keys whose digests begin alike have nothing else in common.
func (s *Callers) byKey(key string) *Caller {
	if key == "" || len(key) > longestKey {
		return nil
	}
	sum := keyDigest(sha256.Sum256([]byte(key)))
	known := s.keys[sum.index()]
	if subtle.ConstantTimeCompare(known.digest[:], sum[:]) != 1 {
		return nil
	}
	return known.caller
}

// byCertificate finds the caller whom a verified client certificate names. A certificate that
// names two callers is nobody's. The common name counts where there is no other name, as in
// RFC 6125, section 6.4.4: authorities check it less.
func (s *Callers) byCertificate(state *tls.ConnectionState) *Caller {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return nil
	}
	leaf := state.VerifiedChains[0][0]
	names := leaf.DNSNames
	for _, u := range leaf.URIs {
		names = append(names[:len(names):len(names)], u.String())
	}
	if len(names) == 0 {
		names = []string{leaf.Subject.CommonName}
	}
	var found *Caller
	for _, name := range names {
		caller := s.certificates[name]
		if caller != nil && found != nil && caller != found {
			return nil
		}
		if caller != nil {
			found = caller
		}
	}
	return found
}

// byToken finds the caller whom a token of the issuer names.
func (s *Callers) byToken(ctx context.Context, token string) (*Caller, error) {
	if len(token) > longestKey {
		return nil, &badToken{"it is too long"}
	}
	subject, err := s.issuer.subject(ctx, token)
	if err != nil {
		return nil, err
	}
	if caller := s.subjects[subject]; caller != nil {
		return caller, nil
	}
	return nil, &badToken{fmt.Sprintf("no caller of the project file has its subject %q", clip(subject, longestName))}
}
