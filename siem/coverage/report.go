package coverage

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// State says whether a rule can fire.
type State string

// The states, from good to bad.
const (
	CanFire State = "can fire"
	// Disabled is a rule that people switched off; it is not asked further.
	Disabled State = "disabled"
	// NoSource is a rule whose logsource was never seen.
	NoSource State = "no logsource"
	// NoField is a rule whose logsource was seen, without a field or a number of
	// an event (EventID 4769) that it needs.
	NoField State = "no field"
	// NoValues is a rule that waits for the values of a placeholder.
	NoValues State = "no placeholder values"
	// NoRule is a correlation none, or not all, of whose rules can fire.
	NoRule State = "no rule"
	// Never is a rule whose condition nothing can meet.
	Never State = "never"
)

// States lists the states in order.
var States = []State{CanFire, NoSource, NoField, NoValues, NoRule, Never, Disabled}

// RuleState is what is to be said of one rule.
type RuleState struct {
	ID        string      `json:"id"`
	Title     string      `json:"title"`
	Author    string      `json:"author"`
	Link      string      `json:"link,omitempty"` // where the rule can be read
	File      string      `json:"file,omitempty"`
	Level     sigma.Level `json:"level"`
	Logsource string      `json:"logsource"`
	Tags      []string    `json:"tags,omitempty"`
	State     State       `json:"state"`
	// Lacks are the fields, placeholders or rules that it would need.
	Lacks []string `json:"lacks,omitempty"`
	// Events are those of its logsource.
	Events uint64 `json:"events"`
}

// StateCount counts rules that have something in common.
type StateCount struct {
	Name string        `json:"name"`
	Of   map[State]int `json:"of"`
	All  int           `json:"all"`
}

// Missing is a logsource, or a field of one, that would let rules fire.
type Missing struct {
	Logsource string `json:"logsource"`
	Field     string `json:"field,omitempty"`
	Rules     int    `json:"rules"`
	// How says which events are of the logsource.
	How []string `json:"how,omitempty"`
}

// Coverage is the truth about a set of rules.
type Coverage struct {
	From   time.Time  `json:"from,omitzero"`
	To     time.Time  `json:"to,omitzero"`
	Counts SeenCounts `json:"counts"`
	Totals StateCount `json:"totals"`
	// Products and Logsources split the totals.
	Products   []StateCount `json:"products"`
	Logsources []StateCount `json:"logsources"`
	// Sources, and within those that were seen Fields or kinds of events, would
	// light up most rules, those first.
	Sources []Missing    `json:"missing_logsources"`
	Fields  []Missing    `json:"missing_fields"`
	Seen    []SeenSource `json:"seen"`
	Rules   []RuleState  `json:"rules"`
}

// Options of [New].
type Options struct {
	// Off are rules that people switched off, whether or not the engine still
	// has them because correlations count them.
	Off []*sigma.Rule
	// Aliases are those that the engine was compiled with.
	Aliases func(src sigma.Logsource, field string) []string
	// Placeholders are those that the engine was compiled with.
	Placeholders map[string][]string
}

// New puts the rules of an engine beside what was seen.
func New(e *sigma.Engine, seen *Seen, o Options) *Coverage {
	if o.Aliases == nil {
		o.Aliases = taxonomy.Aliases
	}
	counts := seen.Counts()
	r := &Coverage{From: counts.First, To: counts.Last, Counts: counts, Seen: seen.Sources()}
	j := &judge{engine: e, o: o, seen: r.Seen, merged: make(map[sigma.Logsource]view)}
	for i, rule := range e.Rules() {
		r.Rules = append(r.Rules, j.detection(i, rule))
	}
	r.correlations(e, j)
	r.switchOff(o.Off)
	slices.SortStableFunc(r.Rules, func(a, b RuleState) int {
		return cmp.Or(cmp.Compare(a.Logsource, b.Logsource), cmp.Compare(a.Title, b.Title), cmp.Compare(a.ID, b.ID))
	})
	r.count()
	r.missing()
	return r
}

// switchOff marks the rules that raise no alert because people said so.
func (r *Coverage) switchOff(off []*sigma.Rule) {
	for _, rule := range off {
		i := slices.IndexFunc(r.Rules, func(x RuleState) bool { return x.ID == rule.ID })
		if i < 0 {
			i = len(r.Rules)
			r.Rules = append(r.Rules, describe(rule))
		}
		r.Rules[i].State, r.Rules[i].Lacks = Disabled, nil
	}
}

// judge asks rules one after the other and keeps what it found of logsources.
type judge struct {
	engine *sigma.Engine
	o      Options
	seen   []SeenSource
	merged map[sigma.Logsource]view
}

// view is what was seen of all sources that a rule's logsource covers.
type view struct {
	events  uint64
	fields  map[string]bool
	numbers map[string]bool
	full    bool // it has names that were not remembered
}

func (j *judge) view(l sigma.Logsource) view {
	if v, ok := j.merged[l]; ok {
		return v
	}
	v := view{fields: make(map[string]bool), numbers: make(map[string]bool)}
	for _, s := range j.seen {
		if !l.Covers(s.src) {
			continue
		}
		v.events += s.Events
		v.full = v.full || s.Full
		for f := range s.Fields {
			v.fields[f] = true
		}
		for n := range s.Numbers {
			v.numbers[n] = true
		}
	}
	j.merged[l] = v
	return v
}

func describe(r *sigma.Rule) RuleState {
	return RuleState{ID: r.ID, Title: r.Title, Author: r.Author, Link: r.Link, File: r.File, Level: r.Level, Logsource: r.Logsource.String(), Tags: r.Tags}
}

func (j *judge) detection(i int, rule *sigma.Rule) RuleState {
	out := describe(rule)
	v := j.view(rule.Logsource)
	out.Events = v.events
	if can, _ := j.engine.Needs(i, func(string) bool { return true }, nil); !can {
		out.State, out.Lacks = j.unfilled(rule)
		return out
	}
	if v.events == 0 {
		out.State = NoSource
		return out
	}
	can, lacks := j.engine.Needs(i, func(field string) bool { return j.has(v, rule.Logsource, field) }, v.takes)
	out.State = CanFire
	if !can {
		out.State, out.Lacks = NoField, lacks
	}
	return out
}

// takes knows the values of an event's number alone: they say what was recorded,
// where those of other fields say what happened to come.
func (v view) takes(field, value string) bool {
	return field != numberField || v.full || len(v.numbers) == 0 || v.numbers[value]
}

func (j *judge) has(v view, src sigma.Logsource, field string) bool {
	return v.full || v.fields[field] || slices.ContainsFunc(j.o.Aliases(src, field), func(alias string) bool { return v.fields[alias] })
}

// unfilled says why a rule can't hold whatever an event has.
func (j *judge) unfilled(rule *sigma.Rule) (State, []string) {
	var lacks []string
	for _, name := range rule.Placeholders() {
		if len(j.o.Placeholders[name]) == 0 {
			lacks = append(lacks, "%"+name+"%")
		}
	}
	if len(lacks) > 0 {
		return NoValues, lacks
	}
	return Never, nil
}

// correlations are judged by what they count; one may count another.
func (r *Coverage) correlations(e *sigma.Engine, j *judge) {
	can := make(map[string]bool)
	for _, rule := range r.Rules {
		can[rule.ID] = rule.State == CanFire
	}
	var waiting []*sigma.Correlation
	waiting = append(waiting, e.Correlations()...)
	for range len(waiting) + 1 { // each round settles at least one chain's next link
		waiting = slices.DeleteFunc(waiting, func(c *sigma.Correlation) bool {
			out, settled := j.correlation(c, e, can)
			if settled {
				can[out.ID] = out.State == CanFire
				r.Rules = append(r.Rules, out)
			}
			return settled
		})
	}
}

func (j *judge) correlation(c *sigma.Correlation, e *sigma.Engine, can map[string]bool) (out RuleState, settled bool) {
	out = describe(c.Rule)
	out.Logsource = "correlation"
	able, lacks := make([]bool, len(c.Refs)), []string(nil)
	for i, ref := range c.Refs {
		id := resolve(e, ref.Name)
		ok, known := can[id]
		if id != "" && !known {
			return out, false
		}
		if able[i] = ok; !ok {
			lacks = append(lacks, ref.Name)
		}
	}
	out.State = CanFire
	if !reachable(c, able) {
		out.State, out.Lacks = NoRule, lacks
	}
	return out, true
}

// reachable reports whether a correlation can hold where only some of its rules
// can fire. What is counted may come from any of them; what has to come together
// needs one of the alternatives whole, without the steps that are to be absent.
func reachable(c *sigma.Correlation, able []bool) bool {
	count := 0
	for _, ok := range able {
		if ok {
			count++
		}
	}
	if !c.Kind.Temporal() {
		return count > 0
	}
	for _, b := range c.Bounds {
		least := b.Value
		if b.Op == "gt" {
			least++
		}
		if b.Op != "lt" && b.Op != "lte" && b.Op != "neq" && float64(count) < least {
			return false
		}
	}
	return count > 0 && (len(c.Clauses) == 0 || slices.ContainsFunc(c.Clauses, func(clause sigma.Clause) bool {
		return !slices.ContainsFunc(clause, func(s sigma.Step) bool { return s.Count > 0 && !able[s.Ref] })
	}))
}

func resolve(e *sigma.Engine, name string) string {
	for _, r := range e.Rules() {
		if r.Names(name) {
			return r.ID
		}
	}
	for _, c := range e.Correlations() {
		if c.Rule.Names(name) {
			return c.Rule.ID
		}
	}
	return ""
}

// count fills the totals.
func (r *Coverage) count() {
	products, sources := make(map[string]*StateCount), make(map[string]*StateCount)
	r.Totals = StateCount{Name: "all", Of: make(map[State]int)}
	for _, rule := range r.Rules {
		product, _, _ := strings.Cut(rule.Logsource, "/")
		for _, g := range []*StateCount{&r.Totals, group(products, product), group(sources, rule.Logsource)} {
			g.Of[rule.State]++
			g.All++
		}
	}
	r.Products, r.Logsources = sorted(products), sorted(sources)
}

func group(all map[string]*StateCount, name string) *StateCount {
	if all[name] == nil {
		all[name] = &StateCount{Name: name, Of: make(map[State]int)}
	}
	return all[name]
}

func sorted(all map[string]*StateCount) []StateCount {
	out := make([]StateCount, 0, len(all))
	for _, g := range all {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b StateCount) int { return cmp.Or(cmp.Compare(b.All, a.All), cmp.Compare(a.Name, b.Name)) })
	return out
}

// missing lists what would light up most rules.
func (r *Coverage) missing() {
	sources, fields := make(map[string]*Missing), make(map[string]*Missing)
	for _, rule := range r.Rules {
		switch rule.State {
		case NoSource:
			add(sources, Missing{Logsource: rule.Logsource})
		case NoField:
			if one := lacking(rule.Lacks); one != "" {
				add(fields, Missing{Logsource: rule.Logsource, Field: one})
			}
		}
	}
	r.Sources, r.Fields = mostRules(sources), mostRules(fields)
	for i := range r.Sources {
		r.Sources[i].How = taxonomy.Origins(parseLogsource(r.Sources[i].Logsource))
	}
}

// lacking is the one thing that would let a rule fire: a kind of event, which
// brings its fields along, or the only field that is missing. Of two fields, one
// alone lights up nothing.
func lacking(lacks []string) string {
	for _, l := range lacks {
		if strings.HasPrefix(l, numberField+" ") {
			return l
		}
	}
	if len(lacks) == 1 {
		return lacks[0]
	}
	return ""
}

func add(all map[string]*Missing, m Missing) {
	key := m.Logsource + "\x00" + m.Field
	if all[key] == nil {
		all[key] = &m
	}
	all[key].Rules++
}

func mostRules(all map[string]*Missing) []Missing {
	out := make([]Missing, 0, len(all))
	for _, m := range all {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Missing) int {
		return cmp.Or(cmp.Compare(b.Rules, a.Rules), cmp.Compare(a.Logsource, b.Logsource), cmp.Compare(a.Field, b.Field))
	})
	return out
}

// parseLogsource reads what [sigma.Logsource.String] wrote.
func parseLogsource(s string) sigma.Logsource {
	part := strings.SplitN(s, "/", 3)
	for len(part) < 3 {
		part = append(part, "")
	}
	for i := range part {
		if part[i] == "-" {
			part[i] = ""
		}
	}
	return sigma.Logsource{Product: part[0], Category: part[1], Service: part[2]}
}
