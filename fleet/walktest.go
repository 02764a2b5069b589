package fleet

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// WalkTest is the report of a walk test: somebody went around the machine and
// set each sensor off. It means something once a person has signed it off.
type WalkTest struct {
	// Hash is the SHA-256, hex, of the report as the device made it.
	Hash      string
	At        time.Time // as the device says
	Received  time.Time
	Simulated bool
	Body      json.RawMessage
	// Signed is zero until a person put their name under it.
	Signed   time.Time
	SignedBy string
	Note     string
}

// putWalkTest keeps a report beside those that were signed off. Of the others
// only the last one stays, so that no device fills the table.
func putWalkTest(ctx context.Context, tx *store.Tx, d Device, e link.DeviceEvent, at time.Time) error {
	sum := sha256.Sum256(e.Fields)
	hash := hex.EncodeToString(sum[:])
	if _, err := tx.Exec(ctx, `DELETE FROM fleet_walk_tests WHERE tenant = $1 AND device = $2 AND signed = 0 AND hash <> $3`, d.Tenant, d.ID, hash); err != nil {
		return fmt.Errorf("fleet: walk tests of device %q: %w", d.ID, err)
	}
	_, err := tx.Exec(ctx, `INSERT INTO fleet_walk_tests (tenant, device, hash, at, received, simulated, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (tenant, device, hash) DO NOTHING`, d.Tenant, d.ID, hash, e.Time, store.Micros(at), flag(e.Simulated), []byte(e.Fields))
	if err != nil {
		return fmt.Errorf("fleet: walk test of device %q: %w", d.ID, err)
	}
	return nil
}

const selectWalkTest = `SELECT hash, at, received, simulated, body, signed, signed_by, note FROM fleet_walk_tests WHERE tenant = $1 AND device = $2`

func scanWalkTest(s scanner) (w WalkTest, err error) {
	var at, received, simulated, signed int64
	err = s.Scan(&w.Hash, &at, &received, &simulated, (*[]byte)(&w.Body), &signed, &w.SignedBy, &w.Note)
	w.At, w.Received, w.Simulated = micro(at), micro(received), simulated == 1
	if signed != 0 {
		w.Signed = micro(signed)
	}
	return w, err
}

// maxWalkTests is how many a list has.
const maxWalkTests = 20

// WalkTests reads the walk tests of a device, the newest first.
func (r *Registry) WalkTests(ctx context.Context, tenant core.TenantID, id core.DeviceID) (list []WalkTest, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, selectWalkTest+` ORDER BY received DESC, hash LIMIT $3`, tenant, id, maxWalkTests)
		if err != nil {
			return fmt.Errorf("fleet: walk tests of %q: %w", id, err)
		}
		list, err = collect(rows, scanWalkTest)
		return err
	})
	return list, err
}

// SignWalkTest puts a person's name under exactly the report of this hash.
// Evidence is what proves that it was that person; it goes into the audit log.
func (r *Registry) SignWalkTest(ctx context.Context, g core.Guard, who core.Principal, id core.DeviceID, hash, note string, evidence any) (WalkTest, error) {
	if !isHash(hash) || len(note) > maxReason {
		return WalkTest{}, core.E(core.KindInvalid, "fleet.SignWalkTest", fmt.Sprintf("a walk test is named by its SHA-256, and the note has at most %d bytes", maxReason))
	}
	d, err := r.Get(ctx, who.Tenant, id)
	if err != nil {
		return WalkTest{}, err
	}
	on := ResourceOf(d)
	on.Params = digest(hash, note)
	decision, err := permit(ctx, g, who, policy.DeviceSignOff, on)
	if err != nil {
		return WalkTest{}, err
	}
	var w WalkTest
	err = r.db.Tx(ctx, func(tx *store.Tx) (err error) {
		w, err = r.signOff(ctx, tx, who, d, hash, note, evidence, decision)
		return err
	})
	return w, err
}

func (r *Registry) signOff(ctx context.Context, tx *store.Tx, who core.Principal, d Device, hash, note string, evidence any, decision core.Decision) (WalkTest, error) {
	w, err := scanWalkTest(tx.QueryRow(ctx, selectWalkTest+` AND hash = $3`, d.Tenant, d.ID, hash))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return w, core.E(core.KindConflict, "fleet.SignWalkTest", fmt.Sprintf("device %q has reported another walk test, or none", d.ID)).WithHint("read the report that is there now")
	case err != nil:
		return w, fmt.Errorf("fleet: walk test of %q: %w", d.ID, err)
	case !w.Signed.IsZero():
		return w, core.E(core.KindConflict, "fleet.SignWalkTest", fmt.Sprintf("%s signed it off on %s", w.SignedBy, w.Signed.Format(time.DateOnly)))
	}
	w.Signed, w.SignedBy, w.Note = r.clock.Now(), who.String(), note
	if _, err := tx.Exec(ctx, `UPDATE fleet_walk_tests SET signed = $1, signed_by = $2, note = $3 WHERE tenant = $4 AND device = $5 AND hash = $6`,
		store.Micros(w.Signed), w.SignedBy, note, d.Tenant, d.ID, hash); err != nil {
		return w, fmt.Errorf("fleet: signing off a walk test of %q: %w", d.ID, err)
	}
	entry := audit.Entry{
		Type: audit.TypeFact, Time: w.Signed, Actor: who.String(), Action: policy.DeviceSignOff, Object: d.Object(), Outcome: "signed-off", Class: audit.ClassSecurity,
		Body: map[string]any{"walk_test": hash, "note": note, "report": w.Body, "evidence": evidence},
	}
	if decision.Intent != (core.Position{}) {
		entry.Intent = &decision.Intent
	}
	if err := r.facts(ctx, tx, entry); err != nil {
		return w, fmt.Errorf("fleet: audit of a walk test of %q: %w", d.ID, err)
	}
	return w, r.raise(ctx, tx, alarm{
		tenant: d.Tenant, device: d.ID, kind: AlarmWalkTestSigned, severity: core.SeverityInfo, at: w.Signed,
		fields: map[string]any{"by": w.SignedBy, "hash": hash, "note": note},
	})
}

// AlarmWalkTestSigned is the event of a walk test that a person signed off.
const AlarmWalkTestSigned = "walk_test_signed"
