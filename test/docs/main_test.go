package docs

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// root is the project's folder.
const root = "../.."

var update = flag.Bool("update", false, "write the reference pages anew")

// binDir is where the binaries are, "" while no test has asked for them.
var binDir string

// binaries builds the product as users get it, once per test run.
var binaries = sync.OnceValue(func() (err error) {
	if binDir, err = os.MkdirTemp("", "interlock-docs-"); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-o", binDir+string(filepath.Separator), "./cmd/...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if binDir != "" {
		_ = os.RemoveAll(binDir)
	}
	os.Exit(code)
}

func built(t *testing.T) string {
	t.Helper()
	if err := binaries(); err != nil {
		t.Fatal(err)
	}
	return binDir
}

func pages(t *testing.T) []Page {
	t.Helper()
	list, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// reference holds a generated page.
func reference(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join(root, "docs", "reference", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/reference/%s differs from the code; see what changed with: go test ./test/docs -update && git diff", name)
	}
}
