package settings

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/invopop/jsonschema"

	"github.com/keyhitch/keyhitch/auth"
)

// Schema returns the JSON Schema (draft 2020-12) of a struct, without descriptions. It is
// the one that Decode checks against. Each call makes a new one.
func Schema(into any) *jsonschema.Schema { return Reflect(new(jsonschema.Reflector), into) }

// Reflect is Schema with the descriptions that the reflector has (AddGoComments).
//
// What a struct says: json names; jsonschema tags (required, default, enum, minimum …);
// auth.Secret is a string that is only written; jsontext.Value and json.RawMessage are
// anything. Unknown members are allowed: Decode warns of them.
func Reflect(r *jsonschema.Reflector, into any) *jsonschema.Schema {
	r.Anonymous = true
	r.DoNotReference = true
	r.ExpandedStruct = true
	r.AllowAdditionalProperties = true
	r.RequiredFromJSONSchemaTags = true
	r.Mapper = mapType
	t := deref(reflect.TypeOf(into))
	s := r.ReflectFromType(t)
	addDefaults(t, s)
	return s
}

var (
	secretType = reflect.TypeFor[auth.Secret]()
	rawType    = reflect.TypeFor[json.RawMessage]()
	valueType  = reflect.TypeFor[jsontext.Value]()
)

func mapType(t reflect.Type) *jsonschema.Schema {
	switch t {
	case secretType:
		return &jsonschema.Schema{Type: "string", Format: "password", WriteOnly: true}
	case rawType, valueType:
		return new(jsonschema.Schema)
	}
	return nil
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// described reports whether the members of a JSON object are the fields of t.
func described(t reflect.Type) bool {
	_, custom := reflect.Zero(t).Interface().(interface{ JSONSchema() *jsonschema.Schema })
	return t.Kind() == reflect.Struct && t != secretType && !custom
}

// eachField calls fn with every member that a struct describes, and its schema.
func eachField(t reflect.Type, s *jsonschema.Schema, fn func(f reflect.StructField, name string, s *jsonschema.Schema)) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if property, ok := s.Properties.Get(name); ok && name != "" {
			fn(f, name, property)
		}
	}
}

// addDefaults adds the defaults of fields that may be of several types: the reflector reads
// the tag only where there is one type.
func addDefaults(t reflect.Type, s *jsonschema.Schema) {
	switch {
	case t.Kind() == reflect.Slice && s.Items != nil:
		addDefaults(deref(t.Elem()), s.Items)
	case described(t) && s.Properties != nil:
		eachField(t, s, func(f reflect.StructField, _ string, s *jsonschema.Schema) {
			if text, ok := defaultTag(f); ok && s.Default == nil {
				s.Default = textOrJSON(text)
			}
			addDefaults(deref(f.Type), s)
		})
	}
}

func defaultTag(f reflect.StructField) (string, bool) {
	for tag := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
		if text, ok := strings.CutPrefix(tag, "default="); ok {
			return text, true
		}
	}
	return "", false
}

// textOrJSON reads a text as JSON when it is, and as itself when it is not.
func textOrJSON(text string) any {
	if v, ok := readJSON(text); ok {
		return v
	}
	return text
}

func readJSON(text string) (any, bool) {
	if !strings.ContainsAny(text[:min(len(text), 1)], "-0123456789tfn[{\" \t\r\n") {
		return nil, false
	}
	doc := new(Document)
	doc.lines.data = []byte(text)
	if len(text) > maxSize || doc.parseJSON(doc.lines.data) != nil {
		return nil, false
	}
	return doc.root, true
}
