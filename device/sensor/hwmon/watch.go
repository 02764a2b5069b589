package hwmon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

// findEvery is how often what is missing is looked for.
const findEvery = 10 * time.Second

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	emit   func(sensor.Reading)
	inputs map[string]input
	since  map[string]time.Time // when a switch was first seen active
	broken map[string]string    // points that can't be read, and why
	found  time.Time            // when the chips were last listed
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	w := &watch{sensor: s, emit: emit, since: map[string]time.Time{}, broken: map[string]string{}}
	if err := w.list(); err != nil {
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

// list finds the inputs and tells what is there. What was there before stays on
// the list: it is missing, and that is told where it is read.
func (w *watch) list() (err error) {
	if w.inputs, err = w.sensor.scan(); err != nil {
		return err
	}
	w.found = w.sensor.clock.Now()
	list := make([]map[string]any, 0, len(w.inputs))
	for _, point := range slices.Sorted(maps.Keys(w.inputs)) {
		list = append(list, w.inputs[point].fields())
	}
	had := w.sensor.had
	w.sensor.had = maps.Clone(w.inputs)
	for point, in := range had {
		if _, here := w.inputs[point]; !here {
			w.inputs[point], w.sensor.had[point] = in, in
		}
	}
	if err := w.missed(); err != nil {
		return err
	}
	w.emit(sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"kind": "hwmon", "inputs": list}),
	})
	return nil
}

// missed looks for the chips that people named. One that was never there is a
// fault: of the sensor if there is no other, else of its own.
func (w *watch) missed() error {
	for _, name := range w.sensor.cfg.Chips {
		if slices.ContainsFunc(slices.Collect(maps.Values(w.inputs)), func(in input) bool { return in.chip == name }) {
			w.appeared("chip:"+name, name)
			continue
		}
		err := core.E(core.KindNotFound, "hwmon.Run", fmt.Sprintf("no chip %q with %s in %s", name, w.sensor.wanted(), w.sensor.class())).
			WithHint("is its kernel module loaded?")
		if len(w.inputs) == 0 {
			return err
		}
		w.breaks("chip:"+name, err)
	}
	switch err := core.E(core.KindNotFound, "hwmon.Run", fmt.Sprintf("no chip with %s in %s", w.sensor.wanted(), w.sensor.class())); {
	case len(w.inputs) == 0:
		return err
	case w.sensor.cfg.reads() && !anySwitch(w.inputs):
		w.breaks(pointSwitch, err)
	default:
		w.appeared(pointSwitch, "")
	}
	return nil
}

// pointSwitch stands for a case switch that no chip has.
const pointSwitch = "switch"

// appeared tells that what people named and what was missing is there.
func (w *watch) appeared(point, chip string) {
	if _, missing := w.broken[point]; !missing {
		return
	}
	delete(w.broken, point)
	w.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: sensor.Text(point), Type: "chip_added", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]string{"chip": sensor.Text(chip)}),
	})
}

func (s *Sensor) wanted() string {
	if s.cfg.reads() {
		return "a case switch"
	}
	return "what is to be measured"
}

// look reads every input. One that can't be read is broken at its point; if none
// can, the sensor is.
func (w *watch) look() error {
	if len(w.broken) > 0 && w.sensor.clock.Now().Sub(w.found) >= findEvery {
		if err := w.list(); err != nil { // it may be back under another number
			return err
		}
	}
	var last error
	failed := 0
	for _, point := range slices.Sorted(maps.Keys(w.inputs)) {
		err := w.read(w.inputs[point])
		if err == nil {
			delete(w.broken, point)
			continue
		}
		failed, last = failed+1, err
		w.breaks(point, err)
	}
	if failed == len(w.inputs) {
		return last
	}
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

// breaks tells of a point that can't be read, once for each reason.
func (w *watch) breaks(point string, err error) {
	why := sensor.Text(err.Error())
	if w.broken[point] == why {
		return
	}
	w.broken[point] = why
	w.emit(sensor.Reading{Kind: sensor.Broken, Point: sensor.Text(point), Fields: sensor.Fields(map[string]string{"why": why})})
}

func (w *watch) read(in input) error {
	text, err := sysfs.Read(filepath.Join(in.dir, in.attribute))
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENODEV):
		return w.lost(in)
	case err != nil:
		return core.Wrap(core.KindUnavailable, "hwmon.Run", fmt.Errorf("read %s: %w", in.point(), err))
	case in.quantity != nil:
		return w.measure(in, text)
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

func (w *watch) measure(in input, text string) error {
	v, err := sysfs.Number(text)
	if err != nil {
		return fmt.Errorf("%s: %w", in.point(), err)
	}
	if in.faulty() {
		return core.E(core.KindUnavailable, "hwmon.Run", in.point()+": the chip says that its probe is broken")
	}
	r := sensor.Reading{Kind: sensor.Measure, Point: in.point(), Value: v * in.quantity.factor, Unit: in.quantity.unit}
	if in.label != "" {
		r.Fields = sensor.Fields(map[string]string{"label": sensor.Text(in.label)})
	}
	w.emit(r)
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
// longer offers: the first is tampering, told once, the second a fault.
func (w *watch) lost(in input) error {
	if w.sensor.chipHere(in) {
		return core.E(core.KindUnavailable, "hwmon.Run", fmt.Sprintf("the chip %s is there and %s is not", in.chip, in.attribute))
	}
	told := true
	for point, other := range w.sensor.had {
		if other.chip == in.chip && other.device == in.device {
			delete(w.sensor.had, point)
			told = false
		}
	}
	if !told {
		w.emit(sensor.Reading{
			Kind: sensor.Pulse, Point: in.place(), Type: "chip_removed", Alarm: true,
			Severity: core.SeverityCritical, Fields: sensor.Fields(in.fields()),
		})
	}
	return core.E(core.KindUnavailable, "hwmon.Run", fmt.Sprintf("the chip %s at %s is gone", sensor.Text(in.chip), sensor.Text(in.device)))
}

// chipHere says whether the chip is still in the place where it was.
func (s *Sensor) chipHere(in input) bool {
	chips, err := os.ReadDir(s.class())
	if err != nil {
		return false
	}
	return slices.ContainsFunc(chips, func(c os.DirEntry) bool {
		dir := filepath.Join(s.class(), c.Name())
		name, err := chipName(dir)
		target, _ := os.Readlink(filepath.Join(dir, "device"))
		return err == nil && name == in.chip && (filepath.Base(target) == in.device || c.Name() == in.device)
	})
}
