package entities

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// requestType is the property that holds the action's name while data is checked.
const requestType = "ph_request_type"

// A property is one schema node as translation sees it.
type property struct {
	Property
	path      wirePath // empty: the property is not sent and not read
	types     []string
	shape     *shape
	untouched bool  // translate: false
	dynamic   *bool // dynamicfields, nil: as around it
	byRef     bool  // its structure is behind a $ref
	filled    bool  // has a default
	encode    bool
	parse     bool
	key       string // of encrypt
	filter    Selector
}

// A Property is what the schema says about one top-level property.
type Property struct {
	Name        string
	External    string // name on the wire; the own name if the schema gives none, "" if it is not sent
	HasExternal bool   // external_name is in the schema
	Placement   string // BODY or HEADER, as written
	Front, End  string // of a token inside a text
	Type        string // the first one
	Default     any
	Description string
	Types       []string // all of them
}

// A shape is the inner structure of a property. Recursive schemas share shapes.
type shape struct {
	properties []*property
	byName     map[string]*property
	wireNames  map[string]bool // last segments of all external names
	items      *property
	tuple      []*property
}

// index makes the look-ups once all properties are there.
func (s *shape) index() {
	s.byName = make(map[string]*property, len(s.properties))
	s.wireNames = make(map[string]bool, len(s.properties))
	for _, p := range s.properties {
		s.byName[p.Name] = p
		if len(p.path) > 0 {
			s.wireNames[p.path[len(p.path)-1].name] = true
		}
	}
}

// A wirePath is a parsed external_name: a.b[2].c with \. for a dot in a name.
type wirePath []wireStep

type wireStep struct {
	name  string
	slots []int
}

// maxSlot is the largest array slot that an external_name may ask for.
const maxSlot = 999

func parseWirePath(text string) (wirePath, string) {
	var path wirePath
	var name strings.Builder
	end := func() string {
		step, reason := parseWireStep(name.String())
		path = append(path, step)
		name.Reset()
		return reason
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == '.':
			name.WriteByte('.')
			i++
		case text[i] == '.':
			if reason := end(); reason != "" {
				return nil, reason
			}
		default:
			name.WriteByte(text[i])
		}
	}
	reason := end()
	return path, reason
}

func parseWireStep(text string) (wireStep, string) {
	step := wireStep{name: text}
	for strings.HasSuffix(step.name, "]") {
		open := strings.LastIndexByte(step.name, '[')
		if open < 0 {
			break
		}
		n, err := strconv.Atoi(step.name[open+1 : len(step.name)-1])
		if err != nil || n < 0 {
			break
		}
		if n > maxSlot {
			return step, "has an array slot above " + strconv.Itoa(maxSlot)
		}
		step.slots = append(step.slots, n)
		step.name = step.name[:open]
	}
	slices.Reverse(step.slots)
	if step.name == "" {
		return step, "has an empty name"
	}
	return step, ""
}

// lookup finds the value at path.
func (path wirePath) lookup(v any) (any, bool) {
	for _, step := range path {
		inner, ok := member(v, step.name)
		if !ok {
			return nil, false
		}
		for _, slot := range step.slots {
			list, _ := inner.([]any)
			if slot >= len(list) {
				return nil, false
			}
			inner = list[slot]
		}
		v = inner
	}
	return v, true
}

// typeFor picks the type that fits v; of a single type it is that one whatever v is.
func (p *property) typeFor(v any) string {
	switch len(p.types) {
	case 0:
		return ""
	case 1:
		return p.types[0]
	}
	for _, t := range p.types {
		if fits(t, v) {
			return t
		}
	}
	return p.types[0]
}

func fits(kind string, v any) bool {
	got := kindOf(v)
	if kind == "integer" {
		n, ok := v.(json.Number)
		f, err := n.Float64()
		return ok && err == nil && f == math.Trunc(f)
	}
	return got == kind
}

func isScalar(kind string) bool {
	return kind == "string" || kind == "number" || kind == "integer" || kind == "boolean"
}

// dynamicIn returns whether unknown fields pass here, given the rule around it.
func (p *property) dynamicIn(around bool) bool {
	if p.dynamic != nil {
		return *p.dynamic
	}
	return around
}
