package settings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/invopop/jsonschema"
)

// Shape says what a tree may hold: the schema of a struct, and what only the struct knows
// (which members belong to the platform, which nested objects are optional).
type Shape struct {
	schema  *jsonschema.Schema
	members map[string]*member // of an object that a struct describes, else nil
	names   []string           // of members, in the order of the struct
	items   *Shape             // of an array whose items a struct describes, else nil
}

type member struct {
	*Shape
	required bool
	platform bool // `settings:"platform"`
	optional bool // a pointer: stays nil when absent, instead of taking its members' defaults
}

var shapes sync.Map // reflect.Type → func() *Shape

// ShapeOf returns the shape of a struct. It is made once for each type.
func ShapeOf(into any) *Shape {
	t := deref(reflect.TypeOf(into))
	made, ok := shapes.Load(t)
	if !ok {
		made, _ = shapes.LoadOrStore(t, sync.OnceValue(func() *Shape { return newShape(t, Schema(reflect.Zero(t).Interface())) }))
	}
	return made.(func() *Shape)()
}

// With returns the shape where a member of a raw type has the shape of another struct.
// Assign then knows the way into it.
func (s *Shape) With(name string, into any) *Shape {
	m, ok := s.members[name]
	if !ok {
		panic("settings: no member " + name)
	}
	copied := *s
	copied.members = maps.Clone(s.members)
	copied.members[name] = &member{ShapeOf(into), m.required, m.platform, m.optional}
	return &copied
}

func newShape(t reflect.Type, s *jsonschema.Schema) *Shape {
	shape := &Shape{schema: s}
	walked := *s // without what Decode goes through itself
	var known bool
	switch {
	case t.Kind() == reflect.Slice && s.Items != nil && described(deref(t.Elem())):
		shape.items = newShape(deref(t.Elem()), s.Items)
		walked.Items = nil
		known = onlyType(walked)
	case described(t):
		shape.addMembers(t)
		walked.Properties, walked.Required = nil, nil
		known = onlyType(walked)
	default:
		known = supported(s)
	}
	if !known {
		panic(fmt.Sprintf("settings: the schema of %v has a keyword that is not checked", t))
	}
	return shape
}

func (s *Shape) addMembers(t reflect.Type) {
	s.members = map[string]*member{}
	eachField(t, s.schema, func(f reflect.StructField, name string, property *jsonschema.Schema) {
		s.names = append(s.names, name)
		s.members[name] = &member{
			Shape:    newShape(deref(f.Type), property),
			required: slices.Contains(s.schema.Required, name),
			platform: f.Tag.Get("settings") == "platform",
			optional: f.Type.Kind() == reflect.Pointer,
		}
	})
}
