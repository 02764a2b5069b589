package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/siem/sigma"
)

// Report is what the rules make of one event.
type Report struct {
	// Event is what was asked about: an id, or a file and a number in it.
	Event string `json:"event"`
	// Sources are the logsources that the event is of, as
	// product/category/service; Reasons are what in the event says so.
	Sources []string `json:"sources"`
	Reasons []Reason `json:"reasons,omitempty"`
	// Fault says why not all of the event's fields could be read.
	Fault string `json:"fault,omitempty"`
	// Everything is set where nothing said what the event is of: every rule was
	// asked.
	Everything bool `json:"every_rule_asked,omitempty"`
	// Rules are how many there are, Asked those for the event's logsources.
	Rules int `json:"rules"`
	Asked int `json:"asked"`
	// Long is set for an event so long that only rules of which it has a sign
	// were looked at, all that fired among them.
	Long bool `json:"long,omitempty"`
	// Fired are all that fired, Near the nearest of the NearCount that nearly
	// did.
	Fired     []Verdict `json:"fired"`
	Near      []Verdict `json:"near"`
	NearCount int       `json:"near_count"`
	// Chosen is the one rule that was asked about, whatever came of it.
	Chosen *Verdict `json:"rule,omitempty"`
}

// Reason is why an event is of its logsources.
type Reason struct {
	Because string   `json:"because"`
	Sources []string `json:"sources"`
}

// Verdict is what became of one rule.
type Verdict struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	Title     string `json:"title"`
	Level     string `json:"level"`
	Author    string `json:"author"`
	Link      string `json:"link,omitempty"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	Logsource string `json:"logsource"`
	// Verdict is fired, near, silent or "not asked".
	Verdict string `json:"verdict"`
	// Distance is how many answers would have to be otherwise for the rule to
	// fire: 0 if it fired, -1 if no few do it.
	Distance int `json:"distance"`
	// Holds are the items that hold, Missing those that would have to, Stopped
	// those of filters that hold and would not have to.
	Holds   []Answer `json:"holds"`
	Missing []Answer `json:"missing,omitempty"`
	Stopped []Answer `json:"stopped_by,omitempty"`
	// Filters name the search identifiers behind a `not` that do not apply.
	Filters []string  `json:"filters_passed,omitempty"`
	Counts  []Counter `json:"counted_by,omitempty"`
	// Condition is the whole rule; it is there for the chosen one.
	Condition *Branch `json:"condition,omitempty"`
}

// Answer is one line of a rule and what the event has to say to it.
type Answer struct {
	Selection string `json:"selection"`
	// Filter is the Sigma filter, or exclusion, that the item is from.
	Filter string `json:"filter,omitempty"`
	Item   string `json:"item,omitempty"` // as the rule writes it
	Line   int    `json:"line,omitempty"`
	Field  string `json:"field,omitempty"`
	// Says is the item in words.
	Says string `json:"says"`
	// Values are those of the rule that hold, or that are missing.
	Values []string `json:"values,omitempty"`
	Wanted int      `json:"wanted"` // how many the rule names
	All    bool     `json:"all,omitempty"`
	// Have are the event's values, Names what it calls the field, one for each;
	// Null is set where the field says null, Unread where nobody looks at it.
	Have    []string  `json:"have"`
	Names   []string  `json:"names,omitempty"`
	Null    bool      `json:"null,omitempty"`
	Unread  bool      `json:"unread,omitempty"`
	Nearest *Likeness `json:"nearest,omitempty"`
}

// Likeness is the rule's value that shares most with the event's.
type Likeness struct {
	Value  string `json:"value"`
	Common string `json:"common"`
}

// Counter is a correlation that counts the rule, and the group that the event
// falls into.
type Counter struct {
	ID    string            `json:"id"`
	Title string            `json:"title"`
	Says  string            `json:"says"`
	Group map[string]string `json:"group,omitempty"`
	// Absent are the group-by fields that the event lacks.
	Absent []string `json:"absent,omitempty"`
}

// Branch is a part of a rule's condition: an item, or parts that are joined.
type Branch struct {
	Join   string    `json:"join"` // all, any, not, ask
	Name   string    `json:"name,omitempty"`
	Filter string    `json:"filter,omitempty"`
	Holds  bool      `json:"holds"`
	Item   *Answer   `json:"item,omitempty"`
	Parts  []*Branch `json:"parts,omitempty"`
}

// Options choose what a report holds.
type Options struct {
	// Event is how the event is called in the report.
	Event string
	// Rule is the id or name of the one rule that is asked about, "" for all.
	Rule string
	// Near is how many rules that nearly fired are told.
	Near int
	// Every asks every rule about an event that is of no known logsource;
	// otherwise none is, as when it came in.
	Every bool
}

// View reports on the event that was loaded into v and is of these sources.
func View(e *sigma.Engine, v *sigma.View, sources []sigma.Logsource, o Options) Report {
	r := Report{Event: o.Event, Sources: []string{}, Rules: len(e.Rules()), Fired: []Verdict{}, Near: []Verdict{}}
	for _, src := range sources {
		if s := src.String(); !slices.Contains(r.Sources, s) {
			r.Sources = append(r.Sources, s)
		}
	}
	if r.Everything = o.Every && len(sources) == 0; r.Everything {
		sources = e.Logsources()
	}
	r.Reasons = reasonsOf(v, sources)
	for _, x := range e.Explain(v, sources, sigma.ExplainOptions{Rule: o.Rule}) {
		r.take(x, o)
	}
	r.Asked, r.Long = countAsked(e, sources), o.Rule == "" && v.Long()
	return r
}

func (r *Report) take(x sigma.Explanation, o Options) {
	if o.Rule != "" {
		rule := verdictOf(x)
		rule.Condition = partOf(x.Condition)
		r.Chosen = &rule
	}
	switch x.Verdict {
	case sigma.Fired:
		r.Fired = append(r.Fired, verdictOf(x))
	case sigma.Near:
		if r.NearCount++; len(r.Near) < o.Near {
			r.Near = append(r.Near, verdictOf(x))
		}
	}
}

func countAsked(e *sigma.Engine, sources []sigma.Logsource) (n int) {
	for _, r := range e.Rules() {
		if slices.ContainsFunc(sources, r.Logsource.Covers) {
			n++
		}
	}
	return n
}

// reasonsOf tells the routes by which the event's own fields say what it is of.
func reasonsOf(v *sigma.View, sources []sigma.Logsource) []Reason {
	var out []Reason
	for _, r := range v.Routings() {
		var when []string
		for _, m := range r.When {
			have, _ := v.First(m.Field)
			when = append(when, m.Field+" = "+have)
		}
		reason := Reason{Because: strings.Join(when, ", ")}
		for _, src := range r.Sources {
			if slices.Contains(sources, src) {
				reason.Sources = append(reason.Sources, src.String())
			}
		}
		if len(reason.Sources) > 0 {
			out = append(out, reason)
		}
	}
	return out
}

func verdictOf(x sigma.Explanation) Verdict {
	r := x.Rule
	out := Verdict{
		ID: r.ID, Name: r.Name, Title: r.Title, Level: string(r.Level), Author: r.Author, Link: r.Link, File: r.File, Line: r.Pos.Line,
		Logsource: r.Logsource.String(), Verdict: string(x.Verdict), Distance: x.Distance, Holds: []Answer{},
	}
	for _, q := range x.Holds {
		out.Holds = append(out.Holds, foundOf(q))
	}
	out.changes(x)
	passed(x.Condition, false, &out.Filters)
	for _, c := range x.Counts {
		out.Counts = append(out.Counts, countOf(c))
	}
	return out
}

// changes tells what would have to be otherwise, each item once.
func (r *Verdict) changes(x sigma.Explanation) {
	var told []*sigma.Question
	for _, c := range x.Change {
		if slices.Contains(told, c.Question) {
			continue
		}
		told = append(told, c.Question)
		if c.To {
			r.Missing = append(r.Missing, itemOf(c.Question, func(w sigma.Wanted) bool { return !w.Holds }))
			continue
		}
		// The rest of a filter that holds belongs to why it does.
		x.Condition.Questions(func(q *sigma.Question, wanted bool) {
			if q == c.Question || !wanted && q.Holds && q.Selection == c.Question.Selection && q.Filter == c.Question.Filter && !slices.Contains(told, q) {
				told = append(told, q)
				r.Stopped = append(r.Stopped, foundOf(q))
			}
		})
	}
}

// passed collects the named parts behind a `not` that do not hold.
func passed(f *sigma.Finding, negated bool, out *[]string) {
	name := f.Name
	if f.Filter != "" {
		name = f.Filter
	}
	if negated && name != "" {
		if !f.Holds && !slices.Contains(*out, name) {
			*out = append(*out, name)
		}
		return
	}
	for _, p := range f.Parts {
		passed(p, negated != (f.Join == sigma.JoinNot), out)
	}
}

func itemOf(q *sigma.Question, which func(sigma.Wanted) bool) Answer {
	it := Answer{
		Selection: q.Selection, Filter: q.Filter, Item: q.Key, Line: q.Line, Field: q.Field, Says: q.String(), Wanted: len(q.Values), All: q.All,
		Have: q.Have, Names: q.Names, Null: q.Null, Unread: q.Unread,
	}
	if it.Have == nil {
		it.Have = []string{}
	}
	for _, w := range q.Values {
		if which(w) {
			it.Values = append(it.Values, w.Text)
		}
	}
	if n := q.Nearest; n != nil {
		it.Nearest = &Likeness{q.Values[n.Value].Text, n.Common}
	}
	return it
}

// foundOf is an item that holds, by those of its values that do.
func foundOf(q *sigma.Question) Answer {
	it := itemOf(q, func(w sigma.Wanted) bool { return w.Holds })
	it.Says = q.Found()
	return it
}

func partOf(f *sigma.Finding) *Branch {
	p := &Branch{Join: string(f.Join), Name: f.Name, Filter: f.Filter, Holds: f.Holds}
	if f.Question != nil {
		it := foundOf(f.Question)
		p.Item = &it
	}
	for _, k := range f.Parts {
		part := partOf(k)
		if part.Join == p.Join && p.Join != string(sigma.JoinNot) && part.Name == "" && part.Filter == "" {
			p.Parts = append(p.Parts, part.Parts...) // "all of: all of:" says nothing more
			continue
		}
		p.Parts = append(p.Parts, part)
	}
	if only := p.Parts; len(only) == 1 && p.Join != string(sigma.JoinNot) {
		only[0].Name, only[0].Filter = cmp.Or(p.Name, only[0].Name), cmp.Or(p.Filter, only[0].Filter)
		return only[0]
	}
	return p
}

func countOf(c sigma.Count) Counter {
	corr := c.Correlation
	out := Counter{ID: corr.Rule.ID, Title: corr.Rule.Title, Says: saysCount(corr), Absent: c.Absent}
	for _, f := range c.Group {
		if out.Group == nil {
			out.Group = make(map[string]string)
		}
		out.Group[f.Name] = f.Value
	}
	return out
}

var operators = map[string]string{"gt": ">", "gte": "≥", "lt": "<", "lte": "≤", "eq": "=", "neq": "≠"}

// saysCount reads "value_count of user.name ≥ 10 within 5m by src_ip".
func saysCount(c *sigma.Correlation) string {
	s := string(c.Kind)
	switch {
	case c.Kind.Temporal():
		names := make([]string, len(c.Refs))
		for i, ref := range c.Refs {
			names[i] = ref.Name
		}
		s += " of " + strings.Join(names, ", ")
	case len(c.Fields) > 0:
		s += " of " + strings.Join(c.Fields, ", ")
	}
	for _, b := range c.Bounds {
		s += fmt.Sprintf(" %s %v", operators[b.Op], b.Value)
	}
	s += " within " + span(c.Timespan)
	if len(c.GroupBy) > 0 {
		s += " by " + strings.Join(c.GroupBy, ", ")
	}
	return s
}

// span writes 5m for what Go writes as 5m0s.
func span(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-len(zero)+1]
		}
	}
	return s
}
