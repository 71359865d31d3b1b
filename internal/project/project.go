// Package project reads the project file, keyhitch.yaml: named adapters, where tokens are shared,
// what is logged, and how the gateway serves.
//
//	keyhitch.yaml ─ Read ─▶ File ─┬ Adapter(name), Cache, Log   what a command needs, checked alone
//	                              └ Settings                    all of it, for `keyhitch serve`
//
// The file is strict: an unknown member is an error. Every problem is reported at once, with file,
// line and column; none of them shows a value.
package project

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// Name is what a project file is called where nobody says otherwise.
const Name = "keyhitch.yaml"

// members of the project file.
var members = []string{"adapters", "cache", "log", "gateway"}

// File is a project file that could be read. Its sections are checked when they are asked for.
type File struct {
	name string
	doc  *settings.Document
	root map[string]any
	from settings.Lookup
}

// Read takes a project file's text. Its error, like all errors of this package, is an
// *adapter.ConfigError. Texts for ${env:…} and ${file:…} are taken from the lookup.
func Read(name string, data []byte, from settings.Lookup) (*File, error) {
	f := &File{name: name}
	if read := from.File; read != nil {
		from.File = func(path string) ([]byte, error) { return read(f.below(path)) }
	}
	f.from = from
	doc, err := settings.Parse(data)
	if err != nil {
		return nil, f.wrong(err)
	}
	f.doc = doc
	root, ok := doc.Root().(map[string]any)
	if !ok {
		return nil, f.Problem("", "is no project file: it must be an object with adapters")
	}
	f.root = root
	return f, f.error(f.unknown())
}

// unknown finds members that mean nothing, and those that are written twice.
func (f *File) unknown() settings.Problems {
	var found settings.Problems
	for _, name := range slices.Sorted(maps.Keys(f.root)) {
		if !slices.Contains(members, name) {
			found = append(found, problem("/"+escape(name), "is not a known member"+didYouMean(name)))
		}
	}
	for _, p := range f.doc.Warnings() { // the one that does not count might hold an allow rule
		found = append(found, &settings.Problem{Line: p.Line, Column: p.Column, Pointer: p.Pointer, Reason: "is written more than once"})
	}
	if _, ok := f.root["adapters"].(map[string]any); !ok && f.root["adapters"] != nil {
		found = append(found, problem("/adapters", "must be an object: a name, and what it stands for"))
	}
	return found
}

func didYouMean(name string) string {
	if near := settings.Nearest(name, members); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// Name is where the file is.
func (f *File) Name() string { return f.name }

// Names lists the adapters.
func (f *File) Names() []string {
	adapters, _ := f.root["adapters"].(map[string]any)
	return slices.Sorted(maps.Keys(adapters))
}

// Problem is an error about a place of the file, by its JSON Pointer.
func (f *File) Problem(pointer, reason string) error {
	return f.error(settings.Problems{problem(pointer, reason)})
}

// Locate is an error of problems by their JSON Pointers, each with its line and column.
func (f *File) Locate(found settings.Problems) error { return f.error(found) }

func problem(pointer, reason string) *settings.Problem {
	return &settings.Problem{Pointer: pointer, Reason: reason}
}

// error is nil where nothing was found.
func (f *File) error(found settings.Problems) error {
	if len(found) == 0 {
		return nil
	}
	out := new(adapter.ConfigError)
	for _, p := range f.doc.Locate(found) {
		out.Problems = append(out.Problems, f.placed(p))
	}
	return out
}

func (f *File) placed(p *settings.Problem) *adapter.Problem {
	return &adapter.Problem{File: f.name, Line: p.Line, Column: p.Column, Pointer: p.Pointer, Reason: p.Reason}
}

// wrong is the error of a text that is neither YAML nor JSON.
func (f *File) wrong(err error) error {
	if p, ok := err.(*settings.Problem); ok {
		return &adapter.ConfigError{Problems: adapter.Problems{f.placed(p)}}
	}
	return &adapter.ConfigError{Problems: adapter.Problems{{File: f.name, Reason: err.Error()}}}
}

// below makes a path of the project file relative to that file.
func (f *File) below(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(f.name), filepath.FromSlash(path))
}

func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
