package lifecycle_test

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

func (w *world) behind(revision string) (list []lifecycle.Behind) {
	w.t.Helper()
	w.must(w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		list, err = w.store.BehindOf(w.t.Context(), tx, tenant, revision, nil, 100)
		return err
	}))
	return list
}

// judged holds what is behind against the advisories, which have these findings.
func (w *world) judged(revision string, built time.Time, at time.Time, findings ...scanning.Finding) (n int) {
	w.t.Helper()
	for _, h := range w.behind(revision) {
		n++
		r := &scanning.Report{Tool: scanning.Tool{Name: "deps", Rules: revision, Database: built}, Finished: at, Findings: findings}
		w.must(w.tx(func(tx *store.Tx) error {
			return w.store.Rematch(w.t.Context(), tx, tenant, h, revision, r, "service/advisories", at)
		}))
	}
	return n
}

func goPkg(name, version string) scanning.Package {
	return scanning.Package{Ecosystem: "Go", Name: name, Version: version, File: "go.mod"}
}

// only is the one finding that there is.
func (w *world) only() lifecycle.Finding {
	w.t.Helper()
	list := w.list(lifecycle.Filter{})
	if len(list) != 1 {
		w.t.Fatalf("%d findings", len(list))
	}
	return list[0]
}

// TestAnOldInventoryProvesNothingOfToday: what was said yesterday is neither
// refuted nor verified by an inventory of three weeks ago, however new the
// advisories are that it is held against.
func TestAnOldInventoryProvesNothingOfToday(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		found := vuln("GO-2026-1", "example.com/a", nil)
		w.has("repo/shop", start.Add(-21*day), goPkg("example.com/a", "v1.0.0"))
		w.judged("one", start.Add(-day), start, found)
		f := w.only()
		if !f.LastSeen.Equal(start.Add(-21*day)) || !f.Discovered.Equal(start) {
			t.Errorf("seen %s, discovered %s", f.LastSeen, f.Discovered)
		}
		w.through(f.ID, lifecycle.StateTriaged, lifecycle.StateAffected, lifecycle.StateFixed)
		w.judged("two", start.Add(day), start.Add(day), found)
		w.state(f.ID, lifecycle.StateFixed)
		w.judged("three", start.Add(2*day), start.Add(2*day))
		w.state(f.ID, lifecycle.StateFixed)
		w.has("repo/shop", start.Add(3*day), goPkg("example.com/a", "v1.0.0"))
		w.judged("three", start.Add(2*day), start.Add(4*day), found)
		w.state(f.ID, lifecycle.StateAffected)
		w.through(f.ID, lifecycle.StateFixed)
		w.now = start.Add(5 * day)
		w.has("repo/shop", w.now, goPkg("example.com/a", "v1.0.1"))
		w.judged("three", start.Add(2*day), start.Add(6*day))
		w.state(f.ID, lifecycle.StateVerified)
	})
}

// TestAWithdrawnAdvisoryEndsWhatItFound: the look is the same, what is known of it
// is not.
func TestAWithdrawnAdvisoryEndsWhatItFound(t *testing.T) {
	w := onSQLite(t)
	w.has("repo/shop", start, goPkg("example.com/a", "v1.0.0"))
	w.judged("one", start, start.Add(day), vuln("GO-2026-1", "example.com/a", nil))
	f := w.only()
	w.judged("two", start.Add(-day), start.Add(2*day))
	w.state(f.ID, lifecycle.StateDiscovered) // older advisories know less
	w.judged("three", start.Add(day), start.Add(3*day))
	w.state(f.ID, lifecycle.StateVerified)
}

// TestALookIsNeverOfTheFuture: a scanner's clock that is ahead of ours must not make
// what follows look old.
func TestALookIsNeverOfTheFuture(t *testing.T) {
	w := onSQLite(t)
	r := w.report(func(r *scanning.Report) { r.Started, r.Finished = start.Add(4*time.Minute), start.Add(4*time.Minute) }, vuln("GO-2026-1", "example.com/a", nil))
	var sum lifecycle.Summary
	for _, at := range []time.Time{start, start.Add(time.Hour)} {
		w.must(w.tx(func(tx *store.Tx) (err error) {
			sum, err = w.store.Import(t.Context(), tx, tenant, r, "person/anna", at)
			return err
		}))
	}
	if f := w.only(); !f.LastSeen.Equal(start) || !f.Discovered.Equal(start) || !sum.Known {
		t.Errorf("%s, %s, known %v", f.LastSeen, f.Discovered, sum.Known)
	}
}

// TestEachScopeHasItsInventory: two roots of one subject, of which one says nothing
// about what the other has.
func TestEachScopeHasItsInventory(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const subject = "device/press-7"
		look := func(scope string, at time.Time, packages ...scanning.Package) lifecycle.Inventory {
			return w.look(lifecycle.Look{Subject: subject, Scope: scope, Packages: packages, At: at})
		}
		bad, other := goPkg("example.com/a", "v1.0.0"), goPkg("example.com/b", "v1.0.0")
		look("host", start, bad)
		look("image/shop", start.Add(time.Hour), other)
		found := vuln("GO-2026-1", "example.com/a", nil)
		campaign := lifecycle.Campaign{Ecosystem: "Go", Package: "example.com/a"}
		if hits := w.who(campaign); len(hits) != 1 || !hits[0].Ended.IsZero() || !hits[0].Since.Equal(start) {
			t.Errorf("the other scope took it away: %+v", hits)
		}
		for _, h := range w.behind("one") {
			r := &scanning.Report{Tool: scanning.Tool{Name: "deps", Rules: "one", Database: start}, Finished: start.Add(2 * time.Hour)}
			if h.Scope == "host" {
				r.Findings = []scanning.Finding{found}
			}
			w.must(w.tx(func(tx *store.Tx) error {
				return w.store.Rematch(t.Context(), tx, tenant, h, "one", r, "service/advisories", r.Finished)
			}))
		}
		f := w.only()
		look("image/shop", start.Add(day), other)
		w.judged("one", start, start.Add(day+time.Hour))
		w.state(f.ID, lifecycle.StateDiscovered) // silence of the image
		look("image/shop", start.Add(2*day), bad, other)
		look("host", start.Add(2*day), other)
		if hits := w.who(campaign); len(hits) != 1 || !hits[0].Ended.IsZero() || !hits[0].Since.Equal(start.Add(2*day)) {
			t.Errorf("one scope has it now: %+v", hits)
		}
		look("image/shop", start.Add(3*day), other)
		if hits := w.who(campaign); len(hits) != 1 || !hits[0].Ended.Equal(start.Add(3*day)) || !hits[0].Since.Equal(start) {
			t.Errorf("no scope has it any more: %+v", hits)
		}
		w.judged("one", start, start.Add(3*day+time.Hour))
		w.state(f.ID, lifecycle.StateVerified)
	})
}

// TestAdvisoriesThatAreMissingProveNothing: a database without an ecosystem finds none
// of its packages; one that is only old still knows what it found.
func TestAdvisoriesThatAreMissingProveNothing(t *testing.T) {
	for reason, want := range map[scanning.Reason]lifecycle.State{scanning.ReasonMissingTool: lifecycle.StateDiscovered, scanning.ReasonStale: lifecycle.StateVerified} {
		w := onSQLite(t)
		match := func(at time.Time, edit func(*scanning.Report)) {
			w.look(lifecycle.Look{Subject: "repo/shop", Packages: []scanning.Package{goPkg("example.com/a", "v1.0.0")}, At: at})
			for _, h := range w.behind(at.String()) {
				r := &scanning.Report{Tool: scanning.Tool{Name: "deps", Rules: "one", Database: at}, Finished: at.Add(time.Hour)}
				edit(r)
				w.must(w.tx(func(tx *store.Tx) error {
					return w.store.Rematch(t.Context(), tx, tenant, h, at.String(), r, "service/advisories", r.Finished)
				}))
			}
		}
		match(start, func(r *scanning.Report) { r.Findings = []scanning.Finding{vuln("GO-2026-1", "example.com/a", nil)} })
		f := w.only()
		match(start.Add(day), func(r *scanning.Report) {
			r.Gaps = []scanning.Gap{{What: "Go packages", Why: "no advisories", Reason: reason}}
		})
		w.state(f.ID, want)
	}
}

// TestAnotherScopesSilenceOutdatesNothing: one root is rid of it, and what is known
// of the other came later though it was looked at before.
func TestAnotherScopesSilenceOutdatesNothing(t *testing.T) {
	w := onSQLite(t)
	found := vuln("GO-2026-1", "example.com/a", nil)
	on := func(scope string, at time.Time, findings ...scanning.Finding) lifecycle.Summary {
		r := w.report(func(r *scanning.Report) {
			r.Scope.Name, r.Started, r.Finished = scope, at, at
		}, findings...)
		var sum lifecycle.Summary
		w.must(w.tx(func(tx *store.Tx) (err error) {
			sum, err = w.store.ImportFor(t.Context(), tx, tenant, "repo/shop", r, "person/anna", at.Add(time.Hour))
			return err
		}))
		return sum
	}
	id := on("shop/a", start, found).New[0]
	on("shop/a", start.Add(2*day))
	w.state(id, lifecycle.StateVerified)
	on("shop/b", start.Add(day), found)
	w.state(id, lifecycle.StateAffected)
	on("shop/b", start.Add(3*day))
	w.state(id, lifecycle.StateVerified)
}

// TestWhatIsBehindIsFound: handed in with advisories that are not those of now, or
// with none, or while others were being put in place.
func TestWhatIsBehindIsFound(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.look(lifecycle.Look{Subject: "device/a", Packages: []scanning.Package{goPkg("example.com/a", "v1.0.0")}, At: start, Matched: "old"})
		w.look(lifecycle.Look{Subject: "device/b", Packages: []scanning.Package{goPkg("example.com/b", "v1.0.0")}, At: start, Matched: "old"})
		w.look(lifecycle.Look{Subject: "device/c", Packages: []scanning.Package{goPkg("example.com/a", "v1.0.0")}, At: start, Matched: "new"})
		w.has("device/d", start, goPkg("example.com/c", "v1.0.0"))
		if n := len(w.behind("new")); n != 3 {
			t.Errorf("%d are behind, want 3", n)
		}
		changed := []lifecycle.Target{{Keys: []string{"Go\x00example.com/a"}, Matches: func(*scanning.Package) (bool, error) { return true, nil }}}
		w.must(w.tx(func(tx *store.Tx) error { return w.store.SkipAhead(t.Context(), tx, tenant, "old", "new", changed) }))
		list := w.behind("new")
		if len(list) != 2 || list[0].Subject != "device/a" || list[1].Subject != "device/d" {
			t.Errorf("behind: %+v", list)
		}
		stale := list[0]
		w.look(lifecycle.Look{Subject: "device/a", Packages: []scanning.Package{goPkg("example.com/a", "v1.0.0")}, At: start.Add(day), Matched: "old"})
		w.must(w.tx(func(tx *store.Tx) error { // an answer about what it was like before
			return w.store.Rematch(t.Context(), tx, tenant, stale, "new", &scanning.Report{Tool: scanning.Tool{Name: "deps"}, Finished: start}, "service/advisories", start)
		}))
		if n := w.judged("new", start, start.Add(2*day), vuln("GO-2026-1", "example.com/a", nil)); n != 2 {
			t.Errorf("%d were asked about, want 2", n)
		}
		if n := len(w.behind("new")); n != 0 {
			t.Errorf("%d are still behind", n)
		}
	})
}

// TestAPartialLookIsNoLookAtWhatItKept: what was kept because it could not be read
// refutes nothing that was said since it was read last.
func TestAPartialLookIsNoLookAtWhatItKept(t *testing.T) {
	w := onSQLite(t)
	found := vuln("GO-2026-1", "example.com/a", nil)
	w.has("repo/shop", start, goPkg("example.com/a", "v1.0.0"), goPkg("example.com/b", "v1.0.0"))
	w.judged("one", start, start.Add(time.Minute), found)
	f := w.only()
	w.now = start.Add(day)
	w.through(f.ID, lifecycle.StateTriaged, lifecycle.StateAffected, lifecycle.StateFixed)
	w.look(lifecycle.Look{Subject: "repo/shop", Packages: []scanning.Package{goPkg("example.com/b", "v1.0.1")}, At: start.Add(2 * day), Partial: true, Matched: "one"})
	if n := w.judged("one", start, start.Add(3*day), found); n != 1 {
		t.Errorf("%d were asked about", n)
	}
	w.state(f.ID, lifecycle.StateFixed)
}

// TestNamesAreLookedUpOnce in the lists, also those that became known between two
// of them.
func TestNamesAreLookedUpOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		names := func(revision string) (list []string) {
			w.must(w.db.View(t.Context(), func(tx *store.Tx) (err error) {
				list, err = w.store.NamesBehind(t.Context(), tx, tenant, revision, "", 10)
				return err
			}))
			return list
		}
		listed := func(name, revision string, facts ...lifecycle.Fact) {
			w.must(w.tx(func(tx *store.Tx) error { return w.store.Listed(t.Context(), tx, tenant, name, revision, facts) }))
		}
		w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", nil)))
		listed("CVE-2026-1", "one")
		id := w.take(w.report(nil, vuln("CVE-2026-2", "example.com/b", nil))).New[0]
		if got := names("one"); len(got) != 1 || got[0] != "CVE-2026-2" {
			t.Errorf("behind: %v", got)
		}
		listed("CVE-2026-2", "one", lifecycle.Fact{Advisory: "CVE-2026-2", Kind: lifecycle.FactKEV, At: start, Noted: w.now, By: "service/advisories", Source: "CISA KEV"})
		if f := w.get(id); f.Facts.KEV.IsZero() || f.Clock.Why != "exploited" {
			t.Errorf("%+v", f.Facts)
		}
		if got := names("one"); len(got) != 0 || len(names("two")) != 2 {
			t.Errorf("behind: %v, %v", got, names("two"))
		}
	})
}
