package cache

import (
	"errors"
	"time"
)

// The errors that a caller acts on; compare with errors.Is.
var (
	// ErrNotFound says that the store holds no value for the key.
	ErrNotFound = errors.New("not in the cache")

	// ErrBusy says that another holds the lease, or has published before us. The store is
	// well: wait for the other's value.
	ErrBusy = errors.New("another process is at it")

	// ErrPurged says that the key was deleted while its next value was being made: the value
	// was not stored, and whoever wants one starts over.
	ErrPurged = errors.New("deleted while the value was being made")

	// ErrDown says that the store could not be asked. The caller goes on without it.
	ErrDown = errors.New("cache is down")
)

// BusyError is the ErrBusy of Shared.Lease. It says how long the present lease has left; its
// holder may renew it.
type BusyError struct{ Left time.Duration }

// Error implements error.
func (e *BusyError) Error() string { return ErrBusy.Error() }

// Unwrap returns ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }

// RecordError is an ErrNotFound with something to log: the store has a record for the key,
// and will not hand it out, because it was altered, or is another's, or too large. The next
// value takes its place.
type RecordError struct{ Reason string }

// Error implements error.
func (e *RecordError) Error() string { return "cached record ignored: " + e.Reason }

// Unwrap returns ErrNotFound.
func (e *RecordError) Unwrap() error { return ErrNotFound }
