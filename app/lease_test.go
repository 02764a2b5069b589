package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

// owner is as much of a server as owns a stage.
type owner struct {
	*Server
	clock   *clocktest.Clock
	handled chan uint64
	ended   chan error
	cancel  context.CancelFunc
}

var leased = journal.NewTopic("leased")

func newOwner(db *store.DB, clock *clocktest.Clock, name string) *owner {
	s := &Server{Config: Default(0), base: &foundation{state: db}, clock: clock, log: slog.New(slog.DiscardHandler), instance: name}
	return &owner{Server: s, clock: clock, handled: make(chan uint64, 16), ended: make(chan error, 1)}
}

func (o *owner) start(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o.cancel = cancel
	stage := journal.Stage{Name: "correlate", From: leased.Bind(o.base.state), Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
		tx.OnCommit(func() { o.handled <- f.Offset })
		return nil
	}}
	go func() { o.ended <- o.runOwned(ctx, stage) }()
	t.Cleanup(o.stop)
}

func (o *owner) stop() {
	if o.cancel != nil {
		o.cancel()
		<-o.ended
		o.cancel = nil
	}
}

func publish(t *testing.T, db *store.DB) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		return leased.Publish(t.Context(), tx, core.MustID[core.TenantID]("main"), []byte("x"))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// after moves the clock on by steps until the channel speaks.
func after[T any](t *testing.T, clock *clocktest.Clock, step time.Duration, c <-chan T) (v T) {
	t.Helper()
	limit := time.NewTimer(3 * time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case v := <-c:
			return v
		case <-tick.C:
			clock.Advance(step)
		case <-limit.C:
			t.Fatal("nothing came")
		}
	}
}

func eachState(t *testing.T, body func(t *testing.T, db *store.DB)) {
	storetest.Each(t, []store.Migrations{journal.Migrations()}, body)
}

// A server that was killed left its lease behind. Started again it is the owner
// at once: it must not wait, and much less refuse to start.
func TestOwnerAfterACrash(t *testing.T) {
	eachState(t, func(t *testing.T, db *store.DB) {
		clock := clocktest.New(time.Unix(1e9, 0))
		if _, err := journal.Acquire(t.Context(), db, clock, "correlate/main", "me", ownerLease); err != nil {
			t.Fatal(err)
		}
		publish(t, db)
		o := newOwner(db, clock, "me")
		o.start(t)
		after(t, clock, 0, o.handled)
	})
}

// The second server on a database waits, takes over when the first is gone, and
// a first one that comes back late waits in its turn. Neither ends.
func TestOwnersTakeTurns(t *testing.T) {
	eachState(t, func(t *testing.T, db *store.DB) {
		clock := clocktest.New(time.Unix(1e9, 0))
		first, second := newOwner(db, clock, "first"), newOwner(db, clock, "second")
		first.start(t)
		publish(t, db)
		after(t, clock, 0, first.handled)
		second.start(t)
		first.stop()
		publish(t, db)
		after(t, clock, time.Second, second.handled)
		first.start(t)
		publish(t, db)
		after(t, clock, 0, second.handled)
		select {
		case <-first.handled:
			t.Error("two owners at a time")
		case err := <-first.ended:
			t.Errorf("a server without the lease ended: %v", err)
		default:
		}
	})
}

// The name by which a server owns is the same after every start and another one
// for other keys.
func TestServersKeepTheirNames(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for _, sub := range []string{"a", "a", "b"} {
		k, err := openHostKeys(dir + "/" + sub)
		if err != nil {
			t.Fatal(err)
		}
		name, err := k.name()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if names[0] != names[1] || names[0] == names[2] {
		t.Errorf("names %v", names)
	}
}
