package journal_test

import (
	"context"
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
	"github.com/interlock-security/interlock/platform/store/storetest"
)

func TestBothEnginesHaveTheSameSchema(t *testing.T) {
	storetest.SameSchema(t, journal.Migrations(), journal.RawMigrations())
}

func TestFramesComeBackAsTheyWent(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		sent := events(`{"a":1}`, "", strings.Repeat("x", 100_000), "\x00\xff")
		sent.Received = start.Add(-time.Hour)
		sent.Key = &journal.Key{Tenant: tenant, Device: core.MustID[core.DeviceID]("press-7"), Epoch: "e1", First: 1, Last: 4, Hash: [32]byte{1, 2}}
		rules := journal.Frame{Partition: 1, Kind: journal.KindRules, Source: "rules", Records: [][]byte{[]byte("r")}}
		out := mustAppend(t, w.raw, sent, rules)
		if !slices.Equal(out, []journal.Appended{{Offset: 1}, {Offset: 1}}) {
			t.Errorf("Append = %+v", out)
		}
		got := mustRead(t, w.raw, 0, 1)
		if len(got) != 1 || text(got) != text([]journal.Frame{{Offset: 1, Kind: journal.KindEvents, Records: sent.Records}}) {
			t.Fatalf("read %.200s", text(got))
		}
		f := got[0]
		if f.Source != sent.Source || f.Tenant != tenant || !f.Received.Equal(sent.Received) || f.Key == nil || *f.Key != *sent.Key || f.Partition != 0 {
			t.Errorf("read %+v", f)
		}
		got = mustRead(t, w.raw, 1, 0)
		if len(got) != 1 || got[0].Kind != journal.KindRules || !got[0].Received.Equal(start) || got[0].Key != nil || !got[0].Tenant.IsZero() {
			t.Errorf("read %+v", got)
		}
	})
}

func TestReadGivesWhatIsAskedFor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if got := mustRead(t, w.raw, 0, 1); len(got) != 0 {
			t.Errorf("an empty journal holds %s", text(got))
		}
		if next, err := w.raw.Next(ctx, 0); err != nil || next != 1 {
			t.Errorf("Next = %d, %v", next, err)
		}
		mustAppend(t, w.raw, events("a"), events("b"), events("c"))
		if next, err := w.raw.Next(ctx, 0); err != nil || next != 4 {
			t.Errorf("Next = %d, %v", next, err)
		}
		for _, row := range []struct {
			from  uint64
			limit int
			want  string
		}{{0, 10, "1:a 2:b 3:c"}, {1, 2, "1:a 2:b"}, {3, 10, "3:c"}, {4, 10, ""}, {1, 0, ""}} {
			got, err := w.raw.Read(ctx, 0, row.from, row.limit)
			if err != nil || text(got) != row.want {
				t.Errorf("Read(%d, %d) = %s, %v; want %s", row.from, row.limit, text(got), err, row.want)
			}
		}
	})
}

func TestFramesOverTheLimitsAreRefused(t *testing.T) {
	w := newWorld(t, "sqlite")
	many := events()
	for range journal.MaxRecords + 1 {
		many.Records = append(many.Records, []byte("x"))
	}
	device := core.MustID[core.DeviceID]("press-7")
	keyed := func(k journal.Key) journal.Frame {
		f := events("x")
		f.Key = &k
		return f
	}
	for name, row := range map[string]struct {
		frame journal.Frame
		want  core.Kind
	}{
		"too many records":   {many, core.KindTooLarge},
		"too many bytes":     {events(strings.Repeat("x", journal.MaxFrameBytes)), core.KindTooLarge},
		"no kind":            {journal.Frame{Source: "x"}, core.KindInvalid},
		"unknown kind":       {journal.Frame{Kind: 9}, core.KindInvalid},
		"partition too high": {journal.Frame{Kind: journal.KindEvents, Partition: 2}, core.KindInvalid},
		"negative partition": {journal.Frame{Kind: journal.KindEvents, Partition: -1}, core.KindInvalid},
		"source with NUL":    {journal.Frame{Kind: journal.KindEvents, Source: "a\x00b"}, core.KindInvalid},
		"source not UTF-8":   {journal.Frame{Kind: journal.KindEvents, Source: "\xff"}, core.KindInvalid},
		"long source":        {journal.Frame{Kind: journal.KindEvents, Source: strings.Repeat("x", 257)}, core.KindInvalid},
		"tick with records":  {journal.Frame{Kind: journal.KindTick, Records: [][]byte{nil}}, core.KindInvalid},
		"key without device": {keyed(journal.Key{Tenant: tenant, Epoch: "e"}), core.KindInvalid},
		"key without epoch":  {keyed(journal.Key{Tenant: tenant, Device: device}), core.KindInvalid},
		"key backwards":      {keyed(journal.Key{Tenant: tenant, Device: device, Epoch: "e", First: 2, Last: 1}), core.KindInvalid},
		"key too high":       {keyed(journal.Key{Tenant: tenant, Device: device, Epoch: "e", Last: 1 << 63}), core.KindInvalid},
	} {
		// A good frame in the same call is not stored either.
		if _, err := w.raw.Append(ctx, events("good"), row.frame); core.KindOf(err) != row.want {
			t.Errorf("%s: %v, want kind %v", name, err, row.want)
		}
	}
	if got := mustRead(t, w.raw, 0, 1); len(got) != 0 {
		t.Errorf("stored %s", text(got))
	}
}

// The rule of TRUST F08: the same batch again is answered again; another batch
// for sequence numbers already seen is a fork, and both are kept.
func TestDuplicatesAndForks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		send := func(partition int32, device, epoch string, first, last uint64, hash byte) journal.Appended {
			f := events(fmt.Sprintf("%s/%s/%d-%d/%d", device, epoch, first, last, hash))
			f.Partition = partition
			f.Key = &journal.Key{Tenant: tenant, Device: core.MustID[core.DeviceID](device), Epoch: epoch, First: first, Last: last, Hash: [32]byte{hash}}
			return mustAppend(t, w.raw, f)[0]
		}
		for i, row := range []struct {
			partition   int32
			device      string
			epoch       string
			first, last uint64
			hash        byte
			want        journal.Appended
		}{
			{0, "d1", "e1", 1, 10, 1, journal.Appended{Offset: 1}},
			{0, "d1", "e1", 11, 20, 2, journal.Appended{Offset: 2}},
			{0, "d1", "e1", 1, 10, 1, journal.Appended{Offset: 1, Duplicate: true}},
			{0, "d1", "e1", 1, 10, 9, journal.Appended{Offset: 3, Fork: true}},
			{0, "d1", "e1", 1, 10, 9, journal.Appended{Offset: 3, Duplicate: true, Fork: true}},
			{0, "d1", "e1", 5, 6, 8, journal.Appended{Offset: 4, Fork: true}},
			{0, "d1", "e1", 20, 25, 8, journal.Appended{Offset: 5, Fork: true}},
			{0, "d1", "e1", 1, 9, 1, journal.Appended{Offset: 6, Fork: true}}, // the same hash does not lie about its range
			{0, "d1", "e1", 26, 26, 1, journal.Appended{Offset: 7}},
			{0, "d1", "e1", 30, 40, 3, journal.Appended{Offset: 8}}, // a gap is the receiver's to judge
			{0, "d1", "e1", 27, 29, 4, journal.Appended{Offset: 9}}, // and may be filled
			{0, "d1", "e2", 1, 10, 9, journal.Appended{Offset: 10}}, // another epoch
			{0, "d2", "e1", 1, 10, 9, journal.Appended{Offset: 11}}, // another device
			{1, "d1", "e1", 1, 10, 1, journal.Appended{Offset: 1, Duplicate: true}},
			{1, "d1", "e1", 1, 10, 7, journal.Appended{Offset: 1, Fork: true}}, // by way of another partition
			{0, "d3", "e1", 0, 0, 1, journal.Appended{Offset: 12}},
			{0, "d3", "e1", 0, 0, 1, journal.Appended{Offset: 12, Duplicate: true}},
			{0, "d3", "e1", 0, 0, 2, journal.Appended{Offset: 13, Fork: true}},
		} {
			if got := send(row.partition, row.device, row.epoch, row.first, row.last, row.hash); got != row.want {
				t.Errorf("row %d: %+v, want %+v", i, got, row.want)
			}
		}
		if got := mustRead(t, w.raw, 0, 1); len(got) != 13 || string(got[2].Records[0]) != "d1/e1/1-10/9" {
			t.Errorf("kept %s", text(got))
		}
		// A new process knows it too.
		w.raw = w.openRaw(t, 2)
		if got := send(0, "d1", "e1", 11, 20, 2); got != (journal.Appended{Offset: 2, Duplicate: true}) {
			t.Errorf("after reopening: %+v", got)
		}
	})
}

func TestDuplicatesAndForksWithinOneCommit(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key := func(first, last uint64, hash byte) journal.Frame {
			f := events(fmt.Sprint(first, "-", last, "/", hash))
			f.Key = &journal.Key{Tenant: tenant, Device: core.MustID[core.DeviceID]("d1"), Epoch: "e1", First: first, Last: last, Hash: [32]byte{hash}}
			return f
		}
		out := mustAppend(t, w.raw, key(1, 5, 1), events("plain"), key(1, 5, 1), key(3, 4, 2), key(3, 4, 2), key(6, 9, 3))
		want := []journal.Appended{
			{Offset: 1},
			{Offset: 2},
			{Offset: 1, Duplicate: true},
			{Offset: 3, Fork: true},
			{Offset: 3, Duplicate: true, Fork: true},
			{Offset: 4},
		}
		if !slices.Equal(out, want) {
			t.Errorf("got  %+v\nwant %+v", out, want)
		}
		if got := text(mustRead(t, w.raw, 0, 1)); got != "1:1-5/1 2:plain 3:3-4/2 4:6-9/3" {
			t.Errorf("order %s", got)
		}
	})
}

// A device that gets no answer asks again over another connection. However the
// two meet, it is stored once.
func TestTheSameBatchAtTheSameMomentIsStoredOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		servers := []*journal.Raw{w.raw, w.openRaw(t, 2)}
		var wg sync.WaitGroup
		var mu sync.Mutex
		fresh := make(map[uint64]int)
		for server := range 4 {
			wg.Go(func() {
				for seq := uint64(1); seq <= 20; seq++ {
					f := events("x")
					f.Partition = int32(server % 2)
					f.Key = &journal.Key{Tenant: tenant, Device: core.MustID[core.DeviceID]("d1"), Epoch: "e", First: seq, Last: seq, Hash: [32]byte{byte(seq)}}
					out, err := servers[server%2].Append(ctx, f)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if out[0].Fork {
						t.Errorf("sequence %d is called a fork", seq)
					}
					if !out[0].Duplicate {
						fresh[seq]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if total := len(mustRead(t, w.raw, 0, 1)) + len(mustRead(t, w.raw, 1, 1)); total != 20 {
			t.Errorf("%d frames stored, want 20", total)
		}
		for seq, n := range fresh {
			if n != 1 {
				t.Errorf("sequence %d was new %d times", seq, n)
			}
		}
	})
}

func TestConcurrentCallersShareCommits(t *testing.T) {
	w := newWorld(t, "sqlite")
	const callers, rounds = 16, 10
	var wg sync.WaitGroup
	seen := make(chan uint64, callers*rounds)
	for range callers {
		wg.Go(func() {
			for range rounds {
				out, err := w.raw.Append(ctx, events("x"))
				if err != nil {
					t.Error(err)
					return
				}
				seen <- out[0].Offset
			}
		})
	}
	wg.Wait()
	close(seen)
	var offsets []uint64
	for o := range seen {
		offsets = append(offsets, o)
	}
	slices.Sort(offsets)
	for i, o := range offsets {
		if o != uint64(i)+1 {
			t.Fatalf("offsets are not 1 to %d: %v", callers*rounds, offsets)
		}
	}
}

// Statement 6. Two servers write, a reader reads what is there. It must never
// be given an offset while a smaller one is still to come: with offsets from a
// bare sequence, a quarter of the frames were skipped.
func TestOffsetsAppearInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const writers, rounds = 4, 25
		other := w
		if w.Raw.Driver == "postgres" { // SQLite has one process
			other = &world{place: w.place, clock: w.clock}
			other.rawDB, other.state = w.rawDB, w.state
			other.rawDB = storetest.Open(t, w.Raw)
		}
		servers := []*journal.Raw{w.raw, other.openRaw(t, 2)}
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for range rounds {
					if _, err := servers[i%2].Append(ctx, events("x"), events("y")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for next := uint64(1); next <= writers*rounds*2; {
			if err := w.raw.Wait(ctx, 0, next-1); err != nil {
				t.Fatal(err)
			}
			for _, f := range mustRead(t, w.raw, 0, next) {
				if f.Offset != next {
					t.Fatalf("offset %d came when %d was next", f.Offset, next)
				}
				next++
			}
		}
		wg.Wait()
	})
}

func TestOneCallersBadFrameDoesNotFailTheOthers(t *testing.T) {
	w := newWorld(t, "postgres")
	// The database itself refuses this one, which no check foresaw.
	err := w.rawDB.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, "ALTER TABLE journal_raw_frames ADD CONSTRAINT no_poison CHECK (source <> 'poison')")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			f := events("x")
			if i%10 == 0 {
				f.Source = "poison"
			}
			if _, err := w.raw.Append(ctx, f); (err != nil) != (i%10 == 0) {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := mustRead(t, w.raw, 0, 1); len(got) != 36 {
		t.Errorf("%d frames, want 36", len(got))
	}
}

func TestDamageIsNamedAndWhatComesBeforeItIsRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mustAppend(t, w.raw, events("a"), events("b"), events("c"))
		for name, change := range map[string]string{
			"flipped body": "UPDATE journal_raw_frames SET body = $1 WHERE pos = 2",
		} {
			err := w.rawDB.Tx(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, change, []byte("not zstd"))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := text(mustRead(t, w.raw, 0, 1)); got != "1:a" {
				t.Errorf("%s: read %s", name, got)
			}
			_, err = w.raw.Read(ctx, 0, 2, 10)
			if core.KindOf(err) != core.KindDamaged || !strings.Contains(err.Error(), "offset 2") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestACallerMayGiveUpWaiting(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := w.raw.Append(gone, events("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("Append = %v", err)
		}
		if err := w.raw.Wait(gone, 0, 5); err == nil {
			t.Error("Wait returned as if there were something")
		}
		if got := mustRead(t, w.raw, 0, 1); len(got) != 0 {
			t.Errorf("stored %s", text(got))
		}
	})
}
