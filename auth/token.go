package auth

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// Value returns the named value, or the absent secret.
func (t Token) Value(name string) Secret { return t.Values[name] }

// ValidAt reports whether t can be used at now and for early longer.
func (t Token) ValidAt(now time.Time, early time.Duration) bool {
	return t.Expiry.IsZero() || now.Add(early).Before(t.Expiry)
}

// refreshToken stays in the process: a cache may forget, and a refresh token must not be lost.
const refreshToken = "refreshToken"

// identity is what tells two tokens apart: the token itself, or all values of one that has other names.
func (t Token) identity() Secret {
	if token := t.Value("token"); !token.IsZero() {
		return token
	}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.Values)) {
		if name != refreshToken {
			all.WriteString(name + "\x00" + t.Values[name].Reveal() + "\x00")
		}
	}
	return NewSecret(all.String())
}

// same reports whether two tokens would be sent alike; one may come from a cache, without its
// refresh token.
func (t Token) same(other Token) bool {
	return t.covers(other) && other.covers(t)
}

func (t Token) covers(other Token) bool {
	for name, value := range other.Values {
		if name != refreshToken && value.Reveal() != t.Values[name].Reveal() {
			return false
		}
	}
	return true
}

// record is how a token lies in a cache.Store. Expiry and Obtained are Unix milliseconds; values
// are bytes, because a header may hold what is no UTF-8.
type record struct {
	Values     map[string][]byte `json:"values"`
	Obtained   int64             `json:"obtained"`
	Expiry     int64             `json:"expiry,omitempty"`
	Generation uint64            `json:"generation"`
	By         string            `json:"by,omitempty"`
}

func encodeToken(t Token) ([]byte, error) {
	r := record{Values: make(map[string][]byte, len(t.Values)), Obtained: t.Obtained.UnixMilli(), Generation: t.Generation, By: t.by}
	for name, value := range t.Values {
		if name != refreshToken {
			r.Values[name] = []byte(value.Reveal())
		}
	}
	if !t.Expiry.IsZero() {
		r.Expiry = t.Expiry.UnixMilli()
	}
	return json.Marshal(r)
}

var errBadRecord = errors.New("the cached token is not one of ours")

// decodeToken reads a record; whatever is odd about it makes it no token at all.
func decodeToken(data []byte) (Token, error) {
	var r record
	if len(data) > tokenBytes || json.Unmarshal(data, &r) != nil {
		return Token{}, errBadRecord
	}
	t := Token{Values: make(map[string]Secret, len(r.Values)), Obtained: time.UnixMilli(r.Obtained), Generation: r.Generation, by: processName(r.By)}
	for name, value := range r.Values {
		if len(value) > 0 {
			t.Values[name] = NewSecret(string(value))
		}
	}
	if len(t.Values) == 0 {
		return Token{}, errBadRecord
	}
	if r.Expiry > (latest+24*60*60)*1000 { // by a clock a little ahead
		return Token{}, errBadRecord
	}
	if r.Expiry != 0 {
		t.Expiry = time.UnixMilli(r.Expiry)
	}
	return t, t.check()
}

// processName is what may be printed of a name that a cache brought.
func processName(text string) string {
	if len(text) > 100 || strings.ContainsFunc(text, func(r rune) bool { return r < '!' || r > '~' }) {
		return ""
	}
	return text
}

// tokenBytes bounds all values of a token together: no header could carry more.
const tokenBytes = 256 << 10

// check refuses what no request may carry: control characters would split headers.
func (t Token) check() error {
	size := 0
	for name, value := range t.Values {
		text := value.Reveal()
		size += len(text)
		if strings.ContainsAny(text, "\r\n\x00") {
			return errors.New(name + " holds a line break or NUL and cannot be sent")
		}
	}
	if size > tokenBytes {
		return errors.New("the token is larger than 256 KiB")
	}
	return nil
}
