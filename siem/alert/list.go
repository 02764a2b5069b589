package alert

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Query narrows a list. The zero Query lists the latest alerts.
type Query struct {
	State       State // "" for both
	MinSeverity core.Severity
	Rule        string
	Device      core.DeviceID // zero for any
	// Before continues a list: only alerts updated before it, or at the same
	// time with a lower id.
	Before   time.Time
	BeforeID core.UUID
	Limit    int // at most and by default MaxList
}

// MaxList is the longest list that is returned at once.
const MaxList = 1000

// where is the condition of a query. It names only what is asked for, so that
// the database can use an index: each narrowing column stands in one with the
// order of the list behind it.
func (q Query) where(tenant core.TenantID) (string, []any) {
	conditions, args := []string{"tenant = $1"}, []any{tenant}
	add := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(args))))
	}
	switch {
	case q.State != "" && (!q.Device.IsZero() || q.Rule != ""):
		// Not the column itself: one device's alerts are few and all alerts of
		// a state many, and without statistics SQLite takes the index of the
		// state.
		add("COALESCE(state, '') = ?", string(q.State))
	case q.State != "":
		add("state = ?", string(q.State))
	}
	if !q.Device.IsZero() {
		add("device = ?", q.Device)
	}
	if q.Rule != "" {
		add("rule = ?", q.Rule)
	}
	if rank := q.MinSeverity.Rank(); rank > 0 {
		add("severity_rank >= ?", rank)
	}
	return strings.Join(conditions, " AND "), args
}

// List returns alerts, latest change first.
func List(ctx context.Context, tx *store.Tx, tenant core.TenantID, q Query) ([]Alert, error) {
	limit := MaxList
	if q.Limit > 0 {
		limit = min(q.Limit, MaxList)
	}
	if q.MinSeverity.Rank() > 0 {
		return listWorst(ctx, tx, tenant, q, limit)
	}
	return list(ctx, tx, tenant, q, limit, "")
}

// listWorst is List from a severity on. A range of severities and the order of
// the list can't both come from one index, so each severity is read by itself, as
// long as a page, and the page is what is latest of them all.
func listWorst(ctx context.Context, tx *store.Tx, tenant core.TenantID, q Query, limit int) ([]Alert, error) {
	states := []State{q.State}
	if q.State == "" {
		states = []State{StateOpen, StateAcknowledged}
	}
	least := q.MinSeverity.Rank()
	q.MinSeverity = ""
	var all []Alert
	for _, q.State = range states {
		for rank := least; rank < len(core.Severities); rank++ {
			part, err := list(ctx, tx, tenant, q, limit, " AND severity_rank = "+strconv.Itoa(rank))
			if err != nil {
				return nil, err
			}
			all = append(all, part...)
		}
	}
	slices.SortFunc(all, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(store.Micros(b.Updated), store.Micros(a.Updated)), strings.Compare(b.ID.String(), a.ID.String()))
	})
	return all[:min(len(all), limit)], nil
}

// list reads one page by one index.
func list(ctx context.Context, tx *store.Tx, tenant core.TenantID, q Query, limit int, and string) ([]Alert, error) {
	where, args := q.where(tenant)
	where += and
	if !q.Before.IsZero() {
		where += fmt.Sprintf(" AND (updated, id) < ($%d, $%d)", len(args)+1, len(args)+2)
		args = append(args, store.Micros(q.Before), q.BeforeID.String())
	}
	rows, err := tx.Query(ctx, `SELECT body FROM siem_alerts WHERE `+where+` ORDER BY updated DESC, id DESC LIMIT `+strconv.Itoa(limit), args...)
	if err != nil {
		return nil, fmt.Errorf("alert.List: %w", err)
	}
	defer rows.Close()
	var out []Alert
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("alert.List: %w", err)
		}
		a, err := decode(body)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// Total returns how many alerts a query selects, wherever its list begins. What
// is narrowed by state and severity alone was counted when it was written.
func Total(ctx context.Context, tx *store.Tx, tenant core.TenantID, q Query) (n int, err error) {
	count := `SELECT COUNT(*) FROM siem_alerts WHERE `
	if q.Device.IsZero() && q.Rule == "" {
		count = `SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM siem_alert_counts WHERE `
	}
	where, args := q.where(tenant)
	if err := tx.QueryRow(ctx, count+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("alert.Total: %w", err)
	}
	return n, nil
}

// Count returns how many alerts of the tenant are in a state.
func Count(ctx context.Context, tx *store.Tx, tenant core.TenantID, state State) (int, error) {
	return Total(ctx, tx, tenant, Query{State: state})
}

// BySeverity counts the alerts in a state by their severity.
func BySeverity(ctx context.Context, tx *store.Tx, tenant core.TenantID, state State) (map[core.Severity]int, error) {
	rows, err := tx.Query(ctx, `SELECT severity_rank, n FROM siem_alert_counts WHERE tenant = $1 AND state = $2 AND n > 0`, tenant, string(state))
	if err != nil {
		return nil, fmt.Errorf("alert.BySeverity: %w", err)
	}
	defer rows.Close()
	counts := map[core.Severity]int{}
	for rows.Next() {
		var rank, n int
		if err := rows.Scan(&rank, &n); err != nil {
			return nil, fmt.Errorf("alert.BySeverity: %w", err)
		}
		if rank >= 0 && rank < len(core.Severities) {
			counts[core.Severities[rank]] += n
		}
	}
	return counts, rows.Err()
}
