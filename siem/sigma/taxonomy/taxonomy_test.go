package taxonomy_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/corpustest"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// router tells events apart as a program does that has no rules.
func router(t *testing.T) *sigma.View {
	t.Helper()
	e, err := sigma.Compile(nil, sigma.Options{Aliases: taxonomy.Aliases, Routes: taxonomy.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	return e.NewView()
}

func sources(t *testing.T, v *sigma.View, event []byte) []sigma.Logsource {
	t.Helper()
	v.Reset()
	if err := v.Load(event); err != nil {
		t.Fatalf("%v: %s", err, event)
	}
	return slices.Clone(v.Sources())
}

func covered(rule sigma.Logsource, by []sigma.Logsource) bool {
	return slices.ContainsFunc(by, rule.Covers)
}

// TestEventsOfRealRecordingsAreRouted wants a service or a category, not only a
// product, of all but a few events whose channels no rule is about.
func TestEventsOfRealRecordingsAreRouted(t *testing.T) {
	v, n, finely := router(t), 0, 0
	productOnly := make(map[string]int)
	for sc := corpustest.Events(t); sc.Scan(); n++ {
		got := sources(t, v, sc.Bytes())
		if len(got) == 0 {
			t.Errorf("event %d has no logsource: %.300s", n, sc.Bytes())
		}
		if slices.ContainsFunc(got, func(l sigma.Logsource) bool { return l.Service != "" || l.Category != "" }) {
			finely++
			continue
		}
		var e struct{ Channel string }
		_ = json.Unmarshal(sc.Bytes(), &e)
		productOnly[e.Channel]++
	}
	t.Logf("%d of %d events have a service or category; those that have only a product: %v", finely, n, productOnly)
	if n != 10044 || finely < 10036 {
		t.Errorf("%d events, %d with a service", n, finely)
	}
}
