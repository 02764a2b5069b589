package rules

import (
	"regexp"
	"strings"
	"testing"
)

// TestRulesAreWhole holds what the engine and its users rely on of every rule.
func TestRulesAreWhole(t *testing.T) {
	seen := map[string]bool{}
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, r := range All() {
		if seen[r.ID] || !kebab.MatchString(r.ID) {
			t.Errorf("%s: the id stands twice or isn't kebab-case", r.ID)
		}
		seen[r.ID] = true
		if r.Title == "" || r.Kind == "" || r.Severity.Rank() < 0 {
			t.Errorf("%s: title, kind or severity is missing", r.ID)
		}
		if r.Regex == "" && r.Path == "" || r.Regex != "" && len(r.Keywords) == 0 {
			t.Errorf("%s: neither pattern nor path, or a pattern without keywords", r.ID)
		}
		re, err := regexp.Compile(r.Regex)
		if err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		if r.Group > re.NumSubexp() {
			t.Errorf("%s: group %d of %d", r.ID, r.Group, re.NumSubexp())
		}
		for _, k := range r.Keywords {
			if k != strings.ToLower(k) || len(k) < 2 {
				t.Errorf("%s: keyword %q is not in small letters or too short", r.ID, k)
			}
		}
	}
	for _, g := range Grammars() {
		for _, r := range g.Rules() {
			if seen[r.ID] || !kebab.MatchString(r.ID) || r.Title == "" || r.Severity.Rank() < 0 {
				t.Errorf("%s of a grammar: stands twice or isn't whole", r.ID)
			}
			seen[r.ID] = true
		}
	}
}
