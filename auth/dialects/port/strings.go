package port

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/keyhitch/keyhitch/internal/settings"
)

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// eachText calls do for every string of a tree, with its pointer.
func eachText(v any, pointer string, do func(text, pointer string)) {
	switch v := v.(type) {
	case string:
		do(v, pointer)
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			eachText(v[name], pointer+"/"+escapePointer.Replace(name), do)
		}
	case []any:
		for i, item := range v {
			eachText(item, pointer+"/"+strconv.Itoa(i), do)
		}
	}
}

var expression = regexp.MustCompile(`\{\{(?:\.[^}]|\$(?:answers|headers|cookies)\b)[^}]*\}\}`)

// asWritten warns of expressions in a call that no answer comes before.
func (p *parser) asWritten(raw any, pointer string) {
	eachText(raw, pointer, func(text, at string) {
		if expression.MatchString(text) {
			p.warn(at, "goes out as it is written: there is no answer yet that an expression could take a value from")
		}
	})
}

var fromEnv = regexp.MustCompile(`^\s*\{\{\s*from\s+env\s+([A-Za-z_][A-Za-z0-9_]*)\s*\}\}\s*$`)

// otherReferences finds references in the notation of the original system, which nobody resolves
// here. What else is said of such a text says the same.
func (p *parser) otherReferences() {
	eachText(p.raw, "", func(text, at string) {
		m := fromEnv.FindStringSubmatch(text)
		if m == nil {
			return
		}
		p.problems = slices.DeleteFunc(p.problems, func(found *settings.Problem) bool { return found.Pointer == p.src.At+at })
		p.problem(at, "is a reference in another notation; write ${env:%s}", m[1])
	})
}
