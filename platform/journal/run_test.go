package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

func TestAStageSeesEveryFrameInOrderAndGoesOnWhereItWas(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		out := journal.NewTopic("matches")
		s := journal.Stage{Name: "detect", From: w.raw, Batch: 2, Handle: func(ctx context.Context, tx *store.Tx, f journal.Frame) error {
			return errors.Join(record(tx, "detect", f, string(f.Records[0])), out.Publish(ctx, tx, f.Tenant, bytes.ToUpper(f.Records[0]), f.Records[0]))
		}}
		mustAppend(t, w.raw, events("a"), events("b"), events("c"))
		runUntil(t, w.state, s, 3)
		mustAppend(t, w.raw, events("d"))
		runUntil(t, w.state, s, 4)
		if got := done(t, w.state, "detect"); got != "1:a 2:b 3:c 4:d" {
			t.Errorf("effects %s", got)
		}
		published := mustRead(t, out.Bind(w.state), 0, 1)
		if got := text(published); got != "1:A,a 2:B,b 3:C,c 4:D,d" {
			t.Errorf("published %s", got)
		}
		if f := published[3]; f.Source != "detect" || f.Tenant != tenant || !f.Received.Equal(start) {
			t.Errorf("published %+v", f)
		}
		// A second stage reads the topic from its beginning.
		next := journal.Stage{Name: "correlate", From: out, Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
			return record(tx, "correlate", f, string(f.Records[0]))
		}}
		runUntil(t, w.state, next, 4)
		if got := done(t, w.state, "correlate"); got != "1:A 2:B 3:C 4:D" {
			t.Errorf("effects %s", got)
		}
	})
}

func TestAStageWaitsAndIsWoken(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		handled := make(chan string, 1)
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- journal.Run(running, w.state, journal.Stage{Name: "s", From: w.raw, Partition: 1, Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
				tx.OnCommit(func() { handled <- text([]journal.Frame{f}) })
				return nil
			}})
		}()
		for _, word := range []string{"a", "b", "c"} {
			f := events(word)
			f.Partition = 1
			mustAppend(t, w.raw, events("elsewhere"), f)
			if got := <-handled; !strings.HasSuffix(got, ":"+word) {
				t.Errorf("handled %s, want %s", got, word)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestAStageOfOneTenantPassesOverTheOthers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := events("theirs")
		other.Tenant = core.MustID[core.TenantID]("other")
		if err := w.raw.Tick(ctx); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, w.raw, events("a"), other, events("b"))
		s := journal.Stage{Name: "correlate/acme", From: w.raw, Tenant: tenant, Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
			return record(tx, "correlate", f, text([]journal.Frame{f}))
		}}
		runUntil(t, w.state, s, 4)
		if got := done(t, w.state, "correlate"); got != "1:1:tick 2:2:a 4:4:b" {
			t.Errorf("effects %s", got)
		}
	})
}

// The stage fails for reasons of its own, for the same frame, for ever. What
// comes after must still be handled, and the frame must not be lost.
func TestAPoisonFrameIsParkedNotDroppedAndBlocksNobody(t *testing.T) {
	for how, fail := range map[string]func(tx *store.Tx) error{
		"error": func(*store.Tx) error { return errors.New("cannot read it\x00") },
		"panic": func(*store.Tx) error { panic("cannot read it") },
		"hidden": func(tx *store.Tx) error {
			_, _ = tx.Exec(ctx, "INSERT INTO nowhere (cannot) VALUES ('read it')")
			return nil
		},
	} {
		t.Run(how, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) { poison(t, w, fail) })
		})
	}
}

func poison(t *testing.T, w *world, fail func(*store.Tx) error) {
	mustAppend(t, w.raw, events("a"), events("b"), events("poison"), events("d"), events("e"))
	var failures []journal.Failure
	healed := false
	s := journal.Stage{
		Name: "detect", From: w.raw, Attempts: 3, Clock: w.clock,
		OnFailure: func(f journal.Failure) { failures = append(failures, f) },
		Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
			if err := record(tx, "detect", f, string(f.Records[0])); err != nil {
				return err
			}
			if string(f.Records[0]) == "poison" && !healed {
				return fail(tx)
			}
			return nil
		},
	}
	moving, stop := context.WithCancel(ctx)
	go w.advance(moving)
	runUntil(t, w.state, s, 5)
	stop()
	if got := done(t, w.state, "detect"); got != "1:a 2:b 4:d 5:e" {
		t.Errorf("effects %s", got)
	}
	if len(failures) != 3 {
		t.Fatalf("%d failures were told: %v", len(failures), failures)
	}
	for i, f := range failures {
		if f.Offset != 3 || f.Attempt != i+1 || f.Parked != (i == 2) || f.Err == nil || f.Stage != "detect" || f.Topic != "raw" {
			t.Errorf("failure %d: %+v", i, f)
		}
	}
	parked, err := journal.Parked(ctx, w.state, 10)
	if err != nil || len(parked) != 1 || parked[0].Offset != 3 || parked[0].Attempts != 3 || parked[0].Error == "" {
		t.Fatalf("parked %+v, %v", parked, err)
	}
	told := mustRead(t, journal.Errors.Bind(w.state), 0, 1)
	var rec journal.ParkedRecord
	if len(told) != 1 || json.Unmarshal(told[0].Records[0], &rec) != nil || rec.Offset != 3 || rec.Stage != "detect" || told[0].Tenant != tenant {
		t.Errorf("the error topic holds %s", text(told))
	}
	// Trimming takes the frame from the journal, not from the stage.
	if err := w.raw.Trim(ctx, 100); core.KindOf(err) != core.KindConflict { // partition 1 has no reader
		t.Errorf("Trim = %v", err)
	}
	if got := text(mustRead(t, w.raw, 0, 0)); got != "" {
		t.Errorf("left %s", got)
	}
	if err := journal.Unpark(ctx, w.state, s, 3); err == nil {
		t.Error("unparked although it fails still")
	}
	healed = true
	if err := journal.Unpark(ctx, w.state, s, 3); err != nil {
		t.Fatal(err)
	}
	if got := done(t, w.state, "detect"); got != "1:a 2:b 3:poison 4:d 5:e" {
		t.Errorf("effects %s", got)
	}
	if err := journal.Unpark(ctx, w.state, s, 3); core.KindOf(err) != core.KindNotFound {
		t.Errorf("unparked twice: %v", err)
	}
}

// advance moves the clock whenever somebody waits for it.
func (w *world) advance(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if w.clock.Waiters() > 0 {
				w.clock.Advance(time.Minute)
			}
		case <-ctx.Done():
			return
		}
	}
}

func TestADamagedFrameIsParkedWithItsBytes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mustAppend(t, w.raw, events("a"), events("b"), events("c"))
		err := w.rawDB.Tx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE journal_raw_frames SET body = $1 WHERE pos = 2", []byte("damaged"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s := journal.Stage{Name: "detect", From: w.raw, Attempts: 1, Clock: w.clock, Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
			return record(tx, "detect", f, string(f.Records[0]))
		}}
		runUntil(t, w.state, s, 3)
		if got := done(t, w.state, "detect"); got != "1:a 3:c" {
			t.Errorf("effects %s", got)
		}
		var body []byte
		err = w.state.View(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(ctx, "SELECT body FROM journal_parked WHERE pos = 2").Scan(&body)
		})
		if err != nil || string(body) != "damaged" {
			t.Errorf("kept %q, %v", body, err)
		}
	})
}

// The count of attempts is durable: a stage that is restarted in between does
// not start it again.
func TestAttemptsAreCountedAcrossRestarts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mustAppend(t, w.raw, events("poison"), events("b"))
		var attempts []int
		for range 3 {
			running, stop := context.WithCancel(ctx)
			err := journal.Run(running, w.state, journal.Stage{
				Name: "s", From: w.raw, Attempts: 3, Clock: w.clock,
				OnFailure: func(f journal.Failure) { attempts = append(attempts, f.Attempt); stop() },
				Handle: func(_ context.Context, _ *store.Tx, f journal.Frame) error {
					if f.Offset == 1 {
						return errors.New("no")
					}
					return nil
				},
			})
			stop()
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(attempts, []int{1, 2, 3}) {
			t.Errorf("attempts %v", attempts)
		}
		if parked, err := journal.Parked(ctx, w.state, 10); err != nil || len(parked) != 1 {
			t.Errorf("parked %v, %v", parked, err)
		}
	})
}

// A full disk or a database that is away is not the frame's fault.
func TestAnOutageParksNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mustAppend(t, w.raw, events("a"), events("b"))
		outage, failures := 10, 0
		s := journal.Stage{
			Name: "s", From: w.raw, Attempts: 2, Clock: w.clock,
			OnFailure: func(f journal.Failure) {
				failures++
				if f.Attempt != 0 || f.Parked {
					t.Errorf("blamed on a frame: %+v", f)
				}
			},
			Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
				if outage > 0 {
					outage--
					return core.E(core.KindUnavailable, "elsewhere", "the disk is full")
				}
				return record(tx, "s", f, string(f.Records[0]))
			},
		}
		moving, stop := context.WithCancel(ctx)
		go w.advance(moving)
		runUntil(t, w.state, s, 2)
		stop()
		if got := done(t, w.state, "s"); got != "1:a 2:b" || failures != 10 {
			t.Errorf("effects %s after %d failures", got, failures)
		}
	})
}

// What a stage keeps in memory must not count a frame twice because a
// transaction had to run again.
func TestMemoryIsRestoredAfterEveryAttemptThatDidNotCommit(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for i := range 10 {
			mustAppend(t, w.raw, events(fmt.Sprint(i)))
		}
		var seen []string
		failed := map[uint64]int{}
		s := journal.Stage{
			Name: "s", From: w.raw, Batch: 4, Clock: w.clock,
			Restore: func(ctx context.Context, tx *store.Tx) error {
				seen = nil
				rows, err := tx.Query(ctx, "SELECT what FROM effects WHERE stage = 's' ORDER BY pos")
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
					var what string
					if err := rows.Scan(&what); err != nil {
						return err
					}
					seen = append(seen, what)
				}
				return rows.Err()
			},
			Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
				seen = append(seen, string(f.Records[0]))
				if failed[f.Offset]++; failed[f.Offset] == 1 && f.Offset%3 == 0 {
					return errors.New("not the first time")
				}
				return record(tx, "s", f, seen[len(seen)-1])
			},
		}
		moving, stop := context.WithCancel(ctx)
		go w.advance(moving)
		runUntil(t, w.state, s, 10)
		stop()
		if got := strings.Join(seen, ""); got != "0123456789" {
			t.Errorf("memory holds %s", got)
		}
	})
}

// Two runners of one stage, as after a botched takeover: no effect twice.
func TestTwoRunnersOfOneStageHaveEachEffectOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var want []string
		for i := range 40 {
			mustAppend(t, w.raw, events("x"))
			want = append(want, fmt.Sprintf("%d:x", i+1))
		}
		var wg sync.WaitGroup
		both, stop := context.WithCancel(ctx)
		for range 2 {
			wg.Go(func() {
				err := journal.Run(both, w.state, journal.Stage{Name: "s", From: w.raw, Batch: 3, Clock: w.clock, Handle: func(_ context.Context, tx *store.Tx, f journal.Frame) error {
					if f.Offset == 40 {
						tx.OnCommit(stop)
					}
					return record(tx, "s", f, "x")
				}})
				if err != nil {
					t.Error(err)
				}
			})
		}
		go w.advance(both)
		wg.Wait()
		stop()
		if got := done(t, w.state, "s"); got != strings.Join(want, " ") {
			t.Errorf("effects %s", got)
		}
	})
}

func TestStagesThatAreNoneAreRefused(t *testing.T) {
	w := newWorld(t, "sqlite")
	handle := func(context.Context, *store.Tx, journal.Frame) error { return nil }
	for name, s := range map[string]journal.Stage{
		"no name":    {From: w.raw, Handle: handle},
		"odd name":   {Name: "A; DROP", From: w.raw, Handle: handle},
		"no reader":  {Name: "s", Handle: handle},
		"no handler": {Name: "s", From: w.raw},
	} {
		if err := journal.Run(ctx, w.state, s); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
