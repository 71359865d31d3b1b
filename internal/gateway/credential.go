package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
)

// credentialEntity stands for an entity in the allow rules of credentials: a caller may show,
// refresh or drop one with the rule acme/.credential/show, and so on. A token that is renewed or
// dropped concerns everybody, so that a rule for some entity is not enough.
const credentialEntity = ".credential"

// tokenLine is one cached token as `keyhitch token show -o json` prints it; never the value.
type tokenLine struct {
	Adapter     string   `json:"adapter"`
	User        string   `json:"user"`
	Fingerprint string   `json:"fingerprint"`
	Obtained    string   `json:"obtained"`
	Expires     string   `json:"expires,omitempty"`
	Source      string   `json:"source"`
	Tokens      []string `json:"tokens"`
}

func lineOf(info auth.TokenInfo) tokenLine {
	line := tokenLine{Adapter: info.Owner, User: info.User, Fingerprint: info.Fingerprint,
		Obtained: info.Obtained.UTC().Format(time.RFC3339), Source: info.Where, Tokens: info.Names}
	if !info.Expires.IsZero() {
		line.Expires = info.Expires.UTC().Format(time.RFC3339)
	}
	return line
}

// operates reports whether the caller is one of those who look after the adapter's credential.
func (x *exchange) operates() bool { return x.caller.mayCall(x.adapter, credentialEntity, "show") }

// mayCredential reports whether the caller may do what he wants, or tells him that he may not.
func (x *exchange) mayCredential(what string) bool {
	if x.caller.mayCall(x.adapter, credentialEntity, what) {
		return true
	}
	x.fail(faultForbidden, fmt.Sprintf("no allow rule covers %s/%s/%s", x.adapter, credentialEntity, what))
	return false
}

func (x *exchange) showCredential(r *http.Request, a *adapter.Adapter) {
	if !x.mayCredential("show") {
		return
	}
	lines := []tokenLine{}
	for _, info := range a.Tokens(r.Context()) {
		lines = append(lines, lineOf(info))
	}
	x.answer(lines)
}

// refreshCredential asks for a new token. After a failure it rests as the engine does: the engine
// itself takes such a request for an operator's, who knows what he does, and would ask every time.
func (x *exchange) refreshCredential(r *http.Request, a *adapter.Adapter) {
	if !x.mayCredential("refresh") {
		return
	}
	now := x.gateway.now()
	if v := x.health.of(x.adapter); now.Before(v.resume) {
		err := fmt.Errorf("%w; not asked again for %s", v.err, v.resume.Sub(now).Round(time.Millisecond))
		x.failOperator(err, v.resume.Sub(now))
		return
	}
	_, info, err := a.RefreshToken(r.Context())
	if !errors.Is(err, adapter.ErrNoToken) && r.Context().Err() == nil {
		before, after := x.health.note(x.adapter, x.gateway.now(), err)
		x.gateway.tell(x.adapter, before, after)
	}
	if err != nil {
		x.failOperator(err, restOf(err))
		return
	}
	x.answer([]tokenLine{lineOf(info)})
}

// failOperator tells the whole cause, and how long nobody asks again: whoever may renew a token is
// to find out why that fails.
func (x *exchange) failOperator(err error, wait time.Duration) {
	if f := faultOf(err); f != faultInternal {
		x.failFor(f, err.Error(), wait)
		return
	}
	x.failWith(err)
}

// dropCredential forgets the token. Where none is kept there is nothing to forget.
func (x *exchange) dropCredential(r *http.Request, a *adapter.Adapter) {
	if !x.mayCredential("drop") {
		return
	}
	if err := a.DropToken(r.Context()); err != nil && !errors.Is(err, adapter.ErrNoToken) {
		x.failWith(err)
		return
	}
	x.w.Header().Set("Cache-Control", "no-store")
	x.w.WriteHeader(http.StatusNoContent)
}
