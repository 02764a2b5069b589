package lifecycle_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

func pkg(name, version string) scanning.Package {
	return scanning.Package{Ecosystem: "Maven", Name: name, Version: version, File: "opt/app.jar"}
}

func (w *world) has(subject string, at time.Time, packages ...scanning.Package) (inv lifecycle.Inventory) {
	w.t.Helper()
	return w.look(lifecycle.Look{Subject: subject, Packages: packages, At: at})
}

func (w *world) look(l lifecycle.Look) (inv lifecycle.Inventory) {
	w.t.Helper()
	w.must(w.tx(func(tx *store.Tx) (err error) {
		inv, err = w.store.TakeInventory(w.t.Context(), tx, tenant, l)
		return err
	}))
	return inv
}

func (w *world) who(c lifecycle.Campaign) (hits []lifecycle.Hit) {
	w.t.Helper()
	w.must(w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		hits, err = w.store.Who(w.t.Context(), tx, tenant, c.Targets())
		return err
	}))
	return hits
}

const log4j = "org.apache.logging.log4j:log4j-core"

// TestWhoHasItAndSinceWhen: also who is rid of it, and who had it before the
// latest upgrade brought it back.
func TestWhoHasItAndSinceWhen(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		bad, good, other := pkg(log4j, "2.14.1"), pkg(log4j, "2.17.1"), pkg("junit:junit", "4.13")
		w.has("device/press-1", start, bad, other)
		w.has("device/press-1", start.Add(day), bad)
		if inv := w.has("device/press-1", start.Add(2*day), bad); inv.Changed || !inv.Since.Equal(start.Add(day)) {
			t.Errorf("the same inventory again: %+v", inv)
		}
		w.has("device/press-2", start, bad, other)
		w.has("device/press-2", start.Add(3*day), good, other)
		w.has("device/press-3", start, other)
		w.has("device/press-4", start, bad)
		w.has("device/press-4", start.Add(day), good)
		w.has("device/press-4", start.Add(2*day), bad)
		w.has("device/press-5", start, pkg(log4j, "no version at all"))
		hits := w.who(lifecycle.Campaign{Ecosystem: "Maven", Package: log4j, Below: "2.17.1"})
		var told []string
		for _, h := range hits {
			ended := ""
			if !h.Ended.IsZero() {
				ended = " until " + h.Ended.Format(time.DateOnly)
			}
			told = append(told, fmt.Sprintf("%s since %s%s %s %v", h.Subject, h.Since.Format(time.DateOnly), ended, h.Packages[0].Version, h.Doubt))
		}
		want := []string{
			"device/press-1 since 2026-11-01 2.14.1 false", "device/press-4 since 2026-11-03 2.14.1 false",
			"device/press-5 since 2026-11-01 no version at all true", "device/press-2 since 2026-11-01 until 2026-11-04 2.14.1 false",
		}
		if !slices.Equal(told, want) {
			t.Errorf("got  %q\nwant %q", told, want)
		}
		if hits := w.who(lifecycle.Campaign{Ecosystem: "Maven", Package: log4j, Versions: []string{"2.17.1"}}); len(hits) != 2 || hits[0].Ended.IsZero() == false && hits[1].Ended.IsZero() {
			t.Errorf("by version: %+v", hits)
		}
		if err := w.tx(func(tx *store.Tx) error {
			_, err := w.store.TakeInventory(t.Context(), tx, tenant, lifecycle.Look{Subject: "device/press-2", Packages: []scanning.Package{bad}, At: start.Add(day)})
			return err
		}); core.KindOf(err) != core.KindConflict {
			t.Errorf("an older inventory: %v", err)
		}
	})
}

// TestAFindingIsIntroducedByTheFirstInventoryThatHasIt.
func TestAFindingIsIntroducedByTheFirstInventoryThatHasIt(t *testing.T) {
	w := onSQLite(t)
	w.has("repo/shop", start.Add(-10*day), scanning.Package{Ecosystem: "Go", Name: "example.com/a", Version: "v0.9.0"})
	first := w.has("repo/shop", start.Add(-5*day), scanning.Package{Ecosystem: "Go", Name: "example.com/a", Version: "v1.0.0"})
	w.has("repo/shop", start.Add(-2*day), scanning.Package{Ecosystem: "Go", Name: "example.com/a", Version: "v1.0.0"}, pkg("junit:junit", "4.13"))
	id := w.take(w.report(nil, vuln("GO-2026-1", "example.com/a", nil))).New[0]
	f := w.get(id)
	if !f.Introduced.At.Equal(start.Add(-5*day)) || f.Introduced.By != lifecycle.ByInventory || !strings.HasPrefix(first.Document, f.Introduced.Document) {
		t.Errorf("%+v", f.Introduced)
	}
	if e := w.timeline(id); e[0].Kind != lifecycle.EventIntroduced || !e[0].At.Equal(start.Add(-5*day)) || e[1].Kind != lifecycle.EventDiscovered {
		t.Errorf("%+v", e)
	}
}

// fleet are inventories as fleets have them: devices run one of some images, in
// one of some releases, and a few of them something of their own.
func (w *world) fleet(devices, images, packages int) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := make([][]scanning.Package, 0, images*3)
	for i := range images {
		for release := range 3 {
			list := make([]scanning.Package, 0, packages)
			for j := range packages {
				list = append(list, pkg(fmt.Sprintf("org.example:lib-%d", (i*7+j)%(packages*3)), fmt.Sprintf("1.%d.%d", (i+j)%5, release)))
			}
			if i%4 == 0 && release < 2 {
				list = append(list, pkg(log4j, fmt.Sprintf("2.14.%d", release)))
			}
			all = append(all, list)
		}
	}
	const together = 500
	for from := 0; from < devices; from += together {
		w.must(w.tx(func(tx *store.Tx) error {
			for d := from; d < min(from+together, devices); d++ {
				i := rng.IntN(images) * 3
				subject := fmt.Sprintf("device/d-%05d", d)
				for release := range 1 + d%10/8 + d%10/9 { // a tenth were upgraded once, a tenth twice
					list := all[i+release]
					if d%5 == 0 {
						list = append(slices.Clone(list), pkg("org.example:own", fmt.Sprintf("0.0.%d", d)))
					}
					look := lifecycle.Look{Subject: subject, Packages: list, At: start.AddDate(0, 0, release)}
					if _, err := w.store.TakeInventory(w.t.Context(), tx, tenant, look); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
}

// TestTenThousandDevicesAreAskedInSeconds: log4j day. The bound is far above what
// it takes, because test machines are busy.
func TestTenThousandDevicesAreAskedInSeconds(t *testing.T) {
	const devices, taken = 10_000, 500
	w := onSQLite(t)
	w.fleet(taken, 40, 60)
	w.must(w.tx(func(tx *store.Tx) error { // the others have what these have
		_, err := tx.Exec(t.Context(), `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO scanning_inventories (tenant, subject, scope, since, document, seen, whole, ended, matched)
			SELECT tenant, subject || '-' || i, scope, since, document, seen, whole, ended, matched FROM scanning_inventories, n`,
			devices/taken-1)
		return err
	}))
	began := clocktest.CPU(t)
	hits := w.who(lifecycle.Campaign{Ecosystem: "Maven", Package: log4j, Below: "2.17.1"})
	took := clocktest.CPU(t) - began
	now := 0
	for _, h := range hits {
		if h.Ended.IsZero() {
			now++
		}
	}
	t.Logf("%d of %d have it, %d had it, in %v of CPU", now, devices, len(hits)-now, took)
	if now < devices/20 || len(hits) == now || took > 5*time.Second {
		t.Errorf("%d have it, %d in all, in %v", now, len(hits), took)
	}
}

// BenchmarkWho asks fleets of 10 000 devices with 300 packages each.
func BenchmarkWho(b *testing.B) {
	w := onSQLite(b)
	w.fleet(10_000, 60, 300)
	b.ResetTimer()
	for b.Loop() {
		if hits := w.who(lifecycle.Campaign{Ecosystem: "Maven", Package: log4j, Below: "2.17.1"}); len(hits) == 0 {
			b.Fatal("nobody has it")
		}
	}
}

// TestAnInventoryWithGapsTakesNothingAway: what could not be read is not gone, and
// a package that it does speak of is as it says.
func TestAnInventoryWithGapsTakesNothingAway(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.has("device/press-1", start, pkg(log4j, "2.14.1"), pkg("junit:junit", "4.13"))
		inv := w.look(lifecycle.Look{Subject: "device/press-1", Packages: []scanning.Package{pkg("junit:junit", "4.14")}, At: start.Add(day), Partial: true})
		if inv.Components != 2 {
			t.Errorf("kept: %+v", inv)
		}
		if hits := w.who(lifecycle.Campaign{Ecosystem: "Maven", Package: log4j, Below: "2.17.1"}); len(hits) != 1 || !hits[0].Ended.IsZero() {
			t.Errorf("a gap took it away: %+v", hits)
		}
		if hits := w.who(lifecycle.Campaign{Ecosystem: "Maven", Package: "junit:junit", Below: "4.14"}); len(hits) != 1 || hits[0].Ended.IsZero() {
			t.Errorf("what was read counts: %+v", hits)
		}
	})
}

// BenchmarkIntroduction opens findings of one device of such a fleet; the figure is
// for each finding.
func BenchmarkIntroduction(b *testing.B) {
	w := onSQLite(b)
	w.fleet(10_000, 60, 300)
	n := 0
	b.ResetTimer()
	began := clocktest.CPU(b)
	for b.Loop() {
		r := w.report(func(r *scanning.Report) {
			r.Scope = scanning.Scope{Kind: scanning.ScopeHost, Name: fmt.Sprintf("d-%05d", n/100)}
		})
		for range 100 {
			n++
			r.Findings = append(r.Findings, vuln(fmt.Sprintf("CVE-2026-%d", n), fmt.Sprintf("org.example:lib-%d", n%300), func(f *scanning.Finding) { f.Package.Ecosystem = "Maven" }))
		}
		w.take(r)
	}
	b.ReportMetric(float64((clocktest.CPU(b)-began).Microseconds())/float64(n), "cpu-us/finding")
}
