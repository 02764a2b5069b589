// Package automaton runs regular expressions over texts the way a scanner needs
// it: from a place that is already known, with the real text on both sides, and
// without ever being slow.
//
// A [Program] is a pattern made ready and is shared. A [DFA] is a worker's own
// lazily built automaton for it: it says where the match that package regexp
// would find ends, or, of a reversed pattern, where the longest begins. A
// [Matcher] then finds the groups within those bounds. All three give what
// package regexp gives on the whole text, rune for rune.
package automaton

import (
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// Program is a compiled pattern with its alphabet: runes that no instruction
// tells apart share a class.
type Program struct {
	prog *syntax.Prog
	// reverse reads backwards and wants the longest; else the first match by
	// the rules of package regexp.
	reverse bool
	// asserts is whether the text beside a position matters.
	asserts bool
	ascii   [utf8.RuneSelf]uint16
	wide    []rune // first runes of classes from wide0 on
	wide0   uint16
	classes int    // without the end of text, which is one more
	sample  []rune // one rune of each class
}

// New compiles a pattern to be read forwards.
func New(re *syntax.Regexp) *Program { return compile(re, false) }

// NewSearch compiles a pattern that may begin anywhere.
func NewSearch(re *syntax.Regexp) *Program {
	skip := &syntax.Regexp{
		Op: syntax.OpStar, Flags: syntax.NonGreedy,
		Sub: []*syntax.Regexp{{Op: syntax.OpAnyChar}},
	}
	return compile(&syntax.Regexp{Op: syntax.OpConcat, Sub: []*syntax.Regexp{skip, re}}, false)
}

// NewReverse compiles a pattern to be read backwards from where it ends.
func NewReverse(re *syntax.Regexp) *Program { return compile(mirrored(re), true) }

func compile(re *syntax.Regexp, reverse bool) *Program {
	p := &Program{prog: assemble(re), reverse: reverse}
	p.alphabet()
	return p
}

// assemble makes a program of a tree, which package syntax has a way to refuse
// and never does.
func assemble(re *syntax.Regexp) *syntax.Prog {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		prog = &syntax.Prog{Inst: []syntax.Inst{{Op: syntax.InstFail}}, NumCap: 2}
	}
	return prog
}

// mirrored is the pattern that matches every text read backwards.
func mirrored(re *syntax.Regexp) *syntax.Regexp {
	m := *re
	m.Sub = make([]*syntax.Regexp, len(re.Sub))
	for i, sub := range re.Sub {
		m.Sub[i] = mirrored(sub)
	}
	switch re.Op {
	case syntax.OpConcat:
		slices.Reverse(m.Sub)
	case syntax.OpLiteral:
		m.Rune = slices.Clone(re.Rune)
		slices.Reverse(m.Rune)
	}
	return &m
}

// alphabet finds the runes at which any instruction changes its mind.
func (p *Program) alphabet() {
	cuts := []rune{0, utf8.RuneSelf}
	for i := range p.prog.Inst {
		in := &p.prog.Inst[i]
		switch in.Op {
		case syntax.InstEmptyWidth:
			p.asserts = true
		case syntax.InstRune, syntax.InstRune1:
			cuts = append(cuts, cutsOf(in)...)
		case syntax.InstRuneAnyNotNL:
			cuts = append(cuts, '\n', '\n'+1)
		}
	}
	if p.asserts {
		cuts = append(cuts, '\n', '\n'+1, '0', '9'+1, 'A', 'Z'+1, '_', '_'+1, 'a', 'z'+1)
	}
	slices.Sort(cuts)
	p.sample = slices.Compact(cuts)
	p.classes = len(p.sample)
	at := 0
	for r := range p.ascii {
		for at+1 < p.classes && p.sample[at+1] <= rune(r) {
			at++
		}
		p.ascii[r] = uint16(at)
	}
	at, _ = slices.BinarySearch(p.sample, utf8.RuneSelf)
	p.wide0, p.wide = uint16(at), p.sample[at:]
}

func cutsOf(in *syntax.Inst) []rune {
	var cuts []rune
	if len(in.Rune) == 1 {
		r := in.Rune[0]
		cuts = append(cuts, r, r+1)
		if syntax.Flags(in.Arg)&syntax.FoldCase != 0 {
			for f := simpleFold(r); f != r; f = simpleFold(f) {
				cuts = append(cuts, f, f+1)
			}
		}
		return cuts
	}
	for i := 0; i+1 < len(in.Rune); i += 2 {
		cuts = append(cuts, in.Rune[i], in.Rune[i+1]+1)
	}
	return cuts
}

// classOf is the class of a rune above ASCII.
func (p *Program) classOf(r rune) uint16 {
	if len(p.wide) == 1 {
		return p.wide0
	}
	i, found := slices.BinarySearch(p.wide, r)
	if !found {
		i--
	}
	return p.wide0 + uint16(i)
}
