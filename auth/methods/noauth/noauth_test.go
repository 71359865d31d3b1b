package noauth_test

import (
	"testing"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/authtest"
	"github.com/keyhitch/keyhitch/auth/methods/noauth"
)

func TestConformance(t *testing.T) {
	authtest.Run(t, authtest.Harness{New: func() auth.Config { return new(noauth.Config) }})
}
