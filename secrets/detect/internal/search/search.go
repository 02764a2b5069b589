// Package search finds all matches of a pattern in a text, exactly as package
// regexp does, around the literals that the pattern needs. A [Pattern] is shared;
// a [Worker] holds what one goroutine has learned of it.
package search

import (
	"regexp"
	"regexp/syntax"
	"sync"
	"unicode/utf8"

	"github.com/interlock-security/interlock/secrets/detect/internal/automaton"
	"github.com/interlock-security/interlock/secrets/detect/internal/plan"
)

// Pattern is a regular expression made ready to be looked for.
type Pattern struct {
	re    *regexp.Regexp
	tree  *syntax.Regexp
	plans []planned
	// ends finds where the next match ends and where it begins; most patterns
	// never need it.
	ends func() (forward, back *automaton.Program)
}

type planned struct {
	literals      []string
	before, after *automaton.Program
}

// New plans a pattern; hints are the words that its author says it has.
func New(re *regexp.Regexp, hints []string) (*Pattern, error) {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return nil, err
	}
	p := &Pattern{re: re, tree: tree}
	p.ends = sync.OnceValues(func() (forward, back *automaton.Program) {
		return automaton.NewSearch(tree), automaton.NewReverse(tree)
	})
	for _, way := range plan.Of(tree, hints) {
		made := planned{literals: way.Literals}
		made.after = automaton.New(way.After)
		if way.Before != nil {
			made.before = automaton.NewReverse(way.Before)
		}
		p.plans = append(p.plans, made)
	}
	return p, nil
}

// Plans is how many ways lead to a match: each match has a literal of one of
// them. None means that the text must be read as a whole.
func (p *Pattern) Plans() int { return len(p.plans) }

// Literals are those of a way, in lower case.
func (p *Pattern) Literals(way int) []string { return p.plans[way].literals }

// Covers reports whether every match is sure to have one of the words in it.
func (p *Pattern) Covers(words []string) bool {
	for _, way := range p.plans {
		for _, l := range way.literals {
			if !plan.Covered(l, words) {
				return false
			}
		}
	}
	return len(p.plans) > 0
}

// Budget bounds what reading one text may cost, in bytes read. Several workers
// share it.
type Budget struct{ Spent, Most int }

// Over reports whether it is used up; from then on nothing is found.
func (b *Budget) Over() bool { return b.Spent > b.Most }

// Worker is not safe for concurrent use.
type Worker struct {
	p             *Pattern
	budget        *Budget
	before, after []*automaton.DFA
	forward, back *automaton.DFA
	matcher       *automaton.Matcher
}

// NewWorker makes what one goroutine needs; it costs nothing until it is used.
func NewWorker(p *Pattern, budget *Budget) *Worker {
	return &Worker{
		p:      p,
		budget: budget,
		before: make([]*automaton.DFA, len(p.plans)),
		after:  make([]*automaton.DFA, len(p.plans)),
	}
}

// Fresh is called before another text.
func (w *Worker) Fresh() {
	for _, d := range w.after {
		if d != nil {
			d.Fresh()
		}
	}
}

// Window bounds the matches that have the literal of a way at the given place.
func (w *Worker) Window(b []byte, way, at int) (from, to int, ok bool) {
	if w.budget.Over() {
		return 0, 0, false
	}
	made := &w.p.plans[way]
	if w.after[way] == nil {
		w.after[way] = w.dfa(made.after)
	}
	if to = w.after[way].End(b, at, len(b)); to < 0 {
		return 0, 0, false
	}
	if made.before == nil {
		return at, to, true
	}
	if w.before[way] == nil {
		w.before[way] = w.dfa(made.before)
	}
	from = w.before[way].Begin(b, at, 0)
	return from, to, from >= 0
}

func (w *Worker) dfa(p *automaton.Program) *automaton.DFA {
	return automaton.NewDFA(p, &w.budget.Spent)
}

// direct is how many bytes are given to the matcher without further ado.
const direct = 1 << 12

// Within calls emit with every match between two places, as FindSubmatchIndex
// gives it. The slice is good until emit returns.
func (w *Worker) Within(b []byte, from, to int, emit func(loc []int)) {
	if to-from > direct {
		w.each(b, from, to, emit)
		return
	}
	for from <= to && !w.budget.Over() {
		w.budget.Spent += to - from
		loc := w.exact().Find(b, from, to)
		if loc == nil {
			return
		}
		end := loc[1]
		from = next(b, loc[0], end)
		emit(loc)
	}
}

// exact makes the matcher when it is first needed.
func (w *Worker) exact() *automaton.Matcher {
	if w.matcher == nil {
		w.matcher = automaton.NewMatcher(w.p.tree)
	}
	return w.matcher
}

// next is where to go on after a match: an empty one takes a rune along.
func next(b []byte, start, end int) int {
	if end > start {
		return end
	}
	_, n := utf8.DecodeRune(b[end:])
	return end + max(n, 1)
}

// All calls emit with every match of the text.
func (w *Worker) All(b []byte, emit func(loc []int)) { w.each(b, 0, len(b), emit) }

// each goes from match to match: forwards to the end of the next one, back to
// its beginning, and only then for its groups.
func (w *Worker) each(b []byte, from, to int, emit func(loc []int)) {
	if w.forward == nil {
		forward, back := w.p.ends()
		w.forward, w.back = w.dfa(forward), w.dfa(back)
	}
	w.forward.Fresh()
	w.back.Fresh()
	for from <= to && !w.budget.Over() {
		end := w.forward.End(b, from, to)
		if end < 0 {
			return
		}
		start := w.back.Begin(b, end, from)
		if start < 0 {
			return
		}
		from = next(b, start, end)
		if loc := w.groups(b, start, end); loc != nil {
			emit(loc)
		}
	}
}

func (w *Worker) groups(b []byte, start, end int) []int {
	w.budget.Spent += end - start
	if w.exact().Fits(end - start) {
		return w.exact().Find(b, start, end)
	}
	loc := w.p.re.FindSubmatchIndex(b[start:end])
	for i := range loc {
		if loc[i] >= 0 {
			loc[i] += start
		}
	}
	return loc
}
