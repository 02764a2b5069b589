package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Main runs the tests of a package and then forgets its programs.
func Main(m *testing.M) {
	code := m.Run()
	if dir, _ := programs(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Program returns the path of interlock or interlock-agent as users get it.
func Program(t testing.TB, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// Build compiles programs into a folder, with the flags that the product is
// built with, so that whoever comes second finds everything compiled.
func Build(into string, packages ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-o", into + string(filepath.Separator)}, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %v: %w\n%s", packages, err, out)
	}
	return nil
}

// programs makes this process' own folder of programs, once. They are linked in
// a folder that all test processes share: go leaves there what is up to date, so
// that the first of them links and the others take what it linked.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "interlock-programs-")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return dir, err
	}
	shared := filepath.Join(cache, "interlock", "programs")
	if err := os.MkdirAll(shared, 0o700); err != nil {
		return dir, err
	}
	unlock, err := lock(shared + ".lock")
	if err != nil {
		return dir, err
	}
	defer unlock()
	if err := Build(shared, "github.com/interlock-security/interlock/cmd/..."); err != nil {
		return dir, err
	}
	if err := take(shared, dir); err != nil {
		return dir, err
	}
	return dir, os.Chmod(dir, 0o755) // tests run them as other users too
})

// lock waits for a file that one process holds at a time.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// take links what lies in a folder into another one: go puts what it builds anew
// in the place of the old file and does not write into it. On another disk it is
// copied.
func take(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range files {
		old, now := filepath.Join(from, f.Name()), filepath.Join(to, f.Name())
		if os.Link(old, now) == nil {
			continue
		}
		if err := exec.Command("cp", "-p", old, now).Run(); err != nil {
			return fmt.Errorf("cp %s %s: %w", old, now, err)
		}
	}
	return nil
}
