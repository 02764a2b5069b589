package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

var ctx = context.Background()

// schema makes migrations with one file per dialect.
func schema(owner, sqlite, postgres string) store.Migrations {
	return store.Migrations{Owner: owner, FS: fstest.MapFS{
		"sqlite/0001_init.sql":   {Data: []byte("-- +goose Up\n" + sqlite), Mode: fs.ModePerm},
		"postgres/0001_init.sql": {Data: []byte("-- +goose Up\n" + postgres), Mode: fs.ModePerm},
	}}
}

var things = schema("things",
	"CREATE TABLE things (id TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL, body BLOB) STRICT;",
	"CREATE TABLE things (id TEXT NOT NULL PRIMARY KEY, n BIGINT NOT NULL, body BYTEA);")

func put(id string, n int) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO things (id, n) VALUES ($1, $2)", id, n)
		return err
	}
}

func count(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	err := db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, "SELECT count(*) FROM things").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPlaceholdersMeanTheSameOnBothEngines(t *testing.T) {
	storetest.Each(t, []store.Migrations{things}, func(t *testing.T, db *store.DB) {
		err := db.Tx(ctx, func(tx *store.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO things (n, id, body) VALUES ($3, $1, $2)", "a", []byte{0, 1}, 7); err != nil {
				return err
			}
			var id string
			var n int
			var body []byte
			if err := tx.QueryRow(ctx, "SELECT n, id, body FROM things WHERE n = $2 AND id = $1 AND id <> '$2'", "a", 7).Scan(&n, &id, &body); err != nil {
				return err
			}
			if id != "a" || n != 7 || !bytes.Equal(body, []byte{0, 1}) {
				t.Errorf("read %q %d %x", id, n, body)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestATransactionIsAllOrNothing(t *testing.T) {
	storetest.Each(t, []store.Migrations{things}, func(t *testing.T, db *store.DB) {
		boom := errors.New("boom")
		committed := 0
		err := db.Tx(ctx, func(tx *store.Tx) error {
			tx.OnCommit(func() { committed++ })
			return errors.Join(put("a", 1)(tx), boom)
		})
		if !errors.Is(err, boom) {
			t.Errorf("Tx = %v", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = db.Tx(ctx, func(tx *store.Tx) error {
				_ = put("b", 1)(tx)
				panic("a handler failed")
			})
		}()
		cancelled, cancel := context.WithCancel(ctx)
		err = db.Tx(cancelled, func(tx *store.Tx) error {
			defer cancel()
			return put("c", 1)(tx)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who left before the commit got %v", err)
		}
		if n := count(t, db); n != 0 || committed != 0 {
			t.Errorf("%d rows, %d commit hooks", n, committed)
		}
		err = db.Tx(ctx, func(tx *store.Tx) error {
			tx.OnCommit(func() { committed++ })
			return put("d", 1)(tx)
		})
		if n := count(t, db); err != nil || n != 1 || committed != 1 {
			t.Errorf("%v, %d rows, %d commit hooks", err, n, committed)
		}
	})
}

func TestAFailedStatementDoomsItsTransaction(t *testing.T) {
	storetest.Each(t, []store.Migrations{things}, func(t *testing.T, db *store.DB) {
		if err := db.Tx(ctx, put("a", 1)); err != nil {
			t.Fatal(err)
		}
		err := db.Tx(ctx, func(tx *store.Tx) error {
			if err := put("b", 1)(tx); err != nil {
				return err
			}
			if err := put("a", 2)(tx); !store.IsUnique(err) || core.KindOf(err) != core.KindConflict {
				t.Errorf("a second row of the same key: %v", err)
			}
			return nil // the error is swallowed
		})
		if !store.IsUnique(err) {
			t.Errorf("Tx = %v, want the statement's error", err)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
		err = db.Tx(ctx, func(tx *store.Tx) error {
			var id string
			if err := tx.QueryRow(ctx, "SELECT id FROM things WHERE id = $1", "none").Scan(&id); !errors.Is(err, sql.ErrNoRows) {
				t.Errorf("no row: %v", err)
			}
			return put("c", 1)(tx) // no row is not a failure
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAStatementThatIsWrongIsNotAnOutage(t *testing.T) {
	storetest.Each(t, []store.Migrations{things}, func(t *testing.T, db *store.DB) {
		err := db.Tx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO nowhere (id) VALUES ($1)", "a")
			if !errors.Is(tx.Err(), err) {
				t.Errorf("Err() = %v", tx.Err())
			}
			return err
		})
		if err == nil || core.KindOf(err) != core.KindInternal {
			t.Errorf("%v (%v)", err, core.KindOf(err))
		}
	})
}

// Each writer reads and then writes what it read plus one. Without serialisable
// transactions and retries, updates get lost.
func TestConcurrentReadModifyWriteLosesNothing(t *testing.T) {
	storetest.Each(t, []store.Migrations{things}, func(t *testing.T, db *store.DB) {
		if err := db.Tx(ctx, put("a", 0)); err != nil {
			t.Fatal(err)
		}
		const writers, rounds = 4, 10
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range rounds {
					err := db.Tx(ctx, func(tx *store.Tx) error {
						var n int
						if err := tx.QueryRow(ctx, "SELECT n FROM things WHERE id = 'a'").Scan(&n); err != nil {
							return err
						}
						_, err := tx.Exec(ctx, "UPDATE things SET n = $1 WHERE id = 'a'", n+1)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var n int
		err := db.View(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(ctx, "SELECT n FROM things WHERE id = 'a'").Scan(&n)
		})
		if err != nil || n != writers*rounds {
			t.Errorf("n = %d, %v; want %d", n, err, writers*rounds)
		}
	})
}

func TestRetriesAreBoundedAndOnPostgresOnly(t *testing.T) {
	db := storetest.Open(t, storetest.Config(t, "postgres"), things)
	runs := 0
	err := db.Tx(ctx, func(tx *store.Tx) error {
		runs++
		_, err := tx.Exec(ctx, "DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '40001'; END $$")
		if err == nil {
			t.Error("no error")
		}
		return errors.New("in the caller's own words")
	})
	if runs < 2 || runs > 50 || !store.IsBusy(err) || core.KindOf(err) != core.KindUnavailable {
		t.Errorf("%d runs, %v (%v)", runs, err, core.KindOf(err))
	}
	if db.Retries() != uint64(runs-1) {
		t.Errorf("counted %d retries of %d", db.Retries(), runs-1)
	}
}

// A mistake that would otherwise hang for ever is an error that names it.
func TestATransactionInsideATransactionIsRefused(t *testing.T) {
	c := storetest.Config(t, "postgres")
	c.MaxConns = 1
	for name, db := range map[string]*store.DB{
		"sqlite": storetest.Open(t, storetest.Config(t, "sqlite"), things), "postgres": storetest.Open(t, c, things),
	} {
		db.SetPatience(50 * time.Millisecond)
		err := db.Tx(ctx, func(tx *store.Tx) error {
			if n := count(t, db); n != 0 { // a view inside is no trouble
				t.Errorf("%s: %d rows", name, n)
			}
			return db.Tx(ctx, put("a", 1))
		})
		if core.KindOf(err) != core.KindUnavailable || !strings.Contains(core.HintOf(err), "inside another") {
			t.Errorf("%s: %v", name, err)
		}
		db.SetPatience(time.Minute)
		if err := db.Tx(ctx, put("a", 1)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAViewCannotWriteAndDoesNotMove(t *testing.T) {
	storetest.Each(t, []store.Migrations{things}, func(t *testing.T, db *store.DB) {
		if err := db.View(ctx, put("a", 1)); err == nil {
			t.Error("a view wrote")
		}
		err := db.View(ctx, func(tx *store.Tx) error {
			var before, after int
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM things").Scan(&before); err != nil {
				return err
			}
			if err := db.Tx(ctx, put("b", 1)); err != nil {
				return err
			}
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM things").Scan(&after); err != nil {
				return err
			}
			if before != 0 || after != 0 {
				t.Errorf("saw %d, then %d", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestWaitersWakeWhenItIsDurable(t *testing.T) {
	storetest.Each(t, []store.Migrations{things}, func(t *testing.T, db *store.DB) {
		woken := db.Signal("things")
		_ = db.Tx(ctx, func(tx *store.Tx) error {
			return errors.Join(tx.Notify(ctx, "things"), errors.New("not this time"))
		})
		other := db.Signal("other")
		go func() {
			err := db.Tx(ctx, func(tx *store.Tx) error {
				return errors.Join(put("a", 1)(tx), tx.Notify(ctx, "things"), tx.Notify(ctx, "things"))
			})
			if err != nil {
				t.Error(err)
			}
		}()
		<-woken
		if db.Dialect() == store.SQLite {
			select {
			case <-other:
				t.Error("the wrong channel woke")
			default:
			}
		}
	})
}

// Two servers share one PostgreSQL: a commit in one wakes the other.
func TestOnPostgresOtherProcessesWakeToo(t *testing.T) {
	c := storetest.Config(t, "postgres")
	here, there := storetest.Open(t, c, things), storetest.Open(t, c)
	for ready := here.Signal("warm-up"); ; { // until the listener is connected
		if err := there.Tx(ctx, func(tx *store.Tx) error { return tx.Notify(ctx, "warm-up") }); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ready:
		default:
			continue
		}
		break
	}
	woken := here.Signal("things")
	for {
		if err := there.Tx(ctx, func(tx *store.Tx) error { return tx.Notify(ctx, "things") }); err != nil {
			t.Fatal(err)
		}
		select {
		case <-woken:
			return
		default:
		}
	}
}

func TestTheDatabaseIsEncryptedAndPrivate(t *testing.T) {
	const canary = "canary-4711-in-the-coal-mine"
	c := storetest.Config(t, "sqlite")
	db := storetest.Open(t, c, things)
	if err := db.Tx(ctx, put(canary, 1)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 1 {
		t.Fatal(n)
	}
	checkFiles(t, c.Path, canary, 3) // the log still holds the row
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, c.Path, canary, 1)
	reopened := storetest.Open(t, c)
	if n := count(t, reopened); n != 1 {
		t.Errorf("%d rows after reopening", n)
	}
	checkFiles(t, c.Path, canary, 3)
}

func checkFiles(t *testing.T, path, canary string, least int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) < least {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
		content, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, clear := range []string{canary, "CREATE TABLE", "SQLite format 3"} {
			if bytes.Contains(content, []byte(clear)) {
				t.Errorf("%s holds %q in the clear", e.Name(), clear)
			}
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v %v", info.Mode(), err)
	}
}

// A crashed process leaves committed rows in the log alone. A wrong key sees
// neither database nor log, and must not clear away what it cannot read.
func TestAWrongKeyIsAClearErrorAndHarmsNothing(t *testing.T) {
	c := storetest.Config(t, "sqlite")
	db := storetest.Open(t, c, things)
	if err := db.Tx(ctx, put("kept", 1)); err != nil {
		t.Fatal(err)
	}
	crashed := crashCopy(t, c)
	wrong := crashed
	wrong.Key = core.NewSecret(bytes.Repeat([]byte{0xab}, 32))
	_, err := store.Open(ctx, wrong)
	if core.KindOf(err) != core.KindDamaged || core.HintOf(err) == "" || !strings.Contains(err.Error(), "key does not open") {
		t.Fatalf("wrong key: %v", err)
	}
	if n := count(t, storetest.Open(t, crashed)); n != 1 {
		t.Errorf("%d rows after the wrong key was tried, want 1", n)
	}
}

// crashCopy copies the files of an open database, as a power cut would leave
// them.
func crashCopy(t *testing.T, c store.Config) store.Config {
	t.Helper()
	dir := t.TempDir()
	for _, side := range []string{"", "-wal"} {
		content, err := os.ReadFile(c.Path + side)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) == 0 {
			t.Fatalf("%s is empty", c.Path+side)
		}
		if err := os.WriteFile(filepath.Join(dir, "state.db"+side), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.Path = filepath.Join(dir, "state.db")
	return c
}

func TestKeysAndPasswordsStayOutOfErrorsAndLogs(t *testing.T) {
	key := storetest.Key()
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]store.Config{
		"not a database": {Driver: "sqlite", Path: blocked, Key: key},
		"folder is file": {Driver: "sqlite", Path: filepath.Join(blocked, "state.db"), Key: key},
		"is a folder":    {Driver: "sqlite", Path: t.TempDir(), Key: key},
		"relative":       {Driver: "sqlite", Path: "state.db", Key: key},
		"short key":      {Driver: "sqlite", Path: "/x/state.db", Key: core.NewSecret([]byte("KKKK"))},
		"no driver":      {Driver: "oracle", Key: key},
		"bad dsn":        {Driver: "postgres", DSN: "postgres://u:hunter2@h:notaport/db"},
		"no server":      {Driver: "postgres", DSN: "host=/nonexistent user=u password=hunter2 dbname=d"},
		"plain text":     {Driver: "postgres", DSN: "postgres://u:hunter2@db.example/d"},
		"unverified":     {Driver: "postgres", DSN: "postgres://u:hunter2@db.example/d?sslmode=require"},
	} {
		db, err := store.Open(ctx, c)
		if err == nil {
			_ = db.Close()
			t.Errorf("%s: opened", name)
			continue
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("config", slog.Any("config", c), slog.Any("error", err))
		for _, text := range []string{fmt.Sprintf("%v %+v %#v", err, err, err), log.String()} {
			text = strings.ReplaceAll(text, c.DSN, "")
			for _, secret := range []string{"KKKK", hex.EncodeToString(key.Reveal()), "hunter2"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s: %s shows in %s", name, secret, text)
				}
			}
		}
		if core.KindOf(err) == core.KindInternal {
			t.Errorf("%s: kind %v: %v", name, core.KindOf(err), err)
		}
	}
}

// Readers overlap all the time, so a log that waits for a moment without any
// grows for ever. The bound holds, and so do the readers' snapshots.
func TestTheLogStaysBoundedUnderConstantReaders(t *testing.T) {
	c := storetest.Config(t, "sqlite")
	c.WALPages = 1200
	db := storetest.Open(t, c, things)
	stop := overlappingReaders(t, db)
	body := bytes.Repeat([]byte{1}, 400<<10) // 100 pages
	largest := int64(0)
	for i := range 40 {
		err := db.Tx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO things (id, n, body) VALUES ($1, 1, $2)", fmt.Sprint(i), body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(c.Path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	stop()
	_, forced, held := db.WALStats()
	if bound := int64(1200+150) * 4120; largest > bound || forced == 0 {
		t.Errorf("the log grew to %d KiB, the bound is %d KiB; forced %d, held %d", largest>>10, bound>>10, forced, held)
	}
}

// overlappingReaders keeps at least one reader inside at every moment: each
// leaves only once the next has entered, or when nobody may enter any more.
func overlappingReaders(t *testing.T, db *store.DB) (stop func()) {
	done, next := make(chan struct{}), make(chan struct{})
	var readers sync.WaitGroup
	read := func(tx *store.Tx) error {
		var before, after int
		err := tx.QueryRow(ctx, "SELECT count(*) FROM things").Scan(&before)
		select {
		case next <- struct{}{}: // the one before may go
		default:
		}
		select {
		case <-next:
		case <-done:
		case <-time.After(50 * time.Millisecond):
		}
		return errors.Join(err, tx.QueryRow(ctx, "SELECT count(*) FROM things").Scan(&after), same(before, after))
	}
	for range 3 {
		readers.Go(func() {
			for ended := false; !ended; {
				if err := db.View(ctx, read); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					ended = true
				default:
				}
			}
		})
	}
	<-next // one is inside
	return func() { close(done); readers.Wait() }
}

func same(a, b int) error {
	if a != b {
		return fmt.Errorf("the snapshot moved from %d to %d rows", a, b)
	}
	return nil
}

func TestAReaderThatStaysCannotStopTheWriter(t *testing.T) {
	c := storetest.Config(t, "sqlite")
	c.WALPages = 1000
	db := storetest.Open(t, c, things)
	err := db.View(ctx, func(tx *store.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM things").Scan(&n); err != nil {
			return err
		}
		return db.Tx(ctx, func(tx *store.Tx) error { // a writer inside a reader
			_, err := tx.Exec(ctx, "INSERT INTO things (id, n, body) VALUES ('big', 1, $1)", make([]byte, 5<<20))
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, held := db.WALStats(); held != 1 {
		t.Errorf("held = %d, want 1", held)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows", n)
	}
}
