package sigma_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/internal/reference"
)

// evasions: events that mean what the rule looks for, spelt so that a careless
// reader misses it, and some that only look as if they did.
var evasions = []struct{ name, item, event, want string }{
	{"escaped key", `Channel: x`, `{"\u0043hannel":"x"}`, "yes"},
	{"every letter of a key escaped", `ab: x`, `{"\u0061\u0062":"x"}`, "yes"},
	{"escaped slash in a key", `a/b: x`, `{"a\/b":"x"}`, "yes"},
	{"escaped dot in a key", `a.b: x`, `{"a\u002eb":"x"}`, "yes"},
	{"escaped value", `a|contains: evil`, `{"a":"\u0065v\u0069l"}`, "yes"},
	{"escapes in capital and small hexadecimal", `a: 'JK'`, `{"a":"\u004A\u004b"}`, "yes"},
	{"escaped backslash", `a|endswith: '\cmd.exe'`, `{"a":"C:\u005ccmd.exe"}`, "yes"},
	{"escaped quote", `a|contains: '"x"'`, `{"a":"say \"x\" \u0022"}`, "yes"},
	{"escaped and then not", `a: 'n\n'`, `{"a":"n\\n"}`, "yes"},
	{"key twice, the first means it", `a: evil`, `{"a":"evil","a":"good"}`, "yes"},
	{"key twice, the last means it", `a: evil`, `{"a":"good","a":"evil"}`, "yes"},
	{"key twice, once escaped", `a: evil`, `{"a":"good","\u0061":"evil"}`, "yes"},
	{"key nested and dotted", `a.b: evil`, `{"a":{"b":"good"},"a.b":"evil"}`, "yes"},
	{"half nested, half dotted", `a.b.c: evil`, `{"a.b":{"c":"evil"}}`, "yes"},
	{"dotted within", `a.b.c: evil`, `{"a":{"b.c":"evil"}}`, "yes"},
	{"object twice", `a.b: evil`, `{"a":{"b":"good"},"a":{"b":"evil"}}`, "yes"},
	{"object and scalar", `a.b: evil`, `{"a":"x","a":{"b":"evil"}}`, "yes"},
	{"empty key", `a: evil`, `{"":"x","a":"evil"}`, "yes"},
	{"an empty key hides no field and makes none", `b: evil`, `{"":{"b":"evil"}}`, "no"},
	{"an empty key within", `a: evil`, `{"a":{"":"evil"}}`, "no"},
	{"number as text", `a: 4625`, `{"a":"4625"}`, "yes"},
	{"number with an exponent", `a: 1000`, `{"a":1e3}`, "yes"},
	{"number with a long exponent", `a: 1000`, `{"a":0.0000000000000000000000000000000000000001e43}`, "yes"},
	{"number with many zeros", `a: 22`, `{"a":22.` + strings.Repeat("0", 200) + `}`, "yes"},
	{"number with leading zeros in text", `a: 22`, `{"a":"0022"}`, "yes"},
	{"negative zero", `a: 0`, `{"a":-0.0}`, "yes"},
	{"number beyond what fits", `a|gt: 5`, `{"a":1e999}`, "yes"},
	{"number too small to tell from zero", `a|lt: 5`, `{"a":1e-999}`, "yes"},
	{"number of a thousand digits", `a|gte: 5`, `{"a":` + strings.Repeat("9", 1000) + `}`, "yes"},
	{"hexadecimal text is no number", `a|gt: 5`, `{"a":"0x10p9"}`, "no"},
	{"infinity is no number", `a|gt: 5`, `{"a":"Infinity"}`, "no"},
	{"boolean as text", `a: true`, `{"a":"TRUE"}`, "yes"},
	{"Kelvin sign", `a|contains: kill`, `{"a":"\u212aill"}`, "yes"},
	{"long s", `a|endswith: '\sh.exe'`, `{"a":"C:\\\u017fH.exe"}`, "yes"},
	{"dotless i", `a: admin`, `{"a":"adm\u0131n"}`, "yes"},
	{"dotted capital i", `a: admin`, `{"a":"ADM\u0130N"}`, "yes"},
	{"final sigma", `a: 'ος'`, `{"a":"ΟΣ"}`, "yes"},
	{"Cherokee, whose small letters came later", `a: 'ꭰ'`, `{"a":"Ꭰ"}`, "yes"},
	{"a rule in capitals", `a|contains: 'SKILL'`, `{"a":"\u017f\u212aill"}`, "yes"},
	{"case in a wildcard pattern", `a: 'k?ll*S'`, `{"a":"\u212aill em\u017f"}`, "yes"},
	{"case in a regular expression", `a|re|i: '^skill$'`, `{"a":"\u017f\u212aILL"}`, "yes"},
	{"dotless i in a regular expression", `a|re: 'adm\x{131}n'`, `{"a":"adm\u0131n"}`, "yes"},
	{"combining letters are others", `a: 'é'`, `{"a":"e\u0301"}`, "no"},
	{"fullwidth letters are others", `a: evil`, `{"a":"ｅｖｉｌ"}`, "no"},
	{"right-to-left mark", "a|contains: \"\\u202E\"", `{"a":"exe.\u202egpj"}`, "yes"},
	{"right-to-left mark as bytes", "a|contains: \"\\u202E\"", "{\"a\":\"exe.\u202egpj\"}", "yes"},
	{"surrogates in a pair", `a: '😀'`, `{"a":"\ud83d\uDE00"}`, "yes"},
	{"a lone high surrogate before it", `a|contains: evil`, `{"a":"\ud83devil"}`, "yes"},
	{"a lone low surrogate before it", `a|contains: evil`, `{"a":"\ude00evil"}`, "yes"},
	{"a high surrogate before another escape", `a|contains: evil`, `{"a":"\ud83d\u0065vil"}`, "yes"},
	{"two high surrogates", `a|contains: '😀'`, `{"a":"\ud83d\ud83d\ude00"}`, "yes"},
	{"NUL before it", `a|contains: evil`, `{"a":"x\u0000evil"}`, "yes"},
	{"NUL in the middle", `a|contains: evil`, `{"a":"ev\u0000il"}`, "no"},
	{"NUL in a key", `a: evil`, `{"a\u0000":"x","a":"evil"}`, "yes"},
	{"padding before it", `a|contains: evil`, `{"a":"` + strings.Repeat(" ", 70_000) + `evil"}`, "yes"},
	{"padding after it", `a|startswith: evil`, `{"a":"evil` + strings.Repeat("A", 70_000) + `"}`, "yes"},
	{"padding of escapes", `a|contains: evil`, `{"a":"` + strings.Repeat(`\u0020`, 20_000) + `evil"}`, "yes"},
	{"padding of near misses", `a|contains: evil`, `{"a":"` + strings.Repeat(`evievevi`, 9_000) + `vil evil"}`, "yes"},
	{"padding with other fields", `a: evil`, `{` + otherFields(3000) + `"a":"evil"}`, "yes"},
	{"a padded key before it", `a: evil`, `{"` + strings.Repeat("k", 70_000) + `":1,"a":"evil"}`, "yes"},
	{"across elements of an array", `a|contains: evil`, `{"a":["ev","il"]}`, "no"},
	{"all of it, each in another element", `a|contains|all: [ev, il]`, `{"a":["ev","il"]}`, "yes"},
	{"in an array of arrays", `a|contains: evil`, `{"a":[1,[2,["x",[["evil"]]]]]}`, "yes"},
	{"in an object of an array of an array", `a.b: evil`, `{"a":[[{"b":"x"},{"b":["evil"]}]]}`, "yes"},
	{"after null in an array", `a: evil`, `{"a":[null,"evil"]}`, "yes"},
	{"under an alias", `Image: evil`, `{"process":{"executable":"evil"}}`, "yes"},
	{"under an alias, dotted", `Image: evil`, `{"process.executable":"evil"}`, "yes"},
	{"under an alias, the name itself says else", `Image: evil`, `{"Image":"good","process":{"executable":"evil"}}`, "yes"},
	{"under the name, an alias says else", `Image: evil`, `{"process":{"executable":"good"},"Image":"evil"}`, "yes"},
	{"an alias in another case is none", `Image: evil`, `{"Process":{"Executable":"evil"}}`, "no"},
	{"blanks everywhere", `a.b: evil`, " \t\r\n{ \"a\" :\n{ \"b\"\t: [ \"x\" , \"evil\" ] } } \n", "yes"},
	{"tab written as an escape", `a|contains: "x\ty"`, `{"a":"x\ty"}`, "yes"},
	{"tab as a raw byte", `a|contains: "x\ty"`, "{\"a\":\"x\ty\"}", "yes"},
	{"a keyword in an escape", `'|re': 'ev[i]l'`, `{"q":{"r":["\u0065vil"]}}`, "yes"},
	{"empty text is there", `a: '*'`, `{"a":""}`, "yes"},
	{"null beside a value", `a: null`, `{"a":null,"a":"x"}`, "no"},
	{"a field that an empty object hides", `a|exists: true`, `{"a":{}}`, "yes"},
	{"a field that an empty array hides", `a|exists: true`, `{"a":[]}`, "yes"},
	{"a field that null hides", `a|exists: true`, `{"a":null}`, "yes"},
	{"claimed for the receiver", `interlock.device: x`, `{"interlock":{"device":"x"},"interlock.device":"x","\u0069nterlock":{"device":"x"}}`, "no"},
}

func otherFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"f%d":%d,`, i, i)
	}
	return b.String()
}

// imageAlias is what the taxonomy does, in one row.
func imageAlias(_ sigma.Logsource, field string) []string {
	if field == "Image" {
		return []string{"process.executable"}
	}
	return nil
}

// TestNoSpellingEvades: each event alone, and with the reference's word for it.
func TestNoSpellingEvades(t *testing.T) {
	for _, row := range evasions {
		t.Run(row.name, func(t *testing.T) {
			text := header + "  s:\n    " + row.item + "\n  condition: s\n"
			e, err := sigma.Compile(parse(t, text), sigma.Options{Aliases: imageAlias})
			if err != nil {
				t.Fatal(err)
			}
			if got := matches(t, e, row.event); got != (row.want == "yes") {
				t.Errorf("%s on %.300s: %t", row.item, row.event, got)
			}
			if !json.Valid([]byte(row.event)) {
				return
			}
			refs, err := reference.Parse([]byte(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			refs[0].Paths = func(f string) []string { return append(imageAlias(sigma.Logsource{}, f), f) }
			event, err := reference.Read([]byte(row.event))
			if err != nil {
				t.Fatal(err)
			}
			if got := refs[0].Holds(event); got != (row.want == "yes") {
				t.Errorf("the reference says %t", got)
			}
		})
	}
}

// TestNoSpellingEvadesTheRoute: a rule that is never asked can't match either.
func TestNoSpellingEvadesTheRoute(t *testing.T) {
	sysmon := sigma.Logsource{Product: "windows", Service: "sysmon"}
	e, err := sigma.Compile(parse(t, header+"  s:\n    a: 1\n  condition: s\n"), sigma.Options{Routes: []sigma.Route{
		{When: []sigma.Mark{{Field: "Channel", Values: []string{"Sysmon/Kernel"}}, {Field: "EventID", Values: []string{"1"}}}, Sources: []sigma.Logsource{sysmon}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ event, want string }{
		{`{"Channel":"Sysmon/Kernel","EventID":1}`, "yes"},
		{`{"\u0043hannel":"Sysmon\/Kernel","EventI\u0044":"1"}`, "yes"},
		{`{"Channel":"SYSMON/\u212aERNEL","EventID":1}`, "yes"},
		{`{"Channel":"x","Channel":"\u0053ysmon/Kernel","EventID":[2,1]}`, "yes"},
		{`{"EventID":1,"` + strings.Repeat("x", 5000) + `":{"Channel":0},"Channel":["Sysmon/Kernel"]}`, "yes"},
		{`{"Channel":"Sysmon/Kernel","EventID":11}`, "no"},
		{`{"channel":"Sysmon/Kernel","EventID":1}`, "no"},
		{`{"Channel":null,"EventID":1}`, "no"},
	} {
		v := e.NewView()
		v.Reset()
		if err := v.Load([]byte(row.event)); err != nil {
			t.Fatal(err)
		}
		if got := len(v.Sources()) == 1; got != (row.want == "yes") {
			t.Errorf("%.120s: sources %v", row.event, v.Sources())
		}
	}
}

// TestNoPlaceInTheEventHidesIt: readers work in blocks of 8, 16 or 64 bytes. The
// same escapes, quotes and letters stand at every place of a block in turn.
func TestNoPlaceInTheEventHidesIt(t *testing.T) {
	e := compile(t, "  s:\n    a|contains: 'x\"\\\\\\evil'\n  k: ['K\\\\\\é']\n  t:\n    b|endswith: 'z\\'\n  condition: s or k or t\n")
	v := e.NewView()
	for at := range 150 {
		pad := strings.Repeat("p", at)
		for _, form := range []struct{ event, want string }{
			{`{"p":"` + pad + `","a":"x\"\\\\evil"}`, "yes"},
			{`{"p":"` + pad + `","a":"x\"\\\\\\evil"}`, "no"},
			{`{"p":"` + pad + `\\","a":"x\"\\\\evil"}`, "yes"},
			{`{"p":"` + pad + `\\\"","a":"x\u0022\u005c\\evil"}`, "yes"},
			{`{"` + pad + `\"":1,"a":"x\"\\\\EVIL"}`, "yes"},
			{`{"p":"` + pad + `\u004b\\\\\u00e9"}`, "yes"},
			{`{"p":"` + pad + "K\\\\\\\\É\"}", "yes"},
			{`{"p":"` + pad + "\u212a\\\\\\\\é\"}", "yes"},
			{`{"p":[` + strings.Repeat(" ", at) + `"","` + pad + `"],"b":"` + pad + `z\\"}`, "yes"},
			{`{"b":"` + pad + `z\\\\\\\\\\","c":"z\\"}`, "no"},
			{`{"b":"` + pad + `z\"","c":"\\"}`, "no"},
			{`{"p":{"q":["` + pad + `",{"a":1}]},"a":["",{},"x\"\\\\evil"]}`, "yes"},
		} {
			v.Reset()
			if err := v.Load([]byte(form.event)); err != nil {
				t.Fatalf("at %d: %v: %s", at, err, form.event)
			}
			if got := len(asked(v, e, linux)) == 1; got != (form.want == "yes") {
				t.Fatalf("at %d: %t: %s", at, got, form.event)
			}
		}
	}
}
