package sigma_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
)

func TestNeeds(t *testing.T) {
	const head = "title: t\nid: 7c3b0b06-6d0d-4a7e-9a59-0b2f0f3b5a47\nauthor: a\nlogsource: {product: x}\ndetection:\n"
	for _, c := range []struct{ detection, have, lacks string }{
		{"  s: {A: x}\n  condition: s", "A", "can"},
		{"  s: {A: x}\n  condition: s", "", "A"},
		{"  s: {A: x, B: y}\n  condition: s", "A", "B"},
		{"  s: {A: x, B: y}\n  f: {C: z}\n  condition: s and not f", "A B", "can"},
		{"  s: [{A: x, B: y}, {C: z}]\n  condition: s", "A", "B"},
		{"  s: [{A: x, B: y}, {C: z}]\n  condition: s", "C", "can"},
		{"  s: [{A: x, B: y}, {C: z}]\n  condition: s", "", "C"},
		{"  s: {A: null}\n  condition: s", "", "can"},
		{"  s: {A: null}\n  condition: not s", "", "A"},
		{"  s: {A|fieldref: B}\n  condition: s", "A", "B"},
		{"  s: [word]\n  condition: s", "", "can"},
		{"  s: {A|expand: '%p%'}\n  condition: s", "A", "nothing helps"},
		{"  s: {A|expand: '%p%'}\n  o: {B: x}\n  condition: s or o", "", "B"},
		{"  s: {A: x}\n  o: {B: x}\n  condition: not (s or not o)", "A", "B"},
	} {
		rules, err := sigma.Parse("t.yml", []byte(head+c.detection+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		e, err := sigma.Compile(rules, sigma.Options{})
		if err != nil {
			t.Fatal(err)
		}
		can, lacks := e.Needs(0, func(f string) bool { return slices.Contains(strings.Fields(c.have), f) }, nil)
		got := strings.Join(lacks, " ")
		if can {
			got = "can"
		} else if got == "" {
			got = "nothing helps"
		}
		if got != c.lacks || can && lacks != nil {
			t.Errorf("%q with %q: %s, want %s", c.detection, c.have, fmt.Sprint(can, lacks), c.lacks)
		}
	}
}

func TestNeedsOfValues(t *testing.T) {
	rules, err := sigma.Parse("t.yml", []byte("title: t\nid: 7c3b0b06-6d0d-4a7e-9a59-0b2f0f3b5a47\nauthor: a\nlogsource: {product: x}\ndetection: {s: {EventID: [4768, 4769], A: x}, condition: s}\n"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := sigma.Compile(rules, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := func(string) bool { return true }
	for value, want := range map[string]string{"4769": "", "1": "EventID 4768"} {
		can, lacks := e.Needs(0, all, func(field, v string) bool { return field != "EventID" || v == value })
		if can != (want == "") || strings.Join(lacks, " ") != want {
			t.Errorf("with %s: %v %q", value, can, lacks)
		}
	}
}
