package audit_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/audit/verify"
	"github.com/interlock-security/interlock/core"
)

// fsck builds tessera's own checker from the module of test tools, once. It is
// code that others wrote and that knows nothing of us.
var fsck = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "interlock-fsck-")
	if err != nil {
		return "", err
	}
	tool := filepath.Join(dir, "fsck")
	cmd := exec.Command("go", "build", "-C", filepath.Join("..", "test", "tools"), "-o", tool, "github.com/transparency-dev/tessera/cmd/fsck")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building tessera/cmd/fsck: %w\n%s", err, out)
	}
	return tool, nil
})

// runFsck returns nil if the public tool accepts the export.
func runFsck(t *testing.T, dir string) error {
	t.Helper()
	tool, err := fsck()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, "--storage_url=file://"+dir+"/", "--public_key="+filepath.Join(dir, "log.vkey"), "--ui=false")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if !bytes.Contains(out, []byte("uccessfully fsck")) {
		return fmt.Errorf("fsck says neither yes nor no: %s", out)
	}
	return nil
}

func exported(t *testing.T, n int) (*audit.Log, audit.Exported, string) {
	t.Helper()
	base := t.TempDir()
	l := open(t, config(t, base))
	appendAll(t, l, 0, n)
	dir := filepath.Join(base, "export")
	x, err := l.Export(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return l, x, dir
}

func vkey(t testing.TB) string {
	t.Helper()
	k, err := audit.VerifierKey(origin, seed())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestExportIsAcceptedByTesseraFsckAndOurs(t *testing.T) {
	for _, n := range []int{1, 255, 256, 257, 700} {
		l, x, dir := exported(t, n)
		if x.Size != uint64(n) || x.Origin != origin || x.Key != vkey(t) {
			t.Errorf("exported %+v", x)
		}
		if err := runFsck(t, dir); err != nil {
			t.Errorf("%d entries: fsck: %v", n, err)
		}
		r, err := verify.Export(dir, vkey(t))
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		if r.Size != uint64(n) || r.Entries[audit.TypeFact] != n || r.First != start.UnixMicro() || r.Origin != origin || r.Tiles == 0 {
			t.Errorf("report %+v", r)
		}
		if n == 256 { // a second export adds what is new
			appendAll(t, l, n, n+300)
			if _, err := l.Export(t.Context(), dir); err != nil {
				t.Fatal(err)
			}
			if r, err := verify.Export(dir, vkey(t)); err != nil || r.Size != 556 {
				t.Errorf("exported again: %+v, %v", r, err)
			}
			if err := runFsck(t, dir); err != nil {
				t.Errorf("exported again: fsck: %v", err)
			}
		}
	}
}

func TestExportOfNothing(t *testing.T) {
	l := open(t, config(t, t.TempDir()))
	if _, err := l.Export(t.Context(), t.TempDir()); core.KindOf(err) != core.KindNotFound {
		t.Errorf("export of an empty log: %v", err)
	}
}

// Each change to each file of an export is found, and named.
func TestVerifyFindsEveryChangedFile(t *testing.T) {
	_, _, dir := exported(t, 300)
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "log.vkey" {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) != 6 { // checkpoint, 2+1 tiles, 2 bundles
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func() error{
			"missing":  func() error { return os.Remove(path) },
			"cut":      func() error { return os.WriteFile(path, whole[:len(whole)-1], 0o600) },
			"appended": func() error { return os.WriteFile(path, append(bytes.Clone(whole), '\n'), 0o600) },
			"flipped": func() error {
				b := bytes.Clone(whole)
				b[len(b)/2] ^= 1
				return os.WriteFile(path, b, 0o600)
			},
			"a folder": func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			_, err := verify.Export(dir, vkey(t))
			if core.KindOf(err) != core.KindDamaged || !strings.Contains(err.Error(), filepath.Base(path)) && !strings.Contains(err.Error(), "checkpoint") {
				t.Errorf("%s %s: %v", strings.TrimPrefix(path, dir), name, err)
			}
			if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, whole, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := verify.Export(dir, vkey(t)); err != nil {
		t.Errorf("restored: %v", err)
	}
}

func TestVerifyUnderAnotherKey(t *testing.T) {
	_, _, dir := exported(t, 3)
	other, err := audit.VerifierKey(origin, core.NewSecret(bytes.Repeat([]byte{8}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Export(dir, other); core.KindOf(err) != core.KindDamaged {
		t.Errorf("another key: %v", err)
	}
	if _, err := verify.Export(dir, "nonsense"); core.KindOf(err) != core.KindInvalid {
		t.Errorf("no key: %v", err)
	}
}

func TestProofOfEveryEntry(t *testing.T) {
	l, _, _ := exported(t, 300)
	for i := range uint64(300) {
		p, err := l.Proof(t.Context(), core.Position{Index: i})
		if err != nil {
			t.Fatal(err)
		}
		got, err := verify.Proof(p, vkey(t))
		if err != nil || got.Position != (core.Position{Origin: origin, Index: i}) || got.Header.Object != fmt.Sprintf("device/press-%d", i) {
			t.Fatalf("proof %d: %+v, %v", i, got, err)
		}
	}
	p, err := l.Proof(t.Context(), core.Position{Index: 7})
	if err != nil {
		t.Fatal(err)
	}
	for i := range p {
		if i+1 < len(p) && p[i+1] == '=' {
			continue // base64's unused bits say nothing
		}
		b := bytes.Clone(p)
		b[i] ^= 1
		if _, err := verify.Proof(b, vkey(t)); core.KindOf(err) != core.KindDamaged {
			t.Fatalf("a proof with byte %d changed: %v", i, err)
		}
	}
	if _, err := l.Proof(t.Context(), core.Position{Index: 300}); core.KindOf(err) != core.KindNotFound {
		t.Errorf("proof of what is not there: %v", err)
	}
	if _, err := l.Proof(t.Context(), core.Position{Origin: "elsewhere", Index: 0}); core.KindOf(err) != core.KindNotFound {
		t.Errorf("proof from another log: %v", err)
	}
}

func FuzzProof(f *testing.F) {
	base := f.TempDir()
	l := open(f, config(f, base))
	appendAll(f, l, 0, 5)
	p, err := l.Proof(f.Context(), core.Position{Index: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p)
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := verify.Proof(b, vkey(t))
		if err == nil && (got.Position.Index != 3 || !bytes.Contains(p, []byte(base64.StdEncoding.EncodeToString(got.Leaf)))) {
			t.Errorf("accepted a proof of entry %d that nobody made", got.Position.Index)
		}
	})
}
