package entities

import (
	"bytes"
	_ "embed" // the schema
)

//go:embed action.schema.json
var actionSchema []byte

// ActionSchema returns the JSON Schema of an action.json file.
func ActionSchema() []byte { return bytes.Clone(actionSchema) }
