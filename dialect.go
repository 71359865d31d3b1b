package keyhitch

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/dialects"
	"github.com/keyhitch/keyhitch/auth/dialects/port"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// Environment is the ADAPTER whose configuration is the port dialect's environment variables.
const Environment = "env:"

// PortSchema returns the JSON Schema of a configuration in the port dialect.
func PortSchema() []byte { return port.Schema() }

// dialectOf tells a configuration's dialect from its content. Whatever it cannot tell is iap's to
// explain.
func dialectOf(data []byte) auth.Dialect {
	doc, err := settings.Parse(data)
	if err != nil {
		return dialects.All["iap"]
	}
	for _, name := range slices.Sorted(maps.Keys(dialects.All)) {
		if d, ok := dialects.All[name].(auth.SystemDialect); ok {
			if _, _, _, mine := d.Tree(doc.Root()); mine {
				return d
			}
		}
	}
	return dialects.All["iap"]
}

// fromEnviron makes a configuration of environment variables.
func fromEnviron(o *adapter.Options, environ []string) error {
	tree, notes := port.FromEnviron(environ)
	var problems adapter.Problems
	for _, n := range notes {
		problems = append(problems, &adapter.Problem{File: "environment", Pointer: n.Pointer, Reason: n.Reason})
	}
	if len(tree) == 0 && len(problems) == 0 {
		problems = adapter.Problems{{File: "environment", Reason: "has no variable OCEAN__INTEGRATION__CONFIG__…; set OCEAN__INTEGRATION__CONFIG__BASE_URL and what follows it"}}
	}
	if len(problems) > 0 {
		return &adapter.ConfigError{Problems: problems}
	}
	data, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	o.Instance, o.HomeName = adapter.File{Name: "environment", Data: data, Made: true}, "env"
	o.Dialect = port.Dialect{}
	return nil
}
