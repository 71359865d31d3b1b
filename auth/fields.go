package auth

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Field is one auth_field and its auth_field_format.
//
//	header.headers.NAME   a request header; NAME may hold dots
//	header.auth           «user:password», sent as Authorization: Basic (RFC 7617)
//	query.NAME            a query parameter, fully encoded
//	body.A.B              a field of a JSON or form body, merged
//	url                   raw text in front of the query
//	urlpath               raw text appended to the path
type Field struct {
	Path, Format string
	Weak         bool // a header that a request has itself holds
}

// FieldNames are the names a format may use.
var FieldNames = [...]string{"token", "tokenp2", "username", "password"}

// Fields is the Placement of auth_field and auth_field_format, compiled once.
type Fields struct {
	fields []compiledField
	fixed  map[string]Secret
}

type compiledField struct {
	write  func(*InjectionBuilder, string)
	format Format
}

// FieldProblem is a fault of one Field.
type FieldProblem struct {
	Index   int
	Format  bool // in the format, not in the path
	Warning bool
	Reason  string
}

// CompileFields compiles fields over names; fixed holds the values that do not come with the token.
// All problems are returned; Fields is usable when none is an error.
func CompileFields(fields []Field, fixed map[string]Secret, names ...string) (*Fields, []FieldProblem) {
	var problems []FieldProblem
	out := &Fields{fixed: fixed}
	for i, f := range fields {
		write, err := fieldWriter(f)
		if err != nil {
			problems = append(problems, FieldProblem{Index: i, Reason: err.Error()})
		}
		format, err := CompileFormat(f.Format, names...)
		if err != nil {
			problems = append(problems, FieldProblem{Index: i, Format: true, Reason: err.Error()})
		}
		for _, word := range format.Unknown() {
			problems = append(problems, FieldProblem{Index: i, Format: true, Warning: true,
				Reason: fmt.Sprintf("%s is no known name and stays as it is", word)})
		}
		if f.Path == "header.auth" {
			format = format.basic()
		}
		out.fields = append(out.fields, compiledField{write, format})
	}
	return out, problems
}

// Masked returns the same fields with masks for the fixed values.
func (p *Fields) Masked() Placement {
	fixed := make(map[string]Secret, len(p.fixed))
	for name, value := range p.fixed {
		fixed[name] = value.Masked()
	}
	return &Fields{p.fields, fixed}
}

// Uses reports whether any format asks for name.
func (p *Fields) Uses(name string) bool {
	for _, f := range p.fields {
		if f.format.Uses(name) {
			return true
		}
	}
	return false
}

// Render makes the Injection of one token.
func (p *Fields) Render(t Token) (Injection, error) {
	values := p.fixed
	if len(t.Values) > 0 {
		values = make(map[string]Secret, len(p.fixed)+len(t.Values))
		for name, value := range p.fixed {
			values[name] = value
		}
		for name, value := range t.Values {
			values[name] = value
		}
	}
	var b InjectionBuilder
	for _, f := range p.fields {
		text, err := f.format.Render(values)
		if err != nil {
			return Injection{}, err
		}
		f.write(&b, text)
	}
	return b.Build()
}

func fieldWriter(f Field) (func(*InjectionBuilder, string), error) {
	root, rest, _ := strings.Cut(f.Path, ".")
	switch root {
	case "header":
		return headerWriter(rest, f.Weak)
	case "query":
		if rest == "" {
			return nil, errors.New("query. needs the name of a parameter")
		}
		return func(b *InjectionBuilder, text string) { b.Query(rest, text) }, nil
	case "body":
		names := strings.Split(rest, ".")
		for _, name := range names {
			if name == "" {
				return nil, errors.New("body. needs the name of a field")
			}
		}
		return func(b *InjectionBuilder, text string) { b.Body(names, text) }, nil
	case "url":
		return (*InjectionBuilder).RawQuery, nil
	case "urlpath":
		return (*InjectionBuilder).RawPath, nil
	}
	return nil, fmt.Errorf("%q is no place; write header.headers.NAME, header.auth, query.NAME, body.NAME, url or urlpath", f.Path)
}

func headerWriter(rest string, weak bool) (func(*InjectionBuilder, string), error) {
	if rest == "auth" {
		rest = "headers.Authorization"
	}
	name, ok := strings.CutPrefix(rest, "headers.")
	if !ok {
		return nil, fmt.Errorf("header.%s is not supported; write header.headers.NAME or header.auth", rest)
	}
	if !httpguts.ValidHeaderFieldName(name) {
		return nil, fmt.Errorf("%q is no header name", name)
	}
	if framing[strings.ToLower(name)] {
		return nil, fmt.Errorf("header %s belongs to the connection and cannot carry a credential", name)
	}
	if weak {
		return func(b *InjectionBuilder, text string) { b.WeakHeader(name, text) }, nil
	}
	return func(b *InjectionBuilder, text string) { b.Header(name, text) }, nil
}

// framing headers decide where a message ends or where it goes; a credential there would break it.
var framing = map[string]bool{
	"host": true, "content-length": true, "transfer-encoding": true, "connection": true, "trailer": true,
	"te": true, "upgrade": true, "keep-alive": true, "proxy-connection": true,
}
