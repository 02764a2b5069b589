package sigma

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/interlock-security/interlock/siem/sigma/internal/needle"
)

// maxTexts bounds the texts that stand for one regular expression.
const maxTexts = 24

// requiredTexts returns folded texts of which at least one stands in the folding
// of everything that a regular expression matches; nil where there are none
// of at least as many bytes.
func requiredTexts(src string, bytes int) []string {
	re, err := syntax.Parse(src, syntax.Perl)
	if err != nil {
		return nil
	}
	best := required(re).anyhow()
	if best == nil || shortest(best) < bytes {
		return nil
	}
	return best
}

// premise is what a value must have before a regular expression is run over it:
// of each list one text.
type premise [][]string

func (c *compiler) premise(src string) premise {
	re, err := syntax.Parse(src, syntax.Perl)
	if err != nil {
		return nil
	}
	return required(re).all()
}

// met reports whether a folded value has what it must.
func (p premise) met(folded []byte) bool {
	for _, list := range p {
		if !slices.ContainsFunc(list, func(t string) bool { return strings.Contains(borrowed(folded), t) }) {
			return false
		}
	}
	return true
}

// texts is what is known of an expression: whole, if not nil, are all texts
// that it can match; needs, if not nil, are texts of which it has one, the best
// list of every; edge, if not nil, are texts of which it begins with one and ends
// with one.
type texts struct {
	whole, needs, edge []string
	every              [][]string
}

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
		t := required(re.Sub[0])
		return texts{needs: t.anyhow(), edge: t.whole, every: t.all()}
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

// all are the lists of which every match has one text each.
func (t texts) all() [][]string {
	if list := usable(t.whole); list != nil {
		return append(t.every[:len(t.every):len(t.every)], list)
	}
	return t.every
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
			if one.whole == nil || len(t.whole) == 16 {
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
	return texts{needs: sub.anyhow(), edge: sub.whole, every: sub.all()}
}

// requiredConcat joins the neighbours that are known whole, and keeps the best
// of what stands between those that are not.
func requiredConcat(subs []*syntax.Regexp) texts {
	run, out, whole := []string{""}, texts{}, true
	for _, s := range subs {
		t := required(s)
		if joined := cross(run, t.whole); joined != nil {
			if len(run) > 1 {
				out.need(usable(t.whole)) // fewer texts, if shorter ones
			}
			run = joined
			continue
		}
		if before := cross(run, t.edge); before != nil {
			run = before
		}
		out.need(usable(run))
		for _, list := range t.every {
			out.need(list)
		}
		whole, run = false, []string{""}
		switch {
		case t.whole != nil:
			run = t.whole
		case t.edge != nil:
			run = t.edge
		}
	}
	if whole {
		out.whole = run
		return out
	}
	out.need(usable(run))
	return out
}

// need notes a list of which one text must be there.
func (t *texts) need(list []string) {
	if list != nil {
		t.needs, t.every = better(t.needs, list), append(t.every, list)
	}
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
	t := texts{whole: whole}
	if needs = usable(needs); needs != nil {
		t.need(needs)
	}
	return t
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

// usable returns texts if each says something.
func usable(list []string) []string {
	for _, t := range list {
		if t == "" {
			return nil
		}
	}
	if len(list) == 0 || len(list) > maxTexts {
		return nil
	}
	return list
}

// better prefers the texts that are worth more.
func better(a, b []string) []string {
	switch {
	case b == nil:
		return a
	case a == nil || worth(b) > worth(a):
		return b
	}
	return a
}

// worth weighs texts: long ones are rare, and few are quickly looked for. Those
// that a set can find are worth more than any that it can't.
func worth(list []string) int {
	n := shortest(list)
	w := 4*min(n, 12) - 2*len(list)
	if n >= needle.MinLen {
		w += 100
	}
	return w
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
