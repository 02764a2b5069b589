package detect

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// Migrations returns the schema of the tables siem_rulesets,
// siem_ruleset_in_force, siem_watermarks and siem_windows.
func Migrations() store.Migrations {
	return store.Migrations{Owner: "siem_detect", FS: migrations}
}

// correlatePart is the correlate stage's row in siem_ruleset_in_force.
const correlatePart = -1

// keepRuleset stores a set and puts it in force for a part.
func keepRuleset(ctx context.Context, tx *store.Tx, part int32, set *Ruleset, at time.Time) error {
	body, err := set.packed()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO siem_rulesets (hash, since, body) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING`, set.Hash, store.Micros(at), body)
	if err != nil {
		return fmt.Errorf("detect: keeping a rule set: %w", err)
	}
	return enforce(ctx, tx, part, set.Hash)
}

func enforce(ctx context.Context, tx *store.Tx, part int32, hash string) error {
	_, err := tx.Exec(ctx, `INSERT INTO siem_ruleset_in_force (part, hash) VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET hash = excluded.hash`, part, hash)
	if err != nil {
		return fmt.Errorf("detect: putting a rule set in force: %w", err)
	}
	return nil
}

// inForce returns the hash of a part's rule set, "" where none was announced.
func inForce(ctx context.Context, tx *store.Tx, part int32) (string, error) {
	var hash string
	err := tx.QueryRow(ctx, `SELECT hash FROM siem_ruleset_in_force WHERE part = $1`, part).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return hash, err
}

func loadRuleset(ctx context.Context, tx *store.Tx, l *Library, hash string) (*Ruleset, error) {
	if set := l.find(hash); set != nil {
		return set, nil
	}
	var body []byte
	if err := tx.QueryRow(ctx, `SELECT body FROM siem_rulesets WHERE hash = $1`, hash).Scan(&body); err != nil {
		return nil, fmt.Errorf("detect: rule set %.12s: %w", hash, err)
	}
	set, err := l.unpack(body)
	if err == nil && set.Hash != hash {
		return nil, core.E(core.KindDamaged, "detect.loadRuleset", fmt.Sprintf("rule set %.12s is not what its hash says", hash))
	}
	return set, err
}

// moveWatermark notes a partition's watermark and returns the lowest of all;
// false while a partition has not spoken yet. A watermark never goes back.
func moveWatermark(ctx context.Context, tx *store.Tx, part, partitions int32, at time.Time) (time.Time, bool, error) {
	_, err := tx.Exec(ctx, `INSERT INTO siem_watermarks (part, at) VALUES ($1, $2)
		ON CONFLICT (part) DO UPDATE SET at = CASE WHEN excluded.at > siem_watermarks.at THEN excluded.at ELSE siem_watermarks.at END`, part, store.Micros(at))
	if err != nil {
		return time.Time{}, false, fmt.Errorf("detect: watermark: %w", err)
	}
	return lowWatermark(ctx, tx, partitions)
}

func lowWatermark(ctx context.Context, tx *store.Tx, partitions int32) (time.Time, bool, error) {
	var count int32
	var low int64
	if err := tx.QueryRow(ctx, `SELECT COUNT(*), COALESCE(MIN(at), 0) FROM siem_watermarks WHERE part < $1`, partitions).Scan(&count, &low); err != nil {
		return time.Time{}, false, fmt.Errorf("detect: watermark: %w", err)
	}
	return store.FromMicros(low), count >= partitions, nil
}

// windowRow is a row of siem_windows as it stands there, whatever it says.
type windowRow struct {
	tenant, rule string
	grp          []byte
	simulated    int64
}

// restoreWindows gives a state what the rows remember. Rows of a correlation that
// is gone, or that groups or counts by something else now, go. So does a row that
// is damaged, by itself: damaged names the correlations that lost groups with it,
// and how many.
func restoreWindows(ctx context.Context, tx *store.Tx, set *Ruleset, state *correlate.State) (damaged map[string]uint64, err error) {
	rows, err := tx.Query(ctx, `SELECT tenant, rule, grp, simulated, body FROM siem_windows ORDER BY tenant, rule, grp, simulated`)
	if err != nil {
		return nil, fmt.Errorf("detect: windows: %w", err)
	}
	defer rows.Close()
	shapes, gone := shapesOf(set), make(map[string]bool)
	var bad []windowRow
	for rows.Next() {
		var r windowRow
		var body []byte
		if err := rows.Scan(&r.tenant, &r.rule, &r.grp, &r.simulated, &body); err != nil {
			return nil, fmt.Errorf("detect: windows: %w", err)
		}
		if !shapes[r.rule] {
			gone[r.rule] = true
		} else if !r.restore(state, body) {
			bad = append(bad, r)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("detect: windows: %w", err)
	}
	for _, shape := range slices.Sorted(maps.Keys(gone)) {
		if _, err := tx.Exec(ctx, `DELETE FROM siem_windows WHERE rule = $1`, shape); err != nil {
			return nil, fmt.Errorf("detect: windows of %s: %w", shape, err)
		}
	}
	return dropDamaged(ctx, tx, bad)
}

// restore reports whether the row could be read.
func (r windowRow) restore(state *correlate.State, body []byte) bool {
	tenant, err := core.ParseID[core.TenantID](r.tenant)
	if err != nil || r.simulated != bit(r.simulated == 1) {
		return false
	}
	k := correlate.Key{Scope: scopeOf(tenant, r.simulated == 1), Rule: r.rule, Group: string(r.grp)}
	return state.Restore(k, body) == nil
}

func dropDamaged(ctx context.Context, tx *store.Tx, bad []windowRow) (map[string]uint64, error) {
	damaged := make(map[string]uint64, len(bad))
	for _, r := range bad {
		if _, err := tx.Exec(ctx, `DELETE FROM siem_windows WHERE tenant = $1 AND rule = $2 AND grp = $3 AND simulated = $4`, r.tenant, r.rule, r.grp, r.simulated); err != nil {
			return nil, fmt.Errorf("detect: a damaged window of %s: %w", r.rule, err)
		}
		damaged[r.rule]++
	}
	return damaged, nil
}

// saveWindows writes the groups that changed.
func saveWindows(ctx context.Context, tx *store.Tx, state *correlate.State) error {
	put := func(k correlate.Key, body []byte, due int64) error {
		tenant, simulated, err := scopeParts(k.Scope)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO siem_windows (tenant, rule, grp, simulated, due, body) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (tenant, rule, grp, simulated) DO UPDATE SET due = excluded.due, body = excluded.body`,
			tenant, k.Rule, []byte(k.Group), bit(simulated), due, body)
		return err
	}
	drop := func(k correlate.Key) error {
		tenant, simulated, err := scopeParts(k.Scope)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM siem_windows WHERE tenant = $1 AND rule = $2 AND grp = $3 AND simulated = $4`, tenant, k.Rule, []byte(k.Group), bit(simulated))
		return err
	}
	if err := state.Changes(put, drop); err != nil {
		return fmt.Errorf("detect: windows: %w", err)
	}
	return nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
