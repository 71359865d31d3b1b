package entities

import (
	"errors"
	"strconv"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// rawAction is an action as action.json has it.
type rawAction struct {
	Name             string           `json:"name"`
	Protocol         string           `json:"protocol"`
	Method           string           `json:"method"`
	EntityPath       pathList         `json:"entitypath"`
	StartVersion     string           `json:"startVersion"`
	EndVersion       string           `json:"endVersion"`
	Schema           string           `json:"schema"`
	RequestSchema    string           `json:"requestSchema"`
	ResponseSchema   string           `json:"responseSchema"`
	Datatype         string           `json:"datatype"`
	RequestDatatype  string           `json:"requestDatatype"`
	ResponseDatatype string           `json:"responseDatatype"`
	QueryKey         string           `json:"querykey"`
	Timeout          int64            `json:"timeout"`
	SendEmpty        bool             `json:"sendEmpty"`
	SendGetBody      bool             `json:"sendGetBody"`
	Headers          headerList       `json:"headers"`
	SSO              SSO              `json:"sso"`
	ResponseObjects  []ResponseObject `json:"responseObjects"`

	problems []*Problem // wrong JSON types; the field is zero then
}

type pathList []entityPath

type headerList []Header

// errType says that a fast decoder met another JSON type; looseActions says which and where.
var errType = errors.New("another JSON type")

// UnmarshalJSONFrom reads a text, or an object of texts by version.
func (l *pathList) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*l = nil
	if kind := dec.PeekKind(); kind == '"' || kind == 'n' {
		token, err := dec.ReadToken()
		if err == nil && kind == '"' {
			*l = pathList{{text: token.String()}}
		}
		return err
	}
	return eachText(dec, func(name, text string) { *l = append(*l, entityPath{version: name, text: text}) })
}

// UnmarshalJSONFrom reads an object of texts, numbers and booleans.
func (l *headerList) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*l = nil
	if dec.PeekKind() == 'n' {
		_, err := dec.ReadToken()
		return err
	}
	return eachText(dec, func(name, text string) { *l = append(*l, Header{name, text}) })
}

// eachText reads an object whose values are scalars.
func eachText(dec *jsontext.Decoder, add func(name, text string)) error {
	token, err := dec.ReadToken()
	if err != nil || token.Kind() != '{' {
		return errors.Join(err, errType)
	}
	for dec.PeekKind() != '}' {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if token, err = dec.ReadToken(); err != nil {
			return err
		}
		if token.Kind() != '"' {
			return errType
		}
		add(name, token.String())
	}
	_, err = dec.ReadToken()
	return err
}

// Room is made for as many actions as a file of its size usually has.
const (
	usualAction = 400 // bytes
	maxGuess    = 4096
)

// decodeActions reads the actions of f. What is wrong with the file as a whole is returned;
// what is wrong inside an action stays with it.
func decodeActions(f *actionFile) ([]rawAction, []*Problem) {
	var file struct {
		Actions []rawAction `json:"actions"`
	}
	body := f.raw[bomLength(f.raw):]
	file.Actions = make([]rawAction, 0, min(len(body)/usualAction, maxGuess))
	if err := jsonv2.Unmarshal(body, &file, lenient); err == nil && len(file.Actions) > 0 {
		return file.Actions, nil
	}
	tree, err := parseJSON(f.raw, true)
	if err != nil {
		var bad *DecodeError
		p := &Problem{File: f.path, Reason: "is not JSON"}
		if errors.As(err, &bad) {
			p.Reason = bad.Reason
			p.Line, p.Column = newLineIndex(body).place(bad.Offset - int64(len(f.raw)-len(body)))
		}
		f.broken = Problems{p}
		return nil, nil
	}
	return looseActions(tree)
}

// looseActions reads what it can of a file with wrong JSON types in it.
func looseActions(tree any) ([]rawAction, []*Problem) {
	root, ok := tree.(Object)
	if !ok {
		return nil, []*Problem{{Reason: "is " + kindOf(tree) + ", want object"}}
	}
	v, ok := root.Get("actions")
	list, isList := v.([]any)
	switch {
	case !ok:
		return nil, []*Problem{{Pointer: "/actions", Reason: "is required"}}
	case !isList:
		return nil, []*Problem{{Pointer: "/actions", Reason: "is " + kindOf(v) + ", want array"}}
	}
	out := make([]rawAction, len(list))
	for i, item := range list {
		out[i] = looseAction(pointerAt("/actions", i), item)
	}
	return out, nil
}

func looseAction(pointer string, v any) rawAction {
	l := loose{pointer: pointer, object: make(map[string]any)}
	o, ok := v.(Object)
	if !ok {
		l.want(pointer, v, "object")
		return rawAction{problems: l.problems}
	}
	l.object = o.Map()
	a := rawAction{
		Name: l.text("name"), Protocol: l.text("protocol"), Method: l.text("method"),
		EntityPath: l.paths("entitypath"), StartVersion: l.text("startVersion"), EndVersion: l.text("endVersion"),
		Schema: l.text("schema"), RequestSchema: l.text("requestSchema"), ResponseSchema: l.text("responseSchema"),
		Datatype: l.text("datatype"), RequestDatatype: l.text("requestDatatype"), ResponseDatatype: l.text("responseDatatype"),
		QueryKey: l.text("querykey"), Timeout: l.integer("timeout"),
		SendEmpty: l.flag("sendEmpty"), SendGetBody: l.flag("sendGetBody"), Headers: l.headers("headers"),
	}
	l.sso(&a.SSO)
	l.responses(&a.ResponseObjects)
	a.problems = l.problems
	return a
}

// loose takes typed members out of an object and notes those of another type.
type loose struct {
	pointer  string
	object   map[string]any
	problems []*Problem
}

func (l *loose) want(pointer string, got any, want string) {
	l.problems = append(l.problems, &Problem{Pointer: pointer, Reason: "is " + kindOf(got) + ", want " + want})
}

func (l *loose) text(name string) string {
	v := l.object[name]
	text, ok := v.(string)
	if !ok && v != nil {
		l.want(pointerTo(l.pointer, name), v, "string")
	}
	return text
}

func (l *loose) flag(name string) bool {
	v := l.object[name]
	flag, ok := v.(bool)
	if !ok && v != nil {
		l.want(pointerTo(l.pointer, name), v, "boolean")
	}
	return flag
}

func (l *loose) integer(name string) int64 {
	v := l.object[name]
	if v == nil {
		return 0
	}
	if text, err := scalarText(v); err == nil && kindOf(v) == "number" {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		l.problems = append(l.problems, &Problem{Pointer: pointerTo(l.pointer, name), Reason: "is no whole number"})
		return 0
	}
	l.want(pointerTo(l.pointer, name), v, "integer")
	return 0
}
