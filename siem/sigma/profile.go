package sigma

import (
	"slices"
	"time"
)

// Cost is what one rule cost in a profile.
type Cost struct {
	Rule *Rule
	// Asked counts the events for which the rule's condition was looked at,
	// Fired those for which it held.
	Asked, Fired uint64
	// Expressions counts the regular expressions that were run for it. An answer
	// that another rule has asked for already is not counted again.
	Expressions uint64
	// Spent is the time that its condition took.
	Spent time.Duration
	// Found says by what in an event the rule is found.
	Found Found
}

// Found is what makes the engine look at a rule's condition.
type Found string

// The ways in which rules are found, the cheapest first.
const (
	FoundByText  Found = "text"  // a text in a field, one of a few that it must have
	FoundByField Found = "field" // a field is there, whatever it says
	FoundAlways  Found = "every event"
)

// Profile counts what rules cost. It belongs to one goroutine and is for a
// benchmark: [Profile.Match] takes longer than [Engine.Match].
type Profile struct {
	eng   *Engine
	costs []Cost
	// expressions are, for each rule, the predicates that run one.
	expressions [][]int32
	now         func() time.Duration
}

// NewProfile returns an empty profile. now tells a time that only goes forward.
func (e *Engine) NewProfile(now func() time.Duration) *Profile {
	p := &Profile{eng: e, costs: make([]Cost, len(e.rules)), expressions: make([][]int32, len(e.rules)), now: now}
	for i, r := range e.rules {
		p.costs[i] = Cost{Rule: r, Found: e.witnesses[i].found()}
		p.expressions[i] = e.runs(e.conds[i], nil)
	}
	return p
}

// found tells how good a witness is: as good as the worst of its atoms, since any
// of them brings the rule up.
func (w witness) found() Found {
	switch {
	case w.none():
		return FoundAlways
	case slices.ContainsFunc(w.atoms, func(a atom) bool { return a.kind == atomHere }):
		return FoundByField
	}
	return FoundByText
}

func (e *Engine) runs(x *cond, out []int32) []int32 {
	if x.op == opLeaf {
		if e.preds[x.pred].test == testRegex && !slices.Contains(out, x.pred) {
			out = append(out, x.pred)
		}
		return out
	}
	for _, k := range x.kids {
		out = e.runs(k, out)
	}
	return out
}

// Match is [Engine.Match] with a clock in its hand.
func (p *Profile) Match(v *View, sources []Logsource, emit func(Match)) {
	e := p.eng
	v.gather(sources)
	for _, i := range v.rules {
		c := &p.costs[i]
		for _, id := range p.expressions[i] {
			if v.asked[id] != v.turn {
				c.Expressions++
			}
		}
		start := p.now()
		holds := v.eval(e.conds[i])
		c.Spent += p.now() - start
		for _, id := range p.expressions[i] {
			if v.asked[id] != v.turn {
				c.Expressions-- // the condition was decided without it
			}
		}
		c.Asked++
		if holds {
			c.Fired++
			emit(Match{e.rules[i], e.alerts[i], e, v, i})
		}
	}
}

// Costs lists what every rule cost, in the order in which rules were compiled.
func (p *Profile) Costs() []Cost { return slices.Clone(p.costs) }
