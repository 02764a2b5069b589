package wal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/wal"
)

// sample writes n records into one or more segments and closes the log.
func sample(t testing.TB, dir string, o wal.Options, n int) []wal.Pos {
	t.Helper()
	l, err := wal.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	var at []wal.Pos
	for i := range n {
		p, err := l.Append(record(i))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, p)
	}
	at = append(at, l.End())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return at
}

func segmentPath(dir string, n uint64) string { return filepath.Join(dir, fmt.Sprintf("%016d.wal", n)) }

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever part of the last write is missing, the frames before it are there,
// what is cut is shown first, and the log goes on.
func TestTornTailIsCutAndReported(t *testing.T) {
	for _, prealloc := range []bool{false, true} {
		base, o := t.TempDir(), small()
		o.Prealloc = prealloc
		at := sample(t, base, o, 5)
		whole := read(t, segmentPath(base, 1))
		for cut := at[4].Offset; cut < at[5].Offset; cut++ {
			dir := t.TempDir()
			torn := bytes.Clone(whole)
			clear(torn[cut:])
			if !prealloc {
				torn = torn[:cut]
			}
			write(t, segmentPath(dir, 1), torn)
			var shown []byte
			o.OnTorn = func(torn wal.Torn) error { shown = bytes.Clone(torn.Bytes); return nil }
			l := open(t, dir, o)
			expect(t, l, 0, 4)
			lost := bytes.TrimRight(whole[at[4].Offset:cut], "\x00")
			if !bytes.Equal(shown, lost) || (l.Torn() == nil) != (cut == at[4].Offset) {
				t.Fatalf("cut at %d: shown %d bytes, %v, want %d", cut, len(shown), l.Torn(), len(lost))
			}
			fill(t, l, 4, 40)
			expect(t, l, 0, 40)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTheOwnerMayRefuseACut(t *testing.T) {
	dir, o := t.TempDir(), small()
	at := sample(t, dir, o, 5)
	path := segmentPath(dir, 1)
	write(t, path, read(t, path)[:at[5].Offset-1])
	before := read(t, path)
	o.OnTorn = func(torn wal.Torn) error { return core.E(core.KindDamaged, "owner", "I know of more") }
	if _, err := wal.Open(dir, o); core.KindOf(err) != core.KindDamaged {
		t.Errorf("opened: %v", err)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("cut against the owner's will")
	}
}

// A power loss may keep later pages of one unacknowledged write and lose
// earlier ones.
func TestAWriteTornOutOfOrderIsATornTail(t *testing.T) {
	dir, o := t.TempDir(), small()
	sample(t, dir, o, 5)
	l := open(t, dir, o)
	at, err := l.AppendAll([][]byte{record(5), record(6), record(7)})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b := read(t, segmentPath(dir, 1))
	clear(b[at.Offset : at.Offset+50])
	write(t, segmentPath(dir, 1), b)
	l = open(t, dir, o)
	if l.Torn() == nil || l.Torn().At != at {
		t.Errorf("torn: %v", l.Torn())
	}
	expect(t, l, 0, 5)
}

// A payload cannot make a torn tail look like damage, because it cannot know
// the salt: here it holds the bytes of a later frame of another log.
func TestASmuggledFrameIsOnlyPayload(t *testing.T) {
	other := t.TempDir()
	at := sample(t, other, small(), 9)
	smuggled := read(t, segmentPath(other, 1))[at[8].Offset:at[9].Offset]
	dir := t.TempDir()
	sample(t, dir, small(), 5)
	l := open(t, dir, small())
	p, err := l.Append(bytes.Repeat(smuggled, 3))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b := read(t, segmentPath(dir, 1))
	b[p.Offset+frameSize]++
	write(t, segmentPath(dir, 1), b)
	expect(t, open(t, dir, small()), 0, 5)
}

// attacks change the bytes of the first segment of a log. Frame i stands at
// at[i].
var attacks = map[string]func(b []byte, at []wal.Pos) []byte{
	"flip in the magic":      func(b []byte, _ []wal.Pos) []byte { b[0] ^= 1; return b },
	"flip in the salt":       func(b []byte, _ []wal.Pos) []byte { b[25] ^= 1; return b },
	"flip in the first seq":  func(b []byte, _ []wal.Pos) []byte { b[16] ^= 1; return b },
	"flip in a length":       func(b []byte, at []wal.Pos) []byte { b[at[3].Offset] ^= 1; return b },
	"huge length":            func(b []byte, at []wal.Pos) []byte { b[at[3].Offset+3] = 0xff; return b },
	"flip in a checksum":     func(b []byte, at []wal.Pos) []byte { b[at[3].Offset+4] ^= 0x80; return b },
	"flip in a sequence":     func(b []byte, at []wal.Pos) []byte { b[at[3].Offset+8] ^= 2; return b },
	"flip in a payload":      func(b []byte, at []wal.Pos) []byte { b[at[3].Offset+frameSize+9] ^= 4; return b },
	"zeroed header":          func(b []byte, at []wal.Pos) []byte { clear(b[at[3].Offset:][:frameSize]); return b },
	"zeroed frame":           func(b []byte, at []wal.Pos) []byte { clear(b[at[3].Offset:at[4].Offset]); return b },
	"zeroed first frame":     func(b []byte, at []wal.Pos) []byte { clear(b[at[0].Offset:at[1].Offset]); return b },
	"frame taken out":        func(b []byte, at []wal.Pos) []byte { return append(b[:at[3].Offset], b[at[4].Offset:]...) },
	"three bytes taken out":  func(b []byte, at []wal.Pos) []byte { return append(b[:at[3].Offset], b[at[3].Offset+3:]...) },
	"three bytes put in":     func(b []byte, at []wal.Pos) []byte { return insert(b, at[3].Offset, []byte("xyz")) },
	"zeros put in":           func(b []byte, at []wal.Pos) []byte { return insert(b, at[3].Offset, make([]byte, 100)) },
	"frame repeated":         func(b []byte, at []wal.Pos) []byte { return insert(b, at[4].Offset, b[at[3].Offset:at[4].Offset]) },
	"old frame at the end":   func(b []byte, at []wal.Pos) []byte { return replayed(b, at) },
	"two frames exchanged":   exchanged,
	"whole segment replaced": func(b []byte, _ []wal.Pos) []byte { return make([]byte, len(b)) },
}

func insert(b []byte, off int64, what []byte) []byte {
	return append(bytes.Clone(b[:off]), append(bytes.Clone(what), b[off:]...)...)
}

func exchanged(b []byte, at []wal.Pos) []byte {
	return append(append(append(bytes.Clone(b[:at[2].Offset]), b[at[3].Offset:at[4].Offset]...), b[at[2].Offset:at[3].Offset]...), b[at[4].Offset:]...)
}

// replayed puts a copy of frame 2 behind the last frame.
func replayed(b []byte, at []wal.Pos) []byte {
	last := len(at) - 1
	for at[last].Segment != 1 {
		last--
	}
	return insert(b, at[last].Offset, b[at[2].Offset:at[3].Offset])
}

// In the only segment Open finds it, in an older one Scan does; in both the
// file stays as it is.
func TestDamageIsFoundAndNeverRepaired(t *testing.T) {
	for name, attack := range attacks {
		for segments, records := range map[string]int{"one": 8, "three": 60} {
			t.Run(name+"/"+segments, func(t *testing.T) {
				dir := t.TempDir()
				at := sample(t, dir, small(), records)
				path := segmentPath(dir, 1)
				b := attack(read(t, path), at)
				write(t, path, b)
				l, err := wal.Open(dir, small())
				if err == nil {
					if segments == "one" {
						t.Error("Open accepted it")
					}
					err = l.Scan(wal.Pos{}, func(wal.Pos, []byte) error { return nil })
					_ = l.Close()
				}
				if core.KindOf(err) != core.KindDamaged {
					t.Errorf("got %v, want damage", err)
				}
				if !bytes.Equal(b, read(t, path)) {
					t.Error("the damaged file was changed")
				}
				expectReadable(t, dir)
			})
		}
	}
}

// expectReadable checks that a reader of the damaged log gets a prefix of the
// records and the reason why not all.
func expectReadable(t *testing.T, dir string) {
	t.Helper()
	l, err := wal.OpenRead(dir)
	if err != nil {
		t.Fatal(err)
	}
	if core.KindOf(l.Damage()) != core.KindDamaged {
		t.Errorf("OpenRead names no damage: %v", l.Damage())
	}
	i := 0
	err = l.Scan(wal.Pos{}, func(_ wal.Pos, b []byte) error {
		if !bytes.Equal(b, record(i)) {
			t.Errorf("frame %d reads %.20q", i, b)
		}
		i++
		return nil
	})
	if err != nil {
		t.Errorf("scan of the good part: %v", err)
	}
	if _, err := l.Append(nil); err == nil {
		t.Error("a reader appends")
	}
}

func TestSegmentFilesBelongTogether(t *testing.T) {
	tests := map[string]func(dir string) error{
		"missing in the middle": func(dir string) error { return os.Remove(segmentPath(dir, 2)) },
		"exchanged": func(dir string) error {
			a, b := read(t, segmentPath(dir, 2)), read(t, segmentPath(dir, 3))
			write(t, segmentPath(dir, 2), b)
			write(t, segmentPath(dir, 3), a)
			return nil
		},
		"renamed":      func(dir string) error { return os.Rename(segmentPath(dir, 1), filepath.Join(dir, "1.wal")) },
		"strange name": func(dir string) error { return os.WriteFile(filepath.Join(dir, "x.wal"), nil, 0o600) },
		"emptied":      func(dir string) error { return os.Truncate(segmentPath(dir, 2), 0) },
		"tail cut off": func(dir string) error { return os.Truncate(segmentPath(dir, 1), 1000) },
		"of another log": func(dir string) error {
			other := t.TempDir()
			sample(t, other, small(), 90)
			return os.Rename(segmentPath(other, 2), segmentPath(dir, 2))
		},
	}
	for name, attack := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			sample(t, dir, small(), 60)
			if err := attack(dir); err != nil {
				t.Fatal(err)
			}
			l, err := wal.Open(dir, small())
			if err == nil {
				defer func() { _ = l.Close() }()
				err = l.Scan(wal.Pos{}, func(wal.Pos, []byte) error { return nil })
			}
			want := core.KindDamaged
			if name == "of another log" {
				// Same length, same sequences, whole frames: the log's
				// content is the owner's to prove.
				want = core.KindInternal
			}
			if core.KindOf(err) != want {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzRecovery puts arbitrary bytes behind five good frames: the five are kept
// or damage is reported, and nothing is made up.
func FuzzRecovery(f *testing.F) {
	base := f.TempDir()
	at := sample(f, base, small(), 6)
	whole := read(f, segmentPath(base, 1))[:at[6].Offset]
	f.Add([]byte{}, uint16(0))
	f.Add([]byte("torn"), uint16(0))
	f.Add(whole[at[5].Offset:at[6].Offset], uint16(0))
	f.Add(whole[at[2].Offset:at[3].Offset], uint16(7))
	f.Fuzz(func(t *testing.T, tail []byte, gap uint16) {
		dir := t.TempDir()
		b := append(bytes.Clone(whole[:at[5].Offset]), make([]byte, gap)...)
		write(t, segmentPath(dir, 1), append(b, tail...))
		l, err := wal.Open(dir, small())
		if err != nil {
			if core.KindOf(err) != core.KindDamaged {
				t.Fatal(err)
			}
			return
		}
		defer func() { _ = l.Close() }()
		n := 0
		if err := l.Scan(wal.Pos{}, func(_ wal.Pos, b []byte) error {
			if n < 6 && !bytes.Equal(b, record(n)) {
				t.Errorf("frame %d reads %.20q", n, b)
			}
			n++
			return nil
		}); err != nil || n < 5 {
			t.Fatalf("%d frames, %v", n, err)
		}
	})
}
