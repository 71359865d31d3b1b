package entities

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep values may be nested, in answers and in files.
const maxDepth = 512

// A DecodeError says where a text is not what it should be. It quotes nothing of the text.
type DecodeError struct {
	Offset int64 // in bytes
	Reason string
}

// Error returns the reason and the offset.
func (e *DecodeError) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

var byteOrderMark = []byte("\xef\xbb\xbf")

// lenient reads what servers and authors really write: duplicate names, broken UTF-8.
var lenient = jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

func isEOF(err error) bool { return errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) }

// A parser makes Go values of JSON text.
type parser struct {
	dec     *jsontext.Decoder
	ordered bool // objects become Object, else map[string]any
}

// parseJSON reads the one JSON value of data.
func parseJSON(data []byte, ordered bool) (any, error) {
	skipped := len(data)
	data = bytes.TrimPrefix(data, byteOrderMark)
	skipped -= len(data)
	p := parser{jsontext.NewDecoder(bytes.NewReader(data), lenient), ordered}
	v, err := p.value(0)
	if err == nil {
		if _, next := p.dec.ReadToken(); next == nil {
			err = &DecodeError{p.dec.InputOffset(), "more than one JSON value"}
		} else if !isEOF(next) {
			err = next
		}
	}
	if err != nil {
		return nil, decodeError(err, p.dec.InputOffset(), int64(skipped))
	}
	return v, nil
}

func decodeError(err error, offset, skipped int64) error {
	out := &DecodeError{offset, "not JSON"}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &out):
	case errors.As(err, &syntax):
		out.Offset = syntax.ByteOffset
	}
	out.Offset += skipped
	return out
}

func (p parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, &DecodeError{p.dec.InputOffset(), fmt.Sprintf("nested deeper than %d", maxDepth)}
	}
	token, err := p.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		if p.ordered {
			return p.object(depth)
		}
		return p.plainObject(depth)
	case '[':
		return p.array(depth)
	case '"':
		return token.String(), nil
	case '0':
		return json.Number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	}
	return nil, nil
}

func (p parser) object(depth int) (any, error) {
	b := newBuilder(0)
	for p.dec.PeekKind() != '}' {
		name, value, err := p.member(depth)
		if err != nil {
			return nil, err
		}
		b.set(name, value)
	}
	_, err := p.dec.ReadToken()
	return b.fields, err
}

func (p parser) plainObject(depth int) (any, error) {
	m := make(map[string]any)
	for p.dec.PeekKind() != '}' {
		name, value, err := p.member(depth)
		if err != nil {
			return nil, err
		}
		m[name] = value
	}
	_, err := p.dec.ReadToken()
	return m, err
}

func (p parser) member(depth int) (string, any, error) {
	token, err := p.dec.ReadToken()
	if err != nil {
		return "", nil, err
	}
	name := token.String()
	value, err := p.value(depth + 1)
	return name, value, err
}

func (p parser) array(depth int) (any, error) {
	list := []any{}
	for p.dec.PeekKind() != ']' {
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	_, err := p.dec.ReadToken()
	return list, err
}

// appendJSON writes a normal value. Maps are written by sorted name.
func appendJSON(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return fmt.Appendf(dst, "%t", v), nil
	case string:
		return appendText(dst, v), nil
	case json.Number:
		if !jsontext.Value(v).IsValid() || jsontext.Value(v).Kind() != '0' {
			return nil, errors.New("is no JSON number")
		}
		return append(dst, v...), nil
	case []any:
		return appendList(dst, v)
	case Object:
		return appendObject(dst, v)
	case map[string]any:
		o, _ := asObject(v)
		return appendObject(dst, o)
	}
	n, err := normal(v)
	if err != nil {
		return nil, err
	}
	return appendJSON(dst, n)
}

func appendText(dst []byte, s string) []byte {
	out, err := jsontext.AppendQuote(dst, s)
	if err != nil { // invalid UTF-8: replace it as every JSON writer does
		out, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\ufffd"))
	}
	return out
}

func appendList(dst []byte, list []any) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, item := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendJSON(dst, item); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendObject(dst []byte, o Object) (_ []byte, err error) {
	dst = append(dst, '{')
	for i, f := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, f.Name), ':')
		if dst, err = appendJSON(dst, f.Value); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func bomLength(data []byte) int { return len(data) - len(bytes.TrimPrefix(data, byteOrderMark)) }
