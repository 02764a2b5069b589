package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/safety/stop"
)

// Registry holds the rows of the devices. It is the one writer of their
// identities; [Fold] writes what they say of themselves.
type Registry struct {
	db        *store.DB
	facts     Facts
	clock     core.Clock
	authority *Authority // nil: nobody is vouched for
}

// NewRegistry returns a registry over the state database.
func NewRegistry(db *store.DB, facts Facts, clock core.Clock) *Registry {
	return &Registry{db: db, facts: facts, clock: clock}
}

const deviceColumns = `tenant, id, site, identity, spki, short_code, protection, serial, token, first_use, enrolled, revision, link, contained,
	last_seen, epoch, sequence, hash, state_counter, boot, policy_version, root_version, log_size, log_root`

type scanner interface{ Scan(dest ...any) error }

func scanDevice(row scanner) (Device, error) {
	var d Device
	var first, enrolled, contained, seen int64
	err := row.Scan(&d.Tenant, &d.ID, &d.Site, (*string)(&d.Identity), &d.Key, &d.ShortCode, &d.Protection, &d.Serial, &d.Token, &first, &enrolled,
		&d.Revision, (*string)(&d.Link), &contained, &seen, &d.Known.Epoch, &d.Known.Sequence, &d.Known.Hash, &d.Known.StateCounter, &d.Known.Boot,
		&d.Known.PolicyVersion, &d.Known.RootVersion, &d.Known.LogSize, &d.Known.LogRoot)
	if err != nil {
		return Device{}, err
	}
	d.FirstUse, d.Contained, d.Enrolled = first == 1, contained != 0, store.FromMicros(enrolled)
	if seen != 0 {
		d.Known.LastSeen = store.FromMicros(seen)
	}
	d.row = rowClaim(d)
	return d, nil
}

// Get reads one device, as far as row and log agree on it; an unknown one is an
// error of kind not-found.
func (r *Registry) Get(ctx context.Context, tenant core.TenantID, id core.DeviceID) (Device, error) {
	var d Device
	err := r.db.View(ctx, func(tx *store.Tx) (err error) {
		d, err = getDevice(ctx, tx, tenant, id)
		return err
	})
	if err != nil {
		return Device{}, err
	}
	return r.believed(d), nil
}

func getDevice(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.DeviceID) (Device, error) {
	d, err := scanDevice(tx.QueryRow(ctx, `SELECT `+deviceColumns+` FROM fleet_devices WHERE tenant = $1 AND id = $2`, tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Device{}, core.E(core.KindNotFound, "fleet.Device", fmt.Sprintf("there is no device %q", id))
	}
	if err != nil {
		return Device{}, fmt.Errorf("fleet: reading device %q: %w", id, err)
	}
	return d, nil
}

// SiteOf reads where a device stands, inside a transaction of the caller.
func SiteOf(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.DeviceID) (core.SiteID, error) {
	d, err := getDevice(ctx, tx, tenant, id)
	return d.Site, err
}

// lock is [Registry.Get] for a transaction that will write the row.
func (r *Registry) lock(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.DeviceID) (Device, error) {
	if s := tx.Dialect().ForUpdate(); s != "" {
		var one int
		err := tx.QueryRow(ctx, `SELECT 1 FROM fleet_devices WHERE tenant = $1 AND id = $2`+s, tenant, id).Scan(&one)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return Device{}, fmt.Errorf("fleet: locking device %q: %w", id, err)
		}
	}
	d, err := getDevice(ctx, tx, tenant, id)
	if err != nil {
		return Device{}, err
	}
	return r.believed(d), nil
}

// MaxList is the most rows that one call returns.
const MaxList = 1000

// List reads the devices of a tenant by name, beginning after one.
func (r *Registry) List(ctx context.Context, tenant core.TenantID, after core.DeviceID, limit int) ([]Device, error) {
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	var list []Device
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+deviceColumns+` FROM fleet_devices WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3`, tenant, after, limit)
		if err != nil {
			return fmt.Errorf("fleet: listing devices: %w", err)
		}
		list, err = collect(rows, scanDevice)
		return err
	})
	return list, err
}

// States counts the devices of a tenant by the word that boards show.
func (r *Registry) States(ctx context.Context, tenant core.TenantID) (map[core.DeviceState]int, error) {
	states := map[core.DeviceState]int{}
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `SELECT identity, contained <> 0, link, COUNT(*) FROM fleet_devices WHERE tenant = $1 GROUP BY identity, contained <> 0, link`, tenant)
		if err != nil {
			return fmt.Errorf("fleet: counting devices: %w", err)
		}
		clear(states)
		_, err = collect(rows, func(s scanner) (d Device, err error) {
			var n int
			err = s.Scan((*string)(&d.Identity), &d.Contained, (*string)(&d.Link), &n)
			states[d.State()] += n
			return d, err
		})
		return err
	})
	return states, err
}

// Sensors reads what a device last said of its sensors.
func (r *Registry) Sensors(ctx context.Context, tenant core.TenantID, id core.DeviceID) ([]Sensor, error) {
	var list []Sensor
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `SELECT sensor, state, since, simulated FROM fleet_sensors WHERE tenant = $1 AND device = $2 ORDER BY sensor`, tenant, id)
		if err != nil {
			return fmt.Errorf("fleet: reading sensors of %q: %w", id, err)
		}
		list, err = collect(rows, func(row scanner) (Sensor, error) {
			var s Sensor
			var since, simulated int64
			err := row.Scan(&s.ID, (*string)(&s.State), &since, &simulated)
			s.Since, s.Simulated = store.FromMicros(since), simulated == 1
			return s, err
		})
		return err
	})
	return list, err
}

// Latches reads the latches of a device, the open ones only if openOnly.
func (r *Registry) Latches(ctx context.Context, tenant core.TenantID, id core.DeviceID, openOnly bool) ([]Latch, error) {
	var list []Latch
	err := r.db.View(ctx, func(tx *store.Tx) (err error) {
		list, err = latches(ctx, tx, tenant, id, openOnly)
		return err
	})
	return list, err
}

func latches(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.DeviceID, openOnly bool) ([]Latch, error) {
	rows, err := tx.Query(ctx, `SELECT latch, sensor, type, since, is_open, simulated FROM fleet_latches
		WHERE tenant = $1 AND device = $2 AND is_open >= $3 ORDER BY since, latch`, tenant, id, flag(openOnly))
	if err != nil {
		return nil, fmt.Errorf("fleet: reading latches of %q: %w", id, err)
	}
	return collect(rows, func(row scanner) (Latch, error) {
		var l Latch
		var since, open, simulated int64
		err := row.Scan(&l.ID, &l.Sensor, &l.Type, &since, &open, &simulated)
		l.Since, l.Open, l.Simulated = store.FromMicros(since), open == 1, simulated == 1
		return l, err
	})
}

// deviceChannel wakes the streams of a device, in every process, when there is
// something for it or when it may no longer be spoken to.
func deviceChannel(tenant core.TenantID, id core.DeviceID) string {
	return "fleet/" + tenant.String() + "/" + id.String()
}

// rootChannel wakes all streams of a tenant: there is a new trust root.
func rootChannel(tenant core.TenantID) string { return "fleet-root/" + tenant.String() }

// setIdentity moves a device's identity inside tx and leaves the authority
// entry by which the registry can be folded again. It writes all that the entry
// says: a row is the log's cache.
func (r *Registry) setIdentity(ctx context.Context, tx *store.Tx, d Device, to Identity, by, reason string, intent core.Position) error {
	if d.Identity == IdentityRetired {
		return core.E(core.KindConflict, "fleet.Registry", fmt.Sprintf("device %q is retired; that is for good", d.ID)).
			WithHint("enrol the machine again under another name")
	}
	d.Identity, d.Revision = to, d.Revision+1
	_, err := tx.Exec(ctx, `UPDATE fleet_devices SET identity = $1, revision = $2, site = $3, spki = $4, short_code = $5, token = $6, first_use = $7, protection = $8
		WHERE tenant = $9 AND id = $10`, string(to), int64(d.Revision), d.Site, d.Key, d.ShortCode, d.Token, flag(d.FirstUse), d.Protection, d.Tenant, d.ID)
	if err != nil {
		return fmt.Errorf("fleet: device %q becomes %s: %w", d.ID, to, err)
	}
	if err := tx.Notify(ctx, deviceChannel(d.Tenant, d.ID)); err != nil {
		return fmt.Errorf("fleet: telling the streams of device %q: %w", d.ID, err)
	}
	return r.record(ctx, tx, d, "device."+string(to), by, reason, intent)
}

// record leaves the authority entry of a device's present revision.
func (r *Registry) record(ctx context.Context, tx *store.Tx, d Device, what, by, reason string, intent core.Position) error {
	err := r.grant(ctx, tx, d.Object(), rowClaim(d), reason, audit.Entry{
		Actor: by, Action: core.Action(what), Outcome: string(d.Identity), Intent: &intent,
	})
	if err != nil {
		return fmt.Errorf("fleet: audit of device %q: %w", d.ID, err)
	}
	return nil
}

// grant leaves an authority entry, in tx, that says all there is to say of an
// object.
func (r *Registry) grant(ctx context.Context, tx *store.Tx, object string, c claim, reason any, e audit.Entry) error {
	e.Type, e.Time, e.Object, e.Revision, e.Class = audit.TypeAuthority, r.clock.Now(), object, c.Revision, audit.ClassSecurity
	e.Body = struct {
		claim
		Reason any `json:"reason"`
	}{c, reason}
	if e.Intent != nil && *e.Intent == (core.Position{}) {
		e.Intent = nil
	}
	if err := r.facts(ctx, tx, e); err != nil {
		return err
	}
	r.expect(tx, object, c)
	return nil
}

// Targets lists the devices that a stop is for, for the stop path's roster. A
// suspended one may not be spoken to, but its machine may run: a stop that did
// not reach it must say so by name.
func (r *Registry) Targets(ctx context.Context) ([]stop.Target, error) {
	var list []stop.Target
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `SELECT tenant, site, id FROM fleet_devices WHERE identity IN ($1, $2) ORDER BY tenant, id`,
			string(IdentityActive), string(IdentitySuspended))
		if err != nil {
			return fmt.Errorf("fleet: listing targets: %w", err)
		}
		list, err = collect(rows, func(s scanner) (t stop.Target, err error) {
			return t, s.Scan(&t.Tenant, &t.Site, &t.Device)
		})
		return err
	})
	return list, err
}

// contain notes that a quarantine was ordered or reported at a time, if none
// was before.
func contain(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.DeviceID, at time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE fleet_devices SET contained = $1 WHERE tenant = $2 AND id = $3 AND contained = 0`, store.Micros(at), tenant, id); err != nil {
		return fmt.Errorf("fleet: containment of device %q: %w", id, err)
	}
	return nil
}

// uncontain notes that a quarantine is over.
func uncontain(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.DeviceID) error {
	if _, err := tx.Exec(ctx, `UPDATE fleet_devices SET contained = 0 WHERE tenant = $1 AND id = $2`, tenant, id); err != nil {
		return fmt.Errorf("fleet: containment of device %q: %w", id, err)
	}
	return nil
}

// freed reports whether persons have signed a release of the device since it was
// contained. Only what passed [Orders.Approve] has a cursor.
func freed(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.DeviceID) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM fleet_orders o JOIN fleet_devices d ON d.tenant = o.tenant AND d.id = o.device
		WHERE o.tenant = $1 AND o.device = $2 AND o.type = $3 AND o.cursor > 0 AND o.created >= d.contained`, tenant, id, string(link.OrderRelease)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("fleet: releases of device %q: %w", id, err)
	}
	return n > 0, nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func collect[T any](rows *sql.Rows, scan func(scanner) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("fleet: reading a row: %w", err)
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// micros is a time as it is stored, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return store.Micros(t)
}
