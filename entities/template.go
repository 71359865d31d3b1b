package entities

import (
	"strconv"
	"strings"
)

// A template is a parsed entitypath.
type template struct {
	text   string
	parts  []part
	query  int // place of {query} in parts, -1 if there is none
	dots   int // dot segments that the author wrote
	unused []string
}

type part struct {
	kind    partKind
	text    string // of a literal, escaped
	n       int    // of {pathvN}
	inQuery bool   // behind the first ? of the text
}

type partKind int

const (
	literal partKind = iota
	basePath
	version
	pathVar
	queryHolder
	credential // {username}, {password}: filled by who sends the token request
)

var variables = map[string]partKind{
	"base_path": basePath, "version": version, "query": queryHolder, "username": credential, "password": credential,
}

// parseTemplate never fails: a {name} it does not know is kept as text and listed in unused.
func parseTemplate(text string) *template {
	t := &template{text: text, query: -1}
	inQuery := false
	for rest := text; rest != ""; {
		open := strings.IndexByte(rest, '{')
		end := strings.IndexByte(rest[open+1:], '}')
		if open < 0 || end < 0 {
			t.literal(rest, inQuery)
			break
		}
		inQuery = t.literal(rest[:open], inQuery)
		name := rest[open+1 : open+1+end]
		inQuery = t.variable(name, inQuery)
		rest = rest[open+end+2:]
	}
	t.dots = dotSegments(t.skeleton())
	return t
}

// skeleton is the path of the template with an x for each variable.
func (t *template) skeleton() string {
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.inQuery:
		case p.kind == literal:
			b.WriteString(p.text)
		default:
			b.WriteByte('x')
		}
	}
	return b.String()
}

// literal adds text, divided at the first ? of the template.
func (t *template) literal(text string, inQuery bool) bool {
	if !inQuery {
		path, _, found := strings.Cut(text, "?")
		if path != "" {
			t.parts = append(t.parts, part{text: escapeIllegal(path, legalInPath)})
		}
		if !found {
			return false
		}
		text = text[strings.IndexByte(text, '?'):]
	}
	if text != "" {
		t.parts = append(t.parts, part{text: escapeIllegal(text, legalInQuery), inQuery: true})
	}
	return true
}

func (t *template) variable(name string, inQuery bool) bool {
	kind, known := variables[name]
	digits, isPathVar := strings.CutPrefix(name, "pathv")
	n, err := strconv.Atoi(digits)
	switch {
	case isPathVar && err == nil && n > 0:
		t.parts = append(t.parts, part{kind: pathVar, n: n, inQuery: inQuery})
	case kind == queryHolder && known:
		if t.query < 0 {
			t.query = len(t.parts)
		}
		t.parts = append(t.parts, part{kind: queryHolder, inQuery: inQuery})
	case known:
		t.parts = append(t.parts, part{kind: kind, text: "{" + name + "}", inQuery: inQuery})
	default:
		t.unused = append(t.unused, name)
		return t.literal("{"+name+"}", inQuery)
	}
	return inQuery
}

// A rendering is one filling of a template.
type rendering struct {
	target   *Target
	template *template
	lax      bool // missing path variables vanish
	out      []byte
}

// render fills the parts in [from, to).
func (r *rendering) render(from, to int) (string, error) {
	r.out = r.out[:0]
	for _, p := range r.template.parts[from:to] {
		switch p.kind {
		case literal, credential:
			r.out = append(r.out, p.text...)
		case basePath:
			r.segment(escapeIllegal(r.target.BasePath, legalInPath))
		case version:
			r.segment(escapeComponent(r.target.Version))
		case pathVar:
			if err := r.pathVar(p); err != nil {
				return "", err
			}
		}
	}
	return string(r.out), nil
}

// segment adds text with one / before it; an empty text adds nothing.
func (r *rendering) segment(text string) {
	text = strings.TrimPrefix(text, "/")
	if text == "" {
		return
	}
	if !r.endsWith("/") {
		r.out = append(r.out, '/')
	}
	r.out = append(r.out, text...)
}

func (r *rendering) endsWith(any string) bool {
	return len(r.out) > 0 && strings.IndexByte(any, r.out[len(r.out)-1]) >= 0
}

func (r *rendering) pathVar(p part) error {
	text, err := r.value(p.n)
	if err != nil {
		return err
	}
	switch {
	case text == "" && !p.inQuery && r.endsWith("/:"):
		r.out = r.out[:len(r.out)-1]
		return nil
	case text == "":
		return nil
	case !p.inQuery && !r.endsWith("/:="):
		r.out = append(r.out, '/')
	}
	switch {
	case !r.target.RawPathVars:
		text = escapeComponent(text)
	case p.inQuery:
		text = escapeIllegal(text, legalInQuery)
	default:
		text = escapeIllegal(text, legalInPath)
	}
	r.out = append(r.out, text...)
	return nil
}

func (r *rendering) value(n int) (string, error) {
	values := r.target.PathVars
	if n > len(values) {
		if r.lax {
			return "", nil
		}
		return "", r.fault(n, `is missing; give "" to leave it out`)
	}
	v, err := normal(values[n-1])
	if err != nil {
		return "", r.fault(n, err.Error())
	}
	switch v.(type) {
	case []any, Object, map[string]any:
		return "", r.fault(n, "is "+kindOf(v)+", want string")
	}
	text, err := scalarText(v)
	if err == nil && !r.target.RawPathVars && (text == "." || text == "..") {
		return "", r.fault(n, "is a dot segment, which would change the path")
	}
	return text, err
}

func (r *rendering) fault(n int, reason string) error {
	return &PathError{Variable: "pathv" + strconv.Itoa(n), Template: r.template.text, Reason: reason}
}

// dotSegments counts the segments . and .. of an escaped path.
func dotSegments(path string) int {
	count := 0
	for segment := range strings.SplitSeq(path, "/") {
		segment = strings.ReplaceAll(strings.ReplaceAll(segment, "%2e", "."), "%2E", ".")
		if segment == "." || segment == ".." {
			count++
		}
	}
	return count
}
