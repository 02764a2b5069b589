package sigma

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a correlation asks of the events in a window.
type Kind string

// The kinds of correlation.
const (
	EventCount      Kind = "event_count"
	ValueCount      Kind = "value_count"
	ValueSum        Kind = "value_sum"
	ValueAvg        Kind = "value_avg"
	ValuePercentile Kind = "value_percentile"
	ValueMedian     Kind = "value_median"
	Temporal        Kind = "temporal"
	TemporalOrdered Kind = "temporal_ordered"
)

var kinds = []Kind{EventCount, ValueCount, ValueSum, ValueAvg, ValuePercentile, ValueMedian, Temporal, TemporalOrdered}

// Temporal reports whether the kind asks which rules fired, not how often.
func (k Kind) Temporal() bool { return k == Temporal || k == TemporalOrdered }

// Numeric reports whether the kind computes with the numbers of a field.
func (k Kind) Numeric() bool {
	return k == ValueSum || k == ValueAvg || k == ValuePercentile || k == ValueMedian
}

// WindowKind is how a correlation cuts time.
type WindowKind string

// The windows. A sliding one begins at any event; a tumbling one at a multiple
// of the timespan since 1970; a session lasts until a gap without events.
const (
	Sliding  WindowKind = "sliding"
	Tumbling WindowKind = "tumbling"
	Session  WindowKind = "session"
)

var windowKinds = []WindowKind{Sliding, Tumbling, Session}

const (
	// MaxThreshold is the largest count a condition may name: a window must be
	// able to hold that many events.
	MaxThreshold = 10_000
	// MaxTimespan is the longest window.
	MaxTimespan = 366 * 24 * time.Hour
	// MaxSteps is how many rules a temporal correlation can name.
	MaxSteps = 64
)

// The fields by which the normaliser says that several lines tell of one thing.
const (
	// FieldAttempt names the thing: a connection, a session.
	FieldAttempt = Reserved + "attempt"
	// FieldEcho is "true" on an event that counts only where no other event
	// of its attempt does.
	FieldEcho = Reserved + "echo"
)

// Correlation joins the matches of other rules in windows of time.
type Correlation struct {
	Rule     *Rule
	Kind     Kind
	Refs     []Ref
	GroupBy  []string
	Fields   []string // value_*: whose values count
	Timespan time.Duration
	Window   WindowKind
	// Gap ends a session.
	Gap time.Duration
	// Percentile belongs to value_percentile: 0 to 100.
	Percentile float64
	// Bounds must all hold for the number that the kind computes. A temporal
	// correlation has Bounds, on how many of its rules were seen, or Clauses.
	Bounds []Bound
	// Clauses are alternatives.
	Clauses []Clause
	// Aliases gives a group-by name another field in a given rule.
	Aliases map[string]map[string]string
	// Generate lets the rules referred to raise alerts of their own.
	Generate bool

	fieldAt Pos
	aliasAt map[string]Pos
}

// Clause is one way for a temporal correlation to hold: all of its steps, which
// stand in the order of [Correlation.Refs].
type Clause []Step

// Step asks for Count or more matches of a rule; none at all where Count is 0.
type Step struct {
	Ref   int
	Count int
}

// Ref is a rule that a correlation counts, by name or id.
type Ref struct {
	Name string
	at   Pos
}

// Bound is one part of a correlation's condition; all must hold.
type Bound struct {
	Op    string // gt gte lt lte eq neq
	Value float64
}

func (b Bound) holds(n float64) bool {
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

// Holds reports whether n satisfies the bounds.
func (c *Correlation) Holds(n float64) bool {
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
	if c.Kind.Numeric() && c.Kind != ValueSum {
		return false
	}
	for _, b := range c.Bounds {
		if b.Op != "gt" && b.Op != "gte" {
			return false
		}
	}
	return !slices.ContainsFunc(c.Clauses, Clause.absent)
}

// absent reports whether the clause asks that something did not happen.
func (c Clause) absent() bool {
	return slices.ContainsFunc(c, func(s Step) bool { return s.Count == 0 })
}

// Threshold is how many events a window must be able to hold for the condition
// to be decided.
func (c *Correlation) Threshold() int {
	n := 1
	if !c.Kind.Numeric() {
		for _, b := range c.Bounds {
			n = max(n, int(b.Value)+1)
		}
	}
	for _, clause := range c.Clauses {
		sum := 1
		for _, s := range clause {
			sum += s.Count
		}
		n = max(n, sum)
	}
	return n
}

// Shape names what a correlation's windows are of. A rule that groups or counts
// something else from now on begins with new windows; one whose threshold or
// timespan changes goes on with those it has.
func (c *Correlation) Shape() string {
	parts := []string{string(c.Kind), string(c.Window), strings.Join(c.Fields, "\x01")}
	for _, r := range c.Refs {
		parts = append(parts, "\x02"+r.Name)
	}
	sum := sha256.Sum256([]byte(strings.Join(append(parts, c.GroupBy...), "\x00")))
	return c.Rule.ID + "/" + hex.EncodeToString(sum[:4])
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
		c.Kind, err = wordOf(p, "a type of correlation", kinds)
	case "rules":
		c.Refs, err = refsOf(p)
	case "group-by":
		c.GroupBy, err = textsOf(p)
	case "timespan":
		c.Timespan, err = timespanOf(p)
	case "window":
		c.Window, err = wordOf(p, "a window", windowKinds)
	case "gap":
		c.Gap, err = timespanOf(p)
	case "condition": // read last: it names rules
	case "aliases":
		err = c.takeAliases(p)
	case "generate":
		if p.val.kind != kindBool {
			return bad(p.val.at, "`generate` takes true or false")
		}
		c.Generate = p.val.text == "true"
	default:
		err = bad(p.at, "%q is not a key of a correlation; there are type, rules, group-by, timespan, condition, aliases, generate, window and gap", p.key)
	}
	return err
}

func wordOf[T ~string](p pair, what string, words []T) (T, error) {
	s, err := textOf(p)
	if err != nil {
		return "", err
	}
	if !slices.Contains(words, T(s)) {
		return "", bad(p.val.at, "%q is not %s; write one of %v", s, what, words)
	}
	return T(s), nil
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

// spanUnits are those of the specification, and the longer ones that pySigma
// reads: there a month and a year have their mean lengths.
var spanUnits = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
	'M': 2629746 * time.Second, 'y': 31556952 * time.Second,
}

func timespanOf(p pair) (time.Duration, error) {
	s, err := textOf(p)
	if err != nil {
		return 0, err
	}
	if s == "" {
		return 0, bad(p.val.at, "`%s` is empty; write a length of time such as 90m", p.key)
	}
	unit, known := spanUnits[s[len(s)-1]]
	if !known {
		return 0, bad(p.val.at, "%s %q: the unit must be s, m, h, d, w, M (months) or y; write for example 90m", p.key, s)
	}
	count, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || count < 1 || count > int(MaxTimespan/unit) {
		return 0, bad(p.val.at, "%s %q must be a whole number of units and lie between 1s and 366d", p.key, s)
	}
	return time.Duration(count) * unit, nil
}

func (c *Correlation) takeAliases(p pair) error {
	if p.val.kind != kindMap {
		return bad(p.val.at, "`aliases` must be a map")
	}
	c.Aliases, c.aliasAt = make(map[string]map[string]string), make(map[string]Pos)
	for _, a := range p.val.pairs {
		if a.val.kind != kindMap {
			return bad(a.val.at, "alias %q must map rules to fields", a.key)
		}
		per := make(map[string]string, len(a.val.pairs))
		for _, f := range a.val.pairs {
			s, err := textOf(f)
			if err != nil {
				return err
			}
			per[f.key] = s
		}
		c.Aliases[a.key], c.aliasAt[a.key] = per, a.at
	}
	return nil
}

// complete checks what only the whole correlation can tell, and fills in what
// it leaves out.
func (c *Correlation) complete(n *node) error {
	cond, hasCond := n.get("condition")
	switch {
	case c.Kind == "":
		return bad(n.at, "a correlation needs `type`; write one of %v", kinds)
	case c.Timespan == 0:
		return bad(n.at, "a correlation needs `timespan`, such as 5m")
	case !hasCond && !c.Kind.Temporal():
		return bad(n.at, "%s correlation needs `condition` with gt, gte, lt, lte, eq or neq", article(c.Kind))
	case !hasCond:
		c.Clauses = []Clause{c.all()}
	default:
		if err := c.takeCondition(cond); err != nil {
			return err
		}
	}
	if err := c.completeWindow(n); err != nil {
		return err
	}
	return c.completeCondition(n, cond)
}

func (c *Correlation) completeWindow(n *node) error {
	if c.Window == "" {
		c.Window = Sliding
	}
	gap, hasGap := n.get("gap")
	switch {
	case c.Window == Session && !hasGap:
		return bad(n.at, "a session window needs `gap`, the quiet time that ends it, such as 10m")
	case c.Window != Session && hasGap:
		return bad(gap.at, "`gap` belongs to `window: session` alone")
	case c.Gap > c.Timespan:
		return bad(gap.at, "the gap is longer than the timespan, which bounds the session")
	}
	return nil
}

func (c *Correlation) completeCondition(n, cond *node) error {
	at := n.at
	if cond != nil {
		at = cond.at
	}
	counts := c.Kind == EventCount || c.Kind.Temporal()
	switch {
	case len(c.Refs) == 0:
		return bad(n.at, "a correlation needs `rules`")
	case c.Kind.Temporal() && len(c.Refs) > MaxSteps:
		return bad(at, "a %s correlation can name at most %d rules", c.Kind, MaxSteps)
	case len(c.Bounds) == 0 && len(c.Clauses) == 0:
		return bad(at, "a correlation's condition needs gt, gte, lt, lte, eq or neq")
	case !counts && len(c.Fields) == 0:
		return bad(at, "a %s condition needs `field`", c.Kind)
	case counts && len(c.Fields) > 0:
		return bad(c.fieldAt, "%s condition takes no `field`", article(c.Kind))
	case c.Kind.Numeric() && len(c.Fields) > 1:
		return bad(c.fieldAt, "a %s condition computes with one `field`; only value_count takes several", c.Kind)
	case c.Kind.Temporal():
		return c.completeSteps(at)
	case c.Kind != ValueSum && c.Rising() && c.Holds(0):
		return bad(at, "the condition holds for no events at all")
	}
	return nil
}

func article(k Kind) string {
	if k == EventCount {
		return "an " + string(k)
	}
	return "a " + string(k)
}

// names lists what each match must carry: the group-by fields in order, then
// the counted fields.
func (c *Correlation) names() []string {
	return append(slices.Clone(c.GroupBy), c.Fields...)
}

// In is the field that stands for a group-by name or a counted field in the
// rule r.
func (c *Correlation) In(name string, r *Rule) string {
	for ref, field := range c.Aliases[name] {
		if r.Names(ref) {
			return field
		}
	}
	return name
}
