// Package storetest runs a test on both engines: SQLite in a temporary folder
// and a real PostgreSQL 15 or later, started once per test process. A missing
// PostgreSQL fails the test, it never skips it: half of a test is not a pass.
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Engines are the names of both engines, as in [store.Config].
var Engines = []string{"sqlite", "postgres"}

// Each runs body as a subtest on each engine, with a fresh database that has
// the migrations applied.
func Each(t *testing.T, migrations []store.Migrations, body func(t *testing.T, db *store.DB)) {
	t.Helper()
	for _, engine := range Engines {
		t.Run(engine, func(t *testing.T) {
			body(t, Open(t, Config(t, engine), migrations...))
		})
	}
}

// Config returns the configuration of a fresh, empty database, for tests that
// open it several times or from a child process. The folder and the PostgreSQL
// database are removed after the test.
func Config(t testing.TB, engine string) store.Config {
	t.Helper()
	switch engine {
	case "sqlite":
		return store.Config{Driver: engine, Path: filepath.Join(t.TempDir(), "data", "state.db"), Key: Key()}
	case "postgres":
		return store.Config{Driver: engine, DSN: newDatabase(t), MaxConns: 8}
	}
	t.Fatalf("no engine %q", engine)
	return store.Config{}
}

// Key returns the key of test databases, a fresh copy each time.
func Key() core.Secret { return core.NewSecret(bytes.Repeat([]byte{0x4b}, 32)) }

// Open opens the database, applies the migrations and closes it after the test.
func Open(t testing.TB, c store.Config, migrations ...store.Migrations) *store.DB {
	t.Helper()
	applied := cast(t, c, migrations)
	db, err := store.Open(context.Background(), c)
	if err != nil {
		t.Fatalf("open %s: %v", c.Driver, err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close %s: %v", c.Driver, err)
		}
	})
	if applied {
		return db
	}
	if err := db.Migrate(context.Background(), migrations...); err != nil {
		t.Fatalf("migrate %s: %v", c.Driver, err)
	}
	return db
}

// SameSchema applies the migrations on both engines and fails the test unless
// tables, columns, their kinds and nullability, primary keys and unique indexes
// are the same. Every owner of tables calls it.
func SameSchema(t *testing.T, migrations ...store.Migrations) {
	t.Helper()
	var found []map[string]string
	for _, engine := range Engines {
		schema, err := readSchema(context.Background(), Open(t, Config(t, engine), migrations...))
		if err != nil {
			t.Fatalf("%s: %v", engine, err)
		}
		found = append(found, schema)
	}
	for _, line := range diff(found[0], found[1]) {
		t.Error(line)
	}
	if len(found[0]) == 0 {
		t.Error("the migrations make no table")
	}
}

func diff(sqlite, postgres map[string]string) []string {
	var out []string
	for name, have := range sqlite {
		if other, ok := postgres[name]; !ok {
			out = append(out, fmt.Sprintf("%s is on SQLite only", name))
		} else if other != have {
			out = append(out, fmt.Sprintf("%s differs: SQLite %s, PostgreSQL %s", name, have, other))
		}
	}
	for name := range postgres {
		if _, ok := sqlite[name]; !ok {
			out = append(out, fmt.Sprintf("%s is on PostgreSQL only", name))
		}
	}
	return out
}
