package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const recorded = "../../../audit/publicproof/testdata"

func logKey(t *testing.T) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(recorded, "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

// TestNothingOfOurs: the program's worth is that it has nothing in it of those
// whom it checks.
func TestNothingOfOurs(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const ours = "github.com/interlock-security/interlock"
	for name := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(name, ours) && name != ours+"/test/hil/proofcheck" {
			t.Errorf("it imports %s", name)
		}
	}
}

func TestAProofOfTheLogHolds(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{logKey(t), filepath.Join(recorded, "entry-7.tlog-proof")}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"index":7,`) || !strings.Contains(out.String(), `"action":`) {
		t.Errorf("it printed %s", out.String())
	}
}

func TestWhatWasChangedIsRefused(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(recorded, "entry-7.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, len(file) / 4, len(file) / 2, len(file) - 8} {
		changed := bytes.Clone(file)
		changed[at] ^= 1
		path := filepath.Join(t.TempDir(), "changed")
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run([]string{logKey(t), path}, new(bytes.Buffer)); err == nil {
			t.Errorf("byte %d may be changed", at)
		}
	}
	if err := run([]string{"not a key", "file"}, new(bytes.Buffer)); err == nil {
		t.Error("a key that is none was taken")
	}
	if err := run(nil, new(bytes.Buffer)); err == nil {
		t.Error("no arguments were taken")
	}
}
