package sigma

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options of [Compile].
type Options struct {
	// Aliases names the event fields that carry a rule's field for a
	// logsource, besides the field of that very name. Nil means none.
	Aliases func(src Logsource, field string) []string
	// Capture names fields that every match carries besides those that
	// correlations need.
	Capture []string
	// Placeholders are the values of %name% in values with the `expand` modifier.
	Placeholders map[string][]string
	// Now is when filters are judged: one that expires at or before it is not
	// applied. Zero applies all.
	Now time.Time
	// LooseFilters passes over what a filter names that is not among the rules.
	LooseFilters bool
	// Routes tell [View.Sources] which logsources an event belongs to.
	Routes []Route
}

// Engine is a compiled set of rules. It does not change and serves any number
// of goroutines, each with its own [View].
type Engine struct {
	rules     []*Rule // detections
	conds     []*cond
	preds     []*predicate
	predSlot  []int32 // -1 for keywords
	predRef   []int32 // the other slot of testRef
	paths     map[string][]int32
	slotCount int
	captures  [][]capture // per rule, what its correlations need
	feeds     map[string][]*Correlation
	alerts    []bool // per rule: a match is an alert by itself
	corrs     []*Correlation
	keywords  bool
	routed    []routed
	asked     []*expr // per rule: what it asks in its own words, for [Engine.Explain]
	opts      Options
}

// cond is an expression over the engine's deduplicated predicates.
type cond struct {
	op   op
	kids []*cond
	pred int32
}

type capture struct {
	field string
	slot  int32
}

// Compile joins rules into an engine: fields become slots, equal predicates
// become one, correlations find the rules they count.
func Compile(rules []*Rule, o Options) (*Engine, error) {
	c := &compiler{o: o, e: &Engine{opts: o, paths: make(map[string][]int32), feeds: make(map[string][]*Correlation)}, slots: make(map[string]int32), preds: make(map[string]int32)}
	conditions, err := effective(rules, o)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if err := c.unique(r, rules); err != nil {
			return nil, err
		}
		if r.Filter != nil {
			continue
		}
		if r.Correlation != nil {
			c.e.corrs = append(c.e.corrs, r.Correlation)
			continue
		}
		c.e.rules = append(c.e.rules, r)
		c.e.conds = append(c.e.conds, c.cond(r, conditions[r]))
		c.e.asked = append(c.e.asked, conditions[r])
	}
	c.routes(o.Routes)
	c.e.captures = make([][]capture, len(c.e.rules))
	c.e.alerts = make([]bool, len(c.e.rules))
	for i := range c.e.alerts {
		c.e.alerts[i] = true
		for _, field := range o.Capture {
			c.capture(i, field)
		}
	}
	for _, corr := range c.e.corrs {
		if err := c.correlate(corr); err != nil {
			return nil, err
		}
	}
	return c.e, nil
}

type compiler struct {
	o     Options
	e     *Engine
	slots map[string]int32
	preds map[string]int32
}

func (c *compiler) unique(r *Rule, all []*Rule) error {
	for _, other := range all {
		if other == r {
			return nil
		}
		if other.ID == r.ID || r.Name != "" && other.Name == r.Name {
			err := bad(r.Pos, "this rule has the id or name of %s:%d", other.File, other.Pos.Line)
			err.File = r.File
			return err
		}
	}
	return nil
}

func (c *compiler) cond(r *Rule, e *expr) *cond {
	if e.op == opLeaf {
		return &cond{op: opLeaf, pred: c.pred(r, e.leaf)}
	}
	out := &cond{op: e.op}
	for _, k := range e.kids {
		out.kids = append(out.kids, c.cond(r, k))
	}
	return out
}

// pred gives equal questions about the same slots one number.
func (c *compiler) pred(r *Rule, p *predicate) int32 {
	slot, ref := int32(-1), int32(-1)
	if p.field != "" {
		slot = c.slot(r.Logsource, p.field)
	} else {
		c.e.keywords = true
	}
	if p.test == testRef {
		ref = c.slot(r.Logsource, p.other)
	}
	bare := *p
	bare.field, bare.other = "", ""
	key := fmt.Sprintf("%d|%d|%s", slot, ref, bare.key())
	if id, ok := c.preds[key]; ok {
		return id
	}
	id := int32(len(c.e.preds))
	c.preds[key] = id
	c.e.preds = append(c.e.preds, p)
	c.e.predSlot = append(c.e.predSlot, slot)
	c.e.predRef = append(c.e.predRef, ref)
	return id
}

// slot is the place of a field: all paths that may carry it share one.
func (c *compiler) slot(src Logsource, field string) int32 {
	paths := []string{field}
	if c.o.Aliases != nil {
		for _, alias := range c.o.Aliases(src, field) {
			if !slices.Contains(paths, alias) {
				paths = append(paths, alias)
			}
		}
	}
	slices.Sort(paths[1:])
	key := strings.Join(paths, "\x00")
	if id, ok := c.slots[key]; ok {
		return id
	}
	id := int32(c.e.slotCount)
	c.e.slotCount++
	c.slots[key] = id
	for _, p := range paths {
		c.e.paths[p] = append(c.e.paths[p], id)
	}
	return id
}

func (c *compiler) capture(rule int, field string) {
	for _, have := range c.e.captures[rule] {
		if have.field == field {
			return
		}
	}
	slot := c.slot(c.e.rules[rule].Logsource, field)
	c.e.captures[rule] = append(c.e.captures[rule], capture{field, slot})
}

// Rules lists the detections.
func (e *Engine) Rules() []*Rule { return e.rules }

// Correlations lists the correlations.
func (e *Engine) Correlations() []*Correlation { return e.corrs }

// Feeds lists the correlations that count a rule's matches.
func (e *Engine) Feeds(ruleID string) []*Correlation { return e.feeds[ruleID] }

// Match is one rule that holds for one event.
type Match struct {
	// Rule always has a title, an id and an author.
	Rule *Rule
	// Alerts is false where the rule only feeds correlations.
	Alerts bool

	engine *Engine
	view   *View
	index  int32
}

// Fields returns the fields that the rule's correlations and [Options.Capture]
// ask for, by the name that the rule has for them. A field that the event lacks is not there.
func (m Match) Fields() map[string]string {
	out := make(map[string]string, len(m.engine.captures[m.index]))
	for _, c := range m.engine.captures[m.index] {
		if text, ok := m.view.slotText(c.slot); ok {
			out[c.field] = text
		}
	}
	return out
}

// AppendFields appends the same fields in an order that is the rule's own.
func (m Match) AppendFields(dst []Field) []Field {
	for _, c := range m.engine.captures[m.index] {
		if text, ok := m.view.slotText(c.slot); ok {
			dst = append(dst, Field{c.field, text})
		}
	}
	return dst
}

// Match calls emit once for each rule that applies to one of the event's
// sources and holds for the event in v.
func (e *Engine) Match(v *View, sources []Logsource, emit func(Match)) {
	for _, src := range sources {
		for _, i := range v.route(src) {
			if v.ran[i] == v.epoch {
				continue
			}
			v.ran[i] = v.epoch
			if v.eval(e.conds[i]) {
				emit(Match{e.rules[i], e.alerts[i], e, v, i})
			}
		}
	}
}

// maxRoutes bounds what a stranger's logsource names can make a view remember.
const maxRoutes = 1024

// route lists the rules for a logsource.
func (v *View) route(src Logsource) []int32 {
	if r, ok := v.routes[src]; ok {
		return r
	}
	if len(v.routes) >= maxRoutes {
		clear(v.routes)
	}
	var out []int32
	for i, r := range v.eng.rules {
		if r.Logsource.Covers(src) {
			out = append(out, int32(i))
		}
	}
	v.routes[src] = out
	return out
}

func (v *View) eval(c *cond) bool {
	switch c.op {
	case opLeaf:
		return v.ask(c.pred)
	case opNot:
		return !v.eval(c.kids[0])
	case opAnd:
		for _, k := range c.kids {
			if !v.eval(k) {
				return false
			}
		}
		return true
	}
	for _, k := range c.kids {
		if v.eval(k) {
			return true
		}
	}
	return false
}

// ask answers a predicate, once an event.
func (v *View) ask(id int32) bool {
	if v.asked[id] != v.epoch {
		v.asked[id] = v.epoch
		v.answer[id] = v.find(id)
	}
	return v.answer[id]
}

func (v *View) find(id int32) bool {
	p, at := v.eng.preds[id], v.eng.predSlot[id]
	if at < 0 {
		return v.anyValue(p)
	}
	s := v.slots[at]
	if s.epoch != v.epoch {
		return false
	}
	for i := s.first; i >= 0; i = v.vals[i].next {
		val := &v.vals[i]
		if val.null && p.test != testExists {
			continue
		}
		if p.test == testRef && v.findRef(p, val, v.eng.predRef[id]) || p.test != testRef && p.holds(v.form(p, val)) {
			return true
		}
	}
	return false
}

func (v *View) findRef(p *predicate, a *value, slot int32) bool {
	s := v.slots[slot]
	if s.epoch != v.epoch {
		return false
	}
	for i := s.first; i >= 0; i = v.vals[i].next {
		if b := &v.vals[i]; !b.null && p.refers(v.form(p, a), v.form(p, b)) {
			return true
		}
	}
	return false
}

// anyValue looks for a keyword in everything that the event itself says.
func (v *View) anyValue(p *predicate) bool {
	for i := range v.vals {
		if val := &v.vals[i]; !val.null && !val.ours && p.holds(v.form(p, val)) {
			return true
		}
	}
	return false
}
