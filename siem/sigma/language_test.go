package sigma_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestModifiersTogether: combinations and corners that docs/reference/sigma.md
// has no room for.
func TestModifiersTogether(t *testing.T) {
	for _, row := range []struct{ item, event, want string }{
		// Regular expressions and the words for the ends of a text.
		{`a|re|startswith: 'b|c'`, `{"a":"cx"}`, "yes"},
		{`a|re|startswith: 'b|c'`, `{"a":"xc"}`, "no"},
		{`a|endswith|re: 'b|c'`, `{"a":"xc"}`, "yes"},
		{`a|endswith|re: 'b|c'`, `{"a":"cx"}`, "no"},
		{`a|re|contains: 'b'`, `{"a":"abc"}`, "yes"},
		{`a|re|i|m|s: '^x.y$'`, `{"a":"z\nX\nY"}`, "yes"},
		{`a|re|ignorecase: x`, `{"a":"X"}`, "yes"},
		{`a|re|neq: x`, `{"a":"X"}`, "yes"},
		{`a|re|all: [x, y]`, `{"a":"yx"}`, "yes"},
		{`a|re|all: [x, y]`, `{"a":"y"}`, "no"},
		{`'|re': 'ev[i1]l'`, `{"b":"ev1l"}`, "yes"},
		{`a|re: '\x{1F600}'`, `{"a":"\ud83d\ude00"}`, "yes"},
		// Keywords with modifiers.
		{`'|contains': evil`, `{"b":"so evil!"}`, "yes"},
		{`'|startswith': evil`, `{"b":"so evil"}`, "no"},
		{`'|cased': Evil`, `{"b":"so evil"}`, "no"},
		{`'|neq': evil`, `{"b":"evil"}`, "no"},
		{`'': 4711`, `{"b":"x4711y"}`, "yes"},
		// Numbers.
		{`a|gt: -1`, `{"a":-0.5}`, "yes"},
		{`a|gt: 5`, `{"a":[1,9]}`, "yes"},
		{`a|gt|neq: 5`, `{"a":6}`, "no"},
		{`a|gt|neq: 5`, `{"a":5}`, "yes"},
		{`a|gte|all: [1, 5]`, `{"a":4}`, "no"},
		{`a|lt: 1e3`, `{"a":"999"}`, "yes"},
		{`a: 007`, `{"a":7}`, "yes"},
		{`a|contains: 007`, `{"a":"x007y"}`, "yes"},
		{`a|contains: 007`, `{"a":"x7y"}`, "no"},
		{`a|contains: true`, `{"a":"untrue"}`, "yes"},
		{`a|neq: 5`, `{"a":"5.0"}`, "no"},
		{`a|endswith: 5`, `{"a":15}`, "yes"},
		// Null, empty, absent.
		{`a|neq: null`, `{"a":""}`, "yes"},
		{`a|neq: null`, `{"a":null}`, "no"},
		{`a|neq: ''`, `{"a":""}`, "no"},
		{`a|exists: false`, `{"a":null}`, "no"},
		{`a|exists: FALSE`, `{"b":1}`, "yes"},
		{`a: null`, `{"a":[null,1]}`, "no"},
		{`a: null`, `{"a":[null]}`, "yes"},
		{`a|contains: ''`, `{"b":1}`, "no"},
		// Wildcards and their escapes.
		{`a: '\\*'`, `{"a":"\\x"}`, "yes"},
		{`a: '\\\*'`, `{"a":"\\*"}`, "yes"},
		{`a: '\\\*'`, `{"a":"\\x"}`, "no"},
		{`a: 'a\b'`, `{"a":"a\\b"}`, "yes"},
		{`a: 'a\\b'`, `{"a":"a\\b"}`, "yes"},
		{`a: 'a\\\\b'`, `{"a":"a\\\\b"}`, "yes"},
		{`a: 'a\\\b'`, `{"a":"a\\\\b"}`, "yes"},
		{`a: 'a\'`, `{"a":"a\\"}`, "yes"},
		{`a|contains: 'a*b?c'`, `{"a":"-a--b-c-"}`, "yes"},
		{`a|startswith: '*b'`, `{"a":"ab-"}`, "yes"},
		{`a|endswith: '\?'`, `{"a":"why?"}`, "yes"},
		{`a: '???'`, `{"a":"äöü"}`, "yes"},
		{`a: '**'`, `{"a":""}`, "yes"},
		{`a: '?*'`, `{"a":""}`, "no"},
		// Dashes.
		{`a|windash: '-x'`, `{"a":"―x"}`, "yes"},
		{`a|windash: '–x'`, `{"a":"/x"}`, "yes"},
		{`a|windash|startswith: '/x -y'`, `{"a":"-x —y z"}`, "yes"},
		{`a|windash|contains: '-a*-b'`, `{"a":"q /a zz /b"}`, "yes"},
		{`a|windash|contains: '--x'`, `{"a":"-/x"}`, "yes"},
		{`a|windash|contains|all: [' -a', ' -b']`, `{"a":"x /b –a"}`, "yes"},
		{`a|windash|neq: '-x'`, `{"a":"/x"}`, "no"},
		{`a|windash|cased|contains: '-X'`, `{"a":"/x"}`, "no"},
		{`a|windash|base64: '-x'`, `{"a":"L3g="}`, "yes"},
		{`a|windash|base64offset|contains: ' -enc '`, `{"a":"eHggL2VuYyB4"}`, "yes"},
		// Encodings.
		{`a|utf16be|base64offset|contains: 'IEX'`, `{"a":"AEkARQBY"}`, "yes"},
		{`a|base64|neq: foo`, `{"a":"Zm9v"}`, "no"},
		{`a|base64|startswith: foo`, `{"a":"Zm9vYmFy"}`, "yes"},
		{`a|base64|cased: foo`, `{"a":"zm9v"}`, "no"},
		{`a|base64: [foo, bar]`, `{"a":"YmFy"}`, "yes"},
		{`a|base64: 'ü'`, `{"a":"w7w="}`, "yes"},
		{`a|wide|base64: '€'`, `{"a":"rCA="}`, "yes"},
		{`a|base64: '\*'`, `{"a":"Kg=="}`, "yes"},
		// Other fields.
		{`a|fieldref|endswith: b`, `{"a":"xY","b":"y"}`, "yes"},
		{`a|fieldref|neq: b`, `{"a":"x","b":"y"}`, "yes"},
		{`a|fieldref|neq: b`, `{"a":"x","b":"X"}`, "no"},
		{`a|fieldref|cased: b`, `{"a":"x","b":"X"}`, "no"},
		{`a|fieldref: b`, `{"a":"x"}`, "no"},
		{`a|fieldref: b.c`, `{"a":"x","b":{"c":["y","x"]}}`, "yes"},
		{`a|fieldref: [b, c]`, `{"a":"x","b":"y","c":"x"}`, "yes"},
		// Networks.
		{`a|cidr|neq: 10.0.0.0/8`, `{"a":"10.1.1.1"}`, "no"},
		{`a|cidr: 10.1.2.3/8`, `{"a":"10.9.9.9"}`, "yes"},
		{`a|cidr: '::ffff:10.0.0.0/104'`, `{"a":"10.9.9.9"}`, "yes"},
		{`a|cidr: '2001:db8::/32'`, `{"a":"2001:0DB8:1::1"}`, "yes"},
		{`a|cidr: '::/0'`, `{"a":"10.1.1.1"}`, "no"},
		{`a|cidr: 0.0.0.0/0`, `{"a":"10.1.1.1"}`, "yes"},
	} {
		t.Run(row.item+" on "+row.event, func(t *testing.T) {
			e := compile(t, "  s:\n    "+row.item+"\n  condition: s\n")
			if got := matches(t, e, row.event); got != (row.want == "yes") {
				t.Errorf("matches: %t, want %s", got, row.want)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	const parts = "minute|30 hour|15 day|2 week|1 month|1 year|2026"
	for value, want := range map[string]string{
		`"2026-01-02T15:30:05Z"`:                parts,
		`"2026-01-02T15:30:05.123456789+05:30"`: parts,
		`"2026-01-02 15:30:05.000"`:             parts,
		`"2026-01-02 15:30"`:                    parts,
		`"2026/01/02 15:30:05"`:                 parts,
		`" 2026-01-02t15:30:05z"`:               parts,
		`1767367805`:                            parts,
		`"1767367805.25"`:                       parts,
		`1767367805000`:                         parts,
		`1767367805000000`:                      parts,
		`1767367805000000000`:                   parts,
		`"2026-01-02"`:                          "minute|0 hour|0 day|2 week|1 month|1 year|2026",
		`"2027-01-01"`:                          "minute|0 hour|0 day|1 week|53 month|1 year|2027",
		`0`:                                     "minute|0 hour|0 day|1 week|1 month|1 year|1970",
	} {
		for part := range strings.SplitSeq(want, " ") {
			name, n, _ := strings.Cut(part, "|")
			for _, row := range []struct {
				item string
				want bool
			}{
				{fmt.Sprintf("a|%s: %s", name, n), true},
				{fmt.Sprintf("a|%s|gte: %s", name, n), true},
				{fmt.Sprintf("a|%s|lte: %s", name, n), true},
				{fmt.Sprintf("a|%s|gt: %s", name, n), false},
				{fmt.Sprintf("a|%s|lt: %s", name, n), false},
				{fmt.Sprintf("a|%s|neq: %s", name, n), false},
				{fmt.Sprintf("a|gt|%s|neq: %s", name, n), true},
			} {
				e := compile(t, "  s: {"+row.item+"}\n  condition: s\n")
				if got := matches(t, e, `{"a":`+value+`}`); got != row.want {
					t.Errorf("%s on %s: %t", row.item, value, got)
				}
			}
		}
	}
	none := compile(t, "  s: {a|year|gte: 0}\n  condition: s\n")
	for _, value := range []string{`""`, `"noon"`, `"2026-13-01"`, `"2026-01-32"`, `"2026-01-02T25:00"`, `"2026-01-02x"`, `"2026-01-02T15:6"`, `-5`, `"NaN"`, `1e300`, `"` + strings.Repeat("2", 60) + `"`, `true`, `null`} {
		if matches(t, none, `{"a":`+value+`}`) {
			t.Errorf("%s is taken for a time", value)
		}
	}
}

func TestPatternsOfSearchIdentifiers(t *testing.T) {
	const sels = "  sel_a_1: {x: 1}\n  sel_b_1: {y: 1}\n  sel_b_2: {z: 1}\n  other: {o: 1}\n  condition: "
	for _, row := range []struct{ cond, event, want string }{
		{"1 of sel_*_1", `{"y":1}`, "yes"},
		{"1 of sel_*_1", `{"z":1}`, "no"},
		{"all of *_b_*", `{"y":1,"z":1}`, "yes"},
		{"1 of *", `{"o":1}`, "yes"},
		{"1 of other", `{"o":1}`, "yes"},
		{"any of sel_a*", `{"x":1}`, "yes"},
		{"ALL OF sel_b* AND NOT other", `{"y":1,"z":1}`, "yes"},
		{"1 of sel_b* and not (1 of sel_a* or other)", `{"y":1,"x":1}`, "no"},
		{"not 1 of them", `{"q":1}`, "yes"},
		{"not all of sel_b*", `{"y":1}`, "yes"},
	} {
		if got := matches(t, compile(t, sels+row.cond+"\n"), row.event); got != (row.want == "yes") {
			t.Errorf("%s on %s: %t", row.cond, row.event, got)
		}
	}
}
