// Package port reads the configuration of custom authentication: where a system is, an
// authentication call, and a template that puts values of its answer into every request.
//
//	{"baseUrl": "https://api.example.com", "authType": "custom",
//	 "customAuthRequest": {"endpoint": "/oauth/token", "bodyForm": "grant_type=client_credentials&…"},
//	 "customAuthRequestTemplate": {"headers": {"Authorization": "Bearer {{.access_token}}"}}}
//
//	document ─ Dialect.Tree ─▶ tree (JSON texts parsed) ─ ${env:…} ─▶ Dialect.Parse ─▶ auth.Spec
//	environment ─ FromEnviron ─▶ document
package port

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// Dialect is the port spelling of authentication settings.
type Dialect struct{}

var _ auth.SystemDialect = Dialect{}

// Name returns port.
func (Dialect) Name() string { return "port" }

// Shape is the struct that the configuration becomes, for who assigns single settings.
func (Dialect) Shape() any { return Configuration{} }

// Parse reads the configuration. Its error is settings.Problems with every problem in it.
func (Dialect) Parse(src auth.Source) (auth.Spec, error) {
	p := parser{src: src}
	p.raw, _ = src.Raw.(map[string]any)
	if p.raw == nil {
		p.decode(src.Raw, "", &p.config)
	} else {
		p.decode(p.ours(), "", &p.config)
	}
	spec := auth.Spec{System: p.system(), Shared: p.config.TokenCache == "redis"}
	p.method(&spec)
	p.otherReferences()
	p.unused()
	spec.Notes = p.notes()
	if err := p.problems.Err(); err != nil {
		return auth.Spec{Notes: spec.Notes}, err
	}
	return spec, nil
}

// parser holds one configuration on its way to a Spec.
type parser struct {
	src      auth.Source
	raw      map[string]any
	config   Configuration
	problems settings.Problems
}

// decode reads an object of the settings. In this dialect an unknown setting is an error. It
// reports whether all of the object is right.
func (p *parser) decode(raw any, pointer string, into any) bool {
	problems := settings.Decode(raw, p.src.At+pointer, into)
	for _, found := range problems {
		found.Warning = false
		if found.Pointer == p.src.At+"/verifySsl" { // a pattern says nothing to people
			found.Reason = "must be true or false; yes, no, on, off, 1 and 0 do too"
		}
	}
	p.problems = append(p.problems, problems...)
	return len(problems) == 0
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

// elsewhere are settings of the integration that this configuration was first written for. What
// they say of reading lists is no matter of authentication; files that hold them are to work.
var elsewhere = []string{
	"multipleHosts", "paginationType", "pageSize", "paginationParam", "sizeParam", "startPage", "cursorPath", "hasMorePath", "customHeaders",
}

// ours is the configuration without the settings of others, which are warned of.
func (p *parser) ours() map[string]any {
	out := maps.Clone(p.raw)
	for _, name := range elsewhere {
		if _, has := out[name]; has {
			p.warn("/"+name, "is not used here: it is the original integration's, and says nothing of authentication")
			delete(out, name)
		}
	}
	return out
}

// owners says which authType a setting belongs to.
var owners = []struct{ setting, authType string }{
	{"apiToken", "bearer_token"}, {"apiKey", "api_key"}, {"apiKeyHeader", "api_key"},
	{"username", "basic"}, {"password", "basic"},
	{"customAuthRequest", "custom"}, {"customAuthRequestTemplate", "custom"}, {"customAuthResponse", "custom"},
}

// unused warns of credentials that go nowhere: somebody thinks that they do.
func (p *parser) unused() {
	if p.problems.Fatal() {
		return
	}
	authType := strings.TrimSuffix(p.config.AuthType, "_auth")
	for _, o := range owners {
		if o.authType != authType && !missing(p.raw[o.setting]) {
			p.warn("/"+o.setting, "is not used: authType is %s, not %s", p.config.AuthType, o.authType)
		}
	}
}

// missing reports whether a setting says nothing: absent, null, "" or without members.
func missing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

func seconds(i Interval) time.Duration { return time.Duration(i) * time.Second }
