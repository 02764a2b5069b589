package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Exposure is what the registry knows of a device that makes it easier to get at,
// or its word less worth.
type Exposure struct {
	Device      Device
	Criticality Criticality
	Arming      core.Arming // "" where it has not said
	Faults      int         // sensors in fault, stale or unknown
	Bypassed    int
	Latches     int
	BadSeals    int
	LateSeals   int
	Walked      bool // a person signed a walk test off that was whole, on real sensors
	LostEvents  bool
}

// Exposures reads the exposure of every device that has not retired, or of one.
func (r *Registry) Exposures(ctx context.Context, tenant core.TenantID, only core.DeviceID) (list []Exposure, err error) {
	err = r.db.View(ctx, func(tx *store.Tx) error {
		list = nil
		c := &conditions{}
		c.add("tenant = ? AND identity NOT IN (?, ?)", tenant, string(IdentityRetired), string(IdentityPending))
		if !only.IsZero() {
			c.add("id = ?", only)
		}
		rows, err := tx.Query(ctx, `SELECT `+deviceColumns+` FROM fleet_devices WHERE `+c.where()+` ORDER BY id`, c.args...)
		if err != nil {
			return fmt.Errorf("fleet: listing devices: %w", err)
		}
		devices, err := collect(rows, scanDevice)
		if err != nil {
			return err
		}
		at := make(map[core.DeviceID]*Exposure, len(devices))
		list = make([]Exposure, len(devices))
		for i, d := range devices {
			list[i] = Exposure{Device: d, Criticality: CriticalityMedium}
			at[d.ID] = &list[i]
		}
		return exposures(ctx, tx, tenant, only, store.Micros(r.clock.Now()), at)
	})
	return list, err
}

// exposures fills in what stands in other tables, each read once.
func exposures(ctx context.Context, tx *store.Tx, tenant core.TenantID, only core.DeviceID, now int64, at map[core.DeviceID]*Exposure) error {
	for _, part := range []struct {
		query string
		into  func(e *Exposure, word string, n int64)
	}{
		{`SELECT device, state, COUNT(*) FROM fleet_sensors WHERE tenant = $1%s AND state <> 'ok' GROUP BY device, state`, func(e *Exposure, state string, n int64) {
			switch core.SensorState(state) {
			case core.SensorBypassed:
				e.Bypassed += int(n)
			case core.SensorAlarm: // its latch or its alert counts
			default:
				e.Faults += int(n)
			}
		}},
		{`SELECT device, '', COUNT(*) FROM fleet_latches WHERE tenant = $1%s AND is_open = 1 GROUP BY device`, func(e *Exposure, _ string, n int64) { e.Latches = int(n) }},
		{`SELECT device, state, MIN(due) FROM fleet_seals WHERE tenant = $1%s AND state NOT IN ('removed', 'replaced') GROUP BY device, state, id`, func(e *Exposure, state string, due int64) {
			switch {
			case state != "intact":
				e.BadSeals++
			case due <= now:
				e.LateSeals++
			}
		}},
		{`SELECT device, body, signed FROM fleet_walk_tests WHERE tenant = $1%s AND signed > 0 AND simulated = 0`, func(e *Exposure, report string, _ int64) {
			e.Walked = e.Walked || complete(report)
		}},
		{`SELECT device, criticality, set_at FROM fleet_assets WHERE tenant = $1%s`, func(e *Exposure, level string, _ int64) { e.Criticality = Criticality(level) }},
	} {
		if err := eachDevice(ctx, tx, tenant, only, part.query, func(id core.DeviceID, word string, n int64) {
			if e := at[id]; e != nil {
				part.into(e, word, n)
			}
		}); err != nil {
			return err
		}
	}
	return armings(ctx, tx, tenant, only, at)
}

// complete says whether everything was set off in a walk test. A name under half
// of one proves nothing of the other half.
func complete(report string) bool {
	var said struct {
		Complete  bool              `json:"complete"`
		Triggered []json.RawMessage `json:"triggered"`
		Missing   []json.RawMessage `json:"missing"`
	}
	return json.Unmarshal([]byte(report), &said) == nil && said.Complete && len(said.Triggered) > 0 && len(said.Missing) == 0
}

// eachDevice runs a query of (device, word, number); %s is where it is narrowed
// to one device.
func eachDevice(ctx context.Context, tx *store.Tx, tenant core.TenantID, only core.DeviceID, query string, fn func(id core.DeviceID, word string, n int64)) error {
	narrow, args := "", []any{tenant}
	if !only.IsZero() {
		narrow, args = " AND device = $2", append(args, only)
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(query, narrow), args...)
	if err != nil {
		return fmt.Errorf("fleet: exposure: %w", err)
	}
	_, err = collect(rows, func(s scanner) (id core.DeviceID, err error) {
		var word string
		var n int64
		if err = s.Scan(&id, &word, &n); err == nil {
			fn(id, word, n)
		}
		return id, err
	})
	return err
}

// armings reads how devices say that they are armed: the later of the last
// heartbeat and the last change.
func armings(ctx context.Context, tx *store.Tx, tenant core.TenantID, only core.DeviceID, at map[core.DeviceID]*Exposure) error {
	latest := map[core.DeviceID]time.Time{}
	narrow, args := "", []any{tenant, string(ReportStatus), string(ReportArming)}
	if !only.IsZero() {
		narrow, args = " AND device = $4", append(args, only)
	}
	rows, err := tx.Query(ctx, `SELECT device, at, body FROM fleet_reports WHERE tenant = $1 AND kind IN ($2, $3)`+narrow, args...)
	if err != nil {
		return fmt.Errorf("fleet: exposure: %w", err)
	}
	_, err = collect(rows, func(s scanner) (id core.DeviceID, err error) {
		var said int64
		var body []byte
		if err = s.Scan(&id, &said, &body); err != nil {
			return id, err
		}
		var report struct {
			Arming    string `json:"arming"`
			SpoolLost uint64 `json:"spool_lost"`
		}
		if e := at[id]; e != nil && json.Unmarshal(body, &report) == nil {
			e.LostEvents = e.LostEvents || report.SpoolLost > 0
			if when := micro(said); when.After(latest[id]) {
				latest[id], e.Arming = when, core.Arming(report.Arming)
			}
		}
		return id, nil
	})
	return err
}
