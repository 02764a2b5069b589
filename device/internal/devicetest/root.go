package devicetest

import (
	"os"
	"testing"
)

// NeedsRoot skips a test that needs root, and fails it in CI, where nothing that
// guards security may be left out quietly.
func NeedsRoot(t testing.TB, what string) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	Without(t, "root, for "+what)
}

// Without skips a test for want of something of the machine, and fails it in CI.
func Without(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s, and CI must not skip this", what)
	}
	t.Skipf("needs %s", what)
}
