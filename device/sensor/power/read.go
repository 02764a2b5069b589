package power

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

// read reads everything, in an order that does not change.
func (s *Sensor) read() []number {
	all := slices.Concat(s.readSupplies(), s.readRails(), s.readThrottle(), s.readThermal(), s.readCounters())
	for i := range all {
		all[i].point = sensor.Text(all[i].point)
	}
	return all
}

// attributes are what of a supply is read, with what the kernel's unit must be
// multiplied by (Documentation/ABI/testing/sysfs-class-power).
var attributes = []struct {
	file, point string
	unit        sensor.Unit
	factor      float64
}{
	{"online", "online", sensor.UnitNone, 1},
	{"present", "present", sensor.UnitNone, 1},
	{"voltage_now", "voltage", sensor.UnitVolt, 1e-6},
	{"current_now", "current", sensor.UnitAmpere, 1e-6},
	{"power_now", "power", sensor.UnitWatt, 1e-6},
	{"capacity", "capacity", sensor.UnitPercent, 1},
	{"temp", "temp", sensor.UnitCelsius, 0.1},
}

func (s *Sensor) readSupplies() (all []number) {
	names := s.names()
	for _, name := range s.cfg.Supplies {
		if !slices.Contains(names, name) {
			all = append(all, number{point: name, err: core.E(core.KindNotFound, "power.Run", "there is no supply "+name)})
		}
	}
	for _, name := range names {
		for _, a := range attributes {
			v, err := sysfs.Float(s.supply(name, a.file))
			if absent(err) {
				continue // few supplies have everything
			}
			all = append(all, number{point: name + "/" + a.point, value: v * a.factor, unit: a.unit, err: err})
		}
		if text, err := sysfs.Read(s.supply(name, "status")); err == nil {
			all = append(all, number{point: name + "/discharging", value: flag(text == "Discharging")})
		}
		if text, err := sysfs.Read(s.supply(name, "health")); err == nil {
			all = append(all, number{point: name + "/unhealthy", value: flag(text != "Good" && text != "Unknown")})
		}
	}
	return all
}

// absent says that a supply does not have an attribute, or has it and no value
// for it now.
func absent(err error) bool {
	return sysfs.Gone(err) || errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EAGAIN)
}

func (s *Sensor) readRails() (all []number) {
	for _, r := range s.cfg.Rails {
		n := number{point: r.Name, unit: r.Unit}
		if n.unit == "" {
			n.unit = sensor.UnitVolt
		}
		scale := r.Scale
		if scale == 0 {
			scale = 0.001
		}
		path, err := one(s.env.Path(r.Path))
		if err == nil {
			n.value, err = sysfs.Float(path)
		}
		n.value, n.err = n.value*scale, err
		all = append(all, n)
	}
	return all
}

// one returns the file that a pattern means.
func one(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return "", core.E(core.KindNotFound, "power.Run", fmt.Sprintf("%s means %d files, not one", pattern, len(found)))
	}
	return found[0], nil
}

// The flags of a Raspberry Pi's firmware. Those of before are the same, further
// up, and stay until the next start.
const (
	flagUndervoltage = 1 << iota
	flagCapped
	flagThrottled
	flagSoftLimit
	flagsBefore = 16
)

// throttleFile is where the platform's kernel shows the flags.
const throttleFile = "sys/devices/platform/soc/soc:firmware/get_throttled"

// readThrottle reads the flags. One that came and went between two looks shows
// in the flags of before.
func (s *Sensor) readThrottle() []number {
	path, named := s.env.Path(throttleFile), false
	switch s.cfg.Throttle {
	case "":
	case "none":
		return nil
	default:
		path, named = s.env.Path(s.cfg.Throttle), true
	}
	text, err := sysfs.Read(path)
	if sysfs.Gone(err) && !named {
		return s.readVolt()
	}
	flags, err := parseFlags(text, err)
	if err != nil {
		return []number{{point: "throttle/undervoltage", err: err}}
	}
	before := flags >> flagsBefore
	if s.stuck {
		flags |= before &^ s.sticky
	}
	s.sticky, s.stuck = before, true
	all := []number{}
	for i, name := range []string{"undervoltage", "frequency_capped", "throttled", "soft_limit"} {
		all = append(all, number{point: "throttle/" + name, value: flag(flags>>i&1 == 1)})
	}
	return all
}

// parseFlags reads the flags as the kernel ("50005") or vcgencmd
// ("throttled=0x50005") writes them.
func parseFlags(text string, err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, "throttled="), "0x")
	flags, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return 0, core.E(core.KindDamaged, "power.Run", fmt.Sprintf("throttle flags %.20q are no number", text))
	}
	return flags, nil
}

// readVolt reads the one flag that the mainline kernel shows, of a chip that it
// calls rpi_volt.
func (s *Sensor) readVolt() []number {
	names, err := filepath.Glob(s.env.Path("sys/class/hwmon/hwmon*/name"))
	if err != nil {
		return nil
	}
	for _, path := range names {
		if name, err := sysfs.Read(path); err != nil || name != "rpi_volt" {
			continue
		}
		v, err := sysfs.Float(filepath.Join(filepath.Dir(path), "in0_lcrit_alarm"))
		return []number{{point: "throttle/undervoltage", value: v, err: err}}
	}
	return nil
}

// readThermal reads the thermal zones, by what they call themselves.
func (s *Sensor) readThermal() (all []number) {
	if !s.cfg.thermal() {
		return nil
	}
	zones, err := filepath.Glob(s.env.Path("sys/class/thermal/thermal_zone*"))
	if err != nil {
		return nil
	}
	seen := map[string]int{}
	for _, dir := range zones[:min(len(zones), maxZones)] {
		kind, err := sysfs.Read(filepath.Join(dir, "type"))
		if err != nil {
			continue // it goes while we look
		}
		point := "thermal/" + strings.ReplaceAll(kind, "/", "_")
		if seen[kind]++; seen[kind] > 1 {
			point += "." + strconv.Itoa(seen[kind])
		}
		v, err := sysfs.Float(filepath.Join(dir, "temp"))
		if absent(err) {
			continue // a zone that is switched off has no temperature
		}
		all = append(all, number{point: point, value: v / 1000, unit: sensor.UnitCelsius, err: err})
	}
	return all
}

// readCounters adds up how often the processors were slowed for their heat.
func (s *Sensor) readCounters() []number {
	if !s.cfg.thermal() {
		return nil
	}
	files, err := filepath.Glob(s.env.Path("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count"))
	if err != nil || len(files) == 0 {
		return nil
	}
	n := number{point: "cpu/throttle_count"}
	for _, path := range files {
		v, err := sysfs.Float(path)
		if err != nil && !sysfs.Gone(err) { // a processor may be taken offline
			n.err = err
		}
		n.value += v
	}
	return []number{n}
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
