package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/vex"
)

// spoken are the states that statements moved a finding to, as the audit log has it.
func (w *world) spoken(id core.UUID) (outcomes []string) {
	for i := range w.facts {
		if e := &w.facts[i]; e.Action == "finding.vex" && e.Object == "finding/"+id.String() {
			outcomes = append(outcomes, e.Outcome)
		}
	}
	return outcomes
}

// TestAReportThatMeetsAStatementIsInTheLog: it closes what is new, and what comes
// again when its author is not trusted any more is open.
func TestAReportThatMeetsAStatementIsInTheLog(t *testing.T) {
	w := onSQLite(t)
	w.store.Trusting(acme)
	w.says(statement(vex.NotAffected, start, "CVE-2026-1"))
	found := vuln("CVE-2026-1", "example.com/a", nil)
	id := w.take(w.report(nil, found)).New[0]
	if got := w.spoken(id); !slices.Equal(got, []string{"not-affected"}) {
		t.Errorf("closed: %q", got)
	}
	w.store.Trusting(nil)
	w.now = w.now.Add(time.Hour)
	w.take(w.report(nil, found))
	if got := w.spoken(id); !slices.Equal(got, []string{"not-affected", "triaged"}) {
		t.Errorf("open again: %q", got)
	}
}

// TestWhatADocumentDoesNamesWhoBroughtIt, and what permitted it.
func TestWhatADocumentDoesNamesWhoBroughtIt(t *testing.T) {
	w := onSQLite(t)
	w.store.Trusting(acme)
	id := w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", nil))).New[0]
	c := lifecycle.Change{By: person("anna"), At: w.now.Add(time.Minute), Intent: core.Position{Origin: "test", Index: 7}}
	w.must(w.tx(func(tx *store.Tx) error {
		_, err := w.store.TakeVEX(t.Context(), tx, tenant, statement(vex.NotAffected, start, "CVE-2026-1"), "upload", c)
		return err
	}))
	events := w.timeline(id)
	last := events[len(events)-1]
	if last.Intent != c.Intent || !slices.Contains(last.Refs, "handed-in/person/anna") || last.By != "vex/Acme PSIRT" {
		t.Errorf("%+v", last)
	}
	i := slices.IndexFunc(w.facts, func(e audit.Entry) bool { return e.Action == "finding.vex" && e.Object == "finding/"+id.String() })
	if i < 0 || w.facts[i].Intent == nil || *w.facts[i].Intent != c.Intent {
		t.Errorf("the log: %d", i)
	}
}
