package memory

import (
	"errors"
	"fmt"

	"github.com/keyhitch/keyhitch/cache"
)

// Config is the memory cache's settings. The zero value is right for most.
type Config struct {
	// MaxEntries is how many entries the cache holds at most; the least recently used one
	// makes room. Default 100,000.
	MaxEntries int `json:"max_entries,omitempty"`

	// MaxBytes is how many bytes of keys and values the cache holds at most. Default 64 MiB.
	MaxBytes int `json:"max_bytes,omitempty"`
}

// Validate implements cache.Config.
func (c *Config) Validate() error {
	return errors.Join(
		notNegative("max_entries", c.MaxEntries),
		notNegative("max_bytes", c.MaxBytes),
	)
}

func notNegative(name string, n int) error {
	if n < 0 {
		return fmt.Errorf("/%s: is %d, want 0 (the default) or more", name, n)
	}
	return nil
}

// Open implements cache.Config.
func (c *Config) Open() (cache.Store, error) {
	return &Store{MaxEntries: c.MaxEntries, MaxBytes: c.MaxBytes}, nil
}
