package seal

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

const columns = `tenant, id, kind, device, site, place, sensor, photo, applied, applied_by, every_days, state, due, overdue, inspected, ended, ended_by,
	reason, replaced_by, replaces, revision`

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (Seal, error) {
	var s Seal
	var applied, due, overdue, inspected, ended int64
	err := row.Scan(&s.Tenant, (*string)(&s.ID), (*string)(&s.Kind), &s.Device, &s.Site, &s.Place, &s.Sensor, &s.Photo, &applied, &s.AppliedBy, &s.EveryDays,
		(*string)(&s.State), &due, &overdue, &inspected, &ended, &s.EndedBy, &s.Reason, (*string)(&s.ReplacedBy), (*string)(&s.Replaces), &s.Revision)
	s.Applied, s.Due, s.Overdue, s.Inspected, s.Ended = moment(applied), moment(due), moment(overdue), moment(inspected), moment(ended)
	return s, err
}

// moment is a stored time, zero where 0 stands for none.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return store.FromMicros(us)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return store.Micros(t)
}

func find(ctx context.Context, tx *store.Tx, tenant core.TenantID, id ID) (Seal, bool, error) {
	s, err := scan(tx.QueryRow(ctx, `SELECT `+columns+` FROM fleet_seals WHERE tenant = $1 AND id = $2`, tenant, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return Seal{}, false, nil
	}
	if err != nil {
		return Seal{}, false, fmt.Errorf("seal: reading %s: %w", id, err)
	}
	return s, true, nil
}

func mustFind(ctx context.Context, tx *store.Tx, tenant core.TenantID, id ID) (Seal, error) {
	s, found, err := find(ctx, tx, tenant, id)
	if err == nil && !found {
		err = core.E(core.KindNotFound, "seal.Get", fmt.Sprintf("there is no seal %s", id))
	}
	return s, err
}

func insert(ctx context.Context, tx *store.Tx, s Seal) error {
	_, err := tx.Exec(ctx, `INSERT INTO fleet_seals (`+columns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)`,
		s.Tenant, string(s.ID), string(s.Kind), s.Device, s.Site, s.Place, s.Sensor, s.Photo, micros(s.Applied), s.AppliedBy, s.EveryDays, string(s.State),
		micros(s.Due), micros(s.Overdue), micros(s.Inspected), micros(s.Ended), s.EndedBy, s.Reason, string(s.ReplacedBy), string(s.Replaces), int64(s.Revision))
	if err != nil {
		return fmt.Errorf("seal: storing %s: %w", s.ID, err)
	}
	return nil
}

// update writes what can change, if nobody else wrote since s was read.
func update(ctx context.Context, tx *store.Tx, s *Seal) error {
	res, err := tx.Exec(ctx, `UPDATE fleet_seals SET state = $1, due = $2, overdue = $3, inspected = $4, ended = $5, ended_by = $6, reason = $7, replaced_by = $8,
		revision = revision + 1 WHERE tenant = $9 AND id = $10 AND revision = $11`,
		string(s.State), micros(s.Due), micros(s.Overdue), micros(s.Inspected), micros(s.Ended), s.EndedBy, s.Reason, string(s.ReplacedBy), s.Tenant, string(s.ID), int64(s.Revision))
	if err != nil {
		return fmt.Errorf("seal: changing %s: %w", s.ID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return core.E(core.KindConflict, "seal.update", fmt.Sprintf("seal %s was changed meanwhile", s.ID)).WithHint("look at it again")
	}
	s.Revision++
	return nil
}

func insertInspection(ctx context.Context, tx *store.Tx, tenant core.TenantID, in Inspection) error {
	_, err := tx.Exec(ctx, `INSERT INTO fleet_seal_inspections (tenant, id, seal, at, person, result, photo, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		tenant, in.ID, string(in.Seal), micros(in.At), in.By, string(in.Result), in.Photo, in.Note)
	if err != nil {
		return fmt.Errorf("seal: storing an inspection of %s: %w", in.Seal, err)
	}
	return nil
}

// overdue lists seals that nobody looked at in time and that were not told of.
func overdue(ctx context.Context, tx *store.Tx, now time.Time, limit int) ([]Seal, error) {
	rows, err := tx.Query(ctx, `SELECT `+columns+` FROM fleet_seals WHERE overdue = 0 AND state = 'intact' AND due <= $1 ORDER BY due LIMIT $2`, micros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("seal: looking for overdue ones: %w", err)
	}
	return collect(rows, scan)
}

func collect[T any](rows *sql.Rows, scan func(scanner) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("seal: reading a row: %w", err)
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// Get reads a seal.
func (s *Seals) Get(ctx context.Context, tenant core.TenantID, id ID) (seal Seal, err error) {
	err = s.p.DB.View(ctx, func(tx *store.Tx) (err error) {
		seal, err = mustFind(ctx, tx, tenant, id)
		return err
	})
	return seal, err
}

// Inspections reads who looked at a seal, the newest first.
func (s *Seals) Inspections(ctx context.Context, tenant core.TenantID, id ID, limit int) (list []Inspection, err error) {
	err = s.p.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, at, person, result, photo, note FROM fleet_seal_inspections WHERE tenant = $1 AND seal = $2 ORDER BY at DESC, id DESC LIMIT $3`,
			tenant, string(id), limit)
		if err != nil {
			return fmt.Errorf("seal: reading inspections of %s: %w", id, err)
		}
		list, err = collect(rows, func(row scanner) (Inspection, error) {
			in := Inspection{Seal: id}
			var at int64
			err := row.Scan(&in.ID, &at, &in.By, (*string)(&in.Result), &in.Photo, &in.Note)
			in.At = moment(at)
			return in, err
		})
		return err
	})
	return list, err
}

// Query selects seals. They come by the time at which somebody should look; the
// ones that ended come last, the latest of them first.
type Query struct {
	Device core.DeviceID // zero for any
	State  State         // "" for all that are on a machine
	All    bool          // with State "": also those that ended
	Due    time.Time     // only intact ones that are due before it; zero for any
	After  int           // how many to leave out
	Limit  int
}

// List reads the seals that a query selects, and how many there are.
func (s *Seals) List(ctx context.Context, tenant core.TenantID, q Query) (list []Seal, total int, err error) {
	where, args := q.where(tenant)
	err = s.p.DB.View(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM fleet_seals WHERE `+where, args...).Scan(&total); err != nil {
			return fmt.Errorf("seal: counting: %w", err)
		}
		rows, err := tx.Query(ctx, `SELECT `+columns+` FROM fleet_seals WHERE `+where+
			` ORDER BY CASE WHEN state IN ('broken', 'missing', 'mismatch') THEN 0 WHEN state = 'intact' THEN 1 ELSE 2 END, ended DESC, due, id LIMIT `+
			strconv.Itoa(q.Limit)+` OFFSET `+strconv.Itoa(q.After), args...)
		if err != nil {
			return fmt.Errorf("seal: listing: %w", err)
		}
		list, err = collect(rows, scan)
		return err
	})
	return list, total, err
}

func (q Query) where(tenant core.TenantID) (string, []any) {
	parts, args := []string{"tenant = $1"}, []any{tenant}
	add := func(condition string, value any) {
		args = append(args, value)
		parts = append(parts, condition+" $"+strconv.Itoa(len(args)))
	}
	if !q.Device.IsZero() {
		add("device =", q.Device)
	}
	switch {
	case q.State != "":
		add("state =", string(q.State))
	case !q.All:
		parts = append(parts, "state NOT IN ('removed', 'replaced')")
	}
	if !q.Due.IsZero() {
		add("state = 'intact' AND due <=", micros(q.Due))
	}
	return strings.Join(parts, " AND "), args
}

// Wanting counts what people have to look after: bad seals and late ones.
func (s *Seals) Wanting(ctx context.Context, tenant core.TenantID) (wrong, late int, err error) {
	err = s.p.DB.View(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM fleet_seals WHERE tenant = $1 AND state IN ('broken', 'missing', 'mismatch')`, tenant).Scan(&wrong); err != nil {
			return fmt.Errorf("seal: counting: %w", err)
		}
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM fleet_seals WHERE tenant = $1 AND state = 'intact' AND due <= $2`, tenant, micros(s.p.Clock.Now())).Scan(&late); err != nil {
			return fmt.Errorf("seal: counting: %w", err)
		}
		return nil
	})
	return wrong, late, err
}
