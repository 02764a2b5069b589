package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/vex"
)

// random makes reports and wishes for one subject.
type random struct {
	*rand.Rand
	scope   string
	all     []scanning.Finding
	asked   core.UUID // for whose risk somebody asked last
	request uint64    // which of its requests that was
}

func newRandom(seed uint64, scope string) *random {
	secret := leak("web/.env")
	return &random{Rand: rand.New(rand.NewPCG(seed, 7)), scope: scope, all: []scanning.Finding{
		vuln("CVE-2026-1", "example.com/a", nil),
		vuln("CVE-2026-2", "example.com/b", func(f *scanning.Finding) { f.Location.File = "web/go.mod"; f.Severity = core.SeverityCritical }),
		vuln("GO-2026-3", "example.com/c", func(f *scanning.Finding) { f.Aliases = []string{"GHSA-3"} }),
		vuln("GHSA-3", "example.com/c", func(f *scanning.Finding) { f.Aliases = []string{"CVE-2026-3"} }),
		secret,
	}}
}

// report is any of two tools', about some of what there is, with or without gaps,
// of all or of a part.
func (r *random) report(at time.Time) *scanning.Report {
	rep := &scanning.Report{
		Tool:    scanning.Tool{Name: []string{"deps", "grype"}[r.IntN(2)], Version: []string{"1.0.0", "1.1.0"}[r.IntN(2)]},
		Scope:   scanning.Scope{Kind: scanning.ScopeGit, Name: r.scope},
		Started: at, Finished: at.Add(time.Second),
	}
	for _, f := range r.all {
		if r.IntN(2) == 0 {
			rep.Findings = append(rep.Findings, f)
		}
	}
	switch r.IntN(6) {
	case 0:
		rep.Gaps = gap("web", scanning.ReasonUnreadable)
	case 1:
		rep.Scope.Parts = []string{"web"}
		rep.Findings = slices.DeleteFunc(rep.Findings, func(f scanning.Finding) bool { return !strings.HasPrefix(f.Location.File, "web/") })
	}
	return rep
}

// act is what a person or time does to one of the findings, most of it refused.
func (r *random) act(w *world, ids []core.UUID) {
	if len(ids) == 0 {
		return
	}
	id, by := ids[r.IntN(len(ids))], person([]string{"anna", "otto"}[r.IntN(2)])
	c := lifecycle.Change{To: lifecycle.States[r.IntN(len(lifecycle.States))], By: by, At: w.now, Reason: []string{"", "because"}[r.IntN(2)]}
	if r.IntN(2) == 0 {
		c.Justification = lifecycle.Justifications[r.IntN(len(lifecycle.Justifications))]
	}
	c.Of = ids[r.IntN(len(ids))]
	_ = w.tx(func(tx *store.Tx) error { // refusals are part of it
		var err error
		switch r.IntN(14) {
		case 3:
			status := []vex.Status{vex.NotAffected, vex.NotAffected, vex.Affected}[r.IntN(3)]
			d := statement(status, w.now, []string{"CVE-2026-1", "CVE-2026-9"}[r.IntN(2)])
			d.ID += r.scope
			_, err = w.store.TakeVEX(w.t.Context(), tx, tenant, d, "", c)
		case 4: // what was looked at some time ago, by advisories that know one of them
			at := w.now.Add(-time.Duration(r.IntN(100)) * time.Hour)
			_, err = w.store.TakeInventory(w.t.Context(), tx, tenant, lifecycle.Look{Subject: "repo/" + r.scope, Scope: []string{"", "git/x"}[r.IntN(2)], Packages: []scanning.Package{goPkg("example.com/a", fmt.Sprint("v1.0.", r.IntN(3)))}, At: at})
			list, e := w.store.BehindOf(w.t.Context(), tx, tenant, fmt.Sprint(r.IntN(2)), nil, 10)
			for _, h := range list {
				rep := &scanning.Report{Tool: scanning.Tool{Name: "deps", Database: w.now}, Finished: w.now, Findings: r.all[:r.IntN(2)]}
				e = errors.Join(e, w.store.Rematch(w.t.Context(), tx, tenant, h, "2", rep, "service/advisories", w.now))
			}
			if e != nil {
				w.t.Error(e)
			}
		case 0:
			r.asked = id
			c.Reason = "because"
			var f lifecycle.Finding
			if f, err = w.store.Ask(w.t.Context(), tx, tenant, id, c, w.now.Add(time.Duration(r.IntN(120))*day)); err != nil {
				return err
			}
			if r.request = f.Acceptance.Revision; r.IntN(2) == 0 {
				c.Request, c.By = r.request, person([]string{"anna", "otto"}[r.IntN(2)])
				_, _ = w.store.Approve(w.t.Context(), tx, tenant, id, c) // who asks does not approve
			}
		case 1, 5:
			c.Request = r.request
			_, err = w.store.Approve(w.t.Context(), tx, tenant, r.asked, c)
		case 2:
			_, err = w.store.Sweep(w.t.Context(), tx, tenant, w.now, 100)
		default:
			_, err = w.store.Move(w.t.Context(), tx, tenant, id, c)
		}
		return err
	})
}

// TestNoPathToClosedButProofAndJudgement: whatever people, scanners and time do in
// whatever order.
func TestNoPathToClosedButProofAndJudgement(t *testing.T) {
	w := onSQLite(t)
	w.store.Trusting(acme)
	said := 0
	reached := map[lifecycle.State]int{}
	for seed := range uint64(10) {
		r := newRandom(seed, fmt.Sprintf("shop-%d", seed))
		w.now = start.Add(time.Duration(seed) * time.Hour)
		var ids []core.UUID
		last := map[core.UUID]lifecycle.Finding{}
		for range 50 {
			w.now = w.now.Add(time.Duration(1+r.IntN(48)) * time.Hour)
			if r.IntN(3) == 0 {
				ids = append(ids, w.take(r.report(w.now)).New...)
			} else {
				r.act(w, ids)
			}
			for _, id := range ids {
				f := w.get(id)
				if was, known := last[id]; !known || was.Revision != f.Revision {
					w.holds(was, f)
				}
				last[id] = f
				reached[f.State]++
				if f.Statement != nil {
					said++
				}
			}
		}
	}
	if said == 0 {
		t.Error("no statement closed anything: the test shows nothing about them")
	}
	for _, s := range lifecycle.States[1:] {
		if reached[s] == 0 {
			t.Errorf("no walk came to %s: the test shows nothing about it", s)
		}
	}
}

// holds checks what is true of every finding after every change.
func (w *world) holds(was, f lifecycle.Finding) {
	w.t.Helper()
	events := w.timeline(f.ID)
	if uint64(len(events)) != f.Revision {
		w.t.Errorf("%d events at revision %d", len(events), f.Revision)
	}
	var moves []lifecycle.Event
	for i, e := range events {
		if e.Revision != uint64(i+1) {
			w.t.Errorf("event %d has revision %d", i, e.Revision)
		}
		if e.To != "" && e.To != lifecycle.StateIntroduced {
			moves = append(moves, e)
		}
	}
	for i, e := range moves {
		if i > 0 && e.From != moves[i-1].To {
			w.t.Errorf("a gap in the states: %s → %s after %s", e.From, e.To, moves[i-1].To)
		}
	}
	last := moves[len(moves)-1]
	if last.To != f.State {
		w.t.Errorf("the finding is %s, its timeline ends in %s", f.State, last.To)
	}
	why := ""
	switch f.State {
	case lifecycle.StateVerified:
		if last.By != "service/findings" || len(last.Refs) == 0 || last.From != lifecycle.StateFixed {
			why = "verified without a report"
		}
	case lifecycle.StateAccepted:
		if a := f.Acceptance; a == nil || a.Approver == "" || a.Approver == a.Requester || a.Until.Sub(last.At) > 90*day {
			why = "accepted without two"
		}
	case lifecycle.StateNotAffected:
		if f.Reason == "" || f.Justification == "" {
			why = "not affected without a reason"
		}
		if byAuthor := strings.HasPrefix(last.By, "vex/"); byAuthor != (f.Statement != nil) || !byAuthor && !strings.HasPrefix(last.By, "person/") {
			why = "not affected by nobody's word"
		}
	case lifecycle.StateFalsePositive:
		if f.Reason == "" {
			why = "false positive without a reason"
		}
	case lifecycle.StateDuplicate:
		if w.rootOf(f).ID == f.ID {
			why = "a duplicate of itself"
		}
	default:
		if f.Clock.Since.IsZero() {
			why = "open without a clock"
		}
	}
	if was.Clock.Since.Equal(f.Clock.Since) && !was.Clock.Due.IsZero() && (f.Clock.Due.IsZero() || f.Clock.Due.After(was.Clock.Due)) {
		why = "its clock got longer"
	}
	if why != "" {
		w.t.Errorf("finding %s is %s: %s: %+v", f.ID, f.State, why, f)
	}
}

func (w *world) rootOf(f lifecycle.Finding) lifecycle.Finding {
	for n := 0; f.State == lifecycle.StateDuplicate && n < 20; n++ {
		f = w.get(f.Of)
	}
	return f
}

// shape is how a scope's findings stand, without ids.
func (w *world) shape(scope string) map[string]string {
	out := map[string]string{}
	for _, f := range w.list(lifecycle.Filter{Subject: "repo/" + scope}) {
		var steps []string
		for _, e := range w.timeline(f.ID) {
			steps = append(steps, string(e.Kind)+" "+string(e.To))
		}
		out[f.What.Rule+" "+f.What.Fingerprint] = fmt.Sprintf("%s %s %d %d %s %v", f.State, f.What.Severity, f.Sightings, f.Returns, f.Clock.Due, steps)
	}
	return out
}

// TestTheSameReportsGiveTheSameStates, however often each of them comes.
func TestTheSameReportsGiveTheSameStates(t *testing.T) {
	w := onSQLite(t)
	for seed := range uint64(6) {
		once, often := fmt.Sprintf("once-%d", seed), fmt.Sprintf("often-%d", seed)
		r := newRandom(seed, once)
		var reports []*scanning.Report
		for i := range 12 {
			reports = append(reports, r.report(start.Add(time.Duration(i)*time.Hour)))
		}
		for _, rep := range reports {
			w.take(rep)
		}
		for i := range reports {
			again := []int{i}
			for range r.IntN(4) {
				again = append(again, r.IntN(i+1))
			}
			for _, j := range again {
				rep := *reports[j]
				rep.Scope.Name = often
				before := len(w.topic)
				if sum := w.take(&rep); sum.Known && len(w.topic) != before {
					t.Errorf("a report that is known changes something: %+v", sum)
				}
			}
		}
		if a, b := w.shape(once), w.shape(often); !reflect.DeepEqual(a, b) || len(a) == 0 {
			t.Errorf("seed %d:\nonce  %v\noften %v", seed, a, b)
		}
	}
}

// TestTwoAtOnceAreOne: two processes of a pipeline hand the same subject in at the
// same moment, and neither knows of the other.
func TestTwoAtOnceAreOne(t *testing.T) {
	storetest.Each(t, []store.Migrations{journal.Migrations(), lifecycle.Migrations()}, func(t *testing.T, db *store.DB) {
		quiet := func(context.Context, *store.Tx, audit.Entry) error { return nil }
		s := lifecycle.NewStore(journal.NewTopic("findings").Bind(db), quiet, lifecycle.DefaultRules())
		const rounds, workers = 4, 3
		for round := range rounds {
			var wg sync.WaitGroup
			for worker := range workers {
				wg.Go(func() {
					at := start.Add(time.Duration(round)*time.Hour + time.Duration(worker)*time.Second)
					r := &scanning.Report{
						Tool: scanning.Tool{Name: fmt.Sprint("tool-", worker), Version: "1"}, Scope: scanning.Scope{Kind: scanning.ScopeGit, Name: "shop"}, Started: at, Finished: at,
						Packages: []scanning.Package{goPkg("example.com/a", "v1.0.0"), goPkg("example.com/b", fmt.Sprint("v1.0.", round))},
						Findings: []scanning.Finding{vuln("CVE-2026-1", "example.com/a", nil), vuln(fmt.Sprint("CVE-2027-", round), "example.com/b", nil)},
					}
					err := db.Tx(t.Context(), func(tx *store.Tx) error {
						_, err := s.Import(t.Context(), tx, tenant, r, "person/anna", at)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		w := newWorld(t, db)
		w.store = s
		list := w.list(lifecycle.Filter{})
		if len(list) != 1+rounds {
			t.Errorf("%d findings, want %d", len(list), 1+rounds)
		}
		for _, f := range list {
			if want := uint64(workers); f.What.Rule == "CVE-2026-1" && f.Sightings != want*rounds || f.What.Rule != "CVE-2026-1" && f.Sightings != want {
				t.Errorf("%s was seen %d times", f.What.Rule, f.Sightings)
			}
			w.holds(lifecycle.Finding{}, f)
		}
	})
}
