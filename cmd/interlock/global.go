package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/interlock-security/interlock/api/client"
)

// globals are the flags that every verb has.
type globals struct {
	Data string `help:"Data directory of the server." default:"${data}" type:"path" placeholder:"DIR" env:"INTERLOCK_DATA"`
	Keys string `help:"Your own directory of keys and your copy of the trust root." default:"${config}" type:"path" placeholder:"DIR" env:"INTERLOCK_KEYS"`
	JSON bool   `help:"Machine-readable output." name:"json"`
}

// defaultData is where one user's server keeps its data.
func defaultData() string {
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "interlock")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "interlock-data"
	}
	return filepath.Join(home, ".local", "state", "interlock")
}

// defaultConfig is where a person's keys live: outside the data directory, so
// that whoever holds the server's disk does not hold them.
func defaultConfig() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "interlock-keys"
	}
	return filepath.Join(dir, "interlock")
}

// client returns a client of the server whose data directory the user named.
func (e *env) client() *client.Client {
	return client.New(filepath.Join(e.global.Data, "api.sock"))
}

// talk is where a verb speaks with its user before its outcome: beside the
// output where that is for a machine.
func (e *env) talk() io.Writer {
	if e.global.JSON {
		return e.err
	}
	return e.out
}

// show prints v as JSON when asked to, else as text.
func (e *env) show(v any, text func(io.Writer)) error {
	if !e.global.JSON {
		text(e.out)
		return nil
	}
	enc := json.NewEncoder(harmlessJSON(e.out))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints rows under a heading, columns aligned. Cells are made harmless.
func table(w io.Writer, heading string, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(tw, strings.ReplaceAll(heading, " ", "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = oneLineOf(cell)
		}
		_, _ = fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	_ = tw.Flush()
}

// printable makes text from outside safe for a terminal: control characters,
// escape sequences and marks that change the direction of writing are shown as
// their code points.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) && !unicode.Is(unicode.Cf, r) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "<U+%04X>", r)
	}
	return b.String()
}

// ago tells an age in one unit.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}
