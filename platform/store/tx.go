package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/interlock-security/interlock/core"
)

const (
	// maxAttempts bounds how often one transaction is tried when others come
	// between. With the pauses below that is about two seconds.
	maxAttempts = 24
	maxPause    = 100 * time.Millisecond
	// commitGrace is how long a commit may go on after its caller gave up.
	commitGrace = 10 * time.Second
	// writerPatience is how long a transaction waits for its connection. A
	// transaction opened inside another one would wait for ever.
	writerPatience = 30 * time.Second
)

// Tx is a transaction under way. It belongs to the function it was given to.
type Tx struct {
	db       *DB
	tx       *sql.Tx
	view     bool
	doomed   error
	after    []func()
	notified map[string]bool
}

// Tx runs fn in a write transaction and commits it; nil means durable. The
// result is as if transactions ran one after another: on SQLite they do, on
// PostgreSQL they are SERIALIZABLE and a conflicting one runs again, so fn must
// have no effect outside tx. An error from fn, or from any statement even if fn
// hides it, rolls back. KindUncertain means that the answer to COMMIT was lost.
func (db *DB) Tx(ctx context.Context, fn func(*Tx) error) error {
	return db.retry(ctx, sql.LevelSerializable, fn)
}

// LockTx is [DB.Tx] for code that first locks the rows it decides on
// ([Tx.ForUpdate], an UPDATE that comes first): on PostgreSQL it runs at
// READ COMMITTED, where a second comer waits for the lock instead of failing
// and running again.
func (db *DB) LockTx(ctx context.Context, fn func(*Tx) error) error {
	return db.retry(ctx, sql.LevelReadCommitted, fn)
}

// View runs fn over one unchanging snapshot. Views are meant to be short: on
// SQLite the log can't be reset while one is open.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	const op = "store.View"
	if db.dialect == SQLite {
		if err := db.gate.enter(ctx); err != nil {
			return core.Wrap(core.KindUnavailable, op, err)
		}
		defer db.gate.leave()
	}
	opts := &sql.TxOptions{ReadOnly: true}
	if db.dialect == Postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	sqlTx, err := db.read.BeginTx(ctx, opts)
	if err != nil {
		return fault(op, err)
	}
	defer func() { _ = sqlTx.Rollback() }() // nothing to keep
	tx := &Tx{db: db, tx: sqlTx, view: true}
	if err := fn(tx); err != nil {
		return fault(op, err)
	}
	return fault(op, tx.doomed)
}

func (db *DB) retry(ctx context.Context, level sql.IsolationLevel, fn func(*Tx) error) error {
	const op = "store.Tx"
	var err error
	for attempt := range maxAttempts {
		if attempt > 0 {
			db.retries.Add(1)
			if perr := pause(ctx, attempt); perr != nil {
				return fault(op, perr)
			}
		}
		if err = db.once(ctx, level, fn); err == nil || db.dialect != Postgres || !IsBusy(err) {
			return fault(op, err)
		}
	}
	return fault(op, err)
}

// pause waits a random time that grows with the attempts. It is waiting for
// other transactions of a real server, hence real time.
func pause(ctx context.Context, attempt int) error {
	limit := min(maxPause, time.Millisecond<<min(attempt, 10))
	t := time.NewTimer(rand.N(limit) + time.Millisecond) // spreading retries needs no secrecy
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once runs one attempt. The transaction is bound to a context of its own:
// a caller that gives up must not tear the connection in the middle of COMMIT,
// which would leave nobody knowing whether it happened.
func (db *DB) once(ctx context.Context, level sql.IsolationLevel, fn func(*Tx) error) error {
	conn, err := db.writer(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	own, cancel := graceful(ctx)
	defer cancel()
	opts := &sql.TxOptions{Isolation: level}
	if db.dialect == SQLite {
		opts.Isolation = sql.LevelSerializable // BEGIN IMMEDIATE
	}
	sqlTx, err := conn.BeginTx(own, opts)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // fn failed or panicked
			_ = sqlTx.Rollback()
		}
	}()
	tx := &Tx{db: db, tx: sqlTx}
	if err := tx.run(ctx, fn); err != nil {
		return err
	}
	done = true
	if err := sqlTx.Commit(); err != nil {
		return commitFault(db.dialect, err)
	}
	tx.committed()
	if db.dialect == SQLite {
		db.checkpoint(own, conn)
	}
	return nil
}

// writer waits for a connection that may write.
func (db *DB) writer(ctx context.Context) (*sql.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, db.patience)
	defer cancel()
	conn, err := db.write.Conn(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return nil, core.E(core.KindUnavailable, "store.Tx", fmt.Sprintf("no connection for writing became free in %v", db.patience)).
			WithHint("if nothing else is slow, a transaction was opened inside another one")
	}
	return conn, err
}

func (tx *Tx) run(ctx context.Context, fn func(*Tx) error) error {
	if err := fn(tx); err != nil {
		if tx.doomed != nil && IsBusy(tx.doomed) && !IsBusy(err) {
			// fn replaced the conflict's error by its own words; the
			// conflict decides whether to try again.
			return errors.Join(tx.doomed, err)
		}
		return err
	}
	if tx.doomed != nil {
		return tx.doomed
	}
	return ctx.Err()
}

func (tx *Tx) committed() {
	for _, fn := range tx.after {
		fn()
	}
	for channel := range tx.notified {
		tx.db.signals.wake(channel)
	}
}

// graceful returns a context that outlives its parent by commitGrace.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(commitGrace, cancel)
		context.AfterFunc(own, func() { t.Stop() })
	})
	return own, func() { stop(); cancel() }
}

// commitFault tells a commit that was refused from one whose answer was lost.
func commitFault(d Dialect, err error) error {
	var pg *pgconn.PgError
	if d == Postgres && !errors.As(err, &pg) {
		e := core.E(core.KindUncertain, "store.Tx", "the connection broke during COMMIT: it may or may not have happened").
			WithHint("read the state again before repeating the step")
		e.Err = err
		return e
	}
	return err
}

// Exec runs a statement that returns no rows.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	res, err := tx.tx.ExecContext(ctx, tx.text(query), args...)
	return res, tx.doom("store.Exec", err)
}

// Query runs a statement that returns rows. Close them before the next
// statement.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := tx.tx.QueryContext(ctx, tx.text(query), args...)
	return rows, tx.doom("store.Query", err)
}

// QueryRow runs a statement that returns at most one row; Scan reports
// [sql.ErrNoRows] for none.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	row := tx.tx.QueryRowContext(ctx, tx.text(query), args...)
	_ = tx.doom("store.QueryRow", row.Err())
	return row
}

// Affected runs a statement and returns how many rows it touched.
func (tx *Tx) Affected(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Err returns the error of the first statement that failed: the transaction
// will not commit, whatever its function returns.
func (tx *Tx) Err() error { return tx.doomed }

// Dialect returns the engine.
func (tx *Tx) Dialect() Dialect { return tx.db.dialect }

// ForUpdate is the suffix by which a SELECT locks its rows: [Dialect.ForUpdate],
// and empty in a view.
func (tx *Tx) ForUpdate() string {
	if tx.view {
		return ""
	}
	return tx.db.dialect.ForUpdate()
}

// SkipLocked is [Tx.ForUpdate] for a claim, which passes over the rows that
// another claimer holds.
func (tx *Tx) SkipLocked() string {
	if lock := tx.ForUpdate(); lock != "" {
		return lock + " SKIP LOCKED"
	}
	return ""
}

// OnCommit calls fn once the transaction is durable, never if it is not.
func (tx *Tx) OnCommit(fn func()) { tx.after = append(tx.after, fn) }

func (tx *Tx) text(query string) string {
	if tx.db.dialect == SQLite {
		return rewrite(query)
	}
	return query
}

// doom remembers the first failed statement: PostgreSQL can't go on after one,
// so SQLite does not either.
func (tx *Tx) doom(op string, err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	err = fault(op, err)
	if tx.doomed == nil {
		tx.doomed = err
	}
	return err
}
