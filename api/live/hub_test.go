package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
)

var (
	ours   = core.MustID[core.TenantID]("main")
	theirs = core.MustID[core.TenantID]("other")
)

// memory is a journal that is written by the test and can go away.
type memory struct {
	mu     sync.Mutex
	frames []journal.Frame
	wake   chan struct{}
	broken error
	reads  int
}

func newMemory() *memory { return &memory{wake: make(chan struct{})} }

func (m *memory) add(frames ...journal.Frame) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range frames {
		f.Offset = uint64(len(m.frames)) + 1
		m.frames = append(m.frames, f)
	}
	close(m.wake)
	m.wake = make(chan struct{})
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

func (m *memory) Next(context.Context, int32) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uint64(len(m.frames)) + 1, m.broken
}

func (m *memory) Read(_ context.Context, _ int32, from uint64, limit int) ([]journal.Frame, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.broken != nil {
		return nil, m.broken
	}
	var out []journal.Frame
	for _, f := range m.frames {
		if f.Offset >= from && len(out) < limit {
			out = append(out, f)
		}
	}
	return out, nil
}

func (m *memory) Wait(ctx context.Context, _ int32, after uint64) error {
	for {
		m.mu.Lock()
		there, wake := uint64(len(m.frames)) > after, m.wake
		m.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func frame(tenant core.TenantID, records ...string) journal.Frame {
	f := journal.Frame{Kind: journal.KindEvents, Tenant: tenant}
	for _, r := range records {
		f.Records = append(f.Records, []byte(r))
	}
	return f
}

func tick() journal.Frame { return journal.Frame{Kind: journal.KindTick} }

// running starts a hub over m.
func running(t *testing.T, m *memory, change func(*Options)) *Hub {
	t.Helper()
	o := Options{Frames: m, Encode: func(b []byte) []byte { return b }, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	h := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

// gather takes items until it has n events or ctx ends.
func gather(ctx context.Context, w *Watcher, n int) (data []string, last Cursor, skipped int, err error) {
	for len(data) < n && ctx.Err() == nil {
		items, err := w.Next(ctx)
		if err != nil {
			return data, last, skipped, err
		}
		for _, item := range items {
			last = item.Cursor
			if item.Skipped != 0 {
				skipped += item.Skipped
				continue
			}
			data = append(data, string(item.Data))
		}
	}
	return data, last, skipped, ctx.Err()
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// begin waits until the hub has taken its place for a first watcher, so that
// what is added after is new.
func begin(t *testing.T, h *Hub, w *Watcher, m *memory, tenant core.TenantID) {
	t.Helper()
	ctx := within(t)
	for h.position() == 0 {
		if _, err := w.Next(ctx); err != nil || ctx.Err() != nil {
			t.Fatal("the hub does not begin", err)
		}
	}
	m.add(frame(tenant, "mark"))
	if data, _, _, err := gather(ctx, w, 1); err != nil || data[0] != "mark" {
		t.Fatalf("the first event is %q, %v", data, err)
	}
}

func TestWatchersSeeTheirTenantsEventsInOrder(t *testing.T) {
	m := newMemory()
	m.add(frame(ours, "before"))
	h := running(t, m, nil)
	w := h.Watch(ours, Cursor{})
	defer w.Close()
	begin(t, h, w, m, ours)
	m.add(frame(ours, "a", "b"), tick(), frame(theirs, "secret"), frame(ours, "c"))
	data, _, _, err := gather(within(t), w, 3)
	if err != nil || fmt.Sprint(data) != "[a b c]" {
		t.Errorf("seen %v, %v", data, err)
	}
}

// TestComingBackLosesNothing: with the cursor of any event the next ones follow,
// whether they stand in the shared memory or only in the journal.
func TestComingBackLosesNothing(t *testing.T) {
	for name, kept := range map[string]int{"from memory": 0, "from the journal": 3} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			h := running(t, m, func(o *Options) { o.Memory = kept })
			first := h.Watch(ours, Cursor{})
			defer first.Close()
			begin(t, h, first, m, ours)
			for i := range 20 {
				m.add(frame(ours, fmt.Sprint("e", 2*i), fmt.Sprint("e", 2*i+1)), frame(theirs, "x"))
			}
			if _, _, _, err := gather(within(t), first, 40); err != nil {
				t.Fatal(err)
			}
			again := h.Watch(ours, Cursor{Offset: 2 + 2*4, Index: 0}) // has e8
			defer again.Close()
			m.add(frame(ours, "e40"))
			data, _, skipped, err := gather(within(t), again, 32)
			if err != nil || skipped != 0 {
				t.Fatal(err, skipped)
			}
			for i, got := range data {
				if want := fmt.Sprint("e", 9+i); got != want {
					t.Fatalf("event %d is %s, want %s (%v)", i, got, want, data)
				}
			}
		})
	}
}

func TestWhoDoesNotReadIsDroppedAndComesBack(t *testing.T) {
	m := newMemory()
	h := running(t, m, func(o *Options) { o.Queue = 8 })
	slow, quick := h.Watch(ours, Cursor{}), h.Watch(ours, Cursor{})
	defer slow.Close()
	defer quick.Close()
	begin(t, h, quick, m, ours)
	var last Cursor
	for i := range 20 { // one at a time: the quick one keeps up
		m.add(frame(ours, fmt.Sprint(i)))
		data, at, _, err := gather(within(t), quick, 1)
		if err != nil || data[0] != fmt.Sprint(i) {
			t.Fatalf("the one who reads is told of %v, %v", data, err)
		}
		last = at
	}
	for ctx := within(t); ; {
		if _, err := slow.Next(ctx); err != nil || ctx.Err() != nil {
			if core.KindOf(err) != core.KindUnavailable {
				t.Errorf("dropped with %v", err)
			}
			break
		}
	}
	again := h.Watch(ours, Cursor{Offset: last.Offset - 5})
	defer again.Close()
	if data, _, _, err := gather(within(t), again, 5); err != nil || fmt.Sprint(data) != "[15 16 17 18 19]" {
		t.Errorf("came back to %v, %v", data, err)
	}
}

func TestAFloodIsCounted(t *testing.T) {
	m := newMemory()
	h := running(t, m, nil)
	w := h.Watch(ours, Cursor{})
	defer w.Close()
	begin(t, h, w, m, ours)
	flood := make([]string, 1000)
	for i := range flood {
		flood[i] = fmt.Sprint(i)
	}
	m.add(frame(ours, flood...))
	data, _, skipped, err := gather(within(t), w, mostARound)
	if err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); skipped == 0; { // it comes with or after the last one
		items, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			skipped += item.Skipped
		}
	}
	if len(data)+skipped != 1000 || len(data) != mostARound {
		t.Errorf("%d sent and %d counted of 1000", len(data), skipped)
	}
}

// TestFarBehindIsSaid: who was away for long is told that something is missing,
// and sees what is new.
func TestFarBehindIsSaid(t *testing.T) {
	m := newMemory()
	for i := range farBehind + 500 {
		m.add(frame(ours, fmt.Sprint(i)))
	}
	h := running(t, m, nil)
	w := h.Watch(ours, Cursor{Offset: 1})
	defer w.Close()
	data, _, skipped, err := gather(within(t), w, framesAtOnce)
	if err != nil || skipped >= 0 && len(data) < framesAtOnce {
		t.Fatalf("%d events, %d skipped, %v", len(data), skipped, err)
	}
	if data[len(data)-1] != fmt.Sprint(farBehind+499) {
		t.Errorf("the last is %s", data[len(data)-1])
	}
}

func TestAJournalThatIsAwayIsSaidAndComesBack(t *testing.T) {
	m := newMemory()
	h := running(t, m, nil)
	w := h.Watch(ours, Cursor{})
	defer w.Close()
	begin(t, h, w, m, ours)
	m.fail(errors.New("the disk is gone"))
	m.add(frame(ours, "a"))
	ctx := within(t)
	for !h.Away() {
		if _, err := w.Next(ctx); err != nil || ctx.Err() != nil {
			t.Fatal("not said", err)
		}
	}
	m.fail(nil)
	if data, _, _, err := gather(ctx, w, 1); err != nil || data[0] != "a" {
		t.Errorf("after: %v, %v", data, err)
	}
	for h.Away() {
		if _, err := w.Next(ctx); err != nil || ctx.Err() != nil {
			t.Fatal("still away", err)
		}
	}
}

func TestNobodyWatchesNothingIsRead(t *testing.T) {
	m := newMemory()
	h := running(t, m, nil)
	m.add(frame(ours, "a"))
	w := h.Watch(ours, Cursor{})
	begin(t, h, w, m, ours)
	w.Close()
	w.Close() // once is enough
	m.add(tick())
	other := h.Watch(ours, Cursor{}) // begins at the end again
	defer other.Close()
	begin(t, h, other, m, ours)
}

func TestTheEndEndsWatchers(t *testing.T) {
	m := newMemory()
	h := New(Options{Frames: m, Encode: func(b []byte) []byte { return b }, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	w := h.Watch(ours, Cursor{})
	defer w.Close()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if items, err := w.Next(within(t)); err == nil || len(items) > 0 {
		t.Fatalf("after the end: %v, %v", items, err)
	}
}

func TestLastEvents(t *testing.T) {
	m := newMemory()
	for i := range 300 {
		m.add(frame(ours, fmt.Sprint(i)), frame(theirs, "secret"), tick())
	}
	h := running(t, m, nil)
	items, cursor, err := h.Last(t.Context(), ours, 50)
	if err != nil || len(items) != 50 || string(items[0].Data) != "250" || string(items[49].Data) != "299" {
		t.Fatalf("%d items, %v", len(items), err)
	}
	w := h.Watch(ours, cursor) // goes on without a gap and without a repetition
	defer w.Close()
	m.add(frame(ours, "300"))
	if data, _, _, err := gather(within(t), w, 1); err != nil || data[0] != "300" {
		t.Errorf("then %v, %v", data, err)
	}
	if few, _, err := h.Last(t.Context(), theirs, 1000); err != nil || len(few) != 300 {
		t.Errorf("%d of the others, %v", len(few), err)
	}
}

func TestCursorsRoundTripAndStrangeOnesAreRefused(t *testing.T) {
	for _, c := range []Cursor{{}, {1, 0}, {1 << 62, lastIndex}} {
		if got, err := ParseCursor(c.String()); err != nil || got != c {
			t.Errorf("%v came back as %v, %v", c, got, err)
		}
	}
	for _, text := range []string{"", "1", "1.", ".1", "-1.0", "1.-1", "1.2.3", "x.y", "1e3.0", " 1.0", "99999999999999999999.0", "1.2147483648"} {
		if _, err := ParseCursor(text); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestAThousandWatchersOfWhomHalfNeverRead: those who read get everything, those
// who don't cost a bounded queue and are dropped.
func TestAThousandWatchersOfWhomHalfNeverRead(t *testing.T) {
	const all, events = 1000, 200
	m := newMemory()
	h := running(t, m, func(o *Options) { o.Queue = 64 })
	first := h.Watch(ours, Cursor{})
	defer first.Close()
	begin(t, h, first, m, ours)
	var sleepers []*Watcher
	var wg sync.WaitGroup
	problems := make(chan error, all)
	for i := range all {
		w := h.Watch(ours, Cursor{})
		defer w.Close()
		if i%2 == 0 {
			sleepers = append(sleepers, w)
			continue
		}
		wg.Go(func() {
			data, _, _, err := gather(within(t), w, events)
			if err != nil || data[events-1] != fmt.Sprint(events-1) {
				problems <- fmt.Errorf("%d events, %w", len(data), err)
			}
		})
	}
	for i := range events {
		m.add(frame(ours, fmt.Sprint(i)))
		if i%16 == 15 { // the readers' queues hold 64
			if _, _, _, err := gather(within(t), first, 16); err != nil {
				t.Fatal(err)
			}
		}
	}
	wg.Wait()
	close(problems)
	for err := range problems {
		t.Error(err)
	}
	for _, w := range sleepers {
		if w.err == nil || len(w.queue) != 0 {
			t.Fatal("one who never read still holds events")
		}
	}
}
