package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

func TestBothEnginesHaveTheSameSchema(t *testing.T) { storetest.SameSchema(t, lifecycle.Migrations()) }

func TestFromDiscoveryToVerificationAndBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		found := vuln("GO-2026-1", "example.com/a", nil)
		sum := w.take(w.report(nil, found))
		if len(sum.New) != 1 {
			t.Fatalf("the first report: %+v", sum)
		}
		id := sum.New[0]
		f := w.state(id, lifecycle.StateDiscovered)
		if want := start.Add(time.Second).Add(30 * day); !f.Clock.Due.Equal(want) {
			t.Errorf("due %s, want %s", f.Clock.Due, want)
		}
		w.through(id, lifecycle.StateTriaged, lifecycle.StateAffected, lifecycle.StateRemediating, lifecycle.StateFixed)
		if sum = w.take(w.report(nil, found)); len(sum.Refuted) != 1 {
			t.Errorf("still there: %+v", sum)
		}
		w.state(id, lifecycle.StateAffected)
		w.through(id, lifecycle.StateFixed)
		if sum = w.take(w.report(nil)); len(sum.Verified) != 1 {
			t.Errorf("gone: %+v", sum)
		}
		w.state(id, lifecycle.StateVerified)
		if sum = w.take(w.report(nil, found)); len(sum.Reopened) != 1 || len(sum.New) != 0 {
			t.Errorf("back: %+v", sum)
		}
		f = w.state(id, lifecycle.StateAffected)
		if f.Returns != 1 || !f.Clock.Since.After(start.Add(time.Minute)) {
			t.Errorf("reopened: %+v", f.Clock)
		}
		for i, e := range w.timeline(id) {
			if e.Revision != uint64(i+1) {
				t.Errorf("event %d has revision %d", i, e.Revision)
			}
		}
		if len(w.topic) != len(w.timeline(id)) {
			t.Errorf("%d records for %d events", len(w.topic), len(w.timeline(id)))
		}
	})
}

// TestSilenceThatProvesNothing: each of these reports has no finding, and none of
// them closes one.
func TestSilenceThatProvesNothing(t *testing.T) {
	w := onSQLite(t)
	found := vuln("GO-2026-1", "example.com/a", nil)
	for name, edit := range map[string]func(*scanning.Report){
		"another tool":         func(r *scanning.Report) { r.Tool.Name = "other" },
		"an older version":     func(r *scanning.Report) { r.Tool.Version = "0.9.9" },
		"a strange version":    func(r *scanning.Report) { r.Tool.Version = "dev" },
		"an older database":    func(r *scanning.Report) { r.Tool.Database = start.Add(-2 * day) },
		"no database":          func(r *scanning.Report) { r.Tool.Database = time.Time{} },
		"other rules asked":    func(r *scanning.Report) { r.Tool.Detectors = []string{"npm", "GO-2026-2"} },
		"no rule asked":        func(r *scanning.Report) { r.Tool.Detectors = []string{} },
		"another scope":        func(r *scanning.Report) { r.Scope.Name = "shop2" },
		"another kind":         func(r *scanning.Report) { r.Scope.Kind = scanning.ScopeFolder },
		"another part":         func(r *scanning.Report) { r.Scope.Parts = []string{"web"} },
		"no part":              func(r *scanning.Report) { r.Scope.Parts = []string{} },
		"the file excluded":    func(r *scanning.Report) { r.Scope.Excluded = []string{"*.mod"} },
		"all excluded":         func(r *scanning.Report) { r.Scope.Excluded = []string{"**"} },
		"a gap there":          func(r *scanning.Report) { r.Gaps = gap("go.mod", scanning.ReasonMalformed) },
		"a gap on a line":      func(r *scanning.Report) { r.Gaps = gap("go.mod:12", scanning.ReasonMalformed) },
		"a version in doubt":   func(r *scanning.Report) { r.Gaps = gap("Go example.com/a latest in go.mod", scanning.ReasonMalformed) },
		"a quoted name":        func(r *scanning.Report) { r.Gaps = gap(`"go.mod\x1b"`, scanning.ReasonUnreadable) },
		"a gap above":          func(r *scanning.Report) { r.Gaps = gap("./", scanning.ReasonUnreadable) },
		"a gap of no place":    func(r *scanning.Report) { r.Gaps = gap("git", scanning.ReasonMissingTool) },
		"a stale database":     func(r *scanning.Report) { r.Gaps = gap("advisories", scanning.ReasonStale) },
		"its ecosystem":        func(r *scanning.Report) { r.Gaps = gap("Go", scanning.ReasonStale) },
		"the time ran out":     func(r *scanning.Report) { r.Gaps = gap(r.Scope.Name, scanning.ReasonTimeout) },
		"the same moment":      func(r *scanning.Report) { r.Started, r.Finished = start, start.Add(2*time.Second) },
		"a scan before that":   func(r *scanning.Report) { r.Started, r.Finished = start.Add(-time.Hour), start },
		"something it can't":   func(r *scanning.Report) { r.Gaps = gap("vendored code", scanning.ReasonUnsupported) },
		"a gap in its archive": func(r *scanning.Report) { r.Gaps = gap("go.mod!inner/x", scanning.ReasonTooDeep) },
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			scope := func(r *scanning.Report) { r.Scope.Name = "shop " + name }
			first := w.report(scope, found)
			id := w.take(first).New[0]
			w.through(id, lifecycle.StateTriaged, lifecycle.StateAffected, lifecycle.StateFixed)
			quiet := w.report(func(r *scanning.Report) {
				scope(r)
				edit(r)
				if r.Started.Before(w.now) { // as early as the one that has it, or earlier
					r.Started = first.Started.Add(r.Started.Sub(start))
					r.Finished = r.Started.Add(2 * time.Second)
				}
			})
			if sum := w.take(quiet); len(sum.Verified) != 0 {
				t.Errorf("verified by %+v", sum)
			}
			w.state(id, lifecycle.StateFixed)
			if sum := w.take(w.report(scope)); len(sum.Verified) != 1 {
				t.Errorf("not verified by a whole report: %+v", sum)
			}
		})
	}
}

func gap(what string, why scanning.Reason) []scanning.Gap {
	return []scanning.Gap{{What: what, Why: "it was so", Reason: why}}
}

// TestADeepPathIsHeldAgainstPatternsAtOnce: what is handed in decides on paths and
// patterns, and a transaction waits for it.
func TestADeepPathIsHeldAgainstPatternsAtOnce(t *testing.T) {
	deep := strings.Repeat("a/", 8000)
	s := lifecycle.Sighting{Tool: "deps", Scope: "shop", At: start, File: deep + "go.mod"}
	r := &scanning.Report{Tool: scanning.Tool{Name: "deps"}, Scope: scanning.Scope{Name: "shop"}, Started: start.Add(day)}
	for pattern, covers := range map[string]bool{"*.sum": true, "a/*.mod": false, "b/*/go.mod": true, "a/a/go.mod": false, "[b]": true, "[": false} {
		r.Scope.Excluded = []string{pattern}
		if lifecycle.Covers(r, s, &scanning.Finding{}) != covers { // with every row of folders against each, this takes minutes
			t.Errorf("%s: want %v", pattern, covers)
		}
	}
}

// TestSilenceThatProves: none of these differences hides the finding.
func TestSilenceThatProves(t *testing.T) {
	w := onSQLite(t)
	found := vuln("GO-2026-1", "example.com/a", nil)
	for name, edit := range map[string]func(*scanning.Report){
		"a newer version":     func(r *scanning.Report) { r.Tool.Version = "v1.0.10" },
		"a newer database":    func(r *scanning.Report) { r.Tool.Database = w.now },
		"its rule asked":      func(r *scanning.Report) { r.Tool.Detectors = []string{"GO-2026-1"} },
		"its ecosystem asked": func(r *scanning.Report) { r.Tool.Detectors = []string{"npm", "Go"} },
		"its part":            func(r *scanning.Report) { r.Scope.Parts = []string{"web", "go.mod"} },
		"others excluded":     func(r *scanning.Report) { r.Scope.Excluded = []string{"vendor/**", "*.md"} },
		"a gap elsewhere":     func(r *scanning.Report) { r.Gaps = gap("web/package-lock.json", scanning.ReasonMalformed) },
		"another ecosystem":   func(r *scanning.Report) { r.Gaps = gap("npm", scanning.ReasonStale) },
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			scope := func(r *scanning.Report) { r.Scope.Name = "shop " + name }
			id := w.take(w.report(scope, found)).New[0]
			w.take(w.report(func(r *scanning.Report) {
				scope(r)
				edit(r)
			}))
			w.state(id, lifecycle.StateVerified)
		})
	}
}

// TestASecretIsVerifiedOnlyAfterAPersonSaidThatItIsRevoked: who read it has it.
func TestASecretIsVerifiedOnlyAfterAPersonSaidThatItIsRevoked(t *testing.T) {
	w := onSQLite(t)
	id := w.take(w.report(nil, leak(".env"))).New[0]
	w.take(w.report(nil))
	w.state(id, lifecycle.StateDiscovered)
	w.through(id, lifecycle.StateTriaged, lifecycle.StateAffected, lifecycle.StateFixed)
	w.take(w.report(nil))
	w.state(id, lifecycle.StateVerified)
}

// TestTwoDetectorsAreOneFinding: with other names for the same advisory, and it is
// verified only when neither has it any more.
func TestTwoDetectorsAreOneFinding(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ours := vuln("GO-2026-1", "example.com/a", func(f *scanning.Finding) { f.Aliases = []string{"GHSA-aaaa-bbbb-cccc"} })
		theirs := vuln("GHSA-aaaa-bbbb-cccc", "example.com/a", func(f *scanning.Finding) {
			f.Aliases, f.Severity = []string{"CVE-2026-1"}, core.SeverityCritical
		})
		if ours.Fingerprint == theirs.Fingerprint {
			t.Fatal("the test shows nothing: the fingerprints are equal")
		}
		grype := func(r *scanning.Report) { r.Tool = scanning.Tool{Name: "grype", Version: "0.121.2"} }
		id := w.take(w.report(nil, ours)).New[0]
		if sum := w.take(w.report(grype, theirs)); len(sum.New) != 0 {
			t.Errorf("a second finding: %+v", sum)
		}
		f := w.get(id)
		if f.What.Severity != core.SeverityCritical || len(f.Names) != 3 || f.Detector != "deps" {
			t.Errorf("together: %s %v %s", f.What.Severity, f.Names, f.Detector)
		}
		w.take(w.report(nil))
		w.state(id, lifecycle.StateDiscovered)
		w.take(w.report(grype))
		w.state(id, lifecycle.StateVerified)
		if f := w.get(id); f.ID != id {
			t.Error("another id")
		}
	})
}

// TestWhatTurnsOutToBeTheSameBecomesOne: two findings, until a third report knows
// both names.
func TestWhatTurnsOutToBeTheSameBecomesOne(t *testing.T) {
	w := onSQLite(t)
	tool := func(name string) func(*scanning.Report) {
		return func(r *scanning.Report) { r.Tool = scanning.Tool{Name: name, Version: "1"} }
	}
	a, b := vuln("GO-2026-1", "example.com/a", nil), vuln("CVE-2026-1", "example.com/a", nil)
	first, second := w.take(w.report(tool("one"), a)).New[0], w.take(w.report(tool("two"), b)).New[0]
	both := vuln("GO-2026-1", "example.com/a", func(f *scanning.Finding) { f.Aliases = []string{"CVE-2026-1"} })
	w.take(w.report(tool("three"), both))
	if f := w.state(second, lifecycle.StateDuplicate); f.Of != first {
		t.Errorf("a duplicate of %s, want %s", f.Of, first)
	}
	w.take(w.report(tool("one")))
	w.take(w.report(tool("three")))
	w.state(first, lifecycle.StateDiscovered) // two still has it
	w.take(w.report(tool("two")))
	w.state(first, lifecycle.StateVerified)
	w.take(w.report(tool("two"), b))
	w.state(first, lifecycle.StateAffected)
}

// TestOneOfTheSameThatWasJudgedClosesNoOther: a report that has what two findings are
// called is no silence about the one that nobody has judged.
func TestOneOfTheSameThatWasJudgedClosesNoOther(t *testing.T) {
	w := onSQLite(t)
	a, b := vuln("CVE-2026-1", "example.com/a", nil), vuln("GO-2026-1", "example.com/a", nil)
	ids := w.take(w.report(nil, a, b)).New
	_, err := w.move(ids[0], lifecycle.StateFalsePositive, func(c *lifecycle.Change) { c.Reason = "not ours" })
	w.must(err)
	both := vuln("CVE-2026-1", "example.com/a", func(f *scanning.Finding) { f.Aliases = []string{"GO-2026-1"} })
	if sum := w.take(w.report(nil, both)); len(sum.Verified) != 0 {
		t.Errorf("verified by a report that has it: %+v", sum)
	}
	w.state(ids[1], lifecycle.StateDiscovered)
	w.take(w.report(nil))
	w.state(ids[1], lifecycle.StateVerified)
}

// TestAnEarlierReportThatComesLater tells of what nobody knew, and nothing of what
// has been proven gone since.
func TestAnEarlierReportThatComesLater(t *testing.T) {
	w := onSQLite(t)
	found := vuln("GO-2026-1", "example.com/a", nil)
	id := w.take(w.report(nil, found)).New[0]
	between := w.report(nil, found, vuln("GO-2026-2", "example.com/b", nil))
	w.now = w.now.Add(time.Hour)
	w.take(w.report(nil))
	w.state(id, lifecycle.StateVerified)
	if sum := w.take(between); len(sum.New) != 1 || len(sum.Reopened) != 0 {
		t.Errorf("the late report: %+v", sum)
	}
	w.state(id, lifecycle.StateVerified)
}

// TestWhatIsBehindIsFoundByAnIndex: it is asked for every few seconds, mostly for
// nothing.
func TestWhatIsBehindIsFoundByAnIndex(t *testing.T) {
	w := onSQLite(t)
	for _, what := range []string{`scanning_inventories WHERE tenant = $1 AND ended = 0 AND matched`, `scanning_names WHERE tenant = $1 AND listed`} {
		query := `SELECT CASE WHEN EXISTS (SELECT 1 FROM ` + what + ` < $2) OR EXISTS (SELECT 1 FROM ` + what + ` > $2) THEN 1 ELSE 0 END`
		if plan := storetest.Plan(t, w.db, query, "main", "x"); strings.Count(plan, "_behind (tenant=? AND ") != 2 || strings.Contains(plan, "SCAN scanning") {
			t.Errorf("%s\n%s", query, plan)
		}
	}
}

// TestReadingsUseAnIndex: what is asked once for each finding of a report, or all
// the time, reads no table whole.
func TestReadingsUseAnIndex(t *testing.T) {
	w := onSQLite(t)
	for _, query := range []string{
		`SELECT id FROM scanning_findings WHERE tenant = $1 AND original = $2 AND original <> '' AND state = $3 ORDER BY id`,
		`SELECT finding FROM scanning_keys WHERE tenant = $1 AND subject = $2 AND key = $3`,
		`SELECT body FROM scanning_sightings WHERE tenant = $1 AND finding = $2 ORDER BY tool, kind, scope`,
		`SELECT c.number, c.body FROM scanning_component_keys k JOIN scanning_components c ON c.tenant = k.tenant AND c.number = k.number
			WHERE k.tenant = $1 AND k.key = $2 ORDER BY k.number`,
		`SELECT number FROM scanning_component_keys WHERE tenant = $1 AND key = $2`,
		`SELECT body FROM scanning_findings WHERE tenant = $1 AND wakes > 0 AND wakes <= $2 ORDER BY wakes, id LIMIT $3`,
		`SELECT body FROM scanning_findings WHERE tenant = $1 AND is_open = 1 ORDER BY priority DESC, id DESC LIMIT 51`,
		`SELECT body FROM scanning_findings WHERE tenant = $1 AND is_open = 1 ORDER BY due ASC, id ASC LIMIT 51`,
	} {
		plan := storetest.Plan(t, w.db, query, []any{"main", "x", "y"}[:strings.Count(query, "$")]...)
		if !strings.Contains(plan, "USING INDEX") && !strings.Contains(plan, "USING COVERING INDEX") && !strings.Contains(plan, "USING PRIMARY KEY") || strings.Contains(plan, "SCAN scanning") || strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%s\n%s", query, plan)
		}
	}
}
