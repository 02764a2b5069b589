package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// Criticality is how much depends on a device, as people say.
type Criticality string

// The levels. A device of which nobody said is medium.
const (
	CriticalityLow      Criticality = "low"
	CriticalityMedium   Criticality = "medium"
	CriticalityHigh     Criticality = "high"
	CriticalityCritical Criticality = "critical"
)

// Criticalities lists them, the least first.
var Criticalities = []Criticality{CriticalityLow, CriticalityMedium, CriticalityHigh, CriticalityCritical}

// Asset is what people said of a device's worth.
type Asset struct {
	Criticality Criticality
	SetBy       string // "" where nobody said
	SetAt       time.Time
	Reason      string
}

// Asset reads what people said of a device.
func (r *Registry) Asset(ctx context.Context, tenant core.TenantID, id core.DeviceID) (a Asset, err error) {
	a.Criticality = CriticalityMedium
	err = r.db.View(ctx, func(tx *store.Tx) error {
		var at int64
		err := tx.QueryRow(ctx, `SELECT criticality, set_by, set_at, reason FROM fleet_assets WHERE tenant = $1 AND device = $2`, tenant, id).
			Scan((*string)(&a.Criticality), &a.SetBy, &at, &a.Reason)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("fleet: criticality of %q: %w", id, err)
		}
		a.SetAt = micro(at)
		return nil
	})
	return a, err
}

// SetCriticality says how much depends on a device.
func (r *Registry) SetCriticality(ctx context.Context, g core.Guard, who core.Principal, id core.DeviceID, level Criticality, reason string) (Asset, error) {
	const op = "fleet.SetCriticality"
	switch {
	case !slices.Contains(Criticalities, level):
		return Asset{}, core.E(core.KindInvalid, op, fmt.Sprintf("criticality %.40q; known are %v", level, Criticalities))
	case reason == "" || len(reason) > maxReason:
		return Asset{}, core.E(core.KindInvalid, op, fmt.Sprintf("the reason has %d bytes, allowed are 1 to %d", len(reason), maxReason))
	}
	d, err := r.Get(ctx, who.Tenant, id)
	if err != nil {
		return Asset{}, err
	}
	on := ResourceOf(d)
	on.Params = digest(string(level), reason)
	decision, err := permit(ctx, g, who, policy.DeviceCriticality, on)
	if err != nil {
		return Asset{}, err
	}
	a := Asset{Criticality: level, SetBy: who.String(), SetAt: r.clock.Now(), Reason: reason}
	entry := audit.Entry{
		Type: audit.TypeFact, Time: a.SetAt, Actor: a.SetBy, Action: policy.DeviceCriticality, Object: d.Object(), Outcome: string(level), Class: audit.ClassSecurity,
		Body: map[string]any{"reason": reason},
	}
	if decision.Intent != (core.Position{}) {
		entry.Intent = &decision.Intent
	}
	return a, r.db.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO fleet_assets (tenant, device, criticality, set_by, set_at, reason) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (tenant, device) DO UPDATE SET criticality = excluded.criticality, set_by = excluded.set_by, set_at = excluded.set_at, reason = excluded.reason`,
			d.Tenant, d.ID, string(level), a.SetBy, store.Micros(a.SetAt), reason)
		if err != nil {
			return fmt.Errorf("fleet: criticality of %q: %w", id, err)
		}
		return r.facts(ctx, tx, entry)
	})
}
