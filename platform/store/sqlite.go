package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum" // the encrypting file layer

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

const (
	keySize       = 32
	busyTimeout   = 5 * time.Second
	walPassive    = 1000 // pages between checkpoints that wait for nobody
	walDefault    = 4096
	pageSize      = 4096
	readerPatient = 2 * time.Second
)

// minSQLite is the first release without the WAL-reset defect, by which
// 3.7.0 to 3.51.2 could corrupt a database that has two connections.
var minSQLite = [3]int{3, 51, 3}

// walState is the writer's knowledge of its log, in pages.
type walState struct {
	pages    atomic.Int64 // after the last commit
	nextSoft int64        // guarded by the single writer connection
	nextHard int64
	limit    int64
	forced   atomic.Uint64
	held     atomic.Uint64
}

func openSQLite(ctx context.Context, c Config) (*DB, error) {
	const op = "store.Open"
	if len(c.Key.Reveal()) != keySize {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("the database key has %d bytes, %d are needed", len(c.Key.Reveal()), keySize))
	}
	if !filepath.IsAbs(c.Path) {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("database path %q is not absolute", c.Path))
	}
	if err := prepareFiles(c.Path); err != nil {
		return nil, core.Wrap(core.KindUnavailable, op, err)
	}
	if err := proveKey(c.Path, c.Key); err != nil {
		return nil, err
	}
	db := &DB{dialect: SQLite, patience: writerPatience}
	db.wal.limit = int64(c.WALPages)
	if db.wal.limit <= 0 {
		db.wal.limit = walDefault
	}
	if err := db.connectSQLite(ctx, c); err != nil {
		return nil, err
	}
	if err := db.assertSQLite(ctx, c.Path); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// prepareFiles makes the files before the driver does: it would make them
// readable by others.
func prepareFiles(path string) error {
	dir := filepath.Dir(path)
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	return atomicfile.SyncDir(dir)
}

// connectSQLite opens the writer first: it switches to WAL and proves the key.
func (db *DB) connectSQLite(ctx context.Context, c Config) error {
	write, err := driver.Open(sqliteDSN(c.Path), db.setUpWriter(c))
	if err != nil {
		return fault("store.Open", err)
	}
	write.SetMaxOpenConns(1)
	write.SetConnMaxIdleTime(0)
	db.write, db.read = write, write
	if err := write.PingContext(ctx); err != nil {
		_ = write.Close()
		return openFault(c.Path, err)
	}
	read, err := driver.Open(sqliteDSN(c.Path), func(conn *sqlite3.Conn) error {
		return errors.Join(unlock(conn, c.Key), pragmas(conn, "synchronous=FULL", "foreign_keys=ON", "query_only=ON"))
	})
	if err != nil {
		_ = write.Close()
		return fault("store.Open", err)
	}
	read.SetMaxOpenConns(max(4, 2*runtime.NumCPU()))
	read.SetMaxIdleConns(max(4, 2*runtime.NumCPU()))
	db.read = read
	return nil
}

// sqliteDSN never holds the key: connection strings end up in error texts.
// modeof makes the write-ahead log as private as the database.
func sqliteDSN(path string) string {
	q := url.Values{"vfs": {"adiantum"}, "_txlock": {"immediate"}, "modeof": {path}}
	return (&url.URL{Scheme: "file", Path: path, OmitHost: true, RawQuery: q.Encode()}).String()
}

func (db *DB) setUpWriter(c Config) func(*sqlite3.Conn) error {
	return func(conn *sqlite3.Conn) error {
		if err := unlock(conn, c.Key); err != nil {
			return err
		}
		if err := enterWAL(conn); err != nil {
			return err
		}
		limit := fmt.Sprintf("journal_size_limit=%d", db.wal.limit*pageSize)
		if err := pragmas(conn, "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000", limit); err != nil {
			return err
		}
		conn.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
			db.wal.pages.Store(int64(pages))
			return nil
		})
		return nil
	}
}

// unlock gives the connection its key.
func unlock(conn *sqlite3.Conn, key core.Secret) error {
	if err := conn.BusyTimeout(busyTimeout); err != nil {
		return err
	}
	if err := conn.Exec("PRAGMA hexkey='" + hex.EncodeToString(key.Reveal()) + "'"); err != nil {
		// The driver's error could quote the statement.
		return core.E(core.KindInvalid, "store.Open", "the encrypting file layer refused the database key")
	}
	return pragmas(conn, "temp_store=MEMORY", "trusted_schema=OFF", "cell_size_check=ON")
}

func pragmas(conn *sqlite3.Conn, list ...string) error {
	for _, p := range list {
		if err := conn.Exec("PRAGMA " + p); err != nil {
			return fmt.Errorf("PRAGMA %s: %w", p, err)
		}
	}
	return nil
}

// enterWAL is also the first read, which fails under a wrong key.
func enterWAL(conn *sqlite3.Conn) error {
	stmt, _, err := conn.Prepare("PRAGMA journal_mode=WAL")
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }() // its error is asked for below
	mode := ""
	if stmt.Step() {
		mode = stmt.ColumnText(0)
	}
	if err := stmt.Err(); err != nil {
		return err
	}
	if mode != "wal" {
		return core.E(core.KindUnavailable, "store.Open", fmt.Sprintf("write-ahead logging is not possible here: journal mode is %q", mode)).
			WithHint("put the data directory on a local file system")
	}
	return nil
}

func openFault(path string, err error) error {
	if errors.Is(err, sqlite3.NOTADB) {
		return wrongKey(path)
	}
	return fault("store.Open", fmt.Errorf("%s: %w", path, err))
}

// assertSQLite refuses a library with known corruption and files that others
// can read.
func (db *DB) assertSQLite(ctx context.Context, path string) error {
	var version string
	if err := db.write.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return openFault(path, err)
	}
	if !atLeast(version, minSQLite) {
		return core.E(core.KindInternal, "store.Open", fmt.Sprintf("SQLite %s can corrupt this database; 3.51.3 or later is needed", version))
	}
	return core.Wrap(core.KindUnavailable, "store.Open", db.makePrivate(ctx, path))
}

// makePrivate touches the database so that the side files exist, then closes
// them to others; they stay for as long as the writer is open.
func (db *DB) makePrivate(ctx context.Context, path string) error {
	var n int
	if err := db.write.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		return openFault(path, err)
	}
	for _, side := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+side, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func atLeast(version string, least [3]int) bool {
	parts := strings.SplitN(version, ".", 4)
	for i := range least {
		n := 0
		if i < len(parts) {
			var err error
			if n, err = strconv.Atoi(parts[i]); err != nil {
				return false
			}
		}
		if n != least[i] {
			return n > least[i]
		}
	}
	return true
}

// checkpoint keeps the log bounded, on the writer's own connection after a
// commit. Ordinarily it copies what it can and waits for nobody, and the log
// starts over by itself as soon as no reader is inside. Under readers that
// always overlap that moment never comes; past the limit they are held off for
// it. A checkpoint that fails is tried again after the next commits: the data
// is safe in the log.
func (db *DB) checkpoint(ctx context.Context, conn *sql.Conn) {
	w := &db.wal
	pages := w.pages.Load()
	if pages < walPassive {
		w.nextSoft, w.nextHard = walPassive, w.limit
	}
	switch {
	case pages >= max(w.nextHard, 1):
		w.nextHard = pages + walPassive
		db.restartLog(ctx, conn)
	case pages >= max(w.nextSoft, walPassive):
		w.nextSoft = pages + walPassive
		_ = foldLog(ctx, conn, sqlite3.CHECKPOINT_PASSIVE)
	}
}

func (db *DB) restartLog(ctx context.Context, conn *sql.Conn) {
	alone := db.gate.close(readerPatient)
	defer db.gate.open()
	if !alone {
		db.wal.held.Add(1)
		return
	}
	db.wal.forced.Add(1)
	if foldLog(ctx, conn, sqlite3.CHECKPOINT_RESTART) == nil {
		db.wal.pages.Store(0)
	}
}

func foldLog(ctx context.Context, conn *sql.Conn, mode sqlite3.CheckpointMode) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return conn.Raw(func(dc any) error {
		c, ok := dc.(driver.Conn)
		if !ok {
			return core.E(core.KindInternal, "store.checkpoint", "not an SQLite connection")
		}
		_, _, err := c.Raw().WALCheckpoint("main", mode)
		return err
	})
}

// WALStats says how the log was kept in bounds: its pages after the last
// commit, how often readers were held off for it, and how often one stayed too
// long. All are 0 on PostgreSQL.
func (db *DB) WALStats() (pages int64, forced, held uint64) {
	return db.wal.pages.Load(), db.wal.forced.Load(), db.wal.held.Load()
}
