// Package basic adds a user name and password to every call (auth_method «basic user_password»),
// usually as HTTP Basic authentication (RFC 7617), but wherever the placement says.
package basic

import (
	"context"
	"errors"

	"github.com/keyhitch/keyhitch/auth"
)

// Config is the method's settings.
type Config struct {
	Username auth.Secret    // who we are to the system; required
	Password auth.Secret    // required
	Place    auth.Placement // where both go; required
}

// Validate reports what is missing.
func (c *Config) Validate() error {
	var errs []error
	if c.Username.IsZero() {
		errs = append(errs, errors.New("/username: is required"))
	}
	if c.Password.IsZero() {
		errs = append(errs, errors.New("/password: is required"))
	}
	if c.Place == nil {
		errs = append(errs, errors.New("/auth_field: is required"))
	}
	return errors.Join(errs...)
}

// Open makes the finished headers.
func (c *Config) Open(env auth.Env) (auth.Authenticator, error) {
	env.Redact.Learn(c.Password)
	return auth.NewFixed(c.Place, env)
}

// Plan shows where the credentials go; there is no token request.
func (c *Config) Plan(_ context.Context, reveal bool) (auth.Plan, error) {
	return auth.PlanFixed(c.Place, reveal)
}
