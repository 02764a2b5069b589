package fleet

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

// FoldConfig says when silence means something.
type FoldConfig struct {
	// StaleAfter is how long a device may be silent before it is stale, and
	// OfflineAfter before it is offline. A power cut is tamper-relevant (P51).
	StaleAfter   time.Duration `yaml:"stale_after"`
	OfflineAfter time.Duration `yaml:"offline_after"`
}

// DefaultFold is three missed heartbeats of 30 s, and a quarter of an hour.
var DefaultFold = FoldConfig{StaleAfter: 90 * time.Second, OfflineAfter: 15 * time.Minute}

// Validate implements config.Validator.
func (c FoldConfig) Validate() error {
	if c.StaleAfter <= 0 || c.OfflineAfter <= c.StaleAfter {
		return core.E(core.KindInvalid, "fleet.FoldConfig", fmt.Sprintf("stale_after %s must be above zero and below offline_after %s", c.StaleAfter, c.OfflineAfter))
	}
	return nil
}

// The events that the fold makes. What a device's batches say about each other
// is judged here and not by the device: continuity is judged by the other side
// (F19).
const (
	AlarmFork       = "sequence_fork" // another batch under the same numbers
	AlarmRolledBack = "rolled_back"   // a state behind the last one seen
	AlarmCloned     = "cloned"        // an epoch that had been left, alive again
	AlarmGap        = "sequence_gap"  // events that never came
	AlarmBroken     = "chain_broken"  // a batch that doesn't name the one before
	AlarmDark       = "device_dark"   // silence
	AlarmBack       = "device_back"
	AlarmFreed      = "freed_itself" // a quarantine that ended without persons
)

// Fold keeps what is known of each device from the journal, by record times
// only, so that the same journal gives the same picture.
type Fold struct {
	reg        *Registry
	cfg        FoldConfig
	partitions int32
}

// NewFold returns the fold; partitions is the journal's number of them.
func NewFold(reg *Registry, cfg FoldConfig, partitions int32) *Fold {
	return &Fold{reg: reg, cfg: cfg, partitions: max(partitions, 1)}
}

// Stage is the fold of one partition of the raw journal.
func (f *Fold) Stage(raw journal.Reader, partition int32) journal.Stage {
	return journal.Stage{Name: "fleet", From: raw, Partition: partition, Handle: f.handle, Clock: f.reg.clock}
}

func (f *Fold) handle(ctx context.Context, tx *store.Tx, frame journal.Frame) error {
	switch {
	case frame.Kind == journal.KindTick:
		return f.tick(ctx, tx, frame)
	case frame.Kind == journal.KindEvents && frame.Key != nil && frame.Source == "device/"+frame.Key.Device.String():
		return f.batch(ctx, tx, frame)
	}
	return nil
}

// batch folds a device's batch in.
func (f *Fold) batch(ctx context.Context, tx *store.Tx, frame journal.Frame) error {
	d, err := f.reg.lock(ctx, tx, frame.Key.Tenant, frame.Key.Device)
	if core.KindOf(err) == core.KindNotFound {
		return nil // the registry was restored from before this device
	}
	if err != nil {
		return err
	}
	b, err := readBatch(frame)
	if err != nil {
		return fmt.Errorf("fleet: frame %d: %w", frame.Offset, err)
	}
	follows, err := f.chain(ctx, tx, d, frame, b)
	if err != nil {
		return err
	}
	if err := f.seen(ctx, tx, d, frame.Received); err != nil {
		return err
	}
	if !follows {
		return nil // kept as evidence; it doesn't move the picture
	}
	if err := adopt(ctx, tx, d, frame, b); err != nil {
		return err
	}
	return f.states(ctx, tx, d, b.Events, frame.Received)
}

// readBatch takes the signed batch out of the frame's first record.
func readBatch(frame journal.Frame) (*link.Batch, error) {
	var record core.Event
	if len(frame.Records) == 0 || json.Unmarshal(frame.Records[0], &record) != nil || record.Type != TypeBatch {
		return nil, core.E(core.KindDamaged, "fleet.Fold", "a device's frame does not begin with its batch")
	}
	var evidence struct {
		Payload string `json:"payload"`
	}
	if err := json.Unmarshal(record.Fields, &evidence); err != nil {
		return nil, core.Wrap(core.KindDamaged, "fleet.Fold", err)
	}
	b, err := link.DecodeBatch([]byte(evidence.Payload))
	if err != nil {
		return nil, core.Wrap(core.KindDamaged, "fleet.Fold", err)
	}
	return b, nil
}

// epoch is what is known of one of a device's epochs.
type epoch struct {
	known    bool
	sequence uint64
	hash     string
}

func getEpoch(ctx context.Context, tx *store.Tx, d Device, name string) (epoch, error) {
	e := epoch{known: true}
	err := tx.QueryRow(ctx, `SELECT sequence, hash FROM fleet_epochs WHERE tenant = $1 AND device = $2 AND epoch = $3`, d.Tenant, d.ID, name).Scan(&e.sequence, &e.hash)
	if errors.Is(err, sql.ErrNoRows) {
		return epoch{}, nil
	}
	if err != nil {
		return epoch{}, fmt.Errorf("fleet: epoch of device %q: %w", d.ID, err)
	}
	return e, nil
}

// chain judges how a batch follows what is known, raises what is wrong with it
// (a device that is behind itself, or twice, is quarantined here, F19) and reports whether the device's picture moves on with it.
func (f *Fold) chain(ctx context.Context, tx *store.Tx, d Device, frame journal.Frame, b *link.Batch) (follows bool, err error) {
	e, err := getEpoch(ctx, tx, d, b.Epoch)
	if err != nil {
		return false, err
	}
	raise := func(kind string, severity core.Severity, why string) error {
		return f.reg.raise(ctx, tx, alarm{
			tenant: d.Tenant, device: d.ID, kind: kind, severity: severity, at: frame.Received,
			fields: map[string]any{
				"why": why, "epoch": b.Epoch, "first": b.First, "last": b.Last, "hash": fmt.Sprintf("%x", frame.Key.Hash), "state_counter": b.StateCounter,
				"known_epoch": d.Known.Epoch, "known_sequence": e.sequence, "known_state_counter": d.Known.StateCounter, "offset": frame.Offset,
			},
		})
	}
	quarantine := func(kind, why string) error {
		if err := contain(ctx, tx, d.Tenant, d.ID, frame.Received); err != nil {
			return err
		}
		return raise(kind, core.SeverityCritical, why)
	}
	switch {
	case e.known && b.First <= e.sequence:
		return false, quarantine(AlarmFork, fmt.Sprintf("sequence %d to %d was told before, differently; both are kept", b.First, b.Last))
	case e.known && b.Epoch != d.Known.Epoch:
		return false, quarantine(AlarmCloned, "the device had left this epoch: an older state of it is alive beside or instead of the newer")
	case d.Known.Epoch != "" && b.StateCounter < d.Known.StateCounter:
		if err := quarantine(AlarmRolledBack, fmt.Sprintf("state counter %d, seen was %d", b.StateCounter, d.Known.StateCounter)); err != nil {
			return false, err
		}
	case e.known && b.First > e.sequence+1, !e.known && b.First > 1:
		if err := raise(AlarmGap, core.SeverityHigh, fmt.Sprintf("sequence %d follows %d", b.First, e.sequence)); err != nil {
			return false, err
		}
	case e.known && b.Prev != e.hash:
		if err := raise(AlarmBroken, core.SeverityHigh, "the batch does not name the one before it"); err != nil {
			return false, err
		}
	}
	return true, nil
}

// adopt makes the batch the last one known.
func adopt(ctx context.Context, tx *store.Tx, d Device, frame journal.Frame, b *link.Batch) error {
	hash := fmt.Sprintf("%x", frame.Key.Hash)
	_, err := tx.Exec(ctx, `INSERT INTO fleet_epochs (tenant, device, epoch, first_seen, sequence, hash) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant, device, epoch) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash`,
		d.Tenant, d.ID, b.Epoch, store.Micros(frame.Received), int64(b.Last), hash)
	if err != nil {
		return fmt.Errorf("fleet: epoch of device %q: %w", d.ID, err)
	}
	// Counters of orders belong to an epoch; with a new one they begin again.
	fresh := flag(b.Epoch != d.Known.Epoch)
	_, err = tx.Exec(ctx, `UPDATE fleet_devices SET epoch = $1, sequence = $2, hash = $3,
		state_counter = CASE WHEN state_counter < $4 THEN $4 ELSE state_counter END,
		boot = $5, policy_version = $6, root_version = $7, log_size = $8, log_root = $9,
		queued_counter = CASE WHEN $10 = 1 THEN 0 ELSE queued_counter END WHERE tenant = $11 AND id = $12`,
		b.Epoch, int64(b.Last), hash, int64(b.StateCounter), b.Boot, int64(b.PolicyVersion), int64(b.RootVersion), int64(b.LogSize), b.LogRoot, fresh, d.Tenant, d.ID)
	if err != nil {
		return fmt.Errorf("fleet: picture of device %q: %w", d.ID, err)
	}
	return nil
}

// seen marks the device alive.
func (f *Fold) seen(ctx context.Context, tx *store.Tx, d Device, at time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE fleet_devices SET last_seen = CASE WHEN last_seen < $1 THEN $1 ELSE last_seen END, link = $2 WHERE tenant = $3 AND id = $4`,
		store.Micros(at), string(core.DeviceOnline), d.Tenant, d.ID); err != nil {
		return fmt.Errorf("fleet: device %q: %w", d.ID, err)
	}
	if d.Link == core.DeviceOnline || d.Known.LastSeen.IsZero() {
		return nil
	}
	return f.reg.raise(ctx, tx, alarm{
		tenant: d.Tenant, device: d.ID, kind: AlarmBack, severity: core.SeverityInfo, at: at,
		fields: map[string]any{"silent_seconds": int64(at.Sub(d.Known.LastSeen).Seconds())},
	})
}

// states folds sensors, latches and containment.
func (f *Fold) states(ctx context.Context, tx *store.Tx, d Device, events []link.DeviceEvent, at time.Time) error {
	for _, e := range events {
		if e.Sensor != "" && e.State != "" {
			if err := putSensor(ctx, tx, d, e); err != nil {
				return err
			}
		}
		if err := putLatch(ctx, tx, d, e); err != nil {
			return err
		}
		if err := f.report(ctx, tx, d, e, at); err != nil {
			return err
		}
		if err := f.containment(ctx, tx, d, e, at); err != nil {
			return err
		}
	}
	return nil
}

// The words by which a device says that its quarantine began or is over.
const (
	typeQuarantineOn  = "quarantine_on"
	typeQuarantineOff = "quarantine_off"
)

// containment takes a device's word that it is in quarantine. That it is out
// again counts with a release that persons signed; without one it is an alarm.
func (f *Fold) containment(ctx context.Context, tx *store.Tx, d Device, e link.DeviceEvent, at time.Time) error {
	switch e.Type {
	case typeQuarantineOn:
		return contain(ctx, tx, d.Tenant, d.ID, at)
	case typeQuarantineOff:
		ok, err := freed(ctx, tx, d.Tenant, d.ID)
		if err != nil {
			return err
		}
		if ok {
			return uncontain(ctx, tx, d.Tenant, d.ID)
		}
		return f.reg.raise(ctx, tx, alarm{
			tenant: d.Tenant, device: d.ID, kind: AlarmFreed, severity: core.SeverityCritical, at: at,
			fields: map[string]any{"why": "the device says that its quarantine is over, and no release that persons signed went to it", "sequence": e.Seq},
		})
	}
	return nil
}

func putSensor(ctx context.Context, tx *store.Tx, d Device, e link.DeviceEvent) error {
	_, err := tx.Exec(ctx, `INSERT INTO fleet_sensors (tenant, device, sensor, state, since, simulated) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant, device, sensor) DO UPDATE SET
		since = CASE WHEN fleet_sensors.state = excluded.state THEN fleet_sensors.since ELSE excluded.since END,
		state = excluded.state, simulated = excluded.simulated`,
		d.Tenant, d.ID, e.Sensor, string(e.State), e.Time, flag(e.Simulated))
	if err != nil {
		return fmt.Errorf("fleet: sensor %q of device %q: %w", e.Sensor, d.ID, err)
	}
	return nil
}

// typeLatchReleased is the device's word that a latch is open again; its fields
// name the latch as "released".
const typeLatchReleased = "latch_released"

func putLatch(ctx context.Context, tx *store.Tx, d Device, e link.DeviceEvent) error {
	if e.Type == typeLatchReleased {
		var fields struct {
			Released string `json:"released"`
		}
		if json.Unmarshal(e.Fields, &fields) != nil {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE fleet_latches SET is_open = 0 WHERE tenant = $1 AND device = $2 AND latch = $3`, d.Tenant, d.ID, fields.Released); err != nil {
			return fmt.Errorf("fleet: latches of device %q: %w", d.ID, err)
		}
		return nil
	}
	if e.Latch == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO fleet_latches (tenant, device, latch, sensor, type, since, is_open, simulated) VALUES ($1, $2, $3, $4, $5, $6, 1, $7)
		ON CONFLICT (tenant, device, latch) DO NOTHING`, d.Tenant, d.ID, e.Latch, e.Sensor, e.Type, e.Time, flag(e.Simulated))
	if err != nil {
		return fmt.Errorf("fleet: latch of device %q: %w", d.ID, err)
	}
	return nil
}

// tick moves time on: devices of this partition that were silent too long
// become stale, then offline, and each says so once.
func (f *Fold) tick(ctx context.Context, tx *store.Tx, frame journal.Frame) error {
	for _, step := range []struct {
		from, to core.DeviceState
		after    time.Duration
		severity core.Severity
	}{
		{core.DeviceOnline, core.DeviceStale, f.cfg.StaleAfter, core.SeverityHigh},
		{core.DeviceStale, core.DeviceOffline, f.cfg.OfflineAfter, core.SeverityMedium},
	} {
		rows, err := tx.Query(ctx, `SELECT `+deviceColumns+` FROM fleet_devices WHERE link = $1 AND last_seen < $2 AND identity = $3`,
			string(step.from), store.Micros(frame.Received.Add(-step.after)), string(IdentityActive))
		if err != nil {
			return fmt.Errorf("fleet: looking for silent devices: %w", err)
		}
		silent, err := collect(rows, scanDevice)
		if err != nil {
			return err
		}
		for _, d := range silent {
			if PartitionOf(d.Tenant, d.ID, f.partitions) != frame.Partition {
				continue
			}
			if err := f.darken(ctx, tx, d, step.to, step.severity, frame.Received); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Fold) darken(ctx context.Context, tx *store.Tx, d Device, to core.DeviceState, severity core.Severity, at time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE fleet_devices SET link = $1 WHERE tenant = $2 AND id = $3`, string(to), d.Tenant, d.ID); err != nil {
		return fmt.Errorf("fleet: device %q becomes %s: %w", d.ID, to, err)
	}
	return f.reg.raise(ctx, tx, alarm{
		tenant: d.Tenant, device: d.ID, kind: AlarmDark, severity: severity, at: at,
		fields: map[string]any{"link": to, "last_seen": d.Known.LastSeen},
	})
}
