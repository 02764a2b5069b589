package gitleaks_test

import (
	"fmt"
	"os"
	"path/filepath"
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
		"patterns":   {rule(1, "x") + "[[rules.allowlists]]\npaths = [" + strings.Repeat("'k',", 10_001) + "]\n", "patterns"},
	} {
		if _, err := gitleaks.Parse("f", []byte(c.text), none); core.KindOf(err) != core.KindTooLarge || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
