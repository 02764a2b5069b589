package playbook

import (
	"context"
	"fmt"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/incident"
)

// MaxList is the most runs that one List returns.
const MaxList = 500

// List reads the newest runs, of one incident or with a zero one of all.
func (e *Engine) List(ctx context.Context, tenant core.TenantID, incident core.UUID) (runs []Run, err error) {
	err = e.State.View(ctx, func(tx *store.Tx) (err error) {
		runs, err = listRuns(ctx, tx, tenant, incident, MaxList)
		return err
	})
	return runs, err
}

// Get reads a run and all attempts at its steps.
func (e *Engine) Get(ctx context.Context, tenant core.TenantID, id core.UUID) (r Run, attempts []Attempt, err error) {
	err = e.State.View(ctx, func(tx *store.Tx) (err error) {
		if r, err = getRun(ctx, tx, tenant, id); err != nil {
			return err
		}
		attempts, err = listAttempts(ctx, tx, tenant, id)
		return err
	})
	return r, attempts, err
}

// Start lets a person start a run: one that was only proposed, one that failed
// or gave way, or one whose incident was reopened. It goes on where the
// incident stands, so that what a person did by hand is not done again.
func (e *Engine) Start(ctx context.Context, who core.Principal, id core.UUID) (Run, error) {
	var in incident.Incident
	err := e.State.View(ctx, func(tx *store.Tx) error {
		r, err := getRun(ctx, tx, who.Tenant, id)
		if err != nil {
			return err
		}
		in, err = e.Incidents.Get(ctx, tx, who.Tenant, r.Incident)
		return err
	})
	if err != nil {
		return Run{}, err
	}
	d, err := e.permit(ctx, who, policy.PlaybookRun, core.Resource{Type: "run", ID: id.String(), Tenant: in.Tenant, Site: in.Site})
	if err != nil {
		return Run{}, err
	}
	var r Run
	err = e.State.Tx(ctx, func(tx *store.Tx) (err error) {
		r, err = e.start(ctx, tx, who, id, d)
		return err
	})
	return r, err
}

func (e *Engine) start(ctx context.Context, tx *store.Tx, who core.Principal, id core.UUID, d core.Decision) (Run, error) {
	r, err := getRun(ctx, tx, who.Tenant, id)
	if err != nil {
		return r, err
	}
	in, err := e.Incidents.Get(ctx, tx, who.Tenant, r.Incident)
	if err != nil {
		return r, err
	}
	b, err := e.bookOf(r)
	if err != nil {
		return r, err
	}
	if err := startable(r, in); err != nil {
		return r, err
	}
	step := b.resume(r.Step, in.State)
	r.Round, r.Starter = r.Round+1, who.String()
	text := fmt.Sprintf("playbook %s version %d started by %s at step %d (%s), round %d (its text: sha256 %s)", b.ID, b.Version, who, step+1, b.Steps[step].ID, r.Round, b.Digest)
	if err := e.note(ctx, tx, r, who, d.Intent, text); err != nil {
		return r, err
	}
	if err := e.enter(ctx, tx, r, b, step); err != nil {
		return r, err
	}
	return getRun(ctx, tx, who.Tenant, id)
}

func startable(r Run, in incident.Incident) error {
	conflict := func(format string, args ...any) error {
		return core.E(core.KindConflict, "playbook.Start", fmt.Sprintf(format, args...))
	}
	switch {
	case r.State == RunRunning:
		return conflict("run %s is running already", r.ID)
	case !in.State.Open():
		return conflict("incident %s is %s; there is nothing to respond to", in.ID, in.State)
	case in.Device.IsZero():
		return conflict("incident %s names no device that proved who it is; a playbook could act on nothing", in.ID)
	}
	return nil
}

// resume is the step to go on with, for an incident in state s and a run that
// stood at step at: after the last step whose states the incident has passed,
// and never before at unless somebody took the incident back.
func (p *Playbook) resume(at int, s incident.State) int {
	next, behind := 0, false
	for i, st := range p.Steps {
		if len(st.After) == 0 {
			continue
		}
		if slices.ContainsFunc(st.After, func(to incident.State) bool { return !passed(s, to) }) {
			behind = behind || i < at
		} else {
			next = i + 1
		}
	}
	if behind {
		return next
	}
	return max(next, at)
}
