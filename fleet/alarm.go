package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

// Source is the source of the events that the fleet itself makes: what the
// registry noticed about a device, which the device did not say.
const Source = "fleet"

// alarm is something that the fleet noticed.
type alarm struct {
	tenant   core.TenantID
	device   core.DeviceID
	kind     string
	severity core.Severity
	at       time.Time
	fields   map[string]any
}

// event makes the alarm's event. Its device is the one that it tells of: the
// fleet, unlike a device, has standing for all of them.
func (a alarm) event() (core.Event, error) {
	fields, err := json.Marshal(a.fields)
	if err != nil {
		return core.Event{}, core.Wrap(core.KindInternal, "fleet.alarm", err)
	}
	return core.Event{
		ID: core.NewUUID(a.at), Time: a.at, Received: a.at, Tenant: a.tenant, Source: Source, Provenance: core.ProvenanceLocal,
		Device: a.device, Class: core.ClassDeviceState, Type: a.kind, Severity: a.severity, Fields: fields,
	}, nil
}

// raise puts an alarm into fleet_alarms inside the transaction that noticed it.
// [Registry.RunAlarms] carries it into the journal from there.
func (r *Registry) raise(ctx context.Context, tx *store.Tx, a alarm) error {
	e, err := a.event()
	if err != nil {
		return err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return core.Wrap(core.KindInternal, "fleet.alarm", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO fleet_alarms (tenant, id, device, body) VALUES ($1, $2, $3, $4)`, a.tenant, e.ID, a.device, body); err != nil {
		return fmt.Errorf("fleet: raising %s for device %q: %w", a.kind, a.device, err)
	}
	return tx.Notify(ctx, alarmChannel)
}

// Notice is something that another part of the server noticed and that is to
// become an event as the fleet's own alarms do.
type Notice struct {
	Tenant   core.TenantID
	Device   core.DeviceID // that it is about, zero for none
	Kind     string
	Severity core.Severity
	Fields   map[string]any
}

// Raise makes an alarm of a notice inside the transaction that noticed it.
func (r *Registry) Raise(ctx context.Context, tx *store.Tx, n Notice) error {
	return r.raise(ctx, tx, alarm{tenant: n.Tenant, device: n.Device, kind: n.Kind, severity: n.Severity, at: r.clock.Now(), fields: n.Fields})
}

// AlarmCapped is the event of an actor who reached the cap of containment.
const AlarmCapped = "containment_capped"

// Capped raises the alarm of an actor who contained as much as one may in an
// hour: a person in a hurry, or somebody who turns containment into a weapon
// (F04).
func (r *Registry) Capped(ctx context.Context, who core.Principal, action core.Action, on core.Resource) error {
	return r.db.Tx(ctx, func(tx *store.Tx) error {
		return r.raise(ctx, tx, alarm{
			tenant: who.Tenant, device: deviceOf(on.String()), kind: AlarmCapped, severity: core.SeverityHigh, at: r.clock.Now(),
			fields: map[string]any{"actor": who.String(), "action": action, "object": on.String()},
		})
	})
}

const (
	alarmChannel = "fleet-alarms"
	alarmBatch   = 200
	alarmPoll    = time.Second
)

// RunAlarms carries alarms into the journal until ctx ends. A crash between
// journal and table sends an alarm again; the journal refuses it by its key.
func (r *Registry) RunAlarms(ctx context.Context, frames Frames, partitions int32, log *slog.Logger) error {
	for ctx.Err() == nil {
		raised := r.db.Signal(alarmChannel)
		n, err := r.SendAlarms(ctx, frames, partitions)
		if err != nil && ctx.Err() == nil {
			log.Error("alarms of the fleet wait", slog.Any("error", err))
		}
		if err == nil && n == alarmBatch {
			continue
		}
		select {
		case <-raised:
		case <-r.clock.After(alarmPoll):
		case <-ctx.Done():
		}
	}
	return nil
}

// SendAlarms carries at most a batch of alarms over and returns how many.
func (r *Registry) SendAlarms(ctx context.Context, frames Frames, partitions int32) (int, error) {
	var waiting []waitingAlarm
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `SELECT body FROM fleet_alarms ORDER BY id LIMIT $1`, alarmBatch)
		if err != nil {
			return err
		}
		waiting, err = collect(rows, func(s scanner) (w waitingAlarm, err error) {
			if err := s.Scan(&w.body); err != nil {
				return w, err
			}
			return w, json.Unmarshal(w.body, &w.event)
		})
		return err
	})
	if err != nil || len(waiting) == 0 {
		return 0, err
	}
	if _, err := frames.Append(ctx, alarmFrames(waiting, partitions)...); err != nil {
		return 0, fmt.Errorf("fleet: alarms into the journal: %w", err)
	}
	return len(waiting), r.db.Tx(ctx, func(tx *store.Tx) error {
		for _, w := range waiting {
			if _, err := tx.Exec(ctx, `DELETE FROM fleet_alarms WHERE tenant = $1 AND id = $2`, w.event.Tenant, w.event.ID); err != nil {
				return fmt.Errorf("fleet: alarm %s: %w", w.event.ID, err)
			}
		}
		return nil
	})
}

// waitingAlarm is an alarm and the exact bytes that its key is computed from.
type waitingAlarm struct {
	event core.Event
	body  []byte
}

func alarmFrames(waiting []waitingAlarm, partitions int32) []journal.Frame {
	frames := make([]journal.Frame, 0, len(waiting))
	for _, w := range waiting {
		e := w.event
		frames = append(frames, journal.Frame{
			Partition: PartitionOf(e.Tenant, e.Device, partitions), Kind: journal.KindEvents, Tenant: e.Tenant, Source: Source, Received: e.Received,
			Key: &journal.Key{
				Tenant: e.Tenant, Device: keyDevice(e.Device), Epoch: "fleet-" + strings.ReplaceAll(e.ID.String(), "-", ""),
				First: 1, Last: 1, Hash: sha256.Sum256(w.body),
			},
			Records: [][]byte{w.body},
		})
	}
	return frames
}

// noDevice stands in the key of an alarm that is about none; the epoch, which no
// device can have, keeps it apart from one of that name.
var noDevice = core.MustID[core.DeviceID]("none")

func keyDevice(id core.DeviceID) core.DeviceID {
	if id.IsZero() {
		return noDevice
	}
	return id
}

// PartitionOf is the partition of the journal that holds a device's frames: the
// same one always, so that its batches stay in order.
func PartitionOf(tenant core.TenantID, device core.DeviceID, partitions int32) int32 {
	if partitions <= 1 {
		return 0
	}
	sum := sha256.Sum256([]byte(tenant.String() + "/" + device.String()))
	return int32((uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])) % uint32(partitions))
}
