package sigma

import (
	"regexp/syntax"
	"unicode/utf8"

	"github.com/interlock-security/interlock/siem/sigma/internal/needle"
)

// maxTexts bounds the texts that stand for one regular expression.
const maxTexts = 24

// requiredTexts returns folded texts of which at least one stands in the folding
// of everything that a regular expression matches; nil where there are none
// that are worth looking for.
func requiredTexts(src string) []string {
	re, err := syntax.Parse(src, syntax.Perl)
	if err != nil {
		return nil
	}
	r := required(re)
	return better(r.needs, usable(r.whole))
}

// texts is what is known of an expression: whole, if not nil, are all texts
// that it can match; needs, if not nil, are texts of which it has one.
type texts struct{ whole, needs []string }

func required(re *syntax.Regexp) texts {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return texts{whole: []string{""}}
	case syntax.OpLiteral:
		return requiredLiteral(re.Rune)
	case syntax.OpCharClass:
		return requiredClass(re.Rune)
	case syntax.OpCapture:
		return required(re.Sub[0])
	case syntax.OpPlus:
		return texts{needs: required(re.Sub[0]).anyhow()}
	case syntax.OpRepeat:
		return requiredRepeat(re)
	case syntax.OpQuest:
		if t := required(re.Sub[0]); t.whole != nil {
			return texts{whole: distinct(append(t.whole, ""))}
		}
	case syntax.OpConcat:
		return requiredConcat(re.Sub)
	case syntax.OpAlternate:
		return requiredAlternate(re.Sub)
	}
	return texts{}
}

// anyhow is what every match has, by either knowledge.
func (t texts) anyhow() []string { return better(t.needs, usable(t.whole)) }

// requiredLiteral folds runes: a literal without case can match any of a circle,
// and all of them fold alike.
func requiredLiteral(runes []rune) texts {
	var b []byte
	for _, r := range runes {
		if r == utf8.RuneError { // matches bytes that are no UTF-8, too
			return texts{}
		}
		b = utf8.AppendRune(b, foldRune(r))
	}
	return texts{whole: []string{string(b)}}
}

// requiredClass spells out a small class.
func requiredClass(ranges []rune) texts {
	var t texts
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			one := requiredLiteral([]rune{r})
			if one.whole == nil || len(t.whole) == 8 {
				return texts{}
			}
			t.whole = distinct(append(t.whole, one.whole...))
		}
	}
	return t
}

func requiredRepeat(re *syntax.Regexp) texts {
	if re.Min == 0 {
		return texts{}
	}
	sub := required(re.Sub[0])
	if re.Min == 1 && re.Max == 1 {
		return sub
	}
	return texts{needs: sub.anyhow()}
}

// requiredConcat joins the neighbours that are known whole, and keeps the best
// of what stands between those that are not.
func requiredConcat(subs []*syntax.Regexp) texts {
	run, needs, whole := []string{""}, []string(nil), true
	for _, s := range subs {
		t := required(s)
		if joined := cross(run, t.whole); joined != nil {
			run = joined
			continue
		}
		needs, whole = better(better(needs, usable(run)), t.needs), false
		run = []string{""}
		if t.whole != nil {
			run = t.whole
		}
	}
	if whole {
		return texts{whole: run}
	}
	return texts{needs: better(needs, usable(run))}
}

func requiredAlternate(subs []*syntax.Regexp) texts {
	whole, needs := []string{}, []string{}
	for _, s := range subs {
		t := required(s)
		if whole != nil && t.whole != nil {
			whole = distinct(append(whole, t.whole...))
		} else {
			whole = nil
		}
		if have := t.anyhow(); needs != nil && have != nil {
			needs = distinct(append(needs, have...))
		} else {
			needs = nil
		}
	}
	if len(whole) > maxTexts {
		whole = nil
	}
	if len(needs) > maxTexts {
		needs = nil
	}
	return texts{whole, needs}
}

// cross is every text of a followed by every one of b, nil if those are too
// many or either is unknown.
func cross(a, b []string) []string {
	if a == nil || b == nil || len(a)*len(b) > maxTexts {
		return nil
	}
	out := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, x+y)
		}
	}
	return out
}

// usable returns texts if each can be looked for.
func usable(list []string) []string {
	for _, t := range list {
		if len(t) < needle.MinLen {
			return nil
		}
	}
	if len(list) == 0 || len(list) > maxTexts {
		return nil
	}
	return list
}

// better prefers the texts whose shortest is longer.
func better(a, b []string) []string {
	switch {
	case b == nil:
		return a
	case a == nil || shortest(b) > shortest(a):
		return b
	}
	return a
}

func shortest(list []string) int {
	n := len(list[0])
	for _, t := range list {
		n = min(n, len(t))
	}
	return n
}

func distinct(list []string) []string {
	seen := make(map[string]bool, len(list))
	out := list[:0]
	for _, t := range list {
		if !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}
