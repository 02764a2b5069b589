package sigma

import (
	"slices"
	"strconv"
	"time"
)

// Kind is what a correlation counts.
type Kind string

// The kinds of correlation that are done here.
const (
	EventCount Kind = "event_count"
	ValueCount Kind = "value_count"
)

// refusedKinds are in the specification and not done here.
var refusedKinds = []string{"temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile", "value_median"}

// MaxThreshold is the largest count a condition may name: a window must be
// able to hold that many events.
const MaxThreshold = 10_000

// MaxTimespan is the longest window.
const MaxTimespan = 31 * 24 * time.Hour

// Correlation counts the matches of other rules in windows of time.
type Correlation struct {
	Rule     *Rule
	Kind     Kind
	Refs     []Ref
	GroupBy  []string
	Field    string // value_count: whose distinct values count
	Timespan time.Duration
	Bounds   []Bound
	// Aliases gives a group-by name another field in a given rule.
	Aliases map[string]map[string]string
	// Generate lets the rules referred to raise alerts of their own.
	Generate bool
}

// Ref is a rule that a correlation counts, by name or id.
type Ref struct {
	Name string
	at   Pos
}

// Bound is one part of a correlation's condition; all must hold.
type Bound struct {
	Op    string // gt gte lt lte eq neq
	Value int
}

func (b Bound) holds(n int) bool {
	switch b.Op {
	case "gt":
		return n > b.Value
	case "gte":
		return n >= b.Value
	case "lt":
		return n < b.Value
	case "lte":
		return n <= b.Value
	case "eq":
		return n == b.Value
	}
	return n != b.Value
}

// Holds reports whether n satisfies the condition.
func (c *Correlation) Holds(n int) bool {
	for _, b := range c.Bounds {
		if !b.holds(n) {
			return false
		}
	}
	return true
}

// Rising reports whether more matches can never undo a firing, so that the
// rule can fire at once. Otherwise it is decided when the window has closed.
func (c *Correlation) Rising() bool {
	for _, b := range c.Bounds {
		if b.Op != "gt" && b.Op != "gte" {
			return false
		}
	}
	return true
}

func (c *Correlation) threshold() int {
	n := 1
	for _, b := range c.Bounds {
		n = max(n, b.Value+1)
	}
	return n
}

func parseCorrelation(n *node) (*Correlation, error) {
	if n.kind != kindMap {
		return nil, bad(n.at, "`correlation` must be a map, this is %s", n.kind)
	}
	c := &Correlation{}
	for _, p := range n.pairs {
		if err := c.take(p); err != nil {
			return nil, err
		}
	}
	return c, c.complete(n)
}

func (c *Correlation) take(p pair) (err error) {
	switch p.key {
	case "type":
		c.Kind, err = kindOf(p)
	case "rules":
		c.Refs, err = refsOf(p)
	case "group-by":
		c.GroupBy, err = textsOf(p)
	case "timespan":
		c.Timespan, err = timespanOf(p)
	case "condition":
		err = c.takeCondition(p)
	case "aliases":
		c.Aliases, err = aliasesOf(p)
	case "generate":
		if p.val.kind != kindBool {
			return bad(p.val.at, "`generate` takes true or false")
		}
		c.Generate = p.val.text == "true"
	default:
		err = bad(p.at, "%q is not a key of a correlation", p.key)
	}
	return err
}

func kindOf(p pair) (Kind, error) {
	s, err := textOf(p)
	switch {
	case err != nil:
		return "", err
	case slices.Contains(refusedKinds, s):
		return "", bad(p.val.at, "%s correlations are not supported", s)
	case s != string(EventCount) && s != string(ValueCount):
		return "", bad(p.val.at, "%q is not a kind of correlation", s)
	}
	return Kind(s), nil
}

func refsOf(p pair) ([]Ref, error) {
	names, err := textsOf(p)
	if err != nil {
		return nil, err
	}
	out := make([]Ref, len(names))
	for i, name := range names {
		out[i] = Ref{name, p.val.at}
		if p.val.kind == kindList {
			out[i].at = p.val.list[i].at
		}
	}
	return out, nil
}

var spanUnits = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

func timespanOf(p pair) (time.Duration, error) {
	s, err := textOf(p)
	if err != nil {
		return 0, err
	}
	if s == "" {
		return 0, bad(p.val.at, "`timespan` is empty")
	}
	unit, known := spanUnits[s[len(s)-1]]
	if !known {
		return 0, bad(p.val.at, "timespan %q: the unit must be s, m, h or d", s)
	}
	count, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || count < 1 || count > int(MaxTimespan/unit) {
		return 0, bad(p.val.at, "timespan %q must lie between 1s and 31d", s)
	}
	return time.Duration(count) * unit, nil
}

func (c *Correlation) takeCondition(p pair) error {
	if p.val.kind != kindMap {
		return bad(p.val.at, "a correlation's condition must be a map like `gte: 10`")
	}
	for _, b := range p.val.pairs {
		switch b.key {
		case "gt", "gte", "lt", "lte", "eq", "neq":
			v, err := strconv.Atoi(b.val.text)
			if err != nil || b.val.kind != kindNumber || v < 0 || v > MaxThreshold {
				return bad(b.val.at, "`%s` takes a whole number from 0 to %d", b.key, MaxThreshold)
			}
			c.Bounds = append(c.Bounds, Bound{b.key, v})
		case "field":
			if b.val.kind != kindString {
				return bad(b.val.at, "counting several fields at once is not supported; `field` takes one name")
			}
			c.Field = b.val.text
		default:
			return bad(b.at, "%q is not known in a correlation's condition", b.key)
		}
	}
	return nil
}

func aliasesOf(p pair) (map[string]map[string]string, error) {
	if p.val.kind != kindMap {
		return nil, bad(p.val.at, "`aliases` must be a map")
	}
	out := make(map[string]map[string]string, len(p.val.pairs))
	for _, a := range p.val.pairs {
		if a.val.kind != kindMap {
			return nil, bad(a.val.at, "alias %q must map rules to fields", a.key)
		}
		per := make(map[string]string, len(a.val.pairs))
		for _, f := range a.val.pairs {
			s, err := textOf(f)
			if err != nil {
				return nil, err
			}
			per[f.key] = s
		}
		out[a.key] = per
	}
	return out, nil
}

func (c *Correlation) complete(n *node) error {
	switch {
	case c.Kind == "":
		return bad(n.at, "a correlation needs `type`")
	case len(c.Refs) == 0:
		return bad(n.at, "a correlation needs `rules`")
	case c.Timespan == 0:
		return bad(n.at, "a correlation needs `timespan`")
	case len(c.Bounds) == 0:
		return bad(n.at, "a correlation needs `condition` with gt, gte, lt, lte, eq or neq")
	case c.Kind == ValueCount && c.Field == "":
		return bad(n.at, "a value_count condition needs `field`")
	case c.Kind == EventCount && c.Field != "":
		return bad(n.at, "an event_count condition takes no `field`")
	case c.Rising() && c.Holds(0):
		return bad(n.at, "the condition holds for no events at all")
	}
	return nil
}

// names lists what each match must carry: the group-by fields in order, then
// the counted field.
func (c *Correlation) names() []string {
	out := slices.Clone(c.GroupBy)
	if c.Field != "" {
		out = append(out, c.Field)
	}
	return out
}

// fieldIn is the field that stands for name in the rule r.
func (c *Correlation) fieldIn(name string, r *Rule) string {
	for ref, field := range c.Aliases[name] {
		if r.Names(ref) {
			return field
		}
	}
	return name
}
