package custom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/auth/internal/endpoint"
)

// scope is what expressions can see.
type scope struct {
	answers []any          // as far as there are any; the last one is the input
	headers map[string]any // of the last answer, by canonical and by lower-case name
	cookies map[string]any // of all answers, a later one replacing
}

func (s scope) input() any {
	if len(s.answers) == 0 {
		return nil
	}
	return s.answers[len(s.answers)-1]
}

// with returns the scope after one more answer.
func (s scope) with(a auth.Answer, root any) scope {
	next := scope{answers: append(s.answers[:len(s.answers):len(s.answers)], root), headers: map[string]any{}, cookies: map[string]any{}}
	for name, values := range a.Header {
		text := strings.Join(values, ", ")
		next.headers[textproto.CanonicalMIMEHeaderKey(name)], next.headers[strings.ToLower(name)] = text, text
	}
	for name, value := range s.cookies {
		next.cookies[name] = value
	}
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		next.cookies[c.Name] = c.Value
		if c.MaxAge < 0 || c.MaxAge == 0 && !c.Expires.IsZero() && !c.Expires.After(a.At) {
			delete(next.cookies, c.Name) // RFC 6265, section 5.3: so a server deletes one
		}
	}
	return next
}

// read is the answer's JSON, whatever its Content-Type says.
func read(a auth.Answer) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(a.Body, []byte("\ufeff"))))
	dec.UseNumber()
	var root any
	if err := dec.Decode(&root); err != nil {
		return nil, errors.New("the answer is not JSON")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("the answer is more than one JSON value")
	}
	if empty(root) {
		return nil, errors.New("the answer is empty, and brings no credential")
	}
	return root, nil
}

// empty reports whether an answer says nothing: its values would all be missing.
func empty(root any) bool {
	switch root := root.(type) {
	case nil:
		return true
	case bool:
		return !root
	case string:
		return root == ""
	case json.Number:
		f, err := root.Float64()
		return err == nil && f == 0
	case []any:
		return len(root) == 0
	case map[string]any:
		return len(root) == 0
	}
	return false
}

const (
	shownNames = 12 // of one object
	shownDepth = 2
	nameLength = 40
)

// shape describes an answer by its names and kinds, without any value.
func shape(v any, depth int, redact *auth.Redactor) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "text"
	case []any:
		return fmt.Sprintf("list of %d", len(v))
	case map[string]any:
		if depth == 0 {
			return fmt.Sprintf("object of %d", len(v))
		}
		var list []string
		for _, name := range sortedNames(v) {
			if len(list) == shownNames {
				list = append(list, "…")
				break
			}
			list = append(list, endpoint.Clip(redact.Scrub(name), nameLength)+": "+shape(v[name], depth-1, redact))
		}
		return "{" + strings.Join(list, ", ") + "}"
	}
	return "number"
}

// whatThereIs says what an expression that found nothing could have asked for.
func (s scope) whatThereIs(e *Expression, redact *auth.Redactor) string {
	switch {
	case strings.HasPrefix(e.text, "$headers"):
		canonical := maps.Clone(s.headers)
		maps.DeleteFunc(canonical, func(name string, _ any) bool { return name != textproto.CanonicalMIMEHeaderKey(name) })
		return "its headers are " + names(canonical, redact)
	case strings.HasPrefix(e.text, "$cookies"):
		return "the cookies are " + names(s.cookies, redact)
	}
	object, ok := s.input().(map[string]any)
	if !ok {
		return "it is " + shape(s.input(), 0, redact)
	}
	return "its keys are " + names(object, redact)
}

// names lists some names of an object.
func names(object map[string]any, redact *auth.Redactor) string {
	if len(object) == 0 {
		return "none"
	}
	var list []string
	for _, name := range sortedNames(object) {
		if len(list) == shownNames {
			list = append(list, "…")
			break
		}
		list = append(list, endpoint.Clip(redact.Scrub(name), nameLength))
	}
	return strings.Join(list, ", ")
}
