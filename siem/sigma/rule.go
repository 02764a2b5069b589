package sigma

import (
	"fmt"
	"regexp"
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

// Rule is one document of a rule file: a detection or a correlation. Title, ID
// and Author are always there: the Detection Rule License asks that every
// message based on a match names the author.
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
	// fieldAt is where each field is first named, for errors found later.
	fieldAt map[string]Pos
}

// Names reports whether a correlation may call the rule by ref.
func (r *Rule) Names(ref string) bool { return ref == r.ID || ref == r.Name }

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// Top-level keys of the specification that carry no meaning for matching.
// SigmaHQ's own two come last. Any other key is refused.
var silentKeys = []string{
	"taxonomy", "date", "modified", "fields", "scope", "regression_tests_path", "simulation",
}

// Parse reads a rule file: one or more YAML documents. The first error is
// returned; it is an [Error] that names line and column.
func Parse(file string, data []byte) ([]*Rule, error) {
	rules, err := parseDocs(data)
	if err != nil {
		return nil, inFile(file, err)
	}
	for _, r := range rules {
		r.File = file
	}
	return rules, nil
}

func inFile(file string, err error) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // made a few lines away, never wrapped
		e.File = file
		return e
	}
	return fmt.Errorf("%s: %w", file, err)
}

func parseDocs(data []byte) ([]*Rule, error) {
	docs, err := parseYAML(data)
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, bad(Pos{1, 1}, "the file holds no rule")
	}
	rules := make([]*Rule, 0, len(docs))
	for _, d := range docs {
		r, err := parseRule(d)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(d *node) (*Rule, error) {
	if d.kind != kindMap {
		return nil, bad(d.at, "a rule is a map, this is %s", d.kind)
	}
	r := &Rule{Pos: d.at, fieldAt: make(map[string]Pos)}
	for _, p := range d.pairs {
		if err := r.take(p); err != nil {
			return nil, err
		}
	}
	return r, r.complete(d)
}

// take reads one top-level key.
func (r *Rule) take(p pair) (err error) {
	switch p.key {
	case "title":
		r.Title, err = textOf(p)
	case "id":
		r.ID, err = textOf(p)
	case "name":
		r.Name, err = textOf(p)
	case "author":
		r.Author, err = textOf(p)
	case "description":
		r.Description, err = textOf(p)
	case "status":
		r.Status, err = textOf(p)
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
	case "logsource":
		r.Logsource, err = parseLogsource(p.val)
	case "detection":
		r.condition, err = parseDetection(p.val, r.fieldAt)
	case "correlation":
		r.Correlation, err = parseCorrelation(p.val)
	case "action":
		return bad(p.at, "rule collections with `action` are not supported; write each rule as a document of its own")
	case "filter":
		return bad(p.at, "Sigma filters are not supported")
	default:
		if !slices.Contains(silentKeys, p.key) {
			return bad(p.at, "%q is not a key of a Sigma rule", p.key)
		}
	}
	return err
}

// complete checks what only the whole rule can tell.
func (r *Rule) complete(d *node) error {
	for _, need := range []struct{ key, val string }{{"title", r.Title}, {"id", r.ID}, {"author", r.Author}} {
		if strings.TrimSpace(need.val) == "" {
			return bad(d.at, "a rule needs `%s`", need.key)
		}
	}
	if !uuidForm.MatchString(r.ID) {
		id, _ := d.get("id")
		return bad(id.at, "id %q is not a UUID", r.ID)
	}
	r.ID = strings.ToLower(r.ID)
	if r.Level == "" {
		r.Level = LevelMedium
	}
	_, hasSource := d.get("logsource")
	switch {
	case r.Correlation != nil && r.condition != nil:
		return bad(d.at, "a document is a detection or a correlation, not both")
	case r.Correlation != nil && hasSource:
		return bad(d.at, "a correlation has no logsource; its rules do")
	case r.Correlation != nil:
		r.Correlation.Rule = r
		return nil
	case r.condition == nil:
		return bad(d.at, "a rule needs `detection`")
	case !hasSource:
		return bad(d.at, "a rule needs `logsource`")
	}
	return nil
}

func textOf(p pair) (string, error) {
	switch p.val.kind {
	case kindString, kindNumber:
		return strings.TrimSpace(p.val.text), nil
	}
	return "", bad(p.val.at, "`%s` must be text, this is %s", p.key, p.val.kind)
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
		s, err := textOf(pair{p.key, p.at, it})
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
		return "", bad(p.val.at, "level %q is not one of %v", s, levels)
	}
	return Level(s), nil
}

func relatedOf(p pair) ([]string, error) {
	if p.val.kind != kindList {
		return nil, bad(p.val.at, "`related` must be a list")
	}
	var out []string
	for _, it := range p.val.list {
		if id, ok := it.get("id"); ok {
			out = append(out, id.text)
		}
	}
	return out, nil
}

func parseLogsource(n *node) (Logsource, error) {
	var l Logsource
	if n.kind != kindMap || len(n.pairs) == 0 {
		return l, bad(n.at, "`logsource` must be a map with product, category or service")
	}
	for _, p := range n.pairs {
		s, err := textOf(p)
		if err != nil {
			return l, err
		}
		switch p.key {
		case "category":
			l.Category = strings.ToLower(s)
		case "product":
			l.Product = strings.ToLower(s)
		case "service":
			l.Service = strings.ToLower(s)
		case "definition":
		default:
			return l, bad(p.at, "%q is not a key of a logsource", p.key)
		}
	}
	return l, nil
}
