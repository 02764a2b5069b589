package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheHowToSaysWhatExplainSays runs the example of docs/howto/new-rule.md.
func TestTheHowToSaysWhatExplainSays(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "howto", "new-rule.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "Why did it not fire?\n")
	if !found {
		t.Fatal("the page no longer says why a rule did not fire")
	}
	block := func(lang string) string {
		_, rest, _ := strings.Cut(section, "```"+lang+"\n")
		text, _, _ := strings.Cut(rest, "```")
		return text
	}
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"rules/findstr.yml": block("yaml"), "events.ndjson": block("json")} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errOut bytes.Buffer
	args := strings.Fields(block("sh"))
	if code := run(context.Background(), args[1:], nil, &out, &errOut); code != exitClean {
		t.Errorf("%v: exit code %d, %s", args, code, errOut.String())
	}
	if want := block("text"); out.String() != want {
		t.Errorf("%v says\n%s\nthe page says\n%s", args, out.String(), want)
	}
}
