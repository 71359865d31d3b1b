package entities

// inner returns the object called name and its pointer, empty if it is absent.
func (l *loose) inner(name string) (Object, string) {
	v, pointer := l.object[name], pointerTo(l.pointer, name)
	o, ok := v.(Object)
	if !ok && v != nil {
		l.want(pointer, v, "object")
	}
	return o, pointer
}

func (l *loose) paths(name string) pathList {
	if text, ok := l.object[name].(string); ok {
		return pathList{{text: text}}
	}
	if v := l.object[name]; v != nil && kindOf(v) != "object" {
		l.want(pointerTo(l.pointer, name), v, "string or object")
		return nil
	}
	var out pathList
	o, pointer := l.inner(name)
	for _, f := range o {
		text, ok := f.Value.(string)
		if !ok {
			l.want(pointerTo(pointer, f.Name), f.Value, "string")
			continue
		}
		out = append(out, entityPath{version: f.Name, text: text})
	}
	return out
}

// headers also takes numbers and booleans, which are written as they stand in the file.
func (l *loose) headers(name string) headerList {
	var out headerList
	o, pointer := l.inner(name)
	for _, f := range o {
		switch kindOf(f.Value) {
		case "array", "object":
			l.want(pointerTo(pointer, f.Name), f.Value, "string")
			continue
		}
		text, _ := scalarText(f.Value)
		out = append(out, Header{f.Name, text})
	}
	return out
}

func (l *loose) sso(out *SSO) {
	o, pointer := l.inner("sso")
	in := loose{pointer: pointer, object: o.Map()}
	*out = SSO{Protocol: in.text("protocol"), Host: in.text("host"), Port: int(in.integer("port"))}
	l.problems = append(l.problems, in.problems...)
}

func (l *loose) responses(out *[]ResponseObject) {
	const name = "responseObjects"
	v := l.object[name]
	list, ok := v.([]any)
	if !ok && v != nil {
		l.want(pointerTo(l.pointer, name), v, "array")
	}
	for i, item := range list {
		pointer := pointerAt(pointerTo(l.pointer, name), i)
		o, ok := item.(Object)
		if !ok {
			l.want(pointer, item, "object")
			continue
		}
		in := loose{pointer: pointer, object: o.Map()}
		*out = append(*out, ResponseObject{Type: in.text("type"), Key: in.text("key"), MockFile: in.text("mockFile")})
		l.problems = append(l.problems, in.problems...)
	}
}
