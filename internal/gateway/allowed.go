package gateway

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/adapter"
	"github.com/keyhitch/keyhitch/entities"
)

// What a caller's entry may allow besides data.
const (
	mayProperties = "callProperties"
	mayAuthData   = "authData"
	mayFiles      = "files"
	mayHeaders    = "credential_headers"
)

// overstep finds what is not the caller's to say: where calls and credentials go never is, and the
// rest only with the privilege in his entry.
func (x *exchange) overstep(in adapter.Input, act *entities.Action) (*fault, error) {
	if at := neverSet("/callProperties", in.CallProperties); at != "" {
		return faultNotAllowedHere, fmt.Errorf("%s: where calls go, and how, is the configuration's to say", at)
	}
	may := x.privileged
	if len(in.CallProperties) > 0 && !may(mayProperties) {
		return notAllowed("/callProperties", mayProperties)
	}
	if len(in.AuthData) > 0 && !may(mayAuthData) {
		return notAllowed("/authData", mayAuthData)
	}
	if at := filePart("/payload", read(in.Payload), takesForm(in, act)); at != "" && !may(mayFiles) {
		return notAllowed(at, mayFiles)
	}
	if !may(mayHeaders) {
		if at := replaces(in, x.doors[x.adapter]); at != "" {
			return notAllowed(at, mayHeaders)
		}
	}
	for i, v := range in.PathVars {
		if text, ok := v.(string); ok && leadsElsewhere(text) {
			return faultBadPath, fmt.Errorf("/uriPathVars/%d: has a dot segment, which would lead elsewhere", i)
		}
	}
	return nil, nil
}

// privileged reports whether the caller's entry lists a privilege. Without callers there is no
// entry that could.
func (x *exchange) privileged(privilege string) bool {
	return x.caller != nil && x.caller.may(privilege)
}

func notAllowed(at, privilege string) (*fault, error) {
	return faultNotAllowedHere, fmt.Errorf("%s: needs %s in the may list of the caller's entry", at, privilege)
}

// never lists the properties that no privilege covers.
var never = []string{"host", "port", "protocol", "sso", "ssl", "proxy"}

// neverSet finds one of them, however deep and however spelt.
func neverSet(at string, value any) string {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			words := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("./_- \t\n", r) })
			if slices.ContainsFunc(words, func(word string) bool {
				return slices.ContainsFunc(never, func(n string) bool { return strings.EqualFold(n, word) })
			}) {
				return pointer(at, name)
			}
			if found := neverSet(pointer(at, name), v[name]); found != "" {
				return found
			}
		}
	case []any:
		for i, item := range v {
			if found := neverSet(fmt.Sprintf("%s/%d", at, i), item); found != "" {
				return found
			}
		}
	}
	return ""
}

// read is a payload as the engine reads it: JSON may stand in a text.
func read(payload any) any {
	text, ok := payload.(string)
	if !ok {
		return payload
	}
	if inner, err := entities.Decode(entities.JSON, []byte(text)); err == nil {
		return inner
	}
	return payload
}

// takesForm reports whether the payload is sent as a form of parts, where any part can be a file.
func takesForm(in adapter.Input, act *entities.Action) bool {
	return strings.EqualFold(in.Datatype.Request, string(entities.FORM)) || act != nil && act.RequestType == entities.FORM
}

// filePart finds a part of a payload that names a file of this machine: the member file with the
// text @path, in a form any member.
func filePart(at string, value any, form bool) string {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			text, isText := v[name].(string)
			if isText && strings.HasPrefix(strings.TrimSpace(text), "@") && (form || strings.EqualFold(name, "file")) {
				return pointer(at, name)
			}
			if found := filePart(pointer(at, name), v[name], form); found != "" {
				return found
			}
		}
	case []any:
		for i, item := range v {
			if found := filePart(fmt.Sprintf("%s/%d", at, i), item, form); found != "" {
				return found
			}
		}
	}
	return ""
}

// replaces finds a header or query parameter where the adapter's credential goes, or that /proxy
// would not pass on either.
func replaces(in adapter.Input, d *door) string {
	for _, name := range slices.Sorted(maps.Keys(in.Headers)) {
		if overridesMethod(name) || !d.keeps(http.CanonicalHeaderKey(name)) {
			return pointer("/addlHeaders", name)
		}
		for placed := range d.headers {
			if sameHeader(placed, name) {
				return pointer("/addlHeaders", name)
			}
		}
	}
	if at := named("/uriOptions", in.Options, d.query); at != "" {
		return at
	}
	return named("/uriQuery", in.Query, d.query)
}

// named finds the first field that a server could read as one of the names.
func named(at string, fields entities.Object, names []string) string {
	for _, field := range fields {
		if isReadAs(names, field.Name) {
			return pointer(at, field.Name)
		}
	}
	return ""
}

// sameHeader compares as servers do: in any case, and many take X_Api_Key for X-Api-Key.
func sameHeader(a, b string) bool {
	if len(a) != len(b) { // most are; this is on the path of every request
		return false
	}
	if strings.IndexByte(a, '_') >= 0 || strings.IndexByte(b, '_') >= 0 {
		a, b = strings.ReplaceAll(a, "_", "-"), strings.ReplaceAll(b, "_", "-")
	}
	return strings.EqualFold(a, b)
}

// decodings is how often a server might decode a path that was encoded more than once.
const decodings = 3

// leadsElsewhere reports whether a path variable has a dot segment, in any spelling. The engine
// refuses those that are segments as they are sent; a server that decodes once more sees others.
func leadsElsewhere(text string) bool {
	for range decodings {
		for segment := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '/' || r == '\\' }) {
			if segment == "." || segment == ".." {
				return true
			}
		}
		plain, err := url.PathUnescape(text)
		if err != nil || plain == text {
			break
		}
		text = plain
	}
	return false
}
