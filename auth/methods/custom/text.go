package custom

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/keyhitch/keyhitch/auth"
)

// Fault is what is wrong at one place of a call or of a template.
type Fault struct {
	Pointer string // JSON Pointer from the call or template on
	Place   string // the same in the words of its users: headers.Authorization, body.list[1]
	Reason  string // holds no value
}

// place is where something stands.
type place struct{ pointer, words string }

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

func (p place) member(name string) place {
	words := name
	if p.words != "" {
		words = p.words + "." + name
	}
	return place{p.pointer + "/" + escapePointer.Replace(name), words}
}

func (p place) item(i int) place {
	n := strconv.Itoa(i)
	return place{p.pointer + "/" + n, p.words + "[" + n + "]"}
}

// part is literal text or an expression.
type part struct {
	literal auth.Secret
	expr    *Expression
}

// spot is a text with expressions, and where it stands.
type spot struct {
	words     string
	parts     []part
	sensitive bool
}

// compiler makes parts of texts and collects what they use and what is wrong with them.
type compiler struct {
	literal bool // braces mean nothing
	host    bool // Host may be set
	spots   []spot
	faults  []Fault
}

func (c *compiler) fault(at place, format string, args ...any) {
	c.faults = append(c.faults, Fault{at.pointer, at.words, fmt.Sprintf(format, args...)})
}

var (
	expressions = regexp.MustCompile(`\{\{(\.[^}]+|\$(?:answers|headers|cookies)\b[^}]*)\}\}`)
	plainWord   = regexp.MustCompile(`^\{\{ ?\.?([A-Za-z_][A-Za-z0-9_.]{0,40}) ?\}\}`)
)

// text takes a text apart.
func (c *compiler) text(text string, at place, sensitive bool) []part {
	var parts []part
	add := func(text string) {
		if text != "" {
			parts = append(parts, part{literal: auth.NewSecret(text)})
		}
	}
	if c.literal {
		add(text)
		return parts
	}
	end := 0
	for _, m := range expressions.FindAllStringSubmatchIndex(text, -1) {
		c.braces(text, end, m[0], at)
		add(text[end:m[0]])
		end = m[1]
		expr, err := compile(program(text[m[2]:m[3]]))
		if err != nil {
			c.fault(at, "the expression at character %d %v", character(text, m[0]), err)
			continue
		}
		parts = append(parts, part{expr: expr})
	}
	c.braces(text, end, len(text), at)
	add(text[end:])
	if end > 0 {
		c.spots = append(c.spots, spot{at.words, parts, sensitive})
	}
	return parts
}

// program is the jq program of what stands in the braces: there, a second dot begins the path.
func program(text string) string {
	if strings.HasPrefix(text, "..") {
		return text[1:]
	}
	return text
}

// character counts as people do.
func character(text string, offset int) int { return utf8.RuneCountInString(text[:offset]) + 1 }

// braces refuses a {{ between two offsets, where no expression is. What stands in it is shown only
// where it is one plain word that lacks its dot.
func (c *compiler) braces(text string, from, to int, at place) {
	open := strings.Index(text[from:to], "{{")
	if open < 0 {
		return
	}
	rest, n := text[from+open:], character(text, from+open)
	if m := plainWord.FindStringSubmatch(rest); m != nil {
		c.fault(at, "%s at character %d is no expression; write {{.%s}}", m[0], n, m[1])
		return
	}
	switch closed := strings.Index(rest, "}}"); {
	case closed < 0:
		c.fault(at, "the {{ at character %d is not closed", n)
	case strings.Contains(rest[:closed], "}"):
		c.fault(at, "the {{ at character %d begins an expression with a } in it, which none can have", n)
	default:
		c.fault(at, "the {{…}} at character %d is no expression; write {{.path}}, with the dot right after the braces", n)
	}
}

// header is a header and its text.
type header struct {
	name      string
	parts     []part
	sensitive bool
}

// framing headers decide where a message ends or where it goes.
var framing = map[string]bool{
	"host": true, "content-length": true, "transfer-encoding": true, "connection": true, "trailer": true,
	"te": true, "upgrade": true, "keep-alive": true, "proxy-connection": true,
}

func (c *compiler) headers(written map[string]auth.Secret, at place) []header {
	var list []header
	seen := map[string]bool{}
	for _, name := range sortedNames(written) {
		at, text, lower := at.member(name), written[name].Reveal(), strings.ToLower(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			c.fault(at, "is no header name")
		case framing[lower] && (lower != "host" || !c.host):
			c.fault(at, "belongs to the connection and cannot be set here")
		case seen[lower]:
			c.fault(at, "is the same header twice; its name is read without case")
		case !httpguts.ValidHeaderFieldValue(text):
			c.fault(at, "holds a line break or another control character")
		}
		seen[lower] = true
		sensitive := auth.SensitiveName(name)
		parts := c.text(text, at, sensitive)
		if lower == "host" && slices.ContainsFunc(parts, func(p part) bool { return p.expr != nil }) {
			c.fault(at, "says where the call goes, which no answer may choose; write it out")
		}
		list = append(list, header{name, parts, sensitive})
	}
	return list
}
