package live

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/journal"
)

// Journal is what the hub reads; [journal.Raw] is one.
type Journal interface {
	Next(ctx context.Context, partition int32) (uint64, error)
	Read(ctx context.Context, partition int32, from uint64, limit int) ([]journal.Frame, error)
	Wait(ctx context.Context, partition int32, after uint64) error
}

// Item is one thing to tell a watcher.
type Item struct {
	Cursor
	Tenant core.TenantID
	// Data is the event as [Options.Encode] made it, shared by all watchers.
	Data []byte
	// Skipped is how many events were counted instead of sent since the item
	// before, -1 for a number that is not known.
	Skipped int
}

// Options are how a hub works. Frames, Encode, Clock and Log are required.
type Options struct {
	Frames Journal
	// Encode makes the bytes that watchers get of a record, once for all of
	// them; nil leaves the record out.
	Encode func(record []byte) []byte
	Clock  core.Clock
	Log    *slog.Logger
	// Queue is how many items wait for one watcher; 0 means 512.
	Queue int
	// Memory is how many of the last items are kept for those who come back;
	// 0 means 2048.
	Memory int
}

const (
	// pace is the least time between two rounds: watchers get events in
	// batches, at most this late.
	pace = 50 * time.Millisecond
	// mostARound bounds what one tenant is sent in a round.
	mostARound = 200
	// framesAtOnce bounds what one read takes from the journal.
	framesAtOnce = 64
	// farBehind is how many frames the hub catches up with; more are skipped.
	farBehind = 1024
	// again is when a journal that could not be read is tried again.
	again = time.Second
)

// Hub reads the journal and tells watchers. Safe for concurrent use.
type Hub struct {
	o Options

	mu       sync.Mutex
	watchers map[*Watcher]struct{}
	awake    chan struct{} // closed when the first watcher comes
	next     uint64        // the offset that is read next, 0 before the first
	memory   []Item
	since    Cursor // every item after this one is in memory
	away     bool
}

// New returns a hub; [Hub.Run] makes it work.
func New(o Options) *Hub {
	if o.Queue <= 0 {
		o.Queue = 512
	}
	if o.Memory <= 0 {
		o.Memory = 2048
	}
	return &Hub{o: o, watchers: map[*Watcher]struct{}{}, awake: make(chan struct{})}
}

// Run follows the journal until ctx ends. While nobody watches it reads nothing.
func (h *Hub) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if !h.watched(ctx) {
			break
		}
		err := h.round(ctx)
		wait := pace
		if err != nil && ctx.Err() == nil {
			h.o.Log.Warn("the live stream waits for the journal", slog.Any("err", err))
			wait = again
		}
		h.setAway(err != nil)
		select {
		case <-ctx.Done():
		case <-h.o.Clock.After(wait):
		}
	}
	h.closeAll()
	return nil
}

// watched waits until somebody watches; false means that ctx ended.
func (h *Hub) watched(ctx context.Context) bool {
	h.mu.Lock()
	awake := h.awake
	h.mu.Unlock()
	select {
	case <-awake:
		return true
	case <-ctx.Done():
		return false
	}
}

// round waits for what is new and hands it out.
func (h *Hub) round(ctx context.Context) error {
	began := h.position()
	from := began
	if from == 0 {
		return h.begin(ctx)
	}
	if err := h.o.Frames.Wait(ctx, 0, from-1); err != nil {
		return err
	}
	end, err := h.o.Frames.Next(ctx, 0)
	if err != nil {
		return err
	}
	b := batch{encode: h.o.Encode, sent: map[core.TenantID]int{}, skipped: map[core.TenantID]int{}}
	if end-from > farBehind {
		from, b.jumped = end-framesAtOnce, true
	}
	for from < end && len(b.items) < h.o.Memory {
		frames, err := h.o.Frames.Read(ctx, 0, from, int(min(end-from, framesAtOnce)))
		if err != nil {
			return err
		}
		if len(frames) == 0 {
			break
		}
		for _, f := range frames {
			b.add(f)
		}
		from = frames[len(frames)-1].Offset + 1
	}
	h.hand(b, began, from)
	return nil
}

func (h *Hub) position() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next
}

// begin starts at the journal's end.
func (h *Hub) begin(ctx context.Context) error {
	end, err := h.o.Frames.Next(ctx, 0)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next, h.memory, h.since = max(end, 1), nil, Cursor{max(end, 1) - 1, lastIndex}
	for w := range h.watchers {
		w.start(h.next)
	}
	return nil
}

// lastIndex is behind every record of a frame.
const lastIndex = 1<<31 - 1

// hand gives a round's items to the watchers, unless all of them have gone since
// it began: those who are here now begin at another place.
func (h *Hub) hand(b batch, began, next uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next != began {
		return
	}
	h.next = next
	h.memory = append(h.memory, b.items...)
	if b.jumped {
		h.memory, h.since = slices.Clone(b.items), Cursor{next - 1, lastIndex}
	}
	if over := len(h.memory) - h.o.Memory; over > 0 {
		h.since = h.memory[over-1].Cursor
		h.memory = slices.Clone(h.memory[over:])
	}
	for w := range h.watchers {
		w.offer(b, h.o.Queue)
	}
}

func (h *Hub) setAway(away bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away == away {
		return
	}
	h.away = away
	for w := range h.watchers {
		w.nudge()
	}
}

// Away reports whether the journal can't be read now: silence means nothing
// then.
func (h *Hub) Away() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.away
}

func (h *Hub) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w.drop(errEnded)
	}
}

// batch is what a round found.
type batch struct {
	encode  func([]byte) []byte
	items   []Item
	sent    map[core.TenantID]int
	skipped map[core.TenantID]int
	jumped  bool
}

func (b *batch) add(f journal.Frame) {
	if f.Kind != journal.KindEvents {
		return
	}
	for i, record := range f.Records {
		if i == 0 && isBatch(f) {
			continue
		}
		if b.sent[f.Tenant] >= mostARound {
			b.skipped[f.Tenant]++
			continue
		}
		data := b.encode(record)
		if data == nil {
			continue
		}
		b.sent[f.Tenant]++
		b.items = append(b.items, Item{Cursor: Cursor{f.Offset, i}, Tenant: f.Tenant, Data: data})
	}
}

// isBatch reports whether a frame begins with the bytes that a device signed:
// evidence, whose events are the records after it and are what people watch. By
// its place, not by its type alone: no device can hide an event by what it
// calls it.
func isBatch(f journal.Frame) bool {
	var e struct {
		Type string `json:"type"`
	}
	return f.Key != nil && json.Unmarshal(f.Records[0], &e) == nil && e.Type == fleet.TypeBatch
}
