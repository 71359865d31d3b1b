package entities

// A reader takes the attributes of one property and notes those of a wrong type.
type reader struct {
	compiler *treeCompiler
	at       place
	members  map[string]any
}

func (r reader) wrong(name string, v any, want string) {
	r.compiler.fault(r.at, name, "is "+kindOf(v)+", want "+want)
}

func (r reader) text(name string) string {
	v := r.members[name]
	text, ok := v.(string)
	if !ok && v != nil {
		r.wrong(name, v, "string")
	}
	return text
}

func (r reader) flag(name string, absent bool) bool {
	v := r.members[name]
	if v == nil {
		return absent
	}
	flag, ok := v.(bool)
	if !ok {
		r.wrong(name, v, "boolean")
	}
	return flag
}

// types is the list under type; a wrong one is left to the validator to tell.
func (r reader) types() []string {
	switch v := r.members["type"].(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			if text, ok := item.(string); ok {
				out = append(out, text)
			}
		}
		return out
	}
	return nil
}

// key is the passphrase under encrypt.key.
func (r reader) key() string {
	v := r.members["encrypt"]
	o, ok := v.(Object)
	if !ok && v != nil {
		r.wrong("encrypt", v, "object")
	}
	key, _ := o.Get("key")
	text, ok := key.(string)
	if !ok && key != nil {
		r.compiler.fault(r.at, "encrypt", "has a key that is "+kindOf(key)+", want string")
	}
	return text
}

func (r reader) selector(name string) Selector {
	s, err := ParseSelector(r.text(name))
	if err != nil {
		r.compiler.fault(r.at, name, err.Error())
	}
	return s
}

// external reads external_name: absent is the own name, "" or null leaves the property out.
func (r reader) external(p *property) {
	v, ok := r.members["external_name"]
	if !ok {
		if p.Name != "" {
			p.path = wirePath{{name: p.Name}}
		}
		return
	}
	p.HasExternal, p.External = true, r.text("external_name")
	if v == nil || p.External == "" {
		return
	}
	path, reason := parseWirePath(p.External)
	if reason != "" {
		r.compiler.fault(r.at, "external_name", reason)
	}
	p.path = path
}
