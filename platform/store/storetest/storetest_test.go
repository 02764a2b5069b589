package storetest

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/interlock-security/interlock/platform/store"
)

func migrations(sqlite, postgres string) store.Migrations {
	return store.Migrations{Owner: "x", FS: fstest.MapFS{
		"sqlite/0001_init.sql":   {Data: []byte("-- +goose Up\n" + sqlite)},
		"postgres/0001_init.sql": {Data: []byte("-- +goose Up\n" + postgres)},
	}}
}

// TestACopyIsAFreshDatabase: one that was copied has the schema of one that was
// migrated, nothing that a test before it wrote, and other migrations have
// another one.
func TestACopyIsAFreshDatabase(t *testing.T) {
	one := migrations(`CREATE TABLE x (id INTEGER PRIMARY KEY) STRICT;`, "")
	other := migrations(`CREATE TABLE y (id INTEGER PRIMARY KEY) STRICT;`, "")
	var schemas []map[string]string
	for range 3 {
		db := Open(t, Config(t, "sqlite"), one)
		schema, err := readSchema(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		schemas = append(schemas, schema)
		err = db.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO x (id) VALUES (1)`)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if len(schemas[0]) == 0 || !maps.Equal(schemas[0], schemas[1]) || !maps.Equal(schemas[1], schemas[2]) {
		t.Errorf("%v", schemas)
	}
	c := Config(t, "sqlite")
	if cast(t, c, []store.Migrations{other}) || !cast(t, c, []store.Migrations{one}) || cast(t, c, []store.Migrations{one}) {
		t.Error("copied where it was not to be, or not copied")
	}
	if err := Open(t, c, one).Migrate(t.Context(), one); err != nil { // as the server does with what it finds
		t.Error(err)
	}
}

func TestSameSchemaSeesEveryDifference(t *testing.T) {
	sqlite := readAll(t, "sqlite", migrations(`
		CREATE TABLE x (tenant TEXT NOT NULL, id INTEGER NOT NULL, body BLOB, r REAL, only_here TEXT, PRIMARY KEY (tenant, id)) STRICT;
		CREATE UNIQUE INDEX x_r ON x (r) WHERE r > 0;
		CREATE UNIQUE INDEX x_b ON x (body, r);
		CREATE INDEX x_plain ON x (body);`, ""))
	postgres := readAll(t, "postgres", migrations("", `
		CREATE TABLE x (tenant TEXT NOT NULL, id BIGINT NOT NULL, body TEXT, r DOUBLE PRECISION NOT NULL, PRIMARY KEY (id, tenant));
		CREATE UNIQUE INDEX x_r ON x (r);
		CREATE TABLE y (id TEXT PRIMARY KEY);`))
	got := diff(sqlite, postgres)
	slices.Sort(got)
	want := []string{
		"column x.body differs: SQLite bytes, PostgreSQL text",
		"column x.only_here is on SQLite only",
		"column x.r differs: SQLite real, PostgreSQL real not null",
		"column y.id is on PostgreSQL only",
		"key of x differs: SQLite tenant,id, PostgreSQL id,tenant",
		"key of y is on PostgreSQL only",
		"unique on x(body,r) is on SQLite only",
		"unique on x(r) differs: SQLite partial, PostgreSQL whole",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func readAll(t *testing.T, engine string, m store.Migrations) map[string]string {
	t.Helper()
	schema, err := readSchema(context.Background(), Open(t, Config(t, engine), m))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestSameSchemaPassesWhatIsTheSame(t *testing.T) {
	SameSchema(t, migrations(
		"CREATE TABLE x (tenant TEXT NOT NULL, n INTEGER NOT NULL, body BLOB, PRIMARY KEY (tenant, n), UNIQUE (body)) STRICT;",
		"CREATE TABLE x (tenant TEXT NOT NULL, n BIGINT NOT NULL, body BYTEA, PRIMARY KEY (tenant, n), UNIQUE (body));"))
}

// TestHelperDies is not a test: it is the process that the next one kills.
func TestHelperDies(t *testing.T) {
	out := os.Getenv("STORETEST_HELPER")
	if out == "" {
		return
	}
	Config(t, "postgres")
	s, err := theServer()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out+".tmp", []byte(s.dir), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(out+".tmp", out); err != nil {
		t.Fatal(err)
	}
	select {} // until killed
}

func TestTheServerEndsWithItsProcess(t *testing.T) {
	out := filepath.Join(t.TempDir(), "dir")
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperDies$")
	cmd.Env = append(os.Environ(), "STORETEST_HELPER="+out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := await(t, func() string {
		b, _ := os.ReadFile(out)
		return string(b)
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	await(t, func() string {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return "gone"
		}
		return ""
	})
}

// await asks until there is an answer; the test's own time limit bounds it.
func await(t *testing.T, ask func() string) string {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if answer := ask(); answer != "" {
			return answer
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the test ended first")
		}
	}
}
