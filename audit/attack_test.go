package audit_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
)

// expectStopOnly checks what a damaged log still does: it says why, refuses
// what gives rights, and records what keeps people safe.
func expectStopOnly(t *testing.T, l *audit.Log, reason string) {
	t.Helper()
	mode, why := l.Mode()
	if mode != audit.ModeStopOnly || !strings.Contains(why, reason) {
		t.Errorf("mode %s, %q; want stop-only because of %q", mode, why, reason)
	}
	for _, kind := range []audit.Type{audit.TypeIntent, audit.TypeFact, audit.TypeAuthority} {
		e := fact(1)
		e.Type, e.Revision = kind, 1
		if _, err := l.Append(t.Context(), e); core.KindOf(err) != core.KindUnavailable || core.HintOf(err) == "" {
			t.Errorf("an ordinary %s: %v (hint %q)", kind, err, core.HintOf(err))
		}
	}
	for _, vital := range []audit.Vital{audit.VitalStop, audit.VitalContain, audit.VitalIngest, audit.VitalRepair} {
		e := fact(1)
		e.Vital = vital
		r, err := l.Append(t.Context(), e)
		if err != nil {
			t.Errorf("a vital entry (%s): %v", vital, err)
			continue
		}
		if r.Position.Origin == origin {
			t.Errorf("a vital entry was written into the damaged log")
		}
		if _, err := l.Proof(t.Context(), r.Position); err != nil {
			t.Errorf("proof of a vital entry: %v", err)
		}
	}
}

// An attacker at the disk knows the format: damage is re-framed with a right
// checksum, so that the tree and the signature have to find it.

const (
	walHeader   = 48
	frameHeader = 24
)

type walFile struct {
	t     *testing.T
	path  string
	bytes []byte
}

func readWAL(t *testing.T, dir string, segment int) *walFile {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "log", "0001", "wal", "*.wal"))
	if err != nil || len(paths) < segment {
		t.Fatalf("%d segments, %v", len(paths), err)
	}
	b, err := os.ReadFile(paths[segment-1])
	if err != nil {
		t.Fatal(err)
	}
	return &walFile{t, paths[segment-1], b}
}

func (w *walFile) save() {
	w.t.Helper()
	if err := os.WriteFile(w.path, w.bytes, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// frames returns the offsets of all frames and the end.
func (w *walFile) frames() []int {
	offsets := []int{walHeader}
	for {
		at := offsets[len(offsets)-1]
		if at+frameHeader > len(w.bytes) || binary.LittleEndian.Uint64(w.bytes[at+8:]) == 0 {
			return offsets
		}
		offsets = append(offsets, at+frameHeader+int(binary.LittleEndian.Uint32(w.bytes[at:])))
	}
}

// frame returns the bytes of frame i.
func (w *walFile) frame(i int) []byte {
	at := w.frames()
	return w.bytes[at[i]:at[i+1]]
}

// seal makes the checksum of the frame in b right, with the sequence given.
func (w *walFile) seal(b []byte, seq uint64) {
	binary.LittleEndian.PutUint64(b[8:], seq)
	binary.LittleEndian.PutUint64(b[16:], seq)
	table := crc32.MakeTable(crc32.Castagnoli)
	c := crc32.Update(0, table, w.bytes[24:32]) // the segment's salt
	c = crc32.Update(c, table, b[8:])
	c = crc32.Update(c, table, b[0:4])
	binary.LittleEndian.PutUint32(b[4:], c)
}

// replace rebuilds the segment from frames, numbered anew.
func (w *walFile) replace(frames [][]byte) {
	first := binary.LittleEndian.Uint64(w.bytes[16:])
	b := bytes.Clone(w.bytes[:walHeader])
	for i, f := range frames {
		f = bytes.Clone(f)
		w.seal(f, first+uint64(i))
		b = append(b, f...)
	}
	w.bytes = append(b, make([]byte, max(0, len(w.bytes)-len(b)))...)
	w.save()
}

func (w *walFile) split() [][]byte {
	at := w.frames()
	var list [][]byte
	for i := range len(at) - 1 {
		list = append(list, bytes.Clone(w.bytes[at[i]:at[i+1]]))
	}
	return list
}

// change finds text in frame i, replaces it and makes the checksum right.
func (w *walFile) change(i int, old, new string) {
	w.t.Helper()
	frames := w.split()
	if len(old) != len(new) || !bytes.Contains(frames[i], []byte(old)) {
		w.t.Fatalf("frame %d does not hold %q", i, old)
	}
	frames[i] = bytes.Replace(frames[i], []byte(old), []byte(new), 1)
	w.replace(frames)
}

const attacked = 20 // entries in the log that is attacked, one a frame

// attacks are done to the closed folder of a log with 20 entries in one
// segment. Each must be found by Open alone.
var attacks = map[string]func(t *testing.T, dir string){
	"a flipped bit in the middle": func(t *testing.T, dir string) {
		w := readWAL(t, dir, 1)
		w.frame(9)[frameHeader+200] ^= 1
		w.save()
	},
	"an edited byte of content": func(t *testing.T, dir string) {
		w := readWAL(t, dir, 1)
		frames := w.split()
		end := bytes.Index(frames[9], []byte("\"}\n"))
		frames[9][end+10] ^= 1
		w.replace(frames)
	},
	"edited metadata": func(t *testing.T, dir string) {
		readWAL(t, dir, 1).change(9, `"outcome":"ok"`, `"outcome":"no"`)
	},
	"edited time": func(t *testing.T, dir string) {
		readWAL(t, dir, 1).change(9, `"time":17`, `"time":16`)
	},
	"edited checkpoint": func(t *testing.T, dir string) {
		readWAL(t, dir, 1).change(9, "\n10\n", "\n11\n")
	},
	"an entry deleted in the middle": func(t *testing.T, dir string) {
		w := readWAL(t, dir, 1)
		frames := w.split()
		w.replace(append(frames[:9:9], frames[10:]...))
	},
	"the first entry deleted": func(t *testing.T, dir string) {
		w := readWAL(t, dir, 1)
		w.replace(w.split()[1:])
	},
	"two entries exchanged": func(t *testing.T, dir string) {
		w := readWAL(t, dir, 1)
		frames := w.split()
		frames[8], frames[9] = frames[9], frames[8]
		w.replace(frames)
	},
	"an entry repeated": func(t *testing.T, dir string) {
		w := readWAL(t, dir, 1)
		frames := w.split()
		w.replace(append(frames[:10:10], frames[9:]...))
	},
	"the last entry edited": func(t *testing.T, dir string) {
		readWAL(t, dir, 1).change(attacked-1, `"outcome":"ok"`, `"outcome":"no"`)
	},
	"the last signature edited": func(t *testing.T, dir string) {
		w := readWAL(t, dir, 1)
		frames := w.split()
		f := frames[attacked-1]
		f[len(f)-20] ^= 1
		w.replace(frames)
	},
	"the tail truncated below the known size": func(t *testing.T, dir string) {
		w := readWAL(t, dir, 1)
		w.replace(w.split()[:attacked-3])
	},
	"the last entry torn below the known size": func(t *testing.T, dir string) {
		w := readWAL(t, dir, 1)
		at := w.frames()
		clear(w.bytes[at[attacked-1]+30:])
		w.save()
	},
	"everything removed": func(t *testing.T, dir string) {
		if err := os.RemoveAll(filepath.Join(dir, "log", "0001")); err != nil {
			t.Fatal(err)
		}
	},
	"a fork: another history under the same key": func(t *testing.T, dir string) {
		replaceLog(t, dir, attacked+5)
	},
}

// replaceLog puts a log with the same origin, keys and other entries in place.
func replaceLog(t *testing.T, dir string, n int) {
	t.Helper()
	c := config(t, dir)
	if err := os.RemoveAll(c.Dir); err != nil {
		t.Fatal(err)
	}
	l := open(t, c)
	for i := range n {
		e := fact(i)
		e.Outcome = "forged"
		if _, err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAttacksAreFoundAndNothingIsRepaired(t *testing.T) {
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, config(t, dir))
			appendAll(t, l, 0, attacked)
			known := l.Checkpoint()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			attack(t, dir)
			before := snapshot(t, filepath.Join(dir, "log", "0001", "wal"))
			c := config(t, dir)
			c.Known = func() []audit.Checkpoint { return []audit.Checkpoint{known} }
			l = open(t, c)
			expectStopOnly(t, l, "")
			if name != "the last entry torn below the known size" && name != "everything removed" {
				expectSame(t, before, snapshot(t, filepath.Join(dir, "log", "0001", "wal")))
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			// A restart does not forget it.
			l = open(t, c)
			expectStopOnly(t, l, "")
		})
	}
}

// Without any size known elsewhere a cut at a frame's end cannot be told from
// a log that never had more; all else still is found.
func TestAttacksThatTheLogFindsAlone(t *testing.T) {
	alone := map[string]bool{
		"the tail truncated below the known size": false, "the last entry torn below the known size": false,
		"a fork: another history under the same key": false, "everything removed": false,
	}
	for name, attack := range attacks {
		dir := t.TempDir()
		l := open(t, config(t, dir))
		appendAll(t, l, 0, attacked)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		attack(t, dir)
		mode, _ := open(t, config(t, dir)).Mode()
		if _, cannot := alone[name]; !cannot && mode != audit.ModeStopOnly {
			t.Errorf("%s: mode %s", name, mode)
		}
	}
}

func snapshot(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	paths, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = b
	}
	return files
}

func expectSame(t *testing.T, before, after map[string][]byte) {
	t.Helper()
	for path, b := range before {
		if !bytes.Equal(b, after[path]) {
			t.Errorf("%s was changed", path)
		}
	}
}

// Yesterday's folder, put back whole: only what is known elsewhere can tell.
func TestReplayOfAnOldCopy(t *testing.T) {
	dir := t.TempDir()
	l := open(t, config(t, dir))
	appendAll(t, l, 0, 5)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	old := t.TempDir()
	copyDir(t, old, dir)
	l = open(t, config(t, dir))
	appendAll(t, l, 5, 9)
	known := l.Checkpoint()
	c := config(t, old)
	c.Known = func() []audit.Checkpoint { return []audit.Checkpoint{known} }
	l = open(t, c)
	expectStopOnly(t, l, "known elsewhere")
	// What was proved before is still to be had.
	if r, err := l.Entry(t.Context(), core.Position{Origin: origin, Index: 3}); err != nil || string(r.Body) != `{"n":3}` {
		t.Errorf("entry before the gap: %s, %v", r.Body, err)
	}
	if _, err := l.Proof(t.Context(), core.Position{Origin: origin, Index: 3}); err != nil {
		t.Errorf("proof before the gap: %v", err)
	}
}

// Damage in a segment that a start does not read is found by Verify, which
// stops the log then and there.
func TestVerifyFindsDamageInOldSegments(t *testing.T) {
	for name, attack := range map[string]func(t *testing.T, dir string){
		"bit": func(t *testing.T, dir string) {
			w := readWAL(t, dir, 1)
			w.frame(4)[frameHeader+99] ^= 1
			w.save()
		},
		"metadata": func(t *testing.T, dir string) {
			readWAL(t, dir, 1).change(4, `"outcome":"ok"`, `"outcome":"no"`)
		},
		"signature": func(t *testing.T, dir string) {
			w := readWAL(t, dir, 1)
			frames := w.split()
			frames[4][len(frames[4])-20] ^= 1
			w.replace(frames)
		},
		"hash file": func(t *testing.T, dir string) {
			sides, err := filepath.Glob(filepath.Join(dir, "log", "0001", "hashes", "*.side"))
			if err != nil || len(sides) == 0 {
				t.Fatal(sides, err)
			}
			b, err := os.ReadFile(sides[0])
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)-5] ^= 1
			if err := os.WriteFile(sides[0], b, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, config(t, dir))
			appendAll(t, l, 0, 400)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			attack(t, dir)
			l = open(t, config(t, dir))
			if mode, reason := l.Mode(); mode != audit.ModeNormal {
				t.Fatalf("the start read everything: %s", reason)
			}
			if err := l.Verify(t.Context()); core.KindOf(err) != core.KindDamaged {
				t.Errorf("Verify: %v", err)
			}
			expectStopOnly(t, l, "")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			expectStopOnly(t, open(t, config(t, dir)), "")
		})
	}
}
