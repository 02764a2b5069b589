package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
)

// The reserve: on a full disk ordinary entries are refused, while a stop, an
// administrator's sign-in and a prune are recorded; after the prune all goes on.
func TestAFullDiskStillRecordsWhatEndsIt(t *testing.T) {
	var full atomic.Bool
	c := audit.WithFaults(config(t, t.TempDir()), func(f *os.File, size int64) error {
		if full.Load() {
			return syscall.ENOSPC
		}
		_, err := f.WriteAt(make([]byte, size), 0)
		return err
	}, nil)
	l := open(t, c)
	full.Store(true)
	n := 0
	var refused error
	for ; refused == nil && n < 5000; n++ {
		_, refused = l.Append(t.Context(), fact(n))
	}
	if core.KindOf(refused) != core.KindUnavailable || !errors.Is(refused, syscall.ENOSPC) || core.HintOf(refused) == "" {
		t.Fatalf("on a full disk, after %d entries: %v (hint %q)", n, refused, core.HintOf(refused))
	}
	if mode, _ := l.Mode(); mode != audit.ModeNormal {
		t.Errorf("a full disk is no damage: %s", mode)
	}
	size := l.Size()
	for _, vital := range []audit.Vital{audit.VitalStop, audit.VitalRepair, audit.VitalContain, audit.VitalIngest} {
		for range 20 {
			e := fact(0)
			e.Vital = vital
			if _, err := l.Append(t.Context(), e); err != nil {
				t.Fatalf("a vital entry (%s): %v", vital, err)
			}
		}
	}
	if _, err := l.Append(t.Context(), fact(0)); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("an ordinary entry got into the reserve: %v", err)
	}
	full.Store(false)
	if _, err := l.Append(t.Context(), fact(0)); err != nil {
		t.Errorf("after the prune: %v", err)
	}
	if l.Size() != size+81 {
		t.Errorf("%d entries, want %d", l.Size(), size+81)
	}
	if err := l.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// A batch that holds both kinds takes the vital ones and refuses the others.
func TestOneBatchOfBothKindsOnAFullDisk(t *testing.T) {
	var full atomic.Bool
	c := audit.WithFaults(config(t, t.TempDir()), func(f *os.File, size int64) error {
		if full.Load() {
			return syscall.ENOSPC
		}
		_, err := f.WriteAt(make([]byte, size), 0)
		return err
	}, nil)
	l := open(t, c)
	full.Store(true)
	for refused := error(nil); refused == nil; {
		_, refused = l.Append(t.Context(), fact(0))
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			e := fact(i)
			if i%2 == 0 {
				e.Vital = audit.VitalStop
			}
			if _, err := l.Append(t.Context(), e); (err == nil) != (i%2 == 0) {
				t.Errorf("entry %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func TestAFailedSyncIsNeverAcknowledged(t *testing.T) {
	dir := t.TempDir()
	var fail atomic.Bool
	c := audit.WithFaults(config(t, dir), nil, func(f *os.File) error {
		if fail.Load() {
			return syscall.EIO
		}
		return unix.Fdatasync(int(f.Fd()))
	})
	l := open(t, c)
	appendAll(t, l, 0, 5)
	fail.Store(true)
	for range 3 {
		e := fact(5)
		e.Vital = audit.VitalStop // nothing is promised, whatever it is
		if _, err := l.Append(t.Context(), e); !errors.Is(err, syscall.EIO) {
			t.Errorf("append with a failing sync: %v", err)
		}
		fail.Store(false)
	}
	expect(t, l, 5)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, config(t, dir))
	if n := l.Size(); n != 5 && n != 6 {
		t.Errorf("%d entries after the restart", n)
	}
	appendAll(t, l, int(l.Size()), 10)
	expect(t, l, 10)
}

// signed stands for what the root role does: signatures are the statement's
// bytes behind a word that only this test knows.
func sign(statement []byte) []byte { return append([]byte("signed: "), statement...) }

func verifySuccession(statement, signatures []byte) error {
	if !bytes.Equal(signatures, sign(statement)) {
		return core.E(core.KindDenied, "test", "the root role did not sign this")
	}
	return nil
}

// damagedLog returns a config whose log lost its last three entries.
func damagedLog(t *testing.T) (audit.Config, audit.Checkpoint) {
	t.Helper()
	dir := t.TempDir()
	l := open(t, config(t, dir))
	appendAll(t, l, 0, attacked)
	known := l.Checkpoint()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	attacks["the tail truncated below the known size"](t, dir)
	c := config(t, dir)
	c.Known = func() []audit.Checkpoint { return []audit.Checkpoint{known} }
	c.VerifySuccession = verifySuccession
	return c, known
}

func TestSuccession(t *testing.T) {
	c, known := damagedLog(t)
	l := open(t, c)
	expectStopOnly(t, l, "known elsewhere")
	statement, err := l.Statement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var s audit.Statement
	if err := json.Unmarshal(statement, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Predecessors) != 2 || s.Predecessors[0].Origin != origin || s.Predecessors[0].Size != attacked-3 || s.Origin != origin+"/g3" {
		t.Errorf("statement %s", statement)
	}
	if lost := s.Predecessors[0].Lost(); lost != 3 || s.Predecessors[0].Known != known.Size || s.Predecessors[1].Lost() != 0 {
		t.Errorf("the gap is %d entries in %s", lost, statement)
	}
	e := fact(1)
	e.Vital = audit.VitalStop // the plant does not wait for signatures
	if _, err := l.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	refuseForged(t, l, statement)
	res, err := l.Succeed(t.Context(), statement, sign(statement))
	if err != nil {
		t.Fatal(err)
	}
	if res.Position != (core.Position{Origin: origin + "/g3"}) {
		t.Errorf("succession at %+v", res.Position)
	}
	for range 2 {
		if mode, reason := l.Mode(); mode != audit.ModeNormal {
			t.Fatalf("after the succession: %s, %s", mode, reason)
		}
		appendAll(t, l, 0, 2)
		expectHistory(t, l, known)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, c)
		if l.Opened(origin) {
			t.Error("a start reads logs that were closed long ago")
		}
	}
	if _, err := l.Statement(t.Context()); core.KindOf(err) != core.KindConflict {
		t.Errorf("a statement in normal mode: %v", err)
	}
	if _, err := l.Succeed(t.Context(), statement, sign(statement)); core.KindOf(err) != core.KindConflict {
		t.Errorf("succeeded twice: %v", err)
	}
}

func refuseForged(t *testing.T, l *audit.Log, statement []byte) {
	t.Helper()
	if _, err := l.Succeed(t.Context(), statement, []byte("not signed")); core.KindOf(err) != core.KindDenied {
		t.Errorf("a succession without signatures: %v", err)
	}
	for old, new := range map[string]string{
		`"size":17`: `"size":16`, `"known":20`: `"known":17`, `/g3"`: `/g4"`, `"v":1`: `"v":2`, `{"v"`: `{ "v"`, `"predecessors":[`: `"predecessors":[{"origin":"x","size":1,"root":null},`,
	} {
		forged := []byte(strings.Replace(string(statement), old, new, 1))
		if bytes.Equal(forged, statement) {
			t.Fatalf("%s does not stand in %s", old, statement)
		}
		if _, err := l.Succeed(t.Context(), forged, sign(forged)); err == nil {
			t.Errorf("a statement with %s succeeded", new)
		}
	}
	if mode, _ := l.Mode(); mode != audit.ModeStopOnly {
		t.Error("a forged succession ended the stop-only mode")
	}
}

// expectHistory checks that what was recorded before and during the damage can
// still be read and proved, in every log of the chain.
func expectHistory(t *testing.T, l *audit.Log, known audit.Checkpoint) {
	t.Helper()
	for _, at := range []core.Position{{Origin: origin, Index: 16}, {Origin: origin + "/g2", Index: 1}, {Origin: origin + "/g3", Index: 0}} {
		p, err := l.Proof(t.Context(), at)
		if err != nil {
			t.Errorf("proof of %+v: %v", at, err)
			continue
		}
		key, err := audit.VerifierKey(at.Origin, seed())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := verify.Proof(p, key); err != nil || got.Position != at {
			t.Errorf("proof of %+v: %+v, %v", at, got, err)
		}
	}
	hidden := core.Position{Origin: origin, Index: known.Size - 1}
	if _, err := l.Entry(t.Context(), hidden); core.KindOf(err) != core.KindNotFound {
		t.Errorf("the lost tail reads: %v", err)
	}
	hits, err := l.Search(t.Context(), audit.Query{Type: audit.TypeSuccession})
	if err != nil || len(hits) != 1 || !bytes.Contains(hits[0].Body, []byte("statement")) {
		t.Errorf("succession entries: %+v, %v", hits, err)
	}
	dir := t.TempDir()
	if _, err := l.Export(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for sub, name := range map[string]string{"": origin + "/g3", "predecessors/2": origin + "/g2", "predecessors/1": origin} {
		key, err := audit.VerifierKey(name, seed())
		if err != nil {
			t.Fatal(err)
		}
		if r, err := verify.Export(filepath.Join(dir, sub), key); err != nil || r.Origin != name {
			t.Errorf("export of %s: %+v, %v", name, r, err)
		}
	}
}

// A successor whose signatures no longer verify, or whose file was changed, is
// no successor: the log is as damaged as before.
func TestAForgedSuccessorIsNone(t *testing.T) {
	c, _ := damagedLog(t)
	l := open(t, c)
	statement, err := l.Statement(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Succeed(t.Context(), statement, sign(statement)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Dir, "0003", "succession")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"changed": func() error {
			return os.WriteFile(path, bytes.Replace(whole, []byte("eyJ2"), []byte("eyJ3"), 1), 0o600)
		},
		"missing": func() error { return os.Remove(path) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		l := open(t, c)
		if mode, _ := l.Mode(); mode != audit.ModeStopOnly {
			t.Errorf("%s: mode %s", name, mode)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMain is also the child of the crash test: it appends with several
// writers for ever and prints what was acknowledged.
func TestMain(m *testing.M) {
	if dir := os.Getenv("AUDIT_CRASH_CHILD"); dir != "" {
		crashChild(dir)
	}
	os.Exit(m.Run())
}

func crashChild(dir string) {
	t := &fatal{}
	c := config(t, dir)
	l, err := audit.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if mode, reason := l.Mode(); mode != audit.ModeNormal {
		t.Fatal(reason)
	}
	base := int(l.Size()) * 1000
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				n := base + i*8 + w
				r, err := l.Append(context.Background(), fact(n))
				if err != nil {
					t.Fatal(err)
				}
				_, _ = fmt.Fprintf(os.Stdout, "%d %d\n", r.Position.Index, n)
			}
		})
	}
	wg.Wait()
}

// fatal is the testing.TB of a process that has no test.
type fatal struct{ testing.TB }

func (*fatal) Helper() {}
func (*fatal) Fatal(args ...any) {
	_, _ = fmt.Fprintln(os.Stderr, args...)
	os.Exit(3)
}

// kill -9 at many moments: every acknowledged entry is there once, where it was
// said to be, and the root over all entries is the signed one.
func TestKillNine(t *testing.T) {
	dir := t.TempDir()
	acked := map[uint64]int{}
	for round := range 5 {
		killAfter(t, dir, 60+70*round, acked)
	}
	l := open(t, config(t, dir))
	if mode, reason := l.Mode(); mode != audit.ModeNormal {
		t.Fatalf("after kill -9: %s, %s", mode, reason)
	}
	seen, leaves := map[int]int{}, [][]byte{}
	err := l.Replay(t.Context(), func(r audit.Record) error {
		n, err := strconv.Atoi(strings.TrimPrefix(r.Header.Object, "device/press-"))
		if want, ok := acked[r.Position.Index]; ok && want != n {
			t.Errorf("entry %d is %d, acknowledged was %d", r.Position.Index, n, want)
		}
		seen[n]++
		leaves = append(leaves, r.Leaf)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for index, n := range acked {
		if seen[n] != 1 {
			t.Errorf("acknowledged entry %d (%d) is there %d times", index, n, seen[n])
		}
	}
	if len(acked) < 500 {
		t.Errorf("only %d entries were acknowledged", len(acked))
	}
	if head := l.Checkpoint(); treeRoot(t, leaves) != head.Root || int(head.Size) != len(leaves) {
		t.Error("the signed root is not that of the entries")
	}
	if err := l.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// killAfter runs the child until it has acknowledged n more entries.
func killAfter(t *testing.T, dir string, n int, acked map[uint64]int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "AUDIT_CRASH_CHILD="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for got := 0; lines.Scan(); got++ {
		var index uint64
		var number int
		if _, err := fmt.Sscanf(lines.Text(), "%d %d", &index, &number); err != nil {
			continue // the last line may be torn
		}
		acked[index] = number
		if got == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // killed
	if stderr.Len() > 0 {
		t.Fatal(stderr.String())
	}
}
