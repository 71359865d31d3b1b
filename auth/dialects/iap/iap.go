// Package iap reads the authentication object of an adapter's service instance:
//
//	{"auth_method": "request_token", "username": …, "auth_field": "header.headers.Authorization",
//	 "auth_field_format": "Bearer {token}", "token_timeout": 600000, …}
//
// The token request of request_token is declared elsewhere, by the action .system/getToken; the
// adapter hands it over as Source.Declared.
package iap

import (
	"fmt"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/methods/basic"
	"github.com/keyhitch/keyhitch/auth/methods/noauth"
	"github.com/keyhitch/keyhitch/auth/methods/requesttoken"
	"github.com/keyhitch/keyhitch/auth/methods/statictoken"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// Dialect is the iap spelling of authentication settings.
type Dialect struct{}

// Name returns iap.
func (Dialect) Name() string { return "iap" }

// Shape is the struct that the block becomes, for who assigns single settings.
func (Dialect) Shape() any { return Authentication{} }

// Parse reads the block. Its error is settings.Problems with every problem in it.
func (Dialect) Parse(src auth.Source) (auth.Spec, error) {
	p := parser{src: src}
	p.problems = settings.Decode(src.Raw, src.At, &p.block)
	if p.problems.Fatal() {
		return auth.Spec{Notes: p.notes()}, p.problems.Err()
	}
	spec := auth.Spec{Refused: p.block.InvalidTokenError, Resubmits: p.block.InvalidTokenResubmits,
		Shared: p.block.TokenCache == "redis", Sensitive: p.block.Sensitive}
	spec.Method, spec.Config = p.method()
	if !p.problems.Fatal() {
		if err := spec.Config.Validate(); err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				pointer, reason, _ := strings.Cut(line, ": ")
				p.problem(pointer, "%s", reason)
			}
		}
	}
	spec.Notes = p.notes()
	return spec, p.problems.Err()
}

// parser holds one block on its way to a Spec.
type parser struct {
	src      auth.Source
	block    Authentication
	problems settings.Problems
}

func (p *parser) method() (string, auth.Config) {
	b := &p.block
	switch b.AuthMethod {
	case "basic user_password", "basic_user_password":
		place := p.place(p.fixed(b.Token))
		if place.Uses("token") && b.Token.IsZero() {
			p.warn("/auth_field_format", "uses {token}, which this method does not have; write {username} and {password}")
		}
		return "basic", &basic.Config{Username: b.Username, Password: b.Password, Place: place}
	case "static_token":
		return "static_token", &statictoken.Config{Token: b.Token, Place: p.place(p.fixed(b.Token))}
	case "request_token":
		return "request_token", p.requestToken()
	case "no_authentication":
		return "no_authentication", new(noauth.Config)
	}
	p.problem("/auth_method", "%s is not built yet; use basic user_password, static_token, request_token or no_authentication", b.AuthMethod)
	return "", nil
}

func (p *parser) requestToken() auth.Config {
	b := &p.block
	fixed := map[string]auth.Secret{"username": b.Username, "password": b.Password}
	place := p.place(fixed, "tokenp2")
	c := &requesttoken.Config{
		User: b.Username, Secrets: []auth.Secret{b.Password, b.ClientSecret}, Owner: p.src.Owner,
		Place: place, Second: place.Uses("tokenp2"), Timeout: lifetime(b.TokenTimeout), Tries: 1 + b.InvalidTokenResubmits,
	}
	if b.TokenMargin != nil {
		margin := milliseconds(*b.TokenMargin)
		c.Margin = &margin
	}
	if b.AuthLogging {
		p.warn("/auth_logging", "has no effect: --explain tells what happens, and secrets are never logged")
	}
	if b.RefreshTokenRequest != nil {
		p.warn("/refresh_token_request", "refresh tokens are not used yet; the full login is made instead")
	}
	if p.src.Declared == nil {
		return c // Validate says what is missing
	}
	request, err := p.src.Declared(p.login())
	if err != nil {
		p.problem("/auth_method", "request_token: %v", err)
		return c
	}
	c.Request = request
	return c
}

func (p *parser) login() auth.Login {
	b := &p.block
	return auth.Login{
		Username: b.Username, Password: b.Password, ClientSecret: b.ClientSecret,
		ClientID: b.ClientID, GrantType: b.GrantType, Scope: b.Scope, Resource: b.Resource,
		UserField: unless(b.TokenUserField, "username"), PasswordField: unless(b.TokenPasswordField, "password"),
		ResultField: unless(b.TokenResultField, "token"), Path: b.TokenURIPath,
		Protocol: b.SSO.Protocol, Host: b.SSO.Host, Port: b.SSO.Port,
		RequestType: b.AuthRequestDatatype, ResponseType: b.AuthResponseDatatype, TokenSource: b.TokenResponsePlacement,
		RawQuery: inverted(b.AuthQueryEncode), OmitCredentials: !b.AddCreds,
	}
}

// place pairs fields with formats: a field without a format of its own takes the first one.
func (p *parser) place(fixed map[string]auth.Secret, more ...string) *auth.Fields {
	b := &p.block
	var fields []auth.Field
	for i, path := range b.AuthField {
		format := ""
		if len(b.AuthFieldFormat) > 0 {
			format = b.AuthFieldFormat[0]
		}
		if i < len(b.AuthFieldFormat) {
			format = b.AuthFieldFormat[i]
		}
		fields = append(fields, auth.Field{Path: path, Format: format})
	}
	if len(b.AuthFieldFormat) > len(b.AuthField) {
		p.warn("/auth_field_format", "there are %d formats for %d fields; the rest is unused", len(b.AuthFieldFormat), len(b.AuthField))
	}
	place, problems := auth.CompileFields(fields, fixed, append([]string{"token", "username", "password"}, more...)...)
	for _, found := range problems {
		p.problems = append(p.problems, &settings.Problem{Pointer: p.src.At + p.fieldPointer(found), Reason: found.Reason, Warning: found.Warning})
	}
	return place
}

func (p *parser) fieldPointer(found auth.FieldProblem) string {
	name, list := "/auth_field", len(p.block.AuthField)
	if found.Format {
		name, list = "/auth_field_format", len(p.block.AuthFieldFormat)
	}
	raw, _ := p.src.Raw.(map[string]any)
	if _, many := raw[name[1:]].([]any); many {
		return fmt.Sprintf("%s/%d", name, min(found.Index, list-1))
	}
	return name
}

func (p *parser) fixed(token auth.Secret) map[string]auth.Secret {
	return map[string]auth.Secret{"token": token, "username": p.block.Username, "password": p.block.Password}
}

func (p *parser) problem(pointer, format string, args ...any) {
	p.problems = append(p.problems, &settings.Problem{Pointer: p.src.At + pointer, Reason: fmt.Sprintf(format, args...)})
}

func (p *parser) warn(pointer, format string, args ...any) {
	p.problem(pointer, format, args...)
	p.problems[len(p.problems)-1].Warning = true
}

func (p *parser) notes() []auth.Note {
	var notes []auth.Note
	for _, problem := range p.problems {
		if problem.Warning {
			notes = append(notes, auth.Note{Pointer: problem.Pointer, Reason: problem.Reason})
		}
	}
	return notes
}

func lifetime(ms int) time.Duration {
	if ms == -1 {
		return requesttoken.PerCall
	}
	return milliseconds(ms)
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func unless(text, usual string) string {
	if text == usual {
		return ""
	}
	return text
}

func inverted(b *bool) *bool {
	if b == nil {
		return nil
	}
	no := !*b
	return &no
}
