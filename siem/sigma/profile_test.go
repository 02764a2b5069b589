package sigma_test

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/siem/sigma"
)

// TestProfileCountsWhatRulesCost: who was asked, what ran, and by what each rule
// is found; it fires what the engine fires.
func TestProfileCountsWhatRulesCost(t *testing.T) {
	rules, err := sigma.Parse("x.yml", []byte(ruleHead+`  selection:
    Image|endswith: '\cmd.exe'
    CommandLine|re: 'a+x'
  condition: selection
---
title: Each value
id: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a2d98
logsource: {product: windows}
detection:
  selection:
    CommandLine|re: '[0-9]{3}'
  condition: selection
---
title: Each event
id: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a2d97
logsource: {product: windows}
detection:
  selection:
    Image: x
  condition: not selection
`))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := sigma.Compile(rules, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var clock time.Duration
	profile := engine.NewProfile(func() time.Duration { clock += time.Microsecond; return clock })
	view, source := engine.NewView(), []sigma.Logsource{rules[0].Logsource}
	var got, want []string
	for _, event := range []string{`{"Image":"c:\\cmd.exe","CommandLine":"caax"}`, `{"Image":"x","CommandLine":"123"}`, `{"Image":"x"}`} {
		view.Reset()
		if err := view.Load([]byte(event)); err != nil {
			t.Fatal(err)
		}
		profile.Match(view, source, func(m sigma.Match) { got = append(got, m.Rule.Title) })
		engine.Match(view, source, func(m sigma.Match) { want = append(want, m.Rule.Title) })
	}
	if len(got) != 3 || len(want) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("fired %v, the engine %v", got, want)
	}
	for i, want := range []sigma.Cost{
		{Asked: 1, Fired: 1, Expressions: 1, Spent: time.Microsecond, Found: sigma.FoundByText},
		{Asked: 2, Fired: 1, Expressions: 2, Spent: 2 * time.Microsecond, Found: sigma.FoundByField},
		{Asked: 3, Fired: 1, Spent: 3 * time.Microsecond, Found: sigma.FoundAlways},
	} {
		want.Rule = rules[i]
		if got := profile.Costs()[i]; got != want {
			t.Errorf("%s: %+v, want %+v", rules[i].Title, got, want)
		}
	}
}
