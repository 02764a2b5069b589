package store_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

func TestMigrationsRunOnceAndPerOwner(t *testing.T) {
	storetest.Each(t, []store.Migrations{things}, func(t *testing.T, db *store.DB) {
		other := schema("others", "CREATE TABLE others (id TEXT PRIMARY KEY) STRICT;", "CREATE TABLE others (id TEXT PRIMARY KEY);")
		for range 2 {
			if err := db.Migrate(ctx, things, other); err != nil {
				t.Fatal(err)
			}
		}
		more := fstest.MapFS{}
		for name, file := range things.FS.(fstest.MapFS) {
			more[name] = file
		}
		second := &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE things ADD COLUMN extra TEXT;")}
		more["sqlite/0002_extra.sql"], more["postgres/0002_extra.sql"] = second, second
		if err := db.Migrate(ctx, store.Migrations{Owner: "things", FS: more}); err != nil {
			t.Fatal(err)
		}
		err := db.Migrate(ctx, things)
		if core.KindOf(err) != core.KindConflict || !strings.Contains(err.Error(), "version 2, this program knows 1") {
			t.Errorf("an older program on a newer database: %v", err)
		}
	})
}

func TestAMigrationThatFailsLeavesNothing(t *testing.T) {
	storetest.Each(t, nil, func(t *testing.T, db *store.DB) {
		broken := schema("things", "CREATE TABLE things (id TEXT) STRICT; CREATE TABLE things (id TEXT) STRICT;", "CREATE TABLE things (id TEXT); CREATE TABLE things (id TEXT);")
		if err := db.Migrate(ctx, broken); err == nil {
			t.Fatal("no error")
		}
		if err := db.Migrate(ctx, things); err != nil {
			t.Error(err)
		}
	})
}

func TestBadMigrationsAreRefused(t *testing.T) {
	db := storetest.Open(t, storetest.Config(t, "sqlite"))
	for _, m := range []store.Migrations{{}, {Owner: "a"}, {Owner: "A-b; DROP", FS: things.FS}, {Owner: "a", FS: fstest.MapFS{}}} {
		if err := db.Migrate(ctx, m); core.KindOf(err) != core.KindInvalid {
			t.Errorf("owner %q: %v", m.Owner, err)
		}
	}
}
