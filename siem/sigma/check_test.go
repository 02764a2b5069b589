package sigma_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
)

// said is what Check says, one line each.
func said(problems []sigma.Problem) string {
	var out []string
	for _, p := range problems {
		out = append(out, fmt.Sprintf("%d:%d %s: %s", p.Line, p.Col, p.Severity, p.Msg))
	}
	return strings.Join(out, "\n")
}

func TestCheckSaysEverythingAtOnce(t *testing.T) {
	rules, problems := sigma.Check("x.yml", []byte(`title: One
levell: high
statuss: test
owner: anna
status: expermental
logsource:
  product: linux
  servce: sshd
detection:
  a:
    Image|startwith: x
    Port|gt: many
    Net|cidr: 10.0.0.1
  b: []
  c: {x: [null, 1]}
  condition: a and nothing or b and c
---
title: Two
id: 11111111-1111-4111-8111-111111111112
author: A
logsource: {product: linux}
detection:
  a: {x: 1}
  condition: a
`))
	one := "e6c3f3f7-134b-8fba-9c42-989a0e76b26f"
	want := `1:1 note: the rule has no ` + "`id`" + `; it goes by ` + one + `, made of its file's name, its place there and its title
1:1 note: the rule has no ` + "`author`" + `; its alerts will say "unknown"
2:1 warning: "levell" is not a key of Sigma and means nothing; did you mean ` + "`level`" + `?
3:1 note: "statuss" is not a key of Sigma and means nothing
4:1 note: "owner" is not a key of Sigma and means nothing
5:9 warning: status "expermental" is not one of stable, test, experimental, deprecated, unsupported; did you mean ` + "`experimental`" + `?
8:3 warning: "servce" is not a key of a logsource and means nothing; did you mean ` + "`service`" + `?
11:11 error: modifier "startwith" is not known; did you mean ` + "`startswith`" + `?
12:14 error: "many" is not a number; write for example ` + "`Port|gt: 5`" + `
13:15 error: "10.0.0.1" is not a network in CIDR form; write ` + "`10.0.0.1/32`" + `
14:6 error: a search identifier is an empty list; write words or maps into it
15:11 warning: ` + "`null`" + ` can't stand in a list in Sigma; write a search identifier of its own for the field that is not there
16:20 error: there is no search identifier "nothing"; there are: a, b, c`
	if got := said(problems); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(rules) != 1 || rules[0].Title != "Two" {
		t.Errorf("the document that is right: %v", rules)
	}
}

func TestJudgementOfConditions(t *testing.T) {
	for _, row := range []struct{ detection, want string }{
		{"  s: {a: 1}\n  t: {b: 1}\n  condition: s", "10:3 warning: the condition does not use `t`; write it into the condition, or leave it out"},
		{"  s: {a: 1}\n  _t: {b: 1}\n  condition: all of them", "10:3 warning: the condition does not use `_t`; write it into the condition, or leave it out"},
		{"  s: {a: 1}\n  condition: s and not s", "10:14 error: the condition can never hold: it asks for something and for its opposite (`s`); write it without one of them"},
		{"  s: {a: 1}\n  condition: s or not s", "10:14 warning: the condition holds for every event (`s`); write what it is to find"},
		{"  s: {a: 1}\n  t: {a: 1}\n  condition: s and not t", "11:14 error: the condition can never hold: it asks for something and for its opposite (`s`); write it without one of them"},
		{"  s: {a: 1, b: 2}\n  t: {b: 2}\n  condition: s and not t", "11:14 error: the condition can never hold: it asks for something and for its opposite (`s`); write it without one of them"},
		{"  s: {a: [1, 2]}\n  t: {a: 2}\n  condition: s and not t", ""},
		{"  s: {a: 1, 'a|neq': 1}\n  condition: s", "10:14 error: the condition can never hold: it asks for something and for its opposite (`s`); write it without one of them"},
		{"  s: {a: x}\n  t: {a: null}\n  condition: s and t", "11:14 error: the condition can never hold: it asks for something and for its opposite; write it without one of them"},
		{"  s: {a: x}\n  t: {a: null}\n  condition: s and not t", ""},
		{"  s: {a: x}\n  t: {'a|exists': false}\n  condition: all of them", "11:14 error: the condition can never hold: it asks for something and for its opposite; write it without one of them"},
		{"  s: {'a|exists': true}\n  t: {a: null}\n  condition: s and t", ""},
		{"  s: {a: 1}\n  t: {b: 1}\n  condition: (s or t) and not (s and t)", ""},
		{"  s: {a: 1}\n  t: {b: 1}\n  condition: (s or t) and not s and not t", "11:14 error: the condition can never hold: it asks for something and for its opposite (`s`); write it without one of them"},
		{"  s: {'a|expand': '%x%'}\n  condition: s and not s", "10:14 error: the condition can never hold: it asks for something and for its opposite (`s`); write it without one of them"},
		{"  s: {'a|wide': x}\n  condition: s", "9:10 warning: `wide` without base64 looks for the raw bytes of UTF-16, which JSON text does not have; write `wide|base64offset|contains`"},
		{"  s: {'a|base64offset': http}\n  condition: s", "9:10 warning: `base64offset` finds a part of a longer text; write `base64offset|contains`"},
		{"  s: {'a|expand': x}\n  condition: s", "9:19 warning: `expand` finds no %placeholder% in the value; write `%name%`, or the item without `expand`"},
		{"  s: {'a|re|cased': x}\n  condition: s", "9:8 warning: `cased` changes nothing here; write the item without it"},
	} {
		rules, problems := sigma.Check("x.yml", []byte(header+row.detection+"\n"))
		if got := said(problems); got != row.want {
			t.Errorf("%s\ngot  %s\nwant %s", row.detection, got, row.want)
		}
		if len(rules) != 1 {
			t.Errorf("%s\nis not loaded", row.detection)
		}
		if _, err := sigma.Parse("x.yml", []byte(header+row.detection+"\n")); err != nil {
			t.Errorf("%s\nParse: %v", row.detection, err)
		}
	}
}

// TestAConditionOfManyQuestionsIsJudgedInTime: the search for answers ends.
func TestAConditionOfManyQuestionsIsJudgedInTime(t *testing.T) {
	var b strings.Builder
	cond := "s0"
	for i := range 200 {
		fmt.Fprintf(&b, "  s%d: {a%d: 1, b%d: 1}\n  n%d: {b%d: 1, a%d: 1}\n", i, i, (i+1)%200, i, i, (i+7)%200)
		cond += fmt.Sprintf(" and (s%d or not n%d)", i, (i+3)%200)
	}
	if _, problems := sigma.Check("x.yml", []byte(header+b.String()+"  condition: "+cond+"\n")); len(problems) > 0 {
		t.Error(said(problems))
	}
}

const noID = "title: T\nlogsource: {product: linux}\ndetection:\n  s: {a: 1}\n  condition: s\n"

func TestRulesWithoutIDGoByOneOfTheirOwn(t *testing.T) {
	id := func(file, text string, n int) string { return must(t, file, text)[n].ID }
	a := id("x.yml", noID, 0)
	if len(a) != 36 || a[14] != '8' || a != id("/etc/rules/x.yml", noID, 0) || a != id(`C:\rules\x.yml`, noID, 0) {
		t.Errorf("%s is no UUID that stays", a)
	}
	for _, other := range []string{id("y.yml", noID, 0), id("x.yml", strings.Replace(noID, "T\n", "U\n", 1), 0), id("x.yml", noID+"---\n"+noID, 1)} {
		if other == a {
			t.Errorf("two rules are called %s", a)
		}
	}
	r := must(t, "x.yml", noID)[0]
	if r.Author != sigma.Unknown || r.Level != sigma.LevelMedium {
		t.Errorf("author %q, level %q", r.Author, r.Level)
	}
	if got := must(t, "x.yml", "id: ABCDEF00-0000-4000-8000-000000000000\nauthor: [Anna, Boris]\n"+noID)[0]; got.ID != "abcdef00-0000-4000-8000-000000000000" || got.Author != "Anna, Boris" {
		t.Errorf("id %s, author %s", got.ID, got.Author)
	}
	if got := must(t, "x.yml", "id: SIG-7\n"+noID)[0]; got.ID != "SIG-7" {
		t.Errorf("id %s", got.ID)
	}
}

func must(t *testing.T, file, text string) []*sigma.Rule {
	t.Helper()
	rules, err := sigma.Parse(file, []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return rules
}

func TestLinks(t *testing.T) {
	uuid := "id: 11111111-1111-4111-8111-111111111111\n"
	for _, row := range []struct{ file, text, base, want string }{
		{"win/a b.yml", uuid + noID, "https://example.org/rules/", "https://example.org/rules/win/a%20b.yml"},
		{"./x.yml", uuid + noID, "https://example.org", "https://example.org/x.yml"},
		{"x.yml", "link: https://example.org/1\n" + uuid + noID, "https://other.example", "https://example.org/1"},
		{"x.yml", uuid + noID, "", "urn:uuid:11111111-1111-4111-8111-111111111111"},
		{"x.yml", "id: SIG 7\n" + noID, "", "urn:sigma:rule:SIG%207"},
	} {
		if got := sigma.WithLink(must(t, row.file, row.text), row.base)[0].Link; got != row.want {
			t.Errorf("link %s, want %s", got, row.want)
		}
	}
}

// TestRuleCollections: what the documents of Sigma 1 with `action` become.
func TestRuleCollections(t *testing.T) {
	rules := must(t, "x.yml", `action: global
title: G
id: 11111111-1111-4111-8111-111111111111
logsource: {product: linux}
---
action: global
author: Anna
detection: {condition: s}
---
detection: {s: {a: 1}}
level: low
---
action: repeat
level: high
---
title: Own
detection: {s: {a: 2}}
---
action: reset
---
title: Alone
logsource: {product: windows}
detection: {s: {a: 3}, condition: s}
`)
	var got []string
	for _, r := range rules {
		got = append(got, fmt.Sprint(r.Title, " ", r.Author, " ", r.Level, " ", r.Logsource.Product))
	}
	want := []string{"G Anna low linux", "G Anna high linux", "Own Anna medium linux", "Alone unknown medium windows"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	ids := map[string]bool{}
	for _, r := range rules {
		ids[r.ID] = true
	}
	if len(ids) != 4 || rules[0].ID != "11111111-1111-4111-8111-111111111111" {
		t.Errorf("ids %v", ids)
	}
	if _, problems := sigma.Check("x.yml", []byte("action: global\ntitle: G\n---\n"+strings.TrimPrefix(noID, "title: T\n"))); !strings.Contains(said(problems), "1:1 warning: `action: global` is Sigma 1") {
		t.Error(said(problems))
	}
}

// TestSigmaHQIsRight: nothing of SigmaHQ is refused, and next to nothing is
// found fault with; what the rules keep in memory is bounded. The margin over
// what was measured (31 MB, of which the shipped engine is a part) is generous.
func TestSigmaHQIsRight(t *testing.T) {
	const most = 120 << 20
	files := corpustest.Rules(t)
	before := heapNow()
	var rules []*sigma.Rule
	warnings := 0
	for _, f := range files {
		rs, problems := sigma.Check(f.Name, f.Text)
		rules = append(rules, rs...)
		for _, p := range problems {
			switch p.Severity {
			case sigma.SeverityError:
				t.Errorf("refused: %s", p)
			case sigma.SeverityWarning:
				warnings++
				t.Log(p)
			}
		}
	}
	engine, err := sigma.Compile(rules, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) < 3754 || warnings > 3 {
		t.Errorf("%d rules, %d warnings", len(rules), warnings)
	}
	kept := heapNow() - before
	t.Logf("%d rules keep %.1f MB", len(rules), float64(kept)/1e6)
	if kept > most {
		t.Errorf("%d rules keep %d bytes, at most %d are allowed", len(rules), kept, most)
	}
	runtime.KeepAlive(engine)
}

func heapNow() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
