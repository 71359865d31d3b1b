package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// maxCopied limits what aliases and merge keys may add to a document: a few lines of them
// can stand for more nodes than memory holds.
const maxCopied = 20_000

func (d *Document) parseYAML(data []byte) (p *Problem) {
	// The library panics on states that it thinks impossible. A text is never worth a crash.
	defer func() {
		if recover() != nil {
			p = &Problem{Line: 1, Column: 1, Reason: "is not YAML"}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	if err := dec.Decode(&doc); err == io.EOF {
		return &Problem{Line: 1, Column: 1, Reason: "is empty"}
	} else if err != nil {
		return yamlError(err)
	}
	if err := dec.Decode(&next); err == nil {
		return &Problem{Line: max(next.Line, 1), Column: max(next.Column, 1), Reason: "holds more than one YAML document"}
	} else if err != io.EOF {
		return yamlError(err)
	}
	r := yamlReader{doc: d}
	d.root, p = r.value(&doc)
	d.find = func(path []string) place { return findYAML(&doc, path) }
	return p
}

// yamlError keeps the library's reason only where it is a fixed text.
func yamlError(err error) *Problem {
	p := &Problem{Line: 1, Column: 1, Reason: "is not YAML here"}
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(reason, "line "); ok {
		line, after, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(line); err == nil {
			p.Line, reason = n, after
		}
	}
	switch {
	case strings.HasPrefix(reason, "unknown anchor"):
		p.Reason = "has an alias (*name) to an anchor (&name) that does not come before it"
	case !strings.ContainsAny(reason, "'\"`\n"):
		p.Reason += ": " + reason
	}
	return p
}

type yamlReader struct {
	doc     *Document
	path    pointerPath
	depth   int // of mappings, sequences and aliases
	aliases int // how many aliases and merges we are inside of
	copied  int // nodes that these have added
}

func (r *yamlReader) value(n *yaml.Node) (any, *Problem) {
	if r.aliases > 0 {
		if r.copied++; r.copied > maxCopied {
			return nil, r.wrong(n, "grows too large by its aliases")
		}
	}
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > maxDepth+2 { // the document and the value inside count too
		return nil, r.wrong(n, fmt.Sprintf("is nested deeper than %d levels", maxDepth))
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return r.value(n.Content[0])
	case yaml.AliasNode:
		r.aliases++
		defer func() { r.aliases-- }()
		return r.value(n.Alias)
	case yaml.MappingNode:
		return r.mapping(n)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			v, p := r.member(strconv.Itoa(i), item)
			if p != nil {
				return nil, p
			}
			list[i] = v
		}
		return list, nil
	default:
		return r.scalar(n)
	}
}

func (r *yamlReader) member(name string, n *yaml.Node) (any, *Problem) {
	r.path = append(r.path, name)
	v, p := r.value(n)
	r.path = r.path[:len(r.path)-1]
	return v, p
}

func (r *yamlReader) mapping(n *yaml.Node) (any, *Problem) {
	m := make(map[string]any, len(n.Content)/2)
	for key, value := range members(n) {
		if key.Kind != yaml.ScalarNode {
			return nil, r.wrong(key, "has a member name that is not a text")
		}
		if _, twice := m[key.Value]; twice {
			r.doc.warnTwice(place{key.Line, key.Column}, append(r.path, key.Value))
		}
		v, p := r.member(key.Value, value)
		if p != nil {
			return nil, p
		}
		m[key.Value] = v
	}
	for source := range merges(n) {
		v, p := r.value(source)
		if p != nil {
			return nil, p
		}
		from, ok := v.(map[string]any)
		if !ok {
			return nil, r.wrong(source, "merges (<<) something that is not a mapping")
		}
		for name, member := range from {
			if _, have := m[name]; !have {
				m[name] = member
			}
		}
	}
	return m, nil
}

// members are the members that a mapping writes itself, names with aliases resolved.
func members(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for pair := range slices.Chunk(n.Content, 2) {
			key := pair[0]
			if key.Kind == yaml.AliasNode {
				key = key.Alias
			}
			if key.ShortTag() != "!!merge" && !yield(key, pair[1]) {
				return
			}
		}
	}
}

// merges are what a mapping merges (<<) into itself, the strongest first.
func merges(n *yaml.Node) iter.Seq[*yaml.Node] {
	return func(yield func(*yaml.Node) bool) {
		for pair := range slices.Chunk(n.Content, 2) {
			if pair[0].ShortTag() != "!!merge" {
				continue
			}
			sources := []*yaml.Node{pair[1]}
			if pair[1].Kind == yaml.SequenceNode {
				sources = pair[1].Content
			}
			for _, source := range sources {
				if !yield(source) {
					return
				}
			}
		}
	}
}

// findYAML goes along a path and returns where the last value that there is on it stands.
func findYAML(n *yaml.Node, path []string) place {
	for {
		at := place{max(n.Line, 1), max(n.Column, 1)}
		if len(path) == 0 && n.Kind != yaml.DocumentNode {
			return at
		}
		switch n.Kind {
		case yaml.DocumentNode:
			n = n.Content[0]
			continue
		case yaml.AliasNode:
			n = n.Alias
			continue
		}
		next := child(n, path[0])
		if next == nil {
			return at
		}
		n, path = next, path[1:]
	}
}

// child returns the member or item of that name, if there is one.
func child(n *yaml.Node, name string) (found *yaml.Node) {
	switch n.Kind {
	case yaml.AliasNode:
		return child(n.Alias, name)
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && 0 <= i && i < len(n.Content) {
			return n.Content[i]
		}
	case yaml.MappingNode:
		for key, value := range members(n) {
			if key.Value == name {
				found = value // the last one counts
			}
		}
		for source := range merges(n) {
			if found == nil {
				found = child(source, name)
			}
		}
	}
	return found
}

func (r *yamlReader) wrong(n *yaml.Node, reason string) *Problem {
	return &Problem{Line: max(n.Line, 1), Column: max(n.Column, 1), Pointer: r.path.String(), Reason: reason}
}

func (r *yamlReader) scalar(n *yaml.Node) (any, *Problem) {
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		return n.Value, nil
	case "!!null":
		if slices.Contains([]string{"", "~", "null", "Null", "NULL"}, n.Value) {
			return nil, nil
		}
	case "!!bool":
		if b, err := strconv.ParseBool(strings.ToLower(n.Value)); err == nil && len(n.Value) > 1 {
			return b, nil
		}
	case "!!int", "!!float":
		return r.number(n)
	default:
		return nil, r.wrong(n, "has a YAML tag that is not known here")
	}
	return nil, r.wrong(n, "is not what its YAML tag says")
}

// number writes a YAML number as JSON does, digit for digit.
func (r *yamlReader) number(n *yaml.Node) (any, *Problem) {
	sign, text := "", strings.TrimPrefix(strings.ReplaceAll(n.Value, "_", ""), "+")
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = "-", rest
	}
	if len(text) > 1 && text[0] == '0' && '0' <= text[1] && text[1] <= '9' {
		// Decimal for YAML 1.2, octal for YAML 1.1, and often meant as a text.
		return nil, r.wrong(n, "is a number with leading zeros: put it in quotes, or write it without them")
	}
	if i, ok := new(big.Int).SetString(text, 0); ok && len(text) < 100 { // 0x…, 0o…, 0b…
		return json.Number(sign + i.String()), nil
	}
	if strings.HasPrefix(text, ".") {
		text = "0" + text
	}
	text = strings.NewReplacer(".e", "e", ".E", "E").Replace(strings.TrimSuffix(text, "."))
	if raw := jsontext.Value(text); raw.Kind() != '0' || text[0] == '-' || !raw.IsValid() {
		return nil, r.wrong(n, "is not a finite number")
	}
	return json.Number(sign + text), nil
}
