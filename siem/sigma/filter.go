package sigma

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Filter is what a filter document does: its condition is joined by `and` to
// that of the rules it names, as the specification's reference implementation
// does it. So the condition says what the rules still find; what is to be left
// out stands behind `not`. Owner, Reason and Expires are keys of this project
// at the top of the document.
type Filter struct {
	// Refs are the ids or names of rules; Any stands for every rule that the
	// filter's logsource covers.
	Refs []Ref
	Any  bool

	Owner, Reason string
	// Expires is when the filter stops being applied, zero for never. A date
	// alone is the beginning of that day in UTC.
	Expires time.Time

	condition *expr
}

// filterKeys are this project's own keys of a filter document.
var filterKeys = []string{"owner", "reason", "expires"}

// AnyRule in a filter's `rules` stands for every rule.
const AnyRule = "any"

// parseFilter reads the `filter` of a document, and the keys about it at the
// document's top.
func parseFilter(rep *report, doc *node, p pair, fieldAt map[string]Pos) *Filter {
	f := &Filter{}
	for _, top := range doc.pairs {
		if slices.Contains(filterKeys, top.key) {
			rep.add(f.take(top))
		}
	}
	if p.val.kind == kindMap {
		rules, ok := p.val.get("rules")
		if !ok {
			rep.fail(p.val.at, "a filter needs `rules`; write a list of ids or names, or `rules: any`%s", misspelt(p.val, "rules"))
		} else {
			rep.add(f.takeRules(pair{key: "rules", at: rules.at, val: rules}))
		}
	}
	d := &detectionReader{rep: rep, fieldAt: fieldAt}
	f.condition = d.read(doc, p, "rules")
	if f.condition != nil && !f.condition.negates() {
		cond, _ := p.val.get("condition")
		rep.warn(cond.at, "the rules will find only what this condition holds for; to leave that out write `not (%s)`", strings.TrimSpace(cond.text))
	}
	if f.condition != nil {
		title, _ := textOf(pair{key: "title", at: p.at, val: docText(doc, "title")})
		f.condition = (&expr{op: opAnd, kids: []*expr{f.condition}}).named(labelFilter, title, p.at)
	}
	return f
}

func docText(doc *node, key string) *node {
	if n, ok := doc.get(key); ok {
		return n
	}
	return &node{kind: kindString}
}

// take reads one of the keys beside the filter.
func (f *Filter) take(p pair) (err error) {
	switch p.key {
	case "owner":
		f.Owner, err = textOf(p)
	case "reason":
		f.Reason, err = textOf(p)
	case "expires":
		var s string
		if s, err = textOf(p); err != nil {
			return err
		}
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if t, bad := time.Parse(layout, s); bad == nil {
				f.Expires = t.UTC()
				return nil
			}
		}
		err = bad(p.val.at, "`expires` must be a day or a point in time; write for example `expires: 2026-12-31` or `2026-12-31T18:00:00Z`")
	}
	return err
}

func (f *Filter) takeRules(p pair) error {
	refs, err := refsOf(p)
	if err != nil {
		return err
	}
	for i, ref := range refs {
		switch {
		case ref.Name == "":
			return bad(ref.at, "a filter names an empty rule; write an id, a name or `any`")
		case strings.EqualFold(ref.Name, AnyRule) && len(refs) == 1:
			f.Any, refs = true, nil
		case slices.ContainsFunc(refs[:i], func(o Ref) bool { return o.Name == ref.Name }):
			return bad(ref.at, "the filter names %q twice; write it once", ref.Name)
		}
	}
	if f.Refs = refs; len(refs) == 0 && !f.Any {
		return bad(p.val.at, "a filter names no rules; write their ids or names, or `rules: any`")
	}
	return nil
}

// negates reports whether there is a `not` in the condition's own words.
func (e *expr) negates() bool {
	if e.op == opNot {
		return true
	}
	return e.label == nil && slices.ContainsFunc(e.kids, (*expr).negates)
}

// effective returns what each detection asks once everything that stands beside
// it has been applied: values for its placeholders, and filters. The error joins
// all that is wrong.
func effective(rules []*Rule, o Options) (map[*Rule]*expr, error) {
	out := make(map[*Rule]*expr, len(rules))
	var wrong []error
	for _, r := range rules {
		if r.Correlation != nil || r.Filter != nil {
			continue
		}
		e, err := r.condition.filled(o.Placeholders, &budget{})
		if err != nil {
			wrong = append(wrong, inFile(r.File, err))
			continue
		}
		out[r] = e
	}
	for _, f := range rules {
		if f.Filter == nil || f.Filter.ended(o.Now) {
			continue
		}
		if err := f.apply(rules, out, o); err != nil {
			wrong = append(wrong, inFile(f.File, err))
		}
	}
	return out, errors.Join(wrong...)
}

// ended reports whether the filter is no longer applied.
func (f *Filter) ended(now time.Time) bool {
	return !f.Expires.IsZero() && !now.IsZero() && !now.Before(f.Expires)
}

// apply joins the filter's condition to that of each rule it is about.
func (r *Rule) apply(rules []*Rule, out map[*Rule]*expr, o Options) error {
	targets, err := r.targets(rules, o)
	if err != nil {
		return err
	}
	e, err := r.Filter.condition.filled(o.Placeholders, &budget{})
	if err != nil {
		return err
	}
	own := *e // the condition itself stays what every set of rules starts from
	e = own.named(labelFilter, r.Title, r.Pos)
	for _, t := range targets {
		if out[t] == nil {
			continue // its own error is said
		}
		out[t] = &expr{op: opAnd, kids: []*expr{out[t], e}}
	}
	return nil
}

// targets finds the rules that a filter is about.
func (r *Rule) targets(rules []*Rule, o Options) ([]*Rule, error) {
	var out []*Rule
	if r.Filter.Any {
		for _, t := range rules {
			if t.Correlation == nil && t.Filter == nil && r.Logsource.Covers(t.Logsource) {
				out = append(out, t)
			}
		}
		return out, nil
	}
	for _, ref := range r.Filter.Refs {
		i := slices.IndexFunc(rules, func(t *Rule) bool { return t.Filter == nil && t.Names(ref.Name) })
		switch {
		case i < 0 && o.LooseFilters:
			continue
		case i < 0:
			return nil, bad(ref.at, "the filter names %q, and no rule loaded has that id or name%s", ref.Name, didYouMean(ref.Name, ruleNames(rules)))
		case rules[i].Correlation != nil:
			return nil, bad(ref.at, "a filter can't change a correlation; name the rules that %q counts", ref.Name)
		case !r.Logsource.Covers(rules[i].Logsource):
			return nil, bad(ref.at, "the filter's logsource %s does not cover that of %q, %s; write the filter's logsource as `%s`, or leave parts of it out",
				r.Logsource, ref.Name, rules[i].Logsource, rules[i].Logsource.yaml())
		}
		out = append(out, rules[i])
	}
	return out, nil
}

func ruleNames(rules []*Rule) []string {
	var out []string
	for _, r := range rules {
		if r.Name != "" {
			out = append(out, r.Name)
		}
	}
	return out
}

// yaml is the logsource as a rule file has it.
func (l Logsource) yaml() string {
	var parts []string
	for _, p := range []struct{ key, val string }{{"product", l.Product}, {"category", l.Category}, {"service", l.Service}} {
		if p.val != "" {
			parts = append(parts, p.key+": "+p.val)
		}
	}
	return "logsource: {" + strings.Join(parts, ", ") + "}"
}
