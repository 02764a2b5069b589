package reference_test

import (
	"testing"

	"github.com/interlock-security/interlock/siem/sigma/internal/reference"
)

// ask reads a rule of one detection and an event and says whether it holds.
func ask(t *testing.T, detection, event string) bool {
	t.Helper()
	rules, err := reference.Parse([]byte("id: x\nlogsource: {product: linux}\ndetection:\n"+detection), nil)
	if err != nil {
		t.Fatalf("%s: %v", detection, err)
	}
	e, err := reference.Read([]byte(event))
	if err != nil {
		t.Fatal(err)
	}
	return rules[0].Holds(e)
}

// TestSpecificationExamples: what the specification itself says, in its order.
func TestSpecificationExamples(t *testing.T) {
	for _, row := range []struct{ items, event, want string }{
		{`a: prog?.exe`, `{"a":"progA.exe"}`, "yes"},
		{`a: prog?.exe`, `{"a":"prog.exe"}`, "no"},
		{`a: antivirus_V*.exe`, `{"a":"ANTIVIRUS_V21.2.1.exe"}`, "yes"},
		{`a: 'x\y'`, `{"a":"x\\y"}`, "yes"},
		{`a: 'x\\y'`, `{"a":"x\\y"}`, "yes"},
		{`a: 'x\*'`, `{"a":"x*"}`, "yes"},
		{`a: 'x\*'`, `{"a":"xy"}`, "no"},
		{`a: 'x\\*'`, `{"a":"x\\anything"}`, "yes"},
		{`a: 'x\\\*'`, `{"a":"x\\*"}`, "yes"},
		{`a: 'x\\\*'`, `{"a":"x\\y"}`, "no"},
		{`a: 'x\\\y'`, `{"a":"x\\\\y"}`, "yes"},
		{`a: 'x\\\\y'`, `{"a":"x\\\\y"}`, "yes"},
		{`EventID: [517, 1102]`, `{"EventID":1102}`, "yes"},
		{`TicketOptions: '0x40810000'`, `{"TicketOptions":"0x40810000"}`, "yes"},
		{`a: ''`, `{"a":""}`, "yes"},
		{`a: ''`, `{"a":"x"}`, "no"},
		{`a: null`, `{"b":1}`, "yes"},
		{`a|exists: true`, `{"a":null}`, "yes"},
		{`a|exists: false`, `{"b":{"a":1}}`, "yes"},
		{`a|contains|all: [one, two]`, `{"a":"two and one"}`, "yes"},
		{`a|contains|all: [one, two]`, `{"a":"two"}`, "no"},
		{`a|startswith: adm`, `{"a":"Administrator"}`, "yes"},
		{`a|endswith: '\cmd.exe'`, `{"a":"C:\\cmd.exe"}`, "yes"},
		{`a|cased: Adm`, `{"a":"adm"}`, "no"},
		{`a|neq: 5`, `{"a":6}`, "yes"},
		{`a|neq: 5`, `{"a":"5.0"}`, "no"},
		{`a|windash|contains: ' -f '`, `{"a":"x /f y"}`, "yes"},
		{`a|windash|contains: ' -f '`, `{"a":"x ―f y"}`, "yes"},
		{`a|re: 'a+b$'`, `{"a":"xaab"}`, "yes"},
		{`a|re: 'A'`, `{"a":"a"}`, "no"},
		{`a|re|i: 'A'`, `{"a":"a"}`, "yes"},
		{`a|re|m: '^b$'`, `{"a":"a\nb"}`, "yes"},
		{`a|re|s: 'a.b'`, `{"a":"a\nb"}`, "yes"},
		{`a|base64: foo`, `{"a":"Zm9v"}`, "yes"},
		{`a|base64offset|contains: foo`, `{"a":"eHhmb28="}`, "yes"},
		{`a|utf16le|base64: cmd`, `{"a":"YwBtAGQA"}`, "yes"},
		{`a|utf16be|base64: cmd`, `{"a":"AGMAbQBk"}`, "yes"},
		{`a|utf16|base64: cmd`, `{"a":"//5jAG0AZAA="}`, "yes"},
		{`a|lt: 5`, `{"a":4}`, "yes"},
		{`a|gte: 5`, `{"a":"5"}`, "yes"},
		{`a|cidr: 10.0.0.0/8`, `{"a":"10.2.3.4"}`, "yes"},
		{`a|fieldref: b`, `{"a":"x","b":["y","X"]}`, "yes"},
	} {
		if got := ask(t, "  s:\n    "+row.items+"\n  condition: s\n", row.event); got != (row.want == "yes") {
			t.Errorf("%s on %s: %t", row.items, row.event, got)
		}
	}
}

func TestConditions(t *testing.T) {
	const selections = "  a1: {x: 1}\n  a2: [{y: 1}, {y: 2}]\n  k: [evil]\n  'k all': {'|all': [e, v]}\n  _h: {h: 1}\n  condition: "
	for _, row := range []struct{ condition, event, want string }{
		{"a1 or a2 and k", `{"x":1}`, "yes"},
		{"(a1 or a2) and k", `{"y":2,"z":"so EVIL"}`, "yes"},
		{"not a1 and a2", `{"y":1}`, "yes"},
		{"not (a1 or a2)", `{"y":1}`, "no"},
		{"1 of a*", `{"y":2}`, "yes"},
		{"all of a*", `{"y":2}`, "no"},
		{"1 of them", `{"h":1}`, "no"},
		{"1 of _*", `{"h":1}`, "yes"},
		{"[a1, k]", `{"z":["a","devil"]}`, "yes"},
		{"all of k*", `{"z":"e","evil":"v"}`, "no"},
	} {
		if got := ask(t, selections+row.condition+"\n", row.event); got != (row.want == "yes") {
			t.Errorf("%s on %s: %t", row.condition, row.event, got)
		}
	}
}
