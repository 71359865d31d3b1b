package auth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Keyer makes cache keys and fingerprints with a keyed hash, so that neither tells anything
// about a password to somebody who has only the cache or the log.
type Keyer struct {
	key   []byte
	older []*Keyer
}

// NewKeyer derives the hash key from the seal key (HKDF-SHA256, RFC 5869). Without one the key
// is random: names are then good within this process only. Older seal keys, of which there are
// some while keys are rotated, give names that are still read.
func NewKeyer(sealKey []byte, older ...[]byte) (*Keyer, error) {
	if len(sealKey) == 0 {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails (crypto/rand)
		return &Keyer{key: key}, nil
	}
	key, err := hkdf.Key(sha256.New, sealKey, nil, "keyhitch cache key v1", 32)
	if err != nil {
		return nil, fmt.Errorf("cache key: %w", err)
	}
	k := &Keyer{key: key}
	for _, old := range older {
		o, err := NewKeyer(old)
		if err != nil {
			return nil, err
		}
		k.older = append(k.older, o)
	}
	return k, nil
}

// OlderKeys names the same credential as CacheKey does, by the older seal keys.
func (k *Keyer) OlderKeys(parts ...string) []string {
	var names []string
	for _, o := range k.older {
		names = append(names, o.CacheKey(parts...))
	}
	return names
}

// CacheKey names the credential that the parts decide. The parts are ordered and
// length-prefixed: ("ab", "c") and ("a", "bc") differ.
func (k *Keyer) CacheKey(parts ...string) string {
	return hex.EncodeToString(k.sum(parts...))
}

// Fingerprint is a short name for a secret, to tell two apart without showing either.
func (k *Keyer) Fingerprint(s Secret) string {
	if k == nil || s.IsZero() {
		return ""
	}
	return hex.EncodeToString(k.sum("fingerprint", s.Reveal())[:4])
}

func (k *Keyer) sum(parts ...string) []byte {
	mac := hmac.New(sha256.New, k.key)
	var size [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}
