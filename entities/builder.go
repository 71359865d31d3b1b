package entities

import "encoding/json"

// A builder makes an Object: setting a name again is cheap, however many there are.
type builder struct {
	fields Object
	index  map[string]int // name to place in fields; made once there are more than a few
}

const indexFrom = 8

func newBuilder(size int) *builder { return &builder{fields: make(Object, 0, size)} }

func (b *builder) find(name string) (int, bool) {
	if b.index != nil {
		i, ok := b.index[name]
		return i, ok
	}
	for i := range b.fields {
		if b.fields[i].Name == name {
			return i, true
		}
	}
	return 0, false
}

func (b *builder) get(name string) (any, bool) {
	if i, ok := b.find(name); ok {
		return b.fields[i].Value, true
	}
	return nil, false
}

func (b *builder) set(name string, value any) {
	if i, ok := b.find(name); ok {
		b.fields[i].Value = value
		return
	}
	b.fields = append(b.fields, Field{name, value})
	switch {
	case b.index != nil:
		b.index[name] = len(b.fields) - 1
	case len(b.fields) > indexFrom:
		b.index = make(map[string]int, 2*len(b.fields))
		for i, f := range b.fields {
			b.index[f.Name] = i
		}
	}
}

// put stores value at path, making the objects and array slots in between.
func (b *builder) put(path wirePath, value any) {
	step, rest := path[0], path[1:]
	if len(step.slots) == 0 && len(rest) == 0 {
		b.set(step.name, value)
		return
	}
	at, _ := b.get(step.name)
	b.set(step.name, graft(at, step.slots, rest, value))
}

// graft returns at with value under slots, then rest.
func graft(at any, slots []int, rest wirePath, value any) any {
	if len(slots) > 0 {
		list := asSlots(at)
		for len(list.items) <= slots[0] {
			list.items = append(list.items, newBuilder(0))
		}
		list.items[slots[0]] = graft(list.items[slots[0]], slots[1:], rest, value)
		return list
	}
	if len(rest) == 0 {
		return value
	}
	inner := asBuilder(at)
	inner.put(rest, value)
	return inner
}

// slots is an array under construction.
type slots struct{ items []any }

func asSlots(v any) *slots {
	switch v := v.(type) {
	case *slots:
		return v
	case []any:
		return &slots{append([]any(nil), v...)}
	}
	return new(slots)
}

func asBuilder(v any) *builder {
	if b, ok := v.(*builder); ok {
		return b
	}
	o, _ := asObject(v)
	b := newBuilder(len(o) + 1)
	for _, f := range o {
		b.set(f.Name, f.Value)
	}
	return b
}

// object ends the construction: no builder is left inside.
func (b *builder) object() Object {
	for i, f := range b.fields {
		b.fields[i].Value = built(f.Value)
	}
	return b.fields
}

func built(v any) any {
	switch v := v.(type) {
	case *builder:
		return v.object()
	case *slots:
		for i, item := range v.items {
			v.items[i] = built(item)
		}
		return v.items
	}
	return v
}

// kindOf names the JSON type of v for a message.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number, int, int64, float64:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}
