package incident

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Get reads one incident; an unknown one is an error of kind not-found.
func (s *Store) Get(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) (Incident, error) {
	in, found, err := one(tx.QueryRow(ctx, `SELECT body FROM response_incidents WHERE tenant = $1 AND id = $2`, tenant, id))
	if err != nil {
		return Incident{}, fmt.Errorf("incident %s: %w", id, err)
	}
	if !found {
		return Incident{}, core.E(core.KindNotFound, "incident.Get", "there is no incident "+id.String())
	}
	return in, nil
}

// CountOpen counts the open incidents by state.
func (s *Store) CountOpen(ctx context.Context, tx *store.Tx, tenant core.TenantID) (map[State]int, error) {
	rows, err := tx.Query(ctx, `SELECT state, COUNT(*) FROM response_incidents WHERE tenant = $1 AND is_open = 1 GROUP BY state`, tenant)
	if err != nil {
		return nil, fmt.Errorf("incident: counting: %w", err)
	}
	defer func() { _ = rows.Close() }()
	counts := map[State]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, fmt.Errorf("incident: counting: %w", err)
		}
		counts[State(state)] = n
	}
	return counts, rows.Err()
}

// Timeline reads the steps of an incident in order.
func (s *Store) Timeline(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) ([]Step, error) {
	rows, err := tx.Query(ctx, `SELECT body, fact_origin, fact_index FROM response_timeline WHERE tenant = $1 AND incident = $2 ORDER BY revision`, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("incident %s: reading its timeline: %w", id, err)
	}
	defer func() { _ = rows.Close() }()
	var steps []Step
	for rows.Next() {
		var body []byte
		var origin string
		var index int64
		if err := rows.Scan(&body, &origin, &index); err != nil {
			return nil, fmt.Errorf("incident %s: reading its timeline: %w", id, err)
		}
		var step Step
		if err := json.Unmarshal(body, &step); err != nil {
			return nil, core.Wrap(core.KindDamaged, "incident.Timeline", err)
		}
		if origin != "" {
			step.Fact = core.Position{Origin: origin, Index: uint64(index)}
		}
		steps = append(steps, step)
	}
	return steps, rows.Err()
}

// Alerts reads the alerts of an incident, the oldest first.
func (s *Store) Alerts(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) ([]Alert, error) {
	rows, err := tx.Query(ctx, `SELECT body FROM response_incident_alerts WHERE tenant = $1 AND incident = $2 ORDER BY alert`, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("incident %s: reading its alerts: %w", id, err)
	}
	return all[Alert](rows)
}

func one(row *sql.Row) (Incident, bool, error) {
	var body []byte
	if err := row.Scan(&body); errors.Is(err, sql.ErrNoRows) {
		return Incident{}, false, nil
	} else if err != nil {
		return Incident{}, false, fmt.Errorf("reading an incident: %w", err)
	}
	var in Incident
	if err := json.Unmarshal(body, &in); err != nil {
		return Incident{}, false, core.Wrap(core.KindDamaged, "incident.read", err)
	}
	return in, true, nil
}

func all[T any](rows *sql.Rows) ([]T, error) {
	defer func() { _ = rows.Close() }()
	var list []T
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("incident: reading: %w", err)
		}
		var v T
		if err := json.Unmarshal(body, &v); err != nil {
			return nil, core.Wrap(core.KindDamaged, "incident.read", err)
		}
		list = append(list, v)
	}
	return list, rows.Err()
}
