// Package cache keeps short-lived bytes by key: access tokens, mostly, sealed by whoever
// stores them. It knows nothing of credentials and imports nothing of ours.
//
//	Config ─ Validate, Open ─▶ Store ─ Get, Set, Delete    every backend; see cachetest.Run
//	                             └ Shared ─ Lease, Watch, Now   what several processes see; RunShared
//	                                         └ Lease ─ Publish, Release, Lost, Generation
//
// A cache may forget anything at any time, so a caller must be able to make the value again.
// What must not be lost (refresh tokens, grants) belongs to an account store, never here.
//
// Backends live in backends/, one folder each; backends.All lists them. Package sealed wraps
// a Store so that whoever reads the backend's memory sees nothing, and whoever writes to it
// achieves nothing but a miss. A Store that holds connections is also an io.Closer.
package cache

import (
	"context"
	"time"
)

// Store keeps bytes by key for a while. All methods are safe for concurrent use. A method
// whose context has ended returns the context's error and changes nothing.
type Store interface {
	// Get returns the value last set for exactly this key, in a slice that belongs to the
	// caller. It returns ErrNotFound when there is none, or when its time is up, and a
	// *RecordError, which is an ErrNotFound too, when there is one that must not be used.
	Get(ctx context.Context, key string) ([]byte, error)

	// Set keeps a copy of value until ttl has passed, in place of what was there. A ttl of
	// zero or less is an error: nothing is kept for ever. After an error the old value, if
	// any, is as it was, unless the error is ErrDown: then nobody knows.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Delete forgets the key. An absent key is not an error. In a Shared store it also
	// outlasts work in flight: what is published under a Lease taken before is refused.
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
	// Lease asks to be the one who makes key's value. It returns a *BusyError, which is an
	// ErrBusy, when another has the lease (wait for its value) and ErrDown when the store
	// cannot be asked (go on alone). The lease is renewed until it is released, published,
	// or lost; when its holder dies it ends by itself, ttl after the last renewal.
	Lease(ctx context.Context, key string, ttl time.Duration) (Lease, error)

	// Watch returns a channel that receives when there is reason to look at key again: a
	// value was published, set or deleted, or a lease was let go. It is listening when it
	// returns, so read after Watch, not before. Signals may be merged, lost or groundless:
	// a waiter also looks when BusyError.Left has passed. A lost connection is made again.
	// The channel closes when ctx ends or the store is closed.
	Watch(ctx context.Context, key string) (<-chan struct{}, error)

	// Now returns the time by the clock that all processes share, for absolute expiries
	// inside values. It is cheap: the store's clock is asked once a minute and carried on by
	// our monotonic clock, so a jump of the machine's clock does not show.
	Now(ctx context.Context) (time.Time, error)
}

// Lease is one maker's turn at one key: one refresh at a time, across processes. It gates
// the start of the work, not its end: who has begun finishes, and publishes however late.
type Lease interface {
	// Generation returns the newest generation that the store knew when the lease was taken,
	// 0 for none. The value now being made is of a later one, and so is everything that the
	// caller has not read since he last saw this number.
	Generation() uint64

	// Publish sets the value, tells those who Watch, and lets the lease go, in one step,
	// whether or not the lease is still held. It changes no value and returns ErrBusy when the
	// store has seen the same or a later generation (somebody was faster, read theirs), and
	// ErrPurged when the key was deleted since the lease was taken. After any other error the
	// lease is held as before: publish again, or release.
	Publish(ctx context.Context, value []byte, generation uint64, ttl time.Duration) error

	// Release lets the lease go without a value. Releasing twice, or after Publish or the
	// loss of the lease, is not an error and never ends another holder's lease.
	Release(ctx context.Context) error

	// Lost returns a channel that closes when the lease is known to be lost: another has it,
	// or its time passed on our own monotonic clock without a renewal. Who has not sent
	// anything yet starts over; who has, finishes.
	Lost() <-chan struct{}
}
