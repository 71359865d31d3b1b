package entities

import "net/url"

// Paths returns the paths that the action declares, as they are written, one for each version.
func (a *Action) Paths() []string {
	list := make([]string, len(a.paths))
	for i := range a.paths {
		list[i] = a.paths[i].text
	}
	return list
}

// RequestFiles returns what the schema of requests is made of, for who shows it to others: its own
// file (root) and those that its references lead to, by their paths in the home. They are as they
// were written, but each reference is at(file) and a JSON Pointer. Request must have given no error.
func (a *Action) RequestFiles(at func(file string) string) (root string, files map[string]Object) {
	return a.request.bundle(at)
}

// ResponseFiles returns the same of the schema of answers. Response must have given no error.
func (a *Action) ResponseFiles(at func(file string) string) (root string, files map[string]Object) {
	return a.response.bundle(at)
}

func (f *schemaFile) bundle(at func(file string) string) (root string, files map[string]Object) {
	b := bundle{f.library, at, map[string]Object{}}
	b.add(f.doc)
	return f.path, b.files
}

// A bundle collects files that refer to one another.
type bundle struct {
	library *library
	at      func(file string) string
	files   map[string]Object
}

func (b bundle) add(doc *document) {
	if _, known := b.files[doc.path]; known {
		return
	}
	b.files[doc.path] = nil // references may lead back
	tree, _ := b.copy(doc, doc.tree).(Object)
	b.files[doc.path] = tree
}

func (b bundle) copy(doc *document, v any) any {
	switch v := v.(type) {
	case Object:
		out := make(Object, len(v))
		for i, f := range v {
			out[i] = Field{f.Name, b.member(doc, f)}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = b.copy(doc, item)
		}
		return out
	}
	return v
}

// member is the value of a member, with a reference turned outwards.
func (b bundle) member(doc *document, f Field) any {
	text, ok := f.Value.(string)
	if !ok || f.Name != "$ref" {
		return b.copy(doc, f.Value)
	}
	target, ok := b.library.resolve(doc, text)
	if !ok {
		return text // a member of some default that only looks like a reference
	}
	b.add(target.doc)
	return b.at(target.doc.path) + (&url.URL{Fragment: target.pointer}).EscapedFragment()
}
