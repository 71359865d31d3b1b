package entities

import (
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A Schema checks and translates the data of one direction. It does not change and is safe for
// concurrent use.
type Schema struct {
	root      *property
	validator *jsonschema.Schema
	closed    bool // unknown fields, ph_request_type among them, are refused
}

// A schemaFile is a schema that actions name, compiled when it is first used.
type schemaFile struct {
	library *library
	path    string
	once    sync.Once
	schema  *Schema
	doc     *document
	wrong   Problems
}

func (f *schemaFile) compile() (*Schema, error) {
	f.once.Do(f.load)
	if err := f.wrong.err(); err != nil {
		return nil, err
	}
	return f.schema, nil
}

func (f *schemaFile) load() {
	doc, err := f.library.document(f.path)
	if err != nil {
		f.wrong = Problems{fileProblem(f.library.home, f.path, err)}
		return
	}
	f.doc = doc
	root, isObject := doc.tree.(Object)
	if !isObject {
		f.wrong = f.library.located([]*Problem{{File: f.path, Reason: "is " + kindOf(doc.tree) + ", want object"}})
		return
	}
	validator, problem := compileValidator(f.library, doc)
	if problem != nil {
		f.wrong = f.library.located([]*Problem{problem})
		return
	}
	tree := treeCompiler{library: f.library, shapes: make(map[string]*shape)}
	property := tree.property(place{doc, "", root}, "")
	f.wrong = f.library.located(tree.problems)
	f.schema = &Schema{root: property, validator: validator, closed: property.shape.byName[requestType] == nil && isFalse(validator.AdditionalProperties)}
}

func isFalse(v any) bool {
	switch v := v.(type) {
	case bool:
		return !v
	case *jsonschema.Schema:
		return v.Bool != nil && !*v.Bool
	}
	return false
}

// Property returns what the schema says about its top-level property name.
func (s *Schema) Property(name string) (Property, bool) {
	if p, ok := s.root.shape.byName[name]; ok {
		return p.Property, true
	}
	return Property{}, false
}

// Properties returns all top-level properties in schema order, ph_request_type left out.
func (s *Schema) Properties() []Property {
	out := make([]Property, 0, len(s.root.shape.properties))
	for _, p := range s.root.shape.properties {
		if p.Name != requestType {
			out = append(out, p.Property)
		}
	}
	return out
}

// Rename returns a copy of the schema in which the named top-level properties have another
// external_name; "" leaves a property out. Names that the schema does not have are ignored.
// The copy is cheap: it shares the validator.
func (s *Schema) Rename(externals map[string]string) *Schema {
	inner := &shape{items: s.root.shape.items, tuple: s.root.shape.tuple}
	for _, p := range s.root.shape.properties {
		if external, ok := externals[p.Name]; ok {
			p = p.renamed(external)
		}
		inner.properties = append(inner.properties, p)
	}
	inner.index()
	root := *s.root
	root.shape = inner
	return &Schema{&root, s.validator, s.closed}
}

func (p *property) renamed(external string) *property {
	out := *p
	out.External, out.HasExternal, out.path = external, true, nil
	if external != "" {
		out.path, _ = parseWirePath(external)
	}
	return &out
}
