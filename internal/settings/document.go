package settings

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxSize  = 4 << 20 // bytes of one document
	maxDepth = 64      // objects and arrays inside each other
)

// Document is one parsed file: its tree, and where the parts of the tree stand.
type Document struct {
	root     any
	warnings Problems
	lines    lineIndex
	find     func(path []string) place // of the last value on the path that there is
}

// place is where a value begins.
type place struct{ line, column int }

// Parse reads JSON, or YAML when the text begins like no JSON object, array or string.
// Numbers keep their digits (json.Number). A syntax error is a *Problem that quotes
// nothing of the text.
func Parse(data []byte) (*Document, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(data) > maxSize {
		return nil, &Problem{Line: 1, Column: 1, Reason: "is larger than 4 MiB"}
	}
	d := &Document{lines: lineIndex{data: data}}
	if at := invalidUTF8(data); at >= 0 {
		return nil, d.lines.problem(at, "is not UTF-8 text")
	}
	text := bytes.TrimLeft(data, " \t\r\n")
	if len(text) == 0 {
		return nil, &Problem{Line: 1, Column: 1, Reason: "is empty"}
	}
	read := d.parseYAML
	if bytes.IndexByte([]byte(`{["`), text[0]) >= 0 {
		read = d.parseJSON
	}
	if p := read(data); p != nil {
		return nil, p
	}
	return d, nil
}

// Root returns the tree. It is shared: treat it as read-only, as everything in this
// package does.
func (d *Document) Root() any { return d.root }

// Warnings returns what is odd about the text although it could be read: names that are
// written twice in one object.
func (d *Document) Warnings() Problems { return slices.Clone(d.warnings) }

// Position returns where the value that a JSON Pointer names begins. For a pointer that
// leads nowhere it is the place of the nearest value around it.
func (d *Document) Position(pointer string) (line, column int) {
	var path []string
	if rest, ok := strings.CutPrefix(pointer, "/"); ok {
		path = strings.Split(rest, "/")
		for i := range path {
			path[i] = unescapePointer.Replace(path[i])
		}
	}
	at := d.find(path)
	return at.line, at.column
}

// Locate gives every problem without a place the place of its pointer in this document,
// sorts them all by place, and returns them.
func (d *Document) Locate(ps Problems) Problems {
	for _, p := range ps {
		if p.Line == 0 {
			p.Line, p.Column = d.Position(p.Pointer)
		}
	}
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return ps
}

// maxTwice limits the warnings of one document; nobody reads more of this kind.
const maxTwice = 100

func (d *Document) warnTwice(at place, path pointerPath) {
	if len(d.warnings) < maxTwice {
		d.warnings = append(d.warnings, &Problem{
			Line: at.line, Column: at.column, Pointer: path.String(), Warning: true,
			Reason: "is written more than once; the last one counts",
		})
	}
}

// pointerPath is the way to a value. It becomes a JSON Pointer only when there is something
// to say: long names of nested objects would make the pointers of all their members large.
type pointerPath []string

func (p pointerPath) String() string {
	var b strings.Builder
	for _, name := range p {
		b.WriteByte('/')
		b.WriteString(escapePointer.Replace(name))
	}
	return b.String()
}

func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// lineIndex turns byte offsets into lines and columns.
type lineIndex struct{ data []byte }

func (l *lineIndex) place(offset int) place {
	before := l.data[:min(max(offset, 0), len(l.data))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return place{bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1}
}

func (l *lineIndex) problem(offset int, reason string) *Problem {
	at := l.place(offset)
	return &Problem{Line: at.line, Column: at.column, Reason: reason}
}
