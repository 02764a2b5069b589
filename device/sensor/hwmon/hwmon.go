// Package hwmon is the driver for the kernel's hardware monitoring: the case
// switch of a mainboard (intrusionN_alarm), and, where that is configured, the
// voltages, currents, fans and temperatures of its chips. No chip tells of
// itself, so the driver looks every second; some kernel drivers answer from a
// cache that is up to three seconds old.
//
// The chip keeps the alarm until somebody writes 0. The driver does that a while
// after it has told: otherwise no release could last, and a second opening would
// look like the first. What was felt stays as a latch of the monitor.
//
// What can't be read is broken at its own point and the others go on; the sensor
// as a whole is a fault once nothing of it can be read. A chip that was there and
// is gone is tampering, told once.
package hwmon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
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

// Sensor reads chips; see [New].
type Sensor struct {
	id    core.SensorID
	cfg   Config
	clock core.Clock
	sysfs string
	rearm func(path string) error // opens a chip's own latch
	// had are the inputs that were read, by point. They outlive a run: what goes
	// while the driver is being restarted has gone all the same.
	had map[string]input
}

// New returns a driver for the chips of the given names, or for every chip when
// none is named.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{id: env.ID, cfg: c, clock: env.Clock, sysfs: env.Path("sys"), rearm: writeZero, had: map[string]input{}}, nil
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

// Probe implements [sensor.Sensor]. A machine without what is to be read is
// skipped, unless people named the chip or one was there before: then it is
// missing.
func (s *Sensor) Probe() sensor.Presence {
	if len(s.cfg.Chips) > 0 || len(s.had) > 0 {
		return sensor.Present()
	}
	found, err := s.scan()
	switch {
	case err != nil:
		return sensor.Present() // and a fault
	case s.cfg.reads() && !anySwitch(found):
		return sensor.Skipped("no chip of this machine has a case switch (intrusionN_alarm in " + s.class() + ")")
	case len(found) == 0:
		return sensor.Skipped("no chip of this machine measures " + strings.Join(s.cfg.Measures, ", ") + " (in " + s.class() + ")")
	}
	return sensor.Present()
}

func anySwitch(found map[string]input) bool {
	for _, in := range found {
		if in.quantity == nil {
			return true
		}
	}
	return false
}

// input is one attribute. Its place is the device behind the chip, which the
// numbers of hwmon are not: they change with the order of loading.
type input struct {
	chip, device, attribute string
	dir                     string // of the attribute
	name                    string // "intrusion0_alarm", "temp1"
	label                   string
	quantity                *quantity // nil for a switch
	fault                   bool      // the chip says whether its probe is broken
}

// faulty asks the chip about its probe. A broken one has a value too.
func (in input) faulty() bool {
	if !in.fault {
		return false
	}
	text, err := sysfs.Read(filepath.Join(in.dir, in.name+"_fault"))
	return err != nil || text != "0"
}

func (in input) place() string { return sensor.Text(in.chip + "@" + in.device) }

func (in input) point() string { return sensor.Text(in.chip + "@" + in.device + "/" + in.name) }

func (in input) fields() map[string]any {
	f := map[string]any{"chip": sensor.Text(in.chip), "device": sensor.Text(in.device), "attribute": in.attribute}
	if in.label != "" {
		f["label"] = sensor.Text(in.label)
	}
	return f
}

func (s *Sensor) class() string { return filepath.Join(s.sysfs, "class/hwmon") }

var (
	switchRE  = regexp.MustCompile(`^intrusion[0-9]{1,3}_alarm$`)
	measureRE = regexp.MustCompile(`^((in|curr|power|fan|temp|humidity)[0-9]{1,3})_input$`)
)

// scan lists the inputs by point.
func (s *Sensor) scan() (map[string]input, error) {
	chips, err := os.ReadDir(s.class())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, core.Wrap(core.KindUnavailable, "hwmon.scan", err)
	}
	found := map[string]input{}
	for _, c := range chips {
		dir := filepath.Join(s.class(), c.Name())
		name, err := chipName(dir)
		if err != nil || len(s.cfg.Chips) > 0 && !slices.Contains(s.cfg.Chips, name) {
			continue // gone while we looked, or not asked for
		}
		for _, in := range s.inputsOf(name, dir) {
			if found[in.point()] = in; len(found) > maxInputs {
				return nil, core.E(core.KindTooLarge, "hwmon.scan", fmt.Sprintf("more than %d inputs", maxInputs)).
					WithHint("name the chips, or fewer measures, and give the others to a second sensor")
			}
		}
	}
	return found, nil
}

// inputsOf lists the inputs of a chip. Old drivers have their attributes one
// folder further down.
func (s *Sensor) inputsOf(chip, dir string) (list []input) {
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
			if in, ok := s.inputOf(e.Name()); ok {
				in.chip, in.device, in.dir = chip, device, d
				in.label, _ = sysfs.Read(filepath.Join(d, in.name+"_label")) // most have none
				_, err := os.Stat(filepath.Join(d, in.name+"_fault"))
				in.fault = err == nil
				list = append(list, in)
			}
		}
	}
	return list
}

// inputOf says what an attribute is, and whether it is to be read.
func (s *Sensor) inputOf(attribute string) (input, bool) {
	if switchRE.MatchString(attribute) {
		return input{attribute: attribute, name: attribute}, s.cfg.reads()
	}
	m := measureRE.FindStringSubmatch(attribute)
	if m == nil || !slices.Contains(s.cfg.Measures, m[2]) {
		return input{}, false
	}
	q := quantities[m[2]]
	return input{attribute: attribute, name: m[1], quantity: &q}, true
}

// chipName reads what the chip is called. Old drivers (w83792d, w83793) have that
// one folder further down, with their attributes.
func chipName(dir string) (string, error) {
	name, err := sysfs.Read(filepath.Join(dir, "name"))
	if errors.Is(err, os.ErrNotExist) {
		return sysfs.Read(filepath.Join(dir, "device", "name"))
	}
	return name, err
}

func writeZero(path string) error { return sysfs.Write(path, "0") }
