package sigma_test

import (
	"fmt"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
)

// TestExplainOfMadeRules: whatever the rules and the event, what is explained is
// what the engine says, and the changes that are named make a rule fire.
func TestExplainOfMadeRules(t *testing.T) {
	rounds := 300
	if raced {
		rounds = 20
	}
	asked, far := 0, 0
	for n := range uint64(rounds) {
		m := newMaker(20261123, n)
		c := &madeCase{aliases: m.chance(30)}
		for range 1 + m.IntN(8) {
			c.rules = append(c.rules, m.rule())
		}
		if m.chance(30) {
			f := m.rule()
			f.filter = true
			c.rules = append(c.rules, f)
		}
		parsed, err := sigma.Parse("made.yml", []byte(writeRules(c.rules)))
		if err != nil {
			continue // counted where rules are held against the reference
		}
		o := sigma.Options{Placeholders: madePlaceholders}
		if c.aliases {
			o.Aliases = madeAliases
		}
		engine, err := sigma.Compile(parsed, o)
		if err != nil {
			continue
		}
		view := engine.NewView()
		for range 10 {
			c.event, c.sources, c.vouched = m.event(c.rules), m.someSources(), nil
			if m.chance(15) {
				c.vouched = append(c.vouched, [2]string{pick(m, madeFields), m.literal(false)})
			}
			for _, x := range explainMade(t, engine, view, c) {
				if asked++; x.Distance != 0 {
					far++
				}
			}
		}
	}
	t.Logf("%d rules explained, of which %d did not fire", asked, far)
	if asked < 5*rounds || far == 0 || far == asked {
		t.Error("that says too little")
	}
}

func explainMade(t *testing.T, engine *sigma.Engine, view *sigma.View, c *madeCase) []sigma.Explanation {
	t.Helper()
	view.Reset()
	for _, v := range c.vouched {
		view.Set(v[0], v[1])
	}
	if err := view.Load([]byte(c.event.String())); err != nil {
		t.Fatal(err)
	}
	fired := make(map[string]bool)
	engine.Match(view, c.sources, func(m sigma.Match) { fired[m.Rule.ID] = true })
	all := engine.Explain(view, c.sources, sigma.ExplainOptions{})
	for _, x := range all {
		switch {
		case (x.Verdict == sigma.Fired) != fired[x.Rule.ID], (x.Distance == 0) != fired[x.Rule.ID]:
			t.Fatalf("%s at distance %d, the engine says %t\n%s", x.Verdict, x.Distance, fired[x.Rule.ID], c)
		case x.Distance > 0 && (len(x.Change) != x.Distance || !x.Condition.Would(x.Change)):
			t.Fatalf("%d changes do not make %s hold\n%s", len(x.Change), x.Rule.ID, c)
		case x.Distance > 0 && x.Condition.Would(nil):
			t.Fatalf("%s holds without a change\n%s", x.Rule.ID, c)
		}
		x.Condition.Questions(func(q *sigma.Question, _ bool) { _ = fmt.Sprint(q, q.Found()) })
		delete(fired, x.Rule.ID)
	}
	if len(fired) > 0 {
		t.Fatalf("%v fired and are not explained\n%s", fired, c)
	}
	return all
}
