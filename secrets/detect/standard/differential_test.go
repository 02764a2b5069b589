package standard_test

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/gitleaks"
	"github.com/interlock-security/interlock/secrets/detect/standard"
)

// TestEveryRuleFindsWhatItsPatternFinds holds the detector's short ways against
// package regexp on whole texts, for every rule that we ship and every one of
// gitleaks, on texts that are made of what the rule looks for.
func TestEveryRuleFindsWhatItsPatternFinds(t *testing.T) {
	theirs, err := gitleaks.Default()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, r := range slices.Concat(standard.Config().Rules, theirs.Rules) {
		if r.Regex == "" {
			continue
		}
		// Only the pattern is of interest here.
		bare := detect.Rule{ID: r.ID, Keywords: r.Keywords, Regex: r.Regex, Group: r.Group}
		d, err := detect.New(detect.Config{Rules: []detect.Rule{bare}, Every: true})
		if err != nil {
			t.Fatal(err)
		}
		re := regexp.MustCompile(r.Regex)
		tree, err := syntax.Parse(r.Regex, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for range 6 {
			found += compare(t, d, bare, re, composed(rng, tree.Simplify(), r.Keywords))
		}
		if found == 0 {
			t.Errorf("%s: no text had a match, which proves nothing", r.ID)
		}
	}
}

func compare(t *testing.T, d *detect.Detector, r detect.Rule, re *regexp.Regexp, text []byte) int {
	t.Helper()
	var got, want []string
	d.Scan(detect.Text{Body: text}, func(l *detect.Leak) { got = append(got, string(l.Secret.Reveal())) })
	if hasKeyword(text, r.Keywords) {
		for _, groups := range re.FindAllSubmatch(text, -1) {
			if s := secretOf(r, groups); s != "" {
				want = append(want, s)
			}
		}
	}
	slices.Sort(got) // secrets within one another come in another order
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %s\non %q\n got %q\nwant %q", r.ID, r.Regex, text, got, want)
	}
	return len(want)
}

func hasKeyword(text []byte, keywords []string) bool {
	low := strings.ToLower(string(text))
	return len(keywords) == 0 || slices.ContainsFunc(keywords, func(k string) bool { return strings.Contains(low, strings.ToLower(k)) })
}

func secretOf(r detect.Rule, groups [][]byte) string {
	if r.Group > 0 {
		return string(groups[r.Group])
	}
	for _, g := range groups[1:] {
		if len(g) > 0 {
			return string(g)
		}
	}
	return strings.Trim(string(groups[0]), "\n")
}

// composed strings together what the pattern matches, what nearly matches, its
// keywords and what may stand between.
func composed(rng *rand.Rand, tree *syntax.Regexp, keywords []string) []byte {
	between := []string{"", " ", "\n", "\"", "'", ";", "=", "a", "Z", "0", "_", "-", "é", "\xff", "\t", ": ", "\\n", "\r\n"}
	var out bytes.Buffer
	for range 4 + rng.IntN(6) {
		part := example(rng, tree, nil)
		switch rng.IntN(5) {
		case 0:
			if len(part) > 1 {
				part = part[:rng.IntN(len(part))]
			}
		case 1:
			if len(keywords) > 0 {
				part = []byte(keywords[rng.IntN(len(keywords))])
			}
		}
		out.Write(part)
		out.WriteString(between[rng.IntN(len(between))])
	}
	return out.Bytes()
}

// example is a text that the tree matches, but for what it asserts.
func example(rng *rand.Rand, re *syntax.Regexp, out []byte) []byte {
	switch re.Op {
	case syntax.OpLiteral:
		return append(out, string(re.Rune)...)
	case syntax.OpCharClass:
		i := 2 * rng.IntN(len(re.Rune)/2)
		lo, hi := re.Rune[i], min(re.Rune[i+1], re.Rune[i]+80)
		return append(out, string(lo+rune(rng.IntN(int(hi-lo)+1)))...)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return append(out, "ab1 -/"[rng.IntN(6)])
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			out = example(rng, sub, out)
		}
		return out
	case syntax.OpAlternate:
		return example(rng, re.Sub[rng.IntN(len(re.Sub))], out)
	case syntax.OpQuest:
		return repeat(rng, re.Sub[0], rng.IntN(2), out)
	case syntax.OpStar:
		return repeat(rng, re.Sub[0], rng.IntN(20), out)
	case syntax.OpPlus:
		return repeat(rng, re.Sub[0], 1+rng.IntN(40), out)
	}
	return out
}

func repeat(rng *rand.Rand, re *syntax.Regexp, n int, out []byte) []byte {
	for range n {
		out = example(rng, re, out)
	}
	return out
}
