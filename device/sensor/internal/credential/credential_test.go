package credential_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor/internal/credential"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bmc")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestANameAndAPassword(t *testing.T) {
	for _, text := range []string{"monitor\nhunter2\n", "monitor\nhunter2", "monitor\nhunter2\r\n\n"} {
		c, err := credential.Load(write(t, text, 0o600))
		if err != nil || c.User != "monitor" || !c.Password.Equal([]byte("hunter2")) {
			t.Errorf("%q: %v %v", text, c.User, err)
		}
		if shown := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(shown, "hunter2") {
			t.Errorf("shown as %s", shown)
		}
	}
}

func TestWhatIsNoSuchFileIsRefusedWithoutSayingWhatIsInIt(t *testing.T) {
	for text, mode := range map[string]os.FileMode{
		"monitor\nhunter2\n": 0o644, "hunter2": 0o600, "\nhunter2\n": 0o600, "monitor\n\n": 0o600, "monitor\nhunter2\nmore\n": 0o600,
		"mon\x1b\nhunter2\n": 0o600, "monitor\n" + strings.Repeat("hunter2", 200): 0o600,
	} {
		_, err := credential.Load(write(t, text, mode))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := credential.Load(t.TempDir()); err == nil {
		t.Error("a folder is accepted")
	}
	if _, err := credential.Load("/nowhere/bmc"); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("%v", err)
	}
	for _, path := range []string{"", "bmc", "/etc/\x1b"} {
		if credential.Check(path) == nil {
			t.Errorf("%q is accepted", path)
		}
	}
}
