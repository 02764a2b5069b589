package correlate_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

const (
	bruteForce = "  type: event_count\n  rules: [a]\n  group-by: [user, host]\n  timespan: 60s\n  condition: {gte: 3}"
	thenLogin  = "  type: temporal_ordered\n  rules: [brute, b]\n  group-by: [user]\n  timespan: 1h"
)

// TestAChainFiresOnFirings: the firing of one correlation is an event of the
// next, with the fields of its group.
func TestAChainFiresOnFirings(t *testing.T) {
	b := newBench(t, correlate.Config{}, detections("a", "b", "c")+correlation(1, "then", thenLogin)+correlation(2, "brute", bruteForce))
	b.next("b", 0, "user", "anna")
	for i := range 3 {
		b.next("a", float64(i), "user", "anna", "host", "h")
	}
	if len(b.fired) != 1 || b.fired[0].Alerts || b.fired[0].Correlation.Rule.Name != "brute" {
		t.Fatalf("the inner one: %+v", b.fired)
	}
	if f := b.next("b", 50, "user", "bert"); f != nil {
		t.Errorf("another user: %+v", f)
	}
	f := b.next("b", 3000, "user", "anna")
	if len(f) != 1 || f[0].Correlation.Rule.Name != "then" || !f[0].Alerts || named(f) != "4 6" || f[0].Key.Group != `["anna"]` {
		t.Errorf("%+v", f)
	}
}

// TestAChainSeesTheMatchThatCompletedIt: a field that the inner correlation does
// not group by is that of the match that made it fire.
func TestAChainSeesTheMatchThatCompletedIt(t *testing.T) {
	b := newBench(t, correlate.Config{}, detections("a", "b", "c")+
		correlation(1, "brute", "  type: event_count\n  rules: [a]\n  group-by: [host]\n  timespan: 60s\n  generate: true\n  condition: {gte: 3}\n  aliases:\n    who: {a: user}")+
		correlation(2, "then", "  type: temporal\n  rules: [brute, b]\n  group-by: [user]\n  timespan: 1h\n  generate: true\n  aliases:\n    user: {brute: who}"))
	for i, user := range []string{"x", "y", "anna"} {
		b.next("a", float64(i), "user", user, "host", "h")
	}
	if len(b.fired) != 1 || !b.fired[0].Alerts {
		t.Fatalf("%+v", b.fired)
	}
	if f := b.next("b", 5, "user", "anna"); len(f) != 1 || f[0].Correlation.Rule.Name != "then" {
		t.Errorf("%+v", f)
	}
}

// TestACountOfFiringsCountsWhatGoesOnOnce: a brute force of thirty tries is one
// brute force, though each further try is told.
func TestACountOfFiringsCountsWhatGoesOnOnce(t *testing.T) {
	b := newBench(t, correlate.Config{}, detections("a", "b", "c")+correlation(1, "brute", bruteForce)+
		correlation(2, "campaign", "  type: event_count\n  rules: [brute]\n  group-by: [host]\n  timespan: 1h\n  condition: {gte: 2}")+
		correlation(3, "accounts", "  type: value_count\n  rules: [brute]\n  group-by: [host]\n  timespan: 1h\n  condition: {gte: 2, field: user}"))
	var outer []string
	tries := func(user string, from float64) {
		for i := range 30 {
			for _, f := range b.next("a", from+float64(i), "user", user, "host", "h") {
				if name := f.Correlation.Rule.Name; name != "brute" {
					outer = append(outer, fmt.Sprint(name, " by ", user, " ", f.Value))
				}
			}
		}
	}
	tries("anna", 0)
	tries("anna", 1000)
	tries("bert", 2000)
	if got := fmt.Sprint(outer); got != "[campaign by anna 2 campaign by bert 3 accounts by bert 2]" {
		t.Error(got)
	}
}

// TestAChainOnWhatWaited: the inner one fires by the watermark, and so does the
// outer one.
func TestAChainOnWhatWaited(t *testing.T) {
	b := newBench(t, correlate.Config{}, detections("a", "b", "c")+
		correlation(1, "silent", "  type: temporal_ordered\n  rules: [a, b]\n  group-by: [host]\n  timespan: 60s\n  condition: a and not b")+
		correlation(2, "twice", "  type: event_count\n  rules: [silent]\n  group-by: [host]\n  timespan: 1h\n  condition: {gte: 2}"))
	b.next("a", 0, "host", "h")
	b.next("a", 100, "host", "h")
	b.next("b", 110, "host", "h")
	b.next("a", 200, "host", "h")
	var names []string
	for _, at := range []float64{300, 400, 500, 600, 700} {
		for _, f := range b.advance(at) {
			names = append(names, fmt.Sprint(f.Correlation.Rule.Name, "@", at, ": ", named([]correlate.Firing{f})))
		}
	}
	if got := fmt.Sprint(names); got != "[silent@400: 1 silent@600: 4 twice@600: 1 4]" {
		t.Error(got)
	}
}

// TestAChainIsItsLinks: a correlation over another one fires what it fires when
// somebody hands it the firings of the other as matches.
func TestAChainIsItsLinks(t *testing.T) {
	fired := 0
	for seed := range rounds(t) / 2 {
		r := rand.New(rand.NewPCG(uint64(seed), 13))
		inner := fmt.Sprintf("  type: event_count\n  rules: [a, c]\n  group-by: [u]\n  timespan: 30s\n  condition: {gte: %d}", 1+r.IntN(3))
		outer := fmt.Sprintf("  type: %s\n  rules: [inner, b]\n  timespan: %s\n  %s", pick(r, "temporal", "temporal_ordered"), pick(r, "20s", "3m"), pick(r, "group-by: [u]", "window: tumbling"))
		chain := newBench(t, correlate.Config{}, detections("a", "b", "c")+correlation(2, "outer", outer)+correlation(1, "inner", inner))
		alone := newBench(t, correlate.Config{}, detections("a", "b", "c", "inner")+correlation(2, "outer", outer))
		for _, d := range randomStory(r, chain.e, 40) {
			if d.fact.Rule == nil {
				chain.s.Advance(d.at, nil)
				alone.s.Advance(d.at, nil)
				continue
			}
			var got, want []outcome
			collect := func(f correlate.Firing) { want = append(want, outcomeOf(f)) }
			chain.s.Take(d.fact, func(f correlate.Firing) {
				if f.Correlation.Rule.Name == "outer" {
					got = append(got, outcomeOf(f))
					return
				}
				last := f.Events[len(f.Events)-1]
				alone.s.Take(correlate.Fact{
					Scope: f.Key.Scope, Rule: alone.e.Named("inner"), Event: last.ID, At: f.Last, Received: d.fact.Received, Source: last.Source,
					Provenance: f.Provenance, Fields: f.Key.Fields(f.Correlation),
				}, collect)
			})
			if d.fact.Rule.Name == "b" {
				d.fact.Rule = alone.e.Named("b")
				alone.s.Take(d.fact, collect)
			}
			if fired += len(got); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d\n%s\n%s\ngot  %+v\nwant %+v", seed, inner, outer, got, want)
			}
		}
	}
	if fired < 100 {
		t.Errorf("fired %d times; that proves nothing", fired)
	}
}
