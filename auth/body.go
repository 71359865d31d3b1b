package auth

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

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
	data, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the request body: %w", err)
	}
	if len(data) > maxBody {
		return nil, misplaced("which is larger than %d bytes", maxBody)
	}
	return data, nil
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
	for _, f := range fields {
		value, err := f.quoted()
		if err != nil {
			return nil, err
		}
		if old, err = setMember(old, f.path, value, 0); err != nil {
			return nil, err
		}
	}
	return old, nil
}

var errNoObject = misplaced("which is not a JSON object")

// setMember returns object with the value at path, every other member byte for byte as it was.
func setMember(object []byte, path []string, value []byte, depth int) ([]byte, error) {
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
	kept, nested := members[:0], []byte("{}")
	for _, m := range members {
		if m.name == path[0] {
			nested = m.value
			continue
		}
		kept = append(kept, m)
	}
	if len(path) > 1 {
		if value, err = setMember(nested, path[1:], value, depth+1); err != nil {
			return nil, err
		}
	}
	name, err := jsontext.AppendQuote(nil, path[0])
	if err != nil {
		return nil, err
	}
	return joinObject(append(kept, member{path[0], name, value})), nil
}

// member is one member of an object; written is its name as it stands there, with quotes.
type member struct {
	name           string
	written, value []byte
}

func splitObject(object []byte) ([]member, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, errNoObject
	}
	var members []member
	for dec.PeekKind() == '"' {
		written, err := dec.ReadValue()
		if err != nil {
			return nil, errNoObject
		}
		written = bytes.Clone(written) // the decoder's until its next read
		value, err := dec.ReadValue()
		if err != nil {
			return nil, errNoObject
		}
		name, _ := jsontext.AppendUnquote(nil, written) // invalid UTF-8 is no name of ours
		members = append(members, member{string(name), written, bytes.Clone(value)})
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
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, m.written...), ':'), m.value...)
	}
	return append(out, '}')
}
