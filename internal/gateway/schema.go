package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// object is a JSON object that we write.
type object = map[string]any

// standalone is what an action takes and gives, each as a JSON Schema of its own.
func (d drafts) standalone(act *entities.Action) (request, response any, err error) {
	if err := compiles(act); err != nil {
		return nil, nil, err
	}
	one := func(of func(*entities.Action, func(string) string) (string, map[string]entities.Object)) any {
		key := func(file string) string { return "#/$defs/" + componentName(file) }
		root, files := of(act, key)
		defs := object{}
		for file, document := range files {
			defs[componentName(file)] = d.modern(document)
		}
		return object{"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": key(root), "$defs": defs}
	}
	return one((*entities.Action).RequestFiles), one((*entities.Action).ResponseFiles), nil
}

// compiles reports why an action cannot be called; nil when it can.
func compiles(act *entities.Action) error {
	_, err := act.Request()
	if err == nil {
		_, err = act.Response()
	}
	return err
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, text := range list {
		out[i] = text
	}
	return out
}

// componentName is a name as OpenAPI wants it for components.
func componentName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, strings.TrimSuffix(strings.TrimPrefix(text, "entities/"), ".json"))
	if name != strings.TrimSuffix(strings.TrimPrefix(text, "entities/"), ".json") {
		name += fmt.Sprintf("_%x", sum(text)[:4]) // two names that differ stay two
	}
	return cmp.Or(name, "_")
}

// Keywords of draft-07 by what stands behind them. All that is not listed is left out: the
// engine's own attributes are nobody's business, and encrypt holds a key.
var (
	ofSchema  = []string{"additionalProperties", "additionalItems", "contains", "propertyNames", "not", "if", "then", "else"}
	ofSchemas = []string{"allOf", "anyOf", "oneOf"}
	ofNamed   = []string{"properties", "patternProperties", "definitions", "$defs"}
	ofValue   = []string{"type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
		"maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "required",
		"title", "description", "default", "examples", "format", "readOnly", "writeOnly", "contentMediaType", "contentEncoding"}
	beside = []string{"title", "description", "default", "examples", "readOnly", "writeOnly"} // of $ref; draft-07 takes nothing else there
)

// engineProperty holds the action's name while the engine checks data; no caller sends it.
const engineProperty = "ph_request_type"

// drafts writes schemas of draft-07 in 2020-12. What stands for data is scrubbed: a default can be
// somebody's password.
type drafts struct{ redact *auth.Redactor }

// modern writes one schema.
func (d drafts) modern(v any) any {
	in, ok := v.(entities.Object)
	if !ok {
		if asBool, ok := v.(bool); ok {
			return asBool
		}
		return object{}
	}
	out := object{}
	_, refers := in.Get("$ref")
	for _, f := range in {
		switch {
		case f.Name == "$ref":
			out["$ref"] = modernRef(f.Value)
		case refers && !slices.Contains(beside, f.Name):
		case slices.Contains(ofValue, f.Name):
			out[f.Name] = d.value(f.Name, f.Value)
		case slices.Contains(ofSchema, f.Name):
			out[f.Name] = d.modern(f.Value)
		case slices.Contains(ofSchemas, f.Name):
			out[f.Name] = d.list(f.Value)
		case slices.Contains(ofNamed, f.Name):
			merge(out, strings.Replace(f.Name, "definitions", "$defs", 1), d.named(f.Value))
		}
	}
	d.items(in, out)
	d.dependencies(in, out)
	return out
}

// merge adds members to what an object has under a name.
func merge(out object, name string, more object) {
	if old, ok := out[name].(object); ok {
		for k, v := range more {
			old[k] = v
		}
		return
	}
	out[name] = more
}

func (d drafts) value(name string, v any) any {
	if list, ok := v.([]any); ok && name == "required" {
		return slices.DeleteFunc(slices.Clone(list), func(item any) bool { return item == engineProperty })
	}
	switch name {
	case "default", "examples", "enum", "const":
		return scrubTree(plainTree(v), d.redact.Scrub)
	}
	return v
}

// plainTree is a value with every object as a map.
func plainTree(v any) any {
	switch v := v.(type) {
	case entities.Object:
		out := object{}
		for _, f := range v {
			out[f.Name] = plainTree(f.Value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plainTree(item)
		}
		return out
	}
	return v
}

func (d drafts) list(v any) []any {
	list, _ := v.([]any)
	out := make([]any, len(list))
	for i, item := range list {
		out[i] = d.modern(item)
	}
	return out
}

func (d drafts) named(v any) object {
	named, _ := v.(entities.Object)
	out := object{}
	for _, f := range named {
		if f.Name != engineProperty {
			out[f.Name] = d.modern(f.Value)
		}
	}
	return out
}

// modernItems: a list of schemas is called prefixItems now, and what follows it items.
func (d drafts) items(in entities.Object, out object) {
	rest, more := out["additionalItems"]
	delete(out, "additionalItems")
	items, ok := in.Get("items")
	if _, refers := out["$ref"]; !ok || refers {
		return
	}
	if _, tuple := items.([]any); !tuple {
		out["items"] = d.modern(items)
		return
	}
	out["prefixItems"] = d.list(items)
	if more {
		out["items"] = rest
	}
}

// modernDependencies: names and schemas have a keyword each now.
func (d drafts) dependencies(in entities.Object, out object) {
	v, _ := in.Get("dependencies")
	all, _ := v.(entities.Object)
	if _, refers := out["$ref"]; refers {
		return
	}
	names, schemas := object{}, object{}
	for _, f := range all {
		if list, ok := f.Value.([]any); ok {
			names[f.Name] = list
		} else {
			schemas[f.Name] = d.modern(f.Value)
		}
	}
	if len(names) > 0 {
		out["dependentRequired"] = names
	}
	if len(schemas) > 0 {
		out["dependentSchemas"] = schemas
	}
}

// modernRef turns the pointer of a reference with what it points to. A segment is a keyword where
// a schema stands, and a name or an index behind a keyword that holds several.
func modernRef(v any) any {
	text, _ := v.(string)
	base, fragment, _ := strings.Cut(text, "#")
	segments := strings.Split(fragment, "/")
	start := 1
	if len(segments) > 3 && (segments[1] == "components" || segments[1] == "$defs") {
		start = map[string]int{"components": 4, "$defs": 3}[segments[1]] // what stands before the file's own pointer
	}
	for i := start; i < len(segments); i++ {
		switch name := segments[i]; {
		case name == "definitions":
			segments[i] = "$defs"
			i++
		case name == "items" && i+1 < len(segments) && isIndex(segments[i+1]):
			segments[i] = "prefixItems"
			i++
		case name == "additionalItems":
			segments[i] = "items"
		case name == "dependencies":
			segments[i] = "dependentSchemas"
			i++
		case slices.Contains(ofNamed, name), slices.Contains(ofSchemas, name):
			i++
		}
	}
	return base + "#" + strings.Join(segments, "/")
}

func isIndex(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
