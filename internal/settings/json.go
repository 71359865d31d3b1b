package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

func (d *Document) parseJSON(data []byte) *Problem {
	r := jsonReader{doc: d, Decoder: newDecoder(data)}
	root, err := r.value()
	next := nextToken(data, r.Decoder)
	if err == nil && next < len(data) {
		if _, err = r.ReadToken(); err == nil {
			err = &Problem{Reason: "goes on after its end"}
		}
	}
	if err != nil {
		return d.syntaxError(err, next)
	}
	d.root = root
	d.find = func(path []string) place { return d.lines.place(findJSON(data, 0, path)) }
	return nil
}

func newDecoder(data []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true))
}

type jsonReader struct {
	*jsontext.Decoder
	doc  *Document
	path pointerPath
}

func (r *jsonReader) value() (any, error) {
	switch r.PeekKind() {
	case '{':
		return r.object()
	case '[':
		return r.array()
	}
	tok, err := r.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '"':
		return tok.String(), nil
	case '0':
		return json.Number(tok.String()), nil
	case 't', 'f':
		return tok.Bool(), nil
	default:
		return nil, nil
	}
}

func (r *jsonReader) object() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	m := map[string]any{}
	for r.PeekKind() != '}' {
		tok, err := r.ReadToken()
		if err != nil {
			return nil, err
		}
		name := tok.String()
		r.path = append(r.path, name)
		if _, twice := m[name]; twice {
			end := int(r.InputOffset())
			r.doc.warnTwice(r.doc.lines.place(nameStart(r.doc.lines.data[:end])), r.path)
		}
		if m[name], err = r.value(); err != nil {
			return nil, err
		}
		r.path = r.path[:len(r.path)-1]
	}
	_, err := r.ReadToken()
	return m, err
}

func (r *jsonReader) array() (any, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	list := []any{}
	for r.PeekKind() != ']' {
		r.path = append(r.path, strconv.Itoa(len(list)))
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		r.path = r.path[:len(r.path)-1]
		list = append(list, v)
	}
	_, err := r.ReadToken()
	return list, err
}

func (r *jsonReader) enter() error {
	if r.StackDepth() >= maxDepth {
		return &Problem{Reason: "is nested deeper than " + strconv.Itoa(maxDepth) + " levels"}
	}
	_, err := r.ReadToken()
	return err
}

// nameStart returns where the string that ends the text begins.
func nameStart(text []byte) int {
	i := len(text) - 2
	for ; i > 0; i-- {
		if text[i] != '"' {
			continue
		}
		slashes := 0
		for i-slashes > 0 && text[i-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			break
		}
	}
	return max(i, 0)
}

// syntaxError says what is wrong with the text without quoting from it: what stands there
// may be part of a secret.
func (d *Document) syntaxError(err error, offset int) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return d.lines.problem(offset, p.Reason)
	}
	reason := "is not JSON"
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset, reason = int(syntax.ByteOffset), plainSyntax(syntax.Err)
		if reason == wantValue && bytes.HasPrefix(d.lines.data[min(offset, len(d.lines.data)):], []byte(",")) {
			reason = "has a comma too many"
		}
	} else if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		offset, reason = len(d.lines.data), endsEarly
	}
	return d.lines.problem(offset, reason)
}

const (
	endsEarly = "ends too early: something is not closed"
	wantValue = "is not JSON here: want a value"
)

// plainSyntax keeps of the decoder's text only what it says it expected.
func plainSyntax(err error) string {
	text := err.Error()
	_, expecting, ok := strings.Cut(text, "(expecting ")
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return endsEarly
	case errors.Is(err, jsontext.ErrNonStringName):
		return "has a member name without double quotes"
	case strings.Contains(text, "escape sequence"), strings.Contains(text, "surrogate"):
		return "has a text with an escape sequence that JSON does not know"
	case strings.Contains(text, "non-control"):
		return "has a text with a control character in it, or without its closing quote"
	case ok:
		return "is not JSON here: want " + strings.TrimSuffix(expecting, ")")
	default:
		return wantValue
	}
}

// nextToken returns where the token begins that the decoder reads next.
func nextToken(data []byte, dec *jsontext.Decoder) int {
	start := int(dec.InputOffset())
	for start < len(data) && bytes.IndexByte([]byte(" \t\r\n,:"), data[start]) >= 0 {
		start++
	}
	return start
}

// findJSON reads text that is known to be JSON a second time, from the value at start along
// a path, and returns where the last value that there is on it begins.
func findJSON(data []byte, start int, path []string) int {
	dec := newDecoder(data[start:])
	kind := dec.PeekKind()
	start += nextToken(data[start:], dec)
	if len(path) == 0 || kind != '{' && kind != '[' {
		return start
	}
	rest := data[start:]
	dec = newDecoder(rest)
	_, _ = dec.ReadToken()
	found := -1 // in an object the last one counts
	for i := 0; dec.PeekKind() != '}' && dec.PeekKind() != ']'; i++ {
		name := strconv.Itoa(i)
		if kind == '{' {
			tok, _ := dec.ReadToken()
			name = tok.String()
		}
		if name == path[0] {
			found = nextToken(rest, dec)
		}
		if dec.SkipValue() != nil {
			break
		}
	}
	if found < 0 {
		return start
	}
	return findJSON(data, start+found, path[1:])
}
