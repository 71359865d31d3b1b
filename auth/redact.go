package auth

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	redactFrom  = 4        // shorter values would blot out ordinary words
	redactMost  = 4096     // secrets of each kind that are remembered; the oldest leaves
	redactBytes = 64 << 10 // of one secret
	redactRoom  = 16 << 20 // bytes of all forms of each kind
)

// words are values that mean nothing by themselves, even behind a name that says secret.
var words = []string{"true", "false", "null", "none"}

// Redactor takes secrets out of text by value: as they are, and in base64, base64url, hex,
// URL-encoded and JSON-escaped form. It is the last line of defence behind the Secret type.
// The zero value is ready to use; a nil Redactor learns nothing and changes nothing.
type Redactor struct {
	mu      sync.RWMutex
	known   map[string]*remembered
	kept    remembered        // settings
	passing remembered        // tokens: however many come, they push out no setting
	heads   map[head][]string // every form of every secret by its first bytes, the longest first
}

// remembered are secrets of one kind, the oldest first.
type remembered struct {
	order []string
	bytes int // of all their forms
}

type head [redactFrom]byte

// Learn remembers secrets of the settings; short and absent ones are passed over.
func (r *Redactor) Learn(secrets ...Secret) {
	if r != nil {
		r.learn(&r.kept, secrets)
	}
}

// learnTokens remembers secrets that come and go.
func (r *Redactor) learnTokens(secrets ...Secret) {
	if r != nil {
		r.learn(&r.passing, secrets)
	}
}

func (r *Redactor) learn(kind *remembered, secrets []Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known, r.heads = map[string]*remembered{}, map[head][]string{}
	}
	for _, s := range secrets {
		text := s.Reveal()
		if s.standIn || len(text) < redactFrom || len(text) > redactBytes || slices.Contains(words, text) {
			continue
		}
		switch r.known[text] {
		case kind, &r.kept:
			continue
		case &r.passing:
			r.forget(slices.Index(r.passing.order, text), &r.passing)
		}
		r.known[text] = kind
		kind.order = append(kind.order, text)
		for _, form := range forms(text) {
			h := head([]byte(form[:redactFrom]))
			at, _ := slices.BinarySearchFunc(r.heads[h], form, longestFirst)
			r.heads[h] = slices.Insert(r.heads[h], at, form)
			kind.bytes += len(form)
		}
		for len(kind.order) > redactMost || kind.bytes > redactRoom {
			r.forget(0, kind)
		}
	}
}

// forget drops the secret at index i of its kind.
func (r *Redactor) forget(i int, kind *remembered) {
	secret := kind.order[i]
	kind.order = slices.Delete(kind.order, i, i+1)
	delete(r.known, secret)
	for _, form := range forms(secret) {
		kind.bytes -= len(form)
		h := head([]byte(form[:redactFrom]))
		at, found := slices.BinarySearchFunc(r.heads[h], form, longestFirst)
		if !found {
			continue
		}
		if r.heads[h] = slices.Delete(r.heads[h], at, at+1); len(r.heads[h]) == 0 {
			delete(r.heads, h)
		}
	}
}

// longestFirst makes the whole of a secret go before one that it begins with.
func longestFirst(a, b string) int {
	if len(a) != len(b) {
		return len(b) - len(a)
	}
	return strings.Compare(a, b)
}

// Scrub returns text with every known secret replaced by [redacted].
func (r *Redactor) Scrub(text string) string {
	if r == nil {
		return text
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out strings.Builder
	kept := 0 // everything before it is written
	for i := 0; i+redactFrom <= len(text); {
		size := r.formAt(text[i:])
		if size == 0 {
			i++
			continue
		}
		out.WriteString(text[kept:i])
		out.WriteString(redacted)
		i += size
		kept = i
	}
	if kept == 0 {
		return text
	}
	out.WriteString(text[kept:])
	return out.String()
}

func (r *Redactor) formAt(text string) int {
	for _, form := range r.heads[head([]byte(text[:redactFrom]))] {
		if strings.HasPrefix(text, form) {
			return len(form)
		}
	}
	return 0
}

// forms lists how a secret may stand in a text, each form once.
func forms(secret string) []string {
	inHex := hex.EncodeToString([]byte(secret))
	list := append(base64Forms(secret), secret, inHex, strings.ToUpper(inHex))
	escaped, _ := json.Marshal(secret) // a string always can be
	for _, quoted := range []string{string(escaped), strconv.Quote(secret)} {
		list = append(list, quoted[1:len(quoted)-1])
	}
	query := url.QueryEscape(secret)
	for _, e := range []string{query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(secret),
		escapeComponent(secret), EscapeIllegal(secret, "?/")} {
		list = append(list, e, lowerEscapes(e))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// base64Forms are of the secret alone, and of a longer text that holds it: that depends on where
// it begins there, so all three alignments are listed, less their ragged ends.
func base64Forms(secret string) []string {
	list := []string{base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret))}
	for shift := range 3 {
		padded := strings.Repeat("\x00", shift) + secret
		std := base64.RawStdEncoding.EncodeToString([]byte(padded))
		std = std[(shift*8+5)/6:]
		if len(padded)%3 != 0 {
			std = std[:len(std)-1]
		}
		if len(std) >= redactFrom {
			list = append(list, std, strings.NewReplacer("+", "-", "/", "_").Replace(std))
		}
	}
	return list
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	out := []byte(s)
	for i := range out {
		if isEscape(s[i:]) {
			copy(out[i:], strings.ToLower(s[i:i+3]))
		}
	}
	return string(out)
}

// sensitive words make a header, member or parameter name one whose value is not shown.
var sensitive = []string{"authorization", "cookie", "token", "secret", "password", "passwd", "passphrase", "passcode", "api-key", "apikey",
	"api_key", "session", "csrf", "credential", "signature", "assertion", "code_verifier"}

// sensitiveAlone say so only where they are the whole name.
var sensitiveAlone = []string{"sig", "key", "code", "dpop", "pin", "private"}

// sensitiveLast say so where they are the last word of a name: userPw, login_pass.
var sensitiveLast = []string{"pw", "pwd", "pass", "jwt", "otp", "bearer"}

// A name that ends with the word key holds one, unless a word before it says which other kind.
var (
	ordinaryKeys = []string{"public", "sort", "primary", "foreign", "partition", "row", "group", "order", "cache", "object", "idempotency"}
	joinedKeys   = []string{"accesskey", "authkey", "privatekey", "sharedkey", "signingkey", "masterkey", "encryptionkey", "subscriptionkey",
		"clientkey", "appkey", "userkey", "licensekey"} // written in one
)

// SensitiveName reports whether the value behind a name is probably a secret.
func SensitiveName(name string) bool {
	lower := strings.ToLower(name)
	for _, word := range sensitive {
		if strings.Contains(lower, word) {
			return true
		}
	}
	before, last := lastWord(name)
	switch {
	case slices.Contains(sensitiveAlone, lower), slices.Contains(sensitiveLast, last), slices.Contains(joinedKeys, last):
		return true
	case last != "key" || before == "":
		return false
	}
	_, kind := lastWord(before)
	return !slices.Contains(ordinaryKeys, kind)
}

// lastWord cuts the last word off a name, where words begin with a capital or after -, _ or a dot.
func lastWord(name string) (before, last string) {
	name = strings.TrimRight(name, "-_.] ")
	at := strings.LastIndexAny(name, "-_.[ ") + 1
	for i := len(name) - 1; i > at; i-- {
		if isUpper(name[i]) && !isUpper(name[i-1]) {
			at = i
			break
		}
	}
	return name[:at], strings.ToLower(name[at:])
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
