package auth

import (
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/http/httpguts"
)

// Injection is what is written on every request that uses one token: finished header slices and
// escaped query and path text. It is immutable, shared by all requests, and never leaves the
// process. An InjectionBuilder makes it.
type Injection struct {
	headers []headerField
	names   []string // query names that are written
	query   string   // escaped pairs, after the caller's
	front   string   // raw text before the caller's query
	path    string   // raw text after the path, with its slash
	body    []bodyField
}

type headerField struct {
	name   string // canonical
	values []string
	weak   bool // the request's own header holds
}

// inPlace reports whether applying writes headers only.
func (in *Injection) inPlace() bool {
	return in.query == "" && in.front == "" && in.path == "" && len(in.body) == 0
}

// Apply writes the injection on req, whose struct and header map must be the caller's own.
func (in *Injection) Apply(req *http.Request) error {
	for _, h := range in.headers {
		if h.weak && len(req.Header[h.name]) > 0 {
			continue
		}
		req.Header[h.name] = h.values
	}
	if in.inPlace() {
		return nil
	}
	if in.query != "" || in.front != "" || in.path != "" {
		req.URL = in.rewrite(req.URL)
	}
	if len(in.body) > 0 {
		return patchBody(req, in.body)
	}
	return nil
}

func (in *Injection) rewrite(old *url.URL) *url.URL {
	u := *old
	if in.path != "" {
		raw := strings.TrimSuffix(u.EscapedPath(), "/") + in.path
		if plain, err := url.PathUnescape(raw); err == nil {
			u.Path, u.RawPath = plain, raw
		}
	}
	query := u.RawQuery
	for _, name := range in.names {
		query = withoutParameter(query, name)
	}
	u.RawQuery = joinQuery(in.front, query, in.query)
	u.ForceQuery = false
	return &u
}

func joinQuery(parts ...string) string {
	kept := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "&")
}

// withoutParameter drops a caller's own parameter where a credential of that name goes.
func withoutParameter(query, name string) string {
	if !strings.Contains(query, name) && !strings.ContainsAny(query, "%+") {
		return query
	}
	pairs := strings.Split(query, "&")
	kept := pairs[:0]
	for _, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		// A name can be spelt in many ways; a server would take either for the credential.
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain
		}
		if key != name {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// InjectionBuilder collects what an Injection writes and refuses what no request may carry.
// The first error stays.
type InjectionBuilder struct {
	in  Injection
	err error
}

// Header sets a header. Several values for Cookie are joined; for any other name the last holds.
func (b *InjectionBuilder) Header(name, value string) {
	name = textproto.CanonicalMIMEHeaderKey(name)
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		b.fail("header %s: the value holds a line break or another control character", name)
		return
	}
	for i, h := range b.in.headers {
		if h.name == name {
			if name == "Cookie" {
				value = h.values[0] + "; " + value
			}
			b.in.headers[i].values = []string{value}
			return
		}
	}
	b.in.headers = append(b.in.headers, headerField{name: name, values: []string{value}})
}

// WeakHeader sets a header only where the request has none of this name.
func (b *InjectionBuilder) WeakHeader(name, value string) {
	b.Header(name, value)
	if b.err == nil {
		b.in.headers[len(b.in.headers)-1].weak = true
	}
}

// Query sets a query parameter, fully percent-encoded.
func (b *InjectionBuilder) Query(name, value string) {
	b.in.names = append(b.in.names, name)
	b.in.query = joinQuery(b.in.query, escapeComponent(name)+"="+escapeComponent(value))
}

// QueryValues sets a query parameter to several values, encoded as a form is (a blank is +).
func (b *InjectionBuilder) QueryValues(name string, values []string) {
	b.in.names = append(b.in.names, name)
	for _, value := range values {
		b.in.query = joinQuery(b.in.query, url.QueryEscape(name)+"="+url.QueryEscape(value))
	}
}

// RawQuery puts text in front of the query. It is the author's own: only what is illegal in a
// request line (RFC 9112, section 3.2; RFC 3986, section 3.4) is encoded.
func (b *InjectionBuilder) RawQuery(text string) {
	b.in.front = joinQuery(b.in.front, EscapeIllegal(text, "?/"))
}

// RawPath appends "/" and text to the path; only what is illegal in a path is encoded.
func (b *InjectionBuilder) RawPath(text string) {
	b.in.path += "/" + EscapeIllegal(text, "/")
}

// Body sets one field of a JSON object or form; path holds the nested names.
func (b *InjectionBuilder) Body(path []string, value string) {
	b.in.body = append(b.in.body, bodyField{path: path, value: value})
}

// Member sets one member of a JSON object to a JSON value, or one field of a form: to the text of
// a JSON string, else to the JSON itself. It goes with every method; a request without a body
// gets an object.
func (b *InjectionBuilder) Member(name string, value []byte) {
	if !jsontext.Value(value).IsValid() {
		b.fail("body %s: the value is not JSON", name)
		return
	}
	text := string(value)
	if plain, err := jsontext.AppendUnquote(nil, value); err == nil {
		text = string(plain)
	}
	b.in.body = append(b.in.body, bodyField{path: []string{name}, value: text, json: value})
}

// Build returns the finished Injection.
func (b *InjectionBuilder) Build() (Injection, error) { return b.in, b.err }

func (b *InjectionBuilder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

const (
	upperHex = "0123456789ABCDEF"
	letters  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// escapeComponent percent-encodes everything but the unreserved characters of RFC 3986 (a blank
// is %20, which every server reads alike).
func escapeComponent(s string) string { return escape(s, "-._~", false) }

// EscapeIllegal percent-encodes only what may not stand in a path or query; % itself stays
// where it already begins an escape.
func EscapeIllegal(s, also string) string { return escape(s, "-._~!$&'()*+,;=:@"+also, true) }

func escape(s, legal string, keepEscapes bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if strings.IndexByte(letters, c) >= 0 || strings.IndexByte(legal, c) >= 0 || keepEscapes && isEscape(s[i:]) {
			b.WriteByte(c)
			continue
		}
		b.WriteString(string([]byte{'%', upperHex[c>>4], upperHex[c&15]}))
	}
	return b.String()
}

func isEscape(s string) bool {
	return len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2])
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
