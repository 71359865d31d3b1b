package port

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/internal/settings"
)

// objects are the settings that may be written as JSON text.
var objects = []string{"customAuthRequest", "customAuthRequestTemplate", "customAuthResponse"}

// Tree finds the configuration: the document itself, or what is under integration.config in the
// values of a Helm chart.
func (Dialect) Tree(root any) (tree map[string]any, at string, problems []auth.Note, ok bool) {
	document, _ := root.(map[string]any)
	integration, _ := document["integration"].(map[string]any)
	tree, ok = integration["config"].(map[string]any)
	if ok {
		at = "/integration/config"
	} else if tree, ok = document, isOurs(document); !ok {
		return nil, "", nil, false
	}
	tree = maps.Clone(tree)
	for _, name := range objects {
		// A text that is no JSON stays: it may be ${env:NAME}. Parse looks again, and says so.
		if v, reason := unfold(tree[name]); v != nil && reason == "" {
			tree[name] = v
		}
	}
	return tree, at, nil, true
}

// isOurs reports whether a document has a setting that no other dialect has.
func isOurs(document map[string]any) bool {
	for _, name := range append([]string{"authType"}, objects...) {
		if _, has := document[name]; has {
			return true
		}
	}
	return false
}

// unfold parses a JSON text; what is no text, or empty, stays as it is.
func unfold(v any) (out any, reason string) {
	text, isText := v.(string)
	if !isText || text == "" {
		return v, ""
	}
	if start := strings.TrimLeft(text, " \t\r\n"); strings.HasPrefix(start, "{") || strings.HasPrefix(start, "[") {
		doc, err := settings.Parse([]byte(text))
		if err == nil {
			return doc.Root(), ""
		}
		return nil, "is a text, and not that of a JSON object: " + whatBreaks(err)
	}
	return nil, "is a text, and not that of a JSON object"
}

// whatBreaks says where in a text its JSON ends to be one, in places of the text itself.
func whatBreaks(err error) string {
	p, ok := errors.AsType[*settings.Problem](err)
	switch {
	case !ok:
		return "it is broken"
	case p.Line > 1:
		return fmt.Sprintf("at line %d, character %d of it: %s", p.Line, p.Column, p.Reason)
	}
	return fmt.Sprintf("at character %d of it: %s", p.Column, p.Reason)
}
