package hunt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma"
)

// TestWhy: a match tells the fields that made the rule fire, and of a long one
// the part that the rule looked for.
func TestWhy(t *testing.T) {
	rules, err := sigma.Parse("why.yml", []byte(`
title: Why
id: 00000000-0000-4000-8000-000000000001
author: Test
logsource: {product: test}
detection:
  selection: {cmd|contains: [' -enc ', nothing], other: x}
  words: [somewhere]
  filter: {user: SYSTEM}
  condition: (selection or words) and not filter
`))
	if err != nil {
		t.Fatal(err)
	}
	alone := func(r *sigma.Rule) *sigma.Engine {
		e, err := sigma.Compile([]*sigma.Rule{r}, sigma.Options{})
		if err != nil {
			t.Error(err)
		}
		return e
	}
	long := strings.Repeat("ä", 100)
	events := fmt.Sprintf("{\"user\":\"anna\",\"cmd\":\"%s -ENC %s\",\"other\":\"x\"}\n{\"user\":\"anna\",\"text\":\"it is somewhere\"}\n", long, long)
	for _, on := range []bool{true, false} {
		c := hunt.Config{Engine: alone(rules[0]), Paths: []string{"-"}, Stdin: strings.NewReader(events), Alone: alone}
		if !on {
			c.Alone = nil
		}
		res := runConfig(t, c)
		got := make([]string, 0, 2)
		for _, m := range res.Matches {
			got = append(got, fmt.Sprint(m.Why))
		}
		want := "[[{cmd …ääääääää -ENC äääääääääääääääääää…} {other x}] [{ it is somewhere}]]"
		if !on {
			want = "[[] []]"
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%v: %s, want %s", on, got, want)
		}
		if len(res.Matches) == 2 && fmt.Sprint(res.Matches[0].Fields) == "[]" {
			t.Error("the whole fields are gone")
		}
	}
}

// TestWhyEndsForRulesThatAlwaysFire: what is told does not depend on the number
// of workers.
func TestWhyEndsForRulesThatAlwaysFire(t *testing.T) {
	e := engine(t, evilRule)
	for _, workers := range []int{1, 5} {
		res := runConfig(t, hunt.Config{
			Engine: e, Paths: []string{"-"}, Stdin: strings.NewReader(strings.Repeat(evil+"\n", 100_000)), Workers: workers,
			Alone: func(*sigma.Rule) *sigma.Engine { return e },
		})
		told := 0
		for _, m := range res.Matches {
			if len(m.Why) > 0 {
				told++
			}
		}
		if len(res.Matches) != 100_000 || told != 32 { // two blocks
			t.Errorf("%d workers: %d of %d are told why", workers, told, len(res.Matches))
		}
	}
}
