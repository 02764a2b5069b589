package alert

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// Migrations returns the schema of the tables siem_alerts and
// siem_alert_events.
func Migrations() store.Migrations {
	return store.Migrations{Owner: "siem_alert", FS: migrations}
}

// horizon is how many events of one alert are remembered by id. An event that
// comes again does so soon.
const horizon = 10_000

// maxNote is the length of the longest note and reason, in bytes.
const maxNote = 1000

// Publisher puts records on a topic within a transaction; journal.Topic does.
type Publisher interface {
	Publish(ctx context.Context, tx *store.Tx, tenant core.TenantID, records ...[]byte) error
}

// Store is the only writer of its tables.
type Store struct{ topic Publisher }

// NewStore returns a store that tells of alerts on the topic.
func NewStore(topic Publisher) *Store { return &Store{topic: topic} }

// Raise counts the events of r in the live alert of its fingerprint, or opens
// one, and publishes what is to be told, all within tx. Events counted before
// change nothing.
func (s *Store) Raise(ctx context.Context, tx *store.Tx, r Raise) (Alert, error) {
	if err := check(r); err != nil {
		return Alert{}, err
	}
	r.Events = distinct(r.Events)
	live, found, err := s.live(ctx, tx, r)
	if err != nil {
		return Alert{}, err
	}
	next := Open(r)
	if found {
		if r.Events, err = s.fresh(ctx, tx, live, r.Events); err != nil {
			return Alert{}, err
		}
		if len(r.Events) == 0 {
			return live, nil
		}
		next = live.Fold(r)
	}
	if err := s.save(ctx, tx, next, r, found); err != nil {
		return Alert{}, fmt.Errorf("alert %s: %w", next.ID, err)
	}
	return next, s.tell(ctx, tx, next)
}

// End closes alerts whose matter was dealt with: whatever comes after is a new
// alert. Without it a second break-in within the quiet hour would only be counted
// in the first one's alert, and told to nobody. An alert that a person has judged
// by itself keeps that judgement.
func (s *Store) End(ctx context.Context, tx *store.Tx, tenant core.TenantID, how Closing, ids ...core.UUID) error {
	for _, id := range ids {
		a, err := Get(ctx, tx, tenant, id)
		switch {
		case core.KindOf(err) == core.KindNotFound:
			continue
		case err == nil && a.State == StateClosed:
		case err == nil:
			_, err = s.close(ctx, tx, a, how)
		}
		if err != nil {
			return fmt.Errorf("alert: ending %s: %w", id, err)
		}
	}
	return nil
}

// Close ends one alert by a person's judgement. A judgement but that it was dealt
// with needs a reason. Whoever calls has asked the Guard for alert.close.
func (s *Store) Close(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, how Closing) (Alert, error) {
	const op = "alert.Close"
	a, err := Get(ctx, tx, tenant, id)
	switch {
	case err != nil:
		return Alert{}, err
	case !slices.Contains(Verdicts, how.Verdict):
		return Alert{}, core.E(core.KindInvalid, op, fmt.Sprintf("%.40q is no verdict; known are %v", how.Verdict, Verdicts))
	case how.Verdict != VerdictResolved && strings.TrimSpace(how.Reason) == "":
		return Alert{}, core.E(core.KindInvalid, op, fmt.Sprintf("%s needs a reason: rules are tuned by it", how.Verdict))
	case len(how.Reason) > maxNote:
		return Alert{}, core.E(core.KindTooLarge, op, fmt.Sprintf("a reason has at most %d bytes", maxNote))
	case a.State == StateClosed:
		return Alert{}, core.E(core.KindConflict, op, fmt.Sprintf("alert %s was closed by %s", id, a.Closing.By))
	}
	if a, err = s.close(ctx, tx, a, how); err != nil {
		return Alert{}, fmt.Errorf("alert %s: %w", id, err)
	}
	return a, nil
}

func (s *Store) close(ctx context.Context, tx *store.Tx, a Alert, how Closing) (Alert, error) {
	a.State, a.Closing = StateClosed, how
	if err := s.write(ctx, tx, a, true); err != nil {
		return a, err
	}
	_, err := tx.Exec(ctx, `UPDATE siem_alerts SET live = 0 WHERE tenant = $1 AND id = $2`, a.Tenant, a.ID)
	return a, err
}

// distinct leaves out events that stand among them already: a correlation of
// correlations may be led to by one event in two ways.
func distinct(events []Event) []Event {
	seen := make(map[core.UUID]bool, len(events))
	return slices.DeleteFunc(slices.Clone(events), func(e Event) bool {
		again := seen[e.ID]
		seen[e.ID] = true
		return again
	})
}

func check(r Raise) error {
	switch {
	case r.Tenant.IsZero(), len(r.Events) == 0, r.Now.IsZero(), r.Severity.Rank() < 0, r.Provenance == "":
		return core.E(core.KindInvalid, "alert.Raise", "a raise needs tenant, events, time, severity and provenance")
	case r.Rule.ID == "", r.Rule.Title == "", r.Rule.Author == "":
		return core.E(core.KindInvalid, "alert.Raise", "a raise needs the rule's id, title and author")
	}
	return nil
}

// live finds the alert that r belongs to, closing one that is over.
func (s *Store) live(ctx context.Context, tx *store.Tx, r Raise) (Alert, bool, error) {
	var body []byte
	err := tx.QueryRow(ctx, `SELECT body FROM siem_alerts WHERE tenant = $1 AND fingerprint = $2 AND live = 1`, r.Tenant, r.Fingerprint()).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return Alert{}, false, nil
	}
	if err != nil {
		return Alert{}, false, fmt.Errorf("alert: finding the live one: %w", err)
	}
	a, err := decode(body)
	if err != nil || !a.Ended(r.Now) {
		return a, err == nil, err
	}
	_, err = tx.Exec(ctx, `UPDATE siem_alerts SET live = 0 WHERE tenant = $1 AND id = $2`, a.Tenant, a.ID)
	return Alert{}, false, err
}

// fresh leaves out the events that the alert has counted.
func (s *Store) fresh(ctx context.Context, tx *store.Tx, a Alert, events []Event) ([]Event, error) {
	var out []Event
	for _, e := range events {
		var one int
		err := tx.QueryRow(ctx, `SELECT 1 FROM siem_alert_events WHERE tenant = $1 AND alert = $2 AND event = $3`, a.Tenant, a.ID, e.ID).Scan(&one)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			out = append(out, e)
		case err != nil:
			return nil, fmt.Errorf("alert %s: looking for event %s: %w", a.ID, e.ID, err)
		}
	}
	return out, nil
}

func (s *Store) save(ctx context.Context, tx *store.Tx, a Alert, r Raise, known bool) error {
	if err := s.write(ctx, tx, a, known); err != nil {
		return err
	}
	first := a.Count - uint64(len(r.Events)) + 1
	for i, e := range r.Events {
		_, err := tx.Exec(ctx, `INSERT INTO siem_alert_events (tenant, alert, event, ordinal, at, source) VALUES ($1, $2, $3, $4, $5, $6)`,
			a.Tenant, a.ID, e.ID, int64(first)+int64(i), store.Micros(e.At), e.Source)
		if err != nil {
			return err
		}
	}
	if a.Count <= horizon {
		return nil
	}
	_, err := tx.Exec(ctx, `DELETE FROM siem_alert_events WHERE tenant = $1 AND alert = $2 AND ordinal <= $3`, a.Tenant, a.ID, int64(a.Count)-horizon)
	return err
}

func (s *Store) write(ctx context.Context, tx *store.Tx, a Alert, known bool) error {
	a.Notice = KindNone
	body, err := json.Marshal(a)
	if err != nil {
		return core.Wrap(core.KindInternal, "alert.write", err)
	}
	if known {
		_, err = tx.Exec(ctx, `UPDATE siem_alerts SET severity_rank = $3, state = $4, count = $5, updated = $6, body = $7 WHERE tenant = $1 AND id = $2`,
			a.Tenant, a.ID, a.Severity.Rank(), string(a.State), int64(a.Count), store.Micros(a.Updated), body)
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO siem_alerts (tenant, id, fingerprint, live, rule, severity_rank, state, count, opened, updated, body, device)
		VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11)`,
		a.Tenant, a.ID, a.Fingerprint, a.Rule.Name, a.Severity.Rank(), string(a.State), int64(a.Count), store.Micros(a.Opened), store.Micros(a.Updated), body, a.Device)
	return err
}

func (s *Store) tell(ctx context.Context, tx *store.Tx, a Alert) error {
	if a.Notice == KindNone {
		return nil
	}
	record, err := json.Marshal(a)
	if err != nil {
		return core.Wrap(core.KindInternal, "alert.tell", err)
	}
	return s.topic.Publish(ctx, tx, a.Tenant, record)
}

func decode(body []byte) (Alert, error) {
	var a Alert
	if err := json.Unmarshal(body, &a); err != nil {
		return a, core.Wrap(core.KindDamaged, "alert: row", err)
	}
	return a, nil
}

// Get returns one alert of the tenant.
func Get(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) (Alert, error) {
	var body []byte
	err := tx.QueryRow(ctx, `SELECT body FROM siem_alerts WHERE tenant = $1 AND id = $2`, tenant, id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return Alert{}, core.E(core.KindNotFound, "alert.Get", fmt.Sprintf("there is no alert %s", id))
	}
	if err != nil {
		return Alert{}, fmt.Errorf("alert.Get: %w", err)
	}
	return decode(body)
}

// Events returns the latest events that an alert counted, newest first.
func Events(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, limit int) ([]Event, error) {
	rows, err := tx.Query(ctx, `SELECT event, at, source FROM siem_alert_events WHERE tenant = $1 AND alert = $2 ORDER BY ordinal DESC LIMIT $3`, tenant, id, limit)
	if err != nil {
		return nil, fmt.Errorf("alert.Events: %w", err)
	}
	defer rows.Close()
	var out []Event
	for rows.Next() {
		var e Event
		var at int64
		if err := rows.Scan(&e.ID, &at, &e.Source); err != nil {
			return nil, fmt.Errorf("alert.Events: %w", err)
		}
		e.At = store.FromMicros(at)
		out = append(out, e)
	}
	return out, rows.Err()
}

// Acknowledge notes that a person has seen the alert: no more notices unless
// it rises, and counting goes on. Whoever calls has asked the Guard for
// alert.acknowledge.
func (s *Store) Acknowledge(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, by core.Principal, note string, now time.Time) (Alert, error) {
	a, err := Get(ctx, tx, tenant, id)
	if err != nil {
		return Alert{}, err
	}
	switch a.State {
	case StateOpen:
	case StateClosed:
		return Alert{}, core.E(core.KindConflict, "alert.Acknowledge", fmt.Sprintf("alert %s is closed", id))
	default:
		return Alert{}, core.E(core.KindConflict, "alert.Acknowledge", fmt.Sprintf("alert %s was acknowledged by %s", id, a.AckedBy))
	}
	if len(note) > maxNote {
		return Alert{}, core.E(core.KindTooLarge, "alert.Acknowledge", fmt.Sprintf("a note has at most %d bytes", maxNote))
	}
	a.State, a.AckedBy, a.AckedAt, a.AckedNote = StateAcknowledged, by.String(), now, note
	if err := s.write(ctx, tx, a, true); err != nil {
		return Alert{}, fmt.Errorf("alert %s: %w", id, err)
	}
	return a, nil
}
