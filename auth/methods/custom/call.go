package custom

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/keyhitch/keyhitch/auth"
)

// Call is one authentication call. NewCall makes it.
type Call struct {
	method   string
	endpoint []part // the whole URL, less its own query where parameters replace that
	headers  []header
	query    []parameter
	body     []member
	form     []part
	spots    []spot
}

// WrittenCall is a call as it is written.
type WrittenCall struct {
	Written
	Base      *url.URL // what a relative endpoint is joined to
	Endpoint  string
	Method    string
	Form      auth.Secret
	Templated bool // expressions stand for values of the answers before
}

// NewCall compiles a call. It is usable when there are no faults.
func NewCall(w WrittenCall) (Call, []Fault) {
	c := compiler{literal: !w.Templated, host: true}
	call := Call{
		method:  w.Method,
		headers: c.headers(w.Headers, place{}.member("headers")),
		query:   c.parameters(w.Query, place{}.member("queryParams")),
		body:    c.members(w.Body, place{}.member("body"), false),
		form:    c.text(w.Form.Reveal(), place{}.member("bodyForm"), true),
	}
	at := place{}.member("endpoint")
	if full, reason := join(w.Base, w.Endpoint); reason != "" {
		c.fault(at, "%s", reason)
	} else {
		call.endpoint = c.text(full, at, false)
	}
	call.spots = c.spots
	if len(c.faults) == 0 {
		if _, err := call.request(context.Background(), filling{}); err != nil {
			c.fault(at, "%v", err)
		}
	}
	return call, c.faults
}

// join makes an endpoint whole. A relative one goes behind the base URL's path: that is no
// resolution by RFC 3986, which would drop the path.
func join(base *url.URL, endpoint string) (full, reason string) {
	scheme, rest, found := strings.Cut(endpoint, "://")
	if found && !strings.ContainsAny(scheme, "/?#{") {
		scheme = strings.ToLower(scheme)
		if scheme != "http" && scheme != "https" {
			return "", "must be a path, or a URL that begins with http:// or https://"
		}
		return scheme + "://" + rest, ""
	}
	rest = strings.TrimLeft(endpoint, "/")
	if rest == "" {
		return "", "is empty; write the path of the authentication call, or its whole URL"
	}
	if base == nil {
		return "", "is a path, and there is no usable baseUrl that it could be joined to"
	}
	return strings.TrimRight(base.String(), "/") + "/" + rest, ""
}

// request is the finished call.
func (c *Call) request(ctx context.Context, f filling) (*http.Request, error) {
	u, err := c.url(f)
	if err != nil {
		return nil, err
	}
	user := u.User
	u.User = nil
	content, kind, err := c.content(f)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if kind != "" {
		body = bytes.NewReader(content)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, u.String(), body)
	if err != nil {
		return nil, errors.New("makes no URL")
	}
	if user != nil {
		req.Header.Set("Authorization", basic(user, f.masked))
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	return req, c.setHeaders(req, f)
}

func (c *Call) setHeaders(req *http.Request, f filling) error {
	for _, h := range c.headers {
		text := f.text(h.parts, h.sensitive)
		if !httpguts.ValidHeaderFieldValue(text) {
			return errors.New("header " + h.name + ": the value holds a line break or another control character")
		}
		switch name := http.CanonicalHeaderKey(h.name); name {
		case "Host":
			req.Host = text
		case "Accept-Encoding": // net/http unpacks an answer only when it has asked for that itself
		default:
			req.Header.Set(name, text)
		}
	}
	return nil
}

// basic is the Authorization header of a user and a password that stand in a URL.
func basic(user *url.Userinfo, masked bool) string {
	password, _ := user.Password()
	text := auth.NewSecret(base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password)))
	return "Basic " + text.MaskedUnless(!masked).Reveal()
}

func (c *Call) url(f filling) (*url.URL, error) {
	inURL := f
	inURL.escape = escapeValue
	if err := c.straight(inURL); err != nil {
		return nil, err
	}
	u, err := url.Parse(inURL.text(c.endpoint, false))
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("is no URL") // without the parser's words: they quote
	}
	u.Fragment, u.RawFragment = "", ""
	own := auth.EscapeIllegal(u.RawQuery, "?/")
	if f.masked {
		own = maskForm(own)
	}
	u.RawQuery = c.merged(own, f)
	return u, nil
}

// straight refuses values that lead elsewhere: an answer fills places in a path, and does not
// choose another path (RFC 3986, section 5.2.4).
func (c *Call) straight(f filling) error {
	segment, filled, slashes := "", false, 0 // the path begins behind the third slash
	end := func() error {
		plain, err := url.PathUnescape(segment)
		if filled && slashes >= 3 && (err != nil || plain == "" || plain == "." || plain == "..") {
			return errors.New("endpoint: a value is empty, . or .. where it would be a whole part of the path")
		}
		segment, filled = "", false
		return nil
	}
	for _, p := range c.endpoint {
		if p.expr != nil {
			segment, filled = segment+f.value(p.expr), true
			continue
		}
		text, last := p.literal.Reveal(), false
		if i := strings.IndexAny(text, "?#"); i >= 0 {
			text, last = text[:i], true
		}
		for i, piece := range strings.Split(text, "/") {
			if i > 0 {
				if err := end(); err != nil {
					return err
				}
				slashes++
			}
			segment += piece
		}
		if last {
			break
		}
	}
	return end()
}

// escapeValue lets a value stand as one piece in any part of a URL or form.
func escapeValue(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// merged adds the parameters to the endpoint's own query; one of the same name replaces.
func (c *Call) merged(own string, f filling) string {
	var out []string
	for _, text := range strings.Split(own, "&") {
		name, _, _ := strings.Cut(text, "=")
		replaced := slices.ContainsFunc(c.query, func(p parameter) bool { return p.name == plain(name) })
		if text != "" && !replaced {
			out = append(out, text)
		}
	}
	for _, p := range c.query {
		for _, parts := range p.values {
			out = append(out, url.QueryEscape(p.name)+"="+url.QueryEscape(f.text(parts, p.sensitive)))
		}
	}
	return strings.Join(out, "&")
}

// content is the body and its Content-Type; "" for none. A form goes out byte for byte.
func (c *Call) content(f filling) (data []byte, kind string, err error) {
	switch {
	case len(c.body) > 0:
		data, err = f.list(nil, c.body, '{', '}')
		return data, "application/json", err
	case len(c.form) == 0:
		return nil, "", nil
	}
	f.escape = escapeValue
	if f.masked {
		f.escape = nil // it is to be read
	}
	text := f.text(c.form, false)
	switch {
	case !f.masked:
	case c.saysForm() && isForm(text):
		text = maskForm(text)
	default:
		text = auth.NewSecret(text).Masked().Reveal()
	}
	return []byte(text), "application/x-www-form-urlencoded", nil
}

// saysForm reports whether the Content-Type says of bodyForm what its name says.
func (c *Call) saysForm() bool {
	i := slices.IndexFunc(c.headers, func(h header) bool { return strings.EqualFold(h.name, "Content-Type") })
	return i < 0 || strings.Contains(strings.ToLower(filling{}.text(c.headers[i].parts, false)), "x-www-form-urlencoded")
}

// key names all that decides what the call brings.
func (c *Call) key() []string {
	f := filling{written: true}
	parts := []string{c.method, f.text(c.endpoint, false), c.merged("", f)}
	for _, h := range c.headers {
		parts = append(parts, strings.ToLower(h.name), f.text(h.parts, false))
	}
	body, _ := f.list(nil, c.body, '{', '}') // strings of a tree are UTF-8
	return append(parts, "body", string(body), f.text(c.form, false))
}

func (c *Call) secrets() []auth.Secret {
	list := slices.Concat(headerSecrets(c.headers), querySecrets(c.query), memberSecrets(c.body))
	list = append(list, c.formSecrets()...)
	u, err := url.Parse(filling{}.text(c.endpoint, false))
	if err != nil {
		return list
	}
	password, _ := u.User.Password()
	return append(append(list, auth.NewSecret(password)), formSecrets(u.RawQuery)...)
}

func (c *Call) formSecrets() []auth.Secret {
	var list []auth.Secret
	known := c.saysForm() && isForm(filling{}.text(c.form, false))
	for _, p := range c.form {
		if known {
			list = append(list, formSecrets(p.literal.Reveal())...)
		} else {
			list = append(list, p.literal, auth.NewSecret(plain(p.literal.Reveal())))
		}
	}
	return list
}
