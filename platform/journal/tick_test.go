package journal_test

import (
	"context"
	"testing"
	"time"

	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

func tickTimes(t *testing.T, raw *journal.Raw, partition int32) (seconds []float64) {
	t.Helper()
	for _, f := range mustRead(t, raw, partition, 1) {
		if f.Kind == journal.KindTick {
			seconds = append(seconds, f.Received.Sub(start).Seconds())
		}
	}
	return seconds
}

func equal(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestTicksComeOnceASecondInEveryPartition(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, step := range []time.Duration{0, 300 * time.Millisecond, 700 * time.Millisecond, 999 * time.Millisecond, time.Millisecond, 10 * time.Second} {
			w.clock.Advance(step)
			if err := w.raw.Tick(ctx); err != nil {
				t.Fatal(err)
			}
		}
		mustAppend(t, w.raw, events("a"))
		for partition := range int32(2) {
			if got := tickTimes(t, w.raw, partition); !equal(got, []float64{0, 1, 2, 12}) {
				t.Errorf("partition %d ticked at %v", partition, got)
			}
		}
		if got := text(mustRead(t, w.raw, 0, 4)); got != "4:tick 5:a" {
			t.Errorf("order %s", got)
		}
	})
}

// A clock that is set back must neither turn time back nor stop it: a device
// that falls silent in that hour would go unnoticed.
func TestTicksSurviveAClockSetBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, at := range []time.Duration{0, time.Second, -2 * time.Second, -time.Second, 0, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second, 6 * time.Second, 7 * time.Second} {
			w.clock.Set(start.Add(at))
			if err := w.raw.Tick(ctx); err != nil {
				t.Fatal(err)
			}
		}
		got := tickTimes(t, w.raw, 0)
		for i := 1; i < len(got); i++ {
			if got[i] <= got[i-1] {
				t.Fatalf("time went from %v to %v", got[i-1], got[i])
			}
		}
		if got[len(got)-1] != 7 {
			t.Errorf("the ticks never met the clock again: %v", got)
		}
	})
}

// Two servers on one database: one ticks, and when it stops the other goes on.
func TestOneServerTicksAndAnotherTakesOver(t *testing.T) {
	w := newWorld(t, "postgres")
	other := &world{place: w.place, rawDB: storetest.Open(t, w.Raw), state: w.state, clock: w.clock}
	second := other.openRaw(t, 2)
	for i := range 6 {
		if i < 3 { // then the first server dies
			if err := w.raw.Tick(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := second.Tick(ctx); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Second)
	}
	if got := tickTimes(t, w.raw, 0); !equal(got, []float64{0, 1, 2, 3, 4, 5}) {
		t.Errorf("ticks at %v", got)
	}
}

func TestRunTicksUntilToldToStop(t *testing.T) {
	w := newWorld(t, "sqlite")
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.raw.RunTicks(running, func(err error) { t.Error(err) })
	}()
	for i := range uint64(3) {
		if err := w.raw.Wait(ctx, 0, i); err != nil {
			t.Fatal(err)
		}
		for w.clock.Waiters() == 0 {
			if err := w.raw.Wait(ctx, 0, 0); err != nil { // yields to the other goroutine
				t.Fatal(err)
			}
		}
		w.clock.Advance(time.Second)
	}
	if err := w.raw.Wait(ctx, 0, 3); err != nil {
		t.Fatal(err)
	}
	stop()
	<-ended
}
