package adapter_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/keyhitch/keyhitch/adapter"
)

// A request that cannot carry the credential is the caller's fault, and costs no login.
func TestCredentialThatDoesNotFitTheBodyCostsNoLogin(t *testing.T) {
	for name, call := range map[string]func(*adapter.Adapter) error{
		"GET":    func(a *adapter.Adapter) error { _, err := callG(t, a); return err },
		"a list": func(a *adapter.Adapter) error { return create(t, a, []any{object{"a": "b"}}) },
		"a text": func(a *adapter.Adapter) error {
			res, err := a.Request(t.Context(), http.MethodPost, "/x", http.Header{"Content-Type": {"text/plain"}}, strings.NewReader("text"))
			if err == nil {
				_ = res.Body.Close()
			}
			return err
		},
		"over a text": func(a *adapter.Adapter) error { return create(t, a, object{"auth": "is a text"}) },
	} {
		for _, timeout := range []int{-1, 600000} {
			f := &fixture{auth: object{"auth_field": "body.auth.token", "auth_field_format": "{token}", "token_timeout": timeout}}
			err := call(f.open(t))
			var wrong *adapter.CallError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "the credential goes into the body") || len(f.log) != 0 {
				t.Errorf("%s: got %v after %v, want a call error and nothing sent", name, err, f.log)
			}
		}
	}
}

func create(t *testing.T, a *adapter.Adapter, payload any) error {
	_, err := a.Call(t.Context(), "widget", "createWidget", adapter.Input{Payload: payload})
	return err
}
