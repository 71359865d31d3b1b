package settings

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lookup is where ${env:NAME} and ${file:PATH} take their texts from. A nil function
// knows nothing.
type Lookup struct {
	Env  func(name string) (string, bool)
	File func(path string) ([]byte, error)
}

const maxFile = 1 << 20 // bytes of a ${file:…}

// Expand returns the tree with every ${env:NAME} and ${file:PATH} in its strings replaced;
// "$${" stands for a literal "${". What comes in is not looked at again. The problems'
// pointers begin with at; they name NAME and PATH, never what stands there. The tree itself
// is not changed, and a string with a problem stays as it is.
func Expand(tree any, at string, from Lookup) (any, Problems) {
	out, _, problems := ExpandTold(tree, at, from)
	return out, problems
}

// Reference is a text that came in for one ${…}, and the JSON Pointer of the string it went into.
type Reference struct{ Pointer, Text string }

// ExpandTold is Expand, and tells what came in: most of it is secret, wherever it went.
func ExpandTold(tree any, at string, from Lookup) (any, []Reference, Problems) {
	e := expander{from: from}
	return e.value(tree, at), e.references, e.problems
}

type expander struct {
	from       Lookup
	references []Reference
	problems   Problems
}

func (e *expander) value(v any, at string) any {
	switch v := v.(type) {
	case string:
		return e.text(v, at)
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out[name] = e.value(v[name], join(at, name))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = e.value(v[i], at+"/"+strconv.Itoa(i))
		}
		return out
	default:
		return v
	}
}

func (e *expander) text(text, at string) string {
	if !strings.Contains(text, "${") {
		return text
	}
	var b strings.Builder
	for rest := text; rest != ""; {
		dollar := strings.IndexByte(rest, '$')
		if dollar < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:dollar])
		rest = rest[dollar:]
		switch {
		case strings.HasPrefix(rest, "$${"):
			b.WriteString("${")
			rest = rest[3:]
		case strings.HasPrefix(rest, "${"):
			name, after, closed := strings.Cut(rest[2:], "}")
			value, reason := "", "has a ${ that is never closed; $${ stands for a literal ${"
			if closed {
				value, reason = e.lookup(name)
			}
			if reason != "" {
				e.problems = append(e.problems, &Problem{Pointer: at, Reason: reason})
				return text
			}
			e.references = append(e.references, Reference{at, value})
			b.WriteString(value)
			rest = after
		default:
			b.WriteByte('$')
			rest = rest[1:]
		}
	}
	return b.String()
}

// lookup returns what ${ref} stands for, or the reason why it stands for nothing. A ref of
// another form is not shown: it may be part of a secret that holds "${" by chance.
func (e *expander) lookup(ref string) (value, reason string) {
	scheme, name, _ := strings.Cut(ref, ":")
	if strings.ContainsFunc(name, unicode.IsControl) {
		name = ""
	}
	switch {
	case scheme == "env" && name != "":
		return e.env(name)
	case scheme == "file" && name != "":
		return e.file(name)
	default:
		return "", "has a ${…} that is neither ${env:NAME} nor ${file:PATH}; $${ stands for a literal ${"
	}
}

func (e *expander) env(name string) (value, reason string) {
	ok := false
	if e.from.Env != nil {
		value, ok = e.from.Env(name)
	}
	switch {
	case !ok:
		return "", "wants the environment variable " + name + ", which is not set"
	case !utf8.ValidString(value):
		return "", "wants the environment variable " + name + ", which is not UTF-8 text"
	}
	return value, ""
}

func (e *expander) file(path string) (value, reason string) {
	data, err := []byte(nil), fs.ErrNotExist
	if e.from.File != nil {
		data, err = e.from.File(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		reason = "which does not exist"
	case errors.Is(err, fs.ErrPermission):
		reason = "which may not be read"
	case err != nil:
		reason = "which cannot be read"
	case len(data) > maxFile:
		reason = "which is larger than 1 MiB"
	case !utf8.Valid(data):
		reason = "which is not UTF-8 text"
	default:
		text, _ := strings.CutSuffix(string(data), "\n")
		if len(text) < len(data) {
			text = strings.TrimSuffix(text, "\r")
		}
		return text, ""
	}
	return "", "wants the file " + path + ", " + reason
}
