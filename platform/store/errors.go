package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"

	"github.com/interlock-security/interlock/core"
)

// PostgreSQL's SQLSTATE codes that we decide on.
const (
	stateUnique        = "23505"
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateLockTimeout   = "55P03"
)

// IsUnique reports whether err is a broken uniqueness constraint or primary
// key.
func IsUnique(err error) bool {
	if errors.Is(err, sqlite3.CONSTRAINT_UNIQUE) || errors.Is(err, sqlite3.CONSTRAINT_PRIMARYKEY) || errors.Is(err, sqlite3.CONSTRAINT_ROWID) {
		return true
	}
	return sqlState(err) == stateUnique
}

// IsBusy reports whether err says that somebody else held what was needed, so
// that the same transaction may pass if tried again.
func IsBusy(err error) bool {
	if errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.LOCKED) {
		return true
	}
	switch sqlState(err) {
	case stateSerialization, stateDeadlock, stateLockTimeout:
		return true
	}
	return false
}

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// fault gives a driver's error the kind that callers decide on. Errors that
// have a kind already, and the two that database/sql users test for, keep it.
func fault(op string, err error) error {
	switch {
	case err == nil, errors.Is(err, sql.ErrNoRows), errors.Is(err, context.Canceled), core.KindOf(err) != core.KindInternal:
		return err
	case IsUnique(err):
		return core.Wrap(core.KindConflict, op, err)
	case errors.Is(err, sqlite3.NOTADB), errors.Is(err, sqlite3.CORRUPT):
		return core.Wrap(core.KindDamaged, op, err)
	case outOfRoom(err):
		e := core.E(core.KindUnavailable, op, "the volume does not take writes").WithHint("free space on the data volume and look at the disk's health; nothing is half written")
		e.Err = err
		return e
	case IsBusy(err), unreachable(err), errors.Is(err, context.DeadlineExceeded):
		return core.Wrap(core.KindUnavailable, op, err)
	}
	return err
}

// outOfRoom reports a full disk or quota. The SQLite driver loses the system's
// error number on the way up, so every failed write counts.
func outOfRoom(err error) bool {
	for _, code := range []error{sqlite3.FULL, sqlite3.IOERR_WRITE, sqlite3.IOERR_FSYNC, sqlite3.IOERR_SHMSIZE, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, code) {
			return true
		}
	}
	return sqlState(err) == "53100"
}

// unreachable reports a database that is down, stopping, starting or full of
// other clients. SQLite's own kind is a file that cannot be read or written.
func unreachable(err error) bool {
	var connect *pgconn.ConnectError
	var network *net.OpError // not net.Error: SQLite's errors have its methods too
	if errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sqlite3.IOERR) || errors.Is(err, sqlite3.CANTOPEN) ||
		errors.Is(err, sqlite3.INTERRUPT) || errors.Is(err, sqlite3.READONLY) {
		return true
	}
	state := sqlState(err)
	for _, class := range []string{"08", "53", "57", "58", "25006"} {
		if strings.HasPrefix(state, class) {
			return true
		}
	}
	return false
}
