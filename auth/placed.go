package auth

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
)

// Fixed is an Authenticator that writes the same injection on every request.
type Fixed struct{ in Injection }

// NewFixed renders p once, without a token.
func NewFixed(p Placement, env Env) (*Fixed, error) {
	in, err := p.Render(Token{})
	if err != nil {
		return nil, err
	}
	env.Redact.Learn(in.secrets()...)
	return &Fixed{in}, nil
}

// PlanFixed is the Plan of a method without token requests.
func PlanFixed(p Placement, reveal bool) (Plan, error) {
	if !reveal {
		p = p.Masked()
	}
	fixed, err := NewFixed(p, Env{})
	return Plan{Auth: fixed}, err
}

// Apply writes the credentials.
func (f *Fixed) Apply(req *http.Request) (Stamp, error) { return 0, f.in.Apply(req) }

func (f *Fixed) headersOnly() bool { return f.in.inPlace() }

// secrets are what goes out, as it goes out.
func (in *Injection) secrets() []Secret {
	var list []Secret
	for _, h := range in.headers {
		_, value, found := strings.Cut(h.values[0], " ")
		if !found {
			value = h.values[0]
		}
		list = append(list, NewSecret(value))
	}
	for _, f := range in.body {
		list = append(list, NewSecret(f.value))
	}
	return list
}

// Placed is the Authenticator of every method that has a token: it takes the token from Source
// and writes it as Placement says, rendered once per token.
type Placed struct {
	Source    *CachedSource
	Placement Placement
	Redact    *Redactor
	rendered  atomic.Pointer[rendered]
}

type rendered struct {
	snap *snapshot
	in   Injection
}

// Apply writes the current token.
func (p *Placed) Apply(req *http.Request) (Stamp, error) {
	if p.Source.current.Load() == nil {
		if err := fits(p.Placement, req); err != nil {
			return 0, err // before a login that would be for nothing
		}
	}
	snap, err := p.Source.get(req.Context())
	if err != nil {
		return 0, err
	}
	r, err := p.of(snap)
	if err != nil && snap.token.fromCache && p.Source.Invalidate(Stamp(snap.token.Generation)) {
		if snap, err = p.Source.get(req.Context()); err == nil { // a cached token that is none here
			r, err = p.of(snap)
		}
	}
	if err != nil {
		return 0, err
	}
	return Stamp(snap.token.Generation), r.in.Apply(req)
}

// of returns what is written of a token: rendered before, or now.
func (p *Placed) of(snap *snapshot) (*rendered, error) {
	if r := p.rendered.Load(); r != nil && r.snap == snap {
		return r, nil
	}
	return p.render(snap)
}

// headersOnly looks at what the placement wrote last; before the first token it is not known.
func (p *Placed) headersOnly() bool {
	r := p.rendered.Load()
	return r != nil && r.in.inPlace()
}

func (p *Placed) render(snap *snapshot) (*rendered, error) {
	in, err := p.Placement.Render(snap.token)
	if err != nil {
		return nil, &TokenError{Reason: err.Error()}
	}
	p.Redact.learnTokens(in.secrets()...)
	for _, value := range snap.token.Values { // somebody else may have asked for it
		p.Redact.learnTokens(value)
	}
	r := &rendered{snap, in}
	p.rendered.Store(r)
	return r, nil
}

// Invalidate drops the refused token if it is still the current one; false: no other token would do.
func (p *Placed) Invalidate(_ context.Context, refused Stamp) bool {
	return p.Source.Invalidate(refused)
}

// fits reports whether a request can carry what the placement writes into bodies, by writing a
// stand-in into a copy. A stream is not read for that.
func fits(p Placement, req *http.Request) error {
	in, err := p.Masked().Render(Token{Values: map[string]Secret{"token": Unknown("token"), "tokenp2": Unknown("tokenp2")}})
	if err != nil || len(in.body) == 0 {
		return nil // what is wrong with the token is found when there is one
	}
	probe := copyRequest(req)
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return nil
		}
		if probe.Body, err = req.GetBody(); err != nil {
			return err
		}
	}
	return patchBody(probe, in.body)
}

// PerCall is the Authenticator of a token that is asked for before every call: nothing is
// shared and nobody waits for another.
type PerCall struct {
	Source    TokenSource
	Placement Placement
	Redact    *Redactor
}

// Apply asks for a token under the request's own context and writes it.
func (p *PerCall) Apply(req *http.Request) (Stamp, error) {
	if err := fits(p.Placement, req); err != nil {
		return 0, err
	}
	token, err := p.Source.Token(req.Context())
	if err != nil {
		return 0, err
	}
	if err := token.check(); err != nil {
		return 0, &TokenError{Reason: err.Error()}
	}
	for _, value := range token.Values {
		p.Redact.learnTokens(value)
	}
	in, err := p.Placement.Render(token)
	if err != nil {
		return 0, &TokenError{Reason: err.Error()}
	}
	p.Redact.learnTokens(in.secrets()...)
	return 1, in.Apply(req)
}

// Invalidate reports that another try brings another token.
func (p *PerCall) Invalidate(context.Context, Stamp) bool { return true }
