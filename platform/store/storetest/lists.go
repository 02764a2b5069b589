package storetest

import (
	"database/sql"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/platform/store"
)

// Plan returns how SQLite would answer a query, a line for each step, so that a
// test can see that a list is read by an index. It has no answer for PostgreSQL,
// whose planner decides by how many rows there are.
func Plan(t testing.TB, db *store.DB, query string, args ...any) string {
	t.Helper()
	var steps []string
	err := db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id, parent, unused sql.NullInt64
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				return err
			}
			steps = append(steps, step)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}

// Only returns an owner's migrations whose files begin with one of the prefixes,
// to make a database as an earlier version left it.
func Only(t testing.TB, m store.Migrations, prefixes ...string) store.Migrations {
	t.Helper()
	kept := fstest.MapFS{}
	err := fs.WalkDir(m.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, p := range prefixes {
			if strings.HasPrefix(path.Base(name), p) {
				b, err := fs.ReadFile(m.FS, name)
				if err != nil {
					return err
				}
				kept[name] = &fstest.MapFile{Data: b}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return store.Migrations{Owner: m.Owner, FS: kept}
}
