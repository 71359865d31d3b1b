package adapter

import (
	"context"
	"fmt"
	"io"
	"net/http"
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
// bring is written {token}; secrets are [redacted] unless reveal is set.
func (a *Adapter) Plan(ctx context.Context, entity, action string, input Input, reveal bool) ([]Planned, error) {
	b, in, err := a.prepare(ctx, entity, action, input)
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", entity, action, err)
	}
	return in.plan(ctx, b.req, reveal)
}

// PlanRequest says what Request would send.
func (a *Adapter) PlanRequest(ctx context.Context, method, path string, header http.Header, body io.Reader, reveal bool) ([]Planned, error) {
	req, err := a.newRequest(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	return a.main.plan(ctx, req, reveal)
}

func (in *instance) plan(ctx context.Context, req *http.Request, reveal bool) ([]Planned, error) {
	plan, err := in.spec.Config.Plan(ctx, reveal)
	if err != nil {
		return nil, err
	}
	var list []Planned
	for _, token := range plan.Requests {
		p, err := in.planned("token", token, reveal)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if _, err := plan.Auth.Apply(req); err != nil {
		return nil, err
	}
	p, err := in.planned("call", req, reveal)
	return append(list, p), err
}

func (in *instance) planned(purpose string, req *http.Request, reveal bool) (Planned, error) {
	p := Planned{Purpose: purpose, Method: req.Method, URL: readable(req.URL.String()), Headers: map[string][]string{}}
	for name, values := range req.Header {
		if !reveal && in.sensitive(name) && !standsIn(values) {
			values = []string{"[redacted]"}
		}
		p.Headers[name] = values
	}
	if req.Body == nil || req.Body == http.NoBody {
		return p, nil
	}
	data, err := io.ReadAll(io.LimitReader(req.Body, maxPlanned))
	p.Body = readable(string(data))
	return p, err
}

// sensitive reports whether a name says secret, or the operator does.
func (in *instance) sensitive(name string) bool {
	return auth.SensitiveName(name) || slices.ContainsFunc(in.spec.Sensitive, func(s string) bool { return strings.EqualFold(s, name) })
}

// standsIn reports whether the values already show no secret, but where it would go.
func standsIn(values []string) bool {
	return len(values) == 1 && (strings.Contains(values[0], "[redacted]") || strings.Contains(values[0], "{token") || values[0] == "")
}

// readable writes stand-ins plainly where encoding has hidden them.
func readable(s string) string {
	return strings.NewReplacer("%5Bredacted%5D", "[redacted]", "%7Btoken%7D", "{token}", "%7Btokenp2%7D", "{tokenp2}").Replace(s)
}
