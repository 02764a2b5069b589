package incident

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Facts puts what happened into the audit outbox, inside the caller's
// transaction; audit.Put is the real one.
type Facts func(ctx context.Context, tx *store.Tx, e audit.Entry) error

// Topic is where the incidents are published; journal.Topic is the real one.
type Topic interface {
	Publish(ctx context.Context, tx *store.Tx, tenant core.TenantID, records ...[]byte) error
}

// Sites finds where a device stands, so that a person's right to move its
// incident can be decided by site; fleet.SiteOf is the real one.
type Sites func(ctx context.Context, tx *store.Tx, tenant core.TenantID, device core.DeviceID) (core.SiteID, error)

// Record is what the topic "incidents" carries: the incident after the step.
type Record struct {
	Incident Incident `json:"incident"`
	Step     Step     `json:"step"`
}

// Store keeps the incidents. Every method works inside the caller's
// transaction, so that an incident, its timeline, its audit fact and its record
// on the topic commit together or not at all.
type Store struct {
	topic Topic
	facts Facts
	// Sites may be nil: incidents then carry the site of their alert.
	Sites Sites
	// Ended is told which alerts an incident dealt with when it is closed, so
	// that what comes after is told anew, and by which change; nil tells
	// nobody.
	Ended func(ctx context.Context, tx *store.Tx, tenant core.TenantID, by Change, alerts ...core.UUID) error
}

// NewStore returns a store that publishes on topic.
func NewStore(topic Topic, facts Facts) *Store { return &Store{topic: topic, facts: facts} }

// Take opens an incident for an alert or attaches the alert to the open one of
// the same subject, family and trust. An alert that is known already changes
// its count and nothing else.
func (s *Store) Take(ctx context.Context, tx *store.Tx, a Alert, now time.Time) (Incident, error) {
	if err := a.check(); err != nil {
		return Incident{}, err
	}
	if in, known, err := s.known(ctx, tx, a); known || err != nil {
		return in, err
	}
	in, found, err := openFor(ctx, tx, a)
	if err != nil {
		return Incident{}, err
	}
	step := Step{At: now, By: "service/" + ServiceIncidents.String(), Refs: []string{"alert/" + a.ID.String()}, Text: a.Title}
	before := in.Revision
	if found {
		in, step.Kind = in.attach(a), StepAttached
	} else {
		in, step.Kind, step.To = a.open(now), StepOpened, StateNew
		if in.Site, err = s.siteOf(ctx, tx, in); err != nil {
			return Incident{}, err
		}
	}
	step.Revision = in.Revision
	if err := save(ctx, tx, in, before); err != nil {
		return Incident{}, err
	}
	if err := putAlert(ctx, tx, a, in.ID); err != nil {
		return Incident{}, err
	}
	return in, s.commit(ctx, tx, in, step)
}

func (s *Store) siteOf(ctx context.Context, tx *store.Tx, in Incident) (core.SiteID, error) {
	if s.Sites == nil || in.Device.IsZero() || !in.Site.IsZero() {
		return in.Site, nil
	}
	site, err := s.Sites(ctx, tx, in.Tenant, in.Device)
	if core.KindOf(err) == core.KindNotFound {
		return in.Site, nil // a device that the registry doesn't know stands nowhere
	}
	return site, err
}

// known finds the incident of an alert that came before.
func (s *Store) known(ctx context.Context, tx *store.Tx, a Alert) (Incident, bool, error) {
	var id core.UUID
	err := tx.QueryRow(ctx, `SELECT incident FROM response_incident_alerts WHERE tenant = $1 AND alert = $2`, a.Tenant, a.ID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return Incident{}, false, nil
	}
	if err != nil {
		return Incident{}, false, fmt.Errorf("incident: finding alert %s: %w", a.ID, err)
	}
	if err := putAlert(ctx, tx, a, id); err != nil {
		return Incident{}, false, err
	}
	in, err := s.Get(ctx, tx, a.Tenant, id)
	return in, true, err
}

// Move takes an incident over one edge of the machine.
func (s *Store) Move(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, c Change) (Incident, error) {
	in, err := s.Get(ctx, tx, tenant, id)
	if err != nil {
		return Incident{}, err
	}
	if c.To == StateMerged && !c.Into.IsZero() {
		target, err := s.Get(ctx, tx, tenant, c.Into)
		if err != nil {
			return Incident{}, fmt.Errorf("merging incident %s: %w", id, err)
		}
		c.IntoState = target.State
	}
	moved, step, err := Apply(in, c)
	if err != nil {
		return Incident{}, err
	}
	if !in.State.Open() && moved.State.Open() {
		if err := noRival(ctx, tx, moved); err != nil {
			return Incident{}, err
		}
	}
	if in.State.Open() && !moved.State.Open() && moved.State != StateMerged {
		if err := s.end(ctx, tx, moved, c); err != nil {
			return Incident{}, err
		}
	}
	if err := save(ctx, tx, moved, in.Revision); err != nil {
		return Incident{}, err
	}
	return moved, s.commit(ctx, tx, moved, step)
}

// end ends the alerts of an incident that is over.
func (s *Store) end(ctx context.Context, tx *store.Tx, in Incident, by Change) error {
	if s.Ended == nil {
		return nil
	}
	alerts, err := s.Alerts(ctx, tx, in.Tenant, in.ID)
	if err != nil {
		return err
	}
	ids := make([]core.UUID, len(alerts))
	for i, a := range alerts {
		ids[i] = a.ID
	}
	return s.Ended(ctx, tx, in.Tenant, by, ids...)
}

// Note adds a line to the timeline without moving the incident.
func (s *Store) Note(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, step Step) error {
	in, err := s.Get(ctx, tx, tenant, id)
	if err != nil {
		return err
	}
	in.Revision++
	step.Revision, step.Kind = in.Revision, StepNote
	if err := save(ctx, tx, in, in.Revision-1); err != nil {
		return err
	}
	return s.commit(ctx, tx, in, step)
}

// commit writes what every change leaves behind: a line of the timeline, a fact
// for the audit log, a record on the topic.
func (s *Store) commit(ctx context.Context, tx *store.Tx, in Incident, step Step) error {
	body, err := json.Marshal(step)
	if err != nil {
		return core.Wrap(core.KindInternal, "incident.commit", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO response_timeline (tenant, incident, revision, body) VALUES ($1, $2, $3, $4)`,
		in.Tenant, in.ID, int64(step.Revision), body); err != nil {
		return fmt.Errorf("incident %s: writing step %d: %w", in.ID, step.Revision, err)
	}
	if err := s.facts(ctx, tx, fact(in, step)); err != nil {
		return fmt.Errorf("incident %s: audit of step %d: %w", in.ID, step.Revision, err)
	}
	record, err := json.Marshal(Record{in, step})
	if err != nil {
		return core.Wrap(core.KindInternal, "incident.commit", err)
	}
	return s.topic.Publish(ctx, tx, in.Tenant, record)
}

func fact(in Incident, step Step) audit.Entry {
	e := audit.Entry{
		Type: audit.TypeFact, Time: step.At, Actor: step.By, Action: core.Action("incident." + string(step.Kind)),
		Object: in.Object(), Revision: step.Revision, Outcome: string(in.State), Class: audit.ClassSecurity, Body: step,
	}
	if step.Intent != (core.Position{}) {
		e.Intent = &step.Intent
	}
	return e
}

// Settle fills in where the log holds the fact of a step. It is called when the
// outbox has carried the fact there.
func (s *Store) Settle(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, revision uint64, at core.Position) error {
	_, err := tx.Exec(ctx, `UPDATE response_timeline SET fact_origin = $1, fact_index = $2 WHERE tenant = $3 AND incident = $4 AND revision = $5`,
		at.Origin, int64(at.Index), tenant, id, int64(revision))
	if err != nil {
		return fmt.Errorf("incident %s: settling step %d: %w", id, revision, err)
	}
	return nil
}

// save writes an incident whose row stood at revision before, 0 for none.
func save(ctx context.Context, tx *store.Tx, in Incident, before uint64) error {
	body, err := json.Marshal(in)
	if err != nil {
		return core.Wrap(core.KindInternal, "incident.save", err)
	}
	if before == 0 {
		_, err := tx.Exec(ctx, `INSERT INTO response_incidents (tenant, id, subject, family, trusted, state, is_open, revision, detected, body, simulated)
			VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10)`,
			in.Tenant, in.ID, in.Subject, in.Family, trusted(in.Provenance), string(in.State), int64(in.Revision), in.Stamps.Detected.UnixMicro(), body, flag(in.Simulated))
		if err != nil {
			return fmt.Errorf("incident: opening %s: %w", in.ID, err)
		}
		return nil
	}
	res, err := tx.Exec(ctx, `UPDATE response_incidents SET state = $1, is_open = $2, revision = $3, body = $4, simulated = $5, ended = $6
		WHERE tenant = $7 AND id = $8 AND revision = $9`,
		string(in.State), flag(in.State.Open()), int64(in.Revision), body, flag(in.Simulated), in.ended(), in.Tenant, in.ID, int64(before))
	if err != nil {
		return fmt.Errorf("incident: saving %s: %w", in.ID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return core.E(core.KindConflict, "incident.save", fmt.Sprintf("incident %s changed meanwhile (revision %d)", in.ID, before)).WithHint("read it again")
	}
	return nil
}

func putAlert(ctx context.Context, tx *store.Tx, a Alert, incident core.UUID) error {
	body, err := json.Marshal(a)
	if err != nil {
		return core.Wrap(core.KindInternal, "incident.putAlert", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO response_incident_alerts (tenant, alert, incident, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant, alert) DO UPDATE SET body = excluded.body`, a.Tenant, a.ID, incident, body)
	if err != nil {
		return fmt.Errorf("incident %s: writing alert %s: %w", incident, a.ID, err)
	}
	return nil
}

func openFor(ctx context.Context, tx *store.Tx, a Alert) (Incident, bool, error) {
	return one(tx.QueryRow(ctx, `SELECT body FROM response_incidents WHERE tenant = $1 AND subject = $2 AND family = $3 AND trusted = $4 AND is_open = 1`,
		a.Tenant, a.subject(), a.family(), trusted(a.Provenance)))
}

// noRival refuses to reopen what a newer open incident already covers.
func noRival(ctx context.Context, tx *store.Tx, in Incident) error {
	rival, found, err := one(tx.QueryRow(ctx, `SELECT body FROM response_incidents WHERE tenant = $1 AND subject = $2 AND family = $3 AND trusted = $4 AND is_open = 1`,
		in.Tenant, in.Subject, in.Family, trusted(in.Provenance)))
	if err != nil || !found {
		return err
	}
	return core.E(core.KindConflict, "incident.Move", fmt.Sprintf("incident %s cannot be reopened: incident %s is open for the same subject and kind", in.ID, rival.ID)).
		WithHint("go on in incident " + rival.ID.String())
}

func trusted(p core.Provenance) int { return flag(p.Authenticated()) }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
