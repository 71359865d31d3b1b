package port

import (
	"bytes"
	_ "embed" // the schema
)

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema of a configuration, made of the structs by internal/schemagen.
func Schema() []byte { return bytes.Clone(schema) }
