package reference

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// piece is a part of a pattern: text, or one of the wildcards.
type piece struct {
	kind byte // 't' text, '*', '?', '-' any dash
	text string
}

// parsePattern reads wildcards and backslashes [Rules, String Wildcard, Escaping].
func parsePattern(s string) []piece {
	var out []piece
	text := func(b string) {
		if n := len(out); n > 0 && out[n-1].kind == 't' {
			out[n-1].text += b
			return
		}
		out = append(out, piece{'t', b})
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '*' || s[i+1] == '?' || s[i+1] == '\\'):
			i++
			text(s[i : i+1])
		case s[i] == '*' || s[i] == '?':
			out = append(out, piece{kind: s[i]})
		default:
			text(s[i : i+1])
		}
	}
	return out
}

// plain returns the text of a pattern that has no wildcards.
func plain(p []piece) (string, bool) {
	var b strings.Builder
	for _, x := range p {
		if x.kind != 't' {
			return "", false
		}
		b.WriteString(x.text)
	}
	return b.String(), true
}

func foldPattern(p []piece) []piece {
	out := slices.Clone(p)
	for i := range out {
		out[i].text = fold(out[i].text)
	}
	return out
}

// matches reports whether the pattern covers all of s.
func matches(p []piece, s string) bool { return matcher(p)(s) }

// matcher looks at a pattern once. The commonest shapes have a loop of the
// standard library, all others go letter by letter.
func matcher(p []piece) func(s string) bool {
	kinds := ""
	for _, x := range p {
		kinds += string(x.kind)
	}
	switch kinds {
	case "":
		return func(s string) bool { return s == "" }
	case "t":
		return func(s string) bool { return s == p[0].text }
	case "t*":
		return func(s string) bool { return strings.HasPrefix(s, p[0].text) }
	case "*t":
		return func(s string) bool { return strings.HasSuffix(s, p[1].text) }
	case "*t*":
		return func(s string) bool { return strings.Contains(s, p[1].text) }
	}
	return func(s string) bool { return matchesByLetter(p, s) }
}

// matchesByLetter keeps the places of s that the pattern can have reached.
func matchesByLetter(p []piece, s string) bool {
	letters := []rune(s)
	reached := make([]bool, len(letters)+1)
	reached[0] = true
	for _, step := range steps(p) {
		next := make([]bool, len(letters)+1)
		for at, ok := range reached {
			switch {
			case !ok:
			case step.kind == '*':
				for to := at; to <= len(letters); to++ {
					next[to] = true
				}
			case at < len(letters) && step.takes(letters[at]):
				next[at+1] = true
			}
			if ok && step.kind == '*' {
				break // from here on every place is reached
			}
		}
		reached = next
	}
	return reached[len(letters)]
}

// steps makes each letter a piece of its own.
func steps(p []piece) []piece {
	var out []piece
	for _, x := range p {
		if x.kind != 't' {
			out = append(out, x)
			continue
		}
		for _, r := range x.text {
			out = append(out, piece{'t', string(r)})
		}
	}
	return out
}

func (x piece) takes(r rune) bool {
	switch x.kind {
	case '?':
		return true
	case '-':
		return strings.ContainsRune(allDashes, r)
	}
	return x.text == string(r)
}

const allDashes = "-/–—―"

// windash lets any dash stand where a word begins with one
// [Modifiers, String Modifiers].
func windash(p []piece) []piece {
	all := steps(p)
	out := make([]piece, 0, len(all))
	for i, x := range all {
		begins := i == 0 || !inWord(all[i-1])
		follows := i+1 < len(all) && inWord(all[i+1])
		if x.kind == 't' && strings.Contains(allDashes, x.text) && begins && follows {
			x = piece{kind: '-'}
		}
		out = append(out, x)
	}
	return joined(out)
}

func inWord(x piece) bool {
	r, _ := utf8.DecodeRuneInString(x.text)
	return x.kind == 't' && (r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r))
}

// joined puts neighbouring letters together again.
func joined(p []piece) []piece {
	var out []piece
	for _, x := range p {
		if n := len(out); n > 0 && x.kind == 't' && out[n-1].kind == 't' {
			out[n-1].text += x.text
			continue
		}
		out = append(out, x)
	}
	return out
}

// spelledOut writes every pattern that the dashes of p stand for.
func spelledOut(p []piece) [][]piece {
	out := [][]piece{nil}
	for _, x := range p {
		choices := []piece{x}
		if x.kind == '-' {
			choices = nil
			for _, d := range allDashes {
				choices = append(choices, piece{'t', string(d)})
			}
		}
		var next [][]piece
		for _, before := range out {
			for _, c := range choices {
				next = append(next, joined(append(slices.Clone(before), c)))
			}
		}
		out = next
	}
	return out
}
