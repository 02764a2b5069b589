package sigma

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxClauses bounds the alternatives that a temporal condition expands to.
const maxClauses = 64

// takeCondition reads a condition: a map of bounds, or the specification's
// extended form, a text over the names of rules.
func (c *Correlation) takeCondition(n *node) error {
	switch {
	case n.kind == kindMap:
		return c.takeBounds(n)
	case n.kind != kindString || !c.Kind.Temporal():
		return bad(n.at, "the condition of %s correlation must be a map like `gte: 10`", article(c.Kind))
	}
	p := &stepParser{src: n, corr: c, open: len(c.Refs) == 0}
	if err := p.lex(); err != nil {
		return err
	}
	clauses, err := p.or(0)
	if err != nil {
		return err
	}
	if p.pos < len(p.toks) {
		return bad(p.toks[p.pos].at, "%q is one too many in the condition", p.toks[p.pos].text)
	}
	for _, ref := range c.Refs {
		if !slices.ContainsFunc(p.toks, func(t stepTok) bool { return t.text == ref.Name }) {
			return bad(n.at, "the condition does not name the rule %q of `rules`; a rule that decides nothing is left out of both", ref.Name)
		}
	}
	c.Clauses = clauses
	return nil
}

func (c *Correlation) takeBounds(n *node) (err error) {
	for _, b := range n.pairs {
		switch b.key {
		case "gt", "gte", "lt", "lte", "eq", "neq":
			err = c.takeBound(b)
		case "field":
			c.fieldAt = b.val.at
			c.Fields, err = textsOf(b)
		case "percentile":
			err = c.takePercentile(b)
		case "steps":
			err = c.takeSteps(b)
		default:
			err = bad(b.at, "%q is not known in a correlation's condition; there are gt, gte, lt, lte, eq, neq, field, percentile and steps", b.key)
		}
		if err != nil {
			return err
		}
	}
	if _, has := n.get("percentile"); c.Kind == ValuePercentile && !has {
		return bad(n.at, "a value_percentile condition needs `percentile`, from 0 to 100")
	}
	return nil
}

func (c *Correlation) takeBound(b pair) error {
	if c.Kind.Numeric() {
		v, err := strconv.ParseFloat(b.val.text, 64)
		if err != nil || b.val.kind != kindNumber || math.IsInf(v, 0) || math.IsNaN(v) {
			return bad(b.val.at, "`%s` takes a number", b.key)
		}
		c.Bounds = append(c.Bounds, Bound{b.key, v})
		return nil
	}
	v, err := strconv.Atoi(b.val.text)
	if err != nil || b.val.kind != kindNumber || v < 0 || v > MaxThreshold {
		return bad(b.val.at, "`%s` takes a whole number from 0 to %d", b.key, MaxThreshold)
	}
	c.Bounds = append(c.Bounds, Bound{b.key, float64(v)})
	return nil
}

func (c *Correlation) takePercentile(b pair) error {
	v, err := strconv.ParseFloat(b.val.text, 64)
	switch {
	case c.Kind != ValuePercentile:
		return bad(b.at, "`percentile` belongs to value_percentile alone")
	case err != nil || b.val.kind != kindNumber || !(v >= 0 && v <= 100):
		return bad(b.val.at, "`percentile` takes a number from 0 to 100")
	}
	c.Percentile = v
	return nil
}

// takeSteps reads the extension `steps`: how often each rule must match at
// least, and 0 for never. A plain Sigma reader refuses the key.
func (c *Correlation) takeSteps(b pair) error {
	if !c.Kind.Temporal() || b.val.kind != kindMap {
		return bad(b.at, "`steps` is a map from rules to counts, for temporal and temporal_ordered")
	}
	if len(c.Refs) == 0 {
		for _, s := range b.val.pairs {
			c.Refs = append(c.Refs, Ref{s.key, s.at})
		}
	}
	clause := c.all()
	for _, s := range b.val.pairs {
		i := c.ref(s.key)
		v, err := strconv.Atoi(s.val.text)
		switch {
		case i < 0:
			return bad(s.at, "%q is not among the `rules` of the correlation", s.key)
		case err != nil || s.val.kind != kindNumber || v < 0 || v > MaxThreshold:
			return bad(s.val.at, "a step takes a whole number from 0 (never) to %d", MaxThreshold)
		}
		clause[i].Count = v
	}
	c.Clauses = []Clause{clause}
	return nil
}

func (c *Correlation) ref(name string) int {
	return slices.IndexFunc(c.Refs, func(r Ref) bool { return r.Name == name })
}

// all asks for every rule once.
func (c *Correlation) all() Clause {
	out := make(Clause, len(c.Refs))
	for i := range out {
		out[i] = Step{i, 1}
	}
	return out
}

// completeSteps checks a temporal condition and turns bounds on ordered rules
// into clauses.
func (c *Correlation) completeSteps(at Pos) error {
	if len(c.Bounds) > 0 && len(c.Clauses) > 0 {
		return bad(at, "`steps` and a count of rules can't stand together; chain two correlations")
	}
	if c.Kind == TemporalOrdered && len(c.Bounds) > 0 {
		if err := c.orderedBounds(at); err != nil {
			return err
		}
	}
	for _, clause := range c.Clauses {
		if !slices.ContainsFunc(clause, func(s Step) bool { return s.Count > 0 }) {
			return bad(at, "the condition holds for no events at all: name a rule that must match, such as `a and not b`")
		}
	}
	if len(c.Bounds) > 0 && c.Rising() && c.Holds(0) {
		return bad(at, "the condition holds for no events at all")
	}
	if len(c.Bounds) > 0 && c.Rising() && !c.Holds(float64(len(c.Refs))) {
		return bad(at, "the condition asks for more rules than the %d there are", len(c.Refs))
	}
	return nil
}

// orderedBounds expands "n of these, in order" to its choices.
func (c *Correlation) orderedBounds(at Pos) error {
	if !c.Rising() {
		return bad(at, "a temporal_ordered condition counts with gt or gte; for what must not happen write `a and not b`")
	}
	need := 0
	for !c.Holds(float64(need)) {
		if need++; need > len(c.Refs) {
			return bad(at, "the condition asks for more rules than the %d there are", len(c.Refs))
		}
	}
	if need == 0 {
		return bad(at, "the condition holds for no events at all")
	}
	var choose func(from int, have Clause) bool
	choose = func(from int, have Clause) bool {
		if len(have) == need {
			c.Clauses = append(c.Clauses, slices.Clone(have))
			return len(c.Clauses) <= maxClauses
		}
		for i := from; i < len(c.Refs); i++ {
			if !choose(i+1, append(have, Step{i, 1})) {
				return false
			}
		}
		return true
	}
	if !choose(0, nil) {
		return bad(at, "%d of %d rules in order are more than %d choices; name those that count", need, len(c.Refs), maxClauses)
	}
	c.Bounds = nil
	return nil
}

// stepParser reads the extended condition
//
//	or   = and { "or" and }
//	and  = not { "and" not }
//	not  = [ "not" ] atom
//	atom = "(" or ")" | rule
//
// straight into alternatives.
type stepParser struct {
	src  *node
	corr *Correlation
	open bool // the condition itself says which rules there are
	toks []stepTok
	pos  int
}

type stepTok struct {
	text string
	at   Pos
}

func (p *stepParser) lex() error {
	text := p.src.text
	for i := 0; i < len(text); {
		switch ch := text[i]; {
		case strings.IndexByte(" \t\r\n", ch) >= 0:
			i++
		case ch == '(' || ch == ')':
			p.toks = append(p.toks, stepTok{text[i : i+1], p.src.inside(i)})
			i++
		default:
			start := i
			for i < len(text) && strings.IndexByte(" \t\r\n()", text[i]) < 0 {
				i++
			}
			p.toks = append(p.toks, stepTok{text[start:i], p.src.inside(start)})
		}
	}
	if len(p.toks) == 0 {
		return bad(p.src.at, "`condition` is empty")
	}
	return nil
}

func (p *stepParser) peek(word string) bool {
	return p.pos < len(p.toks) && strings.EqualFold(p.toks[p.pos].text, word)
}

func (p *stepParser) or(depth int) ([]Clause, error) {
	out, err := p.and(depth)
	for err == nil && p.peek("or") {
		p.pos++
		var more []Clause
		more, err = p.and(depth)
		out = append(out, more...)
	}
	return p.bounded(out, err)
}

func (p *stepParser) and(depth int) ([]Clause, error) {
	out, err := p.not(depth)
	for err == nil && p.peek("and") {
		p.pos++
		var more []Clause
		if more, err = p.not(depth); err == nil {
			out, err = p.bounded(both(out, more), nil)
		}
	}
	return out, err
}

func (p *stepParser) bounded(out []Clause, err error) ([]Clause, error) {
	if err == nil && len(out) > maxClauses {
		return nil, bad(p.src.at, "the condition has more than %d alternatives; split it into several correlations", maxClauses)
	}
	return out, err
}

func (p *stepParser) not(depth int) ([]Clause, error) {
	negate := false
	for p.peek("not") {
		negate = !negate
		p.pos++
	}
	out, err := p.atom(depth)
	if err != nil || !negate {
		return out, err
	}
	return p.bounded(negated(out), nil)
}

func (p *stepParser) atom(depth int) ([]Clause, error) {
	if p.pos == len(p.toks) {
		return nil, bad(p.src.inside(len(p.src.text)), "the condition ends where a rule should stand")
	}
	t := p.toks[p.pos]
	p.pos++
	switch strings.ToLower(t.text) {
	case "(":
		return p.group(t, depth+1)
	case ")", "and", "or":
		return nil, bad(t.at, "%q stands where a rule should", t.text)
	}
	i := p.corr.ref(t.text)
	if i < 0 && !p.open {
		return nil, bad(t.at, "%q is not among the `rules` of the correlation", t.text)
	}
	if i < 0 {
		i = len(p.corr.Refs)
		p.corr.Refs = append(p.corr.Refs, Ref{t.text, t.at})
	}
	return []Clause{{{i, 1}}}, nil
}

func (p *stepParser) group(open stepTok, depth int) ([]Clause, error) {
	if depth > maxDepth {
		return nil, bad(open.at, "parentheses nest deeper than %d levels", maxDepth)
	}
	out, err := p.or(depth)
	if err != nil {
		return nil, err
	}
	if !p.peek(")") {
		return nil, bad(open.at, "this parenthesis is not closed")
	}
	p.pos++
	return out, nil
}

// both combines alternatives that must hold together. What contradicts itself
// falls away.
func both(a, b []Clause) []Clause {
	var out []Clause
	for _, x := range a {
		for _, y := range b {
			if len(out) > maxClauses {
				return out
			}
			if c, ok := x.with(y); ok {
				out = append(out, c)
			}
		}
	}
	return out
}

func (c Clause) with(o Clause) (Clause, bool) {
	out := slices.Clone(c)
	for _, s := range o {
		at, have := slices.BinarySearchFunc(out, s, func(a, b Step) int { return a.Ref - b.Ref })
		if have && out[at].Count != s.Count {
			return nil, false
		}
		if !have {
			out = slices.Insert(out, at, s)
		}
	}
	return out, true
}

// negated is what holds where none of the alternatives does.
func negated(in []Clause) []Clause {
	out := []Clause{{}}
	for _, c := range in {
		var not []Clause
		for _, s := range c {
			not = append(not, Clause{{s.Ref, 1 - s.Count}})
		}
		if out = both(out, not); len(out) > maxClauses {
			break // too many, and no longer all of them
		}
	}
	return out
}
