package index_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/index"
)

const flush = 10 * time.Millisecond

var main = core.MustID[core.TenantID]("main")

// model is an event store as bad as the real one: it holds rows in memory until
// a flush interval has passed, loses those when it is killed, takes a row twice,
// and fails in the middle of a request.
type model struct {
	mu         sync.Mutex
	rows       []held
	generation uint64
	fresh      bool
	away       int // so many calls fail
	tear       bool
	// refuse says which rows it takes and never keeps.
	refuse func(events.Row) bool
}

type held struct {
	events.Row
	at time.Time
}

func (m *model) fails() error {
	if m.away > 0 {
		m.away--
		return core.E(core.KindUnavailable, "model", "away")
	}
	return nil
}

func (m *model) Insert(_ context.Context, rows []events.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fails(); err != nil {
		return err
	}
	var torn error
	if m.tear && len(rows) > 1 {
		m.tear, torn = false, core.E(core.KindUnavailable, "model", "torn")
		rows = rows[:rand.IntN(len(rows))]
	}
	for _, r := range rows {
		if m.refuse == nil || !m.refuse(r) {
			m.rows = append(m.rows, held{r, time.Now()})
		}
	}
	return torn
}

func (m *model) Flush(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fails()
}

func (m *model) Generation() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.generation
}

func (m *model) Fresh() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fresh
}

func (m *model) Stored(_ context.Context, tenant core.TenantID, _ int32, from, to uint64, earliest, latest time.Time) (map[events.Place]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fails(); err != nil {
		return nil, err
	}
	found := map[events.Place]int{}
	for _, r := range m.rows {
		if r.Tenant == tenant && r.Offset >= from && r.Offset <= to && !r.Time.Before(earliest) && !r.Time.After(latest) {
			found[events.Place{Offset: r.Offset, Index: r.Index}]++
		}
	}
	return found, nil
}

func (m *model) Count(ctx context.Context, tenant core.TenantID, part int32, from, to uint64, earliest, latest time.Time) (n uint64, err error) {
	found, err := m.Stored(ctx, tenant, part, from, to, earliest, latest)
	for _, times := range found {
		n += uint64(times)
	}
	return n, err
}

// kill loses what was not flushed, some of what might have been, and answers
// nothing for a while.
func (m *model) kill(calls int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.rows[:0:0]
	for _, r := range m.rows {
		if age := time.Since(r.at); age >= flush || age >= flush/2 && rand.IntN(2) == 0 {
			kept = append(kept, r)
		}
	}
	m.rows = kept
	m.generation++
	m.away = calls
}

// rig is a journal on one of the two engines, and an index over it.
type rig struct {
	t      *testing.T
	state  *store.DB
	frames *journal.Raw
	model  *model
	index  *index.Index
	end    func()
}

func newRig(t *testing.T, open func(...store.Migrations) *store.DB) *rig {
	t.Helper()
	r := &rig{t: t, model: new(model), state: open(journal.Migrations())}
	var err error
	if r.frames, err = journal.OpenRaw(t.Context(), open(journal.RawMigrations()), journal.RawOptions{State: r.state}); err != nil {
		t.Fatal(err)
	}
	return r
}

// engine opens databases of their own on one of the engines.
func engine(t *testing.T, name string) func(...store.Migrations) *store.DB {
	return func(m ...store.Migrations) *store.DB { return storetest.Open(t, storetest.Config(t, name), m...) }
}

// start runs a new index, as a new process would.
func (r *rig) start(frames index.Journal) {
	r.index = index.New(index.Config{Frames: frames, State: r.state, Store: r.model, Flush: flush, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended, ix := make(chan struct{}), r.index
	go func() {
		defer close(ended)
		if err := ix.Run(ctx, nil); err != nil {
			r.t.Error(err)
		}
	}()
	r.end = sync.OnceFunc(func() { cancel(); <-ended })
	r.t.Cleanup(r.end)
}

func (r *rig) append(tenant core.TenantID, n int, at time.Time) {
	r.t.Helper()
	f := journal.Frame{Kind: journal.KindEvents, Tenant: tenant, Source: "s"}
	for range n {
		b, err := json.Marshal(core.Event{
			ID: core.NewUUID(at), Time: at, Received: at, Tenant: tenant, Source: "s", Provenance: core.ProvenanceLocal, Type: "t", Severity: core.SeverityInfo, Fields: json.RawMessage(`{}`),
		})
		if err != nil {
			r.t.Fatal(err)
		}
		f.Records = append(f.Records, b)
	}
	if _, err := r.frames.Append(r.t.Context(), f); err != nil {
		r.t.Fatal(err)
	}
}

// settled waits until the cursor has passed all.
func (r *rig) settled() {
	r.t.Helper()
	next, err := r.frames.Next(r.t.Context(), 0)
	if err != nil {
		r.t.Fatal(err)
	}
	for end := time.Now().Add(3 * time.Minute); r.index.State().Cursor < next; {
		if time.Now().After(end) {
			r.t.Fatalf("the index did not settle: %+v of %d", r.index.State(), next)
		}
		<-time.After(time.Millisecond)
	}
}

// once checks that the store holds each of n events of a tenant exactly once.
func (r *rig) once(tenant core.TenantID, n int) {
	r.t.Helper()
	found, err := r.model.Stored(context.Background(), tenant, 0, 0, 1<<62, time.Time{}, time.Now().Add(time.Hour))
	if err != nil {
		r.t.Fatal(err)
	}
	for place, times := range found {
		if times != 1 {
			r.t.Errorf("%+v is there %d times", place, times)
		}
	}
	if len(found) != n {
		r.t.Errorf("%d events of %s are in the store, want %d", len(found), tenant, n)
	}
}

// TestEachEventOnceThroughEverythingThatGoesWrong kills the store, tears
// requests, and starts the index anew, in any order.
func TestEachEventOnceThroughEverythingThatGoesWrong(t *testing.T) {
	r := newRig(t, engine(t, "sqlite"))
	other := core.MustID[core.TenantID]("other")
	r.start(r.frames)
	counts := map[core.TenantID]int{}
	for range 250 {
		for _, tenant := range []core.TenantID{main, other} {
			n := 1 + rand.IntN(4)
			r.append(tenant, n, time.Now())
			counts[tenant] += n
		}
		switch rand.IntN(12) {
		case 0:
			r.model.kill(rand.IntN(3))
		case 1:
			r.model.mu.Lock()
			r.model.tear = true
			r.model.mu.Unlock()
		case 2:
			if rand.IntN(2) == 0 {
				r.model.kill(0)
			}
			r.end()
			r.start(r.frames)
		}
	}
	r.settled()
	r.model.kill(0) // what the cursor has passed, no kill takes
	r.end()
	r.start(r.frames)
	r.settled()
	for tenant, n := range counts {
		r.once(tenant, n)
	}
	if m := r.index.State().Missing; m != 0 {
		t.Errorf("%d events were given up", m)
	}
}

func TestTrimStopsAtTheIndex(t *testing.T) {
	for _, name := range storetest.Engines {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, engine(t, name))
			r.model.away = 1 << 30
			r.start(r.frames)
			for range 5 {
				r.append(main, 2, time.Now())
			}
			await(t, "a problem", func() bool { return r.index.State().Problem != "" })
			if err := r.frames.Trim(t.Context(), 100); err != nil {
				t.Fatal(err)
			}
			if got, err := r.frames.Read(t.Context(), 0, 1, 10); err != nil || len(got) != 5 {
				t.Errorf("while the store is away %d frames are kept, want 5: %v", len(got), err)
			}
			r.model.mu.Lock()
			r.model.away = 0
			r.model.mu.Unlock()
			r.settled()
			if s := r.index.State(); s.Problem != "" || !s.Since.IsZero() {
				t.Errorf("the problem stays: %+v", s)
			}
			if err := r.frames.Trim(t.Context(), 100); err != nil {
				t.Fatal(err)
			}
			if _, err := r.frames.Read(t.Context(), 0, 1, 10); core.KindOf(err) != core.KindExpired {
				t.Errorf("indexed frames were not trimmed: %v", err)
			}
			r.once(main, 10)
			r.append(main, 3, time.Now())
			r.settled()
			r.once(main, 13)
		})
	}
}

func TestWhatTheStoreNeverKeepsIsCountedAndPassed(t *testing.T) {
	r := newRig(t, engine(t, "sqlite"))
	r.model.refuse = func(row events.Row) bool { return row.Offset == 2 && row.Index == 1 }
	r.start(r.frames)
	for range 3 {
		r.append(main, 3, time.Now())
	}
	r.settled()
	if s := r.index.State(); s.Missing != 1 {
		t.Errorf("%+v", s)
	}
	r.once(main, 8)
}

// TestAnIndexComesToAJournalThatWasTrimmed begins at what is left.
func TestAnIndexComesToAJournalThatWasTrimmed(t *testing.T) {
	r := newRig(t, engine(t, "sqlite"))
	for range 5 {
		r.append(main, 2, time.Now())
	}
	detect := journal.Cursor{Stage: "detect", Topic: r.frames.Name()}
	if err := detect.Register(t.Context(), r.state, 4); err != nil {
		t.Fatal(err)
	}
	if err := r.frames.Trim(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	r.start(r.frames)
	r.settled()
	r.once(main, 4)
}

// TestAStoreWhoseFolderWasTakenAwayIsFilledAgain, also while the index runs, and
// only once for each new store.
func TestAStoreWhoseFolderWasTakenAwayIsFilledAgain(t *testing.T) {
	r := newRig(t, engine(t, "sqlite"))
	r.start(r.frames)
	for range 5 {
		r.append(main, 2, time.Now())
	}
	r.settled()
	lose := func() {
		r.model.mu.Lock()
		defer r.model.mu.Unlock()
		r.model.rows, r.model.fresh = nil, true
		r.model.generation++
	}
	lose()
	r.model.kill(2) // the session ends, as it does with the process
	r.append(main, 2, time.Now())
	r.append(main, 1, time.Now())
	await(t, "all of it", func() bool {
		n, err := r.model.Count(t.Context(), main, 0, 0, 1<<62, time.Time{}, time.Now().Add(time.Hour))
		return err == nil && n >= 13
	})
	r.settled()
	r.once(main, 13)

	r.end()
	lose()
	r.start(r.frames)
	await(t, "all of it", func() bool {
		n, err := r.model.Count(t.Context(), main, 0, 0, 1<<62, time.Time{}, time.Now().Add(time.Hour))
		return err == nil && n >= 13
	})
	r.settled()
	r.once(main, 13)
}

// TestHeldTellsUpToWhenASearchMissesNothing asks the process that runs the stage
// and one that doesn't.
func TestHeldTellsUpToWhenASearchMissesNothing(t *testing.T) {
	r := newRig(t, engine(t, "sqlite"))
	other := index.New(index.Config{Frames: r.frames, State: r.state, Store: r.model, Flush: flush, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)})
	if held := other.Held(t.Context()); !held.IsZero() {
		t.Errorf("nothing was ever indexed, and all is held up to %s", held)
	}
	r.start(r.frames)
	r.append(main, 2, time.Now())
	r.settled()
	r.end()
	began := time.Now().Add(-time.Microsecond) // the journal's stamps are whole microseconds
	if held := other.Held(t.Context()); held.Before(began) {
		t.Errorf("all is indexed, and held only up to %s", held)
	}
	r.append(main, 1, time.Now())
	r.append(main, 1, time.Now())
	frames, err := r.frames.Read(t.Context(), 0, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]*index.Index{"another": other, "the one that ended": r.index} {
		if held := x.Held(t.Context()); !held.Equal(frames[0].Received) {
			t.Errorf("%s: held up to %s, want %s", name, held, frames[0].Received)
		}
	}
	r.model.mu.Lock()
	r.model.away = 1 << 30
	r.model.mu.Unlock()
	r.start(r.frames)
	await(t, "a problem", func() bool { return r.index.State().Problem != "" })
	if held := r.index.Held(t.Context()); !held.Equal(frames[0].Received) {
		t.Errorf("while the store is away: held up to %s, want %s", held, frames[0].Received)
	}
}

// hole is a journal that can't give one of its frames.
type hole struct{ *journal.Raw }

func (h hole) Read(ctx context.Context, part int32, from uint64, most int) ([]journal.Frame, error) {
	if from == 2 {
		return nil, core.E(core.KindDamaged, "hole", "offset 2")
	}
	frames, err := h.Raw.Read(ctx, part, from, most)
	for i, f := range frames {
		if f.Offset == 2 {
			return frames[:i], err
		}
	}
	return frames, err
}

func TestADamagedFrameIsCountedAndPassed(t *testing.T) {
	r := newRig(t, engine(t, "sqlite"))
	for range 4 {
		r.append(main, 1, time.Now())
	}
	r.start(hole{r.frames})
	r.settled()
	r.once(main, 3)
	if s := r.index.State(); s.Damaged == 0 {
		t.Errorf("%+v", s)
	}
}

func TestOneIndexAtATime(t *testing.T) {
	r := newRig(t, engine(t, "sqlite"))
	clock := core.SystemClock{}
	lease, err := journal.Acquire(t.Context(), r.state, clock, "index/main", "one", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ix := index.New(index.Config{Frames: r.frames, State: r.state, Store: r.model, Flush: flush, Clock: clock, Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- ix.Run(t.Context(), lease) }()
	r.append(main, 2, time.Now())
	await(t, "the first events", func() bool { return ix.State().Cursor == 2 })
	if err := lease.Release(t.Context(), r.state); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Acquire(t.Context(), r.state, clock, "index/main", "two", time.Minute); err != nil {
		t.Fatal(err)
	}
	r.append(main, 2, time.Now())
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it went without a word")
		}
	case <-time.After(3 * time.Minute):
		t.Error("it goes on without its lease")
	}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
		<-time.After(time.Millisecond)
	}
}
