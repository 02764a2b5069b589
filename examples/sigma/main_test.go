package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun builds the example and asks it about two events.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	bin, rules := filepath.Join(dir, "sigma"), filepath.Join(dir, "rules.yml")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	err := os.WriteFile(rules, []byte(`title: Whoami
id: 929a690e-bef0-4204-a928-ef5e620d6fcc
author: Anna
level: high
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|endswith: '\whoami.exe'}
  condition: selection
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, rules)
	cmd.Stdin = strings.NewReader(`{"Channel":"Microsoft-Windows-Sysmon/Operational","Provider_Name":"Microsoft-Windows-Sysmon","EventID":1,"Image":"C:\\Windows\\System32\\whoami.exe"}
{"Channel":"Microsoft-Windows-Sysmon/Operational","Provider_Name":"Microsoft-Windows-Sysmon","EventID":1,"Image":"C:\\Windows\\System32\\cmd.exe"}
`)
	out, err := cmd.CombinedOutput()
	if want := "high 929a690e-bef0-4204-a928-ef5e620d6fcc Whoami by Anna\n"; err != nil || string(out) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, out, want)
	}
}
