package journal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/wal"
)

const (
	// groupCalls bounds how many concurrent Append calls share a commit.
	groupCalls = 256
	tickEvery  = time.Second
)

// RawOptions are how the raw journal is kept. The zero value is one partition
// by the machine's clock, which cannot be trimmed.
type RawOptions struct {
	// Partitions is how many there are; 0 means 1. It may grow later.
	Partitions int32
	Clock      core.Clock
	// State is the database where the cursors are; [Raw.Trim] needs it.
	State *store.DB
}

// Raw is what came in, in arrival order, with a tick every second. It is safe
// for concurrent use.
type Raw struct {
	db    *store.DB
	log   log
	opts  RawOptions
	group *wal.Group[*appending]

	mu sync.Mutex
	// ticked is, per partition, the last tick that this process knows of.
	ticked []int64
}

// appending is one call of Append in a group commit.
type appending struct {
	frames []*stored
	out    []Appended
	err    error
}

// OpenRaw opens the raw journal over a database that has [RawMigrations].
func OpenRaw(ctx context.Context, db *store.DB, o RawOptions) (*Raw, error) {
	if o.Partitions <= 0 {
		o.Partitions = 1
	}
	if o.Clock == nil {
		o.Clock = core.SystemClock{}
	}
	r := &Raw{db: db, log: log{"journal_raw", "raw"}, opts: o, ticked: make([]int64, o.Partitions)}
	r.group = wal.NewGroup(groupCalls, r.commit)
	err := db.View(ctx, func(tx *store.Tx) error {
		for part := range o.Partitions {
			h, err := r.log.head(ctx, tx, part)
			if err != nil {
				return err
			}
			r.ticked[part] = h.ticked
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open raw journal: %w", err)
	}
	return r, nil
}

// Name implements [Reader].
func (r *Raw) Name() string { return r.log.name }

// Partitions returns how many there are.
func (r *Raw) Partitions() int32 { return r.opts.Partitions }

// Append stores frames and returns when they are durable, all or none of them.
// Concurrent calls share a commit; the frames of one call keep their order.
// The answers stand in the order of the frames. KindUncertain means that the
// frames may or may not be stored: send keyed ones again.
func (r *Raw) Append(ctx context.Context, frames ...Frame) ([]Appended, error) {
	a := &appending{frames: make([]*stored, len(frames)), out: make([]Appended, len(frames))}
	for i, f := range frames {
		if f.Partition >= r.opts.Partitions {
			return nil, core.E(core.KindInvalid, "journal.Append", fmt.Sprintf("partition %d of %d", f.Partition, r.opts.Partitions))
		}
		if f.Received.IsZero() {
			f.Received = r.opts.Clock.Now()
		}
		s, err := encode(f)
		if err != nil {
			return nil, err
		}
		a.frames[i] = &s
	}
	if len(frames) == 0 {
		return nil, nil
	}
	if err := r.group.Do(ctx, a); err != nil {
		return nil, err
	}
	return a.out, a.err
}

// commit stores the frames of several callers. One whose frames the database
// refuses must not fail the others, so they are then stored one by one; not so
// when the database is away, or nobody knows whether it committed.
func (r *Raw) commit(calls []*appending) error {
	err := r.store(calls)
	kind := core.KindOf(err)
	if err == nil || len(calls) == 1 || kind == core.KindUnavailable || kind == core.KindUncertain {
		return err
	}
	for _, a := range calls {
		a.err = r.store([]*appending{a})
	}
	return nil
}

// store is one transaction. It does not end with any caller's context: the
// others' frames are in it too.
func (r *Raw) store(calls []*appending) error {
	ctx := context.Background()
	return r.db.LockTx(ctx, func(tx *store.Tx) error {
		fresh, dups, err := claim(ctx, tx, calls)
		if err != nil {
			return err
		}
		if err := r.place(ctx, tx, fresh); err != nil {
			return err
		}
		for _, d := range dups {
			d.settle()
		}
		return remember(ctx, tx, fresh)
	})
}

// place gives the frames their offsets, partition after partition, and writes
// them.
func (r *Raw) place(ctx context.Context, tx *store.Tx, fresh []placed) error {
	slices.SortFunc(fresh, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.frame.Partition, b.frame.Partition), cmp.Compare(a.turn, b.turn))
	})
	rows := make([]*stored, len(fresh))
	for i := 0; i < len(fresh); {
		part, n := fresh[i].frame.Partition, 1
		for i+n < len(fresh) && fresh[i+n].frame.Partition == part {
			n++
		}
		first, err := r.log.reserve(ctx, tx, part, n)
		if err != nil {
			return err
		}
		for k := range n {
			p := fresh[i+k]
			p.frame.Offset = first + uint64(k)
			p.out.Offset = p.frame.Offset
			rows[i+k] = p.frame
		}
		if err := tx.Notify(ctx, r.log.channel(part)); err != nil {
			return err
		}
		i += n
	}
	return r.log.insert(ctx, tx, rows)
}

// Read implements [Reader].
func (r *Raw) Read(ctx context.Context, partition int32, from uint64, limit int) ([]Frame, error) {
	rows, err := r.readStored(ctx, partition, from, limit)
	if err != nil {
		return nil, err
	}
	return decodeAll(rows)
}

func (r *Raw) readStored(ctx context.Context, partition int32, from uint64, limit int) ([]stored, error) {
	return r.log.read(ctx, r.db, partition, from, limit)
}

// Wait implements [Reader].
func (r *Raw) Wait(ctx context.Context, partition int32, after uint64) error {
	return r.log.wait(ctx, r.db, partition, after)
}

func (r *Raw) oldest(ctx context.Context, partition int32) (uint64, error) {
	return r.log.oldest(ctx, r.db, partition)
}

// Trim deletes what lies below before in every partition, and never a frame
// that a registered cursor has not passed. A partition that nobody reads is an
// error: its stages may only not have started yet.
func (r *Raw) Trim(ctx context.Context, before uint64) error {
	if r.opts.State == nil {
		return core.E(core.KindInvalid, "journal.Trim", "the raw journal was opened without the state database, where the cursors are")
	}
	for part := range r.opts.Partitions {
		if err := trimBehind(ctx, r.opts.State, r.db, r.log, part, before); err != nil {
			return err
		}
	}
	return nil
}

// Tick appends one tick to every partition that has had none for a second. Of
// several servers on one database the one whose tick was last goes on; the
// others see the partition ticking and leave it alone.
//
// A tick's time never goes back and never stands still: if the clock was set
// back, ticks go on from the last one at half speed until the clock catches up.
// A device that falls silent meanwhile is still noticed.
func (r *Raw) Tick(ctx context.Context) error {
	for part := range r.opts.Partitions {
		if err := r.tick(ctx, part); err != nil {
			return fmt.Errorf("tick of partition %d: %w", part, err)
		}
	}
	return nil
}

func (r *Raw) tick(ctx context.Context, part int32) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.ticked[part]
	err := r.db.LockTx(ctx, func(tx *store.Tx) error {
		seen = r.ticked[part]
		first, err := r.log.reserve(ctx, tx, part, 0) // locks the row
		if err != nil {
			return err
		}
		h, err := r.log.head(ctx, tx, part)
		if err != nil {
			return err
		}
		at, due := nextTick(h.ticked, seen, r.opts.Clock.Now().UnixMicro())
		seen = h.ticked
		if !due {
			return nil
		}
		seen = at
		return r.writeTick(ctx, tx, part, first, at)
	})
	if err == nil {
		r.ticked[part] = seen
	}
	return err
}

// nextTick decides whether a tick is due, given the last one stored and the
// last one that this process saw.
func nextTick(last, seen, now int64) (at int64, due bool) {
	switch {
	case last != seen: // somebody else ticks
		return 0, false
	case now < last: // the clock was set back
		return last + tickEvery.Microseconds()/2, true
	}
	return now, now-last >= tickEvery.Microseconds()
}

func (r *Raw) writeTick(ctx context.Context, tx *store.Tx, part int32, pos uint64, at int64) error {
	s, err := encode(Frame{Partition: part, Kind: KindTick, Source: "clock", Received: store.FromMicros(at)})
	if err != nil {
		return err
	}
	s.Offset = pos
	if err := r.log.insert(ctx, tx, []*stored{&s}); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE journal_raw_heads SET next = $3, ticked = $4 WHERE topic = $1 AND part = $2`, r.log.name, part, int64(pos)+1, at); err != nil {
		return err
	}
	return tx.Notify(ctx, r.log.channel(part))
}

// RunTicks calls [Raw.Tick] every second until ctx ends. failed is told of
// every tick that could not be written; the next one is tried all the same.
func (r *Raw) RunTicks(ctx context.Context, failed func(error)) {
	for {
		if err := r.Tick(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-r.opts.Clock.After(tickEvery):
		case <-ctx.Done():
			return
		}
	}
}
