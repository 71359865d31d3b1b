package entities

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Problem is something wrong in a file of an adapter home, and where.
type Problem struct {
	File         string // path below the home
	Line, Column int    // from 1, in characters; 0 where the whole file is meant
	Pointer      string // JSON Pointer of the value
	Reason       string
	Warning      bool // the action works all the same
}

// Error returns one line: entities/device/action.json:3:9: /actions/1/method: is required.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Pointer != "" {
		b.WriteString(p.Pointer + ": ")
	}
	b.WriteString(p.Reason)
	return b.String()
}

// Problems are found together and told together.
type Problems []*Problem

// Error returns the problems, one per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each problem.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// Errors returns the problems that are no warnings.
func (ps Problems) Errors() Problems {
	var out Problems
	for _, p := range ps {
		if !p.Warning {
			out = append(out, p)
		}
	}
	return out
}

// err returns the problems that are no warnings as an error, nil if there are none.
func (ps Problems) err() error {
	if errs := ps.Errors(); len(errs) > 0 {
		return errs
	}
	return nil
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// A NotFoundError says that a home has no such entity, or an entity no such action.
type NotFoundError struct {
	What   string   // "entity" or "action"
	Name   string   // what was asked for
	Entity string   // the entity it was looked for in, if What is "action"
	Near   []string // names that look alike, best first
}

// Error returns, for example: no action "getDevce" in entity device; did you mean getDevice?
func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("no %s %q", e.What, e.Name)
	if e.Entity != "" {
		text += " in entity " + e.Entity
	}
	if len(e.Near) > 0 {
		text += "; did you mean " + strings.Join(e.Near, " or ") + "?"
	}
	return text
}

// near returns up to three of names that differ from name by little.
func near(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	limit := max(1, min(3, utf8.RuneCountInString(name)/3))
	for _, n := range names {
		if n == name || len(n) > len(name)+limit || len(name) > len(n)+limit {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d <= limit {
			found = append(found, candidate{n, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	out := make([]string, 0, 3)
	for _, c := range found[:min(3, len(found))] {
		out = append(out, c.name)
	}
	return out
}

// distance is the number of bytes to insert, drop or change between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
