package journal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

func TestTrimStopsAtTheSlowestCursor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.raw = w.openRaw(t, 1)
		for i := range 10 {
			mustAppend(t, w.raw, events(fmt.Sprint(i+1)))
		}
		oldest := func() uint64 {
			frames := mustRead(t, w.raw, 0, 0)
			if len(frames) == 0 {
				return 0
			}
			return frames[0].Offset
		}
		if err := w.raw.Trim(ctx, 5); core.KindOf(err) != core.KindConflict || oldest() != 1 {
			t.Errorf("nobody has read it: %v, oldest %d", err, oldest())
		}
		fast := journal.Cursor{Stage: "fast", Topic: "raw"}
		slow := journal.Cursor{Stage: "slow", Topic: "raw"}
		if err := errors.Join(fast.Register(ctx, w.state, 9), slow.Register(ctx, w.state, 4), slow.Register(ctx, w.state, 8)); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct{ before, want uint64 }{{3, 3}, {2, 3}, {100, 4}, {4, 4}} {
			if err := w.raw.Trim(ctx, row.before); err != nil || oldest() != row.want {
				t.Errorf("Trim(%d): %v, oldest %d, want %d", row.before, err, oldest(), row.want)
			}
		}
		if err := w.state.Tx(ctx, func(tx *store.Tx) error { return slow.Save(ctx, tx, 4, 11) }); err != nil {
			t.Fatal(err)
		}
		if err := w.raw.Trim(ctx, 100); err != nil || oldest() != 9 {
			t.Errorf("%v, oldest %d, want 9", err, oldest())
		}
		if _, err := w.raw.Read(ctx, 0, 5, 1); core.KindOf(err) != core.KindExpired {
			t.Errorf("reading what is trimmed: %v", err)
		}
		if err := errors.Join(fast.Forget(ctx, w.state), w.raw.Trim(ctx, 100)); err != nil || oldest() != 0 {
			t.Errorf("%v, oldest %d", err, oldest())
		}
		// Offsets go on where they were, and a new stage begins at what is kept.
		mustAppend(t, w.raw, events("11"))
		runUntil(t, w.state, journal.Stage{Name: "late", From: w.raw, Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
			return record(tx, "late", f, string(f.Records[0]))
		}}, 11)
		if got := done(t, w.state, "late"); got != "11:11" {
			t.Errorf("effects %s", got)
		}
	})
}

func TestTopicsAreTrimmedTheSameWay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		topic := journal.NewTopic("alerts").Bind(w.state)
		err := w.state.Tx(ctx, func(tx *store.Tx) error {
			var all [][]byte
			for i := range 2*journal.MaxRecords + 1 {
				all = append(all, fmt.Append(nil, i))
			}
			return topic.Publish(ctx, tx, tenant, all...)
		})
		if err != nil {
			t.Fatal(err)
		}
		frames := mustRead(t, topic, 0, 1)
		if len(frames) != 3 || len(frames[0].Records) != journal.MaxRecords || string(frames[2].Records[0]) != "2000" {
			t.Fatalf("%d frames", len(frames))
		}
		if err := topic.Trim(ctx, 3); core.KindOf(err) != core.KindConflict {
			t.Errorf("nobody has read it: %v", err)
		}
		c := journal.Cursor{Stage: "s", Topic: "alerts"}
		if err := errors.Join(c.Register(ctx, w.state, 2), topic.Trim(ctx, 100)); err != nil {
			t.Fatal(err)
		}
		if frames := mustRead(t, topic, 0, 0); len(frames) != 2 || frames[0].Offset != 2 {
			t.Errorf("left %d frames", len(frames))
		}
	})
}

func TestTopicsThatAreNoneAreRefused(t *testing.T) {
	w := newWorld(t, "sqlite")
	for _, name := range []string{"", "raw", "Alerts", "a b", "../x"} {
		err := w.state.Tx(ctx, func(tx *store.Tx) error {
			return journal.NewTopic(name).Publish(ctx, tx, tenant, []byte("x"))
		})
		if core.KindOf(err) != core.KindInvalid {
			t.Errorf("topic %q: %v", name, err)
		}
	}
	if _, err := journal.NewTopic("alerts").Read(ctx, 0, 0, 1); err == nil {
		t.Error("an unbound topic was read")
	}
}

func TestWhatIsNotCommittedIsNotPublished(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		topic := journal.NewTopic("alerts").Bind(w.state)
		err := w.state.Tx(ctx, func(tx *store.Tx) error {
			return errors.Join(topic.Publish(ctx, tx, tenant, []byte("x")), errors.New("no"))
		})
		if err == nil {
			t.Fatal("committed")
		}
		if err := w.state.Tx(ctx, func(tx *store.Tx) error { return topic.Publish(ctx, tx, tenant, []byte("y")) }); err != nil {
			t.Fatal(err)
		}
		if got := text(mustRead(t, topic, 0, 0)); got != "1:y" {
			t.Errorf("published %s", got)
		}
	})
}
