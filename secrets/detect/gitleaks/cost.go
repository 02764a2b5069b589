package gitleaks

import (
	"fmt"
	"regexp/syntax"

	"github.com/interlock-security/interlock/core"
)

// What a configuration may ask for, with all that it extends: some twenty times what
// gitleaks' own does. A pattern of a few bytes can stand for millions of steps.
const (
	mostRules    = 2_000
	mostPatterns = 10_000
	mostWords    = 50_000
	mostSteps    = 1_000_000
	longest      = 16 << 10 // a pattern
)

// cost is what a configuration asks for so far.
type cost struct{ rules, patterns, words, steps int }

// add books a file before any of its patterns is made.
func (c *cost) add(f *file) error {
	c.allow(f.Allowlists...)
	if f.Allowlist != nil {
		c.allow(*f.Allowlist)
	}
	for i := range f.Rules {
		r := &f.Rules[i]
		c.rules++
		c.words += len(r.Keywords) + len(r.Required) + len(r.Tags)
		c.pattern(r.Regex, r.Path)
		c.allow(r.Allowlists...)
		if r.Allowlist != nil {
			c.allow(*r.Allowlist)
		}
	}
	for _, is := range []struct {
		what    string
		n, most int
	}{
		{"rules", c.rules, mostRules},
		{"patterns", c.patterns, mostPatterns},
		{"words", c.words, mostWords},
		{"steps in its patterns", c.steps, mostSteps},
	} {
		if is.n > is.most {
			return core.E(core.KindTooLarge, "gitleaks.Parse", fmt.Sprintf("%s has more than %d %s", f.name, is.most, is.what)).
				WithHint("part it: nobody can look after so much, and every text is held against all of it")
		}
	}
	return nil
}

func (c *cost) allow(tables ...allowTable) {
	for i := range tables {
		t := &tables[i]
		c.words += len(t.Commits) + len(t.StopWords) + len(t.TargetRules)
		c.pattern(t.Regexes...)
		c.pattern(t.Paths...)
	}
}

func (c *cost) pattern(patterns ...string) {
	for _, p := range patterns {
		if p == "" || c.steps > mostSteps {
			continue
		}
		c.patterns++
		if len(p) > longest {
			c.steps = mostSteps + 1
			continue
		}
		if re, err := syntax.Parse(p, syntax.Perl); err == nil { // else it is refused where its line is known
			c.steps += steps(re)
		}
	}
}

// steps is about how many instructions a pattern makes. The parser has bounded how
// deep it is and how often a part may be repeated.
func steps(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)/2
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}
