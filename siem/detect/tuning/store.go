package tuning

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// Migrations returns the schema of the tables siem_tuning and siem_trials.
func Migrations() store.Migrations {
	return store.Migrations{Owner: "siem_tuning", FS: migrations}
}

// row is a change as its row says it.
type row struct {
	record
	warned int64
}

func (t *Tuning) rows(ctx context.Context, tx *store.Tx) (map[string]row, error) {
	rows, err := tx.Query(ctx, `SELECT object, revision, claim, warned FROM siem_tuning WHERE tenant = $1 ORDER BY object`, t.parts.Tenant)
	if err != nil {
		return nil, fmt.Errorf("tuning: reading rows: %w", err)
	}
	defer rows.Close()
	out := map[string]row{}
	for rows.Next() {
		var object string
		var body []byte
		var revision int64
		var r row
		if err := rows.Scan(&object, &revision, &body, &r.warned); err != nil {
			return nil, fmt.Errorf("tuning: reading rows: %w", err)
		}
		r.revision = uint64(revision)
		if err := json.Unmarshal(body, &r.claim); err != nil {
			r.claim = claim{} // says other than the log, whatever that says
		}
		out[object] = r
	}
	return out, rows.Err()
}

// write puts a change into its row and the outbox.
func (t *Tuning) write(ctx context.Context, tx *store.Tx, c change, revision uint64) error {
	_, err := tx.Exec(ctx, `INSERT INTO siem_tuning (tenant, object, revision, claim, warned) VALUES ($1, $2, $3, $4, 0)
		ON CONFLICT (tenant, object) DO UPDATE SET revision = excluded.revision, claim = excluded.claim, warned = 0`,
		t.parts.Tenant, c.object, int64(revision), c.claim.bytes())
	if err != nil {
		return fmt.Errorf("tuning: writing %s: %w", c.object, err)
	}
	err = t.parts.Facts(ctx, tx, audit.Entry{
		Type: audit.TypeAuthority, Time: t.parts.Clock.Now(), Actor: c.actor, Action: c.action, Object: c.object, Revision: revision,
		Outcome: string(c.claim.State), Class: audit.ClassSecurity, Subject: "installation", Intent: &c.intent, Body: c.claim,
	})
	if err != nil {
		return fmt.Errorf("tuning: audit of %s: %w", c.object, err)
	}
	return nil
}

// warn notes that people were told of an end that is near.
func (t *Tuning) warn(ctx context.Context, tx *store.Tx, object string, until int64) error {
	if _, err := tx.Exec(ctx, `UPDATE siem_tuning SET warned = $3 WHERE tenant = $1 AND object = $2`, t.parts.Tenant, object, until); err != nil {
		return fmt.Errorf("tuning: noting a notice of %s: %w", object, err)
	}
	return nil
}

// maxTrials is how many results of back-tests are kept.
const maxTrials = 100

func (t *Tuning) keepTrial(ctx context.Context, tx *store.Tx, hash string, made time.Time, body []byte) error {
	_, err := tx.Exec(ctx, `INSERT INTO siem_trials (tenant, hash, made, body) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, hash) DO UPDATE SET made = excluded.made`,
		t.parts.Tenant, hash, store.Micros(made), body)
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM siem_trials WHERE tenant = $1 AND hash NOT IN (SELECT hash FROM siem_trials WHERE tenant = $1 ORDER BY made DESC, hash LIMIT $2)`,
			t.parts.Tenant, maxTrials)
	}
	if err != nil {
		return fmt.Errorf("tuning: keeping a back-test: %w", err)
	}
	return nil
}

// trial returns what a back-test showed.
func (t *Tuning) trial(ctx context.Context, hash string) (made time.Time, body []byte, err error) {
	var at int64
	err = t.parts.State.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `SELECT made, body FROM siem_trials WHERE tenant = $1 AND hash = $2`, t.parts.Tenant, hash).Scan(&at, &body)
	})
	if err != nil {
		return time.Time{}, nil, core.E(core.KindNotFound, "tuning.Trial", fmt.Sprintf("no back-test showed %.12s", hash)).WithHint("run one: interlock rules backtest FILE")
	}
	return store.FromMicros(at), body, nil
}
