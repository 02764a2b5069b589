// Package store opens the databases that keep state and the journal: SQLite,
// encrypted at rest, on one machine, or PostgreSQL when one machine is not
// enough. It is the only folder that imports a database driver.
//
// # One codebase for two engines
//
// SQL is hand-written by the owner of a table in the subset that both engines
// share, with $n placeholders; for SQLite they are rewritten to ?n. Only the
// CREATE statements differ: SQLite tables are STRICT with INTEGER, TEXT, BLOB,
// PostgreSQL's have BIGINT, TEXT, BYTEA. Times are microseconds since 1970 UTC,
// JSON is bytes, identifiers are TEXT, truth is the integer 0 or 1.
//
// What is made the same, so that a test on SQLite says something about
// PostgreSQL: [DB.Tx] behaves as if transactions ran one after another; any
// failed statement dooms its transaction; a full disk is
// [core.KindUnavailable]. What is not the same: on PostgreSQL rows must be
// closed before the next statement, and text must not hold a NUL byte.
//
// # What commit means
//
// When [DB.Tx] returns nil the data is on disk: synchronous=FULL on SQLite;
// PostgreSQL is refused at start when fsync or synchronous_commit is off.
package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Config says which database to open.
type Config struct {
	// Driver is "sqlite" or "postgres".
	Driver string
	// Path is the SQLite file. Its folder is made 0700, its files 0600.
	Path string
	// Key is 32 bytes: SQLite files are never written in the clear.
	Key core.Secret
	// WALPages bounds SQLite's write-ahead log, in pages of 4 KiB: past it,
	// readers are held off for the moment a checkpoint needs. 0 means 4096.
	WALPages int
	// DSN is PostgreSQL's connection string. Beyond this machine it must ask
	// for a verified server certificate (sslmode=verify-full).
	DSN string
	// MaxConns bounds PostgreSQL's connections, those that read and those
	// that write each, so that neither waits for the other; 0 means 16.
	MaxConns int
}

// Dialect is which engine answers.
type Dialect uint8

// The dialects.
const (
	SQLite Dialect = iota + 1
	Postgres
)

// String returns the name used in Config.Driver and in migration folders.
func (d Dialect) String() string {
	switch d {
	case SQLite:
		return "sqlite"
	case Postgres:
		return "postgres"
	}
	return "unknown"
}

// ForUpdate is the suffix by which a SELECT locks its rows in a write
// transaction: empty on SQLite, whose writer is alone anyway. [Tx.ForUpdate]
// also fits a view.
func (d Dialect) ForUpdate() string {
	if d == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect Dialect
	write   *sql.DB // one connection on SQLite; the pool on PostgreSQL
	read    *sql.DB
	// patience is writerPatience; tests shorten it.
	patience time.Duration
	gate     gate // SQLite: holds readers off while the log is reset
	wal      walState
	signals  signals
	dsn      string // PostgreSQL: for the listener's own connection
	retries  atomic.Uint64
}

// Open opens the database, creating a SQLite file that is not there. A wrong
// key, a file that is not a database, a library too old and a server that does
// not keep its promises are errors that say so; none of them names the key.
func Open(ctx context.Context, c Config) (*DB, error) {
	switch c.Driver {
	case "sqlite":
		return openSQLite(ctx, c)
	case "postgres":
		return openPostgres(ctx, c)
	}
	return nil, core.E(core.KindInvalid, "store.Open", "driver is neither sqlite nor postgres").
		WithHint(`set the driver to "sqlite" or "postgres"`)
}

// Close waits for transactions under way and closes every connection.
func (db *DB) Close() error {
	db.signals.stop()
	// The writer closes last: on SQLite it is the one that folds the log away.
	return core.Wrap(core.KindInternal, "store.Close", errors.Join(db.read.Close(), db.write.Close()))
}

// Dialect returns the engine.
func (db *DB) Dialect() Dialect { return db.dialect }

// Retries counts the transactions that ran again because another one came
// between (PostgreSQL only).
func (db *DB) Retries() uint64 { return db.retries.Load() }

// Micros is how a time is stored.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// FromMicros reads a stored time, in UTC.
func FromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }
