package sigma

import (
	"slices"
	"strings"
)

// Level is Sigma's own scale.
type Level string

// The levels, from lowest to highest.
const (
	LevelInformational Level = "informational"
	LevelLow           Level = "low"
	LevelMedium        Level = "medium"
	LevelHigh          Level = "high"
	LevelCritical      Level = "critical"
)

var levels = []Level{LevelInformational, LevelLow, LevelMedium, LevelHigh, LevelCritical}

// Logsource says which events a rule is about. Empty parts match anything.
type Logsource struct {
	Category, Product, Service string
}

// Covers reports whether a rule for l applies to an event that comes from src.
func (l Logsource) Covers(src Logsource) bool {
	return (l.Category == "" || l.Category == src.Category) &&
		(l.Product == "" || l.Product == src.Product) &&
		(l.Service == "" || l.Service == src.Service)
}

// String returns product/category/service, "-" where a part is open.
func (l Logsource) String() string {
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	return dash(l.Product) + "/" + dash(l.Category) + "/" + dash(l.Service)
}

// Rule is one document of a rule file: a detection, a correlation or a filter.
// Title, ID and Author are always there: the Detection Rule License asks that
// every message based on a match names the author. A rule that has no id gets
// one made of its file's name, its number there and its title; one without an
// author has the author "unknown".
type Rule struct {
	File string
	Pos  Pos

	Title, ID, Name, Author    string
	Description, Status        string
	License                    string
	Level                      Level
	Tags, References, FalsePos []string
	Related                    []string

	// Link is where the rule can be read: its `link:` key, else what
	// [WithLink] makes of its file.
	Link string

	// Logsource belongs to detections and filters.
	Logsource Logsource
	// Correlation is nil for a detection, as is Filter.
	Correlation *Correlation
	// Filter is what a filter document adds to other rules.
	Filter *Filter

	condition *expr
	// number is the document's place in its file, from 1.
	number int
	// fieldAt is where each field is first named, for errors found later.
	fieldAt map[string]Pos
}

// Names reports whether a correlation or a filter may call the rule by ref.
func (r *Rule) Names(ref string) bool { return ref == r.ID || ref == r.Name && ref != "" }

// Unknown is the author of a rule that names none.
const Unknown = "unknown"

// ruleKeys are the keys of the specification that are read here; silentKeys
// carry no meaning for matching, SigmaHQ's own two come last.
var (
	ruleKeys = []string{
		"title", "id", "name", "author", "description", "status", "license", "level", "tags", "references", "falsepositives",
		"related", "logsource", "detection", "correlation", "filter", "link",
	}
	silentKeys = []string{"taxonomy", "date", "modified", "fields", "scope", "regression_tests_path", "simulation"}
	statuses   = []string{"stable", "test", "experimental", "deprecated", "unsupported"}
	maxTitle   = 256
)

// parseRule reads one document. What is wrong goes to rep; the rule is of use
// only where nothing is.
func parseRule(rep *report, file string, number int, d *node) *Rule {
	r := &Rule{File: file, Pos: d.at, number: number, fieldAt: make(map[string]Pos)}
	for _, p := range d.pairs {
		if r.takesBody(rep, p, d) {
			continue
		}
		known, err := r.takeText(p)
		rep.add(err)
		if !known {
			r.takeOther(rep, p, d)
		}
	}
	r.complete(rep, d)
	return r
}

// takesBody reads the parts that make a document what it is.
func (r *Rule) takesBody(rep *report, p pair, d *node) bool {
	var err error
	switch p.key {
	case "logsource":
		r.Logsource = parseLogsource(rep, p.val)
	case "detection":
		r.condition = parseDetection(rep, d, p, r.fieldAt)
	case "filter":
		r.Filter = parseFilter(rep, d, p, r.fieldAt)
	case "correlation":
		r.Correlation, err = parseCorrelation(p.val)
	default:
		return false
	}
	rep.add(err)
	return true
}

// takeText reads the other keys of the specification.
func (r *Rule) takeText(p pair) (known bool, err error) {
	switch p.key {
	case "title":
		r.Title, err = textOf(p)
	case "id":
		r.ID, err = textOf(p)
	case "name":
		r.Name, err = textOf(p)
	case "author":
		r.Author, err = authorOf(p)
	case "description":
		r.Description, err = textOf(p)
	case "license":
		r.License, err = textOf(p)
	case "level":
		r.Level, err = levelOf(p)
	case "tags":
		r.Tags, err = textsOf(p)
	case "references":
		r.References, err = textsOf(p)
	case "falsepositives":
		r.FalsePos, err = textsOf(p)
	case "related":
		r.Related, err = relatedOf(p)
	case "link":
		r.Link, err = takeLink(p)
	default:
		return false, nil
	}
	return true, err
}

// takeOther reads the status, and says what it makes of keys that it does not
// know: the specification allows any.
func (r *Rule) takeOther(rep *report, p pair, d *node) {
	if p.key == "status" {
		var err error
		r.Status, err = textOf(p)
		rep.add(err)
		if !slices.Contains(statuses, r.Status) && err == nil {
			rep.warn(p.val.at, "status %q is not one of %s%s", r.Status, strings.Join(statuses, ", "), didYouMean(r.Status, statuses))
		}
		return
	}
	_, filter := d.get("filter")
	if slices.Contains(silentKeys, p.key) || filter && slices.Contains(filterKeys, p.key) {
		return
	}
	if w := nearest(p.key, ruleKeys); w != "" {
		if _, there := d.get(w); !there {
			rep.warn(p.at, "%q is not a key of Sigma and means nothing; did you mean `%s`?", p.key, w)
			return
		}
	}
	rep.note(p.at, "%q is not a key of Sigma and means nothing", p.key)
}

// complete checks what only the whole rule can tell.
func (r *Rule) complete(rep *report, d *node) {
	if t, ok := d.get("title"); !ok || r.Title == "" && rep.errors == 0 {
		rep.fail(d.at, "a rule needs `title`; write `title: what the rule finds` first%s", misspelt(d, "title"))
	} else if len(r.Title) > maxTitle {
		rep.warn(t.at, "the title has %d bytes; the specification allows %d", len(r.Title), maxTitle)
	}
	r.settleID(rep, d)
	if r.Author == "" {
		r.Author = Unknown
		rep.note(d.at, "the rule has no `author`; its alerts will say %q", Unknown)
	}
	if r.Level == "" {
		r.Level = LevelMedium
	}
	r.oneBody(rep, d)
	if r.Correlation != nil {
		r.Correlation.Rule = r
	}
}

// oneBody checks that the document is one thing, and has what that needs.
func (r *Rule) oneBody(rep *report, d *node) {
	var bodies []string
	for _, key := range []string{"detection", "correlation", "filter"} {
		if _, ok := d.get(key); ok {
			bodies = append(bodies, key)
		}
	}
	_, hasSource := d.get("logsource")
	switch {
	case len(bodies) == 0:
		rep.fail(d.at, "a rule needs `detection`, a correlation `correlation`, a filter `filter`%s", misspelt(d, "detection", "correlation", "filter"))
	case len(bodies) > 1:
		rep.fail(d.at, "a document is a detection, a correlation or a filter; write `%s` as a document of its own after `---`", bodies[1])
	case bodies[0] == "correlation" && hasSource:
		n, _ := d.get("logsource")
		rep.fail(n.at, "a correlation has no `logsource`, its rules do; write the document without it")
	case bodies[0] != "correlation" && !hasSource:
		rep.fail(d.at, "a %s needs `logsource`; write for example `logsource: {product: linux}`%s", bodyWord(bodies[0]), misspelt(d, "logsource"))
	}
}

func bodyWord(body string) string {
	if body == "detection" {
		return "rule"
	}
	return body
}

// misspelt looks for a key that was probably meant to be one of words.
func misspelt(d *node, words ...string) string {
	for _, p := range d.pairs {
		if w := nearest(p.key, words); w != "" && w != p.key {
			return "; did `" + p.key + "` mean `" + w + "`?"
		}
	}
	return ""
}

func textOf(p pair) (string, error) {
	switch p.val.kind {
	case kindString, kindNumber:
		return strings.TrimSpace(p.val.text), nil
	}
	return "", bad(p.val.at, "`%s` must be text, this is %s", p.key, p.val.kind)
}

// authorOf joins the authors where they stand as a list.
func authorOf(p pair) (string, error) {
	names, err := textsOf(p)
	return strings.Join(names, ", "), err
}

func textsOf(p pair) ([]string, error) {
	if p.val.kind == kindNull {
		return nil, nil
	}
	items := p.val.list
	if p.val.kind != kindList {
		items = []*node{p.val}
	}
	out := make([]string, 0, len(items))
	for _, it := range items {
		s, err := textOf(pair{key: p.key, at: p.at, val: it})
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func levelOf(p pair) (Level, error) {
	s, err := textOf(p)
	if err != nil {
		return "", err
	}
	if !slices.Contains(levels, Level(s)) {
		names := make([]string, len(levels))
		for i, l := range levels {
			names[i] = string(l)
		}
		return "", bad(p.val.at, "level %q is not one of %s%s", s, strings.Join(names, ", "), didYouMean(s, names))
	}
	return Level(s), nil
}

func relatedOf(p pair) ([]string, error) {
	if p.val.kind != kindList {
		return nil, bad(p.val.at, "`related` must be a list of maps with `id` and `type`, this is %s", p.val.kind)
	}
	var out []string
	for _, it := range p.val.list {
		if id, ok := it.get("id"); ok {
			out = append(out, id.text)
		}
	}
	return out, nil
}

var logsourceKeys = []string{"category", "product", "service"}

func parseLogsource(rep *report, n *node) Logsource {
	var l Logsource
	if n.kind != kindMap || len(n.pairs) == 0 {
		rep.fail(n.at, "`logsource` must be a map with product, category or service; this is %s", n.kind)
		return l
	}
	for _, p := range n.pairs {
		if err := l.take(rep, p); err != nil {
			rep.add(err)
		}
	}
	if l == (Logsource{}) && rep.errors == 0 {
		rep.warn(n.at, "the logsource names no product, category or service: the rule looks at every event")
	}
	return l
}

func (l *Logsource) take(rep *report, p pair) error {
	var part *string
	switch p.key {
	case "category":
		part = &l.Category
	case "product":
		part = &l.Product
	case "service":
		part = &l.Service
	case "definition":
		return nil
	default:
		if w := nearest(p.key, logsourceKeys); w != "" {
			rep.warn(p.at, "%q is not a key of a logsource and means nothing; did you mean `%s`?", p.key, w)
		}
		return nil
	}
	s, err := textOf(p)
	*part = strings.ToLower(s)
	return err
}
