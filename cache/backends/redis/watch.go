package redis

import (
	"context"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// listener is the one connection on which all watches of a store listen. It is there while
// somebody watches, and go-redis makes it again when it is lost.
type listener struct {
	client goredis.UniversalClient

	mu     sync.Mutex
	conn   *goredis.PubSub
	topics map[string]*topic
	closed bool
}

// topic is one channel in Redis and those who watch it.
type topic struct {
	live      chan struct{} // closes when Redis has confirmed
	confirmed bool
	watchers  map[chan struct{}]struct{}
}

// Watch implements cache.Shared.
func (s *Store) Watch(ctx context.Context, key string) (<-chan struct{}, error) {
	name, signals := s.name(key, "changes"), make(chan struct{}, 1)
	watching, stop := context.WithCancel(ctx)
	context.AfterFunc(ctx, stop)
	err := s.ask(ctx, func(bounded context.Context) error {
		joined := make(chan error, 1)
		// It may wait longer than we do, for a connection that is being made again.
		go func() { joined <- s.listener.join(bounded, watching, name, signals) }()
		select {
		case err := <-joined:
			return err
		case <-bounded.Done():
			return bounded.Err()
		}
	})
	if err != nil {
		stop()
		return nil, err
	}
	return signals, nil
}

// join watches until watching ends. It returns when Redis has confirmed, or bounded ends.
func (l *listener) join(bounded, watching context.Context, name string, signals chan struct{}) error {
	live, err := l.add(bounded, name, signals)
	if err != nil {
		return err
	}
	context.AfterFunc(watching, func() { l.remove(name, signals) })
	select {
	case <-live:
		return nil
	case <-bounded.Done():
		return bounded.Err()
	}
}

// add subscribes signals to the channel called name.
func (l *listener) add(ctx context.Context, name string, signals chan struct{}) (live <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, goredis.ErrClosed
	}
	t := l.topics[name]
	if t == nil {
		if err := l.subscribe(ctx, name); err != nil {
			return nil, err
		}
		t = &topic{live: make(chan struct{}), watchers: map[chan struct{}]struct{}{}}
		l.topics[name] = t
	}
	t.watchers[signals] = struct{}{}
	return t.live, nil
}

// subscribe asks for one more channel; l.mu is held.
func (l *listener) subscribe(ctx context.Context, name string) error {
	if l.conn != nil {
		return l.conn.Subscribe(ctx, name)
	}
	conn := l.client.Subscribe(ctx)
	if err := conn.Subscribe(ctx, name); err != nil {
		_ = conn.Close()
		return err
	}
	l.conn, l.topics = conn, map[string]*topic{}
	go l.listen(conn.ChannelWithSubscriptions(goredis.WithChannelSendTimeout(time.Second)))
	return nil
}

// remove ends one watch, and the connection with the last one. It may be called twice.
func (l *listener) remove(name string, signals chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[name]
	if t == nil {
		return
	}
	if _, ok := t.watchers[signals]; !ok {
		return
	}
	delete(t.watchers, signals)
	close(signals)
	if len(t.watchers) > 0 {
		return
	}
	delete(l.topics, name)
	if len(l.topics) == 0 {
		l.hangUp()
		return
	}
	_ = l.conn.Unsubscribe(context.Background(), name) // at worst it is told, and nobody there
}

// hangUp ends the connection; l.mu is held. It does not wait: go-redis may be making the
// connection again, and nobody may wait for us meanwhile.
func (l *listener) hangUp() {
	if l.conn != nil {
		go func(conn *goredis.PubSub) { _ = conn.Close() }(l.conn)
		l.conn = nil
	}
}

// listen signals the watchers until the connection is closed for good.
func (l *listener) listen(messages <-chan any) {
	for message := range messages {
		switch m := message.(type) {
		case *goredis.Message:
			l.signal(m.Channel)
		case *goredis.Subscription:
			if m.Kind == "subscribe" && !l.confirm(m.Channel) {
				l.signal(m.Channel)
			}
		}
	}
}

// confirm has the channel called name live. It returns false when it was so before: then the
// connection was made again, and what was told meanwhile is lost.
func (l *listener) confirm(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[name]
	if t == nil || t.confirmed {
		return false
	}
	t.confirmed = true
	close(t.live)
	return true
}

// signal wakes those who watch the channel called name.
func (l *listener) signal(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[name]
	if t == nil {
		return
	}
	for signals := range t.watchers {
		select {
		case signals <- struct{}{}:
		default: // the last one was not taken yet
		}
	}
}

// close ends every watch.
func (l *listener) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, t := range l.topics {
		for signals := range t.watchers {
			close(signals)
		}
	}
	l.topics = nil
	l.hangUp()
}
