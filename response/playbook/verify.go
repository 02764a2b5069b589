package playbook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/incident"
)

// verify runs the checks. What does not pass yet is asked again until the
// step's deadline; then a failed check reopens the incident, and one that could
// not be answered leaves it to a person. Only a pass in every check closes it.
func (e *Engine) verify(ctx context.Context, t *task) error {
	verdicts, err := e.Verifier.Verify(ctx, t.in, t.entered(), t.step.Checks)
	if err != nil {
		return err
	}
	late := !e.Clock.Now().Before(t.run.Deadline)
	to, why := incident.StateClosed, "verification: "+spell(verdicts)
	switch incident.Judge(verdicts) {
	case core.VerdictPass:
	case core.VerdictFail:
		to = incident.StateReopened
		if !late {
			return core.E(core.KindUnavailable, "playbook.verify", "not yet: "+spell(verdicts))
		}
	default:
		if !late {
			return core.E(core.KindUnavailable, "playbook.verify", "not yet: "+spell(verdicts))
		}
		return e.change(ctx, t.run, func(tx *store.Tx, r Run) error { return e.fail(ctx, tx, r, t.book, why) })
	}
	d, err := e.permit(ctx, service(t.run.Tenant, incident.ServiceVerification), policy.IncidentTransition, resourceOf(t.in))
	if err != nil {
		return err
	}
	c := incident.Change{
		To: to, By: service(t.run.Tenant, incident.ServiceVerification), At: e.Clock.Now(), Intent: d.Intent,
		Verdicts: verdicts, Reason: why, Refs: []string{t.run.Object()},
	}
	return e.change(ctx, t.run, func(tx *store.Tx, r Run) error { return e.conclude(ctx, tx, r, t, c) })
}

// conclude moves the incident by the verdict and ends the run with it.
func (e *Engine) conclude(ctx context.Context, tx *store.Tx, r Run, t *task, c incident.Change) error {
	in, err := e.Incidents.Get(ctx, tx, r.Tenant, r.Incident)
	if err != nil {
		return err
	}
	if why := t.step.givesWay(r, in); why != "" {
		return e.stop(ctx, tx, r, RunFailed, why)
	}
	if in.Alerts != t.in.Alerts || in.Simulated != t.in.Simulated {
		return core.E(core.KindUnavailable, "playbook.verify", fmt.Sprintf("incident %s grew meanwhile; its checks run again", in.ID))
	}
	if _, err := e.Incidents.Move(ctx, tx, r.Tenant, r.Incident, c); err != nil {
		return err
	}
	if c.To == incident.StateReopened {
		return e.fail(ctx, tx, r, t.book, c.Reason)
	}
	if err := closeAttempt(ctx, tx, r, RunDone, e.Clock.Now(), c.Reason); err != nil {
		return err
	}
	r.State = RunDone
	return setRun(ctx, tx, r)
}

func spell(verdicts map[string]core.Verdict) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(verdicts)) {
		parts = append(parts, name+" "+string(verdicts[name]))
	}
	return strings.Join(parts, ", ")
}
