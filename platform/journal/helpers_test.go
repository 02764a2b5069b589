package journal_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

var (
	ctx    = context.Background()
	start  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tenant = core.MustID[core.TenantID]("acme")
)

// effects is the state of the tests' stages. It has no key: an effect that
// happens twice shows as two rows.
var effects = store.Migrations{Owner: "effects", FS: fstest.MapFS{
	"sqlite/0001_init.sql":   {Data: []byte("-- +goose Up\nCREATE TABLE effects (stage TEXT NOT NULL, pos INTEGER NOT NULL, what TEXT NOT NULL) STRICT;")},
	"postgres/0001_init.sql": {Data: []byte("-- +goose Up\nCREATE TABLE effects (stage TEXT NOT NULL, pos BIGINT NOT NULL, what TEXT NOT NULL);")},
}}

// place says where the two databases are: two files on SQLite, one database on
// PostgreSQL.
type place struct{ Raw, State store.Config }

func newPlace(t testing.TB, engine string) place {
	p := place{Raw: storetest.Config(t, engine)}
	p.State = p.Raw
	if engine == "sqlite" {
		p.State = storetest.Config(t, engine)
	}
	return p
}

func (p place) open(t testing.TB) (raw, state *store.DB) {
	raw = storetest.Open(t, p.Raw, journal.RawMigrations())
	return raw, storetest.Open(t, p.State, journal.Migrations(), effects)
}

// world is a journal under test.
type world struct {
	place
	rawDB, state *store.DB
	raw          *journal.Raw
	clock        *clocktest.Clock
}

func each(t *testing.T, body func(t *testing.T, w *world)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { body(t, newWorld(t, engine)) })
	}
}

func newWorld(t testing.TB, engine string) *world {
	w := &world{place: newPlace(t, engine), clock: clocktest.New(start)}
	w.rawDB, w.state = w.open(t)
	w.raw = w.openRaw(t, 2)
	return w
}

func (w *world) openRaw(t testing.TB, partitions int32) *journal.Raw {
	t.Helper()
	raw, err := journal.OpenRaw(ctx, w.rawDB, journal.RawOptions{Partitions: partitions, Clock: w.clock, State: w.state})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// events is a frame of partition 0.
func events(records ...string) journal.Frame {
	f := journal.Frame{Kind: journal.KindEvents, Tenant: tenant, Source: "file/auth.log"}
	for _, r := range records {
		f.Records = append(f.Records, []byte(r))
	}
	return f
}

func mustAppend(t testing.TB, raw *journal.Raw, frames ...journal.Frame) []journal.Appended {
	t.Helper()
	out, err := raw.Append(ctx, frames...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustRead(t testing.TB, r journal.Reader, partition int32, from uint64) []journal.Frame {
	t.Helper()
	frames, err := r.Read(ctx, partition, from, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// text shows frames as "offset:record,record offset:..."; a tick as "offset:tick".
func text(frames []journal.Frame) string {
	var words []string
	for _, f := range frames {
		word := "tick"
		if f.Kind != journal.KindTick {
			var records []string
			for _, r := range f.Records {
				records = append(records, string(r))
			}
			word = strings.Join(records, ",")
		}
		words = append(words, fmt.Sprintf("%d:%s", f.Offset, word))
	}
	return strings.Join(words, " ")
}

// record writes an effect for a frame.
func record(tx *store.Tx, stage string, f journal.Frame, what string) error {
	_, err := tx.Exec(ctx, "INSERT INTO effects (stage, pos, what) VALUES ($1, $2, $3)", stage, int64(f.Offset), what)
	return err
}

// done reads a stage's effects as "pos:what ...".
func done(t testing.TB, state *store.DB, stage string) string {
	t.Helper()
	var words []string
	err := state.View(ctx, func(tx *store.Tx) error {
		words = nil
		rows, err := tx.Query(ctx, "SELECT pos, what FROM effects WHERE stage = $1 ORDER BY pos, what", stage)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var pos int64
			var what string
			if err := rows.Scan(&pos, &what); err != nil {
				return err
			}
			words = append(words, fmt.Sprintf("%d:%s", pos, what))
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(words, " ")
}

// runUntil runs the stage until its cursor has passed the offset.
func runUntil(t testing.TB, state *store.DB, s journal.Stage, last uint64) {
	t.Helper()
	var next uint64
	err := state.View(ctx, func(tx *store.Tx) (err error) {
		next, err = journal.Cursor{Stage: s.Name, Topic: s.From.Name(), Partition: s.Partition}.Load(ctx, tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if next > last {
		return
	}
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	handle := s.Handle
	s.Handle = func(ctx context.Context, tx *store.Tx, f journal.Frame) error {
		if f.Offset >= last {
			tx.OnCommit(cancel)
		}
		return handle(ctx, tx, f)
	}
	if err := journal.Run(stop, state, s); err != nil {
		t.Fatal(err)
	}
}
