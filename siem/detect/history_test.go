package detect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/detect"
)

// journalOf opens a raw journal with frames in it.
func journalOf(t *testing.T, partitions int32, frames ...journal.Frame) *journal.Raw {
	t.Helper()
	db := storetest.Open(t, storetest.Config(t, "sqlite"), journal.RawMigrations())
	r, err := journal.OpenRaw(context.Background(), db, journal.RawOptions{Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if _, err := r.Append(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestHistoryGivesTheEventsOfASpanInTheOrderOfTheirArrival(t *testing.T) {
	eventCount = 0
	var frames []journal.Frame
	for i := range 40 { // one a second, by turns in either partition
		frames = append(frames, eventsFrame(int32(i%2), i, login(i, "u", "192.0.2.1"), []byte("junk")))
		frames = append(frames, tick(int32(i%2), i))
	}
	j := journalOf(t, 2, frames...)
	read := func(span detect.Span) (out []int) {
		err := detect.History(context.Background(), j, span, func(e *core.Event) error {
			out = append(out, int(e.Received.Sub(sec(0))/time.Second))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	seconds := func(from, to int) (out []int) {
		for i := from; i < to; i++ {
			out = append(out, i)
		}
		return out
	}
	for _, c := range []struct {
		span detect.Span
		want []int
	}{
		{detect.Span{}, seconds(0, 40)},
		{detect.Span{From: sec(7), To: sec(21)}, seconds(7, 21)},
		{detect.Span{From: sec(33)}, seconds(33, 40)},
		{detect.Span{To: sec(3)}, seconds(0, 3)},
		{detect.Span{From: sec(99)}, nil},
	} {
		if got := read(c.span); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.span, got, c.want)
		}
	}
}

func TestHistoryOfAClockThatWasSetBack(t *testing.T) {
	eventCount = 0
	var frames []journal.Frame
	for _, at := range []int{0, 10, 20, 30, 5, 6, 7, 40} {
		frames = append(frames, eventsFrame(0, at, login(at, "u", "192.0.2.1")))
	}
	n := 0
	err := detect.History(context.Background(), journalOf(t, 1, frames...), detect.Span{To: sec(25)}, func(*core.Event) error { n++; return nil })
	if err != nil || n != 6 {
		t.Errorf("%d events, %v", n, err)
	}
}

func TestHistoryEndsWithItsCallerAndWithItsContext(t *testing.T) {
	eventCount = 0
	var frames []journal.Frame
	for i := range 100 {
		frames = append(frames, eventsFrame(0, i, login(i, "u", "192.0.2.1")))
	}
	j := journalOf(t, 1, frames...)
	enough := errors.New("enough")
	n := 0
	err := detect.History(context.Background(), j, detect.Span{}, func(*core.Event) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("%d events, %v", n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n = 0
	err = detect.History(ctx, j, detect.Span{}, func(*core.Event) error { n++; cancel(); return nil })
	if err == nil || n >= 100 {
		t.Errorf("%d events after the end, %v", n, err)
	}
}

func TestHistoryOfAnEmptyJournal(t *testing.T) {
	err := detect.History(context.Background(), journalOf(t, 3), detect.Span{From: sec(0)}, func(e *core.Event) error { return fmt.Errorf("%v", e) })
	if err != nil {
		t.Error(err)
	}
}
