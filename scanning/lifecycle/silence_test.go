package lifecycle_test

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// TestOneVersionToldToLookForLess proves nothing of what it did not look for; a
// later version does, and so do equal rules.
func TestOneVersionToldToLookForLess(t *testing.T) {
	f := scanning.Finding{Rule: "github-pat", Class: scanning.ClassSecret, Location: scanning.Location{File: "npm/config.yaml"}}
	seen := lifecycle.Sighting{
		Tool: "secrets", Kind: scanning.ScopeFolder, Scope: "shop", Present: true, At: start, Version: "1.0.0", Rules: "aa", Rule: f.Rule, File: f.Location.File,
	}
	report := func(version, rules string, gaps ...scanning.Gap) *scanning.Report {
		return &scanning.Report{
			Tool: scanning.Tool{Name: "secrets", Version: version, Rules: rules}, Scope: scanning.Scope{Kind: scanning.ScopeFolder, Name: "shop"},
			Started: start.Add(time.Hour), Gaps: gaps,
		}
	}
	for name, row := range map[string]struct {
		report *scanning.Report
		want   bool
	}{
		"the same rules":             {report("1.0.0", "aa"), true},
		"other rules":                {report("1.0.0", "bb"), false},
		"a later version":            {report("1.1.0", "bb"), true},
		"a folder that is named npm": {report("1.0.0", "aa", scanning.Gap{What: "npm", Reason: scanning.ReasonUnreadable}), false},
	} {
		if got := lifecycle.Covers(row.report, seen, &f); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestWhatIsKnownOfANameCountsWhenItIsLearned: an advisory that turns out to be
// one which is exploited is that from then on.
func TestWhatIsKnownOfANameCountsWhenItIsLearned(t *testing.T) {
	w := onSQLite(t)
	w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", nil)))
	w.know(lifecycle.Fact{Advisory: "CVE-2026-1", Kind: lifecycle.FactKEV, At: start, Source: "CISA KEV"})
	other := func(r *scanning.Report) { r.Scope.Name = "other" }
	id := w.take(w.report(other, vuln("GO-2026-1", "example.com/b", nil))).New[0]
	w.take(w.report(other, vuln("GO-2026-1", "example.com/b", func(f *scanning.Finding) { f.Aliases = []string{"CVE-2026-1"} })))
	if f := w.state(id, lifecycle.StateDiscovered); f.Facts.KEV.IsZero() {
		t.Errorf("not known to be exploited: %+v", f.Facts)
	}
}
