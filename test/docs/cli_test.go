package docs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCLI holds cli.md. The verbs' help comes from the golden file that
// cmd/interlock's own test holds against the grammar.
func TestCLI(t *testing.T) {
	var page bytes.Buffer
	page.WriteString(`# Command line

Every verb with its help, word for word. Made from ` + "`cmd/interlock/testdata/help.golden`" + `.

Exit codes: 0 clean, 1 findings, 2 incomplete or broken. A verb that differs says so. An error is one line that names what and where, and mostly
a second one, ` + "`next:`" + `, with what to do. Flags win over environment variables, these over defaults.

| variable | stands for |
|---|---|
| ` + "`INTERLOCK_DATA`" + ` | ` + "`--data`" + `, the server's data directory; by default ` + "`~/.local/state/interlock`" + ` |
| ` + "`INTERLOCK_KEYS`" + ` | ` + "`--keys`" + `, your own directory of keys; by default ` + "`~/.config/interlock`" + ` |
| ` + "`INTERLOCK_ENROL`" + ` | ` + "`--enrol`" + ` of the agent, a secret: arguments can be read by every user of a machine |
`)
	for _, section := range help(t) {
		verb, text, _ := strings.Cut(section, "\n")
		fmt.Fprintf(&page, "\n## %s\n\n```text\n%s\n```\n", strings.TrimSpace(verb), strings.TrimSpace(text))
	}
	agent := exec.Command(filepath.Join(built(t), "interlock-agent"), "run", "--help")
	agent.Env = append(os.Environ(), "COLUMNS=80")
	out, err := agent.Output()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&page, "\n## interlock-agent\n\n```text\n%s\n```\n", bytes.TrimSpace(out))
	reference(t, "cli.md", page.Bytes())
}

// help splits the golden help into one section per verb.
func help(t *testing.T) []string {
	t.Helper()
	golden, err := os.ReadFile(filepath.Join(root, "cmd", "interlock", "testdata", "help.golden"))
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split("\n"+string(golden), "\n== ")[1:]
	if len(sections) < 20 {
		t.Fatalf("help.golden has %d sections", len(sections))
	}
	return sections
}
