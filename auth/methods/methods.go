// Package methods lists the ways to authenticate.
package methods

import (
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/methods/basic"
	"github.com/keyhitch/keyhitch/auth/methods/custom"
	"github.com/keyhitch/keyhitch/auth/methods/noauth"
	"github.com/keyhitch/keyhitch/auth/methods/requesttoken"
	"github.com/keyhitch/keyhitch/auth/methods/statictoken"
)

// All is the one place where a method is registered.
var All = auth.Methods{
	"basic":             func() auth.Config { return new(basic.Config) },
	"custom":            func() auth.Config { return new(custom.Config) },
	"no_authentication": func() auth.Config { return new(noauth.Config) },
	"request_token":     func() auth.Config { return new(requesttoken.Config) },
	"static_token":      func() auth.Config { return new(statictoken.Config) },
}
