package playbook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/response/incident"
)

// Handlers are the jobs of the engine. Both may be done twice: a step's effect
// stands under its key.
func (e *Engine) Handlers() map[string]jobs.Handler {
	return map[string]jobs.Handler{
		JobStep:     {Idempotent: true, Run: e.step},
		JobDeadline: {Idempotent: true, Run: e.deadline},
	}
}

// current reads a job's run if the job is still about its current step.
func (e *Engine) current(ctx context.Context, tx *store.Tx, j jobs.Job) (r Run, ok bool, err error) {
	var w work
	if err := json.Unmarshal(j.Payload, &w); err != nil {
		return r, false, core.Wrap(core.KindDamaged, "playbook.job", err)
	}
	r, err = getRun(ctx, tx, j.Tenant, w.Run)
	return r, err == nil && r.State == RunRunning && r.Step == w.Step, err
}

// step carries out the current step of a run. An error of kind unavailable is
// tried again until the step's deadline.
func (e *Engine) step(ctx context.Context, j jobs.Job) error {
	var r Run
	var live bool
	err := e.State.View(ctx, func(tx *store.Tx) (err error) {
		r, live, err = e.current(ctx, tx, j)
		return err
	})
	if err != nil || !live {
		return err
	}
	book, err := Parse(r.Book)
	if err != nil {
		return err
	}
	st := book.Steps[r.Step]
	in, state, err := e.begin(ctx, r, st)
	if err != nil {
		return e.giveUp(ctx, r, err)
	}
	if st.Do == DoVerify {
		return e.verify(ctx, r, st, state, in)
	}
	_, err = e.Actions.Run(ctx, action.Request{
		Key: stepKey(r, r.Step), Kind: action.Kind(st.Do), Device: in.Device, By: service(r.Tenant, incident.ServicePlaybook),
		Reason: st.Reason, Incident: in.ID,
	})
	return e.giveUp(ctx, r, err)
}

// begin writes that the step runs, before it has any effect, and takes the
// incident through the states that stand before it.
func (e *Engine) begin(ctx context.Context, r Run, st Step) (in incident.Incident, s stepState, err error) {
	by := service(r.Tenant, incident.ServicePlaybook)
	d, err := e.permit(ctx, by, policy.IncidentTransition, core.Resource{Type: "incident", ID: r.Incident.String(), Tenant: r.Tenant})
	if err != nil {
		return in, s, err
	}
	err = e.State.Tx(ctx, func(tx *store.Tx) error {
		var found bool
		if s, found, err = getStep(ctx, tx, r, r.Step); err != nil {
			return err
		}
		if !found {
			s = stepState{deadline: e.Clock.Now().Add(st.Timeout), intent: d.Intent}
			if err := e.enqueue(ctx, tx, r, JobDeadline, s.deadline); err != nil {
				return err
			}
		}
		s.state, s.attempts = RunRunning, s.attempts+1
		if err := putStep(ctx, tx, r, r.Step, s, ""); err != nil {
			return err
		}
		in, err = e.pass(ctx, tx, r, st.Before, incident.Change{By: by, Intent: s.intent, Refs: []string{"run/" + r.ID.String()}})
		return err
	})
	return in, s, err
}

// pass takes the incident through states in order, leaving out what it has
// passed already.
func (e *Engine) pass(ctx context.Context, tx *store.Tx, r Run, states []incident.State, c incident.Change) (incident.Incident, error) {
	in, err := e.Incidents.Get(ctx, tx, r.Tenant, r.Incident)
	if err != nil {
		return in, err
	}
	for _, to := range states {
		if rank(in.State) >= rank(to) {
			continue
		}
		c.To, c.At = to, e.Clock.Now()
		if in, err = e.Incidents.Move(ctx, tx, r.Tenant, r.Incident, c); err != nil {
			return in, err
		}
	}
	return in, nil
}

// rank orders the states of the way to closed. An incident that was reopened
// begins anew.
func rank(s incident.State) int {
	if s == incident.StateReopened {
		return 0
	}
	return slices.Index(incident.States, s)
}

// giveUp sorts errors of a step: what may work later is tried again, the rest
// fails the run and asks a person.
func (e *Engine) giveUp(ctx context.Context, r Run, err error) error {
	switch core.KindOf(err) {
	case core.KindDenied, core.KindInvalid, core.KindNotFound, core.KindDamaged, core.KindTooLarge:
		return e.State.Tx(ctx, func(tx *store.Tx) error { return e.fail(ctx, tx, r, r.Step, err.Error()) })
	}
	return err
}

// fail ends a run. The incident stays where it is and says what a person has to
// look at.
func (e *Engine) fail(ctx context.Context, tx *store.Tx, r Run, step int, why string) error {
	s, _, err := getStep(ctx, tx, r, step)
	if err != nil {
		return err
	}
	s.state, r.State = RunFailed, RunFailed
	if err := putStep(ctx, tx, r, step, s, why); err != nil {
		return err
	}
	if err := setRun(ctx, tx, r); err != nil {
		return err
	}
	e.Log.Warn("a playbook needs a person", slog.String("run", r.ID.String()), slog.Int("step", step+1), slog.String("why", why))
	return e.note(ctx, tx, r, service(r.Tenant, incident.ServicePlaybook), core.Position{}, fmt.Sprintf("step %d of playbook %s failed and asks a person: %s", step+1, r.Playbook, why))
}

// OrderStage moves runs on when the device has answered.
func (e *Engine) OrderStage(orders journal.Reader) journal.Stage {
	return journal.Stage{Name: "playbook-orders", From: orders, Clock: e.Clock, Handle: e.answered}
}

func (e *Engine) answered(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	for _, record := range f.Records {
		var rec fleet.Record
		if err := json.Unmarshal(record, &rec); err != nil {
			return core.Wrap(core.KindDamaged, "playbook.answered", err)
		}
		if id, step, ours := parseKey(rec.Order.Request); ours {
			if err := e.orderMoved(ctx, tx, rec.Order, id, step); err != nil {
				return err
			}
		}
	}
	return nil
}

// orderMoved notes what became of a step's order, and goes on when it is done.
func (e *Engine) orderMoved(ctx context.Context, tx *store.Tx, o fleet.Order, id core.UUID, step int) error {
	r, err := getRun(ctx, tx, o.Tenant, id)
	if err != nil || r.State != RunRunning || r.Step != step {
		return err
	}
	s, found, err := getStep(ctx, tx, r, step)
	if err != nil || !found || s.state != RunRunning {
		return err
	}
	switch {
	case o.State == fleet.OrderDone:
		return e.advance(ctx, tx, r, s, o)
	case o.State.Final():
		return e.fail(ctx, tx, r, step, fmt.Sprintf("order %s is %s: %s", o.ID, o.State, o.Detail))
	}
	return e.note(ctx, tx, r, service(r.Tenant, incident.ServicePlaybook), o.Intent, fmt.Sprintf("%s is %s", o.Type, progress(o)), o.Object())
}

func progress(o fleet.Order) string {
	if o.State == fleet.OrderAwaiting {
		return fmt.Sprintf("awaiting approvals: %d of %d persons", len(o.Approvals), o.Needed)
	}
	return string(o.State)
}

// advance ends a step and enqueues the next one.
func (e *Engine) advance(ctx context.Context, tx *store.Tx, r Run, s stepState, o fleet.Order) error {
	book, err := Parse(r.Book)
	if err != nil {
		return err
	}
	s.state = RunDone
	if err := putStep(ctx, tx, r, r.Step, s, o.Object()); err != nil {
		return err
	}
	c := incident.Change{
		By: service(r.Tenant, incident.ServicePlaybook), Intent: s.intent, Refs: []string{"run/" + r.ID.String(), o.Object()},
		Reason: fmt.Sprintf("device %s answered: %s %s", o.Device, o.Type, o.State),
	}
	if _, err := e.pass(ctx, tx, r, book.Steps[r.Step].After, c); err != nil {
		return err
	}
	r.Step++
	if err := setRun(ctx, tx, r); err != nil {
		return err
	}
	return e.enqueue(ctx, tx, r, JobStep, e.Clock.Now())
}

// verify runs the checks. What does not pass yet is asked again until the
// step's deadline, and then reopens the incident.
func (e *Engine) verify(ctx context.Context, r Run, st Step, s stepState, in incident.Incident) error {
	verdicts, err := e.Verifier.Verify(ctx, in, st.Checks)
	if err != nil {
		return e.giveUp(ctx, r, err)
	}
	verdict := incident.Judge(verdicts)
	if verdict != core.VerdictPass && e.Clock.Now().Before(s.deadline) {
		return core.E(core.KindUnavailable, "playbook.verify", "not yet: "+spell(verdicts))
	}
	by := service(r.Tenant, incident.ServiceVerification)
	d, err := e.permit(ctx, by, policy.IncidentTransition, core.Resource{Type: "incident", ID: r.Incident.String(), Tenant: r.Tenant})
	if err != nil {
		return e.giveUp(ctx, r, err)
	}
	c := incident.Change{To: incident.StateClosed, By: by, At: e.Clock.Now(), Intent: d.Intent, Verdicts: verdicts, Reason: spell(verdicts), Refs: []string{"run/" + r.ID.String()}}
	if verdict != core.VerdictPass {
		c.To = incident.StateReopened
	}
	return e.State.Tx(ctx, func(tx *store.Tx) error {
		if verdict != core.VerdictPass {
			if err := e.fail(ctx, tx, r, r.Step, "verification: "+spell(verdicts)); err != nil {
				return err
			}
		} else if err := e.finish(ctx, tx, r, s); err != nil {
			return err
		}
		_, err := e.Incidents.Move(ctx, tx, r.Tenant, r.Incident, c)
		return err
	})
}

func (e *Engine) finish(ctx context.Context, tx *store.Tx, r Run, s stepState) error {
	s.state, r.State = RunDone, RunDone
	if err := putStep(ctx, tx, r, r.Step, s, ""); err != nil {
		return err
	}
	return setRun(ctx, tx, r)
}

func spell(verdicts map[string]core.Verdict) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(verdicts)) {
		parts = append(parts, name+" "+string(verdicts[name]))
	}
	return strings.Join(parts, ", ")
}

// deadline ends a step that never came to an end.
func (e *Engine) deadline(ctx context.Context, j jobs.Job) error {
	return e.State.Tx(ctx, func(tx *store.Tx) error {
		r, live, err := e.current(ctx, tx, j)
		if err != nil || !live {
			return err
		}
		book, err := Parse(r.Book)
		if err != nil {
			return err
		}
		if book.Steps[r.Step].Do == DoVerify {
			return nil // verify decides its own end
		}
		return e.fail(ctx, tx, r, r.Step, "it ran out of time")
	})
}
