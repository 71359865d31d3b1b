// Package dialects lists the spellings of authentication settings.
package dialects

import (
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
)

// All is the one place where a dialect is registered.
var All = map[string]auth.Dialect{
	"iap":  iap.Dialect{},
	"port": port.Dialect{},
}
