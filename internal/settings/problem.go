// Package settings reads configuration objects: once and with positions, expanded, checked
// against the Go struct that they become, every problem with its place.
//
//	file ─ Parse ─▶ Document ─ Root ─▶ tree ─ Expand ─▶ tree ─ Shape.Assign ─▶ tree ─ Decode ─▶ struct
//
// A tree is what JSON describes: map[string]any, []any, string, json.Number, bool and nil.
// The struct is the one description of an object: its tags make the JSON Schema that
// Schema returns, and that schema is what Decode checks against, so what the published
// schema says is what happens.
//
// No problem text ever holds a value, which may be a secret. It names members, types and
// what would have been right.
package settings

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration object. The caller knows which file it
// stands in.
type Problem struct {
	Line, Column int    // from 1, columns in characters; 0 = not known
	Pointer      string // JSON Pointer (RFC 6901); "" is the whole object
	Reason       string // lower case, without the value
	Warning      bool   // the object works all the same
}

// Error returns the problem in one line: place, pointer, reason.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", p.Line, p.Column)
	}
	if p.Pointer != "" {
		b.WriteString(p.Pointer + ": ")
	}
	b.WriteString(p.Reason)
	return b.String()
}

// Problems are all that is wrong with one object, in the order of their places.
type Problems []*Problem

// Error returns one line for each problem, warnings included.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the single problems.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// Fatal reports whether one of the problems is more than a warning.
func (ps Problems) Fatal() bool {
	return slices.ContainsFunc(ps, func(p *Problem) bool { return !p.Warning })
}

// Err returns the problems that are more than warnings, and nil when there are none.
func (ps Problems) Err() error {
	var errs Problems
	for _, p := range ps {
		if !p.Warning {
			errs = append(errs, p)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

var (
	escapePointer   = strings.NewReplacer("~", "~0", "/", "~1")
	unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")
)

// join returns the pointer of a member of what at points to.
func join(at, name string) string { return at + "/" + escapePointer.Replace(name) }
