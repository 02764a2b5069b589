package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
)

// ReportKind is what a device's report is about.
type ReportKind string

// The kinds of report. Of each the last one is kept; those before it are in the
// journal and in the event store.
const (
	// ReportStatus is the last heartbeat, ReportDetail the last one that also had
	// the values and the interfaces.
	ReportStatus ReportKind = "status"
	ReportDetail ReportKind = "detail"
	// ReportArming is the last change of arming.
	ReportArming ReportKind = "arming"
	// ReportDoctor is the last self-test.
	ReportDoctor ReportKind = "doctor"
	// ReportParts is the last difference between what the device is made of and
	// its baseline, ReportBaseline the last baseline that it took.
	ReportParts    ReportKind = "parts"
	ReportBaseline ReportKind = "baseline"
)

// The events that are reports.
const (
	typeHeartbeat = "heartbeat"
	typeArmed     = "armed"
	typeDisarmed  = "disarmed"
	typeDoctor    = "doctor_report"
	typeWalkTest  = "walk_test"
)

var reportKinds = map[string]ReportKind{
	typeHeartbeat: ReportStatus, typeArmed: ReportArming, typeDisarmed: ReportArming, typeDoctor: ReportDoctor,
	"component_removed": ReportParts, "component_added": ReportParts, "component_swapped": ReportParts, "firmware_changed": ReportParts,
	"firmware_not_allowed": ReportParts, "components_changed": ReportParts, "component_restored": ReportParts,
	"baseline_learned": ReportBaseline, "baseline_accepted": ReportBaseline,
}

// Report is what a device said of itself, as it came.
type Report struct {
	At        time.Time // as the device says
	Received  time.Time
	Simulated bool
	Body      json.RawMessage
}

// Limits of what is kept of a report.
const (
	maxReport        = 64 << 10
	maxReportSensors = 256
)

// report keeps an event that is a report of the device's.
func (f *Fold) report(ctx context.Context, tx *store.Tx, d Device, e link.DeviceEvent, at time.Time) error {
	if len(e.Fields) > maxReport {
		return nil // it stays in the journal
	}
	if e.Type == typeWalkTest {
		return putWalkTest(ctx, tx, d, e, at)
	}
	kind, known := reportKinds[e.Type]
	if !known {
		return nil
	}
	if err := putReport(ctx, tx, d, kind, e, at); err != nil || kind != ReportStatus {
		return err
	}
	var beat heartbeat
	if json.Unmarshal(e.Fields, &beat) != nil {
		return nil
	}
	if beat.Live != nil || beat.Interfaces != nil {
		if err := putReport(ctx, tx, d, ReportDetail, e, at); err != nil {
			return err
		}
	}
	return f.reconcile(ctx, tx, d, e, beat)
}

// heartbeat is what the fold itself needs of one.
type heartbeat struct {
	Sensors    map[string]core.SensorState `json:"sensors"`
	Simulated  []string                    `json:"simulated"` // sensors
	Live       json.RawMessage             `json:"live"`
	Interfaces json.RawMessage             `json:"interfaces"`
}

func putReport(ctx context.Context, tx *store.Tx, d Device, kind ReportKind, e link.DeviceEvent, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO fleet_reports (tenant, device, kind, at, received, simulated, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (tenant, device, kind) DO UPDATE SET at = excluded.at, received = excluded.received, simulated = excluded.simulated, body = excluded.body`,
		d.Tenant, d.ID, string(kind), e.Time, store.Micros(at), flag(e.Simulated), reportBody(e))
	if err != nil {
		return fmt.Errorf("fleet: %s of device %q: %w", kind, d.ID, err)
	}
	return nil
}

// reportBody is what an event says, with its sensor and its word.
func reportBody(e link.DeviceEvent) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(e.Fields, &fields) != nil || fields == nil {
		return e.Fields
	}
	fields["event"], fields["sensor"] = json.RawMessage(`"`+e.Type+`"`), json.RawMessage(`"`+e.Sensor+`"`) // words and ids: nothing to escape
	if e.Sensor == "" {
		delete(fields, "sensor")
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return e.Fields
	}
	return b
}

// reconcile brings the sensors to what a heartbeat says of all of them. One that
// it does not name is forgotten if it was well, and unknown if it was not: what
// alarmed last does not become well by not being there. One that is simulated
// stays so until it says otherwise itself (TRUST F25).
func (f *Fold) reconcile(ctx context.Context, tx *store.Tx, d Device, e link.DeviceEvent, beat heartbeat) error {
	said := beat.Sensors
	if len(said) == 0 || len(said) > maxReportSensors {
		return nil
	}
	have, err := sensorStates(ctx, tx, d)
	if err != nil {
		return err
	}
	for name, state := range said {
		was, simulated := have[name], e.Simulated || slices.Contains(beat.Simulated, name)
		if _, err := core.ParseID[core.SensorID](name); err != nil || was.state == state && (was.simulated || !simulated) {
			continue
		}
		one := link.DeviceEvent{Sensor: name, State: state, Time: e.Time, Simulated: simulated || was.simulated}
		if err := putSensor(ctx, tx, d, one); err != nil {
			return err
		}
	}
	for name, was := range have {
		if _, named := said[name]; named {
			continue
		}
		if err := dropSensor(ctx, tx, d, name, was.state, e.Time); err != nil {
			return err
		}
	}
	return nil
}

// sensorIs is what is kept of a sensor.
type sensorIs struct {
	state     core.SensorState
	simulated bool
}

func sensorStates(ctx context.Context, tx *store.Tx, d Device) (map[string]sensorIs, error) {
	rows, err := tx.Query(ctx, `SELECT sensor, state, simulated FROM fleet_sensors WHERE tenant = $1 AND device = $2`, d.Tenant, d.ID)
	if err != nil {
		return nil, fmt.Errorf("fleet: sensors of device %q: %w", d.ID, err)
	}
	have := map[string]sensorIs{}
	_, err = collect(rows, func(s scanner) (name string, err error) {
		var state string
		var simulated int64
		err = s.Scan(&name, &state, &simulated)
		have[name] = sensorIs{core.SensorState(state), simulated == 1}
		return name, err
	})
	return have, err
}

func dropSensor(ctx context.Context, tx *store.Tx, d Device, name string, state core.SensorState, at int64) error {
	var err error
	switch state {
	case core.SensorOK:
		_, err = tx.Exec(ctx, `DELETE FROM fleet_sensors WHERE tenant = $1 AND device = $2 AND sensor = $3`, d.Tenant, d.ID, name)
	case core.SensorUnknown:
	default:
		_, err = tx.Exec(ctx, `UPDATE fleet_sensors SET state = $1, since = $2 WHERE tenant = $3 AND device = $4 AND sensor = $5`, string(core.SensorUnknown), at, d.Tenant, d.ID, name)
	}
	if err != nil {
		return fmt.Errorf("fleet: sensor %q of device %q: %w", name, d.ID, err)
	}
	return nil
}

// Reports reads the last report of each kind that a device sent.
func (r *Registry) Reports(ctx context.Context, tenant core.TenantID, id core.DeviceID) (map[ReportKind]Report, error) {
	reports := map[ReportKind]Report{}
	err := r.db.View(ctx, func(tx *store.Tx) error {
		clear(reports)
		rows, err := tx.Query(ctx, `SELECT kind, at, received, simulated, body FROM fleet_reports WHERE tenant = $1 AND device = $2`, tenant, id)
		if err != nil {
			return fmt.Errorf("fleet: reports of %q: %w", id, err)
		}
		_, err = collect(rows, func(s scanner) (kind string, err error) {
			var r Report
			var at, received, simulated int64
			err = s.Scan(&kind, &at, &received, &simulated, (*[]byte)(&r.Body))
			r.At, r.Received, r.Simulated = micro(at), micro(received), simulated == 1
			reports[ReportKind(kind)] = r
			return kind, err
		})
		return err
	})
	return reports, err
}
