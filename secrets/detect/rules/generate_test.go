package rules_test

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
)

// forge writes texts that a pattern takes: values that are random, so that none
// of them stands in this repository.
type forge struct {
	rng *rand.Rand
	// filler writes the same character wherever the pattern leaves a choice.
	filler bool
	// short writes a third of what is counted.
	short bool
}

func (f *forge) text(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	f.write(&b, re)
	return b.String()
}

func (f *forge) write(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(f.rune(re.Rune))
	case syntax.OpAnyCharNotNL, syntax.OpAnyChar:
		b.WriteByte('k')
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			f.write(b, sub)
		}
	case syntax.OpAlternate:
		f.write(b, re.Sub[f.rng.IntN(len(re.Sub))])
	case syntax.OpRepeat:
		f.times(b, re.Sub[0], re.Min, re.Max)
	case syntax.OpStar:
		f.times(b, re.Sub[0], 0, 3)
	case syntax.OpPlus:
		f.times(b, re.Sub[0], 1, 20)
	case syntax.OpQuest:
		f.times(b, re.Sub[0], 0, 1)
	}
}

func (f *forge) times(b *strings.Builder, re *syntax.Regexp, least, most int) {
	if most < 0 || most > least+24 {
		most = least + 24
	}
	n := least
	if most > least {
		n += f.rng.IntN(most - least + 1)
	}
	if f.short && least >= 6 {
		n = least / 3
	}
	for range n {
		f.write(b, re)
	}
}

// rune picks from a class, letters and digits first.
func (f *forge) rune(class []rune) rune {
	const plain = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	var from []rune
	for _, c := range plain {
		if within(class, c) {
			from = append(from, c)
		}
	}
	if len(from) > 2 && within(class, ' ') { // the class is "anything but"
		return ' '
	}
	if len(from) == 0 {
		for c := rune(' '); c < 127; c++ {
			if within(class, c) {
				from = append(from, c)
			}
		}
	}
	if len(from) == 0 {
		return ' '
	}
	if f.filler {
		return from[0]
	}
	return from[f.rng.IntN(len(from))]
}

func within(class []rune, c rune) bool {
	for i := 0; i+1 < len(class); i += 2 {
		if c >= class[i] && c <= class[i+1] {
			return true
		}
	}
	return false
}
