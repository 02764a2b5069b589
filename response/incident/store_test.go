package incident_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/response/incident"
)

func each(t *testing.T, body func(t *testing.T, f *fixture)) {
	t.Helper()
	storetest.Each(t, []store.Migrations{incident.Migrations()}, func(t *testing.T, db *store.DB) {
		f := &fixture{t: t, db: db}
		f.store = incident.NewStore(f, f.fact)
		body(t, f)
	})
}

type fixture struct {
	t     *testing.T
	db    *store.DB
	store *incident.Store
	facts []audit.Entry
	fail  error
	topic []incident.Record
}

// Publish implements incident.Topic.
func (f *fixture) Publish(_ context.Context, _ *store.Tx, _ core.TenantID, records ...[]byte) error {
	for _, b := range records {
		var r incident.Record
		if err := json.Unmarshal(b, &r); err != nil {
			return err
		}
		f.topic = append(f.topic, r)
	}
	return nil
}

func (f *fixture) fact(_ context.Context, _ *store.Tx, e audit.Entry) error {
	f.facts = append(f.facts, e)
	return f.fail
}

func (f *fixture) tx(fn func(tx *store.Tx) error) error {
	return f.db.Tx(f.t.Context(), fn)
}

func (f *fixture) take(a incident.Alert, at time.Time) incident.Incident {
	f.t.Helper()
	var in incident.Incident
	if err := f.tx(func(tx *store.Tx) (err error) {
		in, err = f.store.Take(f.t.Context(), tx, a, at)
		return err
	}); err != nil {
		f.t.Fatal(err)
	}
	return in
}

func (f *fixture) move(id core.UUID, c incident.Change) (in incident.Incident, err error) {
	err = f.tx(func(tx *store.Tx) (err error) {
		in, err = f.store.Move(f.t.Context(), tx, tenant, id, c)
		return err
	})
	return in, err
}

func (f *fixture) timeline(id core.UUID) []incident.Step {
	f.t.Helper()
	var steps []incident.Step
	if err := f.db.View(f.t.Context(), func(tx *store.Tx) (err error) {
		steps, err = f.store.Timeline(f.t.Context(), tx, tenant, id)
		return err
	}); err != nil {
		f.t.Fatal(err)
	}
	return steps
}

func alert(device string, edit func(*incident.Alert)) incident.Alert {
	a := incident.Alert{
		ID: core.NewUUID(start), Tenant: tenant, Rule: "interlock-device-tampered", Family: "tamper", Title: "Device tampered",
		Severity: core.SeverityHigh, Source: "device/" + device, Device: core.MustID[core.DeviceID](device),
		Provenance: core.ProvenanceDevice, Count: 1, First: start.Add(-time.Second), Last: start,
	}
	if edit != nil {
		edit(&a)
	}
	return a
}

func TestOneIncidentForEachSubjectAndFamily(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.take(alert("press-7", nil), start)
		same := f.take(alert("press-7", func(a *incident.Alert) { a.Severity = core.SeverityCritical; a.Safety = true }), start.Add(time.Second))
		if same.ID != first.ID || same.Alerts != 2 || same.Severity != core.SeverityCritical || !same.Safety || same.Revision != 2 {
			t.Errorf("second alert: %+v", same)
		}
		for name, other := range map[string]incident.Alert{
			"another device": alert("press-8", nil),
			"another family": alert("press-7", func(a *incident.Alert) { a.Family = "login" }),
			"a stranger's claim about the same device": alert("press-7", func(a *incident.Alert) { a.Provenance = core.ProvenanceUnauthenticated }),
		} {
			if in := f.take(other, start); in.ID == first.ID {
				t.Errorf("%s joined the incident", name)
			}
		}
		var in incident.Incident
		if err := f.db.View(t.Context(), func(tx *store.Tx) (err error) {
			in, err = f.store.Get(t.Context(), tx, tenant, first.ID)
			return err
		}); err != nil || in.Provenance != core.ProvenanceDevice {
			t.Errorf("after a stranger's claim: provenance %q, %v", in.Provenance, err)
		}
	})
}

func TestAnAlertCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		a := alert("press-7", nil)
		first := f.take(a, start)
		a.Count = 5
		again := f.take(a, start.Add(time.Second))
		if again.ID != first.ID || again.Revision != 1 || again.Alerts != 1 || len(f.timeline(first.ID)) != 1 {
			t.Errorf("the same alert again: %+v", again)
		}
		if err := f.db.View(t.Context(), func(tx *store.Tx) error {
			alerts, err := f.store.Alerts(t.Context(), tx, tenant, first.ID)
			if err == nil && (len(alerts) != 1 || alerts[0].Count != 5) {
				t.Errorf("alerts %+v", alerts)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestATransitionItsStepAndItsFactAreOne(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		in := f.take(alert("press-7", nil), start)
		f.fail = errors.New("outbox full")
		if _, err := f.move(in.ID, incident.Change{To: incident.StateTriaged, By: person(core.RoleOperator), At: start}); !errors.Is(err, f.fail) {
			t.Fatalf("moved without its fact: %v", err)
		}
		if n := len(f.timeline(in.ID)); n != 1 {
			t.Errorf("%d steps after a refused move", n)
		}
		f.fail, f.facts = nil, nil
		intent := core.Position{Origin: "test/log", Index: 7}
		moved, err := f.move(in.ID, incident.Change{To: incident.StateTriaged, By: person(core.RoleOperator), At: start, Intent: intent})
		if err != nil || moved.State != incident.StateTriaged {
			t.Fatalf("%+v, %v", moved, err)
		}
		steps := f.timeline(in.ID)
		if len(steps) != 2 || steps[1].Revision != 2 || steps[1].Intent != intent || steps[1].By != "person/anna" {
			t.Errorf("timeline %+v", steps)
		}
		if last := f.topic[len(f.topic)-1]; last.Incident.State != incident.StateTriaged || last.Step.Revision != 2 {
			t.Errorf("published %+v", last)
		}
		if len(f.facts) != 1 || f.facts[0].Object != in.Object() || f.facts[0].Revision != 2 || *f.facts[0].Intent != intent {
			t.Errorf("facts %+v", f.facts)
		}
		fact := core.Position{Origin: "test/log", Index: 9}
		if err := f.tx(func(tx *store.Tx) error { return f.store.Settle(t.Context(), tx, tenant, in.ID, 2, fact) }); err != nil {
			t.Fatal(err)
		}
		if got := f.timeline(in.ID)[1].Fact; got != fact {
			t.Errorf("settled at %+v", got)
		}
	})
}

func TestMergingAndReopening(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		a := f.take(alert("press-7", nil), start)
		b := f.take(alert("press-8", nil), start)
		op := person(core.RoleOperator)
		if _, err := f.move(a.ID, incident.Change{To: incident.StateMerged, By: op, At: start, Reason: "one burglar", Into: core.NewUUID(start)}); core.KindOf(err) != core.KindNotFound {
			t.Errorf("merged into nothing: %v", err)
		}
		merged, err := f.move(a.ID, incident.Change{To: incident.StateMerged, By: op, At: start, Reason: "one burglar", Into: b.ID})
		if err != nil || merged.Into != b.ID {
			t.Fatalf("%+v, %v", merged, err)
		}
		// A merged incident is closed to alerts: the next one opens a new one.
		c := f.take(alert("press-7", nil), start)
		if c.ID == a.ID {
			t.Error("an alert joined a merged incident")
		}
		fp := f.take(alert("press-9", nil), start)
		if _, err := f.move(fp.ID, incident.Change{To: incident.StateFalsePositive, By: op, At: start, Reason: "cleaner"}); err != nil {
			t.Fatal(err)
		}
		rival := f.take(alert("press-9", nil), start)
		reopen := incident.Change{To: incident.StateReopened, By: op, At: start, Reason: "no cleaner was there"}
		if _, err := f.move(fp.ID, reopen); core.KindOf(err) != core.KindConflict {
			t.Errorf("two open incidents of one kind for one device: %v", err)
		}
		if _, err := f.move(rival.ID, incident.Change{To: incident.StateFalsePositive, By: op, At: start, Reason: "twice"}); err != nil {
			t.Fatal(err)
		}
		if in, err := f.move(fp.ID, reopen); err != nil || in.State != incident.StateReopened {
			t.Errorf("%+v, %v", in, err)
		}
	})
}

func TestTheSiteComesFromTheRegistry(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		hall := core.MustID[core.SiteID]("hall-1")
		f.store.Sites = func(_ context.Context, _ *store.Tx, _ core.TenantID, id core.DeviceID) (core.SiteID, error) {
			if id.String() == "press-7" {
				return hall, nil
			}
			return core.SiteID{}, core.E(core.KindNotFound, "test", "no such device")
		}
		if in := f.take(alert("press-7", nil), start); in.Site != hall {
			t.Errorf("site %q", in.Site)
		}
		if in := f.take(alert("press-8", nil), start); !in.Site.IsZero() {
			t.Errorf("site %q of an unknown device", in.Site)
		}
	})
}

func TestTenantsAreApart(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		in := f.take(alert("press-7", nil), start)
		other := core.MustID[core.TenantID]("other")
		err := f.db.View(t.Context(), func(tx *store.Tx) error {
			if _, err := f.store.Get(t.Context(), tx, other, in.ID); core.KindOf(err) != core.KindNotFound {
				t.Errorf("read across tenants: %v", err)
			}
			list, err := f.store.List(t.Context(), tx, other, incident.Filter{})
			if len(list) != 0 {
				t.Errorf("listed across tenants: %+v", list)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestStageReadsAlerts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		handle := incident.Stage(nil, f.store).Handle
		record := func(v any) []byte {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		frame := journal.Frame{Tenant: tenant, Received: start, Records: [][]byte{record(alert("press-7", nil)), record(alert("press-7", nil))}}
		if err := f.tx(func(tx *store.Tx) error { return handle(t.Context(), tx, frame) }); err != nil {
			t.Fatal(err)
		}
		var list []incident.Incident
		if err := f.db.View(t.Context(), func(tx *store.Tx) (err error) {
			list, err = f.store.List(t.Context(), tx, tenant, incident.Filter{OpenOnly: true, Device: core.MustID[core.DeviceID]("press-7")})
			return err
		}); err != nil || len(list) != 1 || list[0].Alerts != 2 || !list[0].Stamps.Detected.Equal(start) {
			t.Errorf("%+v, %v", list, err)
		}
		if err := f.db.View(t.Context(), func(tx *store.Tx) error {
			counts, err := f.store.CountOpen(t.Context(), tx, tenant)
			if err == nil && (len(counts) != 1 || counts[list[0].State] != 1) {
				t.Errorf("open: %v", counts)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
		for name, bad := range map[string][]byte{
			"not JSON":       []byte("{"),
			"no rule":        record(alert("press-7", func(a *incident.Alert) { a.Rule = "" })),
			"a path":         []byte(`{"id":"../../etc/x"}`),
			"another tenant": record(alert("press-7", func(a *incident.Alert) { a.Tenant = core.MustID[core.TenantID]("other") })),
		} {
			frame.Records = [][]byte{record(alert("press-8", nil)), bad}
			if err := f.tx(func(tx *store.Tx) error { return handle(t.Context(), tx, frame) }); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if err := f.db.View(t.Context(), func(tx *store.Tx) (err error) {
			list, err = f.store.List(t.Context(), tx, tenant, incident.Filter{})
			return err
		}); err != nil || len(list) != 1 {
			t.Errorf("a frame was half done: %+v, %v", list, err)
		}
	})
}

func TestBothDialectsHaveTheSameSchema(t *testing.T) {
	storetest.SameSchema(t, incident.Migrations())
}

func FuzzDecodeAlert(f *testing.F) {
	b, err := json.Marshal(alert("press-7", nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"id":"x"}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		a, err := incident.DecodeAlert(record)
		if err == nil && (a.ID.IsZero() || a.Tenant.IsZero() || a.Provenance == "") {
			t.Errorf("accepted an alert without what it needs: %+v", a)
		}
	})
}
