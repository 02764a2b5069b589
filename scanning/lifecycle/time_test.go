package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

func (w *world) know(f lifecycle.Fact) (concerned int) {
	w.t.Helper()
	f.Noted, f.By = w.now, "person/anna"
	w.must(w.tx(func(tx *store.Tx) (err error) {
		concerned, err = w.store.AddFact(w.t.Context(), tx, tenant, f, core.Position{})
		return err
	}))
	return concerned
}

func (w *world) sweep(now time.Time) (n int) {
	w.t.Helper()
	w.now = now
	w.must(w.tx(func(tx *store.Tx) (err error) {
		n, err = w.store.Sweep(w.t.Context(), tx, tenant, now, 100)
		return err
	}))
	return n
}

func (w *world) escalations(id core.UUID) (steps []string) {
	for _, e := range w.timeline(id) {
		if e.Kind == lifecycle.EventEscalated {
			steps = append(steps, e.Text[:min(len(e.Text), 13)])
		}
	}
	return steps
}

// TestEachStepIsToldOnce, also where nobody looked for long.
func TestEachStepIsToldOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", nil))).New[0]
		late := w.take(w.report(func(r *scanning.Report) { r.Scope.Name = "other" }, vuln("CVE-2026-1", "example.com/a", nil))).New[0]
		for _, days := range []int{1, 20, 23, 24, 29, 30, 31, 45} {
			w.sweep(start.Add(time.Duration(days)*day + time.Hour))
		}
		if got := w.escalations(id); len(got) != 2 || w.get(id).Clock.Step != lifecycle.StepOverdue {
			t.Errorf("%v, %s", got, w.get(id).Clock.Step)
		}
		w.sweep(start.Add(400 * day))
		if n := w.sweep(start.Add(500 * day)); n != 0 {
			t.Errorf("%d findings are woken for nothing", n)
		}
		if got := w.escalations(late); len(got) != 3 {
			t.Errorf("%v", got)
		}
		skipped := w.take(w.report(func(r *scanning.Report) {
			r.Scope.Name, r.Started, r.Finished = "third", start.Add(500*day), start.Add(500*day)
		}, vuln("CVE-2026-1", "example.com/a", nil))).New[0]
		w.sweep(start.Add(900 * day))
		if got := w.escalations(skipped); len(got) != 1 || w.get(skipped).Clock.Step != lifecycle.StepTwice {
			t.Errorf("several that passed while nobody looked are one: %v", got)
		}
	})
}

// TestAnAcceptedRiskComesBack by itself, with a clock that has not stood still.
func TestAnAcceptedRiskComesBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		found := vuln("CVE-2026-1", "example.com/a", nil)
		id := w.take(w.report(nil, found)).New[0]
		w.through(id, lifecycle.StateTriaged)
		until := start.Add(60 * day)
		var asked lifecycle.Finding
		w.must(w.tx(func(tx *store.Tx) (err error) {
			asked, err = w.store.Ask(t.Context(), tx, tenant, id, lifecycle.Change{By: person("anna"), At: w.now, Reason: "replaced soon"}, until)
			return err
		}))
		approve := func(who string) error {
			return w.tx(func(tx *store.Tx) error {
				_, err := w.store.Approve(t.Context(), tx, tenant, id, lifecycle.Change{By: person(who), At: w.now, Request: asked.Acceptance.Revision})
				return err
			})
		}
		if err := approve("anna"); core.KindOf(err) != core.KindDenied {
			t.Errorf("who asked approves: %v", err)
		}
		w.must(approve("otto"))
		w.take(w.report(nil, found))
		f := w.state(id, lifecycle.StateAccepted)
		if f.Acceptance.Approver != "person/otto" || f.Acceptance.Seen != 1 {
			t.Errorf("%+v", f.Acceptance)
		}
		w.take(w.report(nil)) // it is gone, which ends no acceptance
		w.state(id, lifecycle.StateAccepted)
		w.sweep(until.Add(-time.Second))
		w.state(id, lifecycle.StateAccepted)
		w.sweep(until)
		if f = w.state(id, lifecycle.StateAffected); f.Clock.Step != lifecycle.StepOverdue || f.Acceptance != nil {
			t.Errorf("%+v", f)
		}
		w.take(w.report(nil))
		w.state(id, lifecycle.StateVerified)
	})
}

// TestDetectionIsToldOnce: the stage's notices and its cursor commit together.
func TestDetectionIsToldOnce(t *testing.T) {
	storetest.Each(t, []store.Migrations{journal.Migrations(), lifecycle.Migrations()}, func(t *testing.T, db *store.DB) {
		topic := journal.NewTopic("findings").Bind(db)
		w := newWorld(t, db)
		w.store = lifecycle.NewStore(topic, w.fact, lifecycle.DefaultRules())
		device := func(r *scanning.Report) { r.Scope = scanning.Scope{Kind: scanning.ScopeHost, Name: "press-7"} }
		id := w.take(w.report(device, vuln("CVE-2026-1", "example.com/a", nil), leak(".env"))).New[0]
		w.know(lifecycle.Fact{Advisory: "CVE-2026-1", Kind: lifecycle.FactExploited, At: w.now, Source: "event"})
		w.through(id, lifecycle.StateTriaged, lifecycle.StateAffected, lifecycle.StateFixed)
		w.take(w.report(device, leak(".env")))
		w.take(w.report(device, vuln("CVE-2026-1", "example.com/a", nil), leak(".env")))
		w.sweep(start.Add(100 * day))
		var told []lifecycle.Notice
		broken := 2
		stage := lifecycle.Stage(topic, func(_ context.Context, tx *store.Tx, n lifecycle.Notice) error {
			if broken > 0 && n.Kind == lifecycle.TypeExploited {
				broken--
				return errors.New("the machine dies here")
			}
			tx.OnCommit(func() { told = append(told, n) })
			return nil
		})
		frames, err := topic.Read(t.Context(), 0, 0, 100)
		w.must(err)
		for _, f := range frames {
			for w.tx(func(tx *store.Tx) error { return stage.Handle(t.Context(), tx, f) }) != nil {
				continue
			}
		}
		var kinds []string
		for _, n := range told {
			kinds = append(kinds, n.Kind)
			if n.Device.String() != "press-7" || n.Fields["subject"] != "device/press-7" {
				t.Errorf("%+v", n)
			}
		}
		slices.Sort(kinds)
		want := []string{"finding_exploited", "finding_overdue", "finding_overdue", "finding_regressed", "secret_leaked"}
		if !slices.Equal(kinds, want) {
			t.Errorf("told %v, want %v", kinds, want)
		}
	})
}

// TestOwners: the last line that fits, at discovery and when the text changes.
func TestOwners(t *testing.T) {
	w := onSQLite(t)
	set := func(text string) error {
		return w.tx(func(tx *store.Tx) error {
			_, err := w.store.SetOwners(t.Context(), tx, tenant, text, lifecycle.Change{By: person("anna"), At: w.now})
			return err
		})
	}
	before := w.take(w.report(nil, vuln("CVE-2026-1", "example.com/a", nil))).New[0]
	w.must(set("# everything\n* @security\nsubject:repo/shop path:/web/** frontend\npackage:Go/example.com/* gophers\n"))
	if f := w.get(before); f.Owner != "gophers" {
		t.Errorf("owner %q", f.Owner)
	}
	after := w.take(w.report(nil, leak("web/app/.env"), leak("deep/x/.env"))).New
	if a, b := w.get(after[0]).Owner, w.get(after[1]).Owner; a != "frontend" || b != "security" {
		t.Errorf("owners %q, %q", a, b)
	}
	if err := set("nobody\n"); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a line without an owner: %v", err)
	}
}

// TestTheFigures: burn-down, breaches and the time to fix.
func TestTheFigures(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a, b := vuln("CVE-2026-1", "example.com/a", nil), vuln("CVE-2026-2", "example.com/b", func(f *scanning.Finding) { f.Severity = core.SeverityCritical })
		w.take(w.report(nil, a, b))
		w.now = start.Add(2*day + time.Hour)
		w.take(w.report(nil, b))
		w.now = start.Add(8*day + time.Hour)
		w.must(w.db.View(t.Context(), func(tx *store.Tx) error {
			st, err := w.store.Stats(t.Context(), tx, tenant, w.now, 10)
			if err != nil {
				return err
			}
			if st.Open[core.SeverityCritical] != 1 || st.Open[core.SeverityHigh] != 0 || st.Overdue != 1 || st.Fixed != 1 || st.OnTime != 1 || st.States[lifecycle.StateVerified] != 1 {
				t.Errorf("%+v", st)
			}
			if days := st.ToFix / 86400; days < 2 || days > 2.1 {
				t.Errorf("%.2f days to fix", days)
			}
			b, err := w.store.Board(t.Context(), tx, tenant, w.now, 3)
			if err != nil {
				return err
			}
			if b.Total != 1 || b.Overdue != 1 || b.Breaches[core.SeverityCritical] != 1 || b.States[lifecycle.StateDiscovered] != 1 || len(b.First) != 1 {
				t.Errorf("the board: %+v", b)
			}
			open := map[string]int{}
			for _, d := range st.Days {
				for _, n := range d.Open {
					open[d.Day] += n
				}
			}
			if len(st.Days) != 10 || open["2026-10-31"] != 0 || open["2026-11-01"] != 2 || open["2026-11-02"] != 2 || open["2026-11-03"] != 1 || open["2026-11-09"] != 1 {
				t.Errorf("%d days: %v", len(st.Days), open)
			}
			return nil
		}))
	})
}
