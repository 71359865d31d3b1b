package entities

import (
	"errors"
	"io/fs"
	"net/url"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// scheme is the URL scheme under which the validator knows the files of a home.
const scheme = "home"

func fileURL(p string) string { return (&url.URL{Scheme: scheme, Path: "/" + p}).String() }

// loader gives the validator the files of one home and nothing else.
type loader struct{ library *library }

// Load returns the schema document at a URL made by fileURL.
func (l loader) Load(text string) (any, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != scheme {
		return nil, fs.ErrNotExist
	}
	doc, err := l.library.document(strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		return nil, err
	}
	return l.library.validatorTree(doc, doc.tree, true), nil
}

// validatorTree copies a schema for the validator: without the root's $id, and with
// references to that $id turned inwards.
func (l *library) validatorTree(doc *document, v any, root bool) any {
	switch v := v.(type) {
	case Object:
		m := make(map[string]any, len(v))
		for _, f := range v {
			text, isText := f.Value.(string)
			switch {
			case isText && f.Name == "$id" && (root || strings.HasPrefix(text, "#/")):
			case isText && f.Name == "id" && root:
			case isText && f.Name == "$ref":
				m[f.Name] = l.ownRef(doc, text)
			default:
				m[f.Name] = l.validatorTree(doc, f.Value, false)
			}
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = l.validatorTree(doc, item, false)
		}
		return list
	}
	return v
}

// compileValidator compiles the schema in doc. Draft-07 is what a file without $schema means.
func compileValidator(l *library, doc *document) (*jsonschema.Schema, *Problem) {
	if reason, pointer := hugeNumber("", doc.tree); reason != "" {
		return nil, &Problem{File: doc.path, Pointer: pointer, Reason: reason}
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.UseLoader(loader{l})
	s, err := c.Compile(fileURL(doc.path))
	if err != nil {
		return nil, schemaProblem(doc, err)
	}
	if at, ok := findCycle(s); ok {
		file, pointer := splitURL(at)
		return nil, &Problem{File: file, Pointer: pointer, Reason: "goes round in a circle of references"}
	}
	return s, nil
}

// schemaProblem says in our words why a schema does not compile, and where.
func schemaProblem(doc *document, err error) *Problem {
	var invalid *jsonschema.SchemaValidationError
	var regex *jsonschema.InvalidRegexError
	var load *jsonschema.LoadURLError
	var pointer *jsonschema.JSONPointerNotFoundError
	var anchor *jsonschema.AnchorNotFoundError
	p := &Problem{File: doc.path, Reason: "does not compile: " + strings.ReplaceAll(err.Error(), scheme+":///", "")}
	switch {
	case errors.As(err, &invalid):
		p.File, p.Pointer = splitURL(invalid.URL)
		var inner *jsonschema.ValidationError
		if errors.As(invalid.Err, &inner) {
			e := explain(inner)
			p.Pointer, p.Reason = p.Pointer+e.Pointer, e.Reason
			if e.Reason == formatReason("regex") {
				p.Reason = notRegexp
			}
		}
	case errors.As(err, &regex):
		p.File, p.Pointer = splitURL(regex.URL)
		p.Reason = notRegexp
	case errors.As(err, &load):
		p.Reason = "cannot use " + quote(strings.TrimPrefix(load.URL, scheme+":///")) + ": " + reasonOf(load.Err)
		p.Pointer = findText(doc, load.URL)
	case errors.As(err, &pointer):
		_, target := splitURL(pointer.URL)
		p.Reason = "refers to " + quote(target) + ", which is not there"
		p.Pointer = findText(doc, "#"+target)
	case errors.As(err, &anchor):
		p.Reason = "refers to " + quote(anchor.Reference) + ", which is not there"
		p.Pointer = findText(doc, anchor.Reference)
	}
	return p
}

const notRegexp = "is no regular expression that can be used here (RE2 syntax, so no look-around)"

// splitURL returns the file and the JSON Pointer of a URL made by fileURL.
func splitURL(text string) (file, pointer string) {
	u, err := url.Parse(text)
	if err != nil {
		return text, ""
	}
	return strings.TrimPrefix(u.Path, "/"), u.Fragment
}

// findText returns the pointer of the first $ref or $schema in doc that means the URL want.
func findText(doc *document, want string) string {
	want = strings.TrimPrefix(want, fileURL(doc.path))
	pointer, _ := findMember("", doc.tree, func(name, text string) bool {
		if name != "$ref" && name != "$schema" {
			return false
		}
		full, err := url.Parse(fileURL(doc.path))
		if err == nil {
			full, err = full.Parse(text)
		}
		return err == nil && (text == want || full.String() == want || strings.TrimSuffix(full.String(), "#") == want || fileAndName(full) == want)
	})
	return pointer
}

func fileAndName(u *url.URL) string {
	inner := *u
	inner.Fragment = ""
	return inner.String()
}

func findMember(pointer string, v any, match func(name, text string) bool) (string, bool) {
	switch v := v.(type) {
	case Object:
		for _, f := range v {
			at := pointerTo(pointer, f.Name)
			if text, ok := f.Value.(string); ok && match(f.Name, text) {
				return at, true
			}
			if found, ok := findMember(at, f.Value, match); ok {
				return found, true
			}
		}
	case []any:
		for i, item := range v {
			if found, ok := findMember(pointerAt(pointer, i), item, match); ok {
				return found, true
			}
		}
	}
	return "", false
}
