package plan

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// prefix is how a match may begin; an open one goes on in a way that is not
// written down.
type prefix struct {
	text string
	open bool
}

// prefixes is the set of literals of which one begins every match of the parts,
// without those that begin with another one.
func prefixes(parts []*syntax.Regexp) ([]string, bool) {
	set := []prefix{{}}
	for _, part := range parts {
		if done(set) {
			break
		}
		set = cross(set, begins(part))
	}
	return minimal(set)
}

func done(set []prefix) bool {
	return !slices.ContainsFunc(set, func(p prefix) bool { return !p.open })
}

func minimal(set []prefix) ([]string, bool) {
	var words []string
	for _, p := range set {
		words = append(words, p.text)
	}
	slices.Sort(words)
	var least []string
	for _, w := range words {
		if w == "" {
			return nil, false
		}
		if n := len(least); n == 0 || !strings.HasPrefix(w, least[n-1]) {
			least = append(least, w)
		}
	}
	return least, len(least) > 0
}

// cross continues every closed prefix with every next one. Where that would be
// too many they stay as they are and are open from here on.
func cross(set, next []prefix) []prefix {
	var out []prefix
	for _, p := range set {
		if p.open {
			out = append(out, p)
			continue
		}
		for _, n := range next {
			out = append(out, cut(prefix{p.text + n.text, n.open}))
		}
		if len(out) > maxLiterals {
			return opened(set)
		}
	}
	return out
}

func opened(set []prefix) []prefix {
	out := slices.Clone(set)
	for i := range out {
		out[i].open = true
	}
	return out
}

func cut(p prefix) prefix {
	if len(p.text) <= longest {
		return p
	}
	return prefix{p.text[:longest], true}
}

var anything = []prefix{{open: true}}

// begins is how a match of re may begin.
func begins(re *syntax.Regexp) []prefix {
	switch re.Op {
	case syntax.OpNoMatch:
		return nil
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []prefix{{}}
	case syntax.OpLiteral:
		return literal(re)
	case syntax.OpCharClass:
		return class(re)
	case syntax.OpCapture:
		return begins(re.Sub[0])
	case syntax.OpConcat:
		set := []prefix{{}}
		for _, sub := range re.Sub {
			set = cross(set, begins(sub))
		}
		return set
	case syntax.OpAlternate:
		var set []prefix
		for _, sub := range re.Sub {
			set = append(set, begins(sub)...)
		}
		return few(set)
	case syntax.OpQuest:
		return few(append([]prefix{{}}, begins(re.Sub[0])...))
	case syntax.OpPlus:
		return opened(begins(re.Sub[0]))
	case syntax.OpRepeat:
		return repeated(re)
	}
	return anything
}

func few(set []prefix) []prefix {
	if len(set) > maxLiterals {
		return anything
	}
	return set
}

func repeated(re *syntax.Regexp) []prefix {
	if re.Min == 0 {
		return anything
	}
	once, set := begins(re.Sub[0]), []prefix{{}}
	for range min(re.Min, longest) {
		set = cross(set, once)
	}
	if re.Max != re.Min || re.Min > longest {
		return opened(set)
	}
	return set
}

func literal(re *syntax.Regexp) []prefix {
	var text strings.Builder
	for _, r := range re.Rune {
		if r >= utf8.RuneSelf && re.Flags&syntax.FoldCase != 0 {
			return []prefix{cut(prefix{text.String(), true})}
		}
		text.WriteRune(lower(r))
	}
	return []prefix{cut(prefix{text: text.String()})}
}

func lower(r rune) rune {
	if r < utf8.RuneSelf {
		return unicode.ToLower(r)
	}
	return r
}

// maxClass is how many members of a class are worth a literal each.
const maxClass = 10

// class expands a small class. The two letters outside of ASCII that fold to k
// and s are left out: no keyword of any tool finds those either.
func class(re *syntax.Regexp) []prefix {
	var set []prefix
	for i := 0; i+1 < len(re.Rune); i += 2 {
		if re.Rune[i+1]-re.Rune[i] > 64 {
			return anything
		}
		for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
			if r == '\u017f' || r == '\u212a' {
				continue
			}
			p := prefix{text: string(lower(r))}
			if !slices.Contains(set, p) {
				set = append(set, p)
			}
		}
	}
	if len(set) > maxClass || len(set) == 0 {
		return anything
	}
	return set
}
