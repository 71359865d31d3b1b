package adapter

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
)

// Transport adds the adapter's credentials to requests for its origin, for who builds requests
// himself. Its Base is the wire that the adapter sends over; it must not be changed.
func (a *Adapter) Transport() *auth.Transport { return a.main.transport }

// BaseURL is where the paths of Request begin: the origin, and a path where the dialect has one.
func (a *Adapter) BaseURL() *url.URL {
	u := *a.main.base
	u.RawPath = a.main.prefix
	if plain, err := url.PathUnescape(a.main.prefix); err == nil {
		u.Path = plain
	}
	return &u
}

// Sendable reports why nothing may be sent with this configuration; nil when it may.
func (a *Adapter) Sendable() error { return a.main.sendable() }

// Places names the headers and query parameters that hold credentials: a request's own values
// there would be replaced, or take their place where the configuration says so.
func (a *Adapter) Places() (headers, query []string, err error) {
	plan, err := a.main.spec.Config.Plan(context.Background(), false)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequest(http.MethodPost, a.main.base.String()+"/", strings.NewReader("{}"))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if _, err := plan.Auth.Apply(req); err != nil {
		return nil, nil, err
	}
	delete(req.Header, "Content-Type")
	return slices.Sorted(maps.Keys(req.Header)), slices.Sorted(maps.Keys(req.URL.Query())), nil
}
