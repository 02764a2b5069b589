package lifecycle_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// killedDir tells the test binary to take reports in until it is killed.
const killedDir = "INTERLOCK_LIFECYCLE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		if err := importer(dir); err != nil {
			slog.Error("child", "error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// killedReports is how many reports are taken in. Each has one new finding, two of
// those before, and one that is there every second time.
const killedReports = 40

func killedReport(i int) *scanning.Report {
	r := &scanning.Report{
		Tool: scanning.Tool{Name: "deps", Version: "1.0.0"}, Scope: scanning.Scope{Kind: scanning.ScopeHost, Name: "press-7"},
		Started: start.Add(time.Duration(i) * time.Minute), Finished: start.Add(time.Duration(i) * time.Minute),
		Packages: []scanning.Package{goPkg("example.com/a", fmt.Sprintf("v1.0.%d", i))},
	}
	for j := max(0, i-2); j <= i; j++ {
		r.Findings = append(r.Findings, vuln(fmt.Sprintf("CVE-2026-%d", j+1000), "example.com/a", nil))
	}
	if i%2 == 0 {
		r.Findings = append(r.Findings, vuln("CVE-2026-1", "example.com/b", nil))
	}
	return r
}

func killedDB(dir string) (*store.DB, error) {
	db, err := store.Open(context.Background(), store.Config{Driver: "sqlite", Path: filepath.Join(dir, "state.db"), Key: storetest.Key()})
	if err != nil {
		return nil, err
	}
	return db, db.Migrate(context.Background(), journal.Migrations(), audit.Migrations(), lifecycle.Migrations(), notices())
}

// notices is where what detection is told goes.
func notices() store.Migrations {
	table := &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE notices (kind TEXT NOT NULL, body TEXT NOT NULL);"), Mode: 0o444}
	return store.Migrations{Owner: "notices", FS: fstest.MapFS{"sqlite/0001_init.sql": table, "postgres/0001_init.sql": table}}
}

// importer takes all reports in from the first on, as a scanner that does not know
// what became of its last try, and runs the stage beside it.
func importer(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db, err := killedDB(dir)
	if err != nil {
		return err
	}
	topic := journal.NewTopic("findings")
	s := lifecycle.NewStore(topic, audit.Put, lifecycle.DefaultRules())
	stage := lifecycle.Stage(topic.Bind(db), func(ctx context.Context, tx *store.Tx, n lifecycle.Notice) error {
		body, err := json.Marshal(n.Fields)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO notices (kind, body) VALUES ($1, $2)`, n.Kind, string(body))
		return err
	})
	go func() { _ = journal.Run(ctx, db, stage) }()
	for i := range killedReports {
		err := db.Tx(ctx, func(tx *store.Tx) error {
			r := killedReport(i)
			_, err := s.Import(ctx, tx, tenant, r, "person/anna", r.Finished)
			return err
		})
		if err != nil {
			return err
		}
	}
	for { // until the stage has told of every return
		var n int
		if err := db.View(ctx, func(tx *store.Tx) error { return tx.QueryRow(ctx, `SELECT COUNT(*) FROM notices`).Scan(&n) }); err != nil {
			return err
		}
		if n >= killedReports/2-1 {
			return nil
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestKilledInTheMiddle: a process that takes reports in and tells detection of
// them is killed again and again. In the end everything is as if it had never been:
// each finding once, each event once, each notice once.
func TestKilledInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	child := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env, cmd.Stderr = append(os.Environ(), killedDir+"="+dir), os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	for range 6 {
		cmd := child()
		<-time.After(50*time.Millisecond + rand.N(250*time.Millisecond)) // at any moment: that is the test
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	}
	if err := child().Wait(); err != nil {
		t.Fatal(err)
	}
	db, err := killedDB(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	calm := onSQLite(t) // the same reports, and nobody is killed
	for i := range killedReports {
		calm.take(killedReport(i))
	}
	w := newWorld(t, db)
	shape := func(w *world) map[string]string {
		out := map[string]string{}
		for _, f := range w.list(lifecycle.Filter{}) {
			out[f.What.Rule] = fmt.Sprintf("%s %d %d %d", f.State, f.Sightings, f.Returns, len(w.timeline(f.ID)))
		}
		return out
	}
	got, want := shape(w), shape(calm)
	for rule, s := range want {
		if got[rule] != s {
			t.Errorf("%s: %q, want %q", rule, got[rule], s)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d findings, want %d", len(got), len(want))
	}
	var told, reports, held int
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT (SELECT COUNT(*) FROM notices WHERE kind = 'finding_regressed'), (SELECT COUNT(*) FROM scanning_reports),
			(SELECT COUNT(*) FROM scanning_inventories WHERE tenant = $1)`, tenant).Scan(&told, &reports, &held)
	}); err != nil {
		t.Fatal(err)
	}
	if told != killedReports/2-1 || reports != killedReports || held != killedReports {
		t.Errorf("%d notices, want %d; %d reports, %d inventories, want %d", told, killedReports/2-1, reports, held, killedReports)
	}
}
