package iap_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects/dialecttest"
	"github.com/keyhitch/keyhitch/auth/dialects/iap"
	"github.com/keyhitch/keyhitch/auth/methods/requesttoken"
)

func TestConformance(t *testing.T) {
	dialecttest.Run(t, iap.Dialect{}, os.DirFS("testdata"), "basic", "static-header", "static-query", "static-body",
		"token-header", "token-query", "token-body", "token-pair", "none", "client-credentials")
}

// noRequest is a definition whose token request is never made.
type noRequest struct{ auth.TokenRequest }

func parse(raw map[string]any) (auth.Spec, error) {
	return iap.Dialect{}.Parse(auth.Source{Raw: raw, At: "/properties/authentication",
		Declared: func(auth.Login) (auth.TokenRequest, error) { return noRequest{}, nil }})
}

func TestParseReportsProblemsWithTheirPlace(t *testing.T) {
	at := "/properties/authentication"
	for _, tt := range []struct {
		name string
		raw  map[string]any
		want string // line of the error; with "note " in front, a note
	}{
		{"unknown method", map[string]any{"auth_method": "basic"}, at + `/auth_method: must be one of`},
		{"method that is not built", map[string]any{"auth_method": "jwt_token"}, at + "/auth_method: jwt_token is not built yet"},
		{"basic without a password", map[string]any{"auth_method": "basic user_password", "username": "a"}, at + "/password: is required"},
		{"static without a token", map[string]any{"auth_method": "static_token"}, at + "/token: is required"},
		{"unclosed block", map[string]any{"auth_method": "static_token", "token": "x", "auth_field_format": "{b64}{token}"}, at + "/auth_field_format: the {b64} block before character"},
		{"unclosed block in a list", map[string]any{"auth_method": "static_token", "token": "x", "auth_field": []any{"url", "urlpath"}, "auth_field_format": []any{"{token}", "{b64}"}},
			at + "/auth_field_format/1: the {b64} block before character"},
		{"unknown place", map[string]any{"auth_method": "static_token", "token": "x", "auth_field": "headers.X"}, at + `/auth_field: "headers.X" is no place`},
		{"timeout too small", map[string]any{"auth_method": "request_token", "token_timeout": json.Number("-2")}, at + "/token_timeout: must be"},
		{"unknown name", map[string]any{"auth_method": "static_token", "token": "x", "auth_field_format": "{tokn}"}, "note " + at + "/auth_field_format: {tokn} is no known name"},
		{"surplus formats", map[string]any{"auth_method": "static_token", "token": "x", "auth_field_format": []any{"a", "b"}}, "note " + at + "/auth_field_format: there are 2 formats for 1 fields"},
		{"unknown setting", map[string]any{"auth_method": "no_authentication", "token_timout": json.Number("1")}, "note " + at + `/token_timout: is not a known property; did you mean "token_timeout"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec, err := parse(tt.raw)
			text := ""
			for _, n := range spec.Notes {
				text += "note " + n.Pointer + ": " + n.Reason + "\n"
			}
			if err != nil {
				text += err.Error()
			}
			if !strings.Contains(text, tt.want) {
				t.Errorf("got %q, want %q in it", text, tt.want)
			}
			if isNote := strings.HasPrefix(tt.want, "note "); isNote && err != nil {
				t.Errorf("got error %v, want a note only", err)
			}
		})
	}
}

func TestSettingsReachTheMethod(t *testing.T) {
	spec, err := parse(map[string]any{"auth_method": "request_token", "token_timeout": json.Number("50000"), "token_margin": json.Number("1500"),
		"invalid_token_error": []any{json.Number("401"), json.Number("419")}, "invalid_token_resubmits": json.Number("2"), "token_cache": "redis"})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := spec.Config.(*requesttoken.Config)
	if !ok || c.Timeout != 50*time.Second || c.Margin == nil || *c.Margin != 1500*time.Millisecond {
		t.Errorf("config %+v, want a timeout of 50s and a margin of 1.5s", spec.Config)
	}
	if len(spec.Refused) != 2 || spec.Refused[1] != 419 || spec.Resubmits != 2 || !spec.Shared || spec.Method != "request_token" {
		t.Errorf("spec %+v, want both codes, two resubmissions, shared", spec)
	}
}
