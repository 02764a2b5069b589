package journal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

func TestALeaseHasOneOwnerAtATime(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		acquire := func(owner string) (*journal.Lease, error) {
			return journal.Acquire(ctx, w.state, w.clock, "correlate/acme", owner, time.Minute)
		}
		a, err := acquire("a")
		if err != nil || a.Token != 1 {
			t.Fatal(a, err)
		}
		if _, err := acquire("b"); core.KindOf(err) != core.KindConflict || !strings.Contains(err.Error(), "held by a") {
			t.Errorf("a second owner: %v", err)
		}
		w.clock.Advance(50 * time.Second)
		if err := a.Renew(ctx, w.state, w.clock, time.Minute); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(50 * time.Second)
		if _, err := acquire("b"); core.KindOf(err) != core.KindConflict {
			t.Errorf("after renewal: %v", err)
		}
		w.clock.Advance(10 * time.Second)
		b, err := acquire("b")
		if err != nil || b.Token != 2 {
			t.Fatal(b, err)
		}
		for what, err := range map[string]error{
			"renew": a.Renew(ctx, w.state, w.clock, time.Minute), "release": a.Release(ctx, w.state),
		} {
			if core.KindOf(err) != core.KindExpired {
				t.Errorf("the old owner's %s: %v", what, err)
			}
		}
		if err := b.Release(ctx, w.state); err != nil {
			t.Fatal(err)
		}
		again, err := acquire("a")
		if err != nil || again.Token != 3 {
			t.Fatal(again, err)
		}
		// A process that restarts under its old name fences its past self.
		if later, err := acquire("a"); err != nil || later.Token != 4 {
			t.Error(later, err)
		}
	})
}

// The old owner is slow: it has handled the frame and stalls; meanwhile the
// lease runs out and the new owner takes over. Its late commit must fail.
func TestAStaleOwnersCommitFails(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mustAppend(t, w.raw, events("a"), events("b"))
		old, err := journal.Acquire(ctx, w.state, w.clock, "l", "old", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		stage := func(name string, l *journal.Lease) journal.Stage {
			return journal.Stage{Name: "s", From: w.raw, Lease: l, Batch: 1, Clock: w.clock, Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
				return record(tx, "s", f, name)
			}}
		}
		runUntil(t, w.state, stage("old", old), 1)
		w.clock.Advance(2 * time.Minute)
		fresh, err := journal.Acquire(ctx, w.state, w.clock, "l", "new", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		running, stop := context.WithCancel(ctx)
		late := stage("old", old)
		late.Handle = func(_ context.Context, tx *store.Tx, f journal.Frame) error {
			tx.OnCommit(stop)
			return record(tx, "s", f, "late")
		}
		err = journal.Run(running, w.state, late)
		stop()
		if core.KindOf(err) != core.KindExpired {
			t.Errorf("the old owner ran on: %v", err)
		}
		err = w.state.Tx(ctx, func(tx *store.Tx) error {
			return errors.Join(record(tx, "s", journal.Frame{Offset: 99}, "old"), old.Check(ctx, tx))
		})
		if core.KindOf(err) != core.KindExpired {
			t.Errorf("Check = %v", err)
		}
		runUntil(t, w.state, stage("new", fresh), 2)
		if got := done(t, w.state, "s"); got != "1:old 2:new" {
			t.Errorf("effects %s", got)
		}
	})
}

// A handler's own "expired" is the frame's trouble, not the lease's.
func TestAHandlersExpiryIsNotTheLeases(t *testing.T) {
	w := newWorld(t, "sqlite")
	mustAppend(t, w.raw, events("a"), events("b"))
	l, err := journal.Acquire(ctx, w.state, w.clock, "l", "me", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	runUntil(t, w.state, journal.Stage{Name: "s", From: w.raw, Lease: l, Attempts: 1, Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
		if f.Offset == 1 {
			return core.E(core.KindExpired, "handler", "the token ran out")
		}
		return record(tx, "s", f, "x")
	}}, 2)
	if got := done(t, w.state, "s"); got != "2:x" {
		t.Errorf("effects %s", got)
	}
}
