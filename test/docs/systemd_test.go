package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnitsAreTight holds the units that we ship: systemd reads every line of
// them, and finds little that a service could still do.
func TestUnitsAreTight(t *testing.T) {
	units, err := filepath.Glob(filepath.Join(root, "deploy", "systemd", "*.service"))
	if err != nil || len(units) != 2 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	for _, path := range units {
		unit, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// The program has to be there for systemd to be content.
		here := filepath.Join(t.TempDir(), filepath.Base(path))
		text := strings.ReplaceAll(string(unit), "/usr/bin/", built(t)+"/")
		if err := os.WriteFile(here, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", here).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: systemd-analyze verify: %v\n%s", path, err, out)
		}
		if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", here).CombinedOutput(); err != nil {
			t.Errorf("%s: systemd-analyze security: %v\n%s", path, err, out)
		}
	}
}
