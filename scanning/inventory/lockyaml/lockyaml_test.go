package lockyaml

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func show(n *Node, indent string) string {
	var b strings.Builder
	for _, m := range n.Nodes {
		fmt.Fprintf(&b, "%s%d %q=%q\n%s", indent, m.Line, m.Key, m.Value, show(m, indent+" "))
	}
	return b.String()
}

func TestParse(t *testing.T) {
	text := `# remark
a: 1 # remark
'q''uoted': "x\ny"
"k: l": [a, 'b, c', {d: e}]
map:
    deep:
        deeper: v
list:
- one
- two: 2
  three: 3
-
  four: 4
in:
  - x
? long key
: value
? other
:
  under: it
text: |-
  some
    lines: here
next: ~
colon:in:key: v
url: https://example.com/a#b
empty: {}
---
second: doc
`
	docs, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	want := `2 "a"="1"
3 "q'uoted"="x\ny"
4 "k: l"=""
 4 ""="a"
 4 ""="b, c"
 4 ""=""
  4 "d"="e"
5 "map"=""
 6 "deep"=""
  7 "deeper"="v"
8 "list"=""
 9 ""="one"
 10 ""=""
  10 "two"="2"
  11 "three"="3"
 12 ""=""
  13 "four"="4"
14 "in"=""
 15 ""="x"
16 "long key"="value"
18 "other"=""
 20 "under"="it"
21 "text"="some lines: here"
24 "next"=""
25 "colon:in:key"="v"
26 "url"="https://example.com/a#b"
27 "empty"=""
`
	if got := show(docs[0], ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(docs) != 2 || docs[1].Get("second").Value != "doc" || docs[0].Get("map").Get("deep").Get("none").Get("x").Value != "" {
		t.Errorf("documents %d", len(docs))
	}
}

func TestWhatIsNotRead(t *testing.T) {
	for text, line := range map[string]int{
		"a: &x 1":                          1,
		"a: 1\nb: *x":                      2,
		"a: !!binary x":                    1,
		"<<: *x":                           1,
		"a:\n\tb: 1":                       2,
		"a: 1\n  b: 2":                     2,
		"just text":                        1,
		"a: 'open":                         1,
		"a: {b: c":                         1,
		"a: [b] c":                         1,
		"a: 'b' c":                         1,
		"  a: 1\nb: 2":                     2,
		"? key":                            1,
		"a: " + strings.Repeat("[", 200):   1,
		strings.Repeat("- ", 300) + "x: 1": 1,
	} {
		_, err := Parse(text)
		var at *Error
		if !errors.As(err, &at) || at.Line != line {
			t.Errorf("%.30q: %v, want line %d", text, err, line)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a: {b: [c, 'd']}\n- x\n? k\n: v\n")
	f.Add("\"a\\\"b\": |\n  text\n")
	f.Fuzz(func(_ *testing.T, text string) {
		docs, err := Parse(text)
		if err == nil {
			for _, d := range docs {
				_ = show(d, "")
			}
		}
	})
}

func TestLinesAreBounded(t *testing.T) {
	if _, err := Parse(strings.Repeat("a: 1\n", maxLines+1)); err == nil {
		t.Error("a text of more lines than any lockfile has was read")
	}
}
