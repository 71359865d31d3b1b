// Package redis is the cache that several processes share: a Redis, alone, behind Sentinels,
// or as a Cluster. It is the second tier: a caller keeps what he read in his own memory and
// asks again only when that runs out.
//
//	URL ─ Config ─ Open ─▶ Store ─ ask ─▶ breaker ─▶ go-redis     every question, each bounded
//	                         ├ Get, Set, Delete                   redis.go
//	                         ├ Lease ─▶ lease ─ keep              lease.go: renewed by a goroutine
//	                         ├ Watch ─▶ listener ─ topics         watch.go: one connection for all
//	                         └ Now ─▶ clock                       clock.go: TIME, once a minute
//
// For each key there are three names in Redis, and a channel. The braces make a Cluster keep
// the names of one key together, so that one script reaches them all (scripts.go):
//
//	keyhitch:{<key>}:token      the digit 1 and the value; with its time to live
//	keyhitch:{<key>}:lease      the lease holder's random name
//	keyhitch:{<key>}:state      «<generation> <epoch>» of what was last written or purged
//	keyhitch:{<key>}:changes    the channel that Watch listens to
//
// The generation is the compare in the compare-and-swap: a value is published only if its
// generation is later than the one in the state. The state outlives the value, so numbers do
// not start over when a value expires. Numbers alone cannot keep a purge from being undone:
// after Redis lost its memory, a process may bring a number from before that beats any. So a
// purge also writes a new random epoch. A lease remembers the epoch that it began in, and
// what it publishes in a later one is refused, whatever its number. When Redis has lost the
// state altogether, anything may be published: the highest generation wins.
//
// Redis being lost is no reason to wait: dialling takes 500 ms at most, a command 250 ms, and
// after a failure nobody asks for 100 ms, doubling to 1.5 s; then one does. Whatever means
// «cannot be asked» is a cache.ErrDown, with the place and the cause in its text, and never
// the password or a value.
//
// An ACL user needs no more than this:
//
//	~keyhitch:* &keyhitch:* +@read +@write +@scripting +@pubsub +@connection +time
package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/keyhitch/keyhitch/cache"
)

const (
	// maxValue is the largest value that we store or read. Reading stops there in Redis
	// itself (GETRANGE): no record that somebody else wrote makes us read for long.
	maxValue = 2 << 20

	// mark begins every stored value. GETRANGE does not tell an empty one from none.
	mark = '1'

	// maxGeneration is the largest number that Lua counts exactly, and then some room.
	maxGeneration = 1 << 52

	// memory is how long a key's generation and epoch are remembered after the last write, if
	// the value does not live longer. No work in flight takes as long.
	memory = 24 * time.Hour
)

// Store is a cache.Store and a cache.Shared in Redis; Config.Open makes one.
type Store struct {
	client   goredis.UniversalClient
	where    string // never with the password
	prefix   string
	patience time.Duration // with one question, retries and all
	breaker  breaker
	clock    clock
	listener listener
	closing  context.Context
	close    context.CancelFunc
}

var _ cache.Shared = (*Store)(nil)

func newStore(client goredis.UniversalClient, prefix string, t target) *Store {
	s := &Store{client: client, where: t.String(), prefix: prefix, patience: t.dialTimeout + 2*t.timeout}
	s.breaker.now = time.Now
	s.listener.client = client
	s.closing, s.close = context.WithCancel(context.Background())
	return s
}

// Get implements cache.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	var record string
	foreign := false
	err := s.ask(ctx, func(ctx context.Context) (err error) {
		record, err = s.client.GetRange(ctx, s.name(key, "token"), 0, maxValue+1).Result()
		if foreign = answerCode(err) == "WRONGTYPE"; foreign {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case foreign:
		return nil, &cache.RecordError{Reason: "is not text"}
	case record == "":
		return nil, cache.ErrNotFound
	case record[0] != mark:
		return nil, &cache.RecordError{Reason: "was not written by us"}
	case len(record) > maxValue+1:
		return nil, &cache.RecordError{Reason: fmt.Sprintf("is longer than %d bytes", maxValue)}
	}
	return []byte(record[1:]), nil
}

// Set implements cache.Store. It counts as one more generation. A value of more than 2 MiB
// is an error.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := check(value, ttl); err != nil {
		return err
	}
	keys := []string{s.name(key, "token"), s.name(key, "state")}
	return s.run(ctx, setScript, keys, nil, marked(value), millis(ttl), millis(max(ttl, memory)), s.name(key, "changes"))
}

// Delete implements cache.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	keys := []string{s.name(key, "token"), s.name(key, "state")}
	return s.run(ctx, deleteScript, keys, nil, random(), millis(memory), s.name(key, "changes"))
}

// Close ends all connections, watches and renewals, and makes every later question an
// ErrDown. Leases that are still held are lost, and end in Redis when their time is up.
func (s *Store) Close() error {
	s.close()
	s.listener.close()
	if err := s.client.Close(); err != nil && !errors.Is(err, goredis.ErrClosed) {
		return s.down(err)
	}
	return nil
}

// run asks by script. The reply is a string, an int64, a list of these, or nil.
func (s *Store) run(ctx context.Context, script *goredis.Script, keys []string, reply *any, args ...any) error {
	return s.ask(ctx, func(ctx context.Context) error {
		got, err := script.Run(ctx, s.client, keys, args...).Result()
		if err != nil && !errors.Is(err, goredis.Nil) {
			return err
		}
		if reply != nil {
			*reply = got
		}
		return nil
	})
}

// name returns what Redis calls a thing of key's. An empty tag, {}, would not keep names
// together, so the keys that would make one are written differently.
func (s *Store) name(key, thing string) string {
	if key == "" || key[0] == '}' {
		return s.prefix + ":!{odd}" + key + ":" + thing
	}
	return s.prefix + ":{" + key + "}:" + thing
}

func check(value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("time to live is %v, want more than zero", ttl)
	}
	if len(value) > maxValue {
		return fmt.Errorf("value of %d bytes exceeds the cache's limit of %d", len(value), maxValue)
	}
	return nil
}

func marked(value []byte) []byte {
	return append(append(make([]byte, 0, len(value)+1), mark), value...)
}

// millis rounds up: what may live for a moment does live.
func millis(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }
