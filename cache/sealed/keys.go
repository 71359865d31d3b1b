package sealed

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const (
	keySize = 32
	idSize  = 4
)

// Keys are the seal keys: the first one seals, all of them open. They print as [redacted].
type Keys struct{ all []*key }

type key struct {
	bytes *[keySize]byte // two pointers deep even %s, from outside, shows an address
	id    [idSize]byte   // of the bytes: the same key has the same id everywhere
}

// ParseKeys reads keys separated by commas, each the base64 of 32 bytes as NewKey makes it.
// The URL-safe alphabet and missing padding are fine, and so is space around a key. An error
// says which key is wrong, and shows nothing of it.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	var errs []error
	for i, part := range strings.Split(text, ",") {
		k, err := parseKey(strings.TrimSpace(part))
		if err != nil {
			errs = append(errs, fmt.Errorf("seal key %d: %w", i+1, err))
			continue
		}
		keys.all = append(keys.all, k)
	}
	if len(errs) > 0 {
		return Keys{}, errors.Join(errs...)
	}
	return keys, nil
}

func parseKey(text string) (*key, error) {
	if text == "" {
		return nil, errors.New("is empty; `keyhitch secret key` makes one")
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64") // the decoder's error tells where
	}
	if len(raw) != keySize {
		return nil, fmt.Errorf("is %d bytes, want %d; `keyhitch secret key` makes one", len(raw), keySize)
	}
	id, err := hkdf.Key(sha256.New, raw, nil, "keyhitch seal key id v1", idSize)
	if err != nil {
		return nil, err
	}
	return &key{(*[keySize]byte)(raw), [idSize]byte(id)}, nil
}

// NewKey returns a new random seal key, as text for ParseKeys.
func NewKey() string {
	raw := make([]byte, keySize)
	_, _ = rand.Read(raw) // never fails
	return base64.StdEncoding.EncodeToString(raw)
}

// Derive returns one secret of 32 bytes for each key, in order, for another purpose than
// sealing: names in the cache, for example. It tells nothing of the keys.
func (k Keys) Derive(purpose string) ([][]byte, error) {
	var secrets [][]byte
	for _, key := range k.all {
		secret, err := hkdf.Key(sha256.New, key.bytes[:], nil, "keyhitch derived v1|"+purpose, keySize)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// IsZero reports whether there is no key.
func (k Keys) IsZero() bool { return len(k.all) == 0 }

// String returns [redacted].
func (k Keys) String() string { return "[redacted]" }

// Format prints [redacted] under every verb.
func (k Keys) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// MarshalText returns [redacted].
func (k Keys) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
