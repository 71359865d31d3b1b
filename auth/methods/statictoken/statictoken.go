// Package statictoken adds a token that is known beforehand, such as an API key, to every call
// (auth_method «static_token»).
package statictoken

import (
	"context"
	"errors"

	"github.com/keyhitch/keyhitch/auth"
)

// Config is the method's settings.
type Config struct {
	Token auth.Secret    // required
	Place auth.Placement // where it goes; required
}

// Validate reports what is missing.
func (c *Config) Validate() error {
	var errs []error
	if c.Token.IsZero() {
		errs = append(errs, errors.New("/token: is required"))
	}
	if c.Place == nil {
		errs = append(errs, errors.New("/auth_field: is required"))
	}
	return errors.Join(errs...)
}

// Open makes the finished headers.
func (c *Config) Open(env auth.Env) (auth.Authenticator, error) {
	env.Redact.Learn(c.Token)
	return auth.NewFixed(c.Place, env)
}

// Plan shows where the token goes; there is no token request.
func (c *Config) Plan(_ context.Context, reveal bool) (auth.Plan, error) {
	return auth.PlanFixed(c.Place, reveal)
}
