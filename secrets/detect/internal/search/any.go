package search

import (
	"regexp"
	"regexp/syntax"

	"github.com/interlock-security/interlock/secrets/detect/internal/automaton"
)

// Any asks whether one of several patterns matches, all of them at once.
type Any struct{ program *automaton.Program }

// NewAny makes the question.
func NewAny(patterns []*regexp.Regexp) (*Any, error) {
	either := &syntax.Regexp{Op: syntax.OpAlternate}
	for _, p := range patterns {
		tree, err := syntax.Parse(p.String(), syntax.Perl)
		if err != nil {
			return nil, err
		}
		either.Sub = append(either.Sub, tree)
	}
	return &Any{automaton.NewSearch(either)}, nil
}

// Asker is one goroutine's way to ask.
type Asker struct{ dfa *automaton.DFA }

// NewAsker makes an asker.
func (a *Any) NewAsker() *Asker { return &Asker{automaton.NewDFA(a.program, new(int))} }

// Match reports whether any pattern matches.
func (a *Asker) Match(b []byte) bool {
	a.dfa.Fresh()
	return a.dfa.End(b, 0, len(b)) >= 0
}
