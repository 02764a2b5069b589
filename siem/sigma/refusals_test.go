package sigma_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

var update = flag.Bool("update", false, "write testdata/refusals.txt anew")

const refusals = "testdata/refusals.txt"

// TestRefusals holds testdata/refusals.txt: what is refused, where, and what the
// error says to write instead. A case that begins with two blanks stands behind
// the header of sigma_test.go, whose detection begins in line 9.
func TestRefusals(t *testing.T) {
	text, err := os.ReadFile(refusals)
	if err != nil {
		t.Fatal(err)
	}
	intro, body, _ := strings.Cut(string(text), "\n=== ")
	var out strings.Builder
	out.WriteString(intro)
	n := 0
	for c := range strings.SplitSeq(body, "\n=== ") {
		n++
		name, rest, _ := strings.Cut(c, "\n")
		rule, _, _ := strings.Cut(rest, "\n--> ")
		fmt.Fprintf(&out, "\n=== %s\n%s\n--> %s", name, rule, refused(t, name, rule))
	}
	if n < 100 {
		t.Errorf("only %d cases", n)
	}
	got := out.String() + "\n"
	if *update {
		if err := os.WriteFile(refusals, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != string(text) {
		t.Errorf("go test ./siem/sigma -run TestRefusals -update\n%s", firstChange(string(text), got))
	}
}

// refused is what the first error of a rule says.
func refused(t *testing.T, name, rule string) string {
	t.Helper()
	if strings.HasPrefix(rule, "  ") {
		rule = header + rule
	}
	_, err := sigma.Parse("x.yml", []byte(rule+"\n"))
	var e *sigma.Error
	if !errors.As(err, &e) || e.Line < 1 || e.Col < 1 || core.KindOf(err) != core.KindInvalid {
		t.Errorf("%s: %v", name, err)
		return "not refused"
	}
	said := fmt.Sprintf("%d:%d %s", e.Line, e.Col, e.Msg)
	if e.Example != "" {
		said += "\n" + e.Example
	}
	return strings.TrimRight(said, "\n")
}

func firstChange(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\nis      %s\nand was %s", i+1, b[i], a[i])
		}
	}
	return "the end"
}

// TestRefusedBytes: what a rule file can't be made of.
func TestRefusedBytes(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"", "the file holds no rule; write one, with `title`, `logsource` and `detection`: x.yml:1:1"},
		{"# nothing\n", "the file holds no rule; write one, with `title`, `logsource` and `detection`: x.yml:1:1"},
		{"a\x00: 1", "the character U+0000 can't stand in a rule file; write it as an escape in double quotes, like \"\\x00\": x.yml:1:2"},
		{"a: 1\nb: \xff", "byte 0xff is not UTF-8; write the file as UTF-8: x.yml:2:4"},
		{"a: \u00e9\xe9", "byte 0xe9 is not UTF-8; write the file as UTF-8: x.yml:1:5"},
		{"\xff\xfea\x00", "the file is UTF-16; write it as UTF-8: x.yml:1:1"},
		{strings.Repeat("[", 60), "nested deeper than 32 levels; write it flatter: x.yml:1:33"},
		{strings.Repeat("- ", 200), "nested deeper than 32 levels; write it flatter: x.yml:1:67"},
		{strings.Repeat("#", sigma.MaxFile+1), fmt.Sprintf("the file has more than %d bytes; write several files: x.yml:1:1", sigma.MaxFile)},
		{header + "  s:\n    a|re: '" + strings.Repeat("a", 20000) + "'\n  condition: s", "the regular expression has 20000 bytes, at most 16384 are allowed; write several: x.yml:10:11"},
		{header + "  s: {a: 1}\n  condition: " + strings.Repeat("(", 40) + "s", "parentheses nest deeper than 32 levels; write parts of the condition as search identifiers: x.yml:10:46"},
	} {
		_, err := sigma.Parse("x.yml", []byte(row.text))
		if err == nil || err.Error() != row.want || core.KindOf(err) != core.KindInvalid {
			t.Errorf("got  %v\nwant %s\n%.300s", err, row.want, row.text)
		}
	}
}
