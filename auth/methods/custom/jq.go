package custom

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/keyhitch/keyhitch/auth/internal/endpoint"
)

const (
	evaluation = time.Second // the longest that one expression may take
	valueBytes = 64 << 10    // of what it gives: no header could carry more
	exprBytes  = 4 << 10     // of its own text; deeper nesting is no template's need
)

// Expression is a compiled jq program that gives one text. It knows no environment, no files, no
// modules and no further input.
type Expression struct {
	text    string
	code    *gojq.Code
	headers []string // names of headers, as the program spells them
}

// variables are what a program knows besides its input, the last answer.
var variables = []string{"$answers", "$headers", "$cookies"}

// ParseExpression compiles a path (expires_in, .expires_in), any other jq program that a template
// takes, or one in its braces.
func ParseExpression(text string) (*Expression, error) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "{{"); ok {
		text = strings.TrimSuffix(inner, "}}")
	}
	if text == "" {
		return nil, errors.New("is no path into the answer")
	}
	if text[0] != '.' && text[0] != '$' {
		text = "." + text
	}
	return compile(text)
}

func compile(text string) (*Expression, error) {
	if len(text) > exprBytes {
		return nil, fmt.Errorf("is longer than %d bytes", exprBytes)
	}
	query, err := parse(text)
	if err != nil {
		return nil, syntaxError(err)
	}
	options := append(guards(), gojq.WithVariables(variables), gojq.WithEnvironLoader(func() []string { return nil }))
	if _, err := gojq.Compile(query, options...); err != nil {
		return nil, fmt.Errorf("is no jq program: %s; %s", endpoint.Clip(err.Error(), 80), oddNames)
	}
	query, _ = parse(text) // anew: to compile a program may change it
	if err := safe(query); err != nil {
		return nil, err
	}
	code, err := gojq.Compile(query, options...)
	if err != nil {
		return nil, errors.New("is no jq program")
	}
	return &Expression{strings.TrimSpace(text), code, spelt(text)}, nil
}

func parse(text string) (*gojq.Query, error) {
	query, err := gojq.Parse(text)
	if err != nil && strings.Contains(text, "'") {
		// Existing configuration quotes so; the system it was written for takes either.
		query, err = gojq.Parse(strings.ReplaceAll(text, "'", `"`))
	}
	return query, err
}

var headerNames = regexp.MustCompile(`\$headers\s*\.?\s*(?:\[\s*)?["']?([\w-]+)`)

// spelt lists the headers that a program asks for: their names have no case (RFC 9110, section
// 5.1), and jq's have.
func spelt(text string) []string {
	var list []string
	for _, m := range headerNames.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	return list
}

// sees is what the program finds in $headers.
func (e *Expression) sees(headers map[string]any) map[string]any {
	all := maps.Clone(headers)
	for _, name := range e.headers {
		if text, ok := headers[strings.ToLower(name)]; ok {
			all[name] = text
		}
	}
	return all
}

// oddNames is the mistake that is made most: {{.access-token}} is a subtraction.
const oddNames = `a name with other characters than letters, digits and _ is written .["name"]`

// syntaxError says where a program ends to be one, and quotes nothing of it.
func syntaxError(err error) error {
	var at *gojq.ParseError
	if errors.As(err, &at) {
		return fmt.Errorf("is no jq program after %d bytes of it; %s", max(0, at.Offset-len(at.Token)), oddNames)
	}
	return errors.New("is no jq program")
}

// errNothing is an expression that found nothing: null, or no output at all.
var errNothing = errors.New("the answer has no such value")

// eval returns the text of the first value that the program gives. Errors never hold a value.
func (e *Expression) eval(ctx context.Context, s scope) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, evaluation)
	defer cancel()
	v, err := e.first(ctx, s)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", errors.New("takes too long")
	case err != nil:
		return "", errors.New(spoken(err))
	case v == nil:
		return "", errNothing
	}
	text, err := textOf(v)
	if len(text) > valueBytes {
		return "", fmt.Errorf("is larger than %d KiB", valueBytes>>10)
	}
	return text, err
}

// first runs the program to its first value; nil: there is none. jq looks at the context between
// its steps only, so a long step is left behind.
func (e *Expression) first(ctx context.Context, s scope) (any, error) {
	type result struct {
		value any
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, _ := e.code.RunWithContext(ctx, s.input(), s.answers, e.sees(s.headers), s.cookies).Next()
		if err, failed := v.(error); failed {
			done <- result{nil, err}
			return
		}
		done <- result{v, nil}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

const typeNames = `(null|boolean|number|string|array|object)`

var (
	fixedWords  = regexp.MustCompile(`^@?[a-z_]+[0-9]*(?: [a-z_]+)*`)
	typeWord    = regexp.MustCompile(`^: ` + typeNames + `\b`)
	applied     = regexp.MustCompile(`^(@?[a-z_]+[0-9a-z_]*)(?:\(.*\))? cannot be applied to(?:: ` + typeNames + `)?`)
	calculation = regexp.MustCompile(`(?s)^(cannot [a-z]+:? )` + typeNames + ` \(.* (and|by:) ` + typeNames + ` \(`)
)

// spoken is jq's own message less the values that it quotes.
func spoken(err error) string {
	if own, ok := errors.AsType[*tooLarge](err); ok {
		return own.reason
	}
	if _, own := err.(gojq.ValueError); own {
		return "the expression ends with an error of its own"
	}
	text := err.Error()
	if m := calculation.FindStringSubmatch(text); m != nil {
		return m[1] + m[2] + " " + m[3] + " " + m[4]
	}
	if m := applied.FindStringSubmatch(text); m != nil {
		return m[1] + " cannot be applied to " + cmp.Or(m[2], "this value")
	}
	words := fixedWords.FindString(text)
	return strings.TrimSpace(words) + typeWord.FindString(text[len(words):])
}

// textOf is how a value stands in a text: numbers with all their digits.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case *big.Int:
		return v.String(), nil
	case float64:
		return floatText(v)
	case json.Number:
		if !strings.ContainsAny(string(v), ".eE") {
			return string(v), nil
		}
		f, err := v.Float64()
		if err != nil {
			return "", errors.New("is a number out of range")
		}
		return floatText(f)
	case []any:
		return "", errors.New("is a list; choose an item ([0]), join it, or ask for its JSON (| tojson)")
	default:
		return "", errors.New("is an object; choose a member, or ask for its JSON (| tojson)")
	}
}

func floatText(f float64) (string, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", errors.New("is a number out of range")
	}
	text, err := json.Marshal(f)
	return string(text), err
}
