package sigma_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
)

// body is a correlation of the rules a and b over five seconds, to which a row
// adds a line.
func body(kind, rest string) string {
	return correlation + "  type: " + kind + "\n  rules: [a, b]\n  group-by: [u]\n  timespan: 5s\n" + rest
}

func TestCorrelationsThatAreRefused(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{correlation + "  type: near\n", `"near" is not a type of correlation; write one of [event_count value_count value_sum value_avg value_percentile value_median temporal temporal_ordered]: x.yml:7:9`},
		{correlation + "  type: temporal\n  timespan: 5x\n", "timespan \"5x\": the unit must be s, m, h, d, w, M (months) or y; write for example 90m: x.yml:8:13"},
		{correlation + "  type: temporal\n  timespan: 400d\n", "timespan \"400d\" must be a whole number of units and lie between 1s and 366d: x.yml:8:13"},
		{correlation + "  type: temporal\n  timespan: 1.5h\n", "timespan \"1.5h\" must be a whole number of units and lie between 1s and 366d: x.yml:8:13"},
		{correlation + "  type: temporal\n", "a correlation needs `timespan`, such as 5m: x.yml:7:3"},
		{correlation + "  type: temporal\n  timespan: 5s\n", "a correlation needs `rules`: x.yml:7:3"},
		{correlation + "  type: event_count\n  every: 5s\n", `"every" is not a key of a correlation; there are type, rules, group-by, timespan, condition, aliases, generate, window and gap: x.yml:8:3`},
		{body("event_count", ""), "an event_count correlation needs `condition` with gt, gte, lt, lte, eq or neq: x.yml:7:3"},
		{body("event_count", "  condition: {gte: x}\n"), "`gte` takes a whole number from 0 to 10000: x.yml:11:20"},
		{body("event_count", "  condition: {gte: 0}\n"), "the condition holds for no events at all: x.yml:11:15"},
		{body("event_count", "  condition: {gte: 3, field: f}\n"), "an event_count condition takes no `field`: x.yml:11:30"},
		{body("event_count", "  condition: a and b\n"), "the condition of an event_count correlation must be a map like `gte: 10`: x.yml:11:14"},
		{body("event_count", "  condition: {count: 3}\n"), `"count" is not known in a correlation's condition; there are gt, gte, lt, lte, eq, neq, field, percentile and steps: x.yml:11:15`},
		{body("value_count", "  condition: {gte: 3}\n"), "a value_count condition needs `field`: x.yml:11:15"},
		{body("value_avg", "  condition: {gte: 3, field: [f, g]}\n"), "a value_avg condition computes with one `field`; only value_count takes several: x.yml:11:30"},
		{body("value_avg", "  condition: {gte: 3, field: f, percentile: 3}\n"), "`percentile` belongs to value_percentile alone: x.yml:11:33"},
		{body("value_percentile", "  condition: {gte: 3, field: f}\n"), "a value_percentile condition needs `percentile`, from 0 to 100: x.yml:11:15"},
		{body("value_percentile", "  condition: {gte: 3, field: f, percentile: 101}\n"), "`percentile` takes a number from 0 to 100: x.yml:11:45"},
		{body("value_sum", "  condition: {gte: much, field: f}\n"), "`gte` takes a number: x.yml:11:20"},
		{body("temporal", "  condition: a and c\n"), `"c" is not among the ` + "`rules` of the correlation: x.yml:11:20"},
		{body("temporal", "  condition: a\n"), "the condition does not name the rule \"b\" of `rules`; a rule that decides nothing is left out of both: x.yml:11:14"},
		{body("temporal", "  condition: (a and b\n"), "this parenthesis is not closed: x.yml:11:14"},
		{body("temporal", "  condition: a b\n"), `"b" is one too many in the condition: x.yml:11:16`},
		{body("temporal", "  condition: a and\n"), "the condition ends where a rule should stand: x.yml:11:19"},
		{body("temporal", "  condition: a and or b\n"), `"or" stands where a rule should: x.yml:11:20`},
		{body("temporal", "  condition: not a and not b\n"), "the condition holds for no events at all: name a rule that must match, such as `a and not b`: x.yml:11:14"},
		{body("temporal", "  condition: not (a and b)\n"), "the condition holds for no events at all: name a rule that must match, such as `a and not b`: x.yml:11:14"},
		{body("temporal", "  condition: {gte: 3}\n"), "the condition asks for more rules than the 2 there are: x.yml:11:15"},
		{body("temporal_ordered", "  condition: {gte: 3}\n"), "the condition asks for more rules than the 2 there are: x.yml:11:15"},
		{body("temporal_ordered", "  condition: {lt: 2}\n"), "a temporal_ordered condition counts with gt or gte; for what must not happen write `a and not b`: x.yml:11:15"},
		{body("temporal", "  condition: {steps: {a: -1}}\n"), "a step takes a whole number from 0 (never) to 10000: x.yml:11:26"},
		{body("temporal", "  condition: {steps: {c: 1}}\n"), `"c" is not among the ` + "`rules` of the correlation: x.yml:11:23"},
		{body("event_count", "  condition: {steps: {a: 1}}\n"), "`steps` is a map from rules to counts, for temporal and temporal_ordered: x.yml:11:15"},
		{body("temporal", "  condition: {steps: {a: 1}, gte: 1}\n"), "`steps` and a count of rules can't stand together; chain two correlations: x.yml:11:15"},
		{body("event_count", "  condition: {gte: 1}\n  window: hopping\n"), "\"hopping\" is not a window; write one of [sliding tumbling session]: x.yml:12:11"},
		{body("event_count", "  condition: {gte: 1}\n  window: session\n"), "a session window needs `gap`, the quiet time that ends it, such as 10m: x.yml:7:3"},
		{body("event_count", "  condition: {gte: 1}\n  gap: 1s\n"), "`gap` belongs to `window: session` alone: x.yml:12:8"},
		{body("event_count", "  condition: {gte: 1}\n  window: session\n  gap: 6s\n"), "the gap is longer than the timespan, which bounds the session: x.yml:13:8"},
	} {
		_, err := sigma.Parse("x.yml", []byte(row.text))
		if err == nil || err.Error() != row.want {
			t.Errorf("got  %v\nwant %s", err, row.want)
		}
	}
}

func TestConditionsBecomeAlternatives(t *testing.T) {
	for condition, want := range map[string]string{
		"a and b":                      "a1 b1",
		"b AND a":                      "a1 b1",
		"a or b":                       "a1 | b1",
		"a and not b":                  "a1 b0",
		"not not a and b":              "a1 b1",
		"a and not (b or not a)":       "a1 b0",
		"not (a and not b) and a":      "a1 b1",
		"(a or b) and not (a and b)":   "a1 b0 | a0 b1",
		"{steps: {a: 5}}":              "a5 b1",
		"{steps: {a: 5, b: 0}}":        "a5 b0",
		"a and\n    (b or\n    not b)": "a1 b1 | a1 b0",
	} {
		rules := parse(t, body("temporal_ordered", "  condition: "+condition+"\n"))
		var out []string
		for _, clause := range rules[0].Correlation.Clauses {
			var steps []string
			for _, s := range clause {
				steps = append(steps, rules[0].Correlation.Refs[s.Ref].Name+string(rune('0'+s.Count)))
			}
			out = append(out, strings.Join(steps, " "))
		}
		if got := strings.Join(out, " | "); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", condition, got, want)
		}
	}
}

func TestAConditionCanSayWhichRulesThereAre(t *testing.T) {
	rules := parse(t, correlation+"  type: temporal\n  timespan: 1w\n  condition: x and not y\n")
	if c := rules[0].Correlation; len(c.Refs) != 2 || c.Refs[0].Name != "x" || c.Refs[1].Name != "y" || c.Rising() {
		t.Errorf("%+v", c)
	}
}

// chained is a rule named base and correlations c1, c2 ... of which each counts
// what the row says.
func chained(over ...string) string {
	out := header + "  s: {a: 1}\n  condition: s\n"
	for i, name := range over {
		n := "123456789a"[i : i+1]
		doc := strings.Replace(correlation, "22222222-", strings.Repeat(n, 7)+"a-", 1)
		doc = strings.Replace(doc, "title: C\n", "title: C\nname: c"+n+"\n", 1)
		out += "---\n" + doc + "  type: event_count\n  rules:\n    - " + name + "\n  group-by: [u]\n  timespan: 5s\n  condition: {gte: 2}\n"
	}
	return out
}

func TestChainsThatAreRefused(t *testing.T) {
	long := []string{"base"}
	for i := range 9 {
		long = append(long, "c"+"123456789a"[i:i+1])
	}
	inner := strings.Replace(chained("base", "c1"), "gte: 2", "lt: 2", 1)
	for _, row := range []struct{ text, want string }{
		{chained("c1"), `correlations stand on each other in a circle or more than 8 high, by way of "c1"`},
		{chained("c2", "c1"), `correlations stand on each other in a circle or more than 8 high, by way of "c2"`},
		{chained(long...), `correlations stand on each other in a circle or more than 8 high, by way of "base"`},
		{strings.Replace(inner, "[u]", "[v]", 1), `"c1" is decided when its window has closed, so it carries its group-by fields alone; group it by "u" too`},
		{strings.Replace(chained("base"), "- base", "- base\n    - 11111111-1111-4111-8111-111111111111", 1), `the rule "11111111-1111-4111-8111-111111111111" is named twice`},
		{chained("base") + "  aliases:\n    u: {other: v}\n", "alias \"u\" speaks of the rule \"other\", which is not among `rules`"},
	} {
		_, err := sigma.Compile(parse(t, row.text), sigma.Options{})
		var se *sigma.Error
		if !errors.As(err, &se) || se.Msg != row.want || se.File != "x.yml" || se.Line < 2 {
			t.Errorf("got  %v\nwant %s", err, row.want)
		}
	}
	for _, good := range []string{chained("base", "c1", "c2"), chained(long[:8]...), inner} {
		if _, err := sigma.Compile(parse(t, good), sigma.Options{}); err != nil {
			t.Error(err)
		}
	}
}

// TestMatchesCarryWhatCorrelationsAsk: through aliases, and from below a chain.
func TestMatchesCarryWhatCorrelationsAsk(t *testing.T) {
	text := strings.Replace(chained("base", "c1"), "  group-by: [u]\n", "  group-by: [ip]\n  aliases:\n    ip: {base: src_ip}\n", 1)
	e, err := sigma.Compile(parse(t, text), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := e.NewView()
	v.Reset()
	if err := v.Load([]byte(`{"a":1,"src_ip":"192.0.2.1","ip":"no","u":"x"}`)); err != nil {
		t.Fatal(err)
	}
	e.Match(v, linux, func(m sigma.Match) {
		if m.Alerts {
			t.Error("a rule that only feeds a correlation raises an alert")
		}
		if f := m.Fields(); f["src_ip"] != "192.0.2.1" || f["u"] != "x" || f["ip"] != "" {
			t.Errorf("fields %v", f)
		}
		if c := e.Correlations()[0]; c.In("ip", m.Rule) != "src_ip" || c.In("u", m.Rule) != "u" {
			t.Errorf("aliases %v", c.Aliases)
		}
	})
}

// TestManyAlternativesAreRefused: what is too much to keep is never half kept.
func TestManyAlternativesAreRefused(t *testing.T) {
	var pairs, names []string
	for i := range 7 {
		x, y := fmt.Sprint("x", i), fmt.Sprint("y", i)
		names = append(names, x, y)
		pairs = append(pairs, "("+x+" and "+y+")")
	}
	text := "not (" + strings.Join(pairs, " or ") + ") and " + strings.Join(names[1:], " and ")
	for n, ok := range map[string]bool{text: false, "(" + strings.ReplaceAll(strings.Join(pairs, ") and ("), " and y", " or y") + ")": false, strings.Join(pairs, " or "): true} {
		_, err := sigma.Parse("x.yml", []byte(correlation+"  type: temporal\n  timespan: 5s\n  condition: "+n+"\n"))
		if (err == nil) != ok {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// FuzzCorrelation: whatever a condition says, it is refused with its place or
// becomes alternatives that each ask for something.
func FuzzCorrelation(f *testing.F) {
	for _, s := range []string{"a and not b", "(a or b) and not (a and b)", "{steps: {a: 5, b: 0}}", "{gte: 2}", "not not a or b", "((((a))))and b", "a AND\n    b", "{gt: 1, lte: 2}"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, condition string, ordered bool) {
		kind := map[bool]string{true: "temporal_ordered", false: "temporal"}[ordered]
		rules, err := sigma.Parse("x.yml", []byte(body(kind, "  condition: "+condition+"\n")))
		var se *sigma.Error
		if err != nil {
			if !errors.As(err, &se) || se.Line < 1 || se.Col < 1 {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, r := range rules {
			if r.Correlation == nil {
				continue
			}
			for _, clause := range r.Correlation.Clauses {
				if !slices.ContainsFunc(clause, func(s sigma.Step) bool { return s.Count > 0 }) || !slices.IsSortedFunc(clause, func(a, b sigma.Step) int { return a.Ref - b.Ref }) {
					t.Fatalf("%q: %+v", condition, clause)
				}
			}
			r.Correlation.Rising()
			r.Correlation.Shape()
		}
	})
}
