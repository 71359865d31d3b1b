package memory

import "time"

// entry is one value and its place in both orders.
type entry struct {
	key        string
	value      []byte
	expires    time.Time
	prev, next *entry // in the ring
	index      int    // in the heap
}

// expired reports whether the entry's time is up: at its expiry, not only after it.
func (e *entry) expired(now time.Time) bool { return !now.Before(e.expires) }

func (e *entry) size() int { return len(e.key) + len(e.value) }

// ring orders entries by use. It links the entries themselves: container/list would box
// each in an element and an interface. The zero value is empty.
type ring struct{ root entry } // root.next is the most recently used, root.prev the least

func (r *ring) last() *entry { return r.root.prev }

func (r *ring) pushFront(e *entry) {
	if r.root.next == nil {
		r.root.next, r.root.prev = &r.root, &r.root
	}
	e.prev, e.next = &r.root, r.root.next
	e.prev.next, e.next.prev = e, e
}

func (r *ring) remove(e *entry) {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
}

func (r *ring) touch(e *entry) {
	if r.root.next != e {
		r.remove(e)
		r.pushFront(e)
	}
}

// byExpiry is a heap.Interface: the entry that expires first is at index 0.
type byExpiry []*entry

func (h byExpiry) Len() int           { return len(h) }
func (h byExpiry) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }

func (h byExpiry) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *byExpiry) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *byExpiry) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil // let the collector have it
	*h = (*h)[:last]
	return e
}
