package policy_test

import (
	"context"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// noted remembers what was recorded.
type noted struct{ outcomes []string }

// Intent implements policy.Recorder.
func (n *noted) Intent(_ context.Context, _ core.Principal, a core.Action, on core.Resource, d core.Decision) (core.Position, error) {
	word := "refused"
	if d.Allowed {
		word = "permitted"
	}
	n.outcomes = append(n.outcomes, string(a)+" "+on.String()+" "+word)
	return core.Position{Origin: "log", Index: uint64(len(n.outcomes))}, nil
}

// TestFailedCallsSpendNoCap: a call that came to nothing leaves an entry and
// nothing else, so nobody can use up a responder's cap with devices that don't
// exist.
func TestFailedCallsSpendNoCap(t *testing.T) {
	rec := &noted{}
	guard := policy.NewGuard(policy.Default(), rec, core.SystemClock{}, policy.Options{Caps: policy.NewCaps(core.SystemClock{}, policy.Limits{Person: 1, Service: 1})})
	tenant, site := core.MustID[core.TenantID]("main"), core.MustID[core.SiteID]("hall-a")
	who := core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: tenant, Roles: []string{core.RoleOperator}, Sites: []core.SiteID{site}}
	ctx, asked := core.Watched(t.Context())
	for range 5 {
		on := core.Resource{Type: "device", ID: "*", Tenant: tenant}
		if err := guard.Note(ctx, who, policy.DeviceQuarantine, on, core.E(core.KindNotFound, "x", "none")); err != nil {
			t.Fatal(err)
		}
	}
	if len(rec.outcomes) != 5 || !asked() {
		t.Errorf("recorded %q", rec.outcomes)
	}
	d, err := guard.Permit(t.Context(), who, policy.DeviceQuarantine, core.Resource{Type: "device", ID: "press-7", Tenant: tenant, Site: site})
	if err != nil || !d.Allowed {
		t.Errorf("after five failed calls: %+v, %v", d, err)
	}
	refusal := core.E(core.KindDenied, "stop.Trip", "person/anna may not stop on site hall-z")
	if err := guard.Note(t.Context(), who, policy.DeviceStop, core.Resource{Type: "device", ID: "*", Tenant: tenant}, refusal); err != nil {
		t.Fatal(err)
	}
	if last := rec.outcomes[len(rec.outcomes)-1]; last != "device.stop device/* refused" {
		t.Errorf("a refused stop is recorded as %q", last)
	}
}
