package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/wal"
)

const headerSize, frameSize = 48, 24

func open(t *testing.T, dir string, o wal.Options) *wal.Log {
	t.Helper()
	l, err := wal.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func small() wal.Options { return wal.Options{SegmentSize: wal.MinSegmentSize} }

// record is a payload of some 200 bytes that says which one it is.
func record(i int) []byte {
	return append(fmt.Appendf(nil, "record %06d ", i), bytes.Repeat([]byte{byte(i)}, 100+i%100)...)
}

func fill(t *testing.T, l *wal.Log, from, to int) []wal.Pos {
	t.Helper()
	var at []wal.Pos
	for i := from; i < to; i++ {
		p, err := l.Append(record(i))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, p)
	}
	return at
}

// expect checks that the log holds exactly the records from, ..., to-1.
func expect(t *testing.T, l *wal.Log, from, to int) {
	t.Helper()
	i := from
	err := l.Scan(wal.Pos{}, func(_ wal.Pos, b []byte) error {
		if !bytes.Equal(b, record(i)) {
			return fmt.Errorf("frame %d reads %.20q", i, b)
		}
		i++
		return nil
	})
	if err != nil || i != to {
		t.Errorf("read records up to %d, %v; want up to %d", i, err, to)
	}
}

func TestAppendScanReopen(t *testing.T) {
	for _, prealloc := range []bool{false, true} {
		t.Run(fmt.Sprintf("prealloc=%v", prealloc), func(t *testing.T) {
			dir, o := filepath.Join(t.TempDir(), "deep", "log"), small()
			o.Prealloc = prealloc
			l := open(t, dir, o)
			at := fill(t, l, 0, 100)
			for range 2 {
				expect(t, l, 0, 100)
				for i, p := range at {
					if b, err := l.ReadAt(p); err != nil || !bytes.Equal(b, record(i)) {
						t.Errorf("ReadAt(%v) = %.20q, %v", p, b, err)
					}
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = open(t, dir, o)
				if l.Torn() != nil {
					t.Errorf("cut %v from a whole log", l.Torn())
				}
			}
			if n := l.Segments(); len(n) != int(at[99].Segment) || n[0] != 1 {
				t.Errorf("segments %v", n)
			}
			if at[99].Segment < 4 {
				t.Errorf("all in %d segments: the test does not cross any", at[99].Segment)
			}
			if l.End() == at[99] || l.End().Before(at[99]) {
				t.Errorf("end %v, last frame at %v", l.End(), at[99])
			}
		})
	}
}

func TestScanFromEveryPlaceAndFromTheEnd(t *testing.T) {
	l := open(t, t.TempDir(), small())
	var ends []wal.Pos
	var at []wal.Pos
	for i := range 60 {
		at = append(at, fill(t, l, i, i+1)...)
		ends = append(ends, l.End())
	}
	for i := range at {
		for what, from := range map[string]wal.Pos{"frame": at[i], "end before": ends[max(i-1, 0)]} {
			want, got := i, 0
			if i == 0 {
				want = map[string]int{"frame": 0, "end before": 1}[what]
			}
			if err := l.Scan(from, func(wal.Pos, []byte) error { got++; return nil }); err != nil || got != 60-want {
				t.Errorf("scan from the %s of frame %d gave %d frames, %v; want %d", what, i, got, err, 60-want)
			}
		}
	}
	if err := l.Scan(wal.Pos{Segment: 1, Offset: headerSize + 1}, nil); core.KindOf(err) != core.KindDamaged {
		t.Errorf("scan from the middle of a frame: %v", err)
	}
}

func TestAppendAllIsOneSync(t *testing.T) {
	syncs := 0
	o := wal.Options{SegmentSize: 1 << 20, Sync: func(f *os.File) error { syncs++; return f.Sync() }}
	l := open(t, t.TempDir(), o)
	var payloads [][]byte
	for i := range 50 {
		payloads = append(payloads, record(i))
	}
	at, err := l.AppendAll(payloads)
	if err != nil || syncs != 1 {
		t.Errorf("%d syncs, %v", syncs, err)
	}
	if b, err := l.ReadAt(at); err != nil || !bytes.Equal(b, record(0)) {
		t.Errorf("AppendAll's place holds %.20q, %v", b, err)
	}
	expect(t, l, 0, 50)
}

func TestFirst(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, small())
	if _, err := wal.First(dir); core.KindOf(err) != core.KindNotFound {
		t.Errorf("first frame of an empty log: %v", err)
	}
	fill(t, l, 0, 50)
	if b, err := wal.First(dir); err != nil || !bytes.Equal(b, record(0)) {
		t.Errorf("first frame %.20q, %v", b, err)
	}
	if _, err := wal.First(t.TempDir()); core.KindOf(err) != core.KindNotFound {
		t.Errorf("first frame of no log: %v", err)
	}
}

func TestLimits(t *testing.T) {
	l := open(t, t.TempDir(), small())
	for size, want := range map[int]core.Kind{0: core.KindInternal, wal.MinSegmentSize - headerSize - frameSize: core.KindInternal, wal.MinSegmentSize: core.KindTooLarge, wal.MaxFrame + 1: core.KindTooLarge} {
		if _, err := l.Append(make([]byte, size)); core.KindOf(err) != want {
			t.Errorf("append of %d bytes: %v", size, err)
		}
	}
	if _, err := wal.Open(t.TempDir(), wal.Options{SegmentSize: 1}); core.KindOf(err) != core.KindInvalid {
		t.Errorf("one-byte segments: %v", err)
	}
}

func TestOneProcessOpensALog(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, small())
	if _, err := wal.Open(dir, small()); core.KindOf(err) != core.KindConflict {
		t.Errorf("opened twice: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, small())
	if _, err := l.Append(nil); err == nil {
		t.Error("a closed log took a frame")
	}
}

func TestTrim(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, small())
	at := fill(t, l, 0, 100)
	if err := l.TrimBefore(at[50]); err != nil {
		t.Fatal(err)
	}
	first := 0
	for at[first].Segment < at[50].Segment {
		first++
	}
	expect(t, l, first, 100)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, small())
	expect(t, l, first, 100)
	if err := l.TrimBefore(wal.Pos{Segment: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 100, 101)
}

// A frame whose sync failed was never promised; and since the kernel may have
// dropped the pages, nothing may be promised after it either.
func TestAFailedSyncEndsTheLog(t *testing.T) {
	dir, fail := t.TempDir(), false
	o := small()
	o.Sync = func(f *os.File) error {
		if fail {
			return syscall.EIO
		}
		return f.Sync()
	}
	l := open(t, dir, o)
	fill(t, l, 0, 3)
	fail = true
	for range 2 {
		if _, err := l.Append(record(3)); !errors.Is(err, syscall.EIO) || core.KindOf(err) != core.KindUnavailable {
			t.Errorf("append with a failing sync: %v", err)
		}
		fail = false // the second attempt must not be saved by a healed disk
	}
	expect(t, l, 0, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, o)
	next := 3
	if err := l.Scan(wal.Pos{}, func(wal.Pos, []byte) error { next++; return nil }); err != nil {
		t.Fatal(err)
	}
	// The unpromised frame may have reached the disk; no more than that one.
	if next -= 3; next != 3 && next != 4 {
		t.Errorf("%d frames after reopening", next)
	}
	fill(t, l, next, next+1)
	expect(t, l, 0, next+1)
}

func TestFullDiskLeavesTheReserve(t *testing.T) {
	dir := t.TempDir()
	var full atomic.Bool // read by the maker of the next segment
	o := small()
	o.Reserve = true
	o.Alloc = func(f *os.File, size int64) error {
		if full.Load() {
			return syscall.ENOSPC
		}
		_, err := f.WriteAt(make([]byte, size), 0)
		return err
	}
	l := open(t, dir, o)
	fill(t, l, 0, 30) // crosses segments; a spare is ready or on its way
	full.Store(true)
	n := 30
	for ; n < 1000; n++ {
		if _, err := l.Append(record(n)); err != nil {
			if core.KindOf(err) != core.KindUnavailable || !errors.Is(err, syscall.ENOSPC) || core.HintOf(err) == "" {
				t.Fatalf("append on a full disk: %v (hint %q)", err, core.HintOf(err))
			}
			break
		}
	}
	if l.Admit(200) == nil {
		t.Error("Admit admits on a full disk")
	}
	kept := 0
	for ; kept < 1000; kept++ {
		if _, err := l.AppendReserved(record(n)); err != nil {
			break
		}
		n++
	}
	if kept < 15 || kept == 1000 {
		t.Errorf("the reserve took %d frames", kept)
	}
	full.Store(false)
	fill(t, l, n, n+30)
	expect(t, l, 0, n+30)
}

// The reserve is there from the start, and again after a restart on a full
// disk.
func TestTheReserveSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	var full atomic.Bool // read by the maker of the next segment
	o := small()
	o.Reserve = true
	o.Alloc = func(f *os.File, size int64) error {
		if full.Load() {
			return syscall.ENOSPC
		}
		_, err := f.WriteAt(make([]byte, size), 0)
		return err
	}
	l := open(t, dir, o)
	if err := l.Close(); err != nil { // waits for the spare
		t.Fatal(err)
	}
	full.Store(true)
	l = open(t, dir, o)
	fill(t, l, 0, 1)
	const n = 60 // more than the segment and the spare hold
	for i := 1; i < n; i++ {
		if _, err := l.AppendReserved(record(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, o)
	if _, err := l.Append(record(n)); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("the reserve was forgotten by the restart: %v", err)
	}
	expect(t, l, 0, n)
}
