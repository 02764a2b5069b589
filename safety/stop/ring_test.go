package stop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	noon   = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	tenant = core.MustID[core.TenantID]("acme")
	hallA  = core.MustID[core.SiteID]("hall-a")
	hallB  = core.MustID[core.SiteID]("hall-b")
)

// id returns the same ids in every run.
func id(n int) core.UUID { return core.UUID{0: 1, 14: byte(n >> 8), 15: byte(n)} }

func trip(n int) Record {
	return Record{
		Kind: RecordTrip, Stop: id(n), Trip: id(n), Tenant: tenant, By: "person/vera", At: noon,
		Scope: Scope{Kind: ScopeDevice, Device: core.MustID[core.DeviceID]("press-" + strconv.Itoa(n))},
	}
}

func reset(n int) Record {
	return Record{Kind: RecordReset, Stop: id(n), Tenant: tenant, By: "person/olga", Reason: "checked", At: noon}
}

func openRing(t testing.TB, path string, o RingOptions) *Ring {
	t.Helper()
	if o.Slots == 0 {
		o.Slots = MinSlots
	}
	r, err := OpenRing(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func appendTo(t testing.TB, r *Ring, rec Record) <-chan struct{} {
	t.Helper()
	durable, err := r.Append(rec)
	if err != nil {
		t.Fatal(err)
	}
	return durable
}

func reopen(t testing.TB, r *Ring) *Ring {
	t.Helper()
	path := r.f.Name()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return openRing(t, path, RingOptions{})
}

// drainAll returns what a drain gives.
func drainAll(t testing.TB, r *Ring) []Record {
	t.Helper()
	var out []Record
	if err := r.Drain(context.Background(), func(_ context.Context, rec Record) error {
		out = append(out, rec)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func seqs(records []Record) []uint64 {
	var out []uint64
	for _, r := range records {
		out = append(out, r.Seq)
	}
	return out
}

func TestARecordSurvivesARestart(t *testing.T) {
	r := openRing(t, filepath.Join(t.TempDir(), "ring"), RingOptions{})
	want := trip(7)
	want.Reason = "smoke, \"hall\" <A> & \x00\x1b[31m \xff"
	<-appendTo(t, r, want)
	<-appendTo(t, r, trip(8))
	<-appendTo(t, r, reset(8))
	r = reopen(t, r)
	active := r.Active()
	if len(active) != 1 || active[0].Stop != id(7) || active[0].Scope != want.Scope || !active[0].At.Equal(noon) || active[0].By != want.By {
		t.Fatalf("%+v", active)
	}
	if got := active[0].Reason; !strings.HasPrefix(got, `smoke, "hall" <A> & `) || (strings.ContainsAny(got, "\x00\x1b") || !utf8.ValidString(got)) {
		t.Errorf("reason %q", got)
	}
	if got := seqs(drainAll(t, r)); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("drained %v", got)
	}
	appendTo(t, r, trip(9))
	r = reopen(t, r)
	if got := seqs(drainAll(t, r)); !slices.Equal(got, []uint64{4}) {
		t.Errorf("drained after the restart %v", got)
	}
	if s := r.Stats(); s.Lost != 0 || s.Damaged != 0 || s.Faults != 0 || !s.OnDisk {
		t.Errorf("%+v", s)
	}
}

func TestTheFileIsWholeFromTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	r := openRing(t, path, RingOptions{})
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	size := int64(slotsStart + MinSlots*slotSize)
	if st.Size != size || st.Blocks*512 < size || st.Mode&0o777 != 0o600 {
		t.Errorf("size %d, %d bytes taken, mode %o", st.Size, st.Blocks*512, st.Mode)
	}
	for i := range 3 * MinSlots {
		<-appendTo(t, r, reset(i))
		drainAll(t, r)
	}
	if err := syscall.Stat(path, &st); err != nil || st.Size != size {
		t.Errorf("the file grew to %d: %v", st.Size, err)
	}
}

func TestDrainedRecordsMakeRoomAndActiveStopsStay(t *testing.T) {
	r := openRing(t, filepath.Join(t.TempDir(), "ring"), RingOptions{})
	for i := range 10 {
		appendTo(t, r, trip(i)) // stay active
	}
	for i := range 1000 {
		appendTo(t, r, trip(100+i))
		appendTo(t, r, reset(100+i))
		drainAll(t, r)
	}
	if s := r.Stats(); s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	for _, r := range []*Ring{r, reopen(t, r)} {
		active := r.Active()
		if len(active) != 10 || active[0].Stop != id(0) || active[9].Stop != id(9) {
			t.Errorf("%d active", len(active))
		}
	}
}

func TestAFullRingKeepsTheOldestAndTheNewest(t *testing.T) {
	r := openRing(t, filepath.Join(t.TempDir(), "ring"), RingOptions{})
	const n = 10 * MinSlots
	for i := range n {
		rec := reset(i)
		rec.Kind = RecordReason
		appendTo(t, r, rec)
	}
	r = reopen(t, r)
	if s := r.Stats(); s.Lost != n-MinSlots || s.Undrained != MinSlots {
		t.Errorf("%+v", s)
	}
	got := seqs(drainAll(t, r))
	if len(got) != MinSlots || got[0] != 1 || got[MinSlots/4] != MinSlots/4+1 || got[MinSlots-1] != n || !slices.IsSorted(got) {
		t.Errorf("kept %v", got)
	}
}

func TestARingFullOfActiveStopsLosesTheRecordNotTheStop(t *testing.T) {
	r := openRing(t, filepath.Join(t.TempDir(), "ring"), RingOptions{})
	for i := range MinSlots {
		appendTo(t, r, trip(i))
	}
	drainAll(t, r)
	if _, err := r.Append(trip(999)); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("%v", err)
	}
	if s := r.Stats(); s.Lost != 1 {
		t.Errorf("%+v", s)
	}
	if n := len(reopen(t, r).Active()); n != MinSlots {
		t.Errorf("%d stops are active after the restart", n)
	}
}

func TestDamageIsCountedAndTheRestIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	spoil := func(offset int64, b byte) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{b}, offset); err != nil {
			t.Fatal(err)
		}
	}
	r := openRing(t, path, RingOptions{})
	for i := range 5 {
		appendTo(t, r, trip(i))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(slotOffset(2)+100, 0xff)
	spoil(3, 0xff) // header A
	r = openRing(t, path, RingOptions{})
	if s := r.Stats(); s.Damaged != 1 || len(r.Active()) != 4 {
		t.Errorf("%+v, %d active", s, len(r.Active()))
	}
	svc := NewService(Config{Ring: r, Hub: NewHub(sign), Clock: clocktest.New(noon)})
	if got := svc.ring.Find(func(r Record) bool { return r.Kind == RecordDamage }); len(got) != 1 || !strings.Contains(got[0].Reason, "1 slots") {
		t.Errorf("the damage is not told: %+v", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(3, 0xff)
	spoil(headerGap+3, 0xff)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRing(path, RingOptions{}); core.KindOf(err) != core.KindDamaged || core.HintOf(err) == "" {
		t.Errorf("both headers damaged: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the damaged file was touched: %v", err)
	}
}

func TestFilesThatAreNoRing(t *testing.T) {
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	r := openRing(t, short, RingOptions{})
	if _, err := OpenRing(short, RingOptions{}); core.KindOf(err) != core.KindConflict {
		t.Errorf("a second process: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(short, slotsStart+10*slotSize); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("not a ring"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{short, text} {
		if _, err := OpenRing(path, RingOptions{}); core.KindOf(err) != core.KindDamaged {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := OpenRing(filepath.Join(dir, "none", "ring"), RingOptions{}); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("no folder: %v", err)
	}
	for _, n := range []int{1, -1, MaxSlots + 1} {
		if _, err := OpenRing(filepath.Join(dir, "n"), RingOptions{Slots: n}); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%d slots: %v", n, err)
		}
	}
}

// faulty is a disk that fails or stalls when told.
type faulty struct {
	mu      sync.Mutex
	err     error
	stalled chan struct{} // non-nil: sync waits for it
	began   chan struct{}
}

func (f *faulty) write(file *os.File, b []byte, off int64) error {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = file.WriteAt(b, off)
	return err
}

func (f *faulty) sync(file *os.File) error {
	if f.stalled != nil {
		select {
		case f.began <- struct{}{}:
		default:
		}
		<-f.stalled
	}
	return file.Sync()
}

func TestAFullDiskIsTriedAgain(t *testing.T) {
	disk, clock := &faulty{err: syscall.ENOSPC}, clocktest.New(noon)
	r := openRing(t, filepath.Join(t.TempDir(), "ring"), RingOptions{Write: disk.write, Clock: clock})
	durable := appendTo(t, r, trip(1))
	for r.Stats().Faults == 0 || clock.Waiters() == 0 {
		select {
		case <-durable:
			t.Fatal("durable on a full disk")
		default:
		}
	}
	disk.mu.Lock()
	disk.err = nil
	disk.mu.Unlock()
	clock.Advance(retryWrite)
	<-durable
	if s := r.Stats(); s.Unwritten != 0 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	if n := len(reopen(t, r).Active()); n != 1 {
		t.Errorf("%d active", n)
	}
}

func TestAMemoryRingDrains(t *testing.T) {
	r := NewMemoryRing(RingOptions{Slots: MinSlots})
	for i := range 3 {
		if durable := appendTo(t, r, trip(i)); durable != nil {
			t.Error("a memory ring promises a disk")
		}
	}
	if s := r.Stats(); s.OnDisk || s.Undrained != 3 || s.Unwritten != 0 {
		t.Errorf("%+v", s)
	}
	boom := errors.New("down")
	if err := r.Drain(context.Background(), func(context.Context, Record) error { return boom }); !errors.Is(err, boom) {
		t.Error(err)
	}
	if got := drainAll(t, r); len(got) != 3 {
		t.Errorf("drained %d", len(got))
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestTheBytesAreWrittenDown pins the file format.
func TestTheBytesAreWrittenDown(t *testing.T) {
	rec := trip(7)
	rec.Reason, rec.Replaces = "smoke", id(6)
	slot, err := encodeSlot(42, rec)
	if err != nil {
		t.Fatal(err)
	}
	got := hex.Dump(header{slots: 64, gen: 3, drained: 41, lost: 2}.encode()) + "\n" + hex.Dump(slot[:bytes.IndexByte(slot[slotHead:], 0)+slotHead])
	golden := filepath.Join("testdata", "ring.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("%v\n%s", err, got)
	}
	back, err := decodeSlot(slot)
	rec.Seq = 42
	if err != nil || back != rec {
		t.Errorf("%v\n%+v\n%+v", err, back, rec)
	}
}

func TestALongReasonDoesNotRefuseAStop(t *testing.T) {
	rec := trip(1)
	for _, reason := range []string{strings.Repeat("x", 10_000), strings.Repeat("ä<", 5_000), strings.Repeat("\x00", 5_000), strings.Repeat("\"\\", 800)} {
		rec.Reason = reason
		slot, err := encodeSlot(1, rec)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeSlot(slot); err != nil || back.Reason == "" {
			t.Errorf("%v, reason %q", err, back.Reason)
		}
	}
	rec.Reason, rec.By = "", strings.Repeat("x", 2000)
	if _, err := encodeSlot(1, rec); core.KindOf(err) != core.KindTooLarge {
		t.Errorf("a record that can't fit: %v", err)
	}
}

func FuzzDecodeSlot(f *testing.F) {
	good, err := encodeSlot(9, trip(7))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(make([]byte, slotSize))
	f.Add(sealSlot(1, []byte(`{"kind":"trip","at":"x"}`)))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := decodeSlot(b)
		if err == nil && rec.Seq == 0 {
			t.Fatal("a record without a number")
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add(header{slots: 64, gen: 1}.encode())
	f.Add([]byte("ILSTOP01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := decodeHeader(b); ok && !bytes.Equal(h.encode(), b[:headerSize]) {
			t.Fatal("a header that does not read back")
		}
	})
}

// TestKill kills a process that writes, at random moments: what it said is
// durable is there, and nothing is damaged that was written before.
func TestKill(t *testing.T) {
	if path := os.Getenv("INTERLOCK_STOP_RING_CHILD"); path != "" {
		ringChild(path)
		return
	}
	path := filepath.Join(t.TempDir(), "ring")
	last := 0
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "INTERLOCK_STOP_RING_CHILD="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for seen := 0; seen < 20+13*round && lines.Scan(); seen++ {
			if last, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // acknowledged between the last read and the kill
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				last = n
			}
		}
		_ = cmd.Wait()
		r := openRing(t, path, RingOptions{})
		records := r.Find(func(Record) bool { return true })
		if s := r.Stats(); s.Lost != 0 || len(records) < last || len(records) > last+2 {
			t.Fatalf("round %d: %d acknowledged, %d there, %+v", round, last, len(records), s)
		}
		for i, rec := range records {
			if rec.Seq != uint64(i+1) || rec.Stop != id(i+1) {
				t.Fatalf("round %d: record %d is %+v", round, i, rec)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if last < 100 {
		t.Errorf("only %d records were acknowledged", last)
	}
}

func ringChild(path string) {
	r, err := OpenRing(path, RingOptions{Slots: 8192})
	if err != nil {
		fmt.Println(err)
		return
	}
	for n := len(r.Find(func(Record) bool { return true })) + 1; ; n++ {
		durable, err := r.Append(trip(n))
		if err != nil {
			fmt.Println(err)
			return
		}
		<-durable
		fmt.Println(n)
	}
}
