package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

func TestSchemasAreTheSame(t *testing.T) { storetest.SameSchema(t, audit.Migrations()) }

func each(t *testing.T, body func(t *testing.T, db *store.DB)) {
	t.Helper()
	storetest.Each(t, []store.Migrations{audit.Migrations()}, body)
}

func put(t *testing.T, db *store.DB, entries ...audit.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := db.Tx(t.Context(), func(tx *store.Tx) error { return audit.Put(t.Context(), tx, e) }); err != nil {
			t.Fatal(err)
		}
	}
}

func drain(t *testing.T, o *audit.Outbox) {
	t.Helper()
	for {
		n, err := o.Drain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// expectNumbers checks the outbox numbers of the log's entries, in order.
func expectNumbers(t *testing.T, l *audit.Log, want ...uint64) {
	t.Helper()
	var got []uint64
	if err := l.Replay(t.Context(), func(r audit.Record) error {
		if r.Header.Action == "device.seen" {
			got = append(got, r.Header.Outbox)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("numbers in the log: %v, want %v", got, want)
	}
}

func waitingRows(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	if err := db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit_outbox`).Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOutboxCarriesWhatWasCommitted(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		l := open(t, config(t, t.TempDir()))
		o := audit.NewOutbox(db, l)
		settled := map[string]core.Position{}
		o.Settled = func(_ context.Context, _ *store.Tx, e audit.Entry, at core.Position) error {
			settled[e.Object] = at
			return nil
		}
		boom := errors.New("boom")
		if err := db.Tx(t.Context(), func(tx *store.Tx) error { return errors.Join(audit.Put(t.Context(), tx, fact(99)), boom) }); !errors.Is(err, boom) {
			t.Fatal(err)
		}
		e := fact(1)
		e.Intent, e.Revision, e.Subject, e.Type = &core.Position{Origin: origin, Index: 3}, 9, "person/ben", audit.TypeAuthority
		put(t, db, fact(0), e, fact(2))
		drain(t, o)
		expectNumbers(t, l, 1, 2, 3)
		r, err := l.Entry(t.Context(), core.Position{Index: 1})
		if err != nil || r.Header.Intent != origin+"#3" || r.Header.Revision != 9 || string(r.Body) != `{"n":1}` || r.Actor != "person/anna" || r.Header.Type != audit.TypeAuthority {
			t.Errorf("entry %+v, %v", r, err)
		}
		if len(settled) != 3 || settled["device/press-2"] != (core.Position{Origin: origin, Index: 2}) {
			t.Errorf("settled %v", settled)
		}
		if n := waitingRows(t, db); n != 0 {
			t.Errorf("%d rows left", n)
		}
	})
}

func TestOutboxRunWakesAndKeepsOrderUnderConcurrency(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		l := open(t, config(t, t.TempDir()))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		o := audit.NewOutbox(db, l)
		const writers, each = 4, 15
		var mu sync.Mutex
		carried := 0
		all := make(chan struct{})
		o.Settled = func(_ context.Context, tx *store.Tx, _ audit.Entry, _ core.Position) error {
			tx.OnCommit(func() {
				mu.Lock()
				defer mu.Unlock()
				if carried++; carried == writers*each {
					close(all)
				}
			})
			return nil
		}
		go func() {
			defer close(done)
			if err := o.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
		}()
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if err := db.Tx(ctx, func(tx *store.Tx) error { return audit.Put(ctx, tx, fact(w*each+i)) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		<-all
		cancel()
		<-done
		var want []uint64
		for i := range uint64(writers * each) {
			want = append(want, i+1)
		}
		expectNumbers(t, l, want...)
	})
}

// The process dies after the append and before the rows are taken out.
func TestOutboxAfterACrashAppendsNothingTwice(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		dir := t.TempDir()
		l := open(t, config(t, dir))
		o := audit.NewOutbox(db, l)
		died := errors.New("died")
		o.Settled = func(context.Context, *store.Tx, audit.Entry, core.Position) error { return died }
		put(t, db, fact(0), fact(1), fact(2))
		if _, err := o.Drain(t.Context()); !errors.Is(err, died) {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, config(t, dir))
		put(t, db, fact(3))
		o = audit.NewOutbox(db, l)
		settled := 0
		o.Settled = func(_ context.Context, _ *store.Tx, e audit.Entry, at core.Position) error {
			if want := fmt.Sprintf("device/press-%d", at.Index); e.Object != want {
				t.Errorf("%s settled at %d", e.Object, at.Index)
			}
			settled++
			return nil
		}
		drain(t, o)
		expectNumbers(t, l, 1, 2, 3, 4)
		if settled != 4 || waitingRows(t, db) != 0 {
			t.Errorf("%d settled, %d left", settled, waitingRows(t, db))
		}
	})
}

// A state database restored from a backup gives numbers again that the log has
// seen. Nothing may be taken for recorded that is not.
func TestOutboxOfARestoredDatabase(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		l := open(t, config(t, t.TempDir()))
		o := audit.NewOutbox(db, l)
		put(t, db, fact(0), fact(1), fact(2))
		drain(t, o)
		if err := db.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE audit_outbox_heads SET last = 1`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		other := fact(7)
		other.Outcome = "lost"
		put(t, db, other, fact(2)) // numbers 2 and 3 again; the second looks like the old one but for its salt
		drain(t, o)
		put(t, db, fact(8))
		drain(t, o)
		hits, err := l.Search(t.Context(), audit.Query{Outcome: "lost"})
		if err != nil || len(hits) != 1 || hits[0].Header.Outbox <= 3 {
			t.Errorf("the entry under a number given twice: %+v, %v", hits, err)
		}
		for object, want := range map[string]int{"device/press-2": 2, "device/press-8": 1} {
			if hits, err := l.Search(t.Context(), audit.Query{Object: object}); err != nil || len(hits) != want {
				t.Errorf("%s: %+v, %v", object, hits, err)
			}
		}
	})
}

// While the log is stop-only entries wait, in order, vital ones behind them
// too; a succession lets all of them in.
func TestOutboxWaitsOutStopOnlyMode(t *testing.T) {
	c, _ := damagedLog(t)
	l := open(t, c)
	db := storetest.Open(t, storetest.Config(t, "sqlite"), audit.Migrations())
	o := audit.NewOutbox(db, l)
	vital := fact(1)
	vital.Vital = audit.VitalStop
	put(t, db, vital, fact(2), vital, fact(3))
	for range 3 {
		if n, err := o.Drain(t.Context()); core.KindOf(err) != core.KindUnavailable || n > 1 {
			t.Errorf("drained %d, %v", n, err)
		}
	}
	if n := waitingRows(t, db); n != 3 {
		t.Errorf("%d rows wait", n)
	}
	statement, err := l.Statement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Succeed(t.Context(), statement, sign(statement)); err != nil {
		t.Fatal(err)
	}
	drain(t, o)
	if n := waitingRows(t, db); n != 0 || l.Outbox() != 4 {
		t.Errorf("%d rows wait, the log has number %d", n, l.Outbox())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l = open(t, c); l.Outbox() != 4 {
		t.Errorf("after a restart the log has number %d", l.Outbox())
	}
}

func TestPutRefusesWhatTheLogWould(t *testing.T) {
	db := storetest.Open(t, storetest.Config(t, "sqlite"), audit.Migrations())
	for name, change := range map[string]func(*audit.Entry){
		"type":    func(e *audit.Entry) { e.Type = "gossip" },
		"class":   func(e *audit.Entry) { e.Class = "" },
		"outcome": func(e *audit.Entry) { e.Outcome = "Anna said no" },
		"actor":   func(e *audit.Entry) { e.Actor = "" },
		"size":    func(e *audit.Entry) { e.Body = strings.Repeat("x", audit.MaxLeaf) },
		"body":    func(e *audit.Entry) { e.Body = func() {} },
		"own":     func(e *audit.Entry) { e.Type = audit.TypeTombstone },
		"intent":  func(e *audit.Entry) { e.Intent = &core.Position{Origin: "a b"} },
	} {
		e := fact(0)
		change(&e)
		if err := db.Tx(t.Context(), func(tx *store.Tx) error { return audit.Put(t.Context(), tx, e) }); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if n := waitingRows(t, db); n != 0 {
		t.Errorf("%d rows", n)
	}
}
