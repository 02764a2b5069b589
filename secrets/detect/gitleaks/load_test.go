package gitleaks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect/gitleaks"
)

// TestAPipeIsNoConfiguration: a project that names one holds nobody up.
func TestAPipeIsNoConfiguration(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, ".gitleaks.toml")
	if err := os.WriteFile(path, []byte("[extend]\npath = \""+filepath.Join(dir, "pipe")+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gitleaks.Load(path); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("got %v", err)
	}
}

// TestAProjectExtendsNothingOutside of its own folder, by whatever way it is named.
func TestAProjectExtendsNothingOutside(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "project")
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(above, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "conf"), 0o700); err != nil {
		t.Fatal(err)
	}
	put("outside.toml", "[[rules]]\nid = 'theirs'\nregex = 'x'\n")
	put("project/conf/base.toml", "[[rules]]\nid = 'base'\nregex = 'x'\n")
	if err := os.Symlink("../outside.toml", filepath.Join(dir, "link.toml")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	for path, want := range map[string]string{
		"conf/base.toml": "", "../outside.toml": "outside", filepath.Join(above, "outside.toml"): "outside", "link.toml": "outside",
		"conf/../../outside.toml": "outside", "absent.toml": "no such file",
	} {
		put("project/.gitleaks.toml", "[extend]\npath = '"+path+"'\n")
		c, err := gitleaks.LoadFrom(root, ".gitleaks.toml")
		switch {
		case want == "" && (err != nil || len(c.Rules) != 1):
			t.Errorf("%s: %d rules, %v", path, len(c.Rules), err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want that it is %s", path, err, want)
		}
	}
}

// TestHostileConfigurations ask for more than anybody has time for.
func TestHostileConfigurations(t *testing.T) {
	rule := func(n int, regex string) string {
		return fmt.Sprintf("[[rules]]\nid = 'r%d'\nregex = '''%s'''\n", n, regex)
	}
	var many, large strings.Builder
	for i := range 2_001 {
		many.WriteString(rule(i, "x"))
	}
	for i := range 20 {
		large.WriteString(rule(i, strings.Repeat("(?:a{1000})", 100)))
	}
	for name, c := range map[string]struct{ text, want string }{
		"many rules": {many.String(), "rules"},
		"large":      {large.String(), "steps"},
		"long":       {rule(1, strings.Repeat("x", 20<<10)), "steps"},
		"words":      {rule(1, "x") + "keywords = [" + strings.Repeat("'k',", 50_001) + "]\n", "words"},
		"deep":       {"a=" + strings.Repeat("[", 1<<20), "f:1: brackets are nested"},
		"tables":     {"[" + strings.Repeat("a.", 1<<20) + "a]", "f:1: a key has"},
		"keys":       {"\n" + strings.Repeat("a.", 1<<20) + "a=1", "f:2: a key has"},
		"bytes":      {strings.Repeat("# nothing\n", 1<<20), "bytes"},
		"patterns":   {rule(1, "x") + "[[rules.allowlists]]\npaths = [" + strings.Repeat("'k',", 10_001) + "]\n", "patterns"},
	} {
		if _, err := gitleaks.Parse("f", []byte(c.text), none); core.KindOf(err) != core.KindTooLarge || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAProjectsConfigurationIsSmaller than one that somebody named, and than what that
// one extends.
func TestAProjectsConfigurationIsSmaller(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	large := "[[rules]]\nid = 'base'\nregex = 'x'\n" + strings.Repeat("# nothing\n", 200_000)
	for _, path := range []string{put("large.toml", large), put("extends.toml", "[extend]\npath = 'large.toml'\n")} {
		if _, err := gitleaks.LoadFrom(root, filepath.Base(path)); core.KindOf(err) != core.KindTooLarge || !strings.Contains(err.Error(), "large.toml") {
			t.Errorf("%s of a project: %v", path, err)
		}
		if c, err := gitleaks.Load(path); err != nil || len(c.Rules) != 1 {
			t.Errorf("%s that was named: %d rules, %v", path, len(c.Rules), err)
		}
	}
}

// TestALongHeaderIsNotRepeated with each key below it, where lines are noted.
func TestALongHeaderIsNotRepeated(t *testing.T) {
	var text strings.Builder
	text.WriteString("[" + strings.Repeat("a", 500_000) + "]\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "k%d = 1\n", i)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := gitleaks.Parse("f", []byte(text.String()), none)
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) >> 20; err != nil || got > 200 {
		t.Errorf("%d MiB for one of %d KiB: %v", got, text.Len()>>10, err)
	}
}
