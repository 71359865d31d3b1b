// Package cache keeps short-lived bytes by key: access tokens, mostly, sealed by whoever
// stores them. It knows nothing of credentials and imports nothing of ours.
//
//	Config ─ Validate, Open ─▶ Store ─ Get, Set, Delete   every backend; see cachetest
//	                             └ Shared ─ Lease, Watch   backends that several processes see
//
// A cache may forget anything at any time, so a caller must be able to make the value again.
// What must not be lost (refresh tokens, grants) belongs to an account store, never here.
//
// Backends live in backends/, one folder each; backends.All lists them.
package cache

import (
	"context"
	"errors"
	"time"
)

// Store keeps bytes by key for a while. All methods are safe for concurrent use. A method
// whose context has ended returns the context's error and changes nothing.
type Store interface {
	// Get returns the value last set for exactly this key, in a slice that belongs to the
	// caller. It returns ErrNotFound when there is none, or when its time is up.
	Get(ctx context.Context, key string) ([]byte, error)

	// Set keeps a copy of value until ttl has passed, in place of what was there. A ttl of
	// zero or less is an error: nothing is kept for ever. After an error the old value, if
	// any, is as it was, unless the error is ErrDown: then nobody knows.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Delete forgets the key. An absent key is not an error.
	Delete(ctx context.Context, key string) error
}

// Config is a backend's decoded settings. It is not changed after Validate.
type Config interface {
	// Validate reports every problem, joined. It makes no calls.
	Validate() error

	// Open makes the Store. A store on the network is dialled when it is first used, so
	// that a cache that is down does not keep the program from starting.
	Open() (Store, error)
}

// Shared is what a Store also implements when several processes see the same values: it
// lets one of them make a value while the others wait for it.
type Shared interface {
	// Lease asks to be the one who makes key's value. It returns ErrBusy when another has
	// the lease (wait for its value) and ErrDown when the store cannot be asked (go on
	// alone). A lease not released ends by itself when ttl has passed.
	Lease(ctx context.Context, key string, ttl time.Duration) (Lease, error)

	// Watch returns a channel that receives when a value was published for key. Signals may
	// be merged or lost, so a waiter reads again from time to time. The channel closes when
	// ctx ends or the connection is lost.
	Watch(ctx context.Context, key string) (<-chan struct{}, error)
}

// Lease is one maker's turn at one key: one refresh at a time, across processes. It gates
// the start of the work, not its end: who has begun finishes, and publishes however late.
type Lease interface {
	// Publish sets the value, tells those who Watch, and lets the lease go, in one step. It
	// returns ErrBusy and changes nothing when the key already has a value of the same or a
	// later generation: somebody was faster, read theirs.
	Publish(ctx context.Context, value []byte, generation uint64, ttl time.Duration) error

	// Release lets the lease go without a value. Releasing twice, or after Publish or the
	// loss of the lease, is not an error and never ends another holder's lease.
	Release(ctx context.Context) error

	// Lost returns a channel that closes when the lease is known to be lost.
	Lost() <-chan struct{}
}

// The errors that a caller acts on; compare with errors.Is.
var (
	// ErrNotFound says that the store holds no value for the key.
	ErrNotFound = errors.New("not in the cache")

	// ErrBusy says that another holds the lease, or has published before us. The store is
	// well: wait for the other's value.
	ErrBusy = errors.New("another process is at it")

	// ErrDown says that the store could not be asked. The caller goes on without it.
	ErrDown = errors.New("cache is down")
)
