package custom

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/keyhitch/keyhitch/auth"
)

// scheme is what a text behind a secret's name may show around its expressions: words that say
// what comes, such as «Bearer », «Token token="» or «; SID=».
var scheme = regexp.MustCompile(`^(?:[\s;,&"']*[A-Za-z][A-Za-z0-9_.-]*[\s=]+)*[\s;,&"']*$`)

// literals are the secrets of a text: its fixed parts, and what follows a scheme in them.
func literals(parts []part) []auth.Secret {
	var list []auth.Secret
	for _, p := range parts {
		if len(parts) > 1 && scheme.MatchString(p.literal.Reveal()) {
			continue
		}
		list = append(list, p.literal)
		if _, rest, found := strings.Cut(p.literal.Reveal(), " "); found {
			list = append(list, auth.NewSecret(rest))
		}
	}
	return list
}

func headerSecrets(list []header) []auth.Secret {
	var out []auth.Secret
	for _, h := range list {
		if h.sensitive {
			out = append(out, literals(h.parts)...)
		}
	}
	return out
}

func querySecrets(list []parameter) []auth.Secret {
	var out []auth.Secret
	for _, p := range list {
		for _, parts := range p.values {
			if p.sensitive {
				out = append(out, literals(parts)...)
			}
		}
	}
	return out
}

func memberSecrets(list []member) []auth.Secret {
	var out []auth.Secret
	for _, m := range list {
		if m.value.sensitive && m.value.kind == '"' {
			out = append(out, literals(m.value.parts)...)
		}
		out = append(out, memberSecrets(m.value.members)...)
	}
	return out
}

// formName is a name in a form; a body with other names is no form at all.
var formName = regexp.MustCompile(`^[\w.\-\[\]%+]+$`)

// longestName is how long a name in a form is; longer ones are values.
const longestName = 64

// isForm reports whether a text is a form, and not JSON, a token or padded base64, where nothing
// says which part of it may be seen.
func isForm(text string) bool {
	list := strings.Split(text, "&")
	for _, one := range list {
		name, value, found := strings.Cut(one, "=")
		padding := value == "=" || value == "" && len(list) == 1
		if one != "" && (!found || padding || len(name) > longestName || !formName.MatchString(name)) {
			return false
		}
	}
	return true
}

// pair is one pair of a form, and whether its value must not be seen.
type pair struct {
	name, value string
	secret      bool
}

func pairs(form string) []pair {
	var list []pair
	for _, text := range strings.Split(form, "&") {
		name, value, found := strings.Cut(text, "=")
		if !found {
			name, value = "", text
		}
		list = append(list, pair{name, value, !formName.MatchString(name) || auth.SensitiveName(plain(name))})
	}
	return list
}

// plain is the text that was encoded for a form.
func plain(text string) string {
	if out, err := url.QueryUnescape(text); err == nil {
		return out
	}
	return text
}

func formSecrets(form string) []auth.Secret {
	var list []auth.Secret
	for _, p := range pairs(form) {
		if p.secret {
			list = append(list, auth.NewSecret(p.value), auth.NewSecret(plain(p.value)))
		}
	}
	return list
}

// standInOnly is a value that is nothing but what an answer brings.
var standInOnly = regexp.MustCompile(`^(?:\{[.$][^}]*\}|%7B[^}&]*%7D)$`)

// maskForm hides the values of a form or query that must not be seen.
func maskForm(form string) string {
	var out []string
	for _, p := range pairs(form) {
		text := p.value
		if p.secret && !standInOnly.MatchString(text) {
			text = auth.NewSecret(text).Masked().Reveal()
		}
		if p.name != "" {
			text = p.name + "=" + text
		}
		out = append(out, text)
	}
	return strings.Join(out, "&")
}
