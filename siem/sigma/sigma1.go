package sigma

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// sigma1 is what a detection still says in the language of Sigma 1: counting
// behind a bar in the condition, over a `timeframe`. It is refused with the
// correlation that says the same.
type sigma1 struct {
	doc, detection *node
	refused        bool
}

var (
	oldCount  = regexp.MustCompile(`^\s*(count|sum|avg|min|max)\s*\(\s*([^()]*?)\s*\)\s*(?:by\s+([^<>=]+?)\s*)?(<=|>=|==|=|<|>)\s*([0-9.]+)\s*$`)
	oldNear   = regexp.MustCompile(`^\s*near\s+(.+?)\s*$`)
	oldSpan   = regexp.MustCompile(`^[0-9]+[smhd]$`)
	nearNoise = regexp.MustCompile(`(?i)\b(and|or|not|near|within|of|by)\b|[()]`)
	notPlain  = regexp.MustCompile(`[^a-z0-9]+`)
	oldBounds = map[string]string{"<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "=": "eq", "==": "eq"}
	newTypes  = map[string]string{"sum": "value_sum", "avg": "value_avg"}
)

// aggregation refuses what stands behind the bar at byte i of a condition.
func (s *sigma1) aggregation(rep *report, n *node, i int) {
	s.refused = true
	before, after := strings.TrimSpace(n.text[:i]), n.text[i+1:]
	e := bad(n.inside(i), "counting in a condition is Sigma 1; write `condition: %s`, `name: %s` in this rule and a correlation after it", before, s.name())
	if m := oldCount.FindStringSubmatch(after); m != nil {
		s.counted(e, before, m)
	} else if m := oldNear.FindStringSubmatch(after); m != nil {
		s.near(e, before, m[1])
	} else {
		e.Example = s.document("event_count", []string{s.name()}, nil, "", "gte", "10")
	}
	rep.add(e)
}

// counted fills in `count(field) by a, b > 5`.
func (s *sigma1) counted(e *Error, before string, m []string) {
	how, field, bound := m[1], m[2], oldBounds[m[4]]
	if how == "min" || how == "max" {
		e.Msg = fmt.Sprintf("`%s()` in a condition is Sigma 1; one event is enough for it: write `%s|%s: %s` in a search identifier", how, orField(field), bound, m[5])
		return
	}
	kind := newTypes[how]
	if kind == "" {
		kind = "event_count"
		if field != "" {
			kind = "value_count"
		}
	}
	e.Example = s.document(kind, []string{s.name()}, groups(m[3]), field, bound, m[5])
}

func orField(field string) string {
	if field == "" {
		return "field"
	}
	return field
}

func groups(by string) []string {
	var out []string
	for _, g := range strings.Split(by, ",") {
		if g = strings.TrimSpace(g); g != "" {
			out = append(out, g)
		}
	}
	return out
}

// near turns each search identifier into a rule that has to be seen.
func (s *sigma1) near(e *Error, before, after string) {
	var rules []string
	for _, word := range strings.Fields(nearNoise.ReplaceAllString(before+" "+after, " ")) {
		name := s.name() + "_" + strings.ToLower(word)
		if _, ok := s.detection.get(word); ok && !slices.Contains(rules, name) {
			rules = append(rules, name)
		}
	}
	e.Msg = "`near` is Sigma 1; write each search identifier as a rule of its own with a `name`, and a correlation after them"
	e.Example = s.document("temporal", rules, nil, "", "", "")
}

// timeframe refuses `timeframe` where no aggregation has been refused with it.
func (s *sigma1) timeframe(rep *report) {
	for _, p := range s.detection.pairs {
		if p.key == "timeframe" && !s.refused {
			e := bad(p.at, "`timeframe` is Sigma 1; one event has no length: leave it out, or count with a correlation whose `timespan` it is")
			e.Example = s.document("event_count", []string{s.name()}, nil, "", "gte", "10")
			rep.add(e)
		}
	}
}

// name is what the correlation calls this rule.
func (s *sigma1) name() string {
	if n, ok := s.doc.get("name"); ok && n.text != "" {
		return n.text
	}
	name := strings.Trim(notPlain.ReplaceAllString(strings.ToLower(s.text("title")), "_"), "_")
	if name == "" {
		return "base"
	}
	return name[:min(len(name), 60)]
}

func (s *sigma1) text(key string) string {
	n, ok := s.doc.get(key)
	if !ok {
		return ""
	}
	return n.text
}

// document is the correlation to write.
func (s *sigma1) document(kind string, rules, by []string, field, bound, number string) string {
	span := "5m"
	if n, ok := s.detection.get("timeframe"); ok && oldSpan.MatchString(n.text) {
		span = n.text
	}
	var b strings.Builder
	fmt.Fprintf(&b, "---\ntitle: %q\ncorrelation:\n  type: %s\n", strings.TrimSpace(s.text("title")+" in numbers"), kind)
	writeList(&b, "rules", rules)
	writeList(&b, "group-by", by)
	fmt.Fprintf(&b, "  timespan: %s\n", span)
	if bound != "" {
		fmt.Fprintf(&b, "  condition:\n    %s: %s\n", bound, number)
	}
	if field != "" {
		fmt.Fprintf(&b, "    field: %s\n", field)
	}
	if level := s.text("level"); level != "" {
		fmt.Fprintf(&b, "level: %s\n", level)
	}
	return b.String()
}

func writeList(b *strings.Builder, key string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s:\n", key)
	for _, it := range items {
		fmt.Fprintf(b, "    - %s\n", it)
	}
}
