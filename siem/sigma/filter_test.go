package sigma_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/siem/sigma"
)

const (
	filtered = "title: R\nid: 11111111-1111-4111-8111-111111111111\nname: r\nlogsource: {product: linux, service: sshd}\ndetection:\n  s: {a: 1}\n  condition: s\n---\n" +
		"title: Other\nid: 11111111-1111-4111-8111-111111111112\nname: other\nlogsource: {product: windows}\ndetection:\n  s: {a: 1}\n  condition: s\n---\n"
	filterHead = "title: F\nlogsource: {product: linux}\nowner: anna\nreason: ticket 7\nexpires: 2026-06-01\nfilter:\n"
)

// found lists the names of the rules that find the event.
func found(t *testing.T, text string, o sigma.Options, event string) string {
	t.Helper()
	rules := must(t, "x.yml", text)
	e, err := sigma.Compile(rules, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	v := e.NewView()
	v.Reset()
	if err := v.Load([]byte(event)); err != nil {
		t.Fatal(err)
	}
	var names []string
	e.Match(v, []sigma.Logsource{{Product: "linux", Service: "sshd"}, {Product: "windows"}}, func(m sigma.Match) { names = append(names, m.Rule.Name) })
	return strings.Join(names, " ")
}

func TestFilters(t *testing.T) {
	day := func(s string) sigma.Options {
		at, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return sigma.Options{Now: at}
	}
	for _, row := range []struct {
		name, filter, event, want string
		o                         sigma.Options
	}{
		{"by name, leaving out", "  rules: [r]\n  f: {u: x}\n  condition: not f\n", `{"a":1,"u":"x"}`, "other", sigma.Options{}},
		{"by name, others stay", "  rules: [r]\n  f: {u: x}\n  condition: not f\n", `{"a":1,"u":"y"}`, "r other", sigma.Options{}},
		{"by id", "  rules: 11111111-1111-4111-8111-111111111111\n  f: {u: x}\n  condition: not f\n", `{"a":1,"u":"x"}`, "other", sigma.Options{}},
		{"what it keeps", "  rules: [r]\n  f: {u: x}\n  condition: f\n", `{"a":1,"u":"y"}`, "other", sigma.Options{}},
		{"any rule that it covers", "  rules: any\n  f: {u: x}\n  condition: not f\n", `{"a":1,"u":"x"}`, "other", sigma.Options{}},
		{"in a list", "  rules: [any]\n  f: {u: x}\n  condition: not 1 of f*\n", `{"a":1,"u":"x"}`, "other", sigma.Options{}},
		{"before its day", "  rules: [r]\n  f: {u: x}\n  condition: not f\n", `{"a":1,"u":"x"}`, "other", day("2026-05-31")},
		{"on its day", "  rules: [r]\n  f: {u: x}\n  condition: not f\n", `{"a":1,"u":"x"}`, "r other", day("2026-06-01")},
		{"of nobody", "  rules: [r, nobody]\n  f: {u: x}\n  condition: not f\n", `{"a":1,"u":"x"}`, "other", sigma.Options{LooseFilters: true}},
		{"with placeholders", "  rules: [r]\n  f: {u|expand: '%x%'}\n  condition: not f\n", `{"a":1,"u":"x"}`, "other", sigma.Options{Placeholders: map[string][]string{"x": {"w", "x"}}}},
		{"with placeholders without values", "  rules: [r]\n  f: {u|expand: '%x%'}\n  condition: not f\n", `{"a":1,"u":"x"}`, "r other", sigma.Options{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, text := range []string{filtered + filterHead + row.filter, filterHead + row.filter + "---\n" + filtered} {
				if got := found(t, text, row.o, row.event); got != row.want {
					t.Errorf("found %q, want %q", got, row.want)
				}
			}
		})
	}
}

func TestTwoFiltersMustBothHold(t *testing.T) {
	one := filterHead + "  rules: [r]\n  f: {u: x}\n  condition: not f\n---\n"
	two := strings.Replace(filterHead, "title: F", "title: G", 1) + "  rules: any\n  f: {h: y}\n  condition: not f\n"
	for event, want := range map[string]string{`{"a":1}`: "r other", `{"a":1,"u":"x"}`: "other", `{"a":1,"h":"y"}`: "other"} {
		if got := found(t, filtered+one+two, sigma.Options{}, event); got != want {
			t.Errorf("%s: found %q, want %q", event, got, want)
		}
	}
}

func TestAFilterSaysWhoAnswersForIt(t *testing.T) {
	r := must(t, "x.yml", filterHead+"  rules: [r]\n  f: {u: x}\n  condition: not f\n")[0]
	f := r.Filter
	if f == nil || f.Owner != "anna" || f.Reason != "ticket 7" || !f.Expires.Equal(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) || len(f.Refs) != 1 || f.Refs[0].Name != "r" || r.ID == "" {
		t.Errorf("%+v of %+v", f, r)
	}
	if got := r.Fields(); len(got) != 1 || got[0] != "u" {
		t.Errorf("fields %v", got)
	}
	_, problems := sigma.Check("x.yml", []byte(filterHead+"  rules: [r]\n  f: {u: x}\n  condition: f\n"))
	if !strings.Contains(said(problems), "9:14 warning: the rules will find only what this condition holds for; to leave that out write `not (f)`") {
		t.Error(said(problems))
	}
}

func TestCompileRefusesFilters(t *testing.T) {
	corr := "title: C\nid: 11111111-1111-4111-8111-111111111113\nname: c\ncorrelation: {type: event_count, rules: [r], timespan: 5m, condition: {gte: 2}}\n---\n"
	for _, row := range []struct{ filter, want string }{
		{"  rules: [othr]\n  f: {u: x}\n  condition: not f\n", "the filter names \"othr\", and no rule loaded has that id or name; did you mean `other`?: x.yml:28:11"},
		{"  rules: [other]\n  f: {u: x}\n  condition: not f\n", "the filter's logsource linux/-/- does not cover that of \"other\", windows/-/-; write the filter's logsource as `logsource: {product: windows}`, or leave parts of it out: x.yml:28:11"},
		{"  rules: [c]\n  f: {u: x}\n  condition: not f\n", "a filter can't change a correlation; name the rules that \"c\" counts: x.yml:28:11"},
	} {
		_, err := sigma.Compile(must(t, "x.yml", filtered+corr+filterHead+row.filter), sigma.Options{})
		if err == nil || err.Error() != row.want {
			t.Errorf("got  %v\nwant %s", err, row.want)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	values := map[string][]string{"adm": {"anna", "b*"}, "net": {"10.0.0.0/8"}, "n": {"5"}, "site": {"ber", "muc"}, "dot": {"a.c"}, "field": {"other"}}
	for _, row := range []struct{ item, event, want string }{
		{`u|expand: '%adm%'`, `{"u":"Boris"}`, "yes"},
		{`u|expand: '%adm%'`, `{"u":"xb"}`, "no"},
		{`u|expand: '%nobody%'`, `{"u":"%nobody%"}`, "no"},
		{`u|expand|neq: '%nobody%'`, `{"u":"x"}`, "no"},
		{`u|expand|neq: '%adm%'`, `{"u":"carla"}`, "yes"},
		{`u|expand|neq: '%adm%'`, `{"u":"anna"}`, "no"},
		{`u|expand: ['%nobody%', x]`, `{"u":"x"}`, "yes"},
		{`u|contains|expand: '-%site%-'`, `{"u":"srv-MUC-1"}`, "yes"},
		{`u|contains|all|expand: ['%site%', '%adm%']`, `{"u":"ber anna"}`, "yes"},
		{`u|contains|all|expand: ['%site%', '%nobody%']`, `{"u":"ber anna"}`, "no"},
		{`u|expand: '%site%-%site%'`, `{"u":"ber-muc"}`, "yes"},
		{`u|expand: '\%plain%site%'`, `{"u":"%plainber"}`, "yes"},
		{`u|expand: '100\%'`, `{"u":"100%"}`, "yes"},
		{`u|expand: '100%'`, `{"u":"100%"}`, "yes"},
		{`u: '%adm%'`, `{"u":"%adm%"}`, "yes"},
		{`u|re|expand: '^%dot%$'`, `{"u":"a.c"}`, "yes"},
		{`u|re|expand: '^%dot%$'`, `{"u":"abc"}`, "no"},
		{`u|cidr|expand: '%net%'`, `{"u":"10.1.1.1"}`, "yes"},
		{`u|gt|expand: '%n%'`, `{"u":6}`, "yes"},
		{`u|base64|expand: '%n%'`, `{"u":"NQ=="}`, "yes"},
		{`u|fieldref|expand: '%field%'`, `{"u":"x","other":"x"}`, "yes"},
	} {
		e, err := sigma.Compile(must(t, "x.yml", header+"  s:\n    "+row.item+"\n  condition: s\n"), sigma.Options{Placeholders: values})
		if err != nil {
			t.Fatal(err)
		}
		if got := matches(t, e, row.event); got != (row.want == "yes") {
			t.Errorf("%s on %s: %t", row.item, row.event, got)
		}
	}
	r := must(t, "x.yml", header+"  s: {'a|expand': ['%x%-%y%', '%x%'], 'b|expand': '%z%'}\n  condition: s\n")[0]
	if got := strings.Join(r.Placeholders(), " "); got != "x y z" {
		t.Errorf("placeholders %s", got)
	}
	if got := strings.Join(r.Fields(), " "); got != "a b" {
		t.Errorf("fields %s", got)
	}
}

func TestPlaceholdersThatDoNotFit(t *testing.T) {
	many := make([]string, 200)
	for i := range many {
		many[i] = "x"
	}
	for _, row := range []struct {
		item   string
		values []string
		want   string
	}{
		{`u|cidr|expand: '%x%'`, []string{"nonsense"}, `"nonsense" is not a network in CIDR form; write an address, a slash and the length, like ` + "`10.0.0.0/8` or `fe80::/10`" + `: x.yml:10:20`},
		{`u|expand: '%x%%x%%x%'`, many, `its placeholders make more than 10000 values of "%x%%x%%x%"; write fewer placeholders into one value: x.yml:10:15`},
	} {
		_, err := sigma.Compile(must(t, "x.yml", header+"  s:\n    "+row.item+"\n  condition: s\n"), sigma.Options{Placeholders: map[string][]string{"x": row.values}})
		if err == nil || err.Error() != row.want {
			t.Errorf("got  %v\nwant %s", err, row.want)
		}
	}
}

func TestPlaceholderFiles(t *testing.T) {
	got, err := sigma.ParsePlaceholders("p.yml", []byte("Administrators: [anna, adm_*]\n'%Net%': 10.0.0.0/8\nn: 5\nnone: []\n"))
	if want := "map[Administrators:[anna adm_*] Net:[10.0.0.0/8] n:[5] none:[]]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v", got, err)
	}
	for _, row := range []struct{ text, want string }{
		{"- a\n", "the file must be one map; write for example `Administrators: [anna, adm_*]`: p.yml:1:1"},
		{"a b: c\n", "\"a b\" is no name of a placeholder; write letters, digits, `_`, `-` and `.`: p.yml:1:1"},
		{"a: {b: c}\n", "`a` must be text, this is a map: p.yml:1:5"},
		{"a: [\n", "the bracket `[` that opens here is not closed: p.yml:1:4"},
	} {
		if _, err := sigma.ParsePlaceholders("p.yml", []byte(row.text)); err == nil || err.Error() != row.want {
			t.Errorf("got  %v\nwant %s", err, row.want)
		}
	}
}

// TestEveryFaultOfFiltersIsSaid in one error.
func TestEveryFaultOfFiltersIsSaid(t *testing.T) {
	one := filterHead + "  rules: [nobody]\n  f: {u: x}\n  condition: not f\n---\n"
	_, err := sigma.Compile(must(t, "x.yml", filtered+one+strings.Replace(one, "title: F", "title: G", 1)), sigma.Options{})
	if got := sigma.ProblemsOf(err); len(got) != 2 || got[0].Line != 23 || got[1].Line != 33 {
		t.Errorf("%v", got)
	}
}

// TestWhatToWriteInsteadIsRight: the correlation that an error writes is read,
// and compiles with the rule that it changes.
func TestWhatToWriteInsteadIsRight(t *testing.T) {
	for _, cond := range []string{"s | count() > 5", "s | count(u) by h, 'x y' >= 5", "s | sum(bytes) by h > 1e6", "s | avg(bytes) < 10", "s | foo", "s\n  timeframe: 90s", "s | count() = 3\n  timeframe: 24h"} {
		rule := "title: 'A: b \"c\"'\nlevel: high\nlogsource: {product: linux}\ndetection:\n  s: {a: 1}\n  condition: "
		_, err := sigma.Parse("x.yml", []byte(rule+cond+"\n"))
		p, ok := sigma.ProblemOf(err)
		if !ok || p.Example == "" {
			t.Errorf("%s: %v", cond, err)
			continue
		}
		text := "name: a_b_c\n" + rule + "s\n" + p.Example
		rules, err := sigma.Parse("x.yml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v\n%s", cond, err, text)
			continue
		}
		if _, err := sigma.Compile(rules, sigma.Options{}); err != nil {
			t.Errorf("%s: %v\n%s", cond, err, text)
		}
	}
}
