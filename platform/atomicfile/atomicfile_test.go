package atomicfile_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/platform/atomicfile"
)

func TestWriteFileReplacesContentAndMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, step := range []struct {
		data string
		perm os.FileMode
	}{{"first, and longer", 0o600}, {"second", 0o640}, {"", 0o600}} {
		if err := atomicfile.WriteFile(path, []byte(step.data), step.perm); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != step.data {
			t.Errorf("read %q, %v, want %q", got, err, step.data)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != step.perm {
			t.Errorf("mode %v, %v, want %v", info.Mode().Perm(), err, step.perm)
		}
	}
	expectOnly(t, filepath.Dir(path), "key")
}

func TestAFailedWriteLeavesTheOldFileAndNoLitter(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(target, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	// A folder that is not empty cannot be renamed over.
	if err := atomicfile.WriteFile(target, []byte("x"), 0o600); err == nil {
		t.Error("replaced a folder")
	}
	expectOnly(t, dir, "taken")
	if err := atomicfile.WriteFile(filepath.Join(dir, "no", "such", "x"), nil, 0o600); err == nil {
		t.Error("wrote into a folder that does not exist")
	}
}

// Readers racing with writers see one whole version, never a mixture.
func TestReadersSeeWholeVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	versions := [][]byte{bytes.Repeat([]byte("a"), 1<<16), bytes.Repeat([]byte("b"), 1<<15)}
	if err := atomicfile.WriteFile(path, versions[0], 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range 40 {
			if err := atomicfile.WriteFile(path, versions[i%2], 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, versions[0]) && !bytes.Equal(got, versions[1]) {
			t.Fatalf("read %d bytes, %v: neither version", len(got), err)
		}
	}
	wg.Wait()
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 { // again is no error
		if err := atomicfile.MkdirAll(deep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(deep); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("stat: %v, %v", info, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := atomicfile.MkdirAll(path, 0o700); err == nil {
			t.Errorf("MkdirAll(%s) made a folder of a file", path)
		}
	}
}

func expectOnly(t *testing.T, dir, want string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != want {
		t.Errorf("folder holds %v, %v, want only %q", entries, err, want)
	}
}

// TestAPipeIsWrittenTo and not replaced by a file, and neither is a device.
func TestAPipeIsWrittenTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(path, os.O_RDWR, 0) // a pipe that has a reader does not wait for one
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if err := atomicfile.WriteFile(path, []byte("told"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "told" {
		t.Errorf("the pipe has %q, %v", got, err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		t.Errorf("it is %v now, %v", info.Mode(), err)
	}
}
