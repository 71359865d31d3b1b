// Package noauth adds nothing (auth_method «no_authentication»): the system asks for nothing, or
// the caller brings what it needs.
package noauth

import (
	"context"
	"net/http"

	"github.com/keyhitch/keyhitch/auth"
)

// Config has no settings.
type Config struct{}

// Validate finds nothing.
func (*Config) Validate() error { return nil }

// Open returns an authenticator that changes nothing.
func (*Config) Open(auth.Env) (auth.Authenticator, error) { return authenticator{}, nil }

// Plan adds nothing either.
func (*Config) Plan(context.Context, bool) (auth.Plan, error) {
	return auth.Plan{Auth: authenticator{}}, nil
}

type authenticator struct{}

// Apply leaves the request as it is.
func (authenticator) Apply(*http.Request) (auth.Stamp, error) { return 0, nil }
