package gateway

import (
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// How servers read the names of query parameters. A caller's own value must not stand where the
// credential goes, in whichever way his spelling gets there.

// parameters are the pairs of a query; some servers take a semicolon for &.
func parameters(query string) iter.Seq[string] {
	return strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' })
}

// isReadAs reports whether a server could read the parameter as one of the names.
func isReadAs(names []string, parameter string) bool {
	read := readings(parameter)
	return slices.ContainsFunc(names, func(name string) bool {
		own := underscored(name)
		return slices.ContainsFunc(read[:], func(reading string) bool { return strings.EqualFold(reading, own) })
	})
}

// readings are a name as servers read it, with underscores as PHP makes them: name[] and name[0]
// are name for many, [name] is for Rack and qs, and name[x is name_x for PHP where no ] follows.
// PHP ends a name at a zero byte.
func readings(parameter string) [3]string {
	text, _, _ := strings.Cut(parameter, "\x00")
	whole := underscored(text)
	inner := strings.TrimLeft(text, "[] \t\r\n")
	if at := strings.IndexAny(inner, "[]"); at >= 0 {
		inner = inner[:at]
	}
	return [3]string{underscored(parameter), whole, underscored(inner)}
}

// asUnderscore replaces what PHP does; ASP.NET, which does not, folds the case alone.
var asUnderscore = strings.NewReplacer(".", "_", " ", "_", "[", "_")

// underscored is a name as PHP knows it.
func underscored(name string) string { return asUnderscore.Replace(strings.TrimSpace(name)) }

// percentU is how ASP.NET may read a character besides the usual escapes.
var percentU = regexp.MustCompile("%[uU][0-9a-fA-F]{4}")

// unescapeName decodes a name of a query.
func unescapeName(name string) string {
	if strings.IndexByte(name, '%') < 0 && strings.IndexByte(name, '+') < 0 {
		return name
	}
	return percentU.ReplaceAllStringFunc(unescape(strings.ReplaceAll(name, "+", " ")), func(escape string) string {
		code, _ := strconv.ParseUint(escape[2:], 16, 16)
		return string(rune(code))
	})
}
