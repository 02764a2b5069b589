package sigma_test

import (
	"errors"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// The floors below only ever rise. They were measured on SigmaHQ of 2026-08-05.
const (
	loadFloor = 3754 // of 3,754 rules
	// caseFloor is of 106. Two of the three events of 47e4bab7 (findstr looking
	// for Everyone) are other commands of the same recording, icacls and
	// findstr "(M)", for which the rule's text does not hold; the third does.
	caseFloor = 104
)

// corpus parses every rule of SigmaHQ, once a process, and returns those that
// load.
func corpus(t *testing.T) ([]*sigma.Rule, []error) {
	t.Helper()
	if corpusRules == nil {
		corpusRules, corpusRefused = readCorpus(t)
	}
	return corpusRules, corpusRefused
}

var (
	corpusRules   []*sigma.Rule
	corpusRefused []error
)

func readCorpus(t *testing.T) (rules []*sigma.Rule, refused []error) {
	t.Helper()
	for _, f := range corpustest.Rules(t) {
		got, err := sigma.Parse(f.Name, f.Text)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		rules = append(rules, got...)
	}
	return rules, refused
}

func TestSigmaHQLoads(t *testing.T) {
	rules, refused := corpus(t)
	for _, err := range refused {
		var se *sigma.Error
		if !errors.As(err, &se) || se.Line == 0 || se.Col == 0 {
			t.Errorf("refused without a place: %v", err)
		}
		t.Logf("refused: %v", err)
	}
	t.Logf("SigmaHQ: %d of %d rules load", len(rules), len(rules)+len(refused))
	if len(rules) < loadFloor {
		t.Errorf("%d rules load, the floor is %d", len(rules), loadFloor)
	}
	corpusEngine(t)
}

// corpusEngine compiles all rules as the server does.
func corpusEngine(t *testing.T) *sigma.Engine {
	t.Helper()
	rules, _ := corpus(t)
	engine, err := sigma.Compile(rules, sigma.Options{Aliases: taxonomy.Aliases, Routes: taxonomy.Routes(), Placeholders: corpusPlaceholders})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// TestSigmaHQRegressionRecall: SigmaHQ's own events, told apart by nothing but
// what they say, fire the rules that they were recorded for.
func TestSigmaHQRegressionRecall(t *testing.T) {
	engine := corpusEngine(t)
	view := engine.NewView()
	cases, hits, found := 0, 0, make(map[string]bool)
	for _, c := range corpustest.Cases(t) {
		cases++
		view.Reset()
		if err := view.Load(c.Event); err != nil {
			t.Fatal(err)
		}
		hit := false
		engine.Match(view, view.Sources(), func(m sigma.Match) {
			hit = hit || m.Rule.ID == c.Rule
		})
		found[c.Rule] = found[c.Rule] || hit
		if hit {
			hits++
		} else {
			t.Logf("missed: rule %s on %.200s", c.Rule, c.Event)
		}
	}
	t.Logf("SigmaHQ regression: %d of %d cases found", hits, cases)
	if hits < caseFloor {
		t.Errorf("%d cases found, the floor is %d", hits, caseFloor)
	}
	for id, ok := range found {
		if !ok {
			t.Errorf("rule %s fires on none of its own events", id)
		}
	}
}

// TestRealEventsScan lays out ten thousand real events and asks all rules.
func TestRealEventsScan(t *testing.T) {
	rules, _ := corpus(t)
	var windows []*sigma.Rule
	for _, r := range rules {
		if r.Logsource.Product == "windows" && r.Logsource.Category == "process_creation" {
			windows = append(windows, r)
		}
	}
	engine, err := sigma.Compile(windows, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	view, n := engine.NewView(), 0
	for sc := corpustest.Events(t); sc.Scan() && n < 1000; n++ {
		view.Reset()
		if err := view.Load(sc.Bytes()); err != nil {
			t.Fatalf("event %d: %v", n, err)
		}
		engine.Match(view, []sigma.Logsource{{Product: "windows", Category: "process_creation"}}, func(sigma.Match) {})
	}
	if n < 1000 {
		t.Errorf("only %d events", n)
	}
}
