package playbook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/journal"
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

// Actions runs actions; action.Runner is the real one.
type Actions interface {
	Run(ctx context.Context, q action.Request) (fleet.Order, error)
}

// Verifier runs the checks of a verify step; recovery.Verifier is the real one.
type Verifier interface {
	Verify(ctx context.Context, in incident.Incident, names []string) (map[string]core.Verdict, error)
}

// Parts are what an [Engine] stands on.
type Parts struct {
	State     *store.DB
	Incidents *incident.Store
	Actions   Actions
	Verifier  Verifier
	Guard     core.Guard
	Clock     core.Clock
	Log       *slog.Logger
	// Books are the playbooks in force, by id, as exact bytes.
	Books map[string][]byte
}

// Engine runs playbooks.
type Engine struct {
	Parts
	books []*Playbook
}

// NewEngine reads the playbooks; one that can't be read is an error.
func NewEngine(p Parts) (*Engine, error) {
	e := &Engine{Parts: p}
	for id, text := range p.Books {
		b, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("playbook %s: %w", id, err)
		}
		e.books = append(e.books, b)
	}
	return e, nil
}

// Stage starts runs for incidents that have just opened.
func (e *Engine) Stage(incidents journal.Reader) journal.Stage {
	return journal.Stage{Name: "playbook", From: incidents, Clock: e.Clock, Handle: e.opened}
}

func (e *Engine) opened(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	for _, record := range f.Records {
		var r incident.Record
		if err := json.Unmarshal(record, &r); err != nil {
			return core.Wrap(core.KindDamaged, "playbook.opened", err)
		}
		if r.Step.Kind != incident.StepOpened {
			continue
		}
		for _, b := range e.books {
			if b.Answers(r.Incident.Rule) {
				if err := e.start(ctx, tx, r.Incident, b); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// start makes the run. Evidence that is too weak only proposes it.
func (e *Engine) start(ctx context.Context, tx *store.Tx, in incident.Incident, b *Playbook) error {
	now := e.Clock.Now()
	r := Run{Tenant: in.Tenant, ID: core.NewUUID(now), Incident: in.ID, Playbook: b.ID, State: RunRunning, Started: now, Book: e.Books[b.ID]}
	alone, why := b.Alone(in)
	if !alone {
		r.State = RunProposed
	}
	fresh, err := insertRun(ctx, tx, r)
	if err != nil || !fresh {
		return err
	}
	if !alone {
		return e.note(ctx, tx, r, service(in.Tenant, incident.ServicePlaybook), core.Position{}, "playbook "+b.ID+" waits for a person: "+why)
	}
	return e.enqueue(ctx, tx, r, JobStep, now)
}

// Start lets a person start a run that was only proposed.
func (e *Engine) Start(ctx context.Context, who core.Principal, id core.UUID) error {
	d, err := e.permit(ctx, who, policy.PlaybookRun, core.Resource{Type: "run", ID: id.String(), Tenant: who.Tenant})
	if err != nil {
		return err
	}
	return e.State.Tx(ctx, func(tx *store.Tx) error {
		r, err := getRun(ctx, tx, who.Tenant, id)
		if err != nil {
			return err
		}
		if r.State != RunProposed {
			return core.E(core.KindConflict, "playbook.Start", fmt.Sprintf("run %s is %s, not waiting for a person", id, r.State))
		}
		r.State = RunRunning
		if err := setRun(ctx, tx, r); err != nil {
			return err
		}
		if err := e.note(ctx, tx, r, who, d.Intent, "playbook "+r.Playbook+" started by "+who.String()); err != nil {
			return err
		}
		return e.enqueue(ctx, tx, r, JobStep, e.Clock.Now())
	})
}

// work is the payload of a job: which step of which run.
type work struct {
	Run  core.UUID `json:"run"`
	Step int       `json:"step"`
}

func (e *Engine) enqueue(ctx context.Context, tx *store.Tx, r Run, kind string, at time.Time) error {
	payload, err := json.Marshal(work{r.ID, r.Step})
	if err != nil {
		return core.Wrap(core.KindInternal, "playbook.enqueue", err)
	}
	return jobs.Enqueue(ctx, tx, jobs.Job{Tenant: r.Tenant, Kind: kind, Key: stepKey(r, r.Step), RunAt: at, Payload: payload})
}

// stepKey is the idempotency key of a step, and the request key of its order.
func stepKey(r Run, step int) string {
	return "playbook/" + r.ID.String() + "/" + strconv.Itoa(step)
}

// parseKey reads a step key back; false for the key of somebody else.
func parseKey(key string) (run core.UUID, step int, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 3 || parts[0] != "playbook" {
		return run, 0, false
	}
	run, err := core.ParseUUID(parts[1])
	if err != nil {
		return run, 0, false
	}
	step, err = strconv.Atoi(parts[2])
	return run, step, err == nil
}

func service(tenant core.TenantID, id core.ServiceID) core.Principal {
	return core.Principal{Kind: core.KindService, ID: id.String(), Tenant: tenant}
}

// permit asks the Guard; a refusal is an error of kind denied.
func (e *Engine) permit(ctx context.Context, who core.Principal, do core.Action, on core.Resource) (core.Decision, error) {
	d, err := e.Guard.Permit(ctx, who, do, on)
	if err != nil {
		return d, err
	}
	if !d.Allowed {
		return d, core.E(core.KindDenied, "playbook", fmt.Sprintf("%s may not %s on %s: %s", who, do, on, d.Reason))
	}
	return d, nil
}

func (e *Engine) note(ctx context.Context, tx *store.Tx, r Run, by core.Principal, intent core.Position, text string, refs ...string) error {
	return e.Incidents.Note(ctx, tx, r.Tenant, r.Incident, incident.Step{
		At: e.Clock.Now(), By: by.String(), Text: text, Refs: append([]string{"run/" + r.ID.String()}, refs...), Intent: intent,
	})
}
