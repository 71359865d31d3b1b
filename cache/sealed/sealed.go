// Package sealed wraps a cache.Store so that values leave the process encrypted: whoever
// reads the store's memory, disk or wire learns nothing but sizes, and whoever writes to it
// achieves nothing but a miss.
//
//	value ─ Set, Publish ─▶ seal ─▶ record ─▶ Store
//	value ◀─ Get ◀─ open ◀─ record ◀─ Store
//	             └▶ *cache.RecordError, an ErrNotFound: altered, another key's, unknown key id, …
//
//	record   version (1 byte) | key id (4) | nonce (12) | ciphertext | tag (16)
//	data key HKDF-SHA256(seal key, "keyhitch cache seal v1" | name)
//	also authenticated: version, key id and name
//
// The cipher is AES-256-GCM of the standard library, which needs no dependency and runs on
// the processor's own instructions. Its weakness is the short random nonce: 2^32 records
// under one key are the limit. So each name in the cache has a data key of its own, derived
// from the seal key, and the limit counts writes of one token, not of the fleet; it is out of
// reach. XChaCha20-Poly1305 would get there by a longer nonce and one more module.
//
// Several seal keys may be given: the first one seals, all of them open. To rotate, put a new
// key in front, everywhere; drop the old one when the last record's time is up.
package sealed

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"github.com/keyhitch/keyhitch/cache"
)

const (
	version = 1

	// MaxValue is the largest value that is sealed.
	MaxValue = 1 << 20

	header   = 1 + idSize
	overhead = header + 12 + 16 // nonce and tag
)

// store is a cache.Store whose values are sealed.
type store struct {
	inner cache.Store
	keys  Keys
}

// sharedStore is the same when the inner one is a cache.Shared.
type sharedStore struct {
	store
	cache.Shared // Watch and Now pass through
}

// lease seals what is published.
type lease struct {
	cache.Lease
	keys Keys
	name string
}

// New returns a Store that keeps its values in inner, sealed with the first of keys. It is a
// cache.Shared if inner is, and an io.Closer that closes inner.
//
// A record that does not open is a *cache.RecordError: no value, and something to log. A
// value of more than MaxValue is an error.
func New(inner cache.Store, keys Keys) cache.Store {
	if len(keys.all) == 0 {
		panic("sealed.New without a key; ParseKeys returns them")
	}
	s := store{inner, keys}
	if shared, ok := inner.(cache.Shared); ok {
		return &sharedStore{s, shared}
	}
	return &s
}

// Get implements cache.Store.
func (s *store) Get(ctx context.Context, name string) ([]byte, error) {
	record, err := s.inner.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.keys.open(name, record)
}

// Set implements cache.Store.
func (s *store) Set(ctx context.Context, name string, value []byte, ttl time.Duration) error {
	record, err := s.keys.seal(name, value)
	if err != nil {
		return err
	}
	return s.inner.Set(ctx, name, record, ttl)
}

// Delete implements cache.Store.
func (s *store) Delete(ctx context.Context, name string) error { return s.inner.Delete(ctx, name) }

// Close closes the inner store, if that can be closed.
func (s *store) Close() error {
	if c, ok := s.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Lease implements cache.Shared.
func (s *sharedStore) Lease(ctx context.Context, name string, ttl time.Duration) (cache.Lease, error) {
	l, err := s.Shared.Lease(ctx, name, ttl)
	if err != nil {
		return nil, err
	}
	return &lease{l, s.keys, name}, nil
}

// Publish implements cache.Lease.
func (l *lease) Publish(ctx context.Context, value []byte, generation uint64, ttl time.Duration) error {
	record, err := l.keys.seal(l.name, value)
	if err != nil {
		return err
	}
	return l.Lease.Publish(ctx, record, generation, ttl)
}

// seal makes the record of a value that is kept under name.
func (k Keys) seal(name string, value []byte) ([]byte, error) {
	if len(value) > MaxValue {
		return nil, fmt.Errorf("value of %d bytes exceeds the limit of %d", len(value), MaxValue)
	}
	first := k.all[0]
	aead, err := first.dataKey(name)
	if err != nil {
		return nil, err
	}
	record := make([]byte, 0, len(value)+overhead)
	record = append(append(record, version), first.id[:]...)
	return aead.Seal(record, nil, value, associated(record, name)), nil
}

// open returns the value that was sealed for name, or a *cache.RecordError.
func (k Keys) open(name string, record []byte) ([]byte, error) {
	switch {
	case len(record) < overhead:
		return nil, bad("is too short")
	case len(record) > MaxValue+overhead:
		return nil, bad("is too large")
	case record[0] != version:
		return nil, bad("has an unknown version; was it written without a seal?")
	}
	known := false
	for _, key := range k.all { // ids are short: two keys may share one
		if [idSize]byte(record[1:header]) != key.id {
			continue
		}
		known = true
		aead, err := key.dataKey(name)
		if err != nil {
			return nil, err
		}
		if value, err := aead.Open(nil, nil, record[header:], associated(record[:header], name)); err == nil {
			return value, nil
		}
	}
	if !known {
		return nil, bad("is sealed with a key that is not here")
	}
	return nil, bad("does not open: it was altered, or is another key's")
}

func bad(reason string) error { return &cache.RecordError{Reason: reason} }

// dataKey returns the cipher for what is kept under name.
func (k *key) dataKey(name string) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.bytes[:], nil, "keyhitch cache seal v1|"+name, len(k.bytes))
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// associated is what a record is bound to besides its key.
func associated(header []byte, name string) []byte {
	return append(append(make([]byte, 0, len(header)+len(name)), header...), name...)
}
