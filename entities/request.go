package entities

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/keyhitch/keyhitch/entities/crypt"
)

// MapRequest checks and translates what a caller gives to what the system wants. Objects come
// out as Object, schema properties first, then fields that the schema does not know where it
// lets them pass. Of an array each element is translated. Nil counts as an empty object; any
// other value passes. The error is a *ValidationError.
func (s *Schema) MapRequest(action string, in any) (any, error) {
	in, err := normal(in)
	if err != nil {
		return nil, &ValidationError{"", err.Error()}
	}
	if in == nil {
		in = Object{}
	}
	if s.root.untouched {
		return withoutRequestType(in), nil
	}
	list, isList := in.([]any)
	switch {
	case isList && s.root.typeFor(in) == "array":
		return s.requestArray(list)
	case isList:
		out := make([]any, len(list))
		for i, item := range list {
			if out[i], err = s.requestElement(action, item); err != nil {
				return nil, below(i, err)
			}
		}
		return out, nil
	}
	return s.requestElement(action, in)
}

// below puts an index in front of the pointer of a *ValidationError.
func below(i int, err error) error {
	if invalid, ok := err.(*ValidationError); ok {
		return &ValidationError{pointerAt("", i) + invalid.Pointer, invalid.Reason}
	}
	return err
}

func (s *Schema) requestArray(list []any) (any, error) {
	if err := s.validate(plain(list)); err != nil {
		return nil, err
	}
	out, err := s.root.requestItems(list, s.root.dynamicIn(false))
	return built(out), err
}

func (s *Schema) requestElement(action string, in any) (any, error) {
	o, ok := asObject(in)
	if !ok {
		return in, nil
	}
	data := newBuilder(len(o) + 4)
	for _, f := range o {
		data.set(f.Name, f.Value)
	}
	s.root.shape.fillDefaults(data)
	if err := s.check(action, data.fields.Map()); err != nil {
		return nil, err
	}
	out, err := s.root.shape.request(data, s.root.dynamicIn(false))
	if err != nil {
		return nil, err
	}
	return out.object(), nil
}

// check validates data with the action's name in ph_request_type.
func (s *Schema) check(action string, data map[string]any) error {
	for name, v := range data {
		data[name] = plain(v)
	}
	delete(data, requestType)
	if !s.closed {
		data[requestType] = action
	}
	return s.validate(data)
}

func withoutRequestType(in any) any {
	switch in := in.(type) {
	case Object:
		out := make(Object, 0, len(in))
		for _, f := range in {
			if f.Name != requestType {
				out = append(out, f)
			}
		}
		return out
	case map[string]any:
		o, _ := asObject(in)
		return withoutRequestType(o)
	case []any:
		out := make([]any, len(in))
		for i, item := range in {
			out[i] = withoutRequestType(item)
		}
		return out
	}
	return in
}

// fillDefaults fills absent, null and empty fields. Objects that a $ref describes are filled
// too, other nested ones are not.
func (s *shape) fillDefaults(data *builder) {
	for _, p := range s.properties {
		v, _ := data.get(p.Name)
		if p.filled && (v == nil || v == "") {
			v = copyPlain(p.Default)
			data.set(p.Name, v)
		}
		if o, ok := asObject(v); ok && p.byRef && len(p.shape.properties) > 0 {
			inner := asBuilder(o)
			p.shape.fillDefaults(inner)
			data.set(p.Name, inner.fields)
		}
	}
}

// request builds the object for the system.
func (s *shape) request(in *builder, dynamic bool) (*builder, error) {
	out := newBuilder(len(in.fields))
	for _, p := range s.properties {
		v, ok := in.get(p.Name)
		if !ok || p.Name == requestType || len(p.path) == 0 {
			continue
		}
		v, keep, err := p.request(v, dynamic)
		if err != nil {
			return nil, under(p.Name, err)
		}
		if keep {
			out.put(p.path, v)
		}
	}
	if !dynamic {
		return out, nil
	}
	for _, f := range in.fields {
		if s.byName[f.Name] == nil && f.Name != requestType {
			out.set(f.Name, f.Value)
		}
	}
	return out, nil
}

// under puts a name in front of the pointer of a *ValidationError.
func under(name string, err error) error {
	if invalid, ok := err.(*ValidationError); ok {
		return &ValidationError{pointerTo("", name) + invalid.Pointer, invalid.Reason}
	}
	return err
}

// request translates one value; false leaves it out.
func (p *property) request(v any, dynamic bool) (out any, keep bool, err error) {
	kind := p.typeFor(v)
	switch {
	case isScalar(kind):
		if v = firstItem(v); v == nil || v == "" {
			return nil, false, nil
		}
	case kind == "array":
		list, ok := v.([]any)
		if !ok {
			return nil, false, nil
		}
		items, err := p.requestItems(list, p.dynamicIn(dynamic))
		if err != nil || len(items) == 0 {
			return nil, false, err
		}
		v = items
	case kind == "object":
		o, ok := asObject(v)
		if !ok {
			return nil, false, nil
		}
		if p.untouched {
			break
		}
		inner, err := p.shape.request(asBuilder(o), p.dynamicIn(dynamic))
		if err != nil {
			return nil, false, err
		}
		v = inner
	}
	return p.seal(v)
}

// firstItem reduces an array to its first item.
func firstItem(v any) any {
	list, ok := v.([]any)
	switch {
	case !ok:
		return v
	case len(list) == 0:
		return nil
	}
	return list[0]
}

// item returns the property that describes item i of an array, nil if none does.
func (s *shape) item(i int) *property {
	if s.tuple != nil {
		if i < len(s.tuple) {
			return s.tuple[i]
		}
		return nil
	}
	return s.items
}

func (p *property) requestItems(list []any, dynamic bool) ([]any, error) {
	out := make([]any, 0, len(list))
	for i, v := range list {
		keep := true
		if item := p.shape.item(i); item != nil && !p.untouched {
			var err error
			if v, keep, err = item.request(v, dynamic); err != nil {
				return nil, below(i, err)
			}
		}
		if keep {
			out = append(out, built(v))
		}
	}
	return out, nil
}

// seal applies encode and encrypt, which only texts survive.
func (p *property) seal(v any) (any, bool, error) {
	if !p.encode && p.key == "" {
		return v, true, nil
	}
	text, ok := v.(string)
	if !ok {
		return nil, false, nil
	}
	if p.encode {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	if p.key == "" {
		return text, true, nil
	}
	text, err := crypt.Seal(p.key, text, rand.Reader)
	return text, err == nil, err
}
