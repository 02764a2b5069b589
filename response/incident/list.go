package incident

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// MaxList is the most incidents that one List returns.
const MaxList = 1000

// Filter selects incidents.
type Filter struct {
	OpenOnly bool
	State    State         // "" for any
	Device   core.DeviceID // zero for any
	// Before continues a list: only incidents detected before it, or at the
	// same time with a lower id.
	Before   time.Time
	BeforeID core.UUID
	Limit    int // 0 means MaxList
}

// where is the condition of a filter. It names only what is asked for, so that
// the database can use an index.
func (f Filter) where(tenant core.TenantID) (string, []any) {
	conditions, args := []string{"tenant = $1"}, []any{tenant}
	add := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, condition+" = $"+strconv.Itoa(len(args)))
	}
	if f.OpenOnly {
		conditions = append(conditions, "is_open = 1")
	}
	if f.State != "" {
		add("state", string(f.State))
	}
	if !f.Device.IsZero() {
		add("subject", "device/"+f.Device.String())
	}
	return strings.Join(conditions, " AND "), args
}

// List reads incidents, the newest first.
func (s *Store) List(ctx context.Context, tx *store.Tx, tenant core.TenantID, f Filter) ([]Incident, error) {
	if f.Limit <= 0 || f.Limit > MaxList {
		f.Limit = MaxList
	}
	where, args := f.where(tenant)
	if !f.Before.IsZero() {
		where += fmt.Sprintf(" AND (detected, id) < ($%d, $%d)", len(args)+1, len(args)+2)
		args = append(args, store.Micros(f.Before), f.BeforeID.String())
	}
	rows, err := tx.Query(ctx, `SELECT body FROM response_incidents WHERE `+where+` ORDER BY detected DESC, id DESC LIMIT `+strconv.Itoa(f.Limit), args...)
	if err != nil {
		return nil, fmt.Errorf("incident: listing: %w", err)
	}
	return all[Incident](rows)
}

// Count returns how many incidents a filter selects, wherever its list begins.
func (s *Store) Count(ctx context.Context, tx *store.Tx, tenant core.TenantID, f Filter) (n int, err error) {
	where, args := f.where(tenant)
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM response_incidents WHERE `+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("incident: counting: %w", err)
	}
	return n, nil
}

// LastReal tells when the last real incident was over, and whether one is open
// now. Exercises are none, nor is what turned out to be nothing or another
// incident's. The zero time means that there never was one.
func (s *Store) LastReal(ctx context.Context, tx *store.Tx, tenant core.TenantID) (open bool, last time.Time, err error) {
	var is, at int64
	err = tx.QueryRow(ctx, `SELECT is_open, CASE WHEN is_open = 1 THEN detected ELSE ended END FROM response_incidents
		WHERE tenant = $1 AND simulated = 0 AND state NOT IN ($2, $3) ORDER BY is_open DESC, ended DESC LIMIT 1`,
		tenant, string(StateFalsePositive), string(StateMerged)).Scan(&is, &at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, time.Time{}, nil
	case err != nil:
		return false, time.Time{}, fmt.Errorf("incident: looking for the last one: %w", err)
	}
	return is == 1, store.FromMicros(at), nil
}

// ended is when an incident was over, as it is stored: 0 while it is open.
func (in Incident) ended() int64 {
	switch {
	case in.State.Open():
		return 0
	case in.Stamps.Closed.IsZero():
		return in.Stamps.Detected.UnixMicro()
	}
	return in.Stamps.Closed.UnixMicro()
}
