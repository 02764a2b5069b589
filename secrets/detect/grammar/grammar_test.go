package grammar_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/grammar"
)

// hits calls every grammar as the scanner does: at each keyword, and for files
// that it wants.
func hits(t detect.Text) []detect.Hit {
	var found []detect.Hit
	seen := map[[3]int]bool{}
	emit := func(h detect.Hit) {
		if k := [3]int{h.Start, h.End, int(h.Verdict)}; !seen[k] {
			seen[k] = true
			found = append(found, h)
		}
	}
	ask(t, emit)
	for _, g := range grammar.All() {
		if g.Wants(t.Path) {
			g.All(t, emit)
		}
	}
	return found
}

// ask calls every grammar at each of its keywords, and says how often.
func ask(t detect.Text, emit func(detect.Hit)) (calls int) {
	low := bytes.ToLower(t.Body)
	if len(low) != len(t.Body) {
		low = t.Body
	}
	for _, g := range grammar.All() {
		own := map[string]bool{}
		for _, r := range g.Rules() {
			own[r.ID] = true
		}
		emit := func(h detect.Hit) {
			if own[h.Rule] { // the scanner drops what is no rule of the grammar's
				emit(h)
			}
		}
		for _, k := range g.Keywords() {
			k := strings.ToLower(k)
			for at := 0; ; at++ {
				i := bytes.Index(low[at:], []byte(k))
				if i < 0 {
					break
				}
				at += i
				calls++
				g.At(t, at, len(k), emit)
			}
		}
	}
	return calls
}

// TestRowsOfTexts reads every row of testdata with values made up anew, for
// several seeds.
func TestRowsOfTexts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("test data: %v %v", files, err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(strings.TrimSpace(string(body)), "\n") {
			if strings.HasPrefix(line, "#") {
				continue
			}
			path, text, _ := strings.Cut(line, "\t")
			for seed := range uint64(4) {
				if msg := checkRow(path, text, newMaker(seed*1000+uint64(n))); msg != "" {
					t.Errorf("%s:%d: %s", f, n+1, msg)
					break
				}
			}
		}
	}
}

func checkRow(path, row string, m *maker) string {
	filled := m.fill(strings.ReplaceAll(row, "⏎", "\n"))
	var want [][2]int
	var b strings.Builder
	for _, r := range filled {
		switch r {
		case '⟦':
			want = append(want, [2]int{b.Len(), -1})
		case '⟧':
			want[len(want)-1][1] = b.Len()
		default:
			b.WriteRune(r)
		}
	}
	text := detect.Text{Path: path, Body: []byte(b.String() + "\n")}
	got := hits(text)
	for _, w := range want {
		if !covered(got, w) {
			return fmt.Sprintf("missed %q in %s: %s", b.String()[w[0]:w[1]], path, b.String())
		}
	}
	for _, h := range got {
		if !overlaps(want, h) {
			return fmt.Sprintf("%s says %q in %s: %s", h.Rule, b.String()[h.Start:h.End], path, b.String())
		}
	}
	return ""
}

func covered(got []detect.Hit, w [2]int) bool {
	for _, h := range got {
		// The quotes and parentheses of the first and the last part may be within.
		if h.Start == w[0] && h.End == w[1] || max(h.Start-w[0], w[0]-h.Start) <= 1 && max(h.End-w[1], w[1]-h.End) <= 1 {
			return true
		}
	}
	return false
}

func overlaps(want [][2]int, h detect.Hit) bool {
	for _, w := range want {
		if h.Start < w[1] && w[0] < h.End {
			return true
		}
	}
	return false
}
