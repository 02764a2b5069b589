package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// maxErrorText bounds what is kept of an error, in bytes.
const maxErrorText = 2000

// Errors is the topic of frames that were parked; its records are
// [ParkedRecord].
var Errors = NewTopic("journal.errors")

// ParkedRecord says that a stage gave a frame up for a person to look at.
type ParkedRecord struct {
	Stage     string    `json:"stage"`
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    uint64    `json:"offset"`
	Attempts  int       `json:"attempts"`
	Error     string    `json:"error"`
	Parked    time.Time `json:"parked"`
}

// blame reports a failure that is no frame's.
func (r *runner) blame(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		r.OnFailure(Failure{Stage: r.Name, Topic: r.cursor.Topic, Partition: r.Partition, Err: err})
	}
	return err
}

// failed decides what becomes of frames whose attempt did not commit.
func (r *runner) failed(ctx context.Context, rows []stored, err error) error {
	var of *frameError
	switch {
	case ctx.Err() != nil:
		return err
	case !errors.As(err, &of), isEnvironment(err), errors.Is(err, errMoved), errors.Is(err, errLost):
		// Whatever the reason, the database knows best where we are.
		r.next = 0
		return r.blame(ctx, err)
	case len(rows) > 1:
		// One of a batch: find it by taking them one at a time.
		r.single = len(rows)
		return nil
	}
	return r.strike(ctx, rows[0], of.err)
}

// isEnvironment tells a fault of the surroundings, which passes, from one that
// the frame brings with it.
func isEnvironment(err error) bool {
	kind := core.KindOf(err)
	return kind == core.KindUnavailable || kind == core.KindUncertain
}

// strike counts a failure of the frame at the cursor, durably, so that a restart
// does not start the count again; the last one parks it.
func (r *runner) strike(ctx context.Context, s stored, cause error) error {
	attempt := 0
	err := r.state.Tx(ctx, func(tx *store.Tx) error {
		if err := r.enter(ctx, tx); err != nil {
			return err
		}
		_, attempts, err := r.cursor.load(ctx, tx)
		if err != nil {
			return err
		}
		attempt = attempts + 1
		if attempt >= r.Attempts {
			return r.park(ctx, tx, s, attempt, cause)
		}
		_, err = tx.Exec(ctx, `UPDATE journal_cursors SET attempts = $4 WHERE stage = $1 AND topic = $2 AND part = $3`,
			r.cursor.Stage, r.cursor.Topic, r.cursor.Partition, attempt)
		return err
	})
	if err != nil {
		r.next = 0
		return r.blame(ctx, errors.Join(err, cause))
	}
	parked := attempt >= r.Attempts
	r.OnFailure(Failure{r.Name, r.cursor.Topic, r.Partition, s.Offset, attempt, parked, cause})
	if parked {
		r.next, r.single = s.Offset+1, max(0, r.single-1)
		return nil
	}
	return fmt.Errorf("offset %d: %w", s.Offset, cause)
}

// park moves the frame out of the way, with its bytes, and says so.
func (r *runner) park(ctx context.Context, tx *store.Tx, s stored, attempts int, cause error) error {
	rec := ParkedRecord{
		Stage: r.Name, Topic: r.cursor.Topic, Partition: r.Partition, Offset: s.Offset,
		Attempts: attempts, Error: errorText(cause), Parked: r.Clock.Now().UTC(),
	}
	origin, err := s.origin()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO journal_parked (stage, `+frameColumns+`, attempts, error, parked) VALUES `+tuples(1, 14),
		r.Name, r.cursor.Topic, s.Partition, int64(s.Offset), int(s.Kind), s.Tenant, s.Source, micros(s.Received), origin, s.size, s.body,
		attempts, rec.Error, micros(rec.Parked))
	if err != nil {
		return err
	}
	body, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if err := Errors.Publish(withHandled(ctx, r.Name, s.Frame), tx, s.Tenant, body); err != nil {
		return err
	}
	return r.cursor.Save(ctx, tx, r.next, s.Offset+1)
}

// errorText is what is kept of an error: bounded, and text for both engines.
func errorText(err error) string {
	text := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return text
}

func (r *runner) pause(ctx context.Context) {
	d := min(longestPause, firstPause<<min(r.pauses, 10))
	r.pauses++
	select {
	case <-r.Clock.After(d):
	case <-ctx.Done():
	}
}

// Parked lists the frames that stages gave up on, oldest first, at most limit.
func Parked(ctx context.Context, state *store.DB, limit int) (list []ParkedRecord, err error) {
	err = state.View(ctx, func(tx *store.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT stage, topic, part, pos, attempts, error, parked FROM journal_parked ORDER BY parked, stage, pos LIMIT $1`, limit)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err tells
		for rows.Next() {
			var p ParkedRecord
			var pos, at int64
			if err := rows.Scan(&p.Stage, &p.Topic, &p.Partition, &pos, &p.Attempts, &p.Error, &at); err != nil {
				return err
			}
			p.Offset, p.Parked = uint64(pos), store.FromMicros(at)
			list = append(list, p)
		}
		return rows.Err()
	})
	return list, err
}

// Unpark gives a parked frame to the stage once more, out of its old order, and
// takes it off the list in the same transaction. The stage must not be running
// with memory of its own: stop it first.
func Unpark(ctx context.Context, state *store.DB, s Stage, offset uint64) error {
	r, err := newRunner(state, s)
	if err != nil {
		return err
	}
	return state.Tx(ctx, func(tx *store.Tx) error {
		if r.Lease != nil {
			if err := r.Lease.Check(ctx, tx); err != nil {
				return err
			}
		}
		f, err := r.takeParked(ctx, tx, offset)
		if err != nil {
			return err
		}
		if err := r.restore(ctx, tx); err != nil {
			return err
		}
		return r.handle(ctx, tx, f)
	})
}

func (r *runner) takeParked(ctx context.Context, tx *store.Tx, offset uint64) (stored, error) {
	rows, err := tx.Query(ctx, `DELETE FROM journal_parked WHERE stage = $1 AND topic = $2 AND part = $3 AND pos = $4 RETURNING `+frameColumns,
		r.Name, r.cursor.Topic, r.Partition, int64(offset))
	if err != nil {
		return stored{}, err
	}
	found, err := scanFrames(rows)
	if err == nil && len(found) == 0 {
		err = core.E(core.KindNotFound, "journal.Unpark", fmt.Sprintf("stage %s has no parked frame %s/%d/%d", r.Name, r.cursor.Topic, r.Partition, offset))
	}
	if err != nil {
		return stored{}, err
	}
	return found[0], nil
}
