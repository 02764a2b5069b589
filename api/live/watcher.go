package live

import (
	"context"
	"sync"

	"github.com/interlock-security/interlock/core"
)

var (
	// errBehind and errEnded tell a watcher why it gets nothing more; both are
	// of kind unavailable, and it may come back.
	errBehind = core.E(core.KindUnavailable, "live", "too far behind").WithHint("connect again with the last cursor")
	errEnded  = core.E(core.KindUnavailable, "live", "the server ends")
)

// Watcher is one who watches a tenant's events.
type Watcher struct {
	hub    *Hub
	tenant core.TenantID
	wake   chan struct{} // holds one signal

	mu      sync.Mutex
	queue   []Item
	err     error
	last    Cursor // what was taken last
	missing bool   // what lies between last and until is to be read first
	until   uint64 // 0: the hub has not begun
}

// Watch begins to watch a tenant's events after a cursor; the zero Cursor means
// from now on. The watcher must be closed.
func (h *Hub) Watch(tenant core.TenantID, after Cursor) *Watcher {
	w := &Watcher{hub: h, tenant: tenant, wake: make(chan struct{}, 1), last: after, missing: after != Cursor{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watchers) == 0 {
		h.next = 0 // nothing was read meanwhile; begin at the end
		close(h.awake)
	}
	h.watchers[w] = struct{}{}
	if h.next == 0 {
		return w
	}
	w.until = h.next
	if w.missing && !h.since.after(after) {
		w.remember(h.memory, h.o.Queue/2)
	}
	return w
}

// remember takes from the shared memory what came after the watcher's cursor,
// unless that is more than most.
func (w *Watcher) remember(memory []Item, most int) {
	var queue []Item
	for _, item := range memory {
		if item.Tenant == w.tenant && item.after(w.last) {
			queue = append(queue, item)
		}
	}
	if len(queue) <= most {
		w.queue, w.missing = queue, false
	}
}

// Close ends the watching.
func (w *Watcher) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if _, there := w.hub.watchers[w]; !there {
		return
	}
	delete(w.hub.watchers, w)
	if len(w.hub.watchers) == 0 {
		w.hub.awake = make(chan struct{})
	}
}

// Next waits for items and takes all that are there. It returns none when ctx
// ends, or where only the hub's state has changed ([Hub.Away]). An error of kind
// unavailable means that the watcher was dropped.
func (w *Watcher) Next(ctx context.Context) ([]Item, error) {
	items, missing, until, err := w.take()
	switch {
	case err != nil || len(items) > 0 && !missing:
		return items, err
	case missing && until > 0:
		return w.catchUp(ctx, until)
	}
	select {
	case <-ctx.Done():
		return nil, nil
	case <-w.wake:
	}
	if items, missing, _, err = w.take(); missing {
		return nil, err
	}
	return items, err
}

// take empties the queue, unless older events must come first.
func (w *Watcher) take() (items []Item, missing bool, until uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, false, 0, w.err
	}
	if w.missing {
		return nil, true, w.until, nil
	}
	items, w.queue = w.queue, nil
	if len(items) > 0 {
		w.last = items[len(items)-1].Cursor
	}
	return items, false, 0, nil
}

// catchUp reads what came after the watcher's cursor and before it watched. What
// is too far away is counted as skipped: that is what the search is for.
func (w *Watcher) catchUp(ctx context.Context, until uint64) ([]Item, error) {
	w.mu.Lock()
	from, last := w.last.Offset, w.last
	w.mu.Unlock()
	b := batch{encode: w.hub.o.Encode, sent: map[core.TenantID]int{}, skipped: map[core.TenantID]int{}}
	if from+farBehind < until {
		from, b.jumped = until-framesAtOnce, true
	}
	items, err := w.hub.between(ctx, b, w.tenant, from, until)
	if err != nil {
		return nil, err
	}
	kept := items[:0]
	for _, item := range items {
		if item.after(last) {
			kept = append(kept, item)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing, w.last = false, Cursor{until - 1, lastIndex}
	return kept, nil
}

// between reads a tenant's items from the journal.
func (h *Hub) between(ctx context.Context, b batch, tenant core.TenantID, from, until uint64) ([]Item, error) {
	for from < until {
		frames, err := h.o.Frames.Read(ctx, 0, from, int(min(until-from, framesAtOnce)))
		if err != nil {
			return nil, err
		}
		for _, f := range frames {
			if f.Offset < until && f.Tenant == tenant {
				b.add(f)
			}
		}
		if len(frames) == 0 {
			break
		}
		from = frames[len(frames)-1].Offset + 1
	}
	if n := b.missed(tenant); n != 0 {
		b.items = append(b.items, Item{Cursor: Cursor{until - 1, lastIndex}, Tenant: tenant, Skipped: n})
	}
	return b.items, nil
}

// missed is how many of a tenant's events the batch counted only.
func (b *batch) missed(tenant core.TenantID) int {
	if b.jumped {
		return -1
	}
	return b.skipped[tenant]
}

// offer puts a round's items into the queue, or drops the watcher whose queue is
// full. The hub holds its lock.
func (w *Watcher) offer(b batch, limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	before := len(w.queue)
	for _, item := range b.items {
		if item.Tenant == w.tenant {
			w.queue = append(w.queue, item)
		}
	}
	if n := b.missed(w.tenant); n != 0 {
		w.queue = append(w.queue, Item{Cursor: w.end(), Tenant: w.tenant, Skipped: n})
	}
	switch {
	case len(w.queue) > limit:
		w.queue, w.err = nil, errBehind
	case len(w.queue) == before:
		return
	}
	w.nudge()
}

// end is the cursor of the last item that waits or was taken.
func (w *Watcher) end() Cursor {
	if n := len(w.queue); n > 0 {
		return w.queue[n-1].Cursor
	}
	return w.last
}

// start says from where on the hub hands out. The hub holds its lock.
func (w *Watcher) start(from uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = from
	w.nudge()
}

// drop ends the watcher. The hub holds its lock.
func (w *Watcher) drop(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue, w.err = nil, err
	w.nudge()
}

// nudge wakes who waits in Next.
func (w *Watcher) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
