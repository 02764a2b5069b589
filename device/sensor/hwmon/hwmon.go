// Package hwmon is the driver for the case switch of a mainboard: the
// intrusionN_alarm attributes of the kernel's hardware monitoring. No chip tells
// of itself, so the driver looks every second; some kernel drivers answer from a
// cache that is up to three seconds old.
//
// The chip keeps the alarm until somebody writes 0. The driver does that a while
// after it has told: otherwise no release could last, and a second opening would
// look like the first. What was felt stays as a latch of the monitor.
package hwmon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	lookEvery  = time.Second
	maxSilence = 30 * time.Second
	// cache is how long the slowest kernel drivers (w83792d) keep a value.
	cache = 3 * time.Second
	// rearmAfter is how long an alarm stands before the chip's own latch is
	// opened: longer than it takes to make ours durable.
	rearmAfter = 10 * time.Second
)

// maxInputs bounds what is read.
const maxInputs = 64

// Sensor reads case switches; see [New].
type Sensor struct {
	id    core.SensorID
	only  []string // names of chips; empty: each that has a switch
	clock core.Clock
	sysfs string
	rearm func(path string) error // opens a chip's own latch
	// had are the inputs that were read, by place. They outlive a run: what goes
	// while the driver is being restarted has gone all the same.
	had map[string]input
}

// New returns a driver for the chips of the given names, or for every chip that
// has a case switch when none is named.
func New(id core.SensorID, clock core.Clock, chips ...string) *Sensor {
	return &Sensor{id: id, only: slices.Clone(chips), clock: clock, sysfs: "/sys", rearm: writeZero, had: map[string]input{}}
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.id }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "hwmon", Needs: []sensor.Need{sensor.NeedSysfs, sensor.NeedRoot}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyPoll, Delay: lookEvery + cache, MaxSilence: maxSilence, Latches: true,
	}
}

// Probe implements [sensor.Sensor]. A machine without a case switch is skipped,
// unless people named the chip or one was there before: then it is missing.
func (s *Sensor) Probe() sensor.Presence {
	if len(s.only) > 0 || len(s.had) > 0 {
		return sensor.Present()
	}
	if found, err := s.scan(); err == nil && len(found) == 0 {
		return sensor.Skipped("no chip of this machine has a case switch (intrusionN_alarm in " + s.class() + ")")
	}
	return sensor.Present()
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	w := &watch{sensor: s, emit: emit, since: map[string]time.Time{}}
	if err := w.start(); err != nil {
		return err
	}
	for {
		if err := w.look(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(lookEvery):
		}
	}
}

// input is one switch. Its place is the device behind the chip, which the
// numbers of hwmon are not: they change with the order of loading.
type input struct {
	chip, device, attribute string
	dir                     string // of the attribute
}

func (in input) point() string { return sensor.Text(in.chip + "@" + in.device + "/" + in.attribute) }

func (in input) fields() map[string]any {
	return map[string]any{"chip": sensor.Text(in.chip), "device": sensor.Text(in.device), "attribute": in.attribute}
}

func (s *Sensor) class() string { return filepath.Join(s.sysfs, "class/hwmon") }

var attributeRE = regexp.MustCompile(`^intrusion[0-9]{1,3}_alarm$`)

// scan lists the switches by point.
func (s *Sensor) scan() (map[string]input, error) {
	chips, err := os.ReadDir(s.class())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, core.Wrap(core.KindUnavailable, "hwmon.scan", err)
	}
	found := map[string]input{}
	for _, c := range chips {
		dir := filepath.Join(s.class(), c.Name())
		name, err := chipName(dir)
		if err != nil || len(s.only) > 0 && !slices.Contains(s.only, name) {
			continue // gone while we looked, or not asked for
		}
		for _, in := range inputsOf(name, dir) {
			if found[in.point()] = in; len(found) > maxInputs {
				return nil, core.E(core.KindTooLarge, "hwmon.scan", fmt.Sprintf("more than %d case switches", maxInputs))
			}
		}
	}
	return found, nil
}

// inputsOf lists the switches of a chip. Old drivers have their attributes one
// folder further down.
func inputsOf(chip, dir string) (list []input) {
	device := filepath.Base(dir)
	if target, err := os.Readlink(filepath.Join(dir, "device")); err == nil {
		device = filepath.Base(target)
	}
	for _, d := range []string{dir, filepath.Join(dir, "device")} {
		entries, err := os.ReadDir(d)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if attributeRE.MatchString(e.Name()) {
				list = append(list, input{chip, device, e.Name(), d})
			}
		}
	}
	return list
}

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	emit   func(sensor.Reading)
	inputs map[string]input
	since  map[string]time.Time // when an input was first seen active
}

func (w *watch) start() (err error) {
	if w.inputs, err = w.sensor.scan(); err != nil {
		return err
	}
	if err := w.missed(); err != nil {
		return err
	}
	list := make([]map[string]any, 0, len(w.inputs))
	for _, point := range slices.Sorted(maps.Keys(w.inputs)) {
		list = append(list, w.inputs[point].fields())
	}
	w.emit(sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"kind": "case-switches", "switches": list}),
	})
	maps.Copy(w.sensor.had, w.inputs)
	return nil
}

// missed looks for what people named or what was there before. A chip that was
// never there is a fault; one that was is taken away.
func (w *watch) missed() error {
	for _, point := range slices.Sorted(maps.Keys(w.sensor.had)) {
		if _, here := w.inputs[point]; !here {
			return w.lost(w.sensor.had[point])
		}
	}
	for _, name := range w.sensor.only {
		if !slices.ContainsFunc(slices.Collect(maps.Values(w.inputs)), func(in input) bool { return in.chip == name }) {
			return core.E(core.KindNotFound, "hwmon.Run", fmt.Sprintf("no chip %q with a case switch in %s", name, w.sensor.class())).
				WithHint("is its kernel module loaded?")
		}
	}
	return nil
}

// look reads every switch.
func (w *watch) look() error {
	for _, point := range slices.Sorted(maps.Keys(w.inputs)) {
		if err := w.read(w.inputs[point]); err != nil {
			return err
		}
	}
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

func (w *watch) read(in input) error {
	text, err := readSmall(filepath.Join(in.dir, in.attribute))
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENODEV):
		return w.lost(in)
	case err != nil:
		return core.Wrap(core.KindUnavailable, "hwmon.Run", fmt.Errorf("read %s: %w", in.point(), err))
	case text != "0" && text != "1":
		return core.E(core.KindDamaged, "hwmon.Run", fmt.Sprintf("%s reads %.20q, neither 0 nor 1", in.point(), text))
	}
	w.emit(sensor.Reading{
		Kind: sensor.Level, Point: in.point(), Active: text == "1", Alarm: true, Settled: true,
		Type: "case_intrusion", Clear: "case_closed", Severity: core.SeverityCritical, Fields: sensor.Fields(in.fields()),
	})
	w.rearm(in, text == "1")
	return nil
}

// rearm opens the chip's own latch some time after the alarm was told. One that
// can't be opened stays an alarm, which is safe, and is told once.
func (w *watch) rearm(in input, active bool) {
	point, now := in.point(), w.sensor.clock.Now()
	since, known := w.since[point]
	switch {
	case !active:
		delete(w.since, point)
		return
	case !known:
		w.since[point] = now
		return
	case now.Sub(since) < rearmAfter:
		return
	}
	w.since[point] = now.Add(time.Hour) // once an hour is often enough for one that does not obey
	if err := w.sensor.rearm(filepath.Join(in.dir, in.attribute)); err != nil {
		fields := in.fields()
		fields["why"] = sensor.Text(err.Error())
		w.emit(sensor.Reading{Kind: sensor.Pulse, Point: point, Type: "rearm_failed", Severity: core.SeverityMedium, Fields: sensor.Fields(fields)})
		return
	}
	delete(w.since, point)
}

// lost tells a chip that was taken away from an attribute that its driver no
// longer offers: the first is tampering, the second a fault.
func (w *watch) lost(in input) error {
	if w.chipHere(in) {
		return core.E(core.KindUnavailable, "hwmon.Run", fmt.Sprintf("the chip %s is there and %s is not", in.chip, in.attribute))
	}
	for point, other := range w.sensor.had {
		if other.chip == in.chip && other.device == in.device {
			delete(w.sensor.had, point)
		}
	}
	w.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: sensor.Text(in.chip + "@" + in.device), Type: "chip_removed", Alarm: true,
		Severity: core.SeverityCritical, Fields: sensor.Fields(in.fields()),
	})
	return core.E(core.KindUnavailable, "hwmon.Run", fmt.Sprintf("the chip %s at %s is gone", sensor.Text(in.chip), sensor.Text(in.device)))
}

// chipHere says whether the chip is still in the place where it was.
func (w *watch) chipHere(in input) bool {
	chips, err := os.ReadDir(w.sensor.class())
	if err != nil {
		return false
	}
	return slices.ContainsFunc(chips, func(c os.DirEntry) bool {
		dir := filepath.Join(w.sensor.class(), c.Name())
		name, err := chipName(dir)
		target, _ := os.Readlink(filepath.Join(dir, "device"))
		return err == nil && name == in.chip && (filepath.Base(target) == in.device || c.Name() == in.device)
	})
}

// chipName reads what the chip is called. Old drivers (w83792d, w83793) have that
// one folder further down, with their attributes.
func chipName(dir string) (string, error) {
	name, err := readSmall(filepath.Join(dir, "name"))
	if errors.Is(err, os.ErrNotExist) {
		return readSmall(filepath.Join(dir, "device", "name"))
	}
	return name, err
}

func writeZero(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("0\n")
	return errors.Join(err, f.Close())
}

// readSmall reads an attribute. sysfs gives what a driver says, so its size is
// bounded all the same.
func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, 256))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\n"), nil
}
