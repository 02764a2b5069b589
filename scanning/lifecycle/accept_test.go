package lifecycle_test

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// asked is a finding whose risk somebody asks to be accepted.
func (w *world) asked(id core.UUID) (number uint64) {
	w.t.Helper()
	w.must(w.tx(func(tx *store.Tx) error {
		f, err := w.store.Ask(w.t.Context(), tx, tenant, id, lifecycle.Change{By: person("anna"), At: w.now, Reason: "replaced soon"}, w.now.Add(day*30))
		if err == nil {
			number = f.Acceptance.Revision
		}
		return err
	}))
	return number
}

func (w *world) approved(id core.UUID, request uint64) error {
	return w.tx(func(tx *store.Tx) error {
		_, err := w.store.Approve(w.t.Context(), tx, tenant, id, lifecycle.Change{By: person("otto"), At: w.now, Request: request})
		return err
	})
}

// TestOnlyWhatWasAskedIsApproved: what changed since, or was asked anew, is another
// risk.
func TestOnlyWhatWasAskedIsApproved(t *testing.T) {
	w := onSQLite(t)
	report := func(edit func(*scanning.Finding)) func(func(*scanning.Report)) {
		return func(scope func(*scanning.Report)) { w.take(w.report(scope, vuln("CVE-2026-1", "example.com/a", edit))) }
	}
	w.refusesToApprove("graver", report(func(f *scanning.Finding) { f.Severity = core.SeverityCritical }), "severity high → critical")
	w.refusesToApprove("another version", report(func(f *scanning.Finding) { f.Package.Version = "v1.0.0-rc" }), "version v1.0.0 → v1.0.0-rc")
	w.refusesToApprove("exploited", func(func(*scanning.Report)) { // last: facts are for good
		w.know(lifecycle.Fact{Advisory: "CVE-2026-1", Kind: lifecycle.FactKEV, At: w.now, Source: "CISA KEV"})
	}, "known to be exploited")
}

func (w *world) refusesToApprove(name string, change func(func(*scanning.Report)), want string) {
	w.t.Helper()
	scope := func(r *scanning.Report) { r.Scope.Name = "shop " + name }
	id := w.take(w.report(scope, vuln("CVE-2026-1", "example.com/a", nil))).New[0]
	w.through(id, lifecycle.StateTriaged)
	number := w.asked(id)
	w.take(w.report(scope, vuln("CVE-2026-1", "example.com/a", nil))) // the same again changes nothing
	change(scope)
	if err := w.approved(id, number); core.KindOf(err) != core.KindConflict || !strings.Contains(err.Error(), want) || !strings.Contains(core.HintOf(err), "ask anew") {
		w.t.Errorf("%s: %v; hint %q", name, err, core.HintOf(err))
	}
	w.state(id, lifecycle.StateTriaged)
	again := w.asked(id)
	if err := w.approved(id, number); core.KindOf(err) != core.KindConflict || !strings.Contains(core.HintOf(err), "read the finding again") {
		w.t.Errorf("%s: the request before: %v", name, err)
	}
	w.must(w.approved(id, again))
	w.state(id, lifecycle.StateAccepted)
}
