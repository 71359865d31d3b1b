package adapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// Input is what one call of a declared action brings: the request object.
type Input struct {
	Payload              any             `json:"payload,omitempty"`     // before translation: object, array or text
	PathVars             []any           `json:"uriPathVars,omitempty"` // for {pathv1}, {pathv2} …; "" leaves one out
	Query                entities.Object `json:"uriQuery,omitempty"`    // translated by the request schema
	Options              entities.Object `json:"uriOptions,omitempty"`  // appended to the query as they are
	Headers              HeaderTexts     `json:"addlHeaders,omitempty"`
	AuthData             map[string]any  `json:"authData,omitempty"`       // extra data for the token request; decides the token too
	CallProperties       map[string]any  `json:"callProperties,omitempty"` // properties overridden for this call
	Filter               string          `json:"filter,omitempty"`         // JSON query on the translated answer
	Priority             *float64        `json:"priority,omitempty"`       // place in the throttle's queue
	Event                any             `json:"event,omitempty"`          // returned with the result
	ReturnRequestHeaders bool            `json:"retReqHdr,omitempty"`
	Datatype             Datatypes       `json:"datatype,omitzero"`
}

// Datatypes override an action's datatypes for one call.
type Datatypes struct {
	Request  string `json:"request,omitempty"`
	Response string `json:"response,omitempty"`
}

// ParseInput reads a request object. Unknown members are errors: a misspelt one would be lost.
func ParseInput(data []byte) (Input, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	var in Input
	if err := dec.Decode(&in); err != nil {
		return Input{}, &CallError{Reason: "request object", Err: plainJSON(err)}
	}
	if _, err := dec.Token(); err != io.EOF {
		return Input{}, &CallError{Reason: "request object: more follows after its end"}
	}
	return in, nil
}

// plainJSON words a decoding error without its Go types and without quoting the data.
func plainJSON(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return fmt.Errorf("%s is %s, which does not fit there", kind.Field, kind.Value)
	case errors.As(err, &syntax):
		return fmt.Errorf("is not well-formed JSON at byte %d", syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("is not complete JSON")
	}
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return errors.New("has no member " + quoted + nearestMember(quoted))
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

var members = []string{"payload", "uriPathVars", "uriQuery", "uriOptions", "addlHeaders", "authData", "callProperties",
	"filter", "priority", "event", "retReqHdr", "datatype"}

func nearestMember(quoted string) string {
	name, err := strconv.Unquote(quoted)
	near := settings.Nearest(name, members)
	if err != nil || near == "" {
		return ""
	}
	return "; did you mean " + strconv.Quote(near) + "?"
}

// shown is the request object as a result repeats it: without the secrets that it brought.
func (in Input) shown() *Input {
	in.AuthData = masked(in.AuthData, func(string) bool { return true })
	in.CallProperties = masked(in.CallProperties, auth.SensitiveName)
	return &in
}

// masked copies tree with the texts and numbers of secret names hidden, wherever they stand.
func masked(tree map[string]any, secret func(name string) bool) map[string]any {
	out := maps.Clone(tree)
	for name, value := range tree {
		switch v := value.(type) {
		case map[string]any:
			out[name] = masked(v, secret)
		case bool, nil:
		default:
			if secret(name) {
				out[name] = auth.NewSecret("hidden").String()
			}
		}
	}
	return out
}
