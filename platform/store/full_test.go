package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

// smallVolume returns a folder on a file system of 2 MiB of its own. Where the
// account may not mount one, SQLite's own page limit stands in for it.
func smallVolume(t *testing.T) (dir string, real bool) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Logf("no small volume (%v): a page limit stands in", err)
		return dir, false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir, true
}

func TestAFullDiskIsUnavailableAndPasses(t *testing.T) {
	dir, real := smallVolume(t)
	c := store.Config{Driver: "sqlite", Path: filepath.Join(dir, "state.db"), Key: storetest.Key()}
	db := storetest.Open(t, c, things)
	ballast := filepath.Join(dir, "ballast")
	if real {
		if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write := func(tx *store.Tx) error {
		if !real {
			var n int
			if err := tx.QueryRow(ctx, "PRAGMA max_page_count=20").Scan(&n); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "INSERT INTO things (id, n, body) VALUES ('big', 1, $1)", make([]byte, 1<<20))
		return err
	}
	err := db.Tx(ctx, write)
	if core.KindOf(err) != core.KindUnavailable || core.HintOf(err) == "" || !strings.Contains(err.Error(), "does not take writes") {
		t.Fatalf("on a full disk: %v (%v)", err, core.KindOf(err))
	}
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows half written", n)
	}
	if err := os.Remove(ballast); real && err != nil {
		t.Fatal(err)
	}
	if err := db.Tx(ctx, put("small", 1)); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestDriverErrorsGetTheirKind(t *testing.T) {
	for _, row := range []struct {
		err  error
		want core.Kind
	}{
		{sqlite3.FULL, core.KindUnavailable},
		{sqlite3.IOERR, core.KindUnavailable},
		{sqlite3.BUSY, core.KindUnavailable},
		{sqlite3.NOTADB, core.KindDamaged},
		{sqlite3.CORRUPT, core.KindDamaged},
		{sqlite3.CONSTRAINT_UNIQUE, core.KindConflict},
		{sqlite3.ERROR, core.KindInternal},
		{syscall.ENOSPC, core.KindUnavailable},
		{&pgconn.PgError{Code: "53100"}, core.KindUnavailable},
		{&pgconn.PgError{Code: "53300"}, core.KindUnavailable},
		{&pgconn.PgError{Code: "57P03"}, core.KindUnavailable},
		{&pgconn.PgError{Code: "25006"}, core.KindUnavailable},
		{&pgconn.PgError{Code: "40001"}, core.KindUnavailable},
		{&pgconn.PgError{Code: "23505"}, core.KindConflict},
		{&pgconn.PgError{Code: "42601"}, core.KindInternal},
		{core.E(core.KindDenied, "op", "no"), core.KindDenied},
		{errors.New("x"), core.KindInternal},
	} {
		if got := core.KindOf(store.Fault("op", row.err)); got != row.want {
			t.Errorf("%v is %v, want %v", row.err, got, row.want)
		}
		if !errors.Is(store.Fault("op", row.err), row.err) {
			t.Errorf("%v got lost", row.err)
		}
	}
	if store.Fault("op", nil) != nil {
		t.Error("an error out of nothing")
	}
}
