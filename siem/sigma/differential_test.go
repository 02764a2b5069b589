package sigma_test

import (
	"os"
	"slices"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
	"github.com/interlock-security/interlock/siem/sigma/internal/reference"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// Set to anything, the variable makes the bounded tests of this package long:
// every event instead of a sample, many times the made-up rules.
const longVariable = "INTERLOCK_LONG"

func long() bool { return os.Getenv(longVariable) != "" }

// refCorpus reads every rule of SigmaHQ as the reference does, by id, once a
// process.
func refCorpus(t *testing.T) map[string]*reference.Rule {
	t.Helper()
	if refRules == nil {
		refRules = readRefCorpus(t)
	}
	return refRules
}

var refRules map[string]*reference.Rule

func readRefCorpus(t *testing.T) map[string]*reference.Rule {
	t.Helper()
	out := make(map[string]*reference.Rule)
	for _, f := range corpustest.Rules(t) {
		rules, err := reference.Parse(f.Text, corpusPlaceholders)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		for _, r := range rules {
			out[r.ID] = r
		}
	}
	return out
}

// corpusPlaceholders gives SigmaHQ's placeholders something to stand for.
var corpusPlaceholders = map[string][]string{
	"Administrators": {"adm*"}, "Workstations": {"ws-*"}, "Servers": {"srv*"},
	"DomainControllers": {"dc?"}, "JumpServers": {"jump"},
}

// differ holds two readings of the same rules against one another.
type differ struct {
	engine  *sigma.Engine
	view    *sigma.View
	ref     map[string]*reference.Rule
	rules   []*sigma.Rule
	sources []sigma.Logsource // every rule's own
}

func newDiffer(t *testing.T, o sigma.Options) *differ {
	t.Helper()
	rules, _ := corpus(t)
	o.Placeholders = corpusPlaceholders
	engine, err := sigma.Compile(rules, o)
	if err != nil {
		t.Fatal(err)
	}
	d := &differ{engine: engine, view: engine.NewView(), ref: refCorpus(t), rules: engine.Rules(), sources: engine.Logsources()}
	for _, r := range d.rules {
		ref := d.ref[r.ID]
		if ref == nil {
			t.Fatalf("%s: the reference did not read this rule", r.File)
		}
		ref.Paths = func(field string) []string {
			if o.Aliases == nil {
				return []string{field}
			}
			return o.Aliases(r.Logsource, field)
		}
	}
	return d
}

// check asks both about one event and returns how many rules hold.
func (d *differ) check(t *testing.T, what string, event []byte, routed bool) int {
	t.Helper()
	d.view.Reset()
	if err := d.view.Load(event); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	read, err := reference.Read(event)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	sources := d.sources
	if routed {
		sources = slices.Clone(d.view.Sources())
	}
	got := make(map[string]int)
	d.engine.Match(d.view, sources, func(m sigma.Match) { got[m.Rule.ID]++ })
	hits := 0
	for _, r := range d.rules {
		want := 0
		ref := d.ref[r.ID]
		applies := func(s sigma.Logsource) bool { return ref.Applies(s.Category, s.Product, s.Service) }
		if (!routed || slices.ContainsFunc(sources, applies)) && ref.Holds(read) {
			want = 1
			hits++
		}
		if got[r.ID] != want {
			t.Errorf("%s: %q (%s) matched %d times, the reference says %d\n%.1500s", what, r.Title, r.File, got[r.ID], want, event)
		}
	}
	return hits
}

// TestReferenceAgreesOnRegressionEvents: on the events that SigmaHQ keeps for
// its rules the very same set of rules holds for both, all 3 754 being asked.
func TestReferenceAgreesOnRegressionEvents(t *testing.T) {
	d := newDiffer(t, sigma.Options{})
	events, hits := 0, 0
	for _, c := range corpustest.Cases(t) {
		events++
		hits += d.check(t, c.Rule, c.Event, false)
	}
	t.Logf("%d events, %d rules: %d matches", events, len(d.rules), hits)
	if events < 106 || hits < events {
		t.Errorf("only %d matches on %d events", hits, events)
	}
}

// TestReferenceAgreesOnRealEvents: the same over recorded attacks, an evenly
// spaced sample of them in every run.
func TestReferenceAgreesOnRealEvents(t *testing.T) {
	d := newDiffer(t, sigma.Options{})
	every, n, asked, hits := 67, 0, 0, 0
	switch {
	case long():
		every = 1
	case raced:
		every = 501
	}
	for sc := corpustest.Events(t); sc.Scan(); n++ {
		if n%every == 0 {
			hits += d.check(t, sc.Text()[:40], sc.Bytes(), false)
			asked++
		}
	}
	t.Logf("%d of %d events, %d rules: %d matches", asked, n, len(d.rules), hits)
	if !raced && asked < 140 || hits == 0 {
		t.Errorf("only %d events with %d matches", asked, hits)
	}
}

// TestReferenceAgreesOnRoutedEvents: the same with the routes and aliases of the
// taxonomy, as events are matched that no normaliser has seen; where an event
// belongs is worked out a second time, too.
func TestReferenceAgreesOnRoutedEvents(t *testing.T) {
	routes := taxonomy.Routes()
	d := newDiffer(t, sigma.Options{Routes: routes, Aliases: taxonomy.Aliases})
	every, n, asked, hits, unknown := 61, 0, 0, 0, 0
	switch {
	case long():
		every = 1
	case raced:
		every = 503
	}
	for sc := corpustest.Events(t); sc.Scan(); n++ {
		if n%every != 0 {
			continue
		}
		asked++
		hits += d.check(t, sc.Text()[:40], sc.Bytes(), true)
		sources := slices.Clone(d.view.Sources())
		if len(sources) == 0 {
			unknown++
		}
		if want := refSources(t, routes, sc.Bytes()); !sameSources(sources, want) {
			t.Errorf("sources %v, by the routes themselves %v: %.500s", sources, want, sc.Text())
		}
	}
	t.Logf("%d events, %d matches, %d events of no known source", asked, hits, unknown)
	if unknown*10 > asked || hits == 0 {
		t.Errorf("of %d events %d belong nowhere, %d matches", asked, unknown, hits)
	}
}

// refSources asks every route by a rule of its own.
func refSources(t *testing.T, routes []sigma.Route, object []byte) []sigma.Logsource {
	t.Helper()
	event, err := reference.Read(object)
	if err != nil {
		t.Fatal(err)
	}
	var out []sigma.Logsource
	for _, r := range routes {
		all := true
		for _, m := range r.When {
			all = all && event.Marked(append(taxonomy.Aliases(sigma.Logsource{}, m.Field), m.Field), m.Values)
		}
		if all {
			out = append(out, r.Sources...)
		}
	}
	return out
}

func sameSources(a, b []sigma.Logsource) bool {
	for _, s := range a {
		if !slices.Contains(b, s) {
			return false
		}
	}
	for _, s := range b {
		if !slices.Contains(a, s) {
			return false
		}
	}
	return true
}
