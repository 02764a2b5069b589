package sigma_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
)

// world is a set of made-up rules with events that many of them match.
type world struct {
	rules  []*madeRule
	engine *sigma.Engine
	events [][]byte
}

func newWorld(t *testing.T, seed uint64, rules, events int, o sigma.Options) *world {
	t.Helper()
	m := newMaker(seed, 0)
	w := &world{}
	for range rules {
		w.rules = append(w.rules, m.rule())
	}
	engine, err := sigma.Compile(parse(t, writeRules(w.rules)), o)
	if err != nil {
		t.Fatal(err)
	}
	w.engine = engine
	for range events {
		w.events = append(w.events, []byte(m.event(w.rules).String()))
	}
	return w
}

// held lists the rules that hold, in the order in which they are told.
func held(t *testing.T, v *sigma.View, e *sigma.Engine, event []byte, sources []sigma.Logsource) []string {
	t.Helper()
	v.Reset()
	if err := v.Load(event); err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	if sources == nil {
		sources = v.Sources()
	}
	return asked(v, e, sources)
}

func asked(v *sigma.View, e *sigma.Engine, sources []sigma.Logsource) []string {
	var out []string
	e.Match(v, sources, func(m sigma.Match) { out = append(out, m.Rule.ID) })
	return out
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// TestManyRulesAnswerAsEachAlone: what rules share must not show.
func TestManyRulesAnswerAsEachAlone(t *testing.T) {
	w := newWorld(t, 1, 120, 300, sigma.Options{})
	together := make([]map[string]bool, len(w.events))
	v := w.engine.NewView()
	for i, event := range w.events {
		together[i] = make(map[string]bool)
		for _, id := range held(t, v, w.engine, event, madeSources) {
			if together[i][id] {
				t.Errorf("%s told twice on %s", id, event)
			}
			together[i][id] = true
		}
	}
	hits := 0
	for _, r := range w.engine.Rules() {
		alone, err := sigma.Compile([]*sigma.Rule{r}, sigma.Options{})
		if err != nil {
			t.Fatal(err)
		}
		av := alone.NewView()
		for i, event := range w.events {
			got := len(held(t, av, alone, event, madeSources)) == 1
			if got {
				hits++
			}
			if got != together[i][r.ID] {
				t.Fatalf("%s alone: %t, among others: %t, on %s", r.Title, got, together[i][r.ID], event)
			}
		}
	}
	if hits < 1000 {
		t.Errorf("only %d matches", hits)
	}
}

// TestOrderOfRulesAndOfSourcesIsNothing: another order gives the same set, the
// same order the same sequence.
func TestOrderOfRulesAndOfSourcesIsNothing(t *testing.T) {
	w := newWorld(t, 2, 60, 300, sigma.Options{})
	reversed := slices.Clone(parse(t, writeRules(w.rules)))
	slices.Reverse(reversed)
	other, err := sigma.Compile(reversed, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	back := slices.Clone(madeSources)
	slices.Reverse(back)
	v, ov, again := w.engine.NewView(), other.NewView(), w.engine.NewView()
	for _, event := range w.events {
		a := held(t, v, w.engine, event, madeSources)
		if b := held(t, again, w.engine, event, madeSources); !slices.Equal(a, b) {
			t.Fatalf("told in another order: %v, %v", a, b)
		}
		if b := held(t, ov, other, event, back); !slices.Equal(sorted(a), sorted(b)) {
			t.Fatalf("%v, %v on %s", a, b, event)
		}
		if b := held(t, v, w.engine, event, append(slices.Clone(madeSources), madeSources...)); !slices.Equal(a, b) {
			t.Fatalf("sources given twice: %v, %v on %s", a, b, event)
		}
	}
}

// TestRoutesOnlyChooseSources: an engine with routes, told the sources, answers
// as one without; asked itself, as one that is told what the routes say.
func TestRoutesOnlyChooseSources(t *testing.T) {
	routes := []sigma.Route{
		{When: []sigma.Mark{{Field: "a"}}, Sources: []sigma.Logsource{madeSources[1]}},
		{When: []sigma.Mark{{Field: "b", Values: []string{"22", "cmd"}}, {Field: "c"}}, Sources: []sigma.Logsource{madeSources[3], madeSources[0]}},
	}
	plain := newWorld(t, 3, 60, 300, sigma.Options{})
	routed := newWorld(t, 3, 60, 300, sigma.Options{Routes: routes})
	v, rv := plain.engine.NewView(), routed.engine.NewView()
	for _, event := range plain.events {
		if a, b := held(t, v, plain.engine, event, madeSources), held(t, rv, routed.engine, event, madeSources); !slices.Equal(a, b) {
			t.Fatalf("%v, %v on %s", a, b, event)
		}
		sources := slices.Clone(rv.Sources())
		if a, b := asked(v, plain.engine, sources), held(t, rv, routed.engine, event, nil); !slices.Equal(a, b) {
			t.Fatalf("from %v: %v, %v on %s", sources, a, b, event)
		}
	}
}

// TestAnOldViewIsAsGoodAsANewOne: nothing of an event is left for the next, and
// none that could not be read leaves anything either.
func TestAnOldViewIsAsGoodAsANewOne(t *testing.T) {
	w := newWorld(t, 4, 60, 400, sigma.Options{})
	old := w.engine.NewView()
	for i, event := range w.events {
		fresh := held(t, w.engine.NewView(), w.engine, event, madeSources)
		if got := held(t, old, w.engine, event, madeSources); !slices.Equal(got, fresh) {
			t.Fatalf("event %d: %v, in a new view %v: %s", i, got, fresh, event)
		}
		if i%5 == 0 { // half an event, never asked about
			old.Reset()
			old.Set("a", "left over")
			_ = old.Load(event[:len(event)/2])
		}
	}
}

// TestMatchingTwiceTellsTwice: a view can be asked again, and in other words.
func TestMatchingTwiceTellsTwice(t *testing.T) {
	w := newWorld(t, 5, 40, 200, sigma.Options{})
	v := w.engine.NewView()
	for _, event := range w.events {
		whole := held(t, v, w.engine, event, madeSources)
		if again := asked(v, w.engine, madeSources); !slices.Equal(whole, again) {
			t.Fatalf("first %v, then %v on %s", whole, again, event)
		}
		var parts []string
		for _, s := range madeSources {
			for _, id := range asked(v, w.engine, []sigma.Logsource{s}) {
				if !slices.Contains(parts, id) {
					parts = append(parts, id)
				}
			}
		}
		if !slices.Equal(sorted(parts), sorted(whole)) {
			t.Fatalf("all at once %v, one by one %v on %s", whole, parts, event)
		}
	}
}

// TestFlatAndJSONAnswerAlike: what [sigma.View.Set] lays down is what Load finds.
// Keywords are left out: they ask what the event says, not what we know of it.
func TestFlatAndJSONAnswerAlike(t *testing.T) {
	m := newMaker(6, 0)
	var rules []*madeRule
	for len(rules) < 60 {
		if r := m.rule(); !strings.Contains(writeRules([]*madeRule{r}), `"|`) && !hasBareKeyword(r) {
			rules = append(rules, r)
		}
	}
	engine, err := sigma.Compile(parse(t, writeRules(rules)), sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v, hits := engine.NewView(), 0
	for range 400 {
		flat := make(map[string]string)
		for range 4 {
			it := pick(m, pick(m, pick(m, pick(m, rules).selections).maps))
			flat[it.field] = m.disturbed(it, pick(m, it.vals))
		}
		object, err := json.Marshal(flat)
		if err != nil {
			t.Fatal(err)
		}
		want := held(t, v, engine, object, madeSources)
		v.Reset()
		for field, text := range flat {
			v.Set(field, text)
		}
		got := asked(v, engine, madeSources)
		if !slices.Equal(got, want) {
			t.Fatalf("set: %v, loaded: %v: %s", got, want, object)
		}
		hits += len(want)
	}
	if hits < 1000 {
		t.Errorf("only %d matches", hits)
	}
}

func hasBareKeyword(r *madeRule) bool {
	for _, s := range r.selections {
		for _, items := range s.maps {
			for _, it := range items {
				if it.bare {
					return true
				}
			}
		}
	}
	return false
}

// TestManyGoroutinesAnswerAsOne: an engine serves any number of them. Run with
// the race detector this also holds that nothing is shared in secret.
func TestManyGoroutinesAnswerAsOne(t *testing.T) {
	w := newWorld(t, 7, 60, 200, sigma.Options{})
	want := make([]string, len(w.events))
	v := w.engine.NewView()
	for i, event := range w.events {
		want[i] = fmt.Sprint(held(t, v, w.engine, event, madeSources))
	}
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			v := w.engine.NewView()
			for k := range len(w.events) * 3 {
				i := (k*7 + g*13) % len(w.events)
				v.Reset()
				if err := v.Load(w.events[i]); err != nil {
					t.Error(err)
					return
				}
				if got := fmt.Sprint(asked(v, w.engine, madeSources)); got != want[i] {
					t.Errorf("event %d: %s, alone %s", i, got, want[i])
					return
				}
			}
		})
	}
	wg.Wait()
}
