package custom

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/itchyny/gojq"

	"github.com/keyhitch/keyhitch/auth/internal/endpoint"
)

// jq's own functions run to their end whatever the context says, inside the login that others wait
// for, and some need time or room that grows with the square of what a server sends, or faster. So a
// template has only what it needs, and guards in front of everything that looks at more than one
// value (safe adds them).
const (
	guardSize   = "_keyhitch_size"   // refuses what is too large
	guardNumber = "_keyhitch_number" // and what is no number
	guardShort  = "_keyhitch_short"  // and what is longer than shortBytes

	digits      = 1 << 10 // of a number
	constBytes  = 256     // of a constant argument
	patternSize = 1000    // steps of a compiled regular expression
)

// use is how a function may be used.
type use int

const (
	whole    use = iota + 1 // looks at its whole input
	lazy                    // is made of others in jq itself
	fixed                   // as whole; its arguments are constants
	pattern                 // as fixed; the first argument is a regular expression
	patterns                // as pattern, all matches: on short texts
)

// functions by name and number of arguments; there are no others.
var functions = map[string]use{
	"not/0": lazy, "empty/0": lazy, "error/0": lazy, "error/1": lazy, "select/1": lazy, "map/1": lazy, "first/1": lazy, "last/1": lazy,
	"limit/2": lazy, "isempty/1": lazy, "any/0": lazy, "any/1": lazy, "all/0": lazy, "all/1": lazy, "values/0": lazy, "nulls/0": lazy,
	"strings/0": lazy, "numbers/0": lazy, "booleans/0": lazy, "arrays/0": lazy, "objects/0": lazy, "scalars/0": lazy, "iterables/0": lazy,
	"first/0": lazy, "last/0": lazy, "nth/1": lazy, "now/0": lazy, "type/0": lazy, "has/1": lazy,

	"length/0": whole, "utf8bytelength/0": whole, "keys/0": whole, "add/0": whole, "min/0": whole, "max/0": whole, "sort/0": whole,
	"unique/0": whole, "reverse/0": whole, "flatten/0": whole, "sort_by/1": whole, "min_by/1": whole, "max_by/1": whole, "group_by/1": whole,
	"unique_by/1": whole, "to_entries/0": whole, "from_entries/0": whole, "with_entries/1": whole,
	"tostring/0": whole, "tonumber/0": whole, "toboolean/0": whole, "tojson/0": whole, "fromjson/0": whole,
	"ascii_downcase/0": whole, "ascii_upcase/0": whole, "trim/0": whole, "ltrim/0": whole, "rtrim/0": whole, "explode/0": whole, "implode/0": whole,
	"ltrimstr/1": whole, "rtrimstr/1": whole, "trimstr/1": whole, "startswith/1": whole, "endswith/1": whole,
	"floor/0": whole, "round/0": whole, "ceil/0": whole, "trunc/0": whole, "abs/0": whole, "fabs/0": whole, "sqrt/0": whole,
	"todate/0": whole, "fromdate/0": whole, "todateiso8601/0": whole, "fromdateiso8601/0": whole, "mktime/0": whole, "gmtime/0": whole,

	"split/1": fixed, "join/1": fixed, "contains/1": fixed, "index/1": fixed, "strptime/1": fixed, "strftime/1": fixed,
	"test/1": pattern, "test/2": pattern, "match/1": pattern, "match/2": pattern, "capture/1": pattern, "capture/2": pattern,
	"sub/2": pattern, "gsub/2": patterns, "gsub/3": patterns, "scan/1": patterns,
}

var formats = []string{"@text", "@json", "@html", "@uri", "@urid", "@csv", "@tsv", "@sh", "@base64", "@base64d"}

// guarder goes over a program, refuses what a template does not need, and adds guards.
type guarder struct{ err error }

// safe changes the program so that no answer can make it run for long.
func safe(q *gojq.Query) error {
	g := new(guarder)
	if q.Meta != nil || len(q.Imports) > 0 {
		g.refuse("modules")
	}
	g.query(q)
	return g.err
}

func (g *guarder) refuse(what string) {
	if g.err == nil {
		g.err = fmt.Errorf("uses %s, which a template cannot", endpoint.Clip(what, 90))
	}
}

func (g *guarder) query(q *gojq.Query) {
	switch {
	case q == nil:
		return
	case len(q.FuncDefs) > 0:
		g.refuse("def")
	case len(q.Patterns) > 0:
		g.refuse("a variable of its own (as)")
	case q.Term != nil:
		g.term(q.Term)
		return
	}
	g.query(q.Left)
	g.query(q.Right)
	switch q.Op {
	case gojq.OpPipe, gojq.OpComma, gojq.OpAlt, gojq.OpAnd, gojq.OpOr, 0:
	case gojq.OpAdd, gojq.OpEq, gojq.OpNe, gojq.OpGt, gojq.OpLt, gojq.OpGe, gojq.OpLe:
		q.Left, q.Right = then(q.Left, guardSize), then(q.Right, guardSize)
	case gojq.OpSub, gojq.OpMul, gojq.OpDiv, gojq.OpMod:
		q.Left, q.Right = then(q.Left, guardNumber), then(q.Right, guardNumber)
	default:
		g.refuse("the operator " + q.Op.String())
	}
}

// then pipes what a query gives through a guard.
func then(q *gojq.Query, guard string) *gojq.Query {
	return &gojq.Query{Left: q, Op: gojq.OpPipe, Right: call(guard)}
}

func call(name string) *gojq.Query {
	return &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name}}}
}

func (g *guarder) term(t *gojq.Term) {
	for _, s := range t.SuffixList {
		g.index(s.Index)
	}
	switch t.Type {
	case gojq.TermTypeIdentity, gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse:
	case gojq.TermTypeNumber:
		if len(t.Number) > digits {
			g.refuse("a number of more than 1024 digits")
		}
	case gojq.TermTypeIndex:
		g.index(t.Index)
	case gojq.TermTypeFunc:
		g.function(t)
	case gojq.TermTypeFormat, gojq.TermTypeString:
		g.text(t)
	case gojq.TermTypeObject:
		g.object(t.Object)
	case gojq.TermTypeArray:
		g.query(t.Array.Query)
	case gojq.TermTypeQuery:
		g.query(t.Query)
	case gojq.TermTypeIf:
		g.condition(t.If)
	case gojq.TermTypeUnary:
		g.unary(t)
	default:
		g.refuse(words(t.Type))
	}
}

// words is how jq calls a kind of term.
func words(t gojq.TermType) string {
	switch t {
	case gojq.TermTypeRecurse:
		return ".. (all values at any depth)"
	case gojq.TermTypeTry:
		return "try"
	case gojq.TermTypeReduce:
		return "reduce"
	case gojq.TermTypeForeach:
		return "foreach"
	case gojq.TermTypeLabel, gojq.TermTypeBreak:
		return "label and break"
	}
	return "a part of jq"
}

func (g *guarder) index(i *gojq.Index) {
	if i == nil {
		return
	}
	g.interpolated(i.Str)
	for _, q := range []**gojq.Query{&i.Start, &i.End} {
		if *q != nil {
			g.query(*q)
			if (*q).Term == nil || (*q).Term.Type != gojq.TermTypeString && (*q).Term.Type != gojq.TermTypeNumber {
				*q = then(*q, guardSize)
			}
		}
	}
}

// interpolated guards what stands in \(…).
func (g *guarder) interpolated(s *gojq.String) {
	if s == nil {
		return
	}
	for i, q := range s.Queries {
		g.query(q)
		if q.Term == nil || q.Term.Str == nil { // the others are the literal pieces
			s.Queries[i] = &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeQuery, Query: then(q, guardSize)}}
		}
	}
}

func (g *guarder) text(t *gojq.Term) {
	if t.Type == gojq.TermTypeFormat && !slices.Contains(formats, t.Format) {
		g.refuse("the format " + t.Format)
	}
	g.interpolated(t.Str)
	if t.Type == gojq.TermTypeFormat && t.Str == nil {
		inner := &gojq.Term{Type: t.Type, Format: t.Format}
		t.Type, t.Format, t.Query = gojq.TermTypeQuery, "", guarded(guardSize, inner)
	}
}

// guarded puts a guard before a term.
func guarded(guard string, t *gojq.Term) *gojq.Query {
	return &gojq.Query{Left: call(guard), Op: gojq.OpPipe, Right: &gojq.Query{Term: t}}
}

func (g *guarder) object(o *gojq.Object) {
	for _, kv := range o.KeyVals {
		if strings.HasPrefix(kv.Key, "$") {
			g.variable(kv.Key)
		}
		g.interpolated(kv.KeyString)
		g.query(kv.KeyQuery)
		g.query(kv.Val)
	}
}

func (g *guarder) condition(c *gojq.If) {
	g.query(c.Cond)
	g.query(c.Then)
	for _, e := range c.Elif {
		g.query(e.Cond)
		g.query(e.Then)
	}
	g.query(c.Else)
}

func (g *guarder) unary(t *gojq.Term) {
	g.term(t.Unary.Term)
	if t.Unary.Term.Type != gojq.TermTypeNumber {
		inner := then(&gojq.Query{Term: t.Unary.Term}, guardNumber)
		t.Unary.Term = &gojq.Term{Type: gojq.TermTypeQuery, Query: inner}
	}
}

func (g *guarder) variable(name string) {
	if !slices.Contains(variables, name) {
		g.refuse("the variable " + name)
	}
}

func (g *guarder) function(t *gojq.Term) {
	f := t.Func
	if strings.HasPrefix(f.Name, "$") {
		g.variable(f.Name)
		return
	}
	kind, guard := functions[fmt.Sprintf("%s/%d", f.Name, len(f.Args))], guardSize
	switch kind {
	case lazy:
		g.arguments(f, false)
		return
	case whole:
		g.arguments(f, !strings.HasSuffix(f.Name, "_by") && f.Name != "with_entries")
	case fixed:
		g.constants(f, f.Args)
	case pattern, patterns:
		g.pattern(f, kind)
	default:
		g.refuse("the function " + f.Name)
	}
	if kind == patterns {
		guard = guardShort
	}
	inner := &gojq.Term{Type: t.Type, Func: f}
	t.Type, t.Func, t.Query = gojq.TermTypeQuery, nil, guarded(guard, inner)
}

// arguments are programs of their own; those that are used as values are guarded.
func (g *guarder) arguments(f *gojq.Func, values bool) {
	for i, q := range f.Args {
		g.query(q)
		if values {
			f.Args[i] = then(q, guardSize)
		}
	}
}

func (g *guarder) constants(f *gojq.Func, args []*gojq.Query) {
	for _, q := range args {
		if text, ok := constant(q); !ok || len(text) > constBytes {
			g.refuse(fmt.Sprintf("the function %s with an argument that is no constant text, or a long one", f.Name))
		}
	}
}

func constant(q *gojq.Query) (string, bool) {
	if q.Term == nil || q.Term.Type != gojq.TermTypeString || q.Term.Str.Queries != nil || len(q.Term.SuffixList) > 0 {
		return "", false
	}
	return q.Term.Str.Str, true
}

// pattern checks a regular expression, its flags, and what replaces its matches.
func (g *guarder) pattern(f *gojq.Func, kind use) {
	args := f.Args
	if strings.HasSuffix(f.Name, "sub") {
		g.query(args[1])
		args = slices.Delete(slices.Clone(args), 1, 2)
	}
	g.constants(f, args)
	if text, _ := constant(args[0]); steps(text) > patternSize {
		g.refuse("the function " + f.Name + " with a large pattern")
	}
	if len(args) == 2 && kind == pattern {
		if flags, _ := constant(args[1]); strings.Contains(flags, "g") {
			g.refuse("the function " + f.Name + " with the flag g")
		}
	}
}

// steps is how large a regular expression is once it is compiled; jq reports a broken one.
func steps(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(prog.Inst)
}
