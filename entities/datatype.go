package entities

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A Datatype is how a body is written.
type Datatype string

// The datatypes that action.json may name. The first four are built.
const (
	JSON      Datatype = "JSON"
	URLENCODE Datatype = "URLENCODE"
	URLQUERY  Datatype = "URLQUERY" // token requests: data in the query; otherwise JSON
	PLAIN     Datatype = "PLAIN"

	XML       Datatype = "XML"
	XML2JSON  Datatype = "XML2JSON"
	JSON2XML  Datatype = "JSON2XML"
	FORM      Datatype = "FORM"
	gzipTypes          = "GZIP2"
)

var gzipDatatypes = []Datatype{gzipTypes + JSON, gzipTypes + XML, gzipTypes + XML2JSON, gzipTypes + PLAIN}

// ParseDatatype returns the datatype called s in any case: JSON for an empty text, PLAIN and
// false for an unknown one.
func ParseDatatype(s string) (d Datatype, known bool) {
	if s == "" {
		return JSON, true
	}
	d = Datatype(strings.ToUpper(s))
	switch d {
	case JSON, URLENCODE, URLQUERY, PLAIN, XML, XML2JSON, JSON2XML, FORM:
		return d, true
	}
	if slices.Contains(gzipDatatypes, d) {
		return d, true
	}
	return PLAIN, false
}

// Supported reports whether bodies of this datatype can be written and read.
func (d Datatype) Supported() bool {
	return d == JSON || d == URLENCODE || d == URLQUERY || d == PLAIN
}

// ContentType returns the media type to send and to ask for when an action names none.
func (d Datatype) ContentType() string {
	switch strings.TrimPrefix(string(d), gzipTypes) {
	case string(PLAIN):
		return "text/plain"
	case string(URLENCODE):
		return "application/x-www-form-urlencoded"
	case string(XML), string(XML2JSON):
		return "application/xml"
	case string(FORM):
		return "multipart/form-data"
	}
	return "application/json"
}

// Encode writes v as a body. JSON and URLENCODE keep the order of an Object and sort the
// names of a map. URLENCODE repeats the name for each item of an array and writes a nested
// object as JSON text. URLENCODE and PLAIN leave a text as it is.
func Encode(d Datatype, v any) ([]byte, error) {
	text, isText := v.(string)
	switch d {
	case PLAIN:
		if isText {
			return []byte(text), nil
		}
	case URLENCODE:
		if isText {
			return []byte(text), nil
		}
		return encodeForm(v)
	case JSON, URLQUERY:
	default:
		return nil, fmt.Errorf("datatype %s is not supported yet", d)
	}
	return appendJSON(nil, v)
}

func encodeForm(v any) ([]byte, error) {
	v, err := normal(v)
	if err != nil {
		return nil, err
	}
	o, ok := asObject(v)
	if !ok && v != nil {
		return nil, fmt.Errorf("a form body is %s, want object", kindOf(v))
	}
	text, err := queryText(o, queryStyle{})
	return []byte(text), err
}

// Decode reads a body: JSON with exact numbers (json.Number; of duplicate names the last one
// wins), URLENCODE as an object of texts (arrays where a name repeats), PLAIN as a text. Its
// error, a *DecodeError, quotes nothing of the body.
func Decode(d Datatype, body []byte) (any, error) {
	switch d {
	case JSON, URLQUERY:
		return parseJSON(body, false)
	case URLENCODE:
		return decodeForm(string(body))
	case PLAIN:
		return string(body), nil
	}
	return nil, fmt.Errorf("datatype %s is not supported yet", d)
}

func decodeForm(body string) (any, error) {
	out := make(map[string]any)
	offset := 0
	for pair := range strings.SplitSeq(body, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, &DecodeError{int64(offset), "not a form: bad percent-encoding"}
		}
		if pair != "" {
			addFormValue(out, strings.ToValidUTF8(name, "\ufffd"), strings.ToValidUTF8(value, "\ufffd"))
		}
		offset += len(pair) + 1
	}
	return out, nil
}

func addFormValue(m map[string]any, name, value string) {
	switch old := m[name].(type) {
	case nil:
		m[name] = value
	case []any:
		m[name] = append(old, value)
	default:
		m[name] = []any{old, value}
	}
}

// scalarText writes a value into a path or a query: a text as it is, an object as JSON,
// null as nothing.
func scalarText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return string(v), nil
	}
	text, err := appendJSON(nil, v)
	return string(text), err
}
