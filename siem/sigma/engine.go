package sigma

import (
	"slices"
	"time"

	"github.com/interlock-security/interlock/siem/sigma/internal/scan"
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

// Engine is a compiled set of rules. It serves any number of goroutines, each
// with its own [View].
type Engine struct {
	rules     []*Rule // detections
	conds     []*cond
	witnesses []witness // per rule
	always    int       // rules that have none
	preds     []*predicate
	predSlot  []int32           // -1 for keywords
	predRef   []int32           // the other slot of testRef
	any       map[int32]*anyOf  // by predicate
	premises  map[int32]premise // of regular expressions, by predicate
	paths     map[string][]int32
	slotCount int
	table     *scan.Table
	pathSlots [][]int32 // by the table's number
	slotPaths [][]int32
	reserved  []bool      // by the table's number: no event can fill it
	captures  [][]capture // per rule, what its correlations need
	feeds     map[string][]*Correlation
	alerts    []bool // per rule: a match is an alert by itself
	corrs     []*Correlation
	keywords  bool
	routed    []routed
	marks     marks
	groups    []group // rules by logsource
	rarity    rarity
	programs  programs
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
	c := newCompiler(o)
	conditions, err := effective(rules, o)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if err := c.unique(r); err != nil {
			return nil, err
		}
		switch {
		case r.Filter != nil:
		case r.Correlation != nil:
			c.e.corrs = append(c.e.corrs, r.Correlation)
		default:
			c.e.rules = append(c.e.rules, r)
			c.e.conds = append(c.e.conds, c.cond(r, conditions[r]))
			c.e.asked = append(c.e.asked, conditions[r])
		}
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
	c.finish()
	return c.e, nil
}

// Rules lists the detections.
func (e *Engine) Rules() []*Rule { return e.rules }

// Logsources lists those of the rules, each once: an event that is taken to be
// of all of them is held against every rule.
func (e *Engine) Logsources() []Logsource {
	seen := make(map[Logsource]bool)
	var out []Logsource
	for _, r := range e.rules {
		if !seen[r.Logsource] {
			seen[r.Logsource] = true
			out = append(out, r.Logsource)
		}
	}
	return out
}

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

// Paths lists the names under which events may carry a field, for any of the
// rules' logsources.
func (e *Engine) Paths(field string) []string {
	var out []string
	for _, id := range e.paths[field] {
		for _, path := range e.slotPaths[id] {
			if name := e.table.Name(path); !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Stats says what an engine is made of.
type Stats struct {
	Rules, Predicates, Fields int
	// Always counts the rules that no index can rule out: each is asked about
	// every event of its logsource.
	Always int
	// Programs are the sets of logsources that events have come from so far, and
	// TableBytes the memory that their indexes take.
	Programs, TableBytes int
}

// Stats counts. Programs and tables grow with the kinds of events that come.
func (e *Engine) Stats() Stats {
	n, bytes := e.programs.size()
	return Stats{len(e.rules), len(e.preds), e.slotCount, e.always, n, bytes + e.table.Bytes()}
}
