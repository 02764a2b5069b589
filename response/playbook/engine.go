package playbook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/response/incident"
)

// Actions runs actions; action.Runner is the real one.
type Actions interface {
	Run(ctx context.Context, q action.Request) (fleet.Order, error)
}

// Verifier runs the checks of a verify step; recovery.Verifier is the real one.
type Verifier interface {
	Verify(ctx context.Context, in incident.Incident, since time.Time, names []string) (map[string]core.Verdict, error)
}

// Fleet is what is known of devices; fleet.Registry is the real one.
type Fleet interface {
	Get(ctx context.Context, tenant core.TenantID, id core.DeviceID) (fleet.Device, error)
	Sensors(ctx context.Context, tenant core.TenantID, id core.DeviceID) ([]fleet.Sensor, error)
	Latches(ctx context.Context, tenant core.TenantID, id core.DeviceID, openOnly bool) ([]fleet.Latch, error)
}

// Parts are what an [Engine] stands on.
type Parts struct {
	State     *store.DB
	Incidents *incident.Store
	Actions   Actions
	Verifier  Verifier
	Fleet     Fleet
	Guard     core.Guard
	// Would answers as the Guard would now, without a record and without
	// counting; policy.Set's Evaluate is the real one. Dry runs ask it.
	Would func(who core.Principal, do core.Action, on core.Resource) core.Decision
	Clock core.Clock
	Log   *slog.Logger
	// Books are the playbooks in force, by id, as exact bytes.
	Books map[string][]byte
}

// Engine runs playbooks. Several may work on one database.
type Engine struct {
	Parts
	books []*Playbook // sorted by id
}

// NewEngine reads the playbooks; one that can't be read, or stands under
// another name than its own, is an error.
func NewEngine(p Parts) (*Engine, error) {
	e := &Engine{Parts: p}
	for id, text := range p.Books {
		b, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("playbook %s: %w", id, err)
		}
		if b.ID != id {
			return nil, core.E(core.KindInvalid, "playbook.NewEngine", fmt.Sprintf("playbook %q stands under the name %q", b.ID, id))
		}
		e.books = append(e.books, b)
	}
	slices.SortFunc(e.books, func(a, b *Playbook) int { return strings.Compare(a.ID, b.ID) })
	return e, nil
}

// Stage makes runs for incidents that have just opened.
func (e *Engine) Stage(incidents journal.Reader) journal.Stage {
	return journal.Stage{Name: "playbook", From: incidents, Clock: e.Clock, Handle: e.happened}
}

func (e *Engine) happened(ctx context.Context, tx *store.Tx, f journal.Frame) error {
	for _, record := range f.Records {
		var r incident.Record
		if err := json.Unmarshal(record, &r); err != nil {
			return core.Wrap(core.KindDamaged, "playbook.Stage", err)
		}
		if r.Incident.Tenant != f.Tenant {
			return core.E(core.KindDamaged, "playbook.Stage", fmt.Sprintf("incident %s of tenant %s in a frame of %s", r.Incident.ID, r.Incident.Tenant, f.Tenant))
		}
		var err error
		switch r.Step.Kind {
		case incident.StepOpened:
			err = e.opened(ctx, tx, r.Incident)
		case incident.StepAttached:
			err = e.attached(ctx, tx, r.Incident)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// opened makes a run of each playbook that answers.
func (e *Engine) opened(ctx context.Context, tx *store.Tx, in incident.Incident) error {
	for _, b := range e.books {
		if !b.Answers(in.Rule) {
			continue
		}
		now := e.Clock.Now()
		r := Run{Tenant: in.Tenant, ID: core.NewUUID(now), Incident: in.ID, Playbook: b.ID, State: RunProposed, Created: now, Book: e.Books[b.ID]}
		fresh, err := insertRun(ctx, tx, r)
		if err == nil && fresh {
			err = e.dispatch(ctx, tx, r, b, in)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dispatch starts a run that nobody has started, or says what it waits for.
func (e *Engine) dispatch(ctx context.Context, tx *store.Tx, r Run, b *Playbook, in incident.Incident) error {
	if alone, why := b.Alone(in); !alone {
		return e.propose(ctx, tx, r, why)
	}
	r.Round++
	text := fmt.Sprintf("playbook %s version %d starts by itself (its text: sha256 %s)", b.ID, b.Version, b.Digest)
	if err := e.note(ctx, tx, r, playbookService(r.Tenant), core.Position{}, text); err != nil {
		return err
	}
	return e.enter(ctx, tx, r, b, 0)
}

// attached looks again at runs that wait for a person because all evidence was
// simulated: one real alert makes the incident real, and a drill must not be a
// cloak for an attack.
func (e *Engine) attached(ctx context.Context, tx *store.Tx, in incident.Incident) error {
	if in.Simulated {
		return nil
	}
	runs, err := listRuns(ctx, tx, in.Tenant, in.ID, MaxList)
	if err != nil {
		return err
	}
	for _, r := range runs {
		b, err := Parse(r.Book)
		if err != nil || r.State != RunProposed || r.Starter != "" {
			continue // what its bytes say of it was told when it was proposed
		}
		if alone, _ := b.Alone(in); !alone {
			continue
		}
		if err := e.dispatch(ctx, tx, r, b, in); err != nil {
			return err
		}
	}
	return nil
}

func service(tenant core.TenantID, id core.ServiceID) core.Principal {
	return core.Principal{Kind: core.KindService, ID: id.String(), Tenant: tenant}
}

func playbookService(tenant core.TenantID) core.Principal {
	return service(tenant, incident.ServicePlaybook)
}

// resourceOf is what the Guard is asked about for an incident.
func resourceOf(in incident.Incident) core.Resource {
	return core.Resource{Type: "incident", ID: in.ID.String(), Tenant: in.Tenant, Site: in.Site}
}

// permit asks the Guard; a refusal is an error of kind denied.
func (e *Engine) permit(ctx context.Context, who core.Principal, do core.Action, on core.Resource) (core.Decision, error) {
	d, err := e.Guard.Permit(ctx, who, do, on)
	if err != nil {
		return d, err
	}
	return d, httpd.Refusal(d, who, do, on)
}

// note writes a line of the incident's timeline.
func (e *Engine) note(ctx context.Context, tx *store.Tx, r Run, by core.Principal, intent core.Position, text string, refs ...string) error {
	return e.Incidents.Note(ctx, tx, r.Tenant, r.Incident, incident.Step{
		At: e.Clock.Now(), By: by.String(), Text: text, Refs: append([]string{r.Object()}, refs...), Intent: intent,
	})
}
