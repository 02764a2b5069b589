package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Cursor names how far a stage is in one partition of what it reads.
type Cursor struct {
	Stage     string
	Topic     string
	Partition int32
}

// Load returns the next offset that the stage has to handle, 0 for a cursor
// that is not registered. In a write transaction it holds the cursor, so that a
// second runner of the stage waits.
func (c Cursor) Load(ctx context.Context, tx *store.Tx) (next uint64, err error) {
	next, _, err = c.load(ctx, tx)
	return next, err
}

func (c Cursor) load(ctx context.Context, tx *store.Tx) (next uint64, attempts int, err error) {
	var pos int64
	err = tx.QueryRow(ctx, `SELECT next, attempts FROM journal_cursors WHERE stage = $1 AND topic = $2 AND part = $3`+tx.ForUpdate(),
		c.Stage, c.Topic, c.Partition).Scan(&pos, &attempts)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, nil
	}
	return uint64(pos), attempts, err
}

// Save moves the cursor from one offset to the next. If it is elsewhere,
// somebody else runs the stage and the transaction must not commit: the error
// is of kind KindConflict.
func (c Cursor) Save(ctx context.Context, tx *store.Tx, from, next uint64) error {
	n, err := tx.Affected(ctx, `UPDATE journal_cursors SET next = $5, attempts = 0 WHERE stage = $1 AND topic = $2 AND part = $3 AND next = $4`,
		c.Stage, c.Topic, c.Partition, int64(from), int64(next))
	if err != nil {
		return err
	}
	if n != 1 {
		return c.moved(from)
	}
	return nil
}

// errMoved marks the conflict of two runners of one stage.
var errMoved = errors.New("another runner of the stage moved it")

func (c Cursor) moved(from uint64) error {
	e := core.E(core.KindConflict, "journal.Cursor", fmt.Sprintf("the cursor of %s in %s/%d is no longer at %d", c.Stage, c.Topic, c.Partition, from))
	e.Err = errMoved
	return e
}

// Register makes the cursor, at the given offset, unless it is there. From then
// on nothing is trimmed that the stage has not passed. Wiring registers every
// stage before it trims anything; [Run] does so too.
func (c Cursor) Register(ctx context.Context, state *store.DB, from uint64) error {
	return state.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO journal_cursors (stage, topic, part, next, attempts) VALUES ($1, $2, $3, $4, 0)
			ON CONFLICT (stage, topic, part) DO NOTHING`, c.Stage, c.Topic, c.Partition, int64(from))
		return err
	})
}

// Forget removes the cursor of a stage that is no more, so that it no longer
// holds up trimming.
func (c Cursor) Forget(ctx context.Context, state *store.DB) error {
	return state.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM journal_cursors WHERE stage = $1 AND topic = $2 AND part = $3`, c.Stage, c.Topic, c.Partition)
		return err
	})
}

// trimBehind trims a partition below before, but not past its slowest cursor.
// Cursors only move on, so one that was read here can't be overtaken.
func trimBehind(ctx context.Context, state, db *store.DB, l log, part int32, before uint64) error {
	var slowest sql.NullInt64
	err := state.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `SELECT min(next) FROM journal_cursors WHERE topic = $1 AND part = $2`, l.name, part).Scan(&slowest)
	})
	if err != nil {
		return err
	}
	if !slowest.Valid {
		return core.E(core.KindConflict, "journal.Trim", fmt.Sprintf("no stage is registered for %s partition %d", l.name, part)).
			WithHint("register the cursors of all stages first")
	}
	return l.trim(ctx, db, part, min(before, uint64(slowest.Int64)))
}
