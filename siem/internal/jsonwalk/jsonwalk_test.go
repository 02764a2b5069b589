package jsonwalk

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func walk(event string) (seen []string, ok bool) {
	w := Walker{Visit: func(path, val []byte) { seen = append(seen, fmt.Sprintf("%s=%s", path, val)) }}
	ok = w.Object([]byte(event))
	return seen, ok
}

func TestObject(t *testing.T) {
	for event, want := range map[string]string{
		`{}`: "",
		` {"a":1, "b" : {"c":"x\"}", "d":null}, "e":[true,{"f":2},[3]], "g":[], "h":{}}`: `a=1 b.c="x\"}" b.d=null e=true e.f=2 e=3`,
		`{"a\"b":1} and more`: `a\"b=1`,
	} {
		if seen, ok := walk(event); !ok || strings.Join(seen, " ") != want {
			t.Errorf("%s: %v %v", event, seen, ok)
		}
	}
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + "1" + strings.Repeat("]", n) + "}" }
	if _, ok := walk(deep(maxDepth - 1)); !ok {
		t.Error("as deep as may be, and refused")
	}
	for _, event := range []string{"", " ", "[1]", "1", `"x"`, "{", `{"a`, `{"a"`, `{"a":`, `{"a":}`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a":[1`, `{"a":[1,`, `{"a":[,]}`, `{"a":"x\"}`, `{a:1}`, deep(maxDepth)} {
		if seen, ok := walk(event); ok {
			t.Errorf("%s is taken for an object: %v", event, seen)
		}
	}
}

func TestMember(t *testing.T) {
	var w Walker
	for name, want := range map[string]string{"a": `{"b": [1]}`, "b": "", "c": `"}"`, "d": " 2"} {
		if got := w.Member([]byte(` {"a": {"b": [1]}, "c":"}", "d":2, "d":3}`), name); string(got) != strings.TrimSpace(want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, event := range []string{"", "[]", `{`, `{"x"`, `{"x":`, `{"x":{"a":1}`, `{x:1,"a":1}`} {
		if got := w.Member([]byte(event), "a"); got != nil {
			t.Errorf("%s: %s", event, got)
		}
	}
}

// FuzzWalk: whatever bytes come, the walk ends, within them, and the same way
// twice.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{`{"a":{"b":["x",1,null]}}`, `{"a":"\\`, `{"":[[]]}`, `[[[`, `{"a":1}{`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, event string) {
		first, ok := walk(event)
		if again, same := walk(event); same != ok || !slices.Equal(first, again) {
			t.Errorf("%q: %v, then %v", event, first, again)
		}
		for _, name := range []string{"a", ""} {
			var w Walker
			if val := w.Member([]byte(event), name); !strings.Contains(event, string(val)) {
				t.Errorf("%q is no part of %q", val, event)
			}
		}
	})
}
