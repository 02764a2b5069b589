package playbook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/response/incident"
)

// The pauses between two attempts at a step.
const (
	firstPause   = 2 * time.Second
	longestPause = 5 * time.Minute
)

// place is where in a run something belongs.
type place struct {
	Run     core.UUID `json:"run"`
	Round   int       `json:"round"`
	Step    int       `json:"step"`
	Attempt int       `json:"attempt"`
}

func (r Run) place() place { return place{r.ID, r.Round, r.Step, r.Attempt} }

// Object is the run's name in timelines.
func (r Run) Object() string { return "run/" + r.ID.String() }

// key is the idempotency key of an attempt: of its job, and of its order.
func (p place) key() string {
	return fmt.Sprintf("playbook/%s/%d/%d/%d", p.Run, p.Round, p.Step, p.Attempt)
}

// parseKey reads a key back; false for the key of somebody else.
func parseKey(key string) (p place, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 5 || parts[0] != "playbook" {
		return p, false
	}
	run, err := core.ParseUUID(parts[1])
	if err != nil {
		return p, false
	}
	p.Run = run
	for i, into := range []*int{&p.Round, &p.Step, &p.Attempt} {
		if *into, err = strconv.Atoi(parts[2+i]); err != nil {
			return p, false
		}
	}
	return p, p.key() == key
}

func (e *Engine) enqueue(ctx context.Context, tx *store.Tx, r Run, kind string, at time.Time) error {
	payload, err := json.Marshal(r.place())
	if err != nil {
		return core.Wrap(core.KindInternal, "playbook.enqueue", err)
	}
	return jobs.Enqueue(ctx, tx, jobs.Job{Tenant: r.Tenant, Kind: kind, Key: r.place().key(), RunAt: at, Payload: payload})
}

// enter takes the run to a step. The step's deadline stands from here, so that
// a step that can't even begin comes to an end too.
func (e *Engine) enter(ctx context.Context, tx *store.Tx, r Run, b *Playbook, step int) error {
	now := e.Clock.Now()
	r.State, r.Step, r.Attempt = RunRunning, step, 1
	r.begun, r.intent, r.Deadline = false, core.Position{}, now.Add(b.Steps[step].Timeout)
	if err := setRun(ctx, tx, r); err != nil {
		return err
	}
	if err := e.enqueue(ctx, tx, r, JobDeadline, r.Deadline); err != nil {
		return err
	}
	return e.enqueue(ctx, tx, r, JobStep, now)
}

// advance ends a step whose order is done and enters the next one.
func (e *Engine) advance(ctx context.Context, tx *store.Tx, r Run, b *Playbook, o fleet.Order) error {
	st := b.Steps[r.Step]
	in, err := e.Incidents.Get(ctx, tx, r.Tenant, r.Incident)
	if err != nil {
		return err
	}
	if why := st.givesWay(r, in); why != "" {
		return e.stop(ctx, tx, r, RunDone, fmt.Sprintf("%s of device %s is done, and %s", o.Type, o.Device, why))
	}
	if err := closeAttempt(ctx, tx, r, RunDone, e.Clock.Now(), o.Object()); err != nil {
		return err
	}
	c := incident.Change{
		By: playbookService(r.Tenant), Intent: r.intent, Refs: []string{r.Object(), o.Object()},
		Reason: fmt.Sprintf("device %s answered: %s %s", o.Device, o.Type, o.State),
	}
	if c.Intent == (core.Position{}) {
		c.Intent = o.Intent
	}
	_, err = e.pass(ctx, tx, in, slices.Concat(st.Before, st.After), c)
	if core.KindOf(err) == core.KindConflict && tx.Err() == nil {
		return e.fail(ctx, tx, r, b, err.Error())
	}
	if err != nil {
		return err
	}
	return e.enter(ctx, tx, r, b, r.Step+1)
}

// pass takes the incident through states in order, leaving out what it has
// passed already.
func (e *Engine) pass(ctx context.Context, tx *store.Tx, in incident.Incident, states []incident.State, c incident.Change) (_ incident.Incident, err error) {
	for _, to := range states {
		if passed(in.State, to) {
			continue
		}
		c.To, c.At = to, e.Clock.Now()
		if in, err = e.Incidents.Move(ctx, tx, in.Tenant, in.ID, c); err != nil {
			return in, err
		}
	}
	return in, nil
}

// retry ends an attempt that came to nothing and begins the next one after a
// pause, or fails the run when the step has had its attempts or its time.
func (e *Engine) retry(ctx context.Context, tx *store.Tx, r Run, b *Playbook, why string) error {
	st, now := b.Steps[r.Step], e.Clock.Now()
	at := now.Add(min(longestPause, firstPause<<min(r.Attempt-1, 20)))
	if r.Attempt > st.Retries || !at.Before(r.Deadline) {
		return e.fail(ctx, tx, r, b, why)
	}
	if err := closeAttempt(ctx, tx, r, RunFailed, now, why); err != nil {
		return err
	}
	text := fmt.Sprintf("step %d (%s) of playbook %s: attempt %d of %d came to nothing and is made again: %s", r.Step+1, st.ID, r.Playbook, r.Attempt, st.Retries+1, why)
	if err := e.note(ctx, tx, r, playbookService(r.Tenant), core.Position{}, text); err != nil {
		return err
	}
	r.Attempt++
	if err := setRun(ctx, tx, r); err != nil {
		return err
	}
	return e.enqueue(ctx, tx, r, JobStep, at)
}

// fail ends a run and asks a person. The incident stays where it is; its
// timeline says what happened and what a person can do. b may be nil.
func (e *Engine) fail(ctx context.Context, tx *store.Tx, r Run, b *Playbook, why string) error {
	if err := closeAttempt(ctx, tx, r, RunFailed, e.Clock.Now(), why); err != nil {
		return err
	}
	r.State = RunFailed
	if err := setRun(ctx, tx, r); err != nil {
		return err
	}
	in, err := e.Incidents.Get(ctx, tx, r.Tenant, r.Incident)
	if err != nil {
		return err
	}
	name, next := "?", "start the run again with: interlock incidents start "+r.ID.String()
	if b != nil {
		name, next = b.Steps[r.Step].ID, b.Steps[r.Step].remedy(r, in)
	}
	e.Log.Warn("a playbook needs a person", slog.String("run", r.ID.String()), slog.Int("step", r.Step+1), slog.String("why", why))
	text := fmt.Sprintf("step %d (%s) of playbook %s failed and asks a person: %s. Next: %s", r.Step+1, name, r.Playbook, why, next)
	return e.note(ctx, tx, r, playbookService(r.Tenant), core.Position{}, text)
}

// remedy says what a person can do about a step that failed.
func (s Step) remedy(r Run, in incident.Incident) string {
	start := "interlock incidents start " + r.ID.String()
	spec, acts := action.SpecOf(action.Kind(s.Do))
	switch {
	case acts && spec.Contains() && len(s.After) > 0:
		return fmt.Sprintf("this playbook did not contain device %s. Mend the cause and repeat the step with: %s. Or cut the device off by hand, say so with: interlock incidents move %s %s --reason WHY, and go on with: %s",
			in.Device, start, in.ID, s.After[len(s.After)-1], start)
	case acts:
		return fmt.Sprintf("device %s stays as it is. Look at it and at its orders (interlock device show %s), then repeat the step with: %s", in.Device, in.Device, start)
	case in.State == incident.StateReopened:
		return fmt.Sprintf("see to what did not pass; the incident is open again. Begin anew, with containment, by: %s", start)
	}
	return fmt.Sprintf("see to what could not be checked (a device that is silent can't be verified), then repeat the checks with: %s", start)
}

// stop ends a run that gives way to people. attempt is what became of its
// present attempt.
func (e *Engine) stop(ctx context.Context, tx *store.Tx, r Run, attempt RunState, why string) error {
	if err := closeAttempt(ctx, tx, r, attempt, e.Clock.Now(), why); err != nil {
		return err
	}
	r.State = RunStopped
	if err := setRun(ctx, tx, r); err != nil {
		return err
	}
	text := fmt.Sprintf("playbook %s stops at step %d: %s. What it did stays done: if the device is contained, it is so until persons release it. While the incident is open the run can go on with: interlock incidents start %s",
		r.Playbook, r.Step+1, why, r.ID)
	return e.note(ctx, tx, r, playbookService(r.Tenant), core.Position{}, text)
}

// propose leaves a run to a person.
func (e *Engine) propose(ctx context.Context, tx *store.Tx, r Run, why string) error {
	r.State = RunProposed
	if err := setRun(ctx, tx, r); err != nil {
		return err
	}
	text := fmt.Sprintf("playbook %s waits for a person: %s. See what it would do with: interlock incidents dry-run %s; start it with: interlock incidents start %s", r.Playbook, why, r.Incident, r.ID)
	return e.note(ctx, tx, r, playbookService(r.Tenant), core.Position{}, text)
}
