package index

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/normalise"
)

// StageName is the cursor's, unless [Config.Name] says otherwise.
const StageName = "index"

const (
	// readFrames is how many frames are read at once, sendRows and sendBytes
	// how much of them goes into one request.
	readFrames = 64
	sendRows   = 8192
	sendBytes  = 8 << 20
	// Pauses after a failure.
	firstPause   = 250 * time.Millisecond
	longestPause = 15 * time.Second
	// quietFor is how long sending may fail before the log tells.
	quietFor = 5 * time.Second
)

// Store is the event store, as far as the stage needs it.
type Store interface {
	Insert(ctx context.Context, rows []events.Row) error
	Flush(ctx context.Context) error
	Stored(ctx context.Context, tenant core.TenantID, partition int32, from, to uint64, earliest, latest time.Time) (map[events.Place]int, error)
	Count(ctx context.Context, tenant core.TenantID, partition int32, from, to uint64, earliest, latest time.Time) (uint64, error)
	// Generation changes when the store was started again.
	Generation() uint64
	// Fresh says that the store held nothing when it was started.
	Fresh() bool
}

// Journal is the raw journal, as far as the stage needs it.
type Journal interface {
	journal.Reader
	// Next is the offset that the next frame will get.
	Next(ctx context.Context, partition int32) (uint64, error)
}

// Config is what an index is made of. All but Name and Partition is required.
type Config struct {
	// Name is the cursor's: one for each store.
	Name      string
	Frames    Journal
	State     *store.DB
	Store     Store
	Partition int32
	// Flush is how long the store may hold rows in memory alone.
	Flush time.Duration
	Clock core.Clock
	Log   *slog.Logger
}

// State is how the index is.
type State struct {
	// Cursor is the offset up to which the store is known to hold all.
	Cursor uint64 `json:"cursor"`
	// Next is the first offset that was not sent yet.
	Next uint64 `json:"next"`
	// Held is the time up to which the store holds for certain all that was
	// received; it trails the clock by some flush intervals. Zero is not known.
	Held time.Time `json:"held,omitzero"`
	// Sent counts rows that the store took since the start.
	Sent uint64 `json:"sent"`
	// Missing counts rows that the store does not keep, though they were sent
	// again and again: they are older than its retention, most likely.
	Missing uint64 `json:"missing"`
	// Damaged counts frames that the journal can't give any more.
	Damaged uint64 `json:"damaged"`
	// Since is when sending began to fail, Problem why; zero while it works.
	Since   time.Time `json:"since,omitzero"`
	Problem string    `json:"problem,omitempty"`
}

// Index is the stage.
type Index struct {
	Config     Config
	cursor     journal.Cursor
	normaliser *normalise.Normaliser
	// wait is how long the cursor trails.
	wait time.Duration

	mu    sync.Mutex
	state State
	told  string // the problem that people were told
}

// New makes the stage.
func New(c Config) *Index {
	return &Index{
		Config: c, cursor: journal.Cursor{Stage: cmp.Or(c.Name, StageName), Topic: c.Frames.Name(), Partition: c.Partition},
		normaliser: normalise.New(), wait: 2 * c.Flush,
	}
}

// State returns how the index is, as far as this process runs it.
func (x *Index) State() State {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.state
}

// Held returns the time up to which the store holds for certain all that was
// received; zero is not known. Another process may run the stage: then its
// cursor tells.
func (x *Index) Held(ctx context.Context) time.Time {
	if s := x.State(); !s.Held.IsZero() {
		return s.Held
	}
	var next uint64
	err := x.Config.State.View(ctx, func(tx *store.Tx) (err error) {
		next, err = x.cursor.Load(ctx, tx)
		return err
	})
	if err != nil || next == 0 {
		return time.Time{}
	}
	held, err := x.heldBefore(ctx, next)
	if err != nil {
		return time.Time{}
	}
	return held
}

// heldBefore is when the frame at a cursor was received: what came before it is
// in the store.
func (x *Index) heldBefore(ctx context.Context, next uint64) (time.Time, error) {
	frames, err := x.Config.Frames.Read(ctx, x.Config.Partition, next, 1)
	switch kind := core.KindOf(err); {
	case kind == core.KindDamaged || kind == core.KindExpired:
		return time.Time{}, nil // not known, until the cursor moves
	case err != nil:
		return time.Time{}, err
	case len(frames) == 0:
		return x.Config.Clock.Now(), nil
	}
	return frames[0].Received, nil
}

func (x *Index) note(change func(*State)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change(&x.state)
}

// Register makes the cursor, unless it is there: from then on the journal keeps
// what was not indexed.
func (x *Index) Register(ctx context.Context) error {
	return x.cursor.Register(ctx, x.Config.State, 1)
}

// Run sends events until ctx ends, then returns nil. It returns an error only
// where the lease is somebody else's (KindExpired). One process at a time runs
// the stage of a partition.
func (x *Index) Run(ctx context.Context, lease *journal.Lease) error {
	// Afterwards another process's cursor tells.
	defer x.note(func(s *State) { *s = State{Sent: s.Sent, Missing: s.Missing, Damaged: s.Damaged} })
	r := &run{Index: x, lease: lease}
	pause := firstPause
	for ctx.Err() == nil {
		before := x.State().Sent
		err := r.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errLease) {
			return err
		}
		if errors.Is(err, errAgain) {
			continue
		}
		r.rounds = 0
		x.failed(err)
		if x.State().Sent > before {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-x.Config.Clock.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
	return nil
}

// failed keeps why sending does not work. A store that is only being started is
// no news; after that it is told once, and again when it changes.
func (x *Index) failed(err error) {
	now, text, tell := x.Config.Clock.Now(), err.Error(), false
	x.note(func(s *State) {
		if s.Since.IsZero() {
			s.Since = now
		}
		s.Problem = text
		if tell = x.told != text && now.Sub(s.Since) >= quietFor; tell {
			x.told = text
		}
	})
	if tell {
		x.Config.Log.Warn("events wait to be indexed", slog.Any("err", err))
	}
}

func (x *Index) works() {
	x.note(func(s *State) { s.Since, s.Problem, x.told = time.Time{}, "", "" })
}
