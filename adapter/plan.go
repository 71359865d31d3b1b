package adapter

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
)

// Planned is one request that would be sent.
type Planned struct {
	Purpose string              `json:"purpose"` // token or call
	Method  string              `json:"method"`
	URL     string              `json:"url"`
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body"`
}

// maxPlanned bounds how much of a body a plan shows.
const maxPlanned = 1 << 20

// Plan says what Call would send, in order, and sends nothing. A value that only an answer can
// bring is written {token}; unless reveal is set, values whose names say secret and known secrets
// are [redacted].
func (a *Adapter) Plan(ctx context.Context, entity, action string, input Input, reveal bool) ([]Planned, error) {
	b, in, err := a.prepare(ctx, entity, action, input)
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", entity, action, err)
	}
	return a.plan(ctx, in, b.req, reveal)
}

// PlanRequest says what Request would send.
func (a *Adapter) PlanRequest(ctx context.Context, method, path string, header http.Header, body io.Reader, reveal bool) ([]Planned, error) {
	req, err := a.newRequest(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	return a.plan(ctx, a.main, req, reveal)
}

// Login names the adapter's method, and says whether its credentials come from a token request.
func (a *Adapter) Login() (method string, needed bool) {
	switch a.main.auth.(type) {
	case *auth.Placed, *auth.PerCall:
		needed = true
	}
	return a.main.spec.Method, needed
}

func (a *Adapter) plan(ctx context.Context, in *instance, req *http.Request, reveal bool) ([]Planned, error) {
	plan, err := in.spec.Config.Plan(ctx, reveal)
	if err != nil {
		return nil, err
	}
	veil := &veil{secret: in.sensitive, scrub: a.env.Redact.Scrub}
	if reveal {
		veil = nil
	}
	var list []Planned
	for _, token := range plan.Requests {
		p, err := veil.planned("token", token, veil)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if err := veil.caller(req); err != nil {
		return nil, err
	}
	if _, err := plan.Auth.Apply(req); err != nil {
		return nil, err
	}
	p, err := veil.planned("call", req, nil)
	p.Body = veil.merged(p.Body, req.Header.Get("Content-Type"))
	return append(list, p), err
}

// planned shows a request; body hides what the body still shows.
func (v *veil) planned(purpose string, req *http.Request, body *veil) (Planned, error) {
	p := Planned{Purpose: purpose, Method: req.Method, URL: readable(v.url(req.URL)),
		Headers: v.headers(req.Header)}
	if req.Body == nil || req.Body == http.NoBody {
		return p, nil
	}
	data, err := io.ReadAll(io.LimitReader(req.Body, maxPlanned))
	p.Body = readable(body.body(string(data), req.Header.Get("Content-Type")))
	return p, err
}

// sensitive reports whether a name says secret, or the operator does.
func (in *instance) sensitive(name string) bool {
	return auth.SensitiveName(name) || slices.ContainsFunc(in.spec.Sensitive, func(s string) bool { return strings.EqualFold(s, name) })
}

// headers hides the values of headers, by name and then by value.
func (v *veil) headers(header http.Header) http.Header {
	if v == nil {
		return maps.Clone(header)
	}
	out := http.Header{}
	for name, values := range header {
		out[name] = make([]string, len(values))
		for i, value := range values {
			out[name][i] = v.value(name, value)
		}
	}
	return out
}

// encoded finds stand-ins that encoding has hidden.
var encoded = regexp.MustCompile(`%5Bredacted%5D|%7B(token|tokenp2|(%24\w+|\.)[^&]*?)%7D`)

// readable writes stand-ins plainly.
func readable(s string) string {
	return encoded.ReplaceAllStringFunc(s, unescaped)
}
