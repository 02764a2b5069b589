package docs

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAgentCommandsParse runs each command line of interlock-agent that a page
// shows against the program's own parser. Those of interlock are parsed with its
// grammar in cmd/interlock.
func TestAgentCommandsParse(t *testing.T) {
	found := 0
	for _, p := range pages(t) {
		for _, c := range p.Commands() {
			if c.Program != "interlock-agent" {
				continue
			}
			found++
			out, err := exec.Command(filepath.Join(built(t), c.Program), append(slices.Clone(c.Args), "--help")...).CombinedOutput()
			if err != nil || !bytes.HasPrefix(out, []byte("Usage: ")) {
				t.Errorf("%s:%d: %s %s: %s", c.Page, c.Line, c.Program, strings.Join(c.Args, " "), out)
			}
		}
	}
	if found < 3 {
		t.Errorf("found only %d command lines", found)
	}
}

// TestCommandsAreFound tests the reading of shell text, on which the other tests
// stand.
func TestCommandsAreFound(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"server$ interlock token create --device press-7   # a comment", []string{"interlock token create --device press-7"}},
		{"$ interlock status && interlock doctor | less", []string{"interlock status", "interlock doctor"}},
		{"INTERLOCK_ENROL='x y' interlock-agent --config a.yaml", []string{"interlock-agent --config a.yaml"}},
		{"interlock-agent --enrol \"$(interlock token create --device p | tail -1)\" -v", []string{"interlock token create --device p", "interlock-agent --enrol $ -v"}},
		{"interlock root init --person anna=\"Anna Berg\" \\\n  --person ben", []string{"interlock root init --person anna=Anna Berg --person ben"}},
		{"interlock up >up.log 2>&1 &\nawait interlock status", []string{"interlock up", "interlock status"}},
		{"sudo -u interlock ./bin/interlock serve", []string{"interlock serve"}},
		{"go run ./cmd/interlock demo --once", []string{"interlock demo --once"}},
		{"echo interlock; ls interlock.yaml; grep 'interlock up'", nil},
	} {
		var got []string
		for _, found := range commands(prompt.ReplaceAllString(c.text, "")) {
			got = append(got, found.program+" "+strings.Join(found.args, " "))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: found %q, want %q", c.text, got, c.want)
		}
	}
	help := "Does.\n\nExample:\n    interlock a --b\n    interlock c\n\nFlags:\n  -h\n"
	if got := Examples(help); len(got) != 2 || got[0].Args[1] != "--b" {
		t.Errorf("examples of a help text: %v", got)
	}
}

// FuzzCommands feeds the reader shell text that nobody would write.
func FuzzCommands(f *testing.F) {
	for _, s := range []string{"interlock a $(", "\"", "'", "interlock \\", "a $(b $(interlock c)) > d", "#", "(((", ")"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range commands(text) {
			if c.program != "interlock" && c.program != "interlock-agent" {
				t.Errorf("%q: found %q", text, c.program)
			}
		}
	})
}
