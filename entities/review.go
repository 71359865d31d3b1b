package entities

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A review is everything worth saying about one action file.
type review struct {
	file Problems
	of   []Problems // by place of the action
}

// Check compiles every schema and returns everything that is wrong in the home, warnings
// included, sorted by file, line and column.
func (s *Set) Check() Problems {
	all := slices.Clone(s.problems)
	for _, f := range s.entities {
		all = append(all, f.review().file...)
		for _, problems := range f.review().of {
			all = append(all, problems...)
		}
		all = append(all, s.checkSchemas(f)...)
	}
	for _, f := range s.schemas {
		f.once.Do(f.load)
		all = append(all, f.wrong...)
		all = append(all, s.duplicates(f.path)...)
	}
	all = unique(all)
	all.sort()
	return all
}

// unique drops what is said twice: two files may refer to the same broken one.
func unique(all Problems) Problems {
	seen := make(map[Problem]bool, len(all))
	return slices.DeleteFunc(all, func(p *Problem) bool {
		known := seen[*p]
		seen[*p] = true
		return known
	})
}

// reviewFile finds what Load has no time for: unknown names, unknown datatypes, actions that
// another one replaces, missing mock files.
func (s *Set) reviewFile(f *actionFile) *review {
	r := &review{file: f.broken, of: make([]Problems, len(f.actions))}
	tree, err := parseJSON(f.raw, true)
	root, ok := tree.(Object)
	if err != nil || !ok {
		return r
	}
	warnings := unknownNames("", root, fileNames)
	if at, ok := duplicateName(f.raw); ok {
		warnings = append(warnings, &Problem{Pointer: at, Reason: twice})
	}
	ends := []int{len(warnings)} // of the file's own, then of each action's
	for i := range f.actions {
		action, _ := follow(&document{tree: tree}, f.actions[i].pointer())
		warnings = append(warnings, s.reviewAction(&f.actions[i], action.node)...)
		ends = append(ends, len(warnings))
	}
	for _, p := range warnings {
		p.File, p.Warning = f.path, true
	}
	locate(f.raw, warnings)
	r.file = slices.Concat(f.broken, warnings[:ends[0]])
	for i := range f.actions {
		r.of[i] = slices.Concat(f.actions[i].broken, warnings[ends[i]:ends[i+1]])
	}
	return r
}

const twice = "stands twice in its object; the last one counts"

var (
	fileNames   = []string{"actions"}
	actionNames = []string{
		"name", "protocol", "method", "entitypath", "startVersion", "endVersion", "schema", "requestSchema", "responseSchema",
		"datatype", "requestDatatype", "responseDatatype", "querykey", "timeout", "sendEmpty", "sendGetBody", "headers", "sso",
		"responseObjects",
	}
	ssoNames      = []string{"protocol", "host", "port"}
	responseNames = []string{"type", "key", "mockFile"}
)

func (s *Set) reviewAction(a *Action, node Object) []*Problem {
	at := a.pointer()
	out := unknownNames(at, node, actionNames)
	warn := func(pointer, reason string) {
		out = append(out, &Problem{Pointer: pointer, Reason: reason})
	}
	if a.Name != "" && a.file.byName[a.Name] != a {
		warn(at+"/name", "is used by a later action, which counts")
	}
	for _, name := range []string{"datatype", "requestDatatype", "responseDatatype"} {
		text, _ := node.Get(name)
		if text, ok := text.(string); ok {
			if _, known := ParseDatatype(text); !known {
				warn(pointerTo(at, name), "unknown datatype "+quote(text)+" counts as PLAIN")
			}
		}
	}
	for i := range a.paths {
		for _, name := range a.paths[i].template().unused {
			warn(at+"/entitypath", "{"+name+"} is no variable and is sent as it stands")
		}
	}
	sso, _ := node.Get("sso")
	inner, _ := sso.(Object)
	out = append(out, unknownNames(at+"/sso", inner, ssoNames)...)
	responses, _ := node.Get("responseObjects")
	list, _ := responses.([]any)
	for i, item := range list {
		inner, _ := item.(Object)
		pointer := pointerAt(at+"/responseObjects", i)
		out = append(out, unknownNames(pointer, inner, responseNames)...)
		if mock, _ := inner.Get("mockFile"); mock != nil && mock != "" {
			if reason := s.mockReason(a.Entity, mock); reason != "" {
				warn(pointer+"/mockFile", reason)
			}
		}
	}
	return out
}

func (s *Set) mockReason(entity string, mock any) string {
	name, ok := mock.(string)
	p := path.Join(folder, entity, name)
	switch {
	case !ok:
		return ""
	case strings.HasPrefix(name, "/") || !fs.ValidPath(p):
		return "leaves the adapter home"
	case !s.library.has(p):
		return "there is no file " + p
	}
	return ""
}

func unknownNames(pointer string, o Object, known []string) []*Problem {
	var out []*Problem
	for _, f := range o {
		if slices.Contains(known, f.Name) {
			continue
		}
		reason := "is not known"
		if like := near(f.Name, known); len(like) > 0 {
			reason += "; did you mean " + like[0] + "?"
		}
		out = append(out, &Problem{Pointer: pointerTo(pointer, f.Name), Reason: reason})
	}
	return out
}

// checkSchemas warns of what no compiler sees: schemas of an action that do not know it, and
// tokens that are nowhere.
func (s *Set) checkSchemas(f *actionFile) Problems {
	var out Problems
	for i := range f.actions {
		a := &f.actions[i]
		if a.broken != nil {
			continue
		}
		for _, file := range slices.Compact([]*schemaFile{a.request, a.response}) {
			if _, err := file.compile(); err == nil {
				out = append(out, file.checkEnum(a)...)
			}
		}
		if _, err := a.response.compile(); err == nil && a.Entity == systemEntity {
			out = append(out, a.response.checkPlacement()...)
		}
	}
	return s.library.located(out)
}

// checkEnum warns if ph_request_type has an enum without the action: every call of it fails.
func (f *schemaFile) checkEnum(a *Action) Problems {
	if f.schema.root.untouched || f.allows(a.Name) {
		return nil
	}
	const pointer = "/properties/" + requestType + "/enum"
	reason := "does not list action " + quote(a.Name) + " of " + a.file.path + ", so that every call of it fails"
	return Problems{{File: f.path, Pointer: pointer, Reason: reason, Warning: true}}
}

// checkPlacement warns of tokens that do not say where in the answer they are.
func (f *schemaFile) checkPlacement() Problems {
	var out Problems
	for _, name := range []string{"token", "tokenp2", "refreshToken", "expires"} {
		if p := f.schema.root.shape.byName[name]; p != nil && p.Placement == "" {
			pointer := pointerTo("/properties", name)
			out = append(out, &Problem{File: f.path, Pointer: pointer, Reason: "has no placement and is looked for in the body", Warning: true})
		}
	}
	return out
}

// allows reports whether ph_request_type, where it has an enum, lists the action.
func (f *schemaFile) allows(action string) bool {
	v, ok := follow(f.doc, "/properties/"+requestType)
	if !ok {
		return true
	}
	enum, _ := v.node.Get("enum")
	list, ok := enum.([]any)
	return !ok || slices.Contains(list, any(action))
}

// located reads the files of the problems again and places what has no place yet.
func (l *library) located(problems Problems) Problems {
	byFile := make(map[string][]*Problem)
	for _, p := range problems {
		if p.Line == 0 {
			byFile[p.File] = append(byFile[p.File], p)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		if data, err := readFile(l.home, file); err == nil {
			locate(data, byFile[file])
		}
	}
	return problems
}

// duplicates warns of names that stand twice in one object of a schema.
func (s *Set) duplicates(file string) Problems {
	data, err := readFile(s.library.home, file)
	if err != nil {
		return nil
	}
	at, ok := duplicateName(data)
	if !ok {
		return nil
	}
	p := &Problem{File: file, Pointer: at, Reason: twice, Warning: true}
	locate(data, []*Problem{p})
	return Problems{p}
}

// duplicateName returns the first name that stands twice in one object.
func duplicateName(data []byte) (string, bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(data[bomLength(data):]), jsontext.AllowInvalidUTF8(true))
	err := dec.SkipValue()
	var syntax *jsontext.SyntacticError
	if errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax) {
		return string(syntax.JSONPointer), true
	}
	return "", false
}
