package sigma

import (
	"cmp"
	"slices"
)

// Verdict says how a rule stands to an event.
type Verdict string

// The verdicts.
const (
	Fired Verdict = "fired"
	// Near is a rule of the event's logsource of which something holds and which
	// one or two other answers would have made fire.
	Near Verdict = "near"
	// Silent is a rule that was asked and is further away than that.
	Silent Verdict = "silent"
	// NotAsked is a rule for another logsource.
	NotAsked Verdict = "not asked"
)

// A rule nearly fired when at most maxNear answers are missing and what holds
// weighs as much as a text of minEvidence bytes: that a name ends with ".exe" is
// nothing.
const (
	maxNear     = 2
	minEvidence = 5
)

// ExplainOptions say what [Engine.Explain] looks at.
type ExplainOptions struct {
	// Rule limits it to the rule of this id or name, which then is looked at
	// even when it is for another logsource.
	Rule string
}

// Explanation is what became of one rule for one event.
type Explanation struct {
	Rule    *Rule
	Verdict Verdict
	// Distance is how many answers would have to be otherwise for the condition
	// to hold: 0 exactly if it holds, -1 if no few do it.
	Distance int
	// Condition is the rule's condition and how each part of it turned out.
	Condition *Finding
	// Holds are the questions that hold and are meant to, on the way to the
	// condition that needs the fewest changes.
	Holds []*Question
	// Change is a smallest set of answers that would have to be otherwise.
	Change []Change
	// Counts are the correlations that count the rule.
	Counts []Count

	evidence int // weighs what holds and is meant to
}

// Join says how the parts of a [Finding] go together.
type Join string

// The joins.
const (
	JoinAll Join = "all"
	JoinAny Join = "any"
	JoinNot Join = "not"
	JoinAsk Join = "ask" // no parts: a question
)

// Finding is a part of a condition and whether it holds.
type Finding struct {
	Join Join
	// Name is the search identifier that the part is, "" for none.
	Name string
	// Filter is the title of the Sigma filter that the part is from.
	Filter string
	Holds  bool
	// Question is there for JoinAsk alone, Parts for the others.
	Question *Question
	Parts    []*Finding
}

// Question is one item of a rule: a field and what it is compared with.
type Question struct {
	// Selection is the search identifier that the item stands in, Key the item
	// as the rule writes it ("" for keywords), and Pos where.
	Selection string
	// Filter is the title of the Sigma filter that the item is from, "" for one
	// of the rule's own.
	Filter string
	Key    string
	Pos
	// Field is the part of the key before the modifiers.
	Field string
	// Words say what is asked of the field: "ends with".
	Words string
	// All is set where each of the values must hold, not any of them.
	All   bool
	Holds bool
	// Values are what the rule wants, before any encoding.
	Values []Wanted
	// Have are the event's values of the field, none if it has none. Of long
	// ones it is the beginning, of many the first.
	Have []string
	// Names are what the event calls the field, one for each of Have: Image may
	// be process.executable. "" is a field that no rule asks for by name.
	Names []string
	// Null is set where the field is there and says null.
	Null bool
	// Unread is set where the engine does not look at the field: all that is
	// asked of it is a placeholder without values.
	Unread bool
	// Nearest is the wanted value that has most in common with what is there.
	Nearest *Nearest
}

// Wanted is one value of a [Question].
type Wanted struct {
	Text  string
	Holds bool
	// Change is set where the value's answer is in [Explanation.Change].
	Change bool
	Line   int

	id int // equal for equal questions of a rule
	at *expr
}

// Nearest is the part that a wanted value and the event's value share.
type Nearest struct {
	Value  int // in [Question.Values]
	Common string
}

// Change is an answer that would have to be otherwise.
type Change struct {
	Question *Question
	Value    int // in [Question.Values]
	// To is what the answer would have to be: false where a filter stopped the
	// rule.
	To bool
}

// Count is a correlation that counts a rule, and where it counts the event.
type Count struct {
	Correlation *Correlation
	// Group are the event's values of the fields that it groups by; Absent names
	// those that the event lacks.
	Group  []Field
	Absent []string
}

// Explain says for each rule whether it fires for the event that was loaded into
// v and was said to be of these sources, and why. Its answers are those of the
// engine's own questions: a rule is Fired exactly if [Engine.Match] says so.
// Fired rules come first, then those that nearly fired, the nearest first.
//
// It takes some milliseconds for a few thousand rules, so it is nothing for
// every event. Of an event that is [View.Long] only the rules are explained
// that have a sign of theirs in it, all that fire among them.
func (e *Engine) Explain(v *View, sources []Logsource, o ExplainOptions) []Explanation {
	possible := v.possible(sources)
	x := newExplainer(e, v)
	var out []Explanation
	for i, r := range e.rules {
		covered := slices.ContainsFunc(sources, r.Logsource.Covers)
		if o.Rule == "" && covered && possible(i) || o.Rule != "" && r.Names(o.Rule) {
			out = append(out, x.explain(i, covered))
		}
	}
	slices.SortStableFunc(out, byNearness)
	return out
}

// maxLaid is how long an event may be, in bytes, to be held against all that any
// rule asks for.
const maxLaid = 256 << 10

// Long reports whether the event is too long for [Engine.Explain] to hold every
// rule against it.
func (v *View) Long() bool {
	n := 0
	for _, object := range v.objects {
		n += len(object)
	}
	return n > maxLaid
}

// possible tells which rules are worth explaining.
func (v *View) possible(sources []Logsource) func(rule int) bool {
	if !v.Long() {
		return func(int) bool { return true }
	}
	v.gather(sources)
	taken := slices.Clone(v.rules)
	return func(rule int) bool {
		_, ok := slices.BinarySearch(taken, int32(rule))
		return ok
	}
}

var verdictOrder = []Verdict{Fired, Near, Silent, NotAsked}

func byNearness(a, b Explanation) int {
	return cmp.Or(
		cmp.Compare(slices.Index(verdictOrder, a.Verdict), slices.Index(verdictOrder, b.Verdict)),
		cmp.Compare(uint(a.Distance), uint(b.Distance)), // -1 comes last
		cmp.Compare(stopped(b), stopped(a)),
		cmp.Compare(b.evidence, a.evidence),
		cmp.Compare(slices.Index(levels, b.Rule.Level), slices.Index(levels, a.Rule.Level)),
	)
}

func stopped(e Explanation) int {
	if e.Stopped() {
		return 1
	}
	return 0
}

func (x *explainer) explain(i int, covered bool) Explanation {
	r := x.eng.rules[i]
	t := x.tree(r, x.eng.asked[i])
	out := Explanation{Rule: r, Condition: t.root, Verdict: Silent}
	out.Distance, out.Change = t.distance()
	way := t.root.turn(true)
	out.Holds, out.evidence = way.holds, way.evidence
	switch {
	case !covered:
		out.Verdict = NotAsked
	case out.Distance == 0:
		out.Verdict = Fired
	case out.Distance > 0 && out.Distance <= maxNear && out.evidence >= minEvidence:
		out.Verdict = Near
	}
	if out.Verdict == Near || out.Verdict == NotAsked {
		for _, c := range out.Change {
			if c.To && c.Question.Nearest == nil {
				c.Question.Nearest = c.Question.nearest()
			}
		}
	}
	for _, c := range x.eng.Feeds(r.ID) {
		out.Counts = append(out.Counts, x.count(c, r))
	}
	return out
}

func (x *explainer) count(c *Correlation, r *Rule) Count {
	out := Count{Correlation: c}
	for _, name := range c.GroupBy {
		if have := x.have(r.Logsource, c.In(name, r)); len(have.texts) > 0 {
			out.Group = append(out.Group, Field{name, have.texts[0]})
		} else {
			out.Absent = append(out.Absent, name)
		}
	}
	return out
}

// questions calls fn for each question below f, and whether the condition wants
// it to hold.
func (f *Finding) questions(positive bool, fn func(q *Question, positive bool)) {
	if f.Question != nil {
		fn(f.Question, positive)
	}
	for _, p := range f.Parts {
		p.questions(positive != (f.Join == JoinNot), fn)
	}
}

// Questions calls fn for each question of the condition in the order of the
// rule, and says whether the condition wants it to hold.
func (f *Finding) Questions(fn func(q *Question, wanted bool)) { f.questions(true, fn) }

// Would reports whether the condition held if these answers, and no others, were
// otherwise.
func (f *Finding) Would(changes []Change) bool {
	changed := make([]int, len(changes))
	for i, c := range changes {
		changed[i] = c.Question.Values[c.Value].id
	}
	answers := make(map[int]bool)
	f.Questions(func(q *Question, _ bool) {
		for _, w := range q.Values {
			answers[w.id] = w.Holds
		}
	})
	return f.eval(func(id int) bool { return answers[id] != slices.Contains(changed, id) })
}

// Stopped reports whether nothing but filters kept the rule from firing: what
// had to hold does.
func (e *Explanation) Stopped() bool {
	return e.Distance > 0 && !slices.ContainsFunc(e.Change, func(c Change) bool { return c.To })
}

// Routing is a route by which an event was found to be of its logsources.
type Routing struct {
	When    []Mark
	Sources []Logsource
}

// Routings lists the routes that hold for the event in v: why [View.Sources]
// says what it says.
func (v *View) Routings() []Routing {
	var out []Routing
	v.readKind()
	for i, r := range v.eng.routed {
		if r.holds(v.router.kind) {
			out = append(out, Routing{v.eng.opts.Routes[i].When, v.eng.opts.Routes[i].Sources})
		}
	}
	return out
}
