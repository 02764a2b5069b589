// Package plan decides how a pattern is best looked for: at which literals, what
// must stand after each of them, and what before.
package plan

import (
	"regexp/syntax"
	"strings"
)

// Plan is a way to find every match of a pattern: each of them has one of the
// literals, in any ASCII case, exactly where After begins to match, and Before
// ends there. Before is nil where a match begins with the literal.
type Plan struct {
	Literals []string // lower case
	Before   *syntax.Regexp
	After    *syntax.Regexp
}

const (
	// longestBefore is how far before its literal a match may begin.
	longestBefore = 1 << 10
	leastLiteral  = 3
	maxLiterals   = 160
	longest       = 16
	maxBranches   = 64
)

// Of plans a pattern. Several plans are one for each of its branches. None means
// that it has no literal worth looking for; hints are literals that its author
// thinks it has.
func Of(re *syntax.Regexp, hints []string) []Plan {
	parts := flatten(re)
	if p, ok := best(parts, hints); ok {
		return []Plan{p}
	}
	if len(parts) != 1 || parts[0].Op != syntax.OpAlternate || len(parts[0].Sub) > maxBranches {
		return nil
	}
	var plans []Plan
	for _, branch := range parts[0].Sub {
		of := Of(branch, hints)
		if of == nil {
			return nil
		}
		plans = append(plans, of...)
	}
	return plans
}

// flatten lists what follows one another, groups opened.
func flatten(re *syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpCapture:
		return flatten(re.Sub[0])
	case syntax.OpConcat:
		var parts []*syntax.Regexp
		for _, sub := range re.Sub {
			parts = append(parts, flatten(sub)...)
		}
		return parts
	}
	return []*syntax.Regexp{re}
}

// best tries every part as the one that begins with the literal.
func best(parts []*syntax.Regexp, hints []string) (Plan, bool) {
	var found Plan
	most, before := 0, 0
	for i, part := range parts {
		if before > longestBefore {
			break
		}
		if set, ok := prefixes(parts[i:]); ok {
			if s := score(set, hints); s > most {
				most = s
				found = Plan{Literals: set, Before: join(parts[:i]), After: join(parts[i:])}
			}
		}
		before += width(part)
	}
	return found, most > 0
}

func join(parts []*syntax.Regexp) *syntax.Regexp {
	if len(parts) == 0 {
		return nil
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: parts}
}

// score weighs literals: long ones are rare, many are found more often, and the
// author's own choice is worth something.
func score(set, hints []string) int {
	least, hinted := longest, true
	for _, s := range set {
		least = min(least, len(s))
		hinted = hinted && Covered(s, hints)
	}
	if least < leastLiteral && !(hinted && least > 1) {
		return 0
	}
	points := 8 * min(least, 6)
	if hinted {
		points += 16
	}
	return max(1, points-len(set)/4)
}

// Covered reports whether a literal has one of the hints in it.
func Covered(literal string, hints []string) bool {
	for _, h := range hints {
		if strings.Contains(literal, strings.ToLower(h)) {
			return true
		}
	}
	return false
}

// far is more than any bound.
const far = 1 << 30

// width is the most bytes that re can match.
func width(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return 4 * len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 4
	case syntax.OpStar, syntax.OpPlus:
		return far
	case syntax.OpQuest, syntax.OpCapture:
		return width(re.Sub[0])
	case syntax.OpRepeat:
		if re.Max < 0 {
			return far
		}
		return bounded(re.Max * min(width(re.Sub[0]), far/1001))
	case syntax.OpConcat:
		n := 0
		for _, sub := range re.Sub {
			n = bounded(n + width(sub))
		}
		return n
	case syntax.OpAlternate:
		n := 0
		for _, sub := range re.Sub {
			n = max(n, width(sub))
		}
		return n
	}
	return 0
}

func bounded(n int) int { return min(n, far) }
