package sigma_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
)

// explained is what one rule's explanation says of an event, a line each.
func explained(t *testing.T, detection, event string) []string {
	t.Helper()
	rules, err := sigma.Parse("x.yml", []byte(ruleHead+detection))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := sigma.Compile(rules, sigma.Options{
		Aliases: func(_ sigma.Logsource, field string) []string {
			return map[string][]string{"Image": {"process.executable"}}[field]
		},
		Placeholders: map[string][]string{"admins": {"anna", "ben"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	view := engine.NewView()
	view.Reset()
	if err := view.Load([]byte(event)); err != nil {
		t.Fatal(err)
	}
	all := engine.Explain(view, []sigma.Logsource{rules[0].Logsource}, sigma.ExplainOptions{})
	if len(all) != 1 {
		t.Fatalf("%d explanations", len(all))
	}
	x := all[0]
	out := []string{fmt.Sprintf("%s %d", x.Verdict, x.Distance)}
	x.Condition.Questions(func(q *sigma.Question, wanted bool) {
		if q.Holds {
			line := fmt.Sprintf("holds %s: %s = %q", q.Selection, q, q.Have)
			if len(q.Names) > 0 && q.Names[0] != q.Field {
				line += " of " + q.Names[0]
			}
			if !wanted {
				line = "un" + line
			}
			out = append(out, line)
		}
	})
	for _, c := range x.Change {
		line := fmt.Sprintf("change to %t %s: %s [%s] = %q", c.To, c.Question.Selection, c.Question, c.Question.Values[c.Value].Text, c.Question.Have)
		if n := c.Question.Nearest; n != nil {
			line += fmt.Sprintf(" nearest %q %q", c.Question.Values[n.Value].Text, n.Common)
		}
		out = append(out, line)
	}
	return out
}

const ruleHead = `title: T
id: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a2d99
author: A
logsource: {product: windows, category: process_creation}
detection:
`

func TestExplainSaysWhy(t *testing.T) {
	cases := []struct {
		name, detection, event string
		want                   []string
	}{
		{
			"all that holds is named", `
  selection_img:
    Image|endswith: '\rundll32.exe'
  selection_cli:
    CommandLine|contains|all: [javascript, '..\']
  condition: all of selection_*`,
			`{"Image":"C:\\Windows\\rundll32.exe","CommandLine":"rundll32 javascript:..\\mshtml"}`,
			[]string{
				`fired 0`,
				`holds selection_img: Image ends with "\rundll32.exe" = ["C:\\Windows\\rundll32.exe"]`,
				`holds selection_cli: CommandLine contains all of "javascript", "..\" = ["rundll32 javascript:..\\mshtml"]`,
			},
		},
		{
			"one of several values is missing and the nearest is named", `
  selection:
    Image|endswith: '\findstr.exe'
    CommandLine|contains: ['(Everyone)', 'Everyone:', 'BUILTIN\Users', '(Users)']
  condition: selection`,
			`{"Image":"C:\\Windows\\findstr.exe","CommandLine":"findstr BUILTIN\\Admins"}`,
			[]string{
				`near 1`,
				`holds selection: Image ends with "\findstr.exe" = ["C:\\Windows\\findstr.exe"]`,
				`change to true selection: CommandLine contains any of 4 values [(Everyone)] = ["findstr BUILTIN\\Admins"] nearest "BUILTIN\\Users" "builtin\\"`,
			},
		},
		{
			"a filter stopped it", `
  selection:
    CommandLine|contains: ' -enc '
  filter_main_system:
    Image|endswith: '\svchost.exe'
  filter_optional_x:
    Image|endswith: '\x.exe'
  condition: selection and not 1 of filter_*`,
			`{"Image":"C:\\svchost.exe","CommandLine":"powershell -enc QQ"}`,
			[]string{
				`near 1`,
				`holds selection: CommandLine contains " -enc " = ["powershell -enc QQ"]`,
				`unholds filter_main_system: Image ends with "\svchost.exe" = ["C:\\svchost.exe"]`,
				`change to false filter_main_system: Image ends with "\svchost.exe" [\svchost.exe] = ["C:\\svchost.exe"]`,
			},
		},
		{
			"expressions, networks and numbers", `
  selection:
    CommandLine|re: 'a+b'
    DestinationIp|cidr: 10.0.0.0/8
    Port: 445
    Size|gte: 100
  condition: selection`,
			`{"CommandLine":"xaab","DestinationIp":"10.1.2.3","Port":445,"Size":99}`,
			[]string{
				`near 1`,
				`holds selection: CommandLine matches "a+b" = ["xaab"]`,
				`holds selection: DestinationIp lies in "10.0.0.0/8" = ["10.1.2.3"]`,
				`holds selection: Port is "445" = ["445"]`,
				`change to true selection: Size is at least "100" [100] = ["99"]`,
			},
		},
		{
			"absence, presence and difference", `
  selection:
    User: null
    Image|exists: true
    Company|neq: Microsoft
    Product: ''
  condition: selection`,
			`{"Image":"C:\\x.exe","Company":"Evil","Product":""}`,
			[]string{
				`fired 0`,
				`holds selection: User is null or not there = []`,
				`holds selection: Image is there = ["C:\\x.exe"]`,
				`holds selection: Company is not "Microsoft" = ["Evil"]`,
				`holds selection: Product is "" = [""]`,
			},
		},
		{
			"that a field is there is no sign", `
  selection:
    Image|exists: true
    CommandLine: x
  condition: selection`,
			`{"Image":"C:\\windows\\notepad.exe"}`,
			[]string{
				`silent 1`,
				`holds selection: Image is there = ["C:\\windows\\notepad.exe"]`,
				`change to true selection: CommandLine is "x" [x] = []`,
			},
		},
		{
			"nor is what a list of differences says", `
  selection:
    Image|neq: [a, b]
    CommandLine: x
  condition: selection`,
			`{"Image":"C:\\windows\\notepad.exe"}`,
			[]string{
				`silent 1`,
				`holds selection: Image is not any of "a", "b" = ["C:\\windows\\notepad.exe"]`,
				`change to true selection: CommandLine is "x" [x] = []`,
			},
		},
		{
			"words anywhere", `
  keywords: [mimikatz, sekurlsa]
  condition: keywords`,
			`{"Message":"ran Mimikatz","X":"y"}`,
			[]string{`fired 0`, `holds keywords: some value contains any of "mimikatz", "sekurlsa" = ["ran Mimikatz"]`},
		},
		{
			"one word", `
  keywords: mimikatz
  other: [ran]
  condition: keywords and other`,
			`{"Message":"ran mimi"}`,
			[]string{
				`silent 1`,
				`holds other: some value contains "ran" = ["ran mimi"]`,
				`change to true keywords: some value contains "mimikatz" [mimikatz] = []`,
			},
		},
		{
			"another field", `
  selection:
    SubjectUserName|fieldref: TargetUserName
  condition: selection`,
			`{"SubjectUserName":"anna","TargetUserName":"Anna"}`,
			[]string{`fired 0`, `holds selection: SubjectUserName is what is in the field "TargetUserName" = ["anna"]`},
		},
		{
			"an encoded value is said in the clear", `
  selection:
    CommandLine|wide|base64offset|contains: IEX
  condition: selection`,
			`{"CommandLine":"powershell -e SQBFAFgA"}`,
			[]string{`fired 0`, `holds selection: CommandLine contains the base64 of the UTF-16 of "IEX" = ["powershell -e SQBFAFgA"]`},
		},
		{
			"of a placeholder its values", `
  selection:
    User|expand: '%admins%'
    Image|endswith: '\cmd.exe'
  condition: selection`,
			`{"User":"ben","Image":"c:\\cmd.exe"}`,
			[]string{
				`fired 0`,
				`holds selection: User is any of "anna", "ben" = ["ben"]`,
				`holds selection: Image ends with "\cmd.exe" = ["c:\\cmd.exe"]`,
			},
		},
		{
			"a placeholder without values holds for nothing", `
  selection:
    User|expand: '%nobody%'
    Image|endswith: '\cmd.exe'
  condition: selection`,
			`{"User":"ben","Image":"c:\\cmd.exe"}`,
			[]string{
				`near 1`,
				`holds selection: Image ends with "\cmd.exe" = ["c:\\cmd.exe"]`,
				`change to true selection: User is "%nobody%", which has no values [%nobody%] = []`,
			},
		},
		{
			"dashes and case", `
  selection:
    CommandLine|contains|windash: ' -enc'
    User|cased: Anna
  condition: selection`,
			`{"CommandLine":"p /enc","User":"Anna"}`,
			[]string{
				`fired 0`,
				`holds selection: CommandLine contains (with any dash) " -enc" = ["p /enc"]`,
				`holds selection: User is (case counts) "Anna" = ["Anna"]`,
			},
		},
		{
			"a list of maps is any of them, and the nearer one counts", `
  selection:
    - Image|endswith: '\a.exe'
      User: root
      Port: 1
    - Image|endswith: '\long-name.exe'
      Port: 2
  condition: selection`,
			`{"Image":"C:\\long-name.exe","Port":3}`,
			[]string{
				`near 1`,
				`holds selection: Image ends with "\long-name.exe" = ["C:\\long-name.exe"]`,
				`change to true selection: Port is "2" [2] = ["3"]`,
			},
		},
		{
			"an alias carries the field", `
  selection:
    Image|endswith: '\cmd.exe'
  condition: selection`,
			`{"process":{"executable":"C:\\cmd.exe"}}`,
			[]string{`fired 0`, `holds selection: Image ends with "\cmd.exe" = ["C:\\cmd.exe"] of process.executable`},
		},
		{
			"what asks for its own opposite never fires", `
  selection:
    Image: a
  condition: selection and not selection`,
			`{"Image":"a"}`,
			[]string{`silent -1`, `holds selection: Image is "a" = ["a"]`, `unholds selection: Image is "a" = ["a"]`},
		},
		{
			"what stands in two places changes once", `
  a:
    Image: x
    User: y
  b:
    Image: x
    Port: 7
  condition: a and b`,
			`{"Port":7,"User":"y","Image":"z"}`,
			[]string{
				`near 1`,
				`holds a: User is "y" = ["y"]`,
				`holds b: Port is "7" = ["7"]`,
				`change to true a: Image is "x" [x] = ["z"]`,
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := explained(t, strings.TrimPrefix(c.detection, "\n"), c.event)
			if a, b := strings.Join(got, "\n"), strings.Join(c.want, "\n"); a != b {
				t.Errorf("got:\n%s\nwant:\n%s", a, b)
			}
		})
	}
}

// TestExplainNamesTheFilterBeside a rule: an exclusion is what stopped it.
func TestExplainNamesTheFilterBeside(t *testing.T) {
	rules, err := sigma.Parse("x.yml", []byte(ruleHead+`  selection:
    Image|endswith: '\cmd.exe'
  condition: selection
---
title: Backup host
id: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a2d98
logsource: {product: windows}
filter:
  rules: [5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a2d99]
  selection:
    Computer: backup-1
  condition: not selection
`))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // compiling again names it no second time
		engine, err := sigma.Compile(rules, sigma.Options{})
		if err != nil {
			t.Fatal(err)
		}
		view := engine.NewView()
		view.Reset()
		if err := view.Load([]byte(`{"Image":"C:\\cmd.exe","Computer":"backup-1"}`)); err != nil {
			t.Fatal(err)
		}
		x := engine.Explain(view, []sigma.Logsource{rules[0].Logsource}, sigma.ExplainOptions{})[0]
		if !x.Stopped() || x.Verdict != sigma.Near || x.Change[0].Question.Filter != "Backup host" || x.Change[0].Question.String() != `Computer is "backup-1"` {
			t.Errorf("%s, %+v", x.Verdict, x.Change)
		}
		if f := x.Condition.Parts[1]; f.Filter != "Backup host" || f.Holds {
			t.Errorf("%+v", f)
		}
	}
}

// TestExplainOfALongEvent is bounded: it leaves out rules of which there is no
// sign, and none that fires.
func TestExplainOfALongEvent(t *testing.T) {
	var text strings.Builder
	const rules = 300
	for i := range rules {
		fmt.Fprintf(&text, "title: R\nid: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a%04d\nlogsource: {product: windows}\ndetection:\n  s: {Image: x, C|contains: [word%d, other%d]}\n  condition: s\n---\n", i, i, i)
	}
	parsed, err := sigma.Parse("x.yml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := sigma.Compile(parsed, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	view, source := engine.NewView(), []sigma.Logsource{{Product: "windows"}}
	explain := func(event string, o sigma.ExplainOptions) []sigma.Explanation {
		view.Reset()
		if err := view.Load([]byte(event)); err != nil {
			t.Fatal(err)
		}
		return engine.Explain(view, source, o)
	}
	long := `{"Image":"x","C":"` + strings.Repeat("a", 1<<20) + ` word7 "}`
	got := explain(long, sigma.ExplainOptions{})
	if !view.Long() || len(got) == 0 || got[0].Verdict != sigma.Fired || got[0].Rule != parsed[7] {
		t.Errorf("%d explanations of a long event", len(got))
	}
	if n := len(got[0].Holds[1].Have[0]); n > 4<<10 {
		t.Errorf("%d bytes of a value are told", n)
	}
	if got := explain(long, sigma.ExplainOptions{Rule: parsed[8].ID}); len(got) != 1 || got[0].Distance != 1 {
		t.Errorf("%+v", got)
	}
	if got := explain(`{"Image":"x","C":"a word7"}`, sigma.ExplainOptions{}); view.Long() || len(got) != rules {
		t.Errorf("%d explanations of a short one", len(got))
	}
}

// TestExplainAgreesWithTheEngine asks about every rule of SigmaHQ and every
// third event of its regression set, in a long run every one: what explaining calls fired is what fires.
func TestExplainAgreesWithTheEngine(t *testing.T) {
	rules, _ := corpus(t)
	engine, err := sigma.Compile(rules, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bySource := make(map[string]sigma.Logsource)
	for _, r := range rules {
		bySource[r.ID] = r.Logsource
	}
	view := engine.NewView()
	events, near, step := 0, 0, 3
	switch {
	case long():
		step = 1
	case raced:
		step = 12
	}
	for n, c := range corpustest.Cases(t) {
		if n%step != 0 {
			continue
		}
		events++
		sources := []sigma.Logsource{bySource[c.Rule]}
		view.Reset()
		if err := view.Load(c.Event); err != nil {
			t.Fatal(err)
		}
		fired := make(map[string]bool)
		engine.Match(view, sources, func(m sigma.Match) { fired[m.Rule.ID] = true })
		for _, x := range engine.Explain(view, sources, sigma.ExplainOptions{}) {
			if (x.Verdict == sigma.Fired) != fired[x.Rule.ID] || (x.Distance == 0) != fired[x.Rule.ID] {
				t.Errorf("%s on %.100s: %s at distance %d, the engine says %t", x.Rule.ID, c.Event, x.Verdict, x.Distance, fired[x.Rule.ID])
			}
			if x.Distance > 0 && !x.Condition.Would(x.Change) {
				t.Errorf("%s on %.100s: the %d changes do not make it hold", x.Rule.ID, c.Event, x.Distance)
			}
			if x.Verdict == sigma.Near {
				near++
			}
		}
	}
	t.Logf("%d events, %.1f rules nearly fired for each", events, float64(near)/float64(events))
}

// TestDistanceIsTheSmallest compares the distance of random conditions, in which
// answers recur, with what trying every set of answers finds.
func TestDistanceIsTheSmallest(t *testing.T) {
	const fields = 6
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		cond := randomCondition(rnd, 3)
		var b strings.Builder
		for i := range fields {
			fmt.Fprintf(&b, "  s%d: {f%d: y}\n", i, i)
		}
		rules, err := sigma.Parse("x.yml", []byte(ruleHead+b.String()+"  condition: "+cond))
		if err != nil {
			t.Fatal(err)
		}
		engine, err := sigma.Compile(rules, sigma.Options{})
		if err != nil {
			t.Fatal(err)
		}
		view := engine.NewView()
		holds := func(set int) bool {
			ev := make(map[string]string)
			for i := range fields {
				ev[fmt.Sprintf("f%d", i)] = []string{"n", "y"}[set>>i&1]
			}
			raw, _ := json.Marshal(ev)
			view.Reset()
			if err := view.Load(raw); err != nil {
				t.Fatal(err)
			}
			fired := false
			engine.Match(view, []sigma.Logsource{rules[0].Logsource}, func(sigma.Match) { fired = true })
			return fired
		}
		start, want := rnd.IntN(1<<fields), -1
		for other := range 1 << fields {
			if n := ones(start ^ other); holds(other) && (want < 0 || n < want) {
				want = n
			}
		}
		holds(start)
		got := engine.Explain(view, []sigma.Logsource{rules[0].Logsource}, sigma.ExplainOptions{})[0]
		if got.Distance != want {
			t.Errorf("%s with %b: distance %d, the smallest is %d", cond, start, got.Distance, want)
		}
	}
}

func ones(n int) (out int) {
	for ; n > 0; n &= n - 1 {
		out++
	}
	return out
}

func randomCondition(rnd *rand.Rand, depth int) string {
	if depth == 0 || rnd.IntN(5) == 0 {
		return fmt.Sprintf("s%d", rnd.IntN(6))
	}
	switch rnd.IntN(4) {
	case 0:
		return "not (" + randomCondition(rnd, depth-1) + ")"
	case 1:
		return "(" + randomCondition(rnd, depth-1) + " or " + randomCondition(rnd, depth-1) + ")"
	}
	return "(" + randomCondition(rnd, depth-1) + " and " + randomCondition(rnd, depth-1) + ")"
}
