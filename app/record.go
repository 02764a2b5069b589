package app

import (
	"context"
	"slices"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// intent is the body of the audit entry that stands before an effect.
type intent struct {
	Principal core.Principal `json:"principal"`
	Resource  core.Resource  `json:"resource"`
	Reason    string         `json:"reason"`
	Policies  []string       `json:"policies"`
}

// recorder makes the Guard's decisions durable in the audit log.
type recorder struct{ log *audit.Log }

// Intent implements policy.Recorder.
func (r recorder) Intent(ctx context.Context, who core.Principal, action core.Action, on core.Resource, d core.Decision) (core.Position, error) {
	outcome := "permitted"
	if !d.Allowed {
		outcome = "refused"
	}
	e := audit.Entry{
		Type: audit.TypeIntent, Actor: who.String(), Action: action, Object: on.String(), Outcome: outcome,
		Class: audit.ClassAudit, Vital: vital(action),
		Body: intent{Principal: who, Resource: on, Reason: d.Reason, Policies: d.Policies},
	}
	res, err := r.log.Append(ctx, e)
	return res.Position, err
}

// repairs are what ends an emergency: signing in, looking at the log, ending its
// damage; and what containment cannot do without: where the listener has no
// certificate no order reaches a device.
var repairs = []core.Action{
	policy.SessionCreate, policy.PolicyRestore, policy.IdentityRenew, policy.KeysIssueServer,
	policy.AuditRead, policy.AuditExport, policy.AuditSucceed,
}

// vital says which intents are taken while the log is stop-only.
func vital(action core.Action) audit.Vital {
	class, _ := policy.ClassOf(action)
	switch {
	case class == policy.ClassStop:
		return audit.VitalStop
	case class == policy.ClassContain:
		return audit.VitalContain
	case slices.Contains(repairs, action):
		return audit.VitalRepair
	}
	return ""
}

// summary records the refusals of a stranger in one minute.
func (r recorder) summary(ctx context.Context, s policy.Summary) error {
	_, err := r.log.Append(ctx, audit.Entry{
		Type: audit.TypeRefusals, Actor: "stranger/" + s.Source, Action: "stranger.refused", Object: "source/" + s.Source,
		Outcome: "refused", Class: audit.ClassSecurity, Time: s.To, Body: s,
	})
	return err
}
