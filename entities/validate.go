package entities

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// A ValidationError says which part of a request or an answer does not fit its schema (AD.312).
// It never holds the value: requests for tokens hold passwords.
type ValidationError struct {
	Pointer string // JSON Pointer in the data, by the names of the schema
	Reason  string
}

// Error returns pointer and reason.
func (e *ValidationError) Error() string {
	if e.Pointer == "" {
		return e.Reason
	}
	return e.Pointer + ": " + e.Reason
}

func (s *Schema) validate(data any) error {
	if reason, pointer := hugeNumber("", data); reason != "" {
		return &ValidationError{pointer, reason}
	}
	err := s.validator.Validate(data)
	if err == nil {
		return nil
	}
	if invalid, ok := err.(*jsonschema.ValidationError); ok {
		return explain(invalid)
	}
	return &ValidationError{"", "cannot be checked"}
}

// Numbers are compared exactly, so one of a few characters could need any amount of memory.
const (
	maxDigits   = 1000
	maxExponent = 1000
)

func hugeNumber(pointer string, v any) (reason, at string) {
	switch v := v.(type) {
	case json.Number:
		_, exponent, _ := strings.Cut(strings.ToLower(string(v)), "e")
		n, err := strconv.Atoi(exponent)
		if len(v) > maxDigits || exponent != "" && (err != nil || n > maxExponent || n < -maxExponent) {
			return "is a number with too many digits", pointer
		}
	case map[string]any:
		for name, item := range v {
			if reason, at := hugeNumber(pointerTo(pointer, name), item); reason != "" {
				return reason, at
			}
		}
	case Object:
		for _, f := range v {
			if reason, at := hugeNumber(pointerTo(pointer, f.Name), f.Value); reason != "" {
				return reason, at
			}
		}
	case []any:
		for i, item := range v {
			if reason, at := hugeNumber(pointerAt(pointer, i), item); reason != "" {
				return reason, at
			}
		}
	}
	return "", ""
}

// explain picks the first of the places where data does not fit.
func explain(err *jsonschema.ValidationError) *ValidationError {
	for len(err.Causes) > 0 && isWrapper(err.ErrorKind) {
		err = slices.MinFunc(err.Causes, func(a, b *jsonschema.ValidationError) int {
			if c := slices.Compare(a.InstanceLocation, b.InstanceLocation); c != 0 {
				return c
			}
			return strings.Compare(a.SchemaURL, b.SchemaURL)
		})
	}
	var pointer string
	for _, name := range err.InstanceLocation {
		pointer = pointerTo(pointer, name)
	}
	return &ValidationError{pointer, reasonFor(err.ErrorKind)}
}

func isWrapper(k jsonschema.ErrorKind) bool {
	switch k.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		return true
	}
	return false
}

// reasonFor puts a kind of failure in words without the value.
func reasonFor(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "is " + k.Got + ", want " + strings.Join(k.Want, " or ")
	case *kind.Required:
		return missing("required ", k.Missing)
	case *kind.Dependency:
		return missing("with "+quote(k.Prop)+" ", k.Missing)
	case *kind.DependentRequired:
		return missing("with "+quote(k.Prop)+" ", k.Missing)
	case *kind.AdditionalProperties:
		return "has " + properties(k.Properties) + " that the schema does not allow"
	case *kind.PropertyNames:
		return "has a property name that the schema does not allow: " + quote(k.Property)
	case *kind.Enum, *kind.Const:
		return "is not one of the allowed values"
	case *kind.Pattern:
		return "does not match the pattern"
	case *kind.Format:
		return formatReason(k.Want)
	}
	if text := sizeReason(k); text != "" {
		return text
	}
	return shapeReason(k)
}

func formatReason(format string) string { return "is not in the format " + format }

func sizeReason(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinLength:
		return fmt.Sprintf("has %d characters, want at least %d", k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("has %d characters, want at most %d", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d items, want at least %d", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d items, want at most %d", k.Got, k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("has %d properties, want at least %d", k.Got, k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has %d properties, want at most %d", k.Got, k.Want)
	case *kind.Minimum:
		return "is too small, want at least " + k.Want.RatString()
	case *kind.Maximum:
		return "is too large, want at most " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "is too small, want more than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "is too large, want less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "is no multiple of " + k.Want.RatString()
	}
	return ""
}

func shapeReason(k jsonschema.ErrorKind) string {
	switch k.(type) {
	case *kind.AnyOf, *kind.OneOf:
		return "does not fit the alternatives that the schema allows"
	case *kind.Not, *kind.FalseSchema:
		return "is not allowed by the schema"
	case *kind.UniqueItems:
		return "has the same item twice"
	case *kind.Contains, *kind.MinContains, *kind.MaxContains:
		return "does not have the items that the schema asks for"
	case *kind.AdditionalItems:
		return "has more items than the schema allows"
	}
	return "does not fit the schema"
}

func missing(prefix string, names []string) string {
	if len(names) == 1 {
		return prefix + "property " + quote(names[0]) + " is missing"
	}
	return prefix + properties(names) + " are missing"
}

func properties(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	slices.Sort(quoted)
	word := "properties "
	if len(names) == 1 {
		word = "property "
	}
	return word + strings.Join(quoted, ", ")
}

func quote(s string) string { return strconv.Quote(s) }
