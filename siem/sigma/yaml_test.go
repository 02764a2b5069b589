package sigma_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
)

// TestYAMLAgreesWithAnotherReader: on every rule of SigmaHQ the reader here sees
// what goccy/go-yaml sees.
func TestYAMLAgreesWithAnotherReader(t *testing.T) {
	for _, f := range corpustest.Rules(t) {
		got, err := sigma.YAMLTree(f.Text)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		want, err := otherTree(f.Text)
		if err != nil || !alike(got, want) {
			t.Errorf("%s: %v\ngot  %q\nwant %q", f.Name, err, got, want)
		}
	}
}

// alike compares two trees. A number with zeros before it keeps them here: a text
// is looked for as it is written, and the other reader takes them for octal.
func alike(got, want any) bool {
	a, aok := got.([]any)
	b, bok := want.([]any)
	if aok && bok && len(a) == len(b) {
		for i := range a {
			if !alike(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	m, mok := got.([][2]any)
	n, nok := want.([][2]any)
	if mok && nok && len(m) == len(n) {
		for i := range m {
			if m[i][0] != n[i][0] || !alike(m[i][1], n[i][1]) {
				return false
			}
		}
		return true
	}
	s, ok := got.(string)
	return reflect.DeepEqual(got, want) || ok && strings.HasPrefix(s, "a number 0")
}

func otherTree(text []byte) ([]any, error) {
	var out []any
	dec := yaml.NewDecoder(bytes.NewReader(text), yaml.UseOrderedMap())
	for {
		var v any
		if err := dec.Decode(&v); err != nil {
			if errors.Is(err, io.EOF) {
				return out, nil
			}
			return out, err
		}
		out = append(out, otherNode(v))
	}
}

func otherNode(v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return v
	case []any:
		out := make([]any, len(v))
		for i, k := range v {
			out[i] = otherNode(k)
		}
		return out
	case yaml.MapSlice:
		out := make([][2]any, len(v))
		for i, p := range v {
			out[i] = [2]any{fmt.Sprint(p.Key), otherNode(p.Value)}
		}
		return out
	case bool:
		return fmt.Sprint("a boolean ", v)
	}
	return fmt.Sprint("a number ", v)
}

func TestYAML(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"a: 1\nb: 'it''s'\nc: \"x\\ty\\u00e9\\x41\"\n", `[[[a a number 1] [b it's] [c x	yéA]]]`},
		{"a: 010\nb: 0x10\nc: 0o10\nd: 1e3\ne: .5\nf: +5\ng: 1_000\nh: 0x\ni: 1.\n", `[[[a a number 010] [b a number 16] [c a number 8] [d a number 1e3] [e a number .5] [f a number +5] [g 1_000] [h 0x] [i a number 1.]]]`},
		{"a: yes\nb: True\nc: ~\nd:\ne: null\nf: 2026-01-01\ng: .inf\n", `[[[a yes] [b a boolean true] [c <nil>] [d <nil>] [e <nil>] [f 2026-01-01] [g .inf]]]`},
		{"a: x # c\n# c\nb: x#y\n", `[[[a x] [b x#y]]]`},
		{"a:\n- 1\n- b: 2\n  c: 3\n-\n  d: 4\n- - 5\n  - 6\n", `[[[a [a number 1 [[b a number 2] [c a number 3]] [[d a number 4]] [a number 5 a number 6]]]]]`},
		{"a: [1, 'x', [y], {b: c, d: }, e: f, ]\n", `[[[a [a number 1 x [y] [[b c] [d <nil>]] [[e f]]]]]]`},
		{"a: {\"b\":1, c, 'd': [\n  1,\n  2 ]}\n", `[[[a [[b a number 1] [c <nil>] [d [a number 1 a number 2]]]]]]`},
		{"a: x\n  y\n\n  z\nb: 'x\n\n  y'\nc: \"x \\\n   y\"\n", "[[[a x y\nz] [b x\ny] [c x y]]]"},
		{"a: |\n  x\n   y\n\n  z\n\nb: |-\n  x\nc: |+\n  x\n\nd: >\n  x\n  y\n\n  z\n   more\n  end\n", "[[[a x\n y\n\nz\n] [b x] [c x\n\n] [d x y\nz\n more\nend\n]]]"},
		{"a: |2\n   x\n  y\nb: >-\n\n  x\n", "[[[a  x\ny\n] [b \nx]]]"},
		{"- |\n x\n- y\n", "[[x\n y]]"},
		{"a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n  b: 3\nf: [*x]\n", `[[[a [[b a number 1]]] [c [[b a number 1]]] [d [[b a number 3] [e a number 2]]] [f [[[b a number 1]]]]]]`},
		{"a: &l\n  - 1\nb: *l\n", `[[[a [a number 1]] [b [a number 1]]]]`},
		{"a: [&x {b: 1}, *x, &y z, *y]\n", `[[[a [[[b a number 1]] [[b a number 1]] z z]]]]`},
		{"%YAML 1.2\n---\na: 1\n...\n---\nb: 2\n---\n---\nc: 3\n", `[[[a a number 1]] [[b a number 2]] [[c a number 3]]]`},
		{"\ufeffa: 1\r\nb: 2\r\n", `[[[a a number 1] [b a number 2]]]`},
		{"a: http://x/y#z\nb: c:\\d\ne: -enc\nf: :x\ng: ?x\n", `[[[a http://x/y#z] [b c:\d] [e -enc] [f :x] [g ?x]]]`},
		{"'a|b': 1\n\"c|d\" : 2\ne f: 3\n", `[[[a|b a number 1] [c|d a number 2] [e f a number 3]]]`},
		{"x", `[x]`},
		{"", `[]`},
		{"---\n", `[]`},
	} {
		got, err := sigma.YAMLTree([]byte(row.text))
		if fmt.Sprint(got) != row.want || err != nil {
			t.Errorf("%q: %v\ngot  %v\nwant %s", row.text, err, got, row.want)
		}
	}
}

func TestYAMLThatCantBeRead(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"a:\n\tb: 1\n", "a tab can't indent a line in YAML; write blanks: 2:1"},
		{"a: b: c\n", "a second colon in one line; write the value in quotes: 1:5"},
		{"a: 'x\nb: 1\n", "a text in quotes ends or goes on further right than its key; close the quote, or indent this line: 2:1"},
		{"a: 'x\n", "the quote that opens here is not closed: 1:4"},
		{"a: 'x' y\n", "'y' stands behind the end of a value; write the whole value in quotes: 1:8"},
		{"a: \"\\q\"\n", "`\\q` is no escape of YAML; write the text in single quotes, or `\\\\` for a backslash: 1:5"},
		{"a: [1, 2\nb: 3\n", "a comma or `]` is missing before this: 2:1"},
		{"a: [1, 2\n", "the bracket `[` that opens here is not closed: 1:4"},
		{"a: {b: 1\n", "the bracket `{` that opens here is not closed: 1:4"},
		{"a: 1\na: 2\n", "the key `a` stands here and in line 1; write it once: 2:1"},
		{"a: *x\n", "there is no anchor `&x` before this; write the value in quotes if it begins with a star: 1:4"},
		{"a: &x [*x]\n", "there is no anchor `&x` before this; write the value in quotes if it begins with a star: 1:8"},
		{"a: !!str 1\n", "YAML tags have no meaning in a rule; write the value without, in quotes if it is a text: 1:4"},
		{"a: @x\n", "a value can't begin with '@'; write it in quotes: 1:4"},
		{"a: %x%\n", "a value can't begin with '%'; write it in quotes: 1:4"},
		{"a: - b\n", "a list can't begin behind a key on the same line; write it on the lines below: 1:4"},
		{"? a\n: b\n", "a key must be plain text; write `key: value`: 1:1"},
		{"a: 1\nb\n", "this is no key with a colon; write `key: value`, or indent the line below its key: 2:1"},
		{"a: 1\n- b\n", "a list stands among the keys of a map; write a key before it, or indent it: 2:1"},
		{"  a: 1\n b: 2\n", "this line is indented unlike those above it; write it below the key that it belongs to: 2:2"},
		{"a: x\n  b: y\n", "a key stands below the text of line 1 and is indented further; write it less indented, or the text in quotes: 2:3"},
		{"a: |x\n", "behind `|` stand only `+`, `-` and a digit; write the text in quotes if it begins with that sign: 1:5"},
		{"a: | x\n", "a text behind `|` begins on the next line: 1:6"},
		{"a:\n  <<: 1\n", "`<<` takes over the keys of a map, this is a number: 2:3"},
		{"a: {&k d: 1}\n", "a key can't begin with '&'; write it in quotes: 1:5"},
		{"a: [!x 1]\n", "YAML tags have no meaning in a rule; write the value without, in quotes if it is a text: 1:5"},
		{"a: {b: 1, b: 2}\n", "the key `b` stands here and in line 1; write it once: 1:11"},
		{"- a\n  - b\nc: 1\n", "this is no key with a colon; write `key: value`, or indent the line below its key: 3:1"},
		{"a:\n  b: 1\n  c\n", "this is no key with a colon; write `key: value`, or indent the line further: 3:3"},
		{"a:\n  - 1\n  b: 2\n", "this line is indented unlike those above it; write it below the key that it belongs to: 3:3"},
		{"*a : 1\n", "a key can't begin with '*'; write it in quotes: 1:1"},
		{"a: & x\n", "an anchor has no name; write the value in quotes if it begins with `&`: 1:4"},
		{"a: ]\n", "']' stands where a value should; write it in quotes to mean it itself: 1:4"},
		{"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "the file has more than 100000 values, aliases written out; write several files: 5:26"},
	} {
		_, err := sigma.YAMLTree([]byte(row.text))
		var e *sigma.Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", row.text, err)
			continue
		}
		if got := fmt.Sprintf("%s: %d:%d", e.Msg, e.Line, e.Col); got != row.want {
			t.Errorf("%q\ngot  %s\nwant %s", row.text, got, row.want)
		}
	}
}

// TestADocumentThatCantBeReadLeavesTheOthers and every one of them is named.
func TestADocumentThatCantBeReadLeavesTheOthers(t *testing.T) {
	rules, problems := sigma.Check("x.yml", []byte("a: [\n---\n"+header+"  s: {a: 1}\n  condition: s\n---\nb: 'x\n"))
	if len(rules) != 1 || len(problems) != 2 || !strings.Contains(said(problems), "1:4 error: the bracket `[`") || !strings.Contains(said(problems), "14:4 error: the quote") {
		t.Errorf("%d rules\n%s", len(rules), said(problems))
	}
}

// FuzzYAML: whatever the text, the reader ends, and every place that it names is
// in the text.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{
		"a: 1\nb: 'it''s'\nc: \"x\\ty\\u00e9\"\n", "a:\n- 1\n- b: 2\n  c: 3\n- - 5\n", "a: [1, {b: c, d}, e: f]\n", "a: |2-\n   x\n  y\nb: >+\n\n  x\n   y\n\n",
		"a: &x {b: 1}\nc:\n  <<: [*x, *x]\n", "%YAML 1.2\n---\na: x\n  y\n...\n---\n- ? x\n", "a: [\n---\nb: 'x\n\n  y'\n", "\ufeffä: ö # ü\r\n\tb: 1\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		b = bytes.TrimPrefix(b, []byte("\ufeff"))
		lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(string(b), "\r\n", "\n"), "\r", "\n"), "\n")
		for _, p := range sigma.YAMLPlaces(b) {
			if p.Line < 1 || p.Line > len(lines) || p.Col < 1 || p.Col > utf8.RuneCountInString(lines[p.Line-1])+1 {
				t.Fatalf("%v is not in %q", p, b)
			}
		}
		if _, problems := sigma.Check("f.yml", b); len(problems) > 0 {
			if p := problems[0]; p.Line < 1 || p.Line > len(lines) || p.Col < 1 || p.Col > utf8.RuneCountInString(lines[p.Line-1])+2 {
				t.Fatalf("%v is not in %q", p, b)
			}
		}
	})
}
