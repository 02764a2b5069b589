package grammar_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/grammar"
)

// FuzzAt: whatever stands around a keyword, hits lie within the text and name a
// rule that exists.
func FuzzAt(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		m := newMaker(1)
		for _, line := range strings.Split(string(body), "\n") {
			path, text, _ := strings.Cut(line, "\t")
			f.Add(path, []byte(strings.NewReplacer("⏎", "\n", "⟦", "", "⟧", "").Replace(m.fill(text))))
		}
	}
	rules := map[string]bool{}
	for _, g := range grammar.All() {
		for _, r := range g.Rules() {
			rules[r.ID] = true
		}
	}
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		for _, h := range hits(detect.Text{Path: path, Body: body}) {
			if !rules[h.Rule] {
				t.Errorf("no rule %q", h.Rule)
			}
			if h.Start < 0 || h.Start >= h.End || h.End > len(body) || h.MatchStart > h.Start || h.MatchEnd < h.End {
				t.Errorf("hit %+v in %d bytes", h, len(body))
			}
		}
	})
}
