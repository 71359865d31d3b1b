package entities

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A place is a node of a schema file.
type place struct {
	doc     *document
	pointer string
	node    Object
}

func (p place) key() string { return p.doc.path + "#" + p.pointer }

func (p place) at(pointer string, v any) place {
	node, _ := v.(Object)
	return place{p.doc, pointer, node}
}

// A treeCompiler makes the tree of properties that translation walks.
type treeCompiler struct {
	library  *library
	shapes   map[string]*shape // by place, so that recursive schemas end
	problems []*Problem
}

func (c *treeCompiler) fault(at place, member, reason string) {
	pointer := at.pointer
	if member != "" {
		pointer = pointerTo(pointer, member)
	}
	c.problems = append(c.problems, &Problem{File: at.doc.path, Pointer: pointer, Reason: reason})
}

// property compiles the schema at a place for the property called name.
func (c *treeCompiler) property(at place, name string) *property {
	attributes, structure := c.deref(at)
	p := &property{Property: Property{Name: name, External: name}}
	r := reader{c, at, attributes.Map()}
	p.byRef = structure.key() != at.key()
	p.types = r.types()
	p.Types = p.types
	if len(p.types) > 0 {
		p.Type = p.types[0]
	}
	p.Placement, p.Front, p.End, p.Description = r.text("placement"), r.text("front"), r.text("end"), r.text("description")
	p.Default, p.filled = r.members["default"]
	p.Default = plain(p.Default)
	p.untouched = !r.flag("translate", true)
	if _, ok := r.members["dynamicfields"]; ok {
		dynamic := r.flag("dynamicfields", false)
		p.dynamic = &dynamic
	}
	p.encode, p.parse, p.key = r.flag("encode", false), r.flag("parse", false), r.key()
	p.filter = r.selector("respFilter")
	r.external(p)
	p.shape = c.shape(structure)
	return p
}

// shape compiles what is inside a node; nodes met before are shared.
func (c *treeCompiler) shape(at place) *shape {
	if known := c.shapes[at.key()]; known != nil {
		return known
	}
	s := new(shape)
	c.shapes[at.key()] = s
	inner, _ := at.node.Get("properties")
	properties, _ := inner.(Object)
	base := at.pointer + "/properties"
	for _, f := range properties {
		s.properties = append(s.properties, c.property(at.at(pointerTo(base, f.Name), f.Value), f.Name))
	}
	s.index()
	items, _ := at.node.Get("items")
	switch items := items.(type) {
	case Object:
		s.items = c.property(at.at(at.pointer+"/items", items), "")
	case []any:
		for i, item := range items {
			s.tuple = append(s.tuple, c.property(at.at(pointerAt(at.pointer+"/items", i), item), ""))
		}
	}
	return s
}

// deref follows $ref. Members beside a $ref win over those of its target; the structure is
// that of the first node which has one.
func (c *treeCompiler) deref(at place) (attributes Object, structure place) {
	b := newBuilder(len(at.node))
	seen := map[string]bool{}
	for here := at; ; {
		seen[here.key()] = true
		for _, f := range here.node {
			if _, ok := b.find(f.Name); !ok && f.Name != "$ref" {
				b.set(f.Name, f.Value)
			}
		}
		v, _ := here.node.Get("$ref")
		ref, ok := v.(string)
		if !ok {
			if structure.doc == nil {
				structure = here
			}
			return b.fields, structure
		}
		if structure.doc == nil && here.hasStructure() {
			structure = here
		}
		next, ok := c.library.resolve(here.doc, ref)
		switch {
		case !ok:
			c.fault(here, "$ref", "refers to nothing in this home")
		case seen[next.key()]:
			c.fault(here, "$ref", "goes round in a circle")
			ok = false
		}
		if !ok {
			return b.fields, here
		}
		here = next
	}
}

func (p place) hasStructure() bool {
	return slices.ContainsFunc(p.node, func(f Field) bool { return f.Name == "properties" || f.Name == "items" })
}

// resolve finds the node that a $ref of doc means.
func (l *library) resolve(doc *document, ref string) (place, bool) {
	target, fragment, _ := strings.Cut(l.ownRef(doc, ref), "#")
	if target != "" {
		p, ok := siblingPath(doc.path, target)
		if !ok {
			return place{}, false
		}
		other, err := l.document(p)
		if err != nil {
			return place{}, false
		}
		doc = other
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil {
		return place{}, false
	}
	if fragment != "" && fragment[0] != '/' {
		return findAnchor(place{doc, "", nil}, doc.tree, "#"+fragment)
	}
	return follow(doc, fragment)
}

// ownRef turns a $ref that names the doc by its own $id into one inside the doc, unless a file
// of that name exists: many files of a home share one $id.
func (l *library) ownRef(doc *document, ref string) string {
	target, fragment, _ := strings.Cut(ref, "#")
	if target == "" || target != doc.id {
		return ref
	}
	if p, ok := siblingPath(doc.path, target); ok && l.has(p) {
		return ref
	}
	return "#" + fragment
}

// siblingPath returns the file that a relative reference in the file at p means.
func siblingPath(p, ref string) (string, bool) {
	u, err := url.Parse(ref)
	if err != nil || u.IsAbs() || u.Host != "" {
		return "", false
	}
	if strings.HasPrefix(u.Path, "/") {
		return strings.TrimPrefix(path.Clean(u.Path), "/"), true
	}
	return strings.TrimPrefix(path.Join("/", path.Dir(p), u.Path), "/"), true
}

// follow finds the node at a JSON Pointer.
func follow(doc *document, pointer string) (place, bool) {
	v := doc.tree
	for segment := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			break
		}
		segment = strings.ReplaceAll(strings.ReplaceAll(segment, "~1", "/"), "~0", "~")
		switch inner := v.(type) {
		case Object:
			next, ok := inner.Get(segment)
			if !ok {
				return place{}, false
			}
			v = next
		case []any:
			n, err := strconv.Atoi(segment)
			if err != nil || n < 0 || n >= len(inner) {
				return place{}, false
			}
			v = inner[n]
		default:
			return place{}, false
		}
	}
	node, _ := v.(Object)
	return place{doc, pointer, node}, true
}

// findAnchor finds the node with a plain name: $id "#name", or $anchor "name".
func findAnchor(at place, v any, anchor string) (place, bool) {
	switch v := v.(type) {
	case Object:
		if id, _ := v.Get("$id"); id == anchor {
			return place{at.doc, at.pointer, v}, true
		}
		if name, _ := v.Get("$anchor"); name == anchor[1:] {
			return place{at.doc, at.pointer, v}, true
		}
		for _, f := range v {
			if found, ok := findAnchor(place{at.doc, pointerTo(at.pointer, f.Name), nil}, f.Value, anchor); ok {
				return found, true
			}
		}
	case []any:
		for i, item := range v {
			if found, ok := findAnchor(place{at.doc, pointerAt(at.pointer, i), nil}, item, anchor); ok {
				return found, true
			}
		}
	}
	return place{}, false
}
