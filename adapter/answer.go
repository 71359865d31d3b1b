package adapter

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
	"github.com/keyhitch/keyhitch/entities"
)

// tokenNames are the properties of getToken's response schema that are used.
var tokenNames = [...]string{"token", "tokenp2", "expires", "refreshToken"}

// Read takes token, second token, expiry and refresh token out of an answer: body, header or a
// named cookie, as getToken's response schema says.
func (t *tokenRequest) Read(answer auth.Answer) (auth.Token, error) {
	if !t.success(answer.Status) {
		return auth.Token{}, auth.ErrNoSuccess
	}
	r := reader{t: t, answer: answer}
	token := auth.Token{Values: map[string]auth.Secret{}}
	for _, name := range tokenNames {
		property, ok := t.response.Property(name)
		if !ok {
			continue
		}
		text, err := r.value(name, property)
		if err != nil {
			return auth.Token{}, err
		}
		switch {
		case text == "":
		case name == "expires":
			token.Expiry, _ = auth.ParseExpiry(text, answer.At)
		default:
			token.Values[name] = auth.NewSecret(text)
		}
	}
	return token, nil
}

// success also takes a redirect that is not followed: some systems hand out the token with it.
func (t *tokenRequest) success(status int) bool {
	return status >= 200 && status <= 299 || t.props.Request.NumberRedirects == 0 && status >= 300 && status <= 308
}

// reader reads one token answer; the body is parsed when the first value wants it.
type reader struct {
	t      *tokenRequest
	answer auth.Answer
	parsed bool
	fields map[string]any
	whole  string // the body, where it is no object
}

func (r *reader) value(name string, p entities.Property) (string, error) {
	placement := p.Placement
	if name == "token" && r.t.login.TokenSource != "" {
		placement = r.t.login.TokenSource
	}
	if strings.EqualFold(placement, "HEADER") {
		return r.header(cmp.Or(p.External, name))
	}
	text, err := r.body(name)
	if err == nil && (name == "token" || name == "tokenp2") {
		token, _ := r.t.response.Property("token")
		text = between(text, cmp.Or(p.Front, token.Front), cmp.Or(p.End, token.End))
	}
	return text, err
}

// header reads a header, a cookie (set-cookie.NAME), all cookies (set-cookie) or the Cookie
// header that was sent (requestcookie).
func (r *reader) header(name string) (string, error) {
	cookie, isCookie := cutPrefixFold(name, "set-cookie.")
	switch {
	case isCookie:
		for _, c := range cookies(r.answer.Header) {
			if c.Name == cookie {
				if plain, err := url.PathUnescape(c.Value); err == nil {
					return plain, nil
				}
				return c.Value, nil
			}
		}
		return "", nil
	case strings.EqualFold(name, "set-cookie"):
		var pairs []string
		for _, c := range cookies(r.answer.Header) {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
		return strings.Join(pairs, "; "), nil
	case strings.EqualFold(name, "requestcookie"):
		return r.answer.Cookie, nil
	}
	return r.answer.Header.Get(name), nil
}

// cookies splits Set-Cookie headers without judging the values: sessions hold what they like.
func cookies(h http.Header) []http.Cookie {
	var list []http.Cookie
	for _, line := range h.Values("Set-Cookie") {
		pair, _, _ := strings.Cut(line, ";")
		name, value, ok := strings.Cut(pair, "=")
		if ok {
			list = append(list, http.Cookie{Name: strings.TrimSpace(name), Value: strings.Trim(strings.TrimSpace(value), `"`)})
		}
	}
	return list
}

func (r *reader) body(name string) (string, error) {
	if !r.parsed {
		if err := r.parse(); err != nil {
			return "", err
		}
	}
	if r.fields == nil {
		if name == "token" || name == "tokenp2" {
			return r.whole, nil
		}
		return "", nil
	}
	text, err := scalar(r.fields[name])
	if err != nil {
		return "", fmt.Errorf("%s in the answer %w", name, err)
	}
	return text, nil
}

func (r *reader) parse() error {
	r.parsed = true
	if r.t.answers == entities.PLAIN {
		r.whole = unquoted(string(r.answer.Body))
		return nil
	}
	value, err := entities.Decode(r.t.answers, r.answer.Body)
	if err != nil {
		return fmt.Errorf("the answer is not %s, which getToken promises (Content-Type %q)", r.t.answers, mediaType(r.answer.Header))
	}
	if len(r.t.action.Responses) > 0 {
		value, _ = r.t.action.Responses[0].Selector().Select(value)
	}
	if list, ok := value.([]any); ok && len(list) > 0 {
		value = list[0]
	}
	if text, ok := value.(string); ok {
		r.whole = text
		return nil
	}
	r.fields = r.t.response.Extract(value)
	if r.fields == nil {
		r.fields = map[string]any{}
	}
	return nil
}

// unquoted cuts the quotes of a token that is sent as a JSON text.
func unquoted(body string) string {
	body = strings.TrimSpace(body)
	if len(body) >= 2 && body[0] == '"' && body[len(body)-1] == '"' {
		return body[1 : len(body)-1]
	}
	return body
}

// scalar is the text of a token, number or date. In an object the first member called token,
// depth first, is meant.
func scalar(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return fmt.Sprint(v), nil
	case map[string]any:
		if inner, ok := searchToken(v); ok {
			return scalar(inner)
		}
	}
	return "", errors.New("is neither a text nor a number")
}

func searchToken(object map[string]any) (any, bool) {
	if v, ok := object["token"]; ok {
		return v, true
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if inner, ok := object[name].(map[string]any); ok {
			if v, ok := searchToken(inner); ok {
				return v, true
			}
		}
	}
	return nil, false
}

// between keeps what follows the first front and comes before the next end.
func between(text, front, end string) string {
	if _, after, ok := strings.Cut(text, front); front != "" && ok {
		text = after
	}
	if before, _, ok := strings.Cut(text, end); end != "" && ok {
		text = before
	}
	return text
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}
