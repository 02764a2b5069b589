package gitleaks_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect/gitleaks"
)

// TestAPipeIsNoConfiguration: a project that names one holds nobody up.
func TestAPipeIsNoConfiguration(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, ".gitleaks.toml")
	if err := os.WriteFile(path, []byte("[extend]\npath = \""+filepath.Join(dir, "pipe")+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gitleaks.Load(path); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("got %v", err)
	}
}
