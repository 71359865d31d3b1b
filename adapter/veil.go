package adapter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// veil hides the secrets of a planned request: values by the names that they have, and whatever
// the redactor knows. Names themselves stay: a request without them says nothing. A nil veil
// hides nothing.
type veil struct {
	secret func(name string) bool
	scrub  func(text string) string
	own    bool // the text is the caller's own: what looks like a stand-in in it is none
}

const hiddenValue = "[redacted]"

// standIn is the place of a value that only an answer brings: {token}, {.access_token}, {$headers["X"]}.
var standIn = regexp.MustCompile(`\{(token|\.|\$)`)

// value is the value of a name.
func (v *veil) value(name, value string) string {
	if v.secret(name) && !v.standsIn(value) {
		return hiddenValue
	}
	return v.scrub(value)
}

// standsIn reports whether a value already shows no secret, but where it would go.
func (v *veil) standsIn(value string) bool {
	return value == "" || !v.own && (strings.Contains(value, hiddenValue) || standIn.MatchString(value))
}

// caller hides what the caller himself sends, before credentials are added to it: afterwards his
// secrets could not be told from stand-ins.
func (v *veil) caller(req *http.Request) error {
	if v == nil {
		return nil
	}
	own := *v
	own.own = true
	req.Header = own.headers(req.Header)
	u := *req.URL
	u.RawQuery = own.form(u.RawQuery)
	req.URL = &u
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	data, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	text := own.body(string(data), req.Header.Get("Content-Type"))
	req.ContentLength, req.GetBody = int64(len(text)), nil
	req.Body = io.NopCloser(strings.NewReader(text))
	return nil
}

// merged hides by value what credentials brought into a body that was hidden by name before:
// by name again, stand-ins would go too.
func (v *veil) merged(text, contentType string) string {
	if v == nil {
		return text
	}
	values := &veil{secret: func(string) bool { return false }, scrub: v.scrub}
	if strings.HasPrefix(contentType, "application/x-www-form-urlencoded") || json.Valid([]byte(text)) {
		return values.body(text, contentType)
	}
	return v.scrub(text)
}

// part is a piece of a text; names are kept as they are.
type part struct {
	text string
	name bool
}

// join puts parts together and scrubs what stands between the names, which may be split there:
// an unencoded secret can hold a separator.
func (v *veil) join(parts []part) string {
	var whole strings.Builder
	var kept []string
	for i, p := range parts {
		if p.name && v.scrub(p.text) != p.text {
			mark := fmt.Sprintf("\x00%d\x00", i)
			kept = append(kept, mark, p.text)
			p.text = mark
		}
		whole.WriteString(p.text)
	}
	return strings.NewReplacer(kept...).Replace(v.scrub(whole.String()))
}

// url hides what is secret in path and query.
func (v *veil) url(u *url.URL) string {
	if v == nil {
		return u.String()
	}
	origin := &url.URL{Scheme: u.Scheme, Host: u.Host}
	text := v.scrub(origin.String()) + v.scrub(u.EscapedPath())
	if u.RawQuery != "" || u.ForceQuery {
		text += "?" + v.form(u.RawQuery)
	}
	return text
}

// form hides values of a query or a form.
func (v *veil) form(text string) string {
	var parts []part
	for i, pair := range strings.Split(text, "&") {
		if i > 0 {
			parts = append(parts, part{text: "&"})
		}
		name, value, found := strings.Cut(pair, "=")
		if !found {
			parts = append(parts, part{text: pair})
			continue
		}
		if plain := unescaped(value); v.secret(unescaped(name)) && !v.standsIn(plain) {
			value = hiddenValue
		}
		parts = append(parts, part{name, true}, part{text: "=" + value})
	}
	return v.join(parts)
}

func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// body hides values of JSON and of forms; other bodies lose what the redactor knows.
func (v *veil) body(text, contentType string) string {
	if v == nil {
		return text
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	if kind == "application/x-www-form-urlencoded" {
		return v.form(text)
	}
	if parts, ok := v.json([]byte(text)); ok {
		return v.join(parts)
	}
	return v.scrub(text)
}

// json takes a text of one or more JSON values apart. Bytes that are not hidden stay as they are.
// What follows a mistake, or the place where a long body is cut, is hidden; false: no JSON at all.
func (v *veil) json(data []byte) (parts []part, ok bool) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '[' {
		return nil, false
	}
	j := &jsonVeil{veil: v, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	j.dec.UseNumber()
	for j.err == nil && j.dec.More() {
		j.value(false)
	}
	j.upTo(int(j.dec.InputOffset()))
	if j.err != nil && len(bytes.TrimSpace(data[j.done:])) > 0 {
		j.parts = append(j.parts, part{text: hiddenValue})
	} else {
		j.upTo(len(data))
	}
	return j.parts, true
}

// jsonVeil walks through JSON and copies it.
type jsonVeil struct {
	*veil
	data  []byte
	dec   *json.Decoder
	parts []part
	done  int // bytes of data that are in parts
	err   error
}

// upTo copies what comes before the offset.
func (j *jsonVeil) upTo(offset int) {
	if offset > j.done {
		j.parts = append(j.parts, part{text: string(j.data[j.done:offset])})
		j.done = offset
	}
}

func (j *jsonVeil) token() (json.Token, []byte) {
	from := int(j.dec.InputOffset())
	token, err := j.dec.Token()
	if j.err = err; err != nil {
		return nil, nil
	}
	end := int(j.dec.InputOffset())
	return token, bytes.TrimLeft(j.data[from:end], " \t\r\n,:")
}

// value walks over one value; secret: one of the names above it says so.
func (j *jsonVeil) value(secret bool) {
	token, raw := j.token()
	switch token := token.(type) {
	case json.Delim:
		for j.err == nil && j.dec.More() {
			inner := secret
			if token == '{' {
				inner = j.name() || secret
			}
			if j.err == nil {
				j.value(inner)
			}
		}
		if j.err == nil {
			j.token()
		}
	case string:
		if secret && !j.standsIn(token) {
			j.hide(raw)
		}
	case json.Number:
		if secret {
			j.hide(raw)
		}
	}
}

// name walks over a member's name and reports whether it says secret.
func (j *jsonVeil) name() bool {
	token, raw := j.token()
	name, _ := token.(string)
	if j.err != nil {
		return false
	}
	end := int(j.dec.InputOffset())
	j.upTo(end - len(raw))
	j.parts = append(j.parts, part{string(j.data[j.done:end]), true})
	j.done = end
	return j.secret(name)
}

func (j *jsonVeil) hide(raw []byte) {
	end := int(j.dec.InputOffset())
	j.upTo(end - len(raw))
	j.parts = append(j.parts, part{text: `"` + hiddenValue + `"`})
	j.done = end
}
