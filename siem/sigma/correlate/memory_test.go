package correlate_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

const tenEvents = "  type: event_count\n  rules: [a]\n  group-by: [u]\n  timespan: 1h\n  condition: {gte: 10}"

// TestMadeUpKeysPushOutMadeUpKeys: somebody who guesses slowly is still found
// while a flood of addresses fills the memory, and what gave way is told.
func TestMadeUpKeysPushOutMadeUpKeys(t *testing.T) {
	told, events := 0, 0
	b := newBench(t, correlate.Config{Memory: 1 << 20, Evicted: func(e correlate.Eviction) {
		told++
		events += e.Events
		if e.Untold != e.Events || e.Key.Group == `["slow"]` || e.Correlation == nil || e.Last.Before(e.First) {
			t.Errorf("%+v", e)
		}
	}}, detections("a")+correlation(1, "corr", tenEvents))
	for i := range 10 {
		if f := b.next("a", float64(i*300), "u", "slow"); (f != nil) != (i == 9) {
			t.Fatalf("try %d: %+v", i, f)
		}
		if i < 5 { // far from firing, it is one among many
			continue
		}
		for j := range 5000 {
			b.next("a", float64(i*300+1), "u", fmt.Sprintf("198.51.%d.%d", i, j))
		}
	}
	st := b.s.Stats()
	if c := st.Correlations[0]; c.EvictedGroups == 0 || c.EvictedGroups != uint64(told) || c.EvictedEvents != uint64(events) {
		t.Errorf("%+v, told of %d groups and %d events", c, told, events)
	}
	if st.Bytes > 1<<20 || st.Bytes < 1<<19 {
		t.Errorf("%d bytes", st.Bytes)
	}
}

// TestAnAbsenceIsNotForgottenInAFlood: each event that something must follow is
// an alarm to come.
func TestAnAbsenceIsNotForgottenInAFlood(t *testing.T) {
	b := newBench(t, correlate.Config{Memory: 256 << 10}, detections("a", "b", "c")+
		correlation(1, "absent", "  type: temporal_ordered\n  rules: [a, b]\n  group-by: [u]\n  timespan: 1h\n  condition: a and not b")+
		correlation(2, "flooded", "  type: event_count\n  rules: [c]\n  group-by: [u]\n  timespan: 1h\n  condition: {gte: 10}"))
	b.next("a", 0, "u", "door")
	for j := range 5000 {
		b.next("c", 1, "u", fmt.Sprint(j))
	}
	if f := b.advance(4000); named(f) != "1" || f[0].Correlation.Rule.Name != "absent" {
		t.Errorf("%+v", f)
	}
}

// TestAccountsAreTrue: what the state says it costs is what the heap grows by,
// or more.
func TestAccountsAreTrue(t *testing.T) {
	const bound = 4 << 20
	for name, body := range map[string]string{
		"many small groups": tenEvents,
		"many values":       strings.Replace(strings.Replace(tenEvents, "event_count", "value_count", 1), "gte: 10", "gte: 10, field: f", 1),
		"large groups":      strings.Replace(tenEvents, "gte: 10", "gte: 1000", 1),
	} {
		e := compile(t, detections("a")+correlation(1, "corr", body))
		before := heapNow()
		s := correlate.New(e, correlate.Config{Memory: bound})
		r := rand.New(rand.NewPCG(1, 2))
		keys := 80_000
		if name == "large groups" {
			keys = 20
		}
		for n := range 80_000 {
			s.Take(correlate.Fact{
				Rule: e.Rules()[0], Event: id(n), At: second(float64(n) / 1000), Received: second(float64(n) / 1000), Source: "syslog/192.0.2.1",
				Fields: []sigma.Field{{Name: "u", Value: fmt.Sprintf("user-%d@example.org", r.IntN(keys))}, {Name: "f", Value: fmt.Sprintf("value-%d", r.IntN(1e6))}},
			}, nil)
		}
		grown, st := heapNow()-before, s.Stats()
		if st.Bytes > bound || grown > st.Bytes+st.Bytes/8 {
			t.Errorf("%s: says %d bytes of %d, and the heap grew by %d", name, st.Bytes, bound, grown)
		}
		t.Logf("%s: %d groups, %d events, %d bytes, %d on the heap", name, st.Groups, st.Events, st.Bytes, grown)
		runtime.KeepAlive(s)
	}
}

func heapNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestOneGroupCanNotEatTheMemory: hammered, a group keeps a few times what its
// condition needs, in little memory too.
func TestOneGroupCanNotEatTheMemory(t *testing.T) {
	for _, row := range []struct {
		memory int64
		most   int
	}{{0, 4 * 1001 * 9 / 8}, {64 << 10, 1002 * 9 / 8}} {
		b := newBench(t, correlate.Config{Memory: row.memory}, detections("a")+correlation(1, "corr", strings.Replace(tenEvents, "gte: 10", "gte: 1000", 1)))
		fired := 0
		for range 6_000 {
			fired += len(b.next("a", 1, "u", "x"))
		}
		if st := b.s.Stats(); st.Events > row.most || fired == 0 && row.memory == 0 {
			t.Errorf("%d bytes: %+v, fired %d times", row.memory, st, fired)
		}
	}
}

// TestLargeGroupsAreLikeSmallOnes: above some size a group is searched by index.
func TestLargeGroupsAreLikeSmallOnes(t *testing.T) {
	for _, body := range []string{
		"  type: event_count\n  rules: [a, b, c]\n  timespan: 3m\n  condition: {gte: 100}",
		"  type: value_sum\n  rules: [a, b, c]\n  timespan: 3m\n  condition: {gte: 250, field: n}",
		"  type: temporal\n  rules: [a, b, c]\n  timespan: 3m\n  condition: {steps: {a: 40, b: 40, c: 30}}",
	} {
		e := compile(t, detections("a", "b", "c")+correlation(1, "corr", body))
		ref := &reference{c: e.Correlations()[0], e: e, groups: make(map[string][]*seen)}
		s := correlate.New(e, correlate.Config{})
		r := rand.New(rand.NewPCG(3, 4))
		fired := 0
		var last correlate.Fact
		for i := range 230 {
			f := correlate.Fact{
				Event: id(i), At: second(float64(i) / 2), Received: second(float64(i)/2 + 3*r.Float64()), Rule: e.Rules()[min(2, max(0, i/77+r.IntN(2)-r.IntN(2)))],
				Provenance: pick(r, core.ProvenanceLocal, core.ProvenanceUnauthenticated), Fields: []sigma.Field{{Name: "n", Value: fmt.Sprint(r.IntN(5))}},
			}
			if i > 0 && r.IntN(8) == 0 { // the same one, by this rule or another one
				f.Event, f.At = last.Event, last.At
			}
			last = f
			if r.IntN(3) == 0 {
				f.Fields = append(f.Fields, sigma.Field{Name: sigma.FieldAttempt, Value: fmt.Sprint(r.IntN(60))})
				f.Fields = append(f.Fields, sigma.Field{Name: sigma.FieldEcho, Value: pick(r, "true", "")})
			}
			var got []outcome
			s.Take(f, func(f correlate.Firing) { got = append(got, outcomeOf(f)) })
			want := ref.take(f)
			if fired += len(got); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s\nevent %d\ngot  %+v\nwant %+v", body, i, got, want)
			}
		}
		if fired == 0 {
			t.Errorf("never fired:\n%s", body)
		}
	}
}

func TestAFiringNamesABoundedNumber(t *testing.T) {
	b := newBench(t, correlate.Config{}, detections("a")+correlation(1, "corr", strings.Replace(tenEvents, "gte: 10", "gte: 1200", 1)))
	for i := range 1200 {
		f := b.next("a", float64(i), "u", "x")
		if (f != nil) != (i == 1199) {
			t.Fatalf("event %d: %+v", i, f)
		}
		if f != nil && (len(f[0].Events) != correlate.MaxNamed || f[0].Omitted != 200 || f[0].Value != 1200 || f[0].Events[499].ID != id(500) || f[0].Events[500].ID != id(701)) {
			t.Errorf("%d named, %d omitted, %v around", len(f[0].Events), f[0].Omitted, f[0].Events[499:501])
		}
	}
}
