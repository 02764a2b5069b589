package incident_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/response/incident"
)

var (
	tenant = core.MustID[core.TenantID]("acme")
	start  = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
)

func person(roles ...string) core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: tenant, Roles: roles}
}

func service(id core.ServiceID) core.Principal {
	return core.Principal{Kind: core.KindService, ID: id.String(), Tenant: tenant}
}

func fresh(state incident.State) incident.Incident {
	return incident.Incident{
		ID: core.NewUUID(start), Tenant: tenant, State: state, Severity: core.SeverityHigh, Revision: 1,
		Stamps: incident.Stamps{Occurred: start.Add(-time.Second), Detected: start},
	}
}

// everything is a change that meets every need that a caller could meet, so
// that what refuses it is the table alone.
func everything(to incident.State, by core.Principal, v core.Verdict) incident.Change {
	return incident.Change{
		To: to, By: by, At: start.Add(time.Minute), Reason: "because", Refs: []string{"order/1"},
		Into: core.NewUUID(start.Add(time.Hour)), IntoState: incident.StateTriaged,
		Verdicts: map[string]core.Verdict{"latches-clear": v},
	}
}

// TestOnlyTheTableIsLegal tries every pair of states as every kind of actor
// with every need met.
func TestOnlyTheTableIsLegal(t *testing.T) {
	actors := []core.Principal{
		person(core.RoleAdministrator), person(core.RoleOperator), person(core.RoleViewer), person(),
		service(incident.ServicePlaybook), service(incident.ServiceVerification), service(incident.ServiceIncidents),
		{Kind: core.KindDevice, ID: "press-7", Tenant: tenant, Roles: []string{core.RoleAdministrator}},
		{Kind: core.KindToken, ID: "ci", Tenant: tenant, Roles: []string{core.RoleAdministrator}},
		{Kind: core.KindPerson, ID: "playbook", Tenant: tenant},
		{Kind: core.KindPerson, ID: "verification", Tenant: tenant, Roles: []string{core.RoleViewer}},
	}
	legal := map[string]bool{}
	for _, from := range incident.States {
		for _, to := range incident.States {
			for _, who := range actors {
				for _, v := range []core.Verdict{core.VerdictPass, core.VerdictFail, core.VerdictIncomplete, ""} {
					in := fresh(from)
					got, step, err := incident.Apply(in, everything(to, who, v))
					if err != nil {
						if got != in {
							t.Fatalf("%s → %s by %s refused (%v) and yet changed: %+v", from, to, who, err, got)
						}
						continue
					}
					legal[fmt.Sprintf("%s %s", from, to)] = true
					checkStep(t, in, got, step, who, v)
				}
			}
		}
	}
	if len(legal) != len(incident.Edges) {
		t.Errorf("%d transitions were possible, the table has %d", len(legal), len(incident.Edges))
	}
}

func checkStep(t *testing.T, in, got incident.Incident, step incident.Step, who core.Principal, v core.Verdict) {
	t.Helper()
	if !slices.Contains(incident.Next(in.State), got.State) {
		t.Errorf("%s → %s is not in the table", in.State, got.State)
	}
	if got.Revision != in.Revision+1 || step.Revision != got.Revision || step.From != in.State || step.To != got.State || step.By != who.String() {
		t.Errorf("step %+v does not tell %s → %s", step, in.State, got.State)
	}
	if who.Kind != core.KindPerson && who.Kind != core.KindService {
		t.Errorf("%s moved an incident", who)
	}
	if who.Kind == core.KindPerson && len(who.Roles) == 0 || who.HasRole(core.RoleViewer) {
		t.Errorf("%s moved %s → %s without a role", who, in.State, got.State)
	}
	if got.State == incident.StateClosed && v != core.VerdictPass {
		t.Errorf("%s closed an incident with verdict %q", who, v)
	}
	if got.State == incident.StateClosed && (who.Kind != core.KindService || who.ID != incident.ServiceVerification.String()) {
		t.Errorf("%s closed an incident", who)
	}
	if (got.Into != core.UUID{}) != (got.State == incident.StateMerged) {
		t.Errorf("%s has merge target %s", got.State, got.Into)
	}
}

// TestNoWalkClosesWithoutVerification is the model test: long random walks by
// everybody, against the promises of the package comment.
func TestNoWalkClosesWithoutVerification(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	actors := []core.Principal{
		person(core.RoleAdministrator), person(core.RoleOperator), person(core.RoleViewer),
		service(incident.ServicePlaybook), service(incident.ServiceVerification),
	}
	verdicts := []core.Verdict{core.VerdictPass, core.VerdictFail, core.VerdictIncomplete}
	for range 200 {
		in, passed := fresh(incident.StateNew), false
		for i := range 120 {
			c := everything(incident.States[rng.IntN(len(incident.States))], actors[rng.IntN(len(actors))], verdicts[rng.IntN(3)])
			c.At = start.Add(time.Duration(i) * time.Second)
			if rng.IntN(3) == 0 {
				c.Reason, c.Refs = "", nil
			}
			got, _, err := incident.Apply(in, c)
			if err != nil {
				continue
			}
			if got.State == incident.StateClosed {
				passed = incident.Judge(c.Verdicts) == core.VerdictPass && c.By.Kind == core.KindService
			}
			if closed := got.State == incident.StateClosed || got.State == incident.StateReviewed; closed && !passed {
				t.Fatalf("%s without a passed verification", got.State)
			} else if closed == got.Stamps.Closed.IsZero() {
				t.Fatalf("%s has closing stamp %s", got.State, got.Stamps.Closed)
			}
			if in.Stamps.Contained != got.Stamps.Contained && !in.Stamps.Contained.IsZero() {
				t.Fatal("the first containment was overwritten")
			}
			in = got
		}
	}
}

func TestTransitionsNeedWhatTheySay(t *testing.T) {
	open := core.NewUUID(start.Add(time.Hour))
	rows := []struct {
		name string
		from incident.State
		edit func(*incident.Incident)
		c    incident.Change
		kind core.Kind
	}{
		{"triage needs nothing", incident.StateNew, nil, incident.Change{To: incident.StateTriaged, By: person(core.RoleOperator)}, 0},
		{"no jump to closed", incident.StateNew, nil, incident.Change{To: incident.StateClosed, By: service(incident.ServiceVerification)}, core.KindConflict},
		{"an unknown state", incident.StateNew, nil, incident.Change{To: "done", By: person(core.RoleOperator)}, core.KindConflict},
		{"a viewer", incident.StateNew, nil, incident.Change{To: incident.StateTriaged, By: person(core.RoleViewer)}, core.KindDenied},
		{
			"another tenant", incident.StateNew, func(in *incident.Incident) { in.Tenant = core.MustID[core.TenantID]("other") },
			incident.Change{To: incident.StateTriaged, By: person(core.RoleOperator)},
			core.KindDenied,
		},
		{"a person contains with a reason", incident.StateTriaged, nil, incident.Change{To: incident.StateContained, By: person(core.RoleOperator), Reason: "unplugged by hand"}, 0},
		{"a playbook contains with orders only", incident.StateTriaged, nil, incident.Change{To: incident.StateContained, By: service(incident.ServicePlaybook), Reason: "trust me"}, core.KindInvalid},
		{"false positive without reason", incident.StateNew, nil, incident.Change{To: incident.StateFalsePositive, By: person(core.RoleOperator), Reason: " "}, core.KindInvalid},
		{
			"false positive, safety, operator", incident.StateNew, func(in *incident.Incident) { in.Safety = true },
			incident.Change{To: incident.StateFalsePositive, By: person(core.RoleOperator), Reason: "cleaner"},
			core.KindDenied,
		},
		{
			"false positive, safety, officer", incident.StateNew, func(in *incident.Incident) { in.Safety = true },
			incident.Change{To: incident.StateFalsePositive, By: person(core.RoleSecurityOfficer), Reason: "cleaner"},
			0,
		},
		{"a contained one cannot be dismissed", incident.StateContained, nil, incident.Change{To: incident.StateFalsePositive, By: person(core.RoleAdministrator), Reason: "x"}, core.KindConflict},
		{"merge into a closed one", incident.StateNew, nil, incident.Change{To: incident.StateMerged, By: person(core.RoleOperator), Reason: "same", Into: open, IntoState: incident.StateClosed}, core.KindInvalid},
		{"merge", incident.StateNew, nil, incident.Change{To: incident.StateMerged, By: person(core.RoleOperator), Reason: "same", Into: open, IntoState: incident.StateNew}, 0},
		{"closing with an incomplete check", incident.StateVerifying, nil, incident.Change{
			To: incident.StateClosed, By: service(incident.ServiceVerification),
			Verdicts: map[string]core.Verdict{"a": core.VerdictPass, "b": core.VerdictIncomplete},
		}, core.KindInvalid},
		{"closing without checks", incident.StateVerifying, nil, incident.Change{To: incident.StateClosed, By: service(incident.ServiceVerification)}, core.KindInvalid},
		{"closing with an unknown verdict", incident.StateVerifying, nil, incident.Change{
			To: incident.StateClosed, By: service(incident.ServiceVerification),
			Verdicts: map[string]core.Verdict{"a": "PASS"},
		}, core.KindInvalid},
		{"a failed check reopens", incident.StateVerifying, nil, incident.Change{
			To: incident.StateReopened, By: service(incident.ServiceVerification),
			Verdicts: map[string]core.Verdict{"a": core.VerdictPass, "b": core.VerdictFail},
		}, 0},
		{"a passed check does not reopen", incident.StateVerifying, nil, incident.Change{
			To: incident.StateReopened, By: service(incident.ServiceVerification),
			Verdicts: map[string]core.Verdict{"a": core.VerdictPass},
		}, core.KindInvalid},
		{"a review by an operator", incident.StateClosed, nil, incident.Change{To: incident.StateReviewed, By: person(core.RoleOperator), Reason: "read"}, core.KindDenied},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			in := fresh(row.from)
			if row.edit != nil {
				row.edit(&in)
			}
			row.c.At = start
			_, _, err := incident.Apply(in, row.c)
			if (err == nil) != (row.kind == 0) || err != nil && core.KindOf(err) != row.kind {
				t.Errorf("got %v, want kind %v", err, row.kind)
			}
		})
	}
}

func TestResponseTimes(t *testing.T) {
	in := fresh(incident.StateNew)
	if got := in.Stamps.Times(); got.Detect != time.Second || got.Acknowledge != incident.NotYet || got.Recover != incident.NotYet {
		t.Errorf("new: %+v", got)
	}
	move := func(to incident.State, by core.Principal, after time.Duration, v core.Verdict) {
		t.Helper()
		c := everything(to, by, v)
		c.At = start.Add(after)
		var err error
		if in, _, err = incident.Apply(in, c); err != nil {
			t.Fatal(err)
		}
	}
	op, pb, ver := person(core.RoleOperator), service(incident.ServicePlaybook), service(incident.ServiceVerification)
	move(incident.StateTriaged, pb, 1*time.Second, "")
	move(incident.StateContained, pb, 2*time.Second, "")
	move(incident.StateEradicating, op, 3*time.Second, "")
	move(incident.StateRecovering, op, 4*time.Second, "")
	move(incident.StateVerifying, pb, 5*time.Second, "")
	move(incident.StateReopened, ver, 6*time.Second, core.VerdictFail)
	move(incident.StateTriaged, op, 7*time.Second, "")
	if in.Stamps.Times().Recover != incident.NotYet {
		t.Error("a reopened incident has a time to recover")
	}
	for i, s := range []incident.State{incident.StateContained, incident.StateEradicating, incident.StateRecovering, incident.StateVerifying} {
		move(s, pb, time.Duration(8+i)*time.Second, "")
	}
	move(incident.StateClosed, ver, 20*time.Second, core.VerdictPass)
	want := incident.Times{Detect: time.Second, Acknowledge: time.Second, Contain: 2 * time.Second, Recover: 20 * time.Second}
	if got := in.Stamps.Times(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if in.Owner != "person/anna" {
		t.Errorf("owner %q", in.Owner)
	}
}
