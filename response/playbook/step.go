package playbook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/response/incident"
)

// The kinds of job that carry runs over a restart.
const (
	JobStep     = "playbook.step"
	JobDeadline = "playbook.deadline"
)

// Handlers are the jobs of the engine. Both may be done twice: a step's effect
// stands under its key. They are tried without end, because it is the step's
// deadline that ends them.
func (e *Engine) Handlers() map[string]jobs.Handler {
	return map[string]jobs.Handler{
		JobStep:     {Idempotent: true, Attempts: math.MaxInt32, Run: e.step},
		JobDeadline: {Idempotent: true, Attempts: math.MaxInt32, Run: e.deadline},
	}
}

// task is a step that is due, and what is known of its run.
type task struct {
	run  Run
	book *Playbook
	step Step
	in   incident.Incident
}

// entered is when the run came to the step.
func (t *task) entered() time.Time { return t.run.Deadline.Add(-t.step.Timeout) }

// step carries out the present step of a run.
func (e *Engine) step(ctx context.Context, j jobs.Job) error {
	at, err := readPlace(j)
	if err != nil {
		return err
	}
	t, err := e.load(ctx, j, func(r Run) bool { return r.place() == at })
	if err != nil || t == nil {
		return err
	}
	return e.settle(ctx, t.run, e.carryOut(ctx, t))
}

// deadline ends a step that never came to an end. Verification has the last
// word on its own step.
func (e *Engine) deadline(ctx context.Context, j jobs.Job) error {
	at, err := readPlace(j)
	if err != nil {
		return err
	}
	t, err := e.load(ctx, j, func(r Run) bool { return r.Round == at.Round && r.Step == at.Step })
	if err != nil || t == nil {
		return err
	}
	if t.step.Do == DoVerify {
		return e.settle(ctx, t.run, e.carryOut(ctx, t))
	}
	return e.State.Tx(ctx, func(tx *store.Tx) error {
		r, err := getRun(ctx, tx, t.run.Tenant, t.run.ID)
		if err != nil || r.State != RunRunning || r.Round != at.Round || r.Step != at.Step {
			return err
		}
		return e.fail(ctx, tx, r, t.book, fmt.Sprintf("it did not come to an end within %s; an order of it that is still on its way stays in force until it expires", t.step.Timeout))
	})
}

func readPlace(j jobs.Job) (p place, err error) {
	if err := json.Unmarshal(j.Payload, &p); err != nil {
		return p, core.Wrap(core.KindInvalid, "playbook.job", err)
	}
	return p, nil
}

// load reads what a job is about; nil if its place is no longer the run's. A
// run whose pinned bytes can't be read fails here.
func (e *Engine) load(ctx context.Context, j jobs.Job, due func(Run) bool) (t *task, err error) {
	at, err := readPlace(j)
	if err != nil {
		return nil, err
	}
	var r Run
	var in incident.Incident
	err = e.State.View(ctx, func(tx *store.Tx) (err error) {
		if r, err = getRun(ctx, tx, j.Tenant, at.Run); err != nil {
			return err
		}
		in, err = e.Incidents.Get(ctx, tx, j.Tenant, r.Incident)
		return err
	})
	if core.KindOf(err) == core.KindNotFound {
		return nil, core.Wrap(core.KindInvalid, "playbook.job", err) // never will be
	}
	if err != nil || r.State != RunRunning || !due(r) {
		return nil, err
	}
	b, broken := e.bookOf(r)
	if broken != nil {
		return nil, e.change(ctx, r, func(tx *store.Tx, r Run) error { return e.fail(ctx, tx, r, nil, broken.Error()) })
	}
	return &task{r, b, b.Steps[r.Step], in}, nil
}

// bookOf reads the bytes that the run pinned, which may be older than this
// program.
func (e *Engine) bookOf(r Run) (*Playbook, error) {
	b, err := Parse(r.Book)
	if err != nil {
		return nil, fmt.Errorf("the playbook that the run pinned cannot be read: %w", err)
	}
	if r.Step < 0 || r.Step >= len(b.Steps) {
		return nil, core.E(core.KindDamaged, "playbook", fmt.Sprintf("the run stands at step %d of %d", r.Step+1, len(b.Steps)))
	}
	return b, nil
}

// change calls fn with the run if it still stands where was says. Whoever comes
// second finds it elsewhere, and does nothing.
func (e *Engine) change(ctx context.Context, was Run, fn func(tx *store.Tx, r Run) error) error {
	return e.State.Tx(ctx, func(tx *store.Tx) error {
		r, err := getRun(ctx, tx, was.Tenant, was.ID)
		if err != nil || r.State != RunRunning || r.place() != was.place() {
			return err
		}
		return fn(tx, r)
	})
}

// settle sorts the errors of a step. What is away may be back later: the job is
// tried again until the step's deadline. What was refused stays refused: the
// run fails and asks a person. The rest counts as an attempt.
func (e *Engine) settle(ctx context.Context, was Run, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	again := e.retry
	switch core.KindOf(err) {
	case core.KindUnavailable, core.KindUncertain:
		return errors.Join(err, e.wait(ctx, was, err.Error()))
	case core.KindDenied, core.KindUnauthenticated, core.KindInvalid, core.KindNotFound, core.KindDamaged, core.KindTooLarge:
		again = e.fail
	}
	return e.change(ctx, was, func(tx *store.Tx, r Run) error {
		b, broken := e.bookOf(r)
		if broken != nil {
			return broken
		}
		return again(ctx, tx, r, b, err.Error())
	})
}

// wait leaves word, at the attempt, of what the step waits for.
func (e *Engine) wait(ctx context.Context, was Run, what string) error {
	return e.change(ctx, was, func(tx *store.Tx, r Run) error { return describeAttempt(ctx, tx, r, what) })
}

// carryOut does what the step says.
func (e *Engine) carryOut(ctx context.Context, t *task) error {
	if held, err := e.holdBack(ctx, t); held || err != nil {
		return err
	}
	if begun, err := e.begin(ctx, t); !begun || err != nil {
		return err
	}
	if t.step.Do == DoVerify {
		return e.verify(ctx, t)
	}
	if err := e.awaitLatches(ctx, t); err != nil {
		return err
	}
	_, err := e.Actions.Run(ctx, action.Request{
		Key: t.run.place().key(), Kind: action.Kind(t.step.Do), Device: t.in.Device, By: playbookService(t.run.Tenant),
		Reason: t.step.Reason, Incident: t.in.ID,
	})
	return err
}

// holdBack keeps simulated evidence from touching a device that is not itself a
// simulation (TRUST F25): the run then waits for a person.
func (e *Engine) holdBack(ctx context.Context, t *task) (held bool, err error) {
	if !t.in.Simulated || !t.in.State.Open() || t.run.Starter != "" || t.step.Do == DoVerify {
		return false, nil
	}
	simulated, err := e.simulation(ctx, t.in)
	if simulated || err != nil {
		return false, err
	}
	return true, e.change(ctx, t.run, func(tx *store.Tx, r Run) error { return e.propose(ctx, tx, r, simulatedOnly(t.in)) })
}

// agentSensor is the name under which an agent tells of itself. It is never a
// driver, and never simulated.
const agentSensor = "agent"

// simulation reports whether all that the device senses is simulated.
func (e *Engine) simulation(ctx context.Context, in incident.Incident) (bool, error) {
	sensors, err := e.Fleet.Sensors(ctx, in.Tenant, in.Device)
	if err != nil {
		return false, err
	}
	simulated := false
	for _, s := range sensors {
		switch {
		case s.ID == agentSensor:
		case !s.Simulated:
			return false, nil
		default:
			simulated = true
		}
	}
	return simulated, nil
}

func simulatedOnly(in incident.Incident) string {
	return fmt.Sprintf("the evidence is simulated and device %s is not a simulation", in.Device)
}

// A quarantine that was ordered is a latch on the device, of this type. The
// device tells of it in a batch, which may come after its answer to the order.
const (
	latchOrdered = "quarantine_ordered"
	latchWait    = time.Minute
)

// awaitLatches keeps a release back until the device has told of the latch that
// the run's own quarantine made: a release opens the latches that it names, and
// one that misses a latch would take the approvers' signatures for nothing.
func (e *Engine) awaitLatches(ctx context.Context, t *task) error {
	if action.Kind(t.step.Do) != action.Release || e.Clock.Now().Sub(t.entered()) > latchWait {
		return nil
	}
	if contained, err := e.contained(ctx, t); !contained || err != nil {
		return err
	}
	open, err := e.Fleet.Latches(ctx, t.in.Tenant, t.in.Device, true)
	if err != nil || slices.ContainsFunc(open, func(l fleet.Latch) bool { return l.Type == latchOrdered }) {
		return err
	}
	return core.E(core.KindUnavailable, "playbook.release", fmt.Sprintf("device %s has not told yet which latches hold it", t.in.Device))
}

// contained reports whether a quarantine was done in this round of the run.
func (e *Engine) contained(ctx context.Context, t *task) (bool, error) {
	_, attempts, err := e.Get(ctx, t.run.Tenant, t.run.ID)
	return slices.ContainsFunc(attempts, func(a Attempt) bool {
		return a.Round == t.run.Round && a.State == RunDone && action.Kind(t.book.Steps[a.Step].Do) == action.Quarantine
	}), err
}

// begin writes that the attempt runs, before it has any effect, and takes the
// incident into the step. False means that the step is not ours any more.
func (e *Engine) begin(ctx context.Context, t *task) (begun bool, err error) {
	d, err := e.mayMove(ctx, t)
	if err != nil {
		return false, err
	}
	err = e.change(ctx, t.run, func(tx *store.Tx, r Run) error {
		begun = false
		in, err := e.Incidents.Get(ctx, tx, r.Tenant, r.Incident)
		if err != nil {
			return err
		}
		if why := t.step.givesWay(r, in); why != "" {
			return e.stop(ctx, tx, r, RunFailed, why)
		}
		if err := openAttempt(ctx, tx, r, e.Clock.Now()); err != nil {
			return err
		}
		if r, in, err = e.into(ctx, tx, r, t.step, in, d); err != nil {
			return err
		}
		begun, t.run, t.in = true, r, in
		return setRun(ctx, tx, r)
	})
	return begun && err == nil, err
}

// mayMove asks once per step whether the incident may be moved. Containment
// does not wait for the answer where it can't be recorded: the log takes the
// intent to contain even when it takes nothing else, and the incident is moved
// when the device has answered.
func (e *Engine) mayMove(ctx context.Context, t *task) (core.Decision, error) {
	if t.run.begun || !t.step.moves(t.in) {
		return core.Decision{}, nil
	}
	d, err := e.permit(ctx, playbookService(t.run.Tenant), policy.IncidentTransition, resourceOf(t.in))
	if err != nil && core.KindOf(err) != core.KindDenied && ctx.Err() == nil && t.step.contains() {
		return core.Decision{}, nil
	}
	return d, err
}

// into takes the incident through the states before the step, the first time.
func (e *Engine) into(ctx context.Context, tx *store.Tx, r Run, st Step, in incident.Incident, d core.Decision) (Run, incident.Incident, error) {
	if r.begun || !st.moves(in) {
		r.begun = true
		return r, in, nil
	}
	if !d.Allowed {
		if st.contains() {
			return r, in, nil
		}
		return r, in, core.E(core.KindUnavailable, "playbook.begin", fmt.Sprintf("incident %s moved meanwhile; looking again", in.ID))
	}
	in, err := e.pass(ctx, tx, in, st.Before, incident.Change{By: playbookService(r.Tenant), Intent: d.Intent, Refs: []string{r.Object()}})
	r.begun, r.intent = true, d.Intent
	return r, in, err
}

// moves reports whether the step still has to move the incident.
func (s Step) moves(in incident.Incident) bool {
	return slices.ContainsFunc(slices.Concat(s.Before, s.After), func(to incident.State) bool { return !passed(in.State, to) })
}

// contains reports whether the step cuts a device off.
func (s Step) contains() bool {
	spec, ok := action.SpecOf(action.Kind(s.Do))
	return ok && spec.Contains()
}

// givesWay says why a run leaves the incident to people: it has ended, or a
// person took it back behind the step that the run is at. "" means go on.
func (s Step) givesWay(r Run, in incident.Incident) string {
	switch {
	case !in.State.Open():
		return fmt.Sprintf("the incident is %s", in.State)
	case r.begun && len(s.Before) > 0 && !passed(in.State, s.Before[len(s.Before)-1]):
		return fmt.Sprintf("a person took the incident back to %s", in.State)
	}
	return ""
}

// passed reports whether an incident in state s is at to or beyond it on the
// way to closed. One that was reopened begins anew.
func passed(s, to incident.State) bool {
	if s == incident.StateReopened {
		return false
	}
	return slices.Index(incident.States, s) >= slices.Index(incident.States, to)
}
