package detect

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/sigma"
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

func loadRuleset(ctx context.Context, tx *store.Tx, hash string) (*Ruleset, error) {
	var body []byte
	if err := tx.QueryRow(ctx, `SELECT body FROM siem_rulesets WHERE hash = $1`, hash).Scan(&body); err != nil {
		return nil, fmt.Errorf("detect: rule set %.12s: %w", hash, err)
	}
	set, err := decodeFiles(body)
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
	var count int32
	var low int64
	if err := tx.QueryRow(ctx, `SELECT COUNT(*), MIN(at) FROM siem_watermarks WHERE part < $1`, partitions).Scan(&count, &low); err != nil {
		return time.Time{}, false, fmt.Errorf("detect: watermark: %w", err)
	}
	return store.FromMicros(low), count >= partitions, nil
}

// rowWindows keeps windows as rows. Within one transaction each row is read
// once and written once, by flush.
type rowWindows struct {
	tx   *store.Tx
	held map[WindowKey]*heldWindow
}

type heldWindow struct {
	w     sigma.Window
	due   int64
	dirty bool
}

func newRowWindows(tx *store.Tx) *rowWindows {
	return &rowWindows{tx, make(map[WindowKey]*heldWindow)}
}

// Get implements [Windows].
func (r *rowWindows) Get(ctx context.Context, k WindowKey) (sigma.Window, error) {
	if h, ok := r.held[k]; ok {
		return sigma.Window{Entries: slices.Clone(h.w.Entries), Lost: h.w.Lost}, nil
	}
	var body []byte
	err := r.tx.QueryRow(ctx, `SELECT body FROM siem_windows WHERE tenant = $1 AND rule = $2 AND grp = $3 AND simulated = $4`,
		k.Tenant, k.Rule, []byte(k.Group), bit(k.Simulated)).Scan(&body)
	var w sigma.Window
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return w, fmt.Errorf("detect: window of %s: %w", k.Rule, err)
	default:
		if err := json.Unmarshal(body, &w); err != nil {
			return w, core.Wrap(core.KindDamaged, "detect: window of "+k.Rule, err)
		}
	}
	r.held[k] = &heldWindow{w: w}
	return sigma.Window{Entries: slices.Clone(w.Entries), Lost: w.Lost}, nil
}

// Put implements [Windows].
func (r *rowWindows) Put(_ context.Context, k WindowKey, w sigma.Window, due int64) error {
	r.held[k] = &heldWindow{w, due, true}
	return nil
}

// Due implements [Windows].
func (r *rowWindows) Due(ctx context.Context, before int64, limit int) ([]WindowKey, error) {
	if err := r.flush(ctx); err != nil {
		return nil, err
	}
	rows, err := r.tx.Query(ctx, `SELECT tenant, rule, grp, simulated FROM siem_windows WHERE due < $1 ORDER BY tenant, rule, grp, simulated LIMIT $2`, before, limit)
	if err != nil {
		return nil, fmt.Errorf("detect: windows that are due: %w", err)
	}
	defer rows.Close()
	var out []WindowKey
	for rows.Next() {
		var k WindowKey
		var grp []byte
		var simulated int64
		if err := rows.Scan(&k.Tenant, &k.Rule, &grp, &simulated); err != nil {
			return nil, fmt.Errorf("detect: windows that are due: %w", err)
		}
		k.Group, k.Simulated = string(grp), simulated == 1
		out = append(out, k)
	}
	return out, rows.Err()
}

// flush writes what changed, in an order that is the same each time.
func (r *rowWindows) flush(ctx context.Context) error {
	keys := make([]WindowKey, 0, len(r.held))
	for k, h := range r.held {
		if h.dirty {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, WindowKey.compare)
	for _, k := range keys {
		if err := r.write(ctx, k, r.held[k]); err != nil {
			return fmt.Errorf("detect: window of %s: %w", k.Rule, err)
		}
		r.held[k].dirty = false
	}
	return nil
}

func (r *rowWindows) write(ctx context.Context, k WindowKey, h *heldWindow) error {
	if len(h.w.Entries) == 0 {
		_, err := r.tx.Exec(ctx, `DELETE FROM siem_windows WHERE tenant = $1 AND rule = $2 AND grp = $3 AND simulated = $4`, k.Tenant, k.Rule, []byte(k.Group), bit(k.Simulated))
		return err
	}
	body, err := json.Marshal(h.w)
	if err != nil {
		return err
	}
	_, err = r.tx.Exec(ctx, `INSERT INTO siem_windows (tenant, rule, grp, simulated, due, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant, rule, grp, simulated) DO UPDATE SET due = excluded.due, body = excluded.body`,
		k.Tenant, k.Rule, []byte(k.Group), bit(k.Simulated), h.due, body)
	return err
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
