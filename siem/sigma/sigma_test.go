package sigma_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

// header is a rule up to its detection; eight lines.
const header = `title: T
id: 11111111-1111-4111-8111-111111111111
name: base
author: A
level: low
logsource:
  product: linux
detection:
`

var linux = []sigma.Logsource{{Product: "linux", Service: "sshd"}}

// compile makes an engine of one detection.
func compile(t *testing.T, detection string) *sigma.Engine {
	t.Helper()
	e, err := sigma.Compile(parse(t, header+detection), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func parse(t *testing.T, text string) []*sigma.Rule {
	t.Helper()
	rules, err := sigma.Parse("x.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return rules
}

// matches reports whether any rule of e holds for the event.
func matches(t *testing.T, e *sigma.Engine, event string) bool {
	t.Helper()
	v := e.NewView()
	v.Reset()
	if err := v.Load([]byte(event)); err != nil {
		t.Fatal(err)
	}
	hit := false
	e.Match(v, linux, func(sigma.Match) { hit = true })
	return hit
}

func TestMatching(t *testing.T) {
	for _, row := range []struct{ item, event, want string }{
		// Text: case, wildcards, escapes.
		{`a: Root`, `{"a":"rOOT"}`, "yes"},
		{`a: root`, `{"a":"root2"}`, "no"},
		{`a|cased: Root`, `{"a":"root"}`, "no"},
		{`a: 'É'`, `{"a":"é"}`, "yes"},
		{`a: r*t`, `{"a":"root"}`, "yes"},
		{`a: r?t`, `{"a":"root"}`, "no"},
		{`a: 'r??t'`, `{"a":"röot"}`, "yes"},
		{`a: 'r\*t'`, `{"a":"root"}`, "no"},
		{`a: 'r\*t'`, `{"a":"r*t"}`, "yes"},
		{`a: 'c:\\win*\cmd.exe'`, `{"a":"C:\\Windows\\cmd.exe"}`, "yes"},
		{`a: 'a*b*c'`, `{"a":"a-b-b-c"}`, "yes"},
		{`a: '*ab'`, `{"a":"aab"}`, "yes"},
		{`a: '?b*'`, `{"a":"ab"}`, "yes"},
		{`a|contains: mid`, `{"a":"aMIDb"}`, "yes"},
		{`a|startswith: mid`, `{"a":"amid"}`, "no"},
		{`a|endswith: mid`, `{"a":"amid"}`, "yes"},
		{`a|contains|all: [x, y]`, `{"a":"y-x"}`, "yes"},
		{`a|contains|all: [x, y]`, `{"a":"x"}`, "no"},
		{`a: [x, y]`, `{"a":"y"}`, "yes"},
		{`a|neq: x`, `{"a":"y"}`, "yes"},
		{`a|neq: [x, y]`, `{"a":"y"}`, "no"},
		{`a: ''`, `{"a":""}`, "yes"},
		{`a: '*'`, `{"b":""}`, "no"},
		// What is there and what is not.
		{`a: null`, `{"b":1}`, "yes"},
		{`a: null`, `{"a":null}`, "yes"},
		{`a: null`, `{"a":""}`, "no"},
		{`a|exists: true`, `{"a":""}`, "yes"},
		{`a|exists: false`, `{"b":""}`, "yes"},
		{`a: [null, x]`, `{"a":"x"}`, "yes"},
		// Numbers, in whatever form.
		{`a: 22`, `{"a":22}`, "yes"},
		{`a: 22`, `{"a":"22"}`, "yes"},
		{`a: 22`, `{"a":22.0}`, "yes"},
		{`a: '22'`, `{"a":22}`, "yes"},
		{`a: 0x16`, `{"a":22}`, "yes"},
		{`a: true`, `{"a":true}`, "yes"},
		{`a: 'true'`, `{"a":true}`, "yes"},
		{`a|gt: 5`, `{"a":6}`, "yes"},
		{`a|gt: 5`, `{"a":5}`, "no"},
		{`a|gte: 5`, `{"a":"5"}`, "yes"},
		{`a|lt: 5`, `{"a":4.9}`, "yes"},
		{`a|lte: 5`, `{"a":"x"}`, "no"},
		// Networks.
		{`a|cidr: 10.0.0.0/8`, `{"a":"10.9.9.9"}`, "yes"},
		{`a|cidr: 10.0.0.0/8`, `{"a":"::ffff:10.9.9.9"}`, "yes"},
		{`a|cidr: 10.0.0.0/8`, `{"a":"11.0.0.1"}`, "no"},
		{`a|cidr: fe80::/10`, `{"a":"fe80::1%eth0"}`, "yes"},
		{`a|cidr: [10.0.0.0/8, '::1/128']`, `{"a":"::1"}`, "yes"},
		// Regular expressions see case; i, m and s change that.
		{`a|re: '^r.t$'`, `{"a":"rot"}`, "yes"},
		{`a|re: '^r.t$'`, `{"a":"ROT"}`, "no"},
		{`a|re|i: '^r.t$'`, `{"a":"ROT"}`, "yes"},
		{`a|re|s: 'a.b'`, `{"a":"a\nb"}`, "yes"},
		// Other fields.
		{`a|fieldref: b`, `{"a":"X","b":"x"}`, "yes"},
		{`a|fieldref: b`, `{"a":"X","b":"y"}`, "no"},
		{`a|fieldref|startswith: b`, `{"a":"xyz","b":"x"}`, "yes"},
		// Encodings.
		{`a|base64: foo`, `{"a":"Zm9v"}`, "yes"},
		{`a|base64offset|contains: http`, `{"a":"eHh4aHR0cA=="}`, "yes"},
		{`a|base64offset|contains: http`, `{"a":"eGh0dHA="}`, "yes"},
		{`a|base64offset|contains: http`, `{"a":"eHhodHRwOg=="}`, "yes"},
		{`a|wide|base64offset|contains: ab`, `{"a":"YQBiAA=="}`, "yes"},
		{`a|windash|contains: ' -enc '`, `{"a":"ps /enc x"}`, "yes"},
		{`a|windash|contains: ' -enc '`, `{"a":"ps –enc x"}`, "yes"},
		{`a|windash|contains: ' -enc '`, `{"a":"ps +enc x"}`, "no"},
		{`a|contains|windash: 'a-b'`, `{"a":"a/b"}`, "no"},
		// The shape of events.
		{`a.b: 1`, `{"a":{"b":1}}`, "yes"},
		{`a.b: 1`, `{"a.b":1}`, "yes"},
		{`a: 2`, `{"a":[1,2]}`, "yes"},
		{`a.b: 2`, `{"a":[{"b":1},{"b":2}]}`, "yes"},
		{`a: 2`, `{"a":1,"a":2}`, "yes"},
		{`a: "x\ny"`, `{"a":"x\ny"}`, "yes"},
		{"a: \u202eab", `{"a":"\u202eab"}`, "yes"},
		{`a: 😀`, `{"a":"\ud83d\ude00"}`, "yes"},
		{`ab: 1`, `{"\u0061b":1}`, "yes"},
		{`interlock.device: x`, `{"interlock":{"device":"x"}}`, "no"},
	} {
		t.Run(row.item+" on "+row.event, func(t *testing.T) {
			e := compile(t, "  s:\n    "+row.item+"\n  condition: s\n")
			if got := matches(t, e, row.event); got != (row.want == "yes") {
				t.Errorf("matches: %t, want %s", got, row.want)
			}
		})
	}
}

func TestKeywordsStandAnywhere(t *testing.T) {
	for _, row := range []struct{ detection, event, want string }{
		{"  k: [evil, 'b?d']\n  condition: k\n", `{"x":{"y":"so EVIL!"}}`, "yes"},
		{"  k: [evil, 'b?d']\n  condition: k\n", `{"x":["-bad-"]}`, "yes"},
		{"  k: [evil]\n  condition: k\n", `{"evil":"no"}`, "no"},
		{"  k:\n    '|all': [a1, b1]\n  condition: k\n", `{"x":"a1","y":"b1"}`, "yes"},
		{"  k:\n    '|all': [a1, b1]\n  condition: k\n", `{"x":"a1"}`, "no"},
	} {
		if got := matches(t, compile(t, row.detection), row.event); got != (row.want == "yes") {
			t.Errorf("%s on %s: %t", row.detection, row.event, got)
		}
	}
}

func TestConditions(t *testing.T) {
	const sels = "  a1: {x: 1}\n  a2: {y: 1}\n  b: {z: 1}\n  _hidden: {h: 1}\n  condition: "
	for _, row := range []struct{ cond, event, want string }{
		{"a1 and a2", `{"x":1,"y":1}`, "yes"},
		{"a1 and a2", `{"x":1}`, "no"},
		{"a1 or a2 and b", `{"x":1}`, "yes"},
		{"(a1 or a2) and b", `{"x":1}`, "no"},
		{"not a1", `{"y":1}`, "yes"},
		{"not not a1", `{"x":1}`, "yes"},
		{"not (a1 or b) and a2", `{"y":1}`, "yes"},
		{"1 of a*", `{"y":1}`, "yes"},
		{"all of a*", `{"y":1}`, "no"},
		{"1 of them", `{"h":1}`, "no"},
		{"1 of _*", `{"h":1}`, "yes"},
		{"all of them", `{"x":1,"y":1,"z":1}`, "yes"},
		{"1 of a* and not 1 of b*", `{"x":1,"z":1}`, "no"},
		{"[a1, b]", `{"z":1}`, "yes"},
	} {
		if got := matches(t, compile(t, sels+row.cond+"\n"), row.event); got != (row.want == "yes") {
			t.Errorf("%s on %s: %t", row.cond, row.event, got)
		}
	}
}

// correlation is the header of a correlation; its `correlation:` stands in
// line 6 of the file.
const correlation = `title: C
id: 22222222-2222-4222-8222-222222222222
author: A
level: high
status: test
correlation:
`

func TestCompileRefusesWhatDoesNotResolve(t *testing.T) {
	base := header + "  s: {a: 1}\n  condition: s\n"
	corr := correlation + "  type: event_count\n  rules:\n    - %s\n  timespan: 5s\n  condition: {gte: 2}\n"
	for _, row := range []struct{ text, want string }{
		{base + "---\n" + fmt.Sprintf(corr, "nobody"), `there is no rule "nobody" among those loaded: x.yml:20:7`},
		{base + "---\n" + base, "this rule has the id or name of x.yml:1: x.yml:12:1"},
	} {
		_, err := sigma.Compile(parse(t, row.text), sigma.Options{})
		var se *sigma.Error
		if err == nil || err.Error() != row.want || !errors.As(err, &se) {
			t.Errorf("got  %v\nwant %s", err, row.want)
		}
	}
}

// TestSetSilencesClaims: what the receiver knows can't be spoken over by the
// event's own fields, by name or by alias.
func TestSetSilencesClaims(t *testing.T) {
	rules := parse(t, header+"  s: {user: root}\n  condition: s\n")
	e, err := sigma.Compile(rules, sigma.Options{Aliases: func(_ sigma.Logsource, f string) []string {
		return map[string][]string{"user": {"user.name"}}[f]
	}})
	if err != nil {
		t.Fatal(err)
	}
	v := e.NewView()
	for _, row := range []struct {
		set, event string
		want       bool
	}{
		{"anna", `{"user":"root"}`, false},
		{"anna", `{"user":{"name":"root"}}`, false},
		{"root", `{"user":"anna"}`, true},
		{"", `{"user":"root"}`, true},
	} {
		v.Reset()
		if row.set != "" {
			v.Set("user.name", row.set)
		}
		if err := v.Load([]byte(row.event)); err != nil {
			t.Fatal(err)
		}
		hit := false
		e.Match(v, linux, func(sigma.Match) { hit = true })
		if hit != row.want {
			t.Errorf("set %q, event %s: %t", row.set, row.event, hit)
		}
	}
}

func TestRulesApplyToTheirLogsourceAlone(t *testing.T) {
	e := compile(t, "  s: {a: 1}\n  condition: s\n")
	v := e.NewView()
	v.Reset()
	if err := v.Load([]byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	count := func(src ...sigma.Logsource) (n int) {
		e.Match(v, src, func(sigma.Match) { n++ })
		return n
	}
	if n := count(sigma.Logsource{Product: "windows"}, sigma.Logsource{}); n != 0 {
		t.Errorf("%d matches from foreign logsources", n)
	}
	if n := count(linux[0], sigma.Logsource{Product: "linux", Service: "auth"}); n != 1 {
		t.Errorf("%d matches of one event that has two logsources", n)
	}
}

func TestMatchCarriesWhatTheLicenceAsksFor(t *testing.T) {
	e := compile(t, "  s: {a: 1}\n  condition: s\n")
	v := e.NewView()
	v.Reset()
	if err := v.Load([]byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	e.Match(v, linux, func(m sigma.Match) {
		if m.Rule.Title != "T" || m.Rule.Author != "A" || m.Rule.ID == "" || !m.Alerts {
			t.Errorf("%+v", m.Rule)
		}
	})
}

func TestNoMatchAllocatesNothing(t *testing.T) {
	e := compile(t, "  s:\n    a|contains: [x1, x2]\n    b|startswith: q\n  k: [zzz]\n  condition: s or k\n")
	v := e.NewView()
	event := []byte(`{"a":"some TEXT with \"escapes\"","b":"other","c":{"d":[1,2,3]}}`)
	run := func() {
		v.Reset()
		if err := v.Load(event); err != nil {
			t.Fatal(err)
		}
		e.Match(v, linux, func(sigma.Match) { t.Fatal("match") })
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("%v allocations an event", n)
	}
}

func TestLoadRefusesWhatIsNotAnObject(t *testing.T) {
	e := compile(t, "  s: [k]\n  condition: s\n")
	v := e.NewView()
	for _, s := range []string{"", "[]", `"x"`, "{", `{"a"}`, `{"a":}`, `{"a":"x`, `{"a":1,}`, `{"a":[1}`, strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), `{"a":[` + strings.Repeat("1,", 70_000) + "1]}"} {
		v.Reset()
		if err := v.Load([]byte(s)); core.KindOf(err) != core.KindInvalid {
			t.Errorf("Load(%.40q) = %v", s, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(header + "  s:\n    a|contains|all: [x, '*y']\n  k: [z]\n  condition: 1 of s* and not (k or all of them)\n"))
	f.Add([]byte(correlation + "  type: value_count\n  rules: [base]\n  group-by: [a]\n  timespan: 5s\n  condition: {gte: 3, field: u}\n"))
	f.Add([]byte("title: |\n  x\nid: >-\n  y\n"))
	f.Add([]byte("a: &x\n  <<: *x\n"))
	f.Add([]byte(header + "  s:\n    a|expand|neq: '%x%y\\%'\n    b|hour|gte: 3\n    c|re|i: '(a{3}){2,}'\n    d|windash|base64offset|contains: ' -x'\n  condition: s | count(a) by b, c >= 5\n  timeframe: 5m\n"))
	f.Add([]byte("action: global\ntitle: G\n---\n" + header + "  s: {a: x}\n  condition: s and not s\n---\naction: repeat\nlevel: high\n"))
	f.Add([]byte("title: F\nlogsource: {product: linux}\nexpires: 2026-01-01\nfilter:\n  rules: any\n  s: {a|expand: '%x%'}\n  condition: not 1 of s*\n---\n" + header + "  s: {a: x}\n  condition: s\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rules, problems := sigma.Check("f.yml", b)
		for _, p := range problems {
			if p.Line < 1 || p.Col < 1 || p.Msg == "" || p.File != "f.yml" {
				t.Fatalf("a problem without a place: %+v", p)
			}
		}
		if _, err := sigma.Parse("f.yml", b); err != nil {
			if p, ok := sigma.ProblemOf(err); !ok || p.Line < 1 || p.Col < 1 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		e, err := sigma.Compile(rules, sigma.Options{Placeholders: map[string][]string{"x": {"v", "*"}}})
		if err != nil {
			if p, ok := sigma.ProblemOf(err); !ok || p.Line < 1 || p.Col < 1 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		v := e.NewView()
		v.Reset()
		if err := v.Load([]byte(`{"a":"x","b":["y",1]}`)); err != nil {
			t.Fatal(err)
		}
		e.Match(v, linux, func(m sigma.Match) {
			if m.Rule.Author == "" || m.Rule.ID == "" || m.Rule.Title == "" {
				t.Fatal("a match without author, id or title")
			}
		})
	})
}

func FuzzEvent(f *testing.F) {
	for _, s := range []string{`{"a":"x"}`, `{"a":"\ud83d\ude00\u","b":[{},[],null,-1e9]}`, `{"a":{"a":{"\u0061":1}}}`, `{"a":"\`} {
		f.Add([]byte(s))
	}
	rules, err := sigma.Parse("x.yml", []byte(header+"  s:\n    a|contains: x\n    b|gt: 1\n    c|re: x+\n    d|cidr: ::/0\n    e|windash: '-x?*'\n  k: [evil]\n  condition: 1 of them\n"))
	if err != nil {
		f.Fatal(err)
	}
	e, err := sigma.Compile(rules, sigma.Options{})
	if err != nil {
		f.Fatal(err)
	}
	v := e.NewView()
	f.Fuzz(func(t *testing.T, b []byte) {
		v.Reset()
		if v.Load(b) == nil {
			e.Match(v, linux, func(sigma.Match) {})
		}
	})
}

func TestRoutesTellWhereAnEventBelongs(t *testing.T) {
	engine, err := sigma.Compile(nil, sigma.Options{Routes: []sigma.Route{
		{When: []sigma.Mark{{Field: "Channel", Values: []string{"Security"}}}, Sources: []sigma.Logsource{{Product: "windows", Service: "security"}}},
		{When: []sigma.Mark{{Field: "Channel", Values: []string{"Security"}}, {Field: "EventID", Values: []string{"4688"}}}, Sources: []sigma.Logsource{{Product: "windows", Category: "process_creation"}}},
		{When: []sigma.Mark{{Field: "_TRANSPORT"}}, Sources: []sigma.Logsource{{Product: "linux"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	view := engine.NewView()
	for _, row := range []struct {
		event string
		want  int
	}{
		{`{"Channel":"security","EventID":4688}`, 2},
		{`{"Channel":"security","EventID":1}`, 1},
		{`{"_TRANSPORT":"kernel"}`, 1},
		{`{"EventID":4688}`, 0},
	} {
		view.Reset()
		if err := view.Load([]byte(row.event)); err != nil {
			t.Fatal(err)
		}
		if got := view.Sources(); len(got) != row.want {
			t.Errorf("%s belongs to %v, want %d logsources", row.event, got, row.want)
		}
	}
}
