package auth

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// Format is a compiled auth_field_format: literal text, {names}, and {b64}…{/b64} blocks.
// It is evaluated in one pass: every occurrence, blocks several and nested, values never
// scanned again. <b64>…</b64> is the same block, because web pages write it so.
type Format struct{ parts []part }

// part is literal text, a name, or (block set) a base64 block.
type part struct {
	text  string
	name  string
	block []part
	b64   bool
}

// CompileFormat reads text once. Only the given names are replaced; any other {word} stays as
// it is. The error of an unclosed or unopened block names the place, never the text.
func CompileFormat(text string, names ...string) (Format, error) {
	p := formatParser{rest: text, size: len(text), names: names}
	parts, err := p.parse(false)
	return Format{parts}, err
}

// basic is the value of an Authorization header (RFC 7617) whose «user:password» is f.
func (f Format) basic() Format {
	return Format{[]part{{text: "Basic "}, {b64: true, block: f.parts}}}
}

// Unknown lists the {words} of text that no value replaces, for a warning.
func (f Format) Unknown() []string {
	var words []string
	for _, p := range f.parts {
		if p.b64 {
			words = append(words, Format{p.block}.Unknown()...)
			continue
		}
		for rest := p.text; p.name == ""; {
			_, after, open := strings.Cut(rest, "{")
			word, tail, closed := strings.Cut(after, "}")
			if !open || !closed {
				break
			}
			word = word[strings.LastIndexByte(word, '{')+1:]
			if isWord(word) {
				words = append(words, "{"+word+"}")
			}
			rest = tail
		}
	}
	return words
}

// Uses reports whether the format asks for name.
func (f Format) Uses(name string) bool {
	for _, p := range f.parts {
		if p.name == name || p.b64 && (Format{p.block}).Uses(name) {
			return true
		}
	}
	return false
}

// Render fills in the values. A name without an entry is an error; an entry that is the absent
// secret is empty text. A block around a stand-in stays written out, so that a plan can be read.
func (f Format) Render(values map[string]Secret) (string, error) {
	var room [256]byte
	out, _, err := appendParts(room[:0], f.parts, values)
	return string(out), err
}

func appendParts(out []byte, parts []part, values map[string]Secret) (_ []byte, standIn bool, err error) {
	for _, p := range parts {
		switch {
		case p.b64:
			start := len(out)
			inner, stands, err := appendParts(out, p.block, values)
			if err != nil {
				return nil, false, err
			}
			standIn = standIn || stands
			out = closeBlock(inner, start, stands)
		case p.name != "":
			value, ok := values[p.name]
			if !ok {
				return nil, false, fmt.Errorf("there is no %s to put into {%s}", p.name, p.name)
			}
			standIn = standIn || value.standIn
			out = append(out, value.Reveal()...)
		default:
			out = append(out, p.text...)
		}
	}
	return out, standIn, nil
}

// closeBlock replaces what was written since start by its base64 form.
func closeBlock(out []byte, start int, standIn bool) []byte {
	if standIn {
		return append(slices.Insert(out, start, []byte("{b64}")...), "{/b64}"...)
	}
	end := len(out)
	out = base64.StdEncoding.AppendEncode(out, out[start:]) // behind, then moved: no copy on the heap
	return append(out[:start], out[end:]...)
}

type formatParser struct {
	rest  string
	size  int
	depth int // of open blocks
	names []string
}

// deepest is how deep blocks may nest: each one makes the text a third longer.
const deepest = 8

func (p *formatParser) parse(inBlock bool) ([]part, error) {
	var parts []part
	start := p.size - len(p.rest)
	literal := 0 // length of the literal text in front
	flush := func() {
		if literal > 0 {
			parts = append(parts, part{text: p.rest[:literal]})
		}
		p.rest, literal = p.rest[literal:], 0
	}
	for literal < len(p.rest) {
		here := p.rest[literal:]
		switch mark := markAt(here); {
		case mark == "{b64}" || mark == "<b64>":
			flush()
			block, err := p.block(mark)
			if err != nil {
				return nil, err
			}
			parts = append(parts, block)
		case mark != "":
			at := p.size - len(here)
			flush()
			p.rest = p.rest[len(mark):]
			if !inBlock {
				return nil, fmt.Errorf("{/b64} at character %d closes no {b64} block", at+1)
			}
			return parts, nil
		default:
			if name := p.nameAt(here); name != "" {
				flush()
				p.rest = p.rest[len(name)+2:]
				parts = append(parts, part{name: name})
				continue
			}
			literal++
		}
	}
	flush()
	if inBlock {
		return nil, fmt.Errorf("the {b64} block before character %d is not closed; write {/b64} at its end", start+1)
	}
	return parts, nil
}

// block reads the block that mark opens.
func (p *formatParser) block(mark string) (part, error) {
	if p.depth++; p.depth > deepest {
		return part{}, fmt.Errorf("the {b64} block at character %d is nested more than %d deep", p.size-len(p.rest)+1, deepest)
	}
	p.rest = p.rest[len(mark):]
	inner, err := p.parse(true)
	p.depth--
	return part{b64: true, block: inner}, err
}

func markAt(s string) string {
	for _, mark := range [...]string{"{b64}", "{/b64}", "<b64>", "</b64>"} {
		if strings.HasPrefix(s, mark) {
			return mark
		}
	}
	return ""
}

func (p *formatParser) nameAt(s string) string {
	for _, name := range p.names {
		if len(s) >= len(name)+2 && s[0] == '{' && s[1:len(name)+1] == name && s[len(name)+1] == '}' {
			return name
		}
	}
	return ""
}

func isWord(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range s {
		if c != '_' && c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
