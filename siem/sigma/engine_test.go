package sigma_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
)

// everyNth returns every nth recorded event.
func everyNth(t *testing.T, n int) [][]byte {
	t.Helper()
	var out [][]byte
	for sc, i := corpustest.Events(t), 0; sc.Scan(); i++ {
		if i%n == 0 {
			out = append(out, bytes.Clone(sc.Bytes()))
		}
	}
	return out
}

// fired lists what an event fires.
func fired(t *testing.T, e *sigma.Engine, v *sigma.View, event []byte) []string {
	v.Reset()
	if err := v.Load(event); err != nil {
		t.Error(err)
	}
	var out []string
	e.Match(v, v.Sources(), func(m sigma.Match) { out = append(out, m.Rule.ID) })
	return out
}

// TestEventsAllocateNothing: all of SigmaHQ over real events, matches included.
func TestEventsAllocateNothing(t *testing.T) {
	e, events := corpusEngine(t), everyNth(t, 40)
	v, matches := e.NewView(), 0
	count := func(sigma.Match) { matches++ }
	pass := func() {
		for _, event := range events {
			v.Reset()
			if err := v.Load(event); err != nil {
				t.Fatal(err)
			}
			e.Match(v, v.Sources(), count)
		}
	}
	pass() // builds what events of their kinds need
	if n := testing.AllocsPerRun(1, pass); n > 0 && !raced {
		t.Errorf("%.0f allocations for %d events", n, len(events))
	}
	if matches == 0 {
		t.Error("nothing matches: this says nothing")
	}
}

// TestWhatIsLearntChangesNothing: a view that has seen much, so that rules have
// found other witnesses, says of each event what a new engine says of it.
func TestWhatIsLearntChangesNothing(t *testing.T) {
	learnt, fresh, events := corpusEngine(t), corpusEngine(t), everyNth(t, 5)
	old := learnt.NewView()
	for range 3 {
		for _, event := range events {
			fired(t, learnt, old, event)
		}
	}
	for i, event := range events {
		if got, want := fired(t, learnt, old, event), fired(t, fresh, fresh.NewView(), event); !slices.Equal(got, want) {
			t.Fatalf("event %d fires %v, at first %v", i, got, want)
		}
	}
}

// TestEngineServesManyViews: views of several goroutines, which all build and
// replace programs, say the same.
func TestEngineServesManyViews(t *testing.T) {
	e, events := corpusEngine(t), everyNth(t, 20)
	lists := make([][]string, 4)
	var wg sync.WaitGroup
	for g := range lists {
		wg.Go(func() {
			v := e.NewView()
			for _, event := range events {
				lists[g] = append(lists[g], fired(t, e, v, event)...)
			}
		})
	}
	wg.Wait()
	for _, list := range lists[1:] {
		if !slices.Equal(list, lists[0]) || len(list) == 0 {
			t.Errorf("%d matches and %d", len(list), len(lists[0]))
		}
	}
}

// TestStrangersFillNothing: logsources that senders make up, and marks with many
// values, do not make the engine remember without bound.
func TestStrangersFillNothing(t *testing.T) {
	e := corpusEngine(t)
	v := e.NewView()
	rules := e.Rules()
	for i := range 600 {
		v.Reset()
		if err := v.Load(fmt.Appendf(nil, `{"Channel":"stranger-%d","EventID":%d,"Image":"x"}`, i, i)); err != nil {
			t.Fatal(err)
		}
		v.Sources()
		e.Match(v, []sigma.Logsource{{Product: fmt.Sprint("made up ", i)}, rules[i%len(rules)].Logsource, rules[i*7%len(rules)].Logsource}, func(sigma.Match) {})
	}
	if s := e.Stats(); s.Programs > 512 || s.TableBytes > 80<<20 {
		t.Errorf("%+v", s)
	}
}

func TestStatsAndPaths(t *testing.T) {
	e, err := sigma.Compile(parse(t, header+"  s: {user|contains: root}\n  n: {pid: 1}\n  condition: s or not n\n"), sigma.Options{
		Aliases: func(_ sigma.Logsource, f string) []string { return []string{f + ".name"} },
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Rules != 1 || s.Predicates != 2 || s.Fields != 2 || s.Always != 1 || s.Programs != 0 {
		t.Errorf("%+v", s)
	}
	if got := e.Paths("user"); !slices.Equal(got, []string{"user", "user.name"}) {
		t.Errorf("Paths = %q", got)
	}
}
