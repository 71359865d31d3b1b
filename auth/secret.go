package auth

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Secret is a credential. It prints as [redacted] under every fmt verb, in JSON and in slog,
// and holds a pointer, so that reflection into an unexported field shows an address only.
// The zero value is the absent secret. Two Secrets never compare equal with ==; that is wanted.
type Secret struct {
	_       [0]func() // not comparable: nobody compares secrets in variable time
	p       *string
	standIn bool // the text only stands in for the value: Unknown, Masked
}

const redacted = "[redacted]"

// NewSecret wraps text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{p: &text}
}

// Unknown stands in for a value that only an answer can bring, in a plan: it reads {name}.
func Unknown(name string) Secret {
	text := "{" + name + "}"
	return Secret{p: &text, standIn: true}
}

// Masked returns a stand-in that reads [redacted], or the absent secret for the absent secret.
func (s Secret) Masked() Secret {
	if s.IsZero() {
		return s
	}
	text := redacted
	return Secret{p: &text, standIn: true}
}

// MaskedUnless returns s itself when reveal is set, else its mask.
func (s Secret) MaskedUnless(reveal bool) Secret {
	if reveal {
		return s
	}
	return s.Masked()
}

// Reveal returns the text. It belongs in Apply and at the token endpoint, nowhere else.
func (s Secret) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// IsZero reports whether the secret is absent (empty).
func (s Secret) IsZero() bool { return s.p == nil }

// String returns [redacted], or nothing for the absent secret.
func (s Secret) String() string {
	if s.p == nil {
		return ""
	}
	return redacted
}

// Format prints [redacted] under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// GoString returns [redacted].
func (s Secret) GoString() string { return s.String() }

// LogValue returns [redacted] to slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes "[redacted]"; a Secret is never stored by way of JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText writes [redacted], for encoders that ask for text (map keys, YAML, XML).
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalJSON reads a JSON string. Its error never shows what was there instead.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var text *string
	if json.Unmarshal(data, &text) != nil {
		return fmt.Errorf("want a string")
	}
	*s = Secret{}
	if text != nil {
		*s = NewSecret(*text)
	}
	return nil
}
