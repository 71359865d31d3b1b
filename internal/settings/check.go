package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/invopop/jsonschema"
)

// A general JSON Schema validator needs 4 ms to get going, for schemas of schemas that are
// never in doubt here. check knows the keywords that our structs use, and supported makes
// sure that they use no others; a test holds it against the general one.

// supported reports whether check looks at everything that the schema says.
func supported(s *jsonschema.Schema) bool {
	rest := *s
	rest.Enum, rest.Minimum, rest.Maximum, rest.Pattern = nil, "", "", ""
	rest.Items, rest.AdditionalProperties, rest.AnyOf, rest.OneOf = nil, nil, nil, nil
	if !onlyType(rest) {
		return false
	}
	for _, sub := range slices.Concat(s.AnyOf, s.OneOf, []*jsonschema.Schema{s.Items, s.AdditionalProperties}) {
		if sub != nil && !supported(sub) {
			return false
		}
	}
	return true
}

// onlyType reports whether a schema has a type, and otherwise informs.
func onlyType(s jsonschema.Schema) bool {
	s.Type = ""
	s.Version, s.Title, s.Description, s.Default, s.Examples = "", "", "", nil, nil
	s.Format, s.WriteOnly, s.Deprecated = "", false, false
	return reflect.ValueOf(s).IsZero()
}

// check returns the value as Go reads it (1.0 is 1 where an integer belongs), and what the
// schema has against it.
func check(v any, s *jsonschema.Schema, at string) (any, Problems) {
	if len(s.AnyOf)+len(s.OneOf) > 0 {
		return checkAny(v, s, at)
	}
	if s.Type != "" && !isType(v, s.Type) {
		return v, Problems{{Pointer: at, Reason: mismatch(v, s.Type)}}
	}
	if reason := checkScalar(v, s); reason != "" {
		return v, Problems{{Pointer: at, Reason: reason}}
	}
	switch v := v.(type) {
	case json.Number:
		if s.Type == "integer" {
			return wholeNumber(v), nil
		}
	case []any:
		return checkItems(v, s, at)
	case map[string]any:
		return checkMembers(v, s, at)
	}
	return v, nil
}

func checkItems(list []any, s *jsonschema.Schema, at string) (any, Problems) {
	if s.Items == nil {
		return list, nil
	}
	var problems Problems
	out := make([]any, len(list))
	for i := range list {
		item, ps := check(list[i], s.Items, at+"/"+strconv.Itoa(i))
		out[i], problems = item, append(problems, ps...)
	}
	return out, problems
}

func checkMembers(m map[string]any, s *jsonschema.Schema, at string) (any, Problems) {
	if s.AdditionalProperties == nil {
		return m, nil
	}
	var problems Problems
	out := make(map[string]any, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v, ps := check(m[name], s.AdditionalProperties, join(at, name))
		out[name], problems = v, append(problems, ps...)
	}
	return out, problems
}

// checkAny takes the first alternative that fits. When none does, it speaks for the one of
// the right type, or lists the types.
func checkAny(v any, s *jsonschema.Schema, at string) (any, Problems) {
	var want []string
	var nearest Problems
	for _, alternative := range slices.Concat(s.AnyOf, s.OneOf) {
		out, problems := check(v, alternative, at)
		if len(problems) == 0 {
			return out, nil
		}
		if isType(v, alternative.Type) {
			nearest = problems
		}
		want = append(want, describe(alternative))
	}
	if nearest != nil {
		return v, nearest
	}
	return v, Problems{{Pointer: at, Reason: mismatch(v, strings.Join(want, " or "))}}
}

func describe(s *jsonschema.Schema) string {
	if s.Type == "array" && s.Items != nil {
		if s.Items.Type != "" {
			return "array of " + s.Items.Type
		}
		var of []string
		for _, a := range slices.Concat(s.Items.AnyOf, s.Items.OneOf) {
			of = append(of, a.Type)
		}
		return "array of " + strings.Join(of, " or ")
	}
	return s.Type
}

func checkScalar(v any, s *jsonschema.Schema) string {
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return same(v, e) }) {
		return "must be " + choices(s.Enum)
	}
	switch v := v.(type) {
	case string:
		if s.Pattern != "" && !pattern(s.Pattern).MatchString(v) {
			return "has a form that is not accepted here"
		}
	case json.Number:
		return checkNumber(v, s)
	}
	return ""
}

func choices(enum []any) string {
	texts := make([]string, 0, len(enum))
	for _, e := range enum {
		if e != "" { // counts as absent, so there is no need to offer it
			texts = append(texts, strconv.Quote(fmt.Sprint(e)))
		}
	}
	if len(texts) == 1 {
		return texts[0]
	}
	return "one of " + strings.Join(texts, ", ")
}

var patterns sync.Map // text → *regexp.Regexp

func pattern(text string) *regexp.Regexp {
	if re, ok := patterns.Load(text); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(text)
	patterns.Store(text, re)
	return re
}

func checkNumber(n json.Number, s *jsonschema.Schema) string {
	f, err := n.Float64()
	if err != nil {
		f = math.Inf(1)
		if strings.HasPrefix(string(n), "-") {
			f = math.Inf(-1)
		}
	}
	if low, err := s.Minimum.Float64(); err == nil && f < low {
		return "must be at least " + string(s.Minimum)
	}
	if high, err := s.Maximum.Float64(); err == nil && f > high {
		return "must be at most " + string(s.Maximum)
	}
	if _, err := wholeNumber(n).Int64(); s.Type == "integer" && err != nil || s.Type == "number" && math.IsInf(f, 0) {
		return "is too large a number"
	}
	return ""
}

func isType(v any, want string) bool {
	got := typeName(v)
	return got == want || want == "integer" && got == "number" && isWhole(v.(json.Number))
}

// mismatch says what a value is and what it should be.
func mismatch(v any, want string) string {
	got := typeName(v)
	if n, ok := v.(json.Number); ok && !isWhole(n) {
		got = "number with a fraction"
	}
	return "is " + got + ", want " + want
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}

// isWhole reports whether a number has no fraction, however it is written (1.0, 1e3).
func isWhole(n json.Number) bool {
	_, whole := digits(n)
	return whole
}

// wholeNumber writes a whole number with digits only, as Go reads integers.
func wholeNumber(n json.Number) json.Number {
	text, _ := digits(n)
	return text
}

// digits is exact where a float64 would round. What is longer than any Go integer stays
// as it is written.
func digits(n json.Number) (json.Number, bool) {
	if !strings.ContainsAny(string(n), ".eE") {
		return n, true
	}
	text, sign := strings.TrimPrefix(string(n), "-"), ""
	if len(text) < len(n) {
		sign = "-"
	}
	mantissa, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		exponent, _ = strconv.Atoi(text[i+1:]) // out of range is the largest int
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := strings.TrimRight(whole+fraction, "0")
	if strings.TrimLeft(all, "0") == "" {
		return "0", true
	}
	const longest = 40
	if exponent > longest || exponent < -len(whole) {
		return n, exponent > 0
	}
	zeros := exponent - len(all) + len(whole)
	if zeros < 0 || zeros > longest {
		return n, zeros > 0
	}
	return json.Number(sign + strings.TrimLeft(all, "0") + strings.Repeat("0", zeros)), true
}

// same reports whether a value is what a schema names: enum and default are written in Go.
func same(v, named any) bool {
	n, ok := v.(json.Number)
	if !ok {
		return reflect.DeepEqual(v, named)
	}
	a, err1 := n.Float64()
	b, err2 := json.Number(fmt.Sprint(named)).Float64()
	return err1 == nil && err2 == nil && a == b
}
