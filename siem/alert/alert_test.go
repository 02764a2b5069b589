package alert_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/siem/alert"
)

var (
	tenant = core.MustID[core.TenantID]("acme")
	begin  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// topic collects what was published.
type topic struct{ told []alert.Alert }

func (p *topic) Publish(_ context.Context, _ *store.Tx, _ core.TenantID, records ...[]byte) error {
	for _, r := range records {
		var a alert.Alert
		if err := json.Unmarshal(r, &a); err != nil {
			return err
		}
		p.told = append(p.told, a)
	}
	return nil
}

func at(d time.Duration) time.Time { return begin.Add(d) }

// raise names events by number at a time.
func raise(now time.Duration, events ...int) alert.Raise {
	r := alert.Raise{
		Tenant: tenant, Rule: alert.Rule{Name: "r", ID: "11111111-1111-4111-8111-111111111111", Title: "T", Author: "A"},
		Severity: core.SeverityMedium, Key: "k", Group: map[string]string{"a": "k"}, Provenance: core.ProvenanceLocal, Now: at(now),
	}
	for _, n := range events {
		r.Events = append(r.Events, alert.Event{ID: eventID(n), At: at(now), Source: "file/x"})
	}
	return r
}

func eventID(n int) core.UUID {
	id, err := core.ParseUUID(fmt.Sprintf("01932d3f-0000-7000-8000-%012d", n))
	if err != nil {
		panic(err)
	}
	return id
}

// bench is a store under test.
type bench struct {
	t     *testing.T
	db    *store.DB
	s     *alert.Store
	topic *topic
}

func each(t *testing.T, body func(b *bench)) {
	storetest.Each(t, []store.Migrations{alert.Migrations()}, func(t *testing.T, db *store.DB) {
		p := &topic{}
		body(&bench{t, db, alert.NewStore(p), p})
	})
}

func (b *bench) raise(r alert.Raise) alert.Alert {
	b.t.Helper()
	var a alert.Alert
	err := b.db.Tx(context.Background(), func(tx *store.Tx) (err error) {
		a, err = b.s.Raise(context.Background(), tx, r)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *bench) list(q alert.Query) (out []alert.Alert) {
	b.t.Helper()
	err := b.db.View(context.Background(), func(tx *store.Tx) (err error) {
		out, err = alert.List(context.Background(), tx, tenant, q)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func TestBothEnginesHaveTheSameSchema(t *testing.T) {
	storetest.SameSchema(t, alert.Migrations())
}

func TestAnEventCountsOnce(t *testing.T) {
	each(t, func(b *bench) {
		b.raise(raise(0, 1, 2, 3))
		b.raise(raise(time.Second, 2, 3, 4))
		a := b.raise(raise(2*time.Second, 1, 2, 3, 4))
		if a.Count != 4 || len(a.Events) != 4 || !a.Last.Equal(at(time.Second)) {
			b.t.Errorf("count %d, events %v, last %s", a.Count, a.Events, a.Last)
		}
		if all := b.list(alert.Query{}); len(all) != 1 || all[0].Count != 4 || all[0].Author != "A" || all[0].Title != "T" {
			b.t.Errorf("%+v", all)
		}
	})
}

func TestNoticesAreThrottledAndCountingIsNot(t *testing.T) {
	each(t, func(b *bench) {
		for i := range 10 {
			b.raise(raise(time.Duration(i)*time.Minute, i))
		}
		var kinds []string
		for _, a := range b.topic.told {
			kinds = append(kinds, fmt.Sprintf("%s %d", a.Notice, a.Count))
		}
		if got := fmt.Sprint(kinds); got != "[opened 1 repeated 6]" {
			b.t.Errorf("notices %s", got)
		}
		if a := b.list(alert.Query{})[0]; a.Count != 10 || a.Suppressed != 4 {
			b.t.Errorf("count %d, suppressed %d", a.Count, a.Suppressed)
		}
	})
}

func TestRisingIsToldAtOnce(t *testing.T) {
	each(t, func(b *bench) {
		first := raise(0, 1)
		first.Provenance = core.ProvenanceUnauthenticated
		b.raise(first)
		b.raise(raise(time.Second, 2))
		severe := raise(2*time.Second, 3)
		severe.Severity = core.SeverityCritical
		b.raise(severe)
		forged := raise(3*time.Second, 4)
		forged.Provenance = core.ProvenanceUnauthenticated
		a := b.raise(forged)
		if a.Provenance != core.ProvenanceLocal || a.Severity != core.SeverityCritical || a.Count != 4 {
			b.t.Errorf("%s %s %d", a.Provenance, a.Severity, a.Count)
		}
		if n := len(b.topic.told); n != 3 || b.topic.told[1].Notice != alert.KindRaised || b.topic.told[2].Notice != alert.KindRaised {
			b.t.Errorf("%d notices: %+v", n, b.topic.told)
		}
	})
}

func TestAnAlertEndsWithQuietAndANewOneOpens(t *testing.T) {
	each(t, func(b *bench) {
		old := b.raise(raise(0, 1))
		same := b.raise(raise(alert.Quiet, 2))
		next := b.raise(raise(2*alert.Quiet+time.Second, 3))
		if same.ID != old.ID || next.ID == old.ID || next.Count != 1 || next.Notice != alert.KindOpened {
			b.t.Errorf("ids %s %s %s, count %d, %s", old.ID, same.ID, next.ID, next.Count, next.Notice)
		}
	})
}

// What was dealt with is over at once, not after the quiet hour: the next event
// is a new alert, and told.
func TestAnAlertThatWasDealtWithIsOver(t *testing.T) {
	each(t, func(b *bench) {
		first := b.raise(raise(0, 1))
		err := b.db.Tx(b.t.Context(), func(tx *store.Tx) error {
			return b.s.End(b.t.Context(), tx, first.Tenant, alert.Closing{Verdict: alert.VerdictResolved, By: "service/verification", At: at(0)}, first.ID)
		})
		if err != nil {
			b.t.Fatal(err)
		}
		second := b.raise(raise(time.Minute, 2))
		if second.ID == first.ID || second.Count != 1 || second.Notice != alert.KindOpened {
			b.t.Errorf("after the end came %+v", second)
		}
		if again := b.raise(raise(2*time.Minute, 3)); again.ID != second.ID || again.Count != 2 {
			b.t.Errorf("the second alert does not count: %+v", again)
		}
		if open := b.list(alert.Query{State: alert.StateOpen}); len(open) != 1 || open[0].ID != second.ID {
			b.t.Errorf("open after the end: %+v", open)
		}
		err = b.db.Tx(b.t.Context(), func(tx *store.Tx) error {
			_, err := b.s.Acknowledge(b.t.Context(), tx, tenant, first.ID, core.Principal{Kind: core.KindPerson, ID: "anna"}, "late", at(time.Minute))
			return err
		})
		if core.KindOf(err) != core.KindConflict {
			b.t.Errorf("a closed alert is acknowledged: %v", err)
		}
	})
}

// P33: why an alert was wrong is kept with it, and its judgement stands when the
// incident that it was in ends another way.
func TestAFalsePositiveKeepsItsReason(t *testing.T) {
	each(t, func(b *bench) {
		a := b.raise(raise(0, 1))
		shut := func(how alert.Closing) (err error) {
			return b.db.Tx(b.t.Context(), func(tx *store.Tx) error {
				_, err := b.s.Close(b.t.Context(), tx, tenant, a.ID, how)
				return err
			})
		}
		wrong := alert.Closing{Verdict: alert.VerdictFalsePositive, By: "person/anna", At: at(time.Minute), Reason: "the scanner of the audit"}
		for _, c := range []struct {
			how  alert.Closing
			want core.Kind
		}{
			{alert.Closing{Verdict: "no"}, core.KindInvalid},
			{alert.Closing{Verdict: alert.VerdictFalsePositive, Reason: " "}, core.KindInvalid},
			{alert.Closing{Verdict: alert.VerdictBenign, Reason: strings.Repeat("x", 1001)}, core.KindTooLarge},
			{wrong, 0},
			{wrong, core.KindConflict},
		} {
			if err := shut(c.how); (err != nil || c.want != 0) && core.KindOf(err) != c.want {
				b.t.Errorf("%+v: %v", c.how, err)
			}
		}
		err := b.db.Tx(b.t.Context(), func(tx *store.Tx) error {
			return b.s.End(b.t.Context(), tx, tenant, alert.Closing{Verdict: alert.VerdictResolved, By: "service/verification", At: at(time.Hour)}, a.ID)
		})
		if got := b.list(alert.Query{})[0]; err != nil || got.Closing != wrong || got.State != alert.StateClosed {
			b.t.Errorf("%v: %+v", err, got)
		}
		if next := b.raise(raise(2*time.Minute, 2)); next.ID == a.ID || next.Notice != alert.KindOpened {
			b.t.Errorf("what came after: %+v", next)
		}
	})
}

func TestSimulatedAndOtherTenantsStandApart(t *testing.T) {
	each(t, func(b *bench) {
		b.raise(raise(0, 1))
		drill := raise(0, 2)
		drill.Simulated = true
		b.raise(drill)
		foreign := raise(0, 3)
		foreign.Tenant = core.MustID[core.TenantID]("other")
		a := b.raise(foreign)
		if all := b.list(alert.Query{}); len(all) != 2 || all[0].Simulated == all[1].Simulated {
			b.t.Errorf("%+v", all)
		}
		err := b.db.View(context.Background(), func(tx *store.Tx) error {
			_, err := alert.Get(context.Background(), tx, tenant, a.ID)
			return err
		})
		if core.KindOf(err) != core.KindNotFound {
			b.t.Errorf("another tenant's alert: %v", err)
		}
	})
}

func TestAcknowledgingStopsNoticesNotCounting(t *testing.T) {
	each(t, func(b *bench) {
		a := b.raise(raise(0, 1))
		ack := func() error {
			return b.db.Tx(context.Background(), func(tx *store.Tx) error {
				_, err := b.s.Acknowledge(context.Background(), tx, tenant, a.ID, core.Principal{Kind: core.KindPerson, ID: "anna"}, "seen", at(time.Minute))
				return err
			})
		}
		if err := ack(); err != nil {
			b.t.Fatal(err)
		}
		if err := ack(); core.KindOf(err) != core.KindConflict {
			b.t.Errorf("second acknowledgement: %v", err)
		}
		got := b.raise(raise(30*time.Minute, 2))
		if got.Count != 2 || got.AckedBy != "person/anna" || len(b.topic.told) != 1 {
			b.t.Errorf("%+v, %d notices", got, len(b.topic.told))
		}
		if n := len(b.list(alert.Query{State: alert.StateOpen})); n != 0 {
			b.t.Errorf("%d open", n)
		}
	})
}

func TestListsAreNarrowedAndContinued(t *testing.T) {
	each(t, func(b *bench) {
		for i := range 5 {
			r := raise(time.Duration(i)*time.Second, i)
			r.Key = fmt.Sprint(i)
			r.Severity = core.Severities[i]
			b.raise(r)
		}
		first := b.list(alert.Query{Limit: 2})
		rest := b.list(alert.Query{Before: first[1].Updated, BeforeID: first[1].ID})
		if len(first) != 2 || len(rest) != 3 || first[0].Severity != core.SeverityCritical || rest[2].Severity != core.SeverityInfo {
			b.t.Errorf("%d and %d", len(first), len(rest))
		}
		if n := len(b.list(alert.Query{MinSeverity: core.SeverityHigh})); n != 2 {
			b.t.Errorf("%d of high or more", n)
		}
		var open, acknowledged int
		if err := b.db.View(context.Background(), func(tx *store.Tx) (err error) {
			if open, err = alert.Count(context.Background(), tx, first[0].Tenant, alert.StateOpen); err != nil {
				return err
			}
			acknowledged, err = alert.Count(context.Background(), tx, first[0].Tenant, alert.StateAcknowledged)
			return err
		}); err != nil || open != 5 || acknowledged != 0 {
			b.t.Errorf("%d open, %d acknowledged, %v", open, acknowledged, err)
		}
		if n := len(b.list(alert.Query{Rule: "other"})); n != 0 {
			b.t.Errorf("%d of another rule", n)
		}
	})
}

func TestAnAlertWithoutAuthorIsNotMade(t *testing.T) {
	each(t, func(b *bench) {
		for _, damage := range []func(*alert.Raise){
			func(r *alert.Raise) { r.Rule.Author = "" }, func(r *alert.Raise) { r.Rule.ID = "" }, func(r *alert.Raise) { r.Events = nil },
			func(r *alert.Raise) { r.Provenance = "" }, func(r *alert.Raise) { r.Severity = "urgent" },
		} {
			r := raise(0, 1)
			damage(&r)
			err := b.db.Tx(context.Background(), func(tx *store.Tx) error {
				_, err := b.s.Raise(context.Background(), tx, r)
				return err
			})
			if core.KindOf(err) != core.KindInvalid {
				b.t.Errorf("%+v: %v", r, err)
			}
		}
	})
}

func TestTheSameRaiseMakesTheSameAlert(t *testing.T) {
	a, b := alert.Open(raise(time.Second, 1, 2)), alert.Open(raise(time.Second, 1, 2))
	if a.ID != b.ID || !a.ID.Time().Equal(at(time.Second)) {
		t.Errorf("%s and %s", a.ID, b.ID)
	}
	if _, err := core.ParseUUID(a.ID.String()); err != nil {
		t.Error(err)
	}
}
