package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/detect"
)

// TestASitesRulesSayWhereTheyArePublished: the address of the folder with the
// file's path stands on a rule that has no link of its own.
func TestASitesRulesSayWhereTheyArePublished(t *testing.T) {
	dir := t.TempDir()
	text := "title: T\nid: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3d77\nauthor: A\nlogsource:\n  product: linux\ndetection:\n  s:\n    user: x\n  condition: s\n"
	if err := os.WriteFile(filepath.Join(dir, "x.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, files, _, err := ruleFiles(dir, "https://rules.example/site")
	if err != nil {
		t.Fatal(err)
	}
	set, err := detect.NewRuleset(files)
	if err != nil {
		t.Fatal(err)
	}
	if r := set.Rule("5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a3d77"); r == nil || r.Link != "https://rules.example/site/x.yml" {
		t.Errorf("%+v", r)
	}
	for link, ok := range map[string]bool{"": true, "https://rules.example": true, "javascript:alert(1)": false, "rules": false} {
		cfg := Default(1000)
		cfg.RulesLink = link
		if err := cfg.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", link, err)
		}
	}
}

// TestPlaceholdersAreReadFromAFile: values that can't be read stop the server, and
// say where.
func TestPlaceholdersAreReadFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "values.yml")
	for text, want := range map[string]string{"admins: [anna, bert]\n": "", "- a\n": "one map", strings.Repeat("# no\n", 1<<18): "more than"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		values, err := placeholders(path)
		if want == "" && (err != nil || len(values["admins"]) != 2) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.20q: %v, %v", text, values, err)
		}
	}
	if _, err := placeholders(path + "-not"); err == nil {
		t.Error("a file that is not there is taken")
	}
	if values, err := placeholders(""); err != nil || values != nil {
		t.Errorf("no file: %v, %v", values, err)
	}
}
