package sigma

import (
	"slices"
	"strings"
)

// told is a rule's condition laid out as findings over numbered answers.
type told struct {
	x    *explainer
	rule *Rule
	root *Finding
	// made keeps what stands in a condition twice one and the same.
	made    map[*expr]*Finding
	ids     map[string]int
	answers []bool // by id
	first   []Change
	shared  bool // some answer decides in more than one place
}

func (x *explainer) tree(r *Rule, e *expr) *told {
	t := &told{x: x, rule: r, made: make(map[*expr]*Finding), ids: make(map[string]int)}
	t.root = t.finding(e, place{})
	return t
}

// place is where in a rule something stands.
type place struct{ selection, filter string }

// finding lays out e.
func (t *told) finding(e *expr, in place) *Finding {
	if f, ok := t.made[e]; ok {
		t.shared = true
		return f
	}
	f := &Finding{}
	var item *label
	value := false
	for l := e.label; l != nil; l = l.under {
		switch l.kind {
		case labelFilter:
			f.Filter, in.filter = l.text, l.text
		case labelSelection:
			f.Name, in.selection = l.text, l.text
		case labelItem:
			item = l
		case labelValue:
			value = true
		}
	}
	if item != nil || value || e.op == opLeaf || e.op != opNot && allValues(e.kids) {
		f.Join, f.Question = JoinAsk, t.question(e, item, in)
		f.Holds = f.Question.Holds
	} else {
		t.join(f, e, in)
	}
	t.made[e] = f
	return f
}

func (t *told) join(f *Finding, e *expr, in place) {
	f.Join = [...]Join{opAnd: JoinAll, opOr: JoinAny, opNot: JoinNot}[e.op]
	for _, k := range e.kids {
		f.Parts = append(f.Parts, t.finding(k, in))
	}
	holds := func(p *Finding) bool { return p.Holds }
	switch f.Join {
	case JoinNot:
		f.Holds = !f.Parts[0].Holds
	case JoinAny:
		f.Holds = slices.ContainsFunc(f.Parts, holds)
	default:
		f.Holds = !slices.ContainsFunc(f.Parts, func(p *Finding) bool { return !p.Holds })
	}
}

func (e *expr) labelled(kind labelKind) *label {
	for l := e.label; l != nil; l = l.under {
		if l.kind == kind {
			return l
		}
	}
	return nil
}

// allValues reports whether kids are values of one question: words without a
// field, or what a list of values came apart into.
func allValues(kids []*expr) bool {
	return len(kids) > 0 && !slices.ContainsFunc(kids, func(k *expr) bool {
		return k.labelled(labelValue) == nil || k.labelled(labelItem) != nil || k.labelled(labelSelection) != nil
	})
}

// question is an item: e is one value or joins several.
func (t *told) question(e *expr, item *label, in place) *Question {
	q := &Question{Selection: in.selection, Filter: in.filter}
	if item != nil {
		q.Key, q.Pos = item.text, item.at
	}
	values := []*expr{e}
	if e.op != opLeaf && allValues(e.kids) {
		values, q.All = e.kids, e.op == opAnd
	}
	for _, v := range values {
		q.Values = append(q.Values, t.wanted(v))
	}
	holds := func(w Wanted) bool { return w.Holds }
	q.Holds = slices.ContainsFunc(q.Values, holds)
	if q.All {
		q.Holds = !slices.ContainsFunc(q.Values, func(w Wanted) bool { return !w.Holds })
	}
	for i, w := range q.Values {
		if t.first[w.id].Question == nil {
			t.first[w.id] = Change{Question: q, Value: i, To: !w.Holds}
		} else {
			t.shared = true
		}
	}
	t.describe(q, e)
	return q
}

func (t *told) wanted(e *expr) Wanted {
	w := Wanted{at: e}
	if l := e.labelled(labelValue); l != nil {
		w.Text, w.Line = l.text, l.at.Line
	} else {
		anyLeaf(e, func(p *predicate) bool { w.Text = p.text; return true })
	}
	var key strings.Builder
	e.write(&key)
	id, ok := t.ids[key.String()]
	if !ok {
		id = len(t.answers)
		t.ids[key.String()] = id
		t.answers = append(t.answers, t.x.holds(t.rule.Logsource, e))
		t.first = append(t.first, Change{})
	}
	w.id, w.Holds = id, t.answers[id]
	return w
}

// write makes text that is equal for expressions that always answer alike.
func (e *expr) write(b *strings.Builder) {
	if e.op == opLeaf {
		b.WriteString(e.leaf.field + "\x00" + e.leaf.key())
		return
	}
	b.WriteByte("?&|!"[e.op])
	b.WriteByte('(')
	for _, k := range e.kids {
		k.write(b)
		b.WriteByte(',')
	}
	b.WriteByte(')')
}

// distance finds a smallest set of answers that have to change for the condition
// to hold. Answers are taken to be independent of one another.
func (t *told) distance() (int, []Change) {
	if t.root.Holds {
		return 0, nil
	}
	set, ok := t.cheapest()
	if !ok {
		return -1, nil
	}
	out := make([]Change, len(set))
	for i, id := range set {
		out[i] = t.first[id]
		out[i].Question.Values[out[i].Value].Change = true
	}
	return len(set), out
}

// cheapest goes bottom up, which is exact where every answer decides in one
// place alone. Where it does not, a search shows or betters it.
func (t *told) cheapest() ([]int, bool) {
	set := t.root.turn(true).flips
	ok := t.root.eval(t.with(set))
	if ok && (!t.shared || len(set) == 1) {
		return set, true
	}
	most := maxSearch
	if ok {
		most = min(most, len(set)-1)
	}
	s := search{t: t, left: searchBudget}
	for n := 1; n <= most; n++ {
		if found, yes := s.within(nil, n); yes {
			slices.Sort(found)
			return found, true
		}
	}
	return set, ok
}

// way is how a part comes to turn out as wanted.
type way struct {
	// flips are the answers that change, in order: the fewest, as long as none
	// decides in two places.
	flips []int
	// holds are the questions that hold and are meant to, evidence their weight.
	holds    []*Question
	evidence int
}

// better prefers few changes, then much that holds.
func (w way) better(than way) bool {
	if len(w.flips) != len(than.flips) {
		return len(w.flips) < len(than.flips)
	}
	return w.evidence > than.evidence
}

func (f *Finding) turn(want bool) way {
	switch {
	case f.Question != nil:
		return f.Question.turn(want)
	case f.Join == JoinNot:
		// What must not be there is no sign of anything.
		return way{flips: f.Parts[0].turn(!want).flips}
	}
	var out way
	either := f.Join == JoinAny && want && f.Holds
	every := (f.Join == JoinAll) == want
	for i, p := range f.Parts {
		w := p.turn(want)
		switch {
		case every:
			out.flips, out.evidence, out.holds = append(out.flips, w.flips...), out.evidence+w.evidence, append(out.holds, w.holds...)
		case either && p.Holds:
			out.evidence, out.holds = max(out.evidence, w.evidence), append(out.holds, w.holds...)
		case !either && (i == 0 || w.better(out)):
			out = w
		}
	}
	slices.Sort(out.flips)
	out.flips = slices.Compact(out.flips)
	return out
}

func (q *Question) turn(want bool) way {
	if q.Holds == want {
		if want {
			return way{holds: []*Question{q}, evidence: q.evidence()}
		}
		return way{}
	}
	var out way
	for _, w := range q.Values {
		if w.Holds != want {
			out.flips = append(out.flips, w.id)
		}
		if q.All != want && len(out.flips) > 0 {
			return out // one is enough
		}
	}
	slices.Sort(out.flips)
	out.flips = slices.Compact(out.flips)
	return out
}

// eval says how f would turn out with these answers.
func (f *Finding) eval(answer func(id int) bool) bool {
	switch f.Join {
	case JoinAsk:
		return f.Question.eval(answer)
	case JoinNot:
		return !f.Parts[0].eval(answer)
	case JoinAny:
		return slices.ContainsFunc(f.Parts, func(p *Finding) bool { return p.eval(answer) })
	}
	return !slices.ContainsFunc(f.Parts, func(p *Finding) bool { return !p.eval(answer) })
}

func (q *Question) eval(answer func(id int) bool) bool {
	for _, w := range q.Values {
		if is := answer(w.id); is != q.All {
			return is
		}
	}
	return q.All
}

// with are the answers with some of them changed.
func (t *told) with(changed []int) func(id int) bool {
	return func(id int) bool { return t.answers[id] != slices.Contains(changed, id) }
}

// The search is for rules that ask one thing in several places. They are few,
// and what lies further away than this nobody calls near.
const (
	maxSearch    = 4
	searchBudget = 20_000
)

type search struct {
	t    *told
	left int
}

// within looks for a set that contains changed and at most n answers more.
func (s *search) within(changed []int, n int) ([]int, bool) {
	if s.left--; s.left < 0 {
		return nil, false
	}
	if s.t.root.eval(s.t.with(changed)) {
		return slices.Clone(changed), true
	}
	if n == 0 {
		return nil, false
	}
	for _, id := range s.must(s.t.root, true, changed) {
		if slices.Contains(changed, id) {
			continue
		}
		if found, ok := s.within(append(changed[:len(changed):len(changed)], id), n-1); ok {
			return found, true
		}
	}
	return nil, false
}

// must lists answers of which at least one has to change for f to turn out as
// wanted, which it does not.
func (s *search) must(f *Finding, want bool, changed []int) []int {
	switch {
	case f.Question != nil:
		return s.mustOf(f.Question, want, changed)
	case f.Join == JoinNot:
		return s.must(f.Parts[0], !want, changed)
	}
	var out []int
	every := (f.Join == JoinAll) == want
	for _, p := range f.Parts {
		if p.eval(s.t.with(changed)) == want {
			continue
		}
		out = append(out, s.must(p, want, changed)...)
		if every {
			return out // this part has to turn, whatever the others do
		}
	}
	return out
}

func (s *search) mustOf(q *Question, want bool, changed []int) []int {
	var out []int
	for _, w := range q.Values {
		if s.t.with(changed)(w.id) == want {
			continue
		}
		out = append(out, w.id)
		if q.All == want {
			return out
		}
	}
	return out
}
