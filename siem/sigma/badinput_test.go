package sigma_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/siem/sigma"
)

// load reads an event in a new view and asks.
func load(e *sigma.Engine, event []byte) (hit bool, err error) {
	v := e.NewView()
	v.Reset()
	err = v.Load(event)
	e.Match(v, linux, func(sigma.Match) { hit = true })
	return hit, err
}

// TestNotAnEvent: what is no JSON object is refused with its kind, and never
// taken for an event that nothing matches.
func TestNotAnEvent(t *testing.T) {
	e := compile(t, "  s:\n    a: evil\n  k: [evil]\n  condition: s or k\n")
	for _, event := range []string{
		"", " ", "null", "true", "1", `"a"`, "[]", `[{"a":1}]`, "\ufeff", "\x00", "{", "}", "{]", "{]}", `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`,
		`{a:1}`, `{'a':1}`, `{"a":"x}`, `{"a":"x\"}`, `{"a":[1}`, `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":{}`, `{1:2}`, `{"a"::1}`, `{"a":,1}`, `{null:1}`,
	} {
		if _, err := load(e, []byte(event)); err == nil {
			t.Errorf("%q loads", event)
		} else if core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v is of kind %v", event, err, core.KindOf(err))
		}
	}
}

// TestTruncatedAtEveryByte: half an event is no event.
func TestTruncatedAtEveryByte(t *testing.T) {
	e := compile(t, "  s:\n    a.b: evil\n  k: [evil]\n  condition: s or k\n")
	whole := []byte(`{"a":{"b":["x\u00e9\ud83d\ude00\\\"",-1.5e+3,true,false,null,{},[],"evil"]},"ключ":"日本"} `)
	if hit, err := load(e, whole); err != nil || !hit {
		t.Fatalf("whole: %v %t", err, hit)
	}
	for n := range bytes.LastIndexByte(whole, '}') {
		if _, err := load(e, whole[:n]); err == nil {
			t.Errorf("loads: %s", whole[:n])
		}
	}
}

// TestEveryByteSpoiled: whatever stands in the place of a byte, nothing panics,
// and what is still JSON loads.
func TestEveryByteSpoiled(t *testing.T) {
	e := compile(t, "  s:\n    a.b|re: 'e.il'\n  n:\n    a.c|gte: 7\n  k: [evil]\n  condition: s or k or n\n")
	whole := []byte(`{"a":{"b":["\u00e9\ud83d\ude00",-1.5e+3,true,null,{},"evil"],"c":"7"}}`)
	for i := range whole {
		for _, c := range []byte("\x00\x1f \"\\u{}[]:,0e-.\x7f\x80\xc3\xed\xff") {
			spoiled := bytes.Clone(whole)
			spoiled[i] = c
			if _, err := load(e, spoiled); err != nil && json.Valid(spoiled) {
				t.Errorf("%q: %v", spoiled, err)
			}
		}
	}
}

// TestWhatIsLenientIsStillAMatch: senders write what JSON doesn't allow. What
// can be understood matches, so that no control character hides an event.
func TestWhatIsLenientIsStillAMatch(t *testing.T) {
	e := compile(t, "  s:\n    a|contains: evil\n  condition: s\n")
	for _, event := range []string{
		"{\"a\":\"\x00evil\"}", "{\"a\":\"\x1b[31mevil\"}", "{\"a\":\"x\nevil\"}", "{\"a\":\"\xffevil\"}", "{\"a\":\"evil\xc3\"}", "{\"a\":\"\xed\xa0\x80evil\"}",
		`{"a":"\qevil"}`, `{"a":"\u12evil"}`, `{"a":"\uZZZZevil"}`, "{\"\xff\":1,\"a\":\"evil\"}",
	} {
		if hit, err := load(e, []byte(event)); err == nil && !hit {
			t.Errorf("%q loads and does not match: missed in silence", event)
		}
	}
}

// TestDeepNesting: as deep as it is allowed it matches, deeper it is refused; no
// depth makes the stack grow.
func TestDeepNesting(t *testing.T) {
	e := compile(t, "  k: [evil]\n  condition: k\n")
	refusedFrom := 0
	for _, depth := range []int{1, 2, 8, 16, 30, 33, 64, 1000, 100_000, 3_000_000} {
		for _, form := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
			event := `{"a":` + strings.Repeat(form[0], depth) + `"evil"` + strings.Repeat(form[1], depth) + "}"
			hit, err := load(e, []byte(event))
			if err == nil && !hit {
				t.Errorf("depth %d loads and does not match", depth)
			}
			if err != nil && refusedFrom == 0 {
				refusedFrom = depth
			}
		}
	}
	if refusedFrom != 0 && refusedFrom < 30 {
		t.Errorf("refused from depth %d", refusedFrom)
	}
}

// TestHugeEvents: size alone hides nothing: a match, or a refusal.
func TestHugeEvents(t *testing.T) {
	e := compile(t, "  s:\n    a|contains: evil\n  t:\n    z: evil\n  condition: s or t\n")
	var keys strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&keys, `"k%d":1,`, i)
	}
	for name, event := range map[string]string{
		"a field of 10 MB":                 `{"a":"` + strings.Repeat("x", 10<<20) + `evil"}`,
		"a field of 10 MB of escapes":      `{"a":"` + strings.Repeat(`\u0041`, 10<<20/6) + `\u0065vil"}`,
		"a field of 10 MB of invalid text": `{"a":"` + strings.Repeat("\xff", 10<<20) + `evil"}`,
		"a key of 10 MB":                   `{"` + strings.Repeat("k", 10<<20) + `":1,"a":"evil"}`,
		"a million keys":                   `{` + keys.String() + `"a":"evil"}`,
		"a million times the same key":     `{` + strings.Repeat(`"a":"x",`, 1_000_000) + `"a":"evil"}`,
		"a million values":                 `{"a":[` + strings.Repeat("1,", 1_000_000) + `"evil"]}`,
		"a million values of another":      `{"b":[` + strings.Repeat("1,", 1_000_000) + `1],"a":"evil"}`,
		"a million empty objects":          `{"b":[` + strings.Repeat("{},", 1_000_000) + `1],"a":"evil"}`,
		"10 MB of blanks":                  `{"b":` + strings.Repeat(" ", 10<<20) + `1,"a":"evil"}`,
		"a number of 1 MB":                 `{"z":` + strings.Repeat("9", 1<<20) + `,"a":"evil"}`,
	} {
		hit, err := load(e, []byte(event))
		if err == nil && !hit {
			t.Errorf("%s: missed in silence", name)
		}
		if err != nil {
			t.Logf("%s: refused: %v", name, err)
		}
	}
}

// TestWorkGrowsWithSizeAlone: no pattern and no event makes matching cost more
// than in proportion to the bytes. Four times the size may take ten times the
// time, which leaves room for a busy machine; quadratic work takes sixteen.
func TestWorkGrowsWithSizeAlone(t *testing.T) {
	size := 64 << 10
	if raced {
		size = 8 << 10
	}
	a := func(n int) string { return strings.Repeat("a", n) }
	for name, row := range map[string]struct {
		item  string
		event func(n int) string
	}{
		"nested repeats":        {`a|re: '(a+)+$'`, func(n int) string { return a(n) + "!" }},
		"alternatives":          {`a|re: '^(a|aa)+$'`, func(n int) string { return a(n) + "!" }},
		"overlapping stars":     {`a: '*aaab*aaac*aaad*'`, a},
		"stars with one letter": {`a: '*?a?a?a?b'`, a},
		"many stars":            {`a: 'a*a*a*a*a*a*a*a*b'`, a},
		"contains":              {`a|contains: aaaaaaaaaaaaaaaaaaaab`, a},
		"windash":               {`a|windash|contains: ' -b'`, func(n int) string { return strings.Repeat(" -", n/2) }},
		"numbers":               {`a|gt: 5`, func(n int) string { return strings.Repeat("0", n) }},
		"escapes":               {`a|contains: b`, func(n int) string { return strings.Repeat(`\u0041`, n/6) }},
		"letters beyond ASCII":  {`a|contains: b`, func(n int) string { return strings.Repeat("É", n/2) }},
		"a regex without case":  {`a|re|i: '(x+x+)+y'`, func(n int) string { return strings.Repeat("x", n) }},
		"backslashes":           {`a|contains: b`, func(n int) string { return strings.Repeat(`\\`, n/2) }},
	} {
		t.Run(name, func(t *testing.T) {
			e := compile(t, "  s:\n    "+row.item+"\n  condition: s\n")
			v := e.NewView()
			cost := func(n int) time.Duration {
				event := []byte(`{"a":"` + row.event(n) + `"}`)
				best := time.Hour
				for range 3 {
					start := clocktest.CPU(t)
					for range 4 {
						v.Reset()
						if err := v.Load(event); err != nil {
							t.Fatal(err)
						}
						asked(v, e, linux)
					}
					best = min(best, clocktest.CPU(t)-start)
				}
				return best
			}
			small, large := cost(size), cost(4*size)
			if large > 10*small+20*time.Millisecond {
				t.Errorf("%v for %d kB, %v for %d kB", small, size>>10, large, 4*size>>10)
			}
		})
	}
}

// TestBadRules: every one is refused, with file, line and column.
func TestBadRules(t *testing.T) {
	deep := strings.Repeat("(", 5000) + "s" + strings.Repeat(")", 5000)
	for name, text := range map[string]string{
		"nothing":                       "",
		"blanks":                        " \n\t\n",
		"only a comment":                "# x\n",
		"only a separator":              "---\n",
		"a list":                        "- a\n",
		"a word":                        "hello",
		"NUL":                           "\x00",
		"not UTF-8":                     "title: \xff\xfe\n" + header + "  s: {a: 1}\n  condition: s\n",
		"a tab for a blank":             header + "\ts: {a: 1}\n  condition: s\n",
		"an open quote":                 header + "  s: {a: 'x}\n  condition: s\n",
		"an open bracket":               header + "  s: {a: [x}\n  condition: s\n",
		"an open brace":                 header + "  s: {a: x\n  condition: s\n",
		"a key twice":                   header + "  s: {a: x}\n  s: {a: y}\n  condition: s\n",
		"a key twice in a map":          header + "  s:\n    a: x\n    a: y\n  condition: s\n",
		"an alias of nothing":           header + "  s: {a: 1}\n  t: *x\n  condition: s and t\n",
		"a merge of a number":           header + "  s: {a: 1}\n  t:\n    <<: 1\n  condition: s and t\n",
		"a tag":                         header + "  s: {a: !!binary aGk=}\n  condition: s\n",
		"a billion laughs":              "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n" + header,
		"deep brackets":                 header + "  s: {a: 1}\n  condition: " + deep + "\n",
		"deep flow":                     header + "  s: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "\n  condition: s\n",
		"deep flow of maps":             header + "  s: " + strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000) + "\n  condition: s\n",
		"a deep list":                   header + "  s:\n    " + strings.Repeat("- ", 5000) + "x\n  condition: s\n",
		"an unknown modifier":           header + "  s: {a|evil: 1}\n  condition: s\n",
		"an empty modifier":             header + "  s: {a|: 1}\n  condition: s\n",
		"an empty modifier within":      header + "  s: {a||contains: x}\n  condition: s\n",
		"a modifier in capitals":        header + "  s: {a|Contains: x}\n  condition: s\n",
		"all of one value":              header + "  s: {a|all: x}\n  condition: s\n",
		"a regex that is none":          header + "  s: {a|re: '('}\n  condition: s\n",
		"a regex repeated a lot":        header + "  s: {a|re: '(((x{1000}){1000}){1000}){1000}'}\n  condition: s\n",
		"a regex that looks back":       header + "  s: {a|re: '(?<=x)y'}\n  condition: s\n",
		"a regex that refers back":      header + "  s: {a|re: '(x)\\1'}\n  condition: s\n",
		"a network that is none":        header + "  s: {a|cidr: 10.0.0.0/33}\n  condition: s\n",
		"a comparison with text":        header + "  s: {a|gt: x}\n  condition: s\n",
		"a comparison with null":        header + "  s: {a|gt: null}\n  condition: s\n",
		"exists of something":           header + "  s: {a|exists: maybe}\n  condition: s\n",
		"an encoded wildcard":           header + "  s: {a|base64: 'x*'}\n  condition: s\n",
		"text too short for an offset":  header + "  s: {a|base64offset|contains: x}\n  condition: s\n",
		"empty text for an offset":      header + "  s: {a|base64offset|contains: ''}\n  condition: s\n",
		"a map for a value":             header + "  s: {a: {b: {c: 1}}}\n  condition: s\n",
		"a list in a list":              header + "  s: {a: [[x]]}\n  condition: s\n",
		"an empty list":                 header + "  s: {a: []}\n  condition: s\n",
		"an empty map":                  header + "  s: {}\n  condition: s\n",
		"an empty selection":            header + "  s:\n  condition: s\n",
		"an empty keyword":              header + "  s: ['']\n  condition: s\n",
		"no condition":                  header + "  s: {a: 1}\n",
		"an empty condition":            header + "  s: {a: 1}\n  condition: ''\n",
		"an empty list of conditions":   header + "  s: {a: 1}\n  condition: []\n",
		"a condition that is a map":     header + "  s: {a: 1}\n  condition: {x: y}\n",
		"a condition of nothing there":  header + "  s: {a: 1}\n  condition: t\n",
		"a condition that ends":         header + "  s: {a: 1}\n  condition: s and\n",
		"a condition that begins":       header + "  s: {a: 1}\n  condition: and s\n",
		"a condition of not":            header + "  s: {a: 1}\n  condition: not\n",
		"brackets of nothing":           header + "  s: {a: 1}\n  condition: s and ()\n",
		"1 of nothing":                  header + "  s: {a: 1}\n  condition: 1 of x*\n",
		"0 of":                          header + "  s: {a: 1}\n  condition: 0 of s*\n",
		"a pattern alone":               header + "  s: {a: 1}\n  condition: s*\n",
		"an aggregation":                header + "  s: {a: 1}\n  condition: s | count() > 5\n",
		"a file of a megabyte":          header + "  s: {a: '" + strings.Repeat("x", 1<<20) + "'}\n  condition: s\n",
		"a second document that is bad": header + "  s: {a: 1}\n  condition: s\n---\ntitle: x\n",
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := sigma.Parse("bad.yml", []byte(text))
			if err == nil {
				_, err = sigma.Compile(rules, sigma.Options{})
			}
			if err == nil {
				t.Fatal("is taken for a rule")
			}
			var se *sigma.Error
			if !errors.As(err, &se) || se.Line < 1 || se.Col < 1 || se.File != "bad.yml" || strings.TrimSpace(se.Msg) == "" {
				t.Errorf("no place: %#v", err)
			}
			if len(err.Error()) > 2000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if core.KindOf(err) != core.KindInvalid {
				t.Errorf("kind %v", core.KindOf(err))
			}
		})
	}
}
