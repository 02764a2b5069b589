package journal

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

const (
	defaultBatch    = 64
	defaultAttempts = 5
	firstPause      = time.Second
	longestPause    = time.Minute
)

// Stage is a consumer of a journal. Only Name, From and Handle are required.
type Stage struct {
	// Name is the cursor's: stages of different names see every frame each.
	Name      string
	From      Reader
	Partition int32
	// Tenant, if set, keeps the stage to that tenant's frames and those that
	// are everybody's; it passes over the others.
	Tenant core.TenantID
	// Handle does what the frame asks for, all of it through tx: rows, and
	// records by [Topic.Publish]. It runs again if the transaction can't
	// commit, so it must have no effect outside tx except on what Restore
	// sets right. A panic is taken as an error.
	Handle func(ctx context.Context, tx *store.Tx, f Frame) error
	// Restore reads what the stage keeps in memory out of the database. It
	// runs before the first frame, and after every attempt that did not
	// commit before the next one.
	Restore func(ctx context.Context, tx *store.Tx) error
	// Lease, if set, must still be held for a commit to pass.
	Lease *Lease
	// Batch is how many frames may share a transaction; 0 means 64.
	Batch int
	// Attempts is how often a frame is tried before it is parked; 0 means 5.
	Attempts int
	// OnFailure, if set, is told of every attempt that failed. Failures are
	// never silent otherwise either: they are counted in the cursor's row,
	// and parking publishes to [Errors].
	OnFailure func(Failure)
	// Clock times the pauses between attempts; nil means the machine's.
	Clock core.Clock
}

// Failure is one attempt that failed. Offset is 0 where no single frame is to
// blame: the database is away, the journal can't be read.
type Failure struct {
	Stage     string
	Topic     string
	Partition int32
	Offset    uint64
	// Attempt counts the tries of this frame, also across restarts; 0 where
	// the fault is not the frame's.
	Attempt int
	// Parked says that it was the last one.
	Parked bool
	Err    error
}

// storedReader is what our own readers offer beyond [Reader]: rows that may not
// decode, so that a damaged frame can be parked like any other.
type storedReader interface {
	readStored(ctx context.Context, partition int32, from uint64, limit int) ([]stored, error)
	oldest(ctx context.Context, partition int32) (uint64, error)
}

// runner is a stage at work.
type runner struct {
	Stage
	state  *store.DB
	rows   storedReader
	cursor Cursor
	next   uint64
	// dirty means that what the stage keeps in memory may not be what the
	// database says.
	dirty bool
	// single is how many frames go into a transaction of their own, after one
	// of a batch failed.
	single int
	pauses int
}

// Run drives the stage until ctx ends, then returns nil. It returns an error
// only where going on would be wrong: the stage is not one, or its lease is
// somebody else's (KindExpired). Everything else is reported and tried again.
func Run(ctx context.Context, state *store.DB, s Stage) error {
	r, err := newRunner(state, s)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		err := r.step(ctx)
		if err == nil {
			r.pauses = 0
			continue
		}
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errLost) {
			return err
		}
		r.pause(ctx)
	}
	return nil
}

func newRunner(state *store.DB, s Stage) (*runner, error) {
	invalid := func(what string) error {
		return core.E(core.KindInvalid, "journal.Run", fmt.Sprintf("stage %.64q: %s", s.Name, what))
	}
	if topic, ok := s.From.(*Topic); ok && topic.db == nil {
		s.From = topic.Bind(state)
	}
	rows, ok := s.From.(storedReader)
	switch {
	case !validName.MatchString(s.Name):
		return nil, invalid("the name is not a plain word")
	case s.Handle == nil:
		return nil, invalid("it handles nothing")
	case !ok:
		return nil, invalid("it does not read from a journal")
	}
	if s.Batch <= 0 {
		s.Batch = defaultBatch
	}
	if s.Attempts <= 0 {
		s.Attempts = defaultAttempts
	}
	if s.Clock == nil {
		s.Clock = core.SystemClock{}
	}
	if s.OnFailure == nil {
		s.OnFailure = func(Failure) {}
	}
	return &runner{Stage: s, state: state, rows: rows, cursor: Cursor{s.Name, s.From.Name(), s.Partition}, dirty: true}, nil
}

// step handles what is there, or waits for something. An error asks for a pause.
func (r *runner) step(ctx context.Context) error {
	if r.next == 0 {
		if err := r.locate(ctx); err != nil {
			return r.blame(ctx, err)
		}
	}
	limit := r.Batch
	if r.single > 0 {
		limit = 1
	}
	rows, err := r.rows.readStored(ctx, r.Partition, r.next, limit)
	if err != nil {
		return r.blame(ctx, err)
	}
	if len(rows) == 0 {
		if err := r.From.Wait(ctx, r.Partition, r.next-1); err != nil {
			return r.blame(ctx, err)
		}
		return nil
	}
	if err := r.attempt(ctx, rows); err != nil {
		return r.failed(ctx, rows, err)
	}
	r.single = max(0, r.single-len(rows))
	return nil
}

// locate finds the cursor, or makes it at the oldest frame that is kept.
func (r *runner) locate(ctx context.Context) error {
	oldest, err := r.rows.oldest(ctx, r.Partition)
	if err != nil {
		return err
	}
	if err := r.cursor.Register(ctx, r.state, oldest); err != nil {
		return err
	}
	return r.state.View(ctx, func(tx *store.Tx) error {
		r.next, err = r.cursor.Load(ctx, tx)
		return err
	})
}

// attempt commits the frames' effects and the cursor, or nothing.
func (r *runner) attempt(ctx context.Context, rows []stored) error {
	last, reached := rows[len(rows)-1].Offset, false
	next := last + 1
	err := r.state.Tx(ctx, func(tx *store.Tx) error {
		reached = false
		if err := r.enter(ctx, tx); err != nil {
			return err
		}
		if err := r.restore(ctx, tx); err != nil {
			return err
		}
		for _, s := range rows {
			if err := r.handle(ctx, tx, s); err != nil {
				return err
			}
		}
		reached = true
		return r.cursor.Save(ctx, tx, r.next, next)
	})
	if err != nil && reached {
		// All were handled and the commit refused them: one of them is it.
		return &frameError{last, err}
	}
	if err != nil {
		return err
	}
	r.dirty = false
	r.next = next
	return nil
}

// enter proves that this runner may commit: the lease is ours and the cursor
// where we left it.
func (r *runner) enter(ctx context.Context, tx *store.Tx) error {
	if r.Lease != nil {
		if err := r.Lease.Check(ctx, tx); err != nil {
			return err
		}
	}
	next, err := r.cursor.Load(ctx, tx)
	if err == nil && next != r.next {
		return r.cursor.moved(r.next)
	}
	return err
}

// restore makes memory agree with the database, if an attempt came to nothing.
// The flag goes up before anything is handled: the transaction may run again.
func (r *runner) restore(ctx context.Context, tx *store.Tx) error {
	if r.dirty && r.Restore != nil {
		if err := r.Restore(ctx, tx); err != nil {
			return fmt.Errorf("restore stage %s: %w", r.Name, err)
		}
	}
	r.dirty = true
	return nil
}

// handle gives one frame to the stage.
func (r *runner) handle(ctx context.Context, tx *store.Tx, s stored) (err error) {
	if !r.Tenant.IsZero() && !s.Tenant.IsZero() && s.Tenant != r.Tenant {
		return nil
	}
	f, err := s.decode()
	if err != nil {
		return &frameError{s.Offset, err}
	}
	defer func() {
		if p := recover(); p != nil {
			err = &frameError{s.Offset, core.E(core.KindInternal, "journal.Run", fmt.Sprintf("stage %s panicked: %v\n%s", r.Name, p, debug.Stack()))}
		}
	}()
	err = r.Handle(withHandled(ctx, r.Name, f), tx, f)
	if err == nil {
		err = tx.Err() // a failed statement that Handle did not mind
	}
	if err != nil {
		return &frameError{s.Offset, err}
	}
	return nil
}

// frameError is an error with a frame to it.
type frameError struct {
	offset uint64
	err    error
}

func (e *frameError) Error() string { return fmt.Sprintf("offset %d: %v", e.offset, e.err) }

func (e *frameError) Unwrap() error { return e.err }
