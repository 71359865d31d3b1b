package entities

import "strings"

// queryStyle is how query parameters are written.
type queryStyle struct {
	raw        bool // encode_queryvars false: only what cannot stand in a query is encoded
	valuesOnly bool // query_keys false
}

// queryText writes the fields as query parameters in their order.
func queryText(o Object, style queryStyle) (string, error) {
	var b strings.Builder
	for _, f := range o {
		values, err := queryValues(f.Value, style.raw)
		if err != nil {
			return "", err
		}
		for _, value := range values {
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			if !style.valuesOnly {
				b.WriteString(style.escape(f.Name))
				b.WriteByte('=')
			}
			b.WriteString(style.escape(value))
		}
	}
	return b.String(), nil
}

func (s queryStyle) escape(text string) string {
	if s.raw {
		return escapeIllegal(text, legalInQuery)
	}
	return escapeComponent(text)
}

// queryValues is the texts to write for one name: an array repeats the name, or is one text
// joined with commas when nothing is encoded.
func queryValues(v any, joined bool) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		text, err := scalarText(v)
		return []string{text}, err
	}
	out := make([]string, len(list))
	for i, item := range list {
		text, err := scalarText(item)
		if err != nil {
			return nil, err
		}
		out[i] = text
	}
	if joined && len(out) > 0 {
		out = []string{strings.Join(out, ",")}
	}
	return out, nil
}

const (
	alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	upperHex     = "0123456789ABCDEF"
)

// byteSet is a set of ASCII characters.
type byteSet [128]bool

func newByteSet(chars string) *byteSet {
	set := new(byteSet)
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return set
}

func (s *byteSet) has(c byte) bool { return c < 128 && s[c] }

var (
	// component is the alphabet that JavaScript's encodeURIComponent leaves alone.
	component = newByteSet(alphanumeric + "-_.!~*'()")
	// RFC 3986, sections 3.3 and 3.4; in a query also the brackets and the like that servers are
	// sent unencoded. A blank, #, control characters and non-ASCII text are legal in neither.
	legalInPath  = newByteSet(alphanumeric + "-_.~!$&'()*+,;=:@/")
	legalInQuery = newByteSet(alphanumeric + "-_.~!$&'()*+,;=:@/?[]|{}^`\\")
)

// escapeComponent percent-encodes like encodeURIComponent: a blank is %20.
func escapeComponent(text string) string { return escape(text, component, false) }

// escapeIllegal encodes only what is not in legal; finished %XX triplets stay.
func escapeIllegal(text string, legal *byteSet) string { return escape(text, legal, true) }

func escape(text string, keep *byteSet, triplets bool) string {
	i := 0
	for i < len(text) && keep.has(text[i]) {
		i++
	}
	if i == len(text) {
		return text
	}
	text = strings.ToValidUTF8(text, "\ufffd")
	out := make([]byte, 0, len(text)+16)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case keep.has(c), c == '%' && triplets && isTriplet(text[i:]):
			out = append(out, c)
		default:
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out)
}

func isTriplet(text string) bool {
	return len(text) >= 3 && isHex(text[1]) && isHex(text[2])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
