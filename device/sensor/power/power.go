// Package power is the driver for what feeds a device: mains supplies, batteries
// and uninterruptible supplies of the power_supply class, measured rails, the
// flags with which a board says that its supply is too weak, and the heat that
// makes a processor slow.
//
// It judges nothing: the judges power and environment say what its numbers mean.
// The kernel tells of supplies that change; everything is also looked at once a
// second. A supply that was there and is gone is tampering, told once; a file
// that can't be read is a fault of its own point and the others go on.
package power

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

const maxSilence = 30 * time.Second

// Sensor reads supplies; see [New].
type Sensor struct {
	env  sensor.Env
	cfg  Config
	open func() (uevent.Source, error)
	// had are the supplies that were there. It outlives a run: one that goes
	// while the driver is being restarted has gone all the same.
	had map[string]bool
	// sticky are the throttle flags of before, as seen last.
	sticky uint64
	stuck  bool
}

// New returns a driver for this machine's supplies.
func New(env sensor.Env, c Config) (sensor.Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{env: env, cfg: c, open: uevent.Open}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "power", Needs: []sensor.Need{sensor.NeedSysfs}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyPoll, Delay: s.cfg.every(), MaxSilence: maxSilence, Latches: true,
	}
}

// Probe implements [sensor.Sensor]. What people named is never skipped.
func (s *Sensor) Probe() sensor.Presence {
	if len(s.cfg.Supplies)+len(s.cfg.Rails)+len(s.had) > 0 {
		return sensor.Present()
	}
	if len(s.read()) == 0 {
		return sensor.Skipped("this machine has no supply, battery, throttle flag or thermal zone in /sys")
	}
	return sensor.Present()
}

// Run implements [sensor.Sensor]. Without the kernel's messages it looks.
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	w := &watch{sensor: s, emit: emit, told: map[string]string{}}
	src, err := s.open()
	if err != nil {
		return w.poll(ctx)
	}
	return uevent.Follow(ctx, uevent.Handler{
		Clock: s.env.Clock, Open: func() (uevent.Source, error) { return src, nil }, Every: s.cfg.every(), Settle: 100 * time.Millisecond, Emit: emit,
		Start: w.look, Event: w.event, Look: func(string) error { return w.look() }, // which mends a lost message too
	})
}

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	emit   func(sensor.Reading)
	told   map[string]string // points that can't be read, and why
	listed bool
}

func (w *watch) poll(ctx context.Context) error {
	for {
		if err := w.look(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.sensor.env.Clock.After(w.sensor.cfg.every()):
		}
	}
}

// event looks at once when a supply changes.
func (w *watch) event(e uevent.Event) error {
	if sub := e.Vars["SUBSYSTEM"]; sub == "power_supply" || sub == "thermal" {
		return w.look()
	}
	return nil
}

// number is what was read at a point, or why it could not be.
type number struct {
	point string
	value float64
	unit  sensor.Unit
	err   error
}

// look reads everything. If nothing at all can be read, the sensor is a fault.
func (w *watch) look() error {
	all := w.sensor.read()
	w.supplies(all)
	if !w.listed {
		w.inventory(all)
	}
	failed := 0
	var last error
	for _, n := range all {
		if n.err != nil {
			failed, last = failed+1, n.err
			w.broken(n)
			continue
		}
		delete(w.told, n.point)
		w.emit(sensor.Reading{Kind: sensor.Measure, Point: n.point, Value: n.value, Unit: n.unit})
	}
	if failed == len(all) {
		return core.Wrap(core.KindUnavailable, "power.Run", errors.Join(last, errNothing(len(all))))
	}
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

func errNothing(points int) error {
	return fmt.Errorf("none of %d points can be read", points)
}

func (w *watch) broken(n number) {
	why := sensor.Text(n.err.Error())
	if w.told[n.point] == why {
		return
	}
	w.told[n.point] = why
	w.emit(sensor.Reading{Kind: sensor.Broken, Point: n.point, Fields: sensor.Fields(map[string]string{"why": why})})
}

// supplies compares the supplies with those that were there.
func (w *watch) supplies(all []number) {
	here := map[string]bool{}
	for _, name := range w.sensor.names() {
		here[name] = true
	}
	had := w.sensor.had
	for _, name := range slices.Sorted(maps.Keys(had)) {
		if !here[name] {
			w.supply(name, "supply_removed", core.SeverityHigh, true)
		}
	}
	if had != nil {
		for _, name := range slices.Sorted(maps.Keys(here)) {
			if !had[name] {
				w.supply(name, "supply_added", core.SeverityLow, false)
			}
		}
	}
	w.sensor.had = here
}

func (w *watch) supply(name, kind string, sev core.Severity, alarm bool) {
	w.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: sensor.Text(name), Type: kind, Severity: sev, Alarm: alarm,
		Fields: sensor.Fields(map[string]string{"supply": sensor.Text(name)}),
	})
	w.listed = false
}

// inventory tells what there is, and what the machine says of its last start.
func (w *watch) inventory(all []number) {
	w.listed = true
	supplies := []map[string]string{}
	for _, name := range w.sensor.names() {
		about := map[string]string{"name": sensor.Text(name)}
		for _, what := range []string{"type", "manufacturer", "model_name", "serial_number", "technology"} {
			if text, err := sysfs.Read(w.sensor.supply(name, what)); err == nil && text != "" {
				about[what] = sensor.Text(text)
			}
		}
		supplies = append(supplies, about)
	}
	points := make([]string, 0, len(all))
	for _, n := range all {
		points = append(points, n.point)
	}
	w.emit(sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo, Fields: sensor.Fields(map[string]any{
		"kind": "power", "supplies": supplies, "points": points, "boot": w.sensor.boot(), "flags_since_boot": fmt.Sprintf("%#x", w.sensor.sticky),
	})})
}

// boot is what the machine says of its last start. Whether that was expected is
// the agent's to judge.
func (s *Sensor) boot() map[string]string {
	said := map[string]string{}
	for name, path := range map[string]string{
		"boot_id": "proc/sys/kernel/random/boot_id", "watchdog": "sys/class/watchdog/watchdog0/bootstatus", "reset_reason": "sys/kernel/reset_reason",
	} {
		if text, err := sysfs.Read(s.env.Path(path)); err == nil {
			said[name] = sensor.Text(text)
		}
	}
	return said
}

func (s *Sensor) supply(elem ...string) string {
	return filepath.Join(append([]string{s.env.Path("sys/class/power_supply")}, elem...)...)
}

// names lists the supplies that are there and wanted. The battery of a mouse comes
// and goes with the mouse and feeds nothing of ours, unless people named it.
func (s *Sensor) names() (names []string) {
	entries, err := os.ReadDir(s.supply())
	if err != nil {
		return nil // a kernel without the class has none
	}
	for _, e := range entries {
		named := slices.Contains(s.cfg.Supplies, e.Name())
		if len(s.cfg.Supplies) > 0 && !named {
			continue
		}
		if scope, err := sysfs.Read(s.supply(e.Name(), "scope")); err == nil && scope == "Device" && !named {
			continue
		}
		names = append(names, e.Name())
	}
	return names[:min(len(names), maxSupplies)]
}
