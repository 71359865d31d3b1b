package entities

import "github.com/santhosh-tekuri/jsonschema/v6"

// findCycle returns where a schema applies itself to the same value again and again, by $ref,
// allOf and the like; such a schema can check nothing.
func findCycle(root *jsonschema.Schema) (string, bool) {
	w := walker{state: make(map[*jsonschema.Schema]walkState)}
	w.queue = append(w.queue, root)
	for len(w.queue) > 0 && w.cycle == nil {
		next := w.queue[len(w.queue)-1]
		w.queue = w.queue[:len(w.queue)-1]
		w.visit(next)
	}
	if w.cycle == nil {
		return "", false
	}
	return w.cycle.Location, true
}

type walkState int

const (
	unseen walkState = iota
	open
	done
)

type walker struct {
	state map[*jsonschema.Schema]walkState
	queue []*jsonschema.Schema // apply to inner values: visited on their own
	cycle *jsonschema.Schema
}

// visit goes depth first through what applies to the same value.
func (w *walker) visit(s *jsonschema.Schema) {
	if s == nil || w.state[s] == done || w.cycle != nil {
		return
	}
	if w.state[s] == open {
		w.cycle = s
		return
	}
	w.state[s] = open
	for _, next := range sameValue(s) {
		w.visit(next)
	}
	w.state[s] = done
	w.queue = append(w.queue, innerValues(s)...)
}

// sameValue returns the schemas that s applies to the value it is given.
func sameValue(s *jsonschema.Schema) []*jsonschema.Schema {
	out := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else}
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		out = append(out, list...)
	}
	for _, dependent := range s.Dependencies {
		out = appendSchema(out, dependent)
	}
	for _, dependent := range s.DependentSchemas {
		out = append(out, dependent)
	}
	return out
}

// innerValues returns the schemas that s applies to members and items.
func innerValues(s *jsonschema.Schema) []*jsonschema.Schema {
	out := []*jsonschema.Schema{s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema}
	for _, inner := range s.Properties {
		out = append(out, inner)
	}
	for _, inner := range s.PatternProperties {
		out = append(out, inner)
	}
	out = append(out, s.PrefixItems...)
	out = appendSchema(out, s.AdditionalProperties)
	out = appendSchema(out, s.Items)
	return appendSchema(out, s.AdditionalItems)
}

func appendSchema(out []*jsonschema.Schema, v any) []*jsonschema.Schema {
	switch v := v.(type) {
	case *jsonschema.Schema:
		return append(out, v)
	case []*jsonschema.Schema:
		return append(out, v...)
	}
	return out
}
