package correlate_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// condition is an extended condition as a tree.
type condition struct {
	op   string // "" for a rule
	ref  int
	kids []*condition
}

func (c *condition) holds(count []int) bool {
	switch c.op {
	case "":
		return count[c.ref] > 0
	case "not":
		return !c.kids[0].holds(count)
	case "and":
		return c.kids[0].holds(count) && c.kids[1].holds(count)
	}
	return c.kids[0].holds(count) || c.kids[1].holds(count)
}

func (c *condition) text() string {
	switch c.op {
	case "":
		return string(rune('a' + c.ref))
	case "not":
		return "not (" + c.kids[0].text() + ")"
	}
	return "(" + c.kids[0].text() + " " + c.op + " " + c.kids[1].text() + ")"
}

func randomCondition(r *rand.Rand, refs []int) *condition {
	if r.IntN(6) == 0 {
		return &condition{op: "not", kids: []*condition{randomCondition(r, refs)}}
	}
	if len(refs) == 1 {
		return &condition{ref: refs[0]}
	}
	cut := 1 + r.IntN(len(refs)-1)
	op := []string{"and", "and", "or"}[r.IntN(3)]
	return &condition{op: op, kids: []*condition{randomCondition(r, refs[:cut]), randomCondition(r, refs[cut:])}}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomRule writes a correlation of the rules a, b and c.
func randomRule(r *rand.Rand) (body string, tree *condition) {
	kind := pick(r, "event_count", "value_count", "value_sum", "value_avg", "value_median", "value_percentile", "temporal", "temporal_ordered", "temporal", "temporal_ordered")
	cond := fmt.Sprintf("{%s: %d}", pick(r, "gt", "gte", "gte", "gte", "lt", "lte", "eq", "neq"), 1+r.IntN(4))
	if r.IntN(5) == 0 {
		cond = fmt.Sprintf("{gte: %d, lte: %d}", 1+r.IntN(2), 2+r.IntN(3))
	}
	switch {
	case kind == "value_count" && r.IntN(3) == 0:
		cond = strings.Replace(cond, "}", ", field: [f, g]}", 1)
	case kind == "value_percentile":
		cond = strings.Replace(cond, "}", fmt.Sprintf(", field: f, percentile: %d}", r.IntN(101)), 1)
	case strings.HasPrefix(kind, "value"):
		cond = strings.Replace(cond, "}", ", field: f}", 1)
	case strings.HasPrefix(kind, "temporal"):
		switch r.IntN(4) {
		case 0:
			tree = randomCondition(r, []int{0, 1, 2})
			cond = tree.text()
		case 1:
			cond = fmt.Sprintf("{steps: {a: %d, b: %d, c: %d}}", r.IntN(4), r.IntN(3), r.IntN(3))
		case 2:
			cond = ""
		}
	}
	body = "  type: " + kind + "\n  rules: [a, b, c]\n  timespan: " + pick(r, "20s", "60s", "3m")
	if cond != "" {
		body += "\n  condition: " + cond
	}
	if r.IntN(3) > 0 {
		body += "\n  group-by: [u]"
	}
	switch r.IntN(4) {
	case 0:
		body += "\n  window: tumbling"
	case 1:
		body += "\n  window: session\n  gap: " + pick(r, "5s", "15s")
	}
	return body, tree
}

// doing is a fact, or a watermark where the fact has no rule.
type doing struct {
	fact correlate.Fact
	at   time.Time
}

// randomStory is facts of the rules a to c over some minutes, late, doubled and
// at the same time, with watermarks between.
func randomStory(r *rand.Rand, e *sigma.Engine, n int) (out []doing) {
	now := 0.0
	for i := range n {
		now += pick(r, 0.0, 0, 1, 3, 10, 30) * r.Float64()
		at := now
		if r.IntN(3) == 0 {
			at -= pick(r, 1.0, 20, 200, 400) * r.Float64()
		}
		at = float64(int(at)) // ties
		if r.IntN(40) == 0 {
			at = now + pick(r, 30.0, 1e6)
		}
		f := correlate.Fact{
			Event: id(1000 + i), At: second(at), Received: second(now), Provenance: pick(r, core.ProvenanceLocal, core.ProvenanceDevice, core.ProvenanceUnauthenticated),
			Rule: e.Named(pick(r, "a", "b", "c")), Source: pick(r, "p", "q"), Scope: pick(r, "s", "s", "t"),
		}
		if len(out) > 0 && r.IntN(12) == 0 { // the same event, by this rule or another one
			if same := out[r.IntN(len(out))].fact; same.Rule != nil {
				f.Event, f.At = same.Event, same.At
			}
		}
		for _, field := range [][]string{{"u", "x", "y"}, {"f", "1", "2", "5", "-3"}, {"g", "1", "2"}, {sigma.FieldAttempt, "k", "l"}} {
			if r.IntN(4) > 0 && (field[0] != sigma.FieldAttempt || r.IntN(8) == 0) {
				f.Fields = append(f.Fields, sigma.Field{Name: field[0], Value: pick(r, field[1:]...)})
			}
		}
		if r.IntN(3) == 0 {
			f.Fields = append(f.Fields, sigma.Field{Name: sigma.FieldEcho, Value: "true"})
		}
		out = append(out, doing{fact: f})
		if r.IntN(6) == 0 {
			out = append(out, doing{at: second(now - pick(r, 0.0, 0, 5, 100)*r.Float64())})
		}
		if r.IntN(60) == 0 {
			now += 400
		}
	}
	return append(out, doing{at: second(now + 1e4)})
}

func outcomeOf(f correlate.Firing) outcome {
	o := outcome{First: f.First, Last: f.Last, Provenance: f.Provenance, Value: f.Value, Counts: f.Counts}
	for _, e := range f.Events {
		o.Events = append(o.Events, e.ID)
	}
	return o
}

// apart tells what is in os alone.
func apart(os, other []outcome) string {
	var out strings.Builder
	for _, o := range os {
		if !slices.ContainsFunc(other, func(p outcome) bool { return reflect.DeepEqual(o, p) }) {
			fmt.Fprintf(&out, "\n  %+v", o)
		}
	}
	return out.String()
}

func sortOutcomes(os []outcome) {
	slices.SortFunc(os, func(a, b outcome) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

func rounds(t *testing.T) int {
	if testing.Short() {
		return 200
	}
	return 1500
}

// TestAgainstTheReference: made rules and made events, late and shuffled, give
// what a slow and obvious reading of the documentation gives.
func TestAgainstTheReference(t *testing.T) {
	fired := map[string]int{}
	for seed := range rounds(t) {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		body, tree := randomRule(r)
		text := detections("a", "b", "c") + correlation(1, "corr", body)
		rules, err := sigma.Parse("x.yml", []byte(strings.TrimSuffix(text, "---\n")))
		if err != nil {
			continue // a condition that holds for nothing, or needs more rules than there are
		}
		e, err := sigma.Compile(rules, sigma.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ref := &reference{c: e.Correlations()[0], e: e, tree: tree, groups: make(map[string][]*seen)}
		s := correlate.New(e, correlate.Config{})
		for i, d := range randomStory(r, e, 20+r.IntN(30)) {
			var got, want []outcome
			collect := func(f correlate.Firing) { got = append(got, outcomeOf(f)) }
			if d.fact.Rule != nil {
				want = ref.take(d.fact)
				s.Take(d.fact, collect)
			} else {
				want = ref.advance(d.at)
				s.Advance(d.at, collect)
			}
			for j := range want {
				want[j].First, want[j].Last = want[j].First.UTC(), want[j].Last.UTC()
			}
			sortOutcomes(got)
			sortOutcomes(want)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, step %d: %+v\n%s\ngot  %s\nwant %s", seed, i, d, body, apart(got, want), apart(want, got))
			}
			fired[string(ref.c.Kind)+"/"+string(ref.c.Window)] += len(got)
		}
		if st := s.Stats(); st.Groups != 0 || st.Bytes != 0 || st.Events != 0 {
			t.Fatalf("seed %d: something is left of\n%s\n%+v", seed, body, st)
		}
	}
	for _, kind := range []sigma.Kind{sigma.EventCount, sigma.ValueCount, sigma.ValueSum, sigma.ValueAvg, sigma.ValueMedian, sigma.ValuePercentile, sigma.Temporal, sigma.TemporalOrdered} {
		for _, w := range []sigma.WindowKind{sigma.Sliding, sigma.Tumbling, sigma.Session} {
			if !testing.Short() && fired[string(kind)+"/"+string(w)] < 10 {
				t.Errorf("%s in %s windows fired %d times; that proves nothing", kind, w, fired[string(kind)+"/"+string(w)])
			}
		}
	}
}

// TestTheOrderOfArrivalDecidesNothing: the same events in any order, within the
// lateness, give the same firings where they are decided by the watermark, and
// name the same events where they fire at once; but for sessions, which fire
// with what was known of the session.
func TestTheOrderOfArrivalDecidesNothing(t *testing.T) {
	compared := 0
	for seed := range rounds(t) / 2 {
		r := rand.New(rand.NewPCG(uint64(seed), 11))
		body, _ := randomRule(r)
		rules, err := sigma.Parse("x.yml", []byte(detections("a", "b", "c")+strings.TrimSuffix(correlation(1, "corr", body), "---\n")))
		if err != nil {
			continue
		}
		e, err := sigma.Compile(rules, sigma.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if c := e.Correlations()[0]; c.Rising() && c.Window == sigma.Session {
			continue
		}
		var facts []correlate.Fact
		for i := range 30 {
			facts = append(facts, correlate.Fact{
				Event: id(i), At: second(float64(i * pick(r, 1, 4))), Received: second(200), Rule: e.Rules()[r.IntN(3)], Provenance: core.ProvenanceLocal,
				Fields: []sigma.Field{{Name: "u", Value: pick(r, "x", "y")}, {Name: "f", Value: pick(r, "1", "2", "5")}, {Name: "g", Value: pick(r, "1", "2")}},
			})
		}
		play := func() (named []core.UUID, all []outcome) {
			s := correlate.New(e, correlate.Config{})
			collect := func(f correlate.Firing) {
				o := outcomeOf(f)
				all = append(all, o)
				named = append(named, o.Events...)
			}
			for _, f := range facts {
				s.Take(f, collect)
			}
			s.Advance(second(1e5), collect)
			sortOutcomes(all)
			slices.SortFunc(named, func(a, b core.UUID) int { return strings.Compare(a.String(), b.String()) })
			return named, all
		}
		named, all := play()
		for range 3 {
			r.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
			again, also := play()
			if !slices.Equal(named, again) || !e.Correlations()[0].Rising() && !reflect.DeepEqual(all, also) {
				t.Fatalf("seed %d\n%s\n%v\n%v", seed, body, all, also)
			}
			compared += len(again)
		}
	}
	if compared < 1000 {
		t.Errorf("%d events named; that proves nothing", compared)
	}
}
