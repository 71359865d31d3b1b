package port

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/settings"
)

const (
	variablePrefix = "ocean__integration__config__"
	wholeVariable  = "ocean__integration" // everything as one JSON text
)

// FromEnviron makes a document of the variables (NAME=VALUE) that a container of the original
// system has: OCEAN__INTEGRATION__CONFIG__BASE_URL and so on. Names are read without case; two
// more underscores lead one level down. Variables that name no setting are passed over, unless
// they come near one.
func FromEnviron(environ []string) (tree map[string]any, problems []auth.Note) {
	e := environment{tree: map[string]any{}}
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(pair, "=")
		if strings.ToLower(name) == wholeVariable {
			e.whole(value)
		}
	}
	for _, pair := range slices.Sorted(slices.Values(environ)) { // a name comes before those below it
		name, value, _ := strings.Cut(pair, "=")
		if rest, ok := strings.CutPrefix(strings.ToLower(name), variablePrefix); ok && rest != "" {
			e.set(strings.Split(rest, "__"), value)
		}
	}
	if _, has := e.tree["authType"]; !has && len(e.tree) > 0 {
		e.tree["authType"] = "none" // the default, written out: by it Tree knows the document
	}
	return e.tree, e.problems
}

type environment struct {
	tree     map[string]any
	problems []auth.Note
}

func (e *environment) problem(pointer, reason string) {
	e.problems = append(e.problems, auth.Note{Pointer: pointer, Reason: reason})
}

// whole reads OCEAN__INTEGRATION: {"config": {…}}.
func (e *environment) whole(text string) {
	v, reason := unfold(text)
	if reason != "" {
		e.problem("", "OCEAN__INTEGRATION "+reason)
		return
	}
	root, _ := v.(map[string]any)
	config, _ := root["config"].(map[string]any)
	for name, value := range config {
		if known := knownName(name, settingNames); known != "" {
			e.tree[known] = value
		}
	}
}

// set puts the value of one variable where its name leads.
func (e *environment) set(path []string, value string) {
	name := knownName(path[0], settingNames)
	if name == "" {
		return
	}
	if len(path) == 1 {
		e.tree[name] = value
		if value == "" && slices.Contains(objects, name) {
			e.tree[name] = map[string]any{}
		}
		return
	}
	object, ok := e.object(name)
	if !ok {
		return
	}
	field := knownName(path[1], fieldNames)
	if field == "" {
		field = path[1] // Parse says that it is unknown
	}
	e.tree[name] = merged(object, append([]string{field}, path[2:]...), value)
}

// object is the setting that a deeper variable goes into: what a variable of its own says, parsed.
func (e *environment) object(name string) (map[string]any, bool) {
	if !slices.Contains(objects, name) {
		e.problem("/"+name, "has variables below its name, but is no object")
		return nil, false
	}
	v, reason := unfold(e.tree[name])
	object, ok := v.(map[string]any)
	if v != nil && !ok {
		reason = "is a list, which the variables below its name cannot go into"
	}
	if reason != "" {
		e.problem("/"+name, reason)
	}
	return object, reason == ""
}

func merged(object map[string]any, path []string, value any) map[string]any {
	out := maps.Clone(object)
	if out == nil {
		out = map[string]any{}
	}
	if len(path) > 1 {
		below, _ := out[path[0]].(map[string]any)
		value = merged(below, path[1:], value)
	}
	out[path[0]] = value
	return out
}

var (
	settingNames = append(namesOf[Configuration](), elsewhere...)
	fieldNames   = append(namesOf[AuthRequest](), namesOf[Template]()...)
)

// namesOf lists the JSON names of a struct's fields.
func namesOf[T any]() []string {
	var list []string
	for f := range reflect.TypeFor[T]().Fields() {
		list = append(list, f.Tag.Get("json"))
	}
	return list
}

// knownName is the known name that is written without case and underscores, or a name that comes
// so near one that it is probably a slip; "" for others.
func knownName(name string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(strings.ReplaceAll(name, "_", ""), strings.ReplaceAll(k, "_", "")) {
			return k
		}
	}
	if settings.Nearest(name, known) != "" {
		return name
	}
	return ""
}
