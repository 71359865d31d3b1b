package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// readInput reads the request object of a call; false: it has been answered why not.
func (x *exchange) readInput(r *http.Request, act *entities.Action) (adapter.Input, bool) {
	data, f, err := x.readBody(r)
	if err == nil {
		f = faultBadCall
		err = stray(data)
	}
	var input adapter.Input
	if err == nil && len(data) > 0 {
		input, err = adapter.ParseInput(data)
	}
	if err == nil {
		f, err = x.overstep(input, act)
	}
	if err != nil {
		x.fail(f, err.Error())
		return input, false
	}
	x.trace(r, &input)
	return input, true
}

// readBody reads the body whole, within the limits. Who sends it drop by drop is cut off in time.
func (x *exchange) readBody(r *http.Request) ([]byte, *fault, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, faultBadCall, errors.New("the body must not be compressed: leave out Content-Encoding")
	}
	connection := http.NewResponseController(x.w)
	_ = connection.SetReadDeadline(time.Now().Add(x.Limits.CallTime)) // what is no connection has none
	data, err := io.ReadAll(http.MaxBytesReader(x.w, r.Body, x.Limits.CallBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, faultTooLarge, fmt.Errorf("a request object has at most %d bytes", large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, faultBadCall, fmt.Errorf("the body did not arrive within %s", x.Limits.CallTime)
	case err != nil:
		return nil, faultBadCall, errors.New("the body did not arrive whole")
	}
	_ = connection.SetReadDeadline(time.Time{})
	return data, nil, nil
}

// members and datatypeMembers are those of a request object.
var (
	members         = tags(reflect.TypeFor[adapter.Input]())
	datatypeMembers = tags(reflect.TypeFor[adapter.Datatypes]())
)

func tags(t reflect.Type) []string {
	var list []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		list = append(list, name)
	}
	return list
}

// stray finds a member that a request object does not have, spelt exactly: encoding/json would
// take CALLPROPERTIES for callProperties.
func stray(data []byte) error {
	var object, inner map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil {
		return nil // ParseInput says what is wrong
	}
	if err := unknown(object, members, ""); err != nil {
		return err
	}
	if json.Unmarshal(object["datatype"], &inner) != nil {
		return nil
	}
	return unknown(inner, datatypeMembers, "/datatype")
}

func unknown(object map[string]json.RawMessage, known []string, at string) error {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if slices.Contains(known, name) {
			continue
		}
		hint := "; there is " + strings.Join(known, ", ")
		if near := settings.Nearest(name, known); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return fmt.Errorf("%s: no such member%s", pointer(at, name), hint)
	}
	return nil
}

// pointer is the JSON Pointer of a member.
func pointer(at, name string) string {
	return at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// trace passes the trace that the request belongs to on to the system.
func (x *exchange) trace(r *http.Request, in *adapter.Input) {
	for _, name := range []string{"Traceparent", "Tracestate"} {
		value := r.Header.Get(name)
		if value == "" || slices.ContainsFunc(slices.Collect(maps.Keys(in.Headers)), func(own string) bool { return strings.EqualFold(own, name) }) {
			continue
		}
		if in.Headers == nil {
			in.Headers = adapter.HeaderTexts{}
		}
		in.Headers[name] = value
	}
}
