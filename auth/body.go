package auth

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxBody bounds a request body that a credential is merged into: it is held in memory.
const maxBody = 8 << 20

// bodyField is one credential in a body: the nested names, and the text, or the JSON that goes
// with every method.
type bodyField struct {
	path  []string
	value string
	json  []byte
}

// quoted is the field's value in a JSON body.
func (f bodyField) quoted() ([]byte, error) {
	if f.json != nil {
		return f.json, nil
	}
	return jsontext.AppendQuote(nil, f.value)
}

// PlacementError is a request that cannot carry the credential where it is to go. Nothing was sent.
type PlacementError struct{ Reason string }

// Error says what does not fit.
func (e *PlacementError) Error() string { return "the credential goes into the body, " + e.Reason }

func misplaced(format string, args ...any) error {
	return &PlacementError{fmt.Sprintf(format, args...)}
}

// patchBody merges the fields into a JSON object or a form. All other members stay as they are,
// byte for byte.
func patchBody(req *http.Request, fields []bodyField) error {
	if method := cmp.Or(req.Method, http.MethodGet); (method == http.MethodGet || method == http.MethodHead) && fields[0].json == nil {
		return misplaced("but a %s has none", method)
	}
	kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	old, err := readBody(req)
	if err != nil {
		return err
	}
	var body []byte
	switch {
	case kind == "application/x-www-form-urlencoded":
		body, err = patchForm(old, fields)
	case kind == "" && len(old) == 0, kind == "application/json", strings.HasSuffix(kind, "+json"):
		body, err = patchJSON(old, fields)
	default:
		err = misplaced("which must be JSON or a form, not %s", cmp.Or(kind, "one without Content-Type"))
	}
	if err != nil {
		return err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if kind == "" {
		req.Header["Content-Type"] = []string{"application/json"}
	}
	return nil
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	defer func() { _ = req.Body.Close() }()
	var data bytes.Buffer
	data.Grow(int(min(max(req.ContentLength, 0), maxBody)) + bytes.MinRead) // its end is read with room to spare
	_, err := data.ReadFrom(io.LimitReader(req.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the request body: %w", err)
	}
	if data.Len() > maxBody {
		return nil, misplaced("which is larger than %d bytes", maxBody)
	}
	if k, ok := req.Body.(*keeper); ok {
		k.data, k.full = data.Bytes(), true // what comes of it is another slice
	}
	return data.Bytes(), nil
}

func patchForm(old []byte, fields []bodyField) ([]byte, error) {
	form := string(old)
	for _, f := range fields {
		name := strings.Join(f.path, ".")
		form = joinQuery(withoutParameter(form, name), escapeComponent(name)+"="+escapeComponent(f.value))
	}
	return []byte(form), nil
}

func patchJSON(old []byte, fields []bodyField) ([]byte, error) {
	if len(bytes.TrimSpace(old)) == 0 {
		old = []byte("{}")
	}
	return setMembers(old, fields, 0)
}

var errNoObject = misplaced("which is not a JSON object")

// setMembers returns object with the fields' values at their paths, every other member byte for
// byte as it was.
func setMembers(object []byte, fields []bodyField, depth int) ([]byte, error) {
	if jsontext.Value(object).Kind() != '{' {
		if depth == 0 {
			return nil, errNoObject
		}
		return nil, misplaced("at a field %d levels down, where no JSON object is", depth)
	}
	members, err := splitObject(object)
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if members, err = setMember(members, f, depth); err != nil {
			return nil, err
		}
	}
	return joinObject(members), nil
}

// setMember puts one field behind the others; what had its name goes.
func setMember(members []member, f bodyField, depth int) ([]member, error) {
	kept, nested := members[:0], []byte("{}")
	for _, m := range members {
		if m.is(f.path[0]) {
			nested = m.value
			continue
		}
		kept = append(kept, m)
	}
	value, err := f.quoted()
	if err == nil && len(f.path) > 1 {
		value, err = setMembers(nested, []bodyField{{path: f.path[1:], json: value}}, depth+1)
	}
	if err != nil {
		return nil, err
	}
	name, err := jsontext.AppendQuote(nil, f.path[0])
	return append(kept, member{name, value}), err
}

// member is one member of an object, as it stands there: name with its quotes, and value.
type member struct{ name, value []byte }

func (m member) is(name string) bool {
	plain := m.name[1 : len(m.name)-1]
	if bytes.IndexByte(plain, '\\') >= 0 || !utf8.Valid(plain) {
		plain, _ = jsontext.AppendUnquote(nil, m.name) // invalid UTF-8 is no name of ours
	}
	return string(plain) == name
}

// splitObject takes an object apart. The pieces are parts of it, not copies.
func splitObject(object []byte) ([]member, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, errNoObject
	}
	next := func() ([]byte, error) {
		v, err := dec.ReadValue()
		end := int(dec.InputOffset())
		return object[end-len(v) : end : end], err
	}
	var members []member
	for dec.PeekKind() == '"' {
		name, err := next()
		if err != nil {
			return nil, errNoObject
		}
		value, err := next()
		if err != nil {
			return nil, errNoObject
		}
		members = append(members, member{name, value})
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, errNoObject
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, errNoObject
	}
	return members, nil
}

func joinObject(members []member) []byte {
	size := 2
	for _, m := range members {
		size += len(m.name) + len(m.value) + 2
	}
	out := append(make([]byte, 0, size), '{')
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, m.name...), ':'), m.value...)
	}
	return append(out, '}')
}
