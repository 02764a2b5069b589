package iio

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

// standardGravity is what one g is, in m/s².
const standardGravity = 9.80665

// quantity is a kind of channel, with what the kernel's unit must be multiplied
// by to be ours (Documentation/ABI/testing/sysfs-bus-iio).
type quantity struct {
	name   string
	unit   sensor.Unit
	factor float64
	motion bool // fast, for the buffer
	fast   bool // a voltage: what happens to it happens at once
}

// quantities are the ones that mean something to a judge. The longer name stands
// before the shorter, since a channel's name has its number right behind.
var quantities = []quantity{
	{name: "accel", unit: sensor.UnitG, factor: 1 / standardGravity, motion: true}, // m/s²
	{name: "anglvel", unit: sensor.UnitDegSec, factor: 180 / math.Pi, motion: true},
	{name: "concentration", unit: sensor.UnitPercent, factor: 1},
	{name: "current", unit: sensor.UnitAmpere, factor: 1e-3, fast: true}, // mA
	{name: "humidityrelative", unit: sensor.UnitPercent, factor: 1e-3},
	{name: "illuminance", unit: sensor.UnitLux, factor: 1},
	{name: "intensity", unit: sensor.UnitNone, factor: 1},
	{name: "power", unit: sensor.UnitWatt, factor: 1e-3},     // mW
	{name: "pressure", unit: sensor.UnitPascal, factor: 1e3}, // kPa
	{name: "proximity", unit: sensor.UnitNone, factor: 1},
	{name: "temp", unit: sensor.UnitCelsius, factor: 1e-3},
	{name: "voltage", unit: sensor.UnitVolt, factor: 1e-3, fast: true}, // mV
}

// rate is how many samples a second of it are worth having.
func (q quantity) rate(buffered bool) float64 {
	switch {
	case q.motion && buffered:
		return 100
	case q.motion:
		return 25
	case q.fast:
		return 10
	}
	return 1
}

// channel is one input of a device.
type channel struct {
	name          string // "accel_x", "voltage0", "voltage0-voltage1"
	label         string
	quantity      quantity
	processed     bool // the kernel gives the value in its unit
	scale, offset float64
	file          string // that is read
}

// value makes a number of the chip into one in our unit.
func (c channel) value(raw float64) (float64, error) {
	v := raw
	if !c.processed {
		v = (raw + c.offset) * c.scale
	}
	v *= c.quantity.factor
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, core.E(core.KindDamaged, "iio", fmt.Sprintf("%s is no number", c.name))
	}
	return v, nil
}

// axis is the index of an axis of acceleration, -1 for anything else.
func (c channel) axis() int { return slices.Index([]string{"accel_x", "accel_y", "accel_z"}, c.name) }

// lively says whether a value that stands still is a frozen one: a converter
// whose step is finer than the noise of any wire, or of any accelerometer.
func (c channel) lively(cfg Config) bool {
	if cfg.Lively != nil {
		return *cfg.Lively
	}
	step := math.Abs(c.scale * c.quantity.factor)
	return !c.processed && step > 0 && (c.quantity.fast && step < 1e-3 || c.axis() >= 0 && step < 5e-3)
}

// livelyAxes says it of a wave.
func livelyAxes(list []channel, cfg Config) bool {
	return slices.ContainsFunc(list, func(c channel) bool { return c.axis() >= 0 && c.lively(cfg) })
}

func (c channel) fields() map[string]any {
	f := map[string]any{"channel": sensor.Text(c.name), "unit": c.quantity.unit, "processed": c.processed}
	if c.label != "" {
		f["label"] = sensor.Text(c.label)
	}
	if !c.processed {
		f["scale"], f["offset"] = c.scale, c.offset
	}
	return f
}

var attributeRE = regexp.MustCompile(`^in_([a-zA-Z0-9][a-zA-Z0-9_.+-]{0,63})_(raw|input)$`)

// maxChannels bounds what is read of one device.
const maxChannels = 64

// channelsOf lists the channels of a device that the driver understands, in the
// order of their names, and the names of the others.
func channelsOf(dir string) (list []channel, others []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		m := attributeRE.FindStringSubmatch(e.Name())
		if m == nil || m[2] == "raw" && slices.ContainsFunc(entries, func(o os.DirEntry) bool { return o.Name() == "in_"+m[1]+"_input" }) {
			continue
		}
		q, ok := quantityOf(m[1])
		if !ok {
			others = append(others, m[1])
			continue
		}
		c, err := readChannel(dir, m[1], q, m[2] == "input")
		if err != nil {
			return nil, nil, err
		}
		if list = append(list, c); len(list) > maxChannels {
			return nil, nil, core.E(core.KindTooLarge, "iio.Run", fmt.Sprintf("%s has more than %d channels", dir, maxChannels))
		}
	}
	return list, others, nil
}

// quantityOf knows a channel by the letters that its name begins with.
func quantityOf(name string) (quantity, bool) {
	letters := name
	if i := strings.IndexFunc(name, func(r rune) bool { return r < 'a' || r > 'z' }); i >= 0 {
		letters = name[:i]
	}
	i := slices.IndexFunc(quantities, func(q quantity) bool { return q.name == letters })
	if i < 0 {
		return quantity{}, false
	}
	return quantities[i], true
}

func readChannel(dir, name string, q quantity, processed bool) (channel, error) {
	c := channel{name: name, quantity: q, processed: processed, scale: 1, file: filepath.Join(dir, "in_"+name+"_raw")}
	if processed {
		c.file = filepath.Join(dir, "in_"+name+"_input")
	}
	c.label, _ = sysfs.Read(filepath.Join(dir, "in_"+name+"_label")) // most have none
	var err error
	if c.scale, err = shared(dir, name, q, "scale", 1); err != nil {
		return channel{}, err
	}
	c.offset, err = shared(dir, name, q, "offset", 0)
	return c, err
}

// shared reads an attribute of the channel, or the one that it has in common
// with others of its kind: in_voltage0_scale, in_voltage_scale.
func shared(dir, name string, q quantity, attribute string, otherwise float64) (float64, error) {
	kinds := []string{"in_" + name, "in_" + strings.TrimRight(strings.SplitN(name, "_", 2)[0], "0123456789"), "in_" + q.name, "in"}
	if strings.Contains(name, "-") {
		kinds = slices.Insert(kinds, 1, "in_"+q.name+"-"+q.name)
	}
	for _, kind := range kinds {
		v, err := sysfs.Float(filepath.Join(dir, kind+"_"+attribute))
		switch {
		case err == nil:
			return v, nil
		case !sysfs.Gone(err):
			return 0, core.Wrap(core.KindDamaged, "iio.Run", fmt.Errorf("%s of %s: %w", attribute, name, err))
		}
	}
	return otherwise, nil
}

// chosen keeps the channels that the configuration names: by name, by label, or
// all of a kind ("accel").
func chosen(list []channel, names []string) ([]channel, error) {
	if len(names) == 0 {
		return list, nil
	}
	var out []channel
	for _, name := range names {
		n := len(out)
		for _, c := range list {
			if c.name == name || c.label == name || c.quantity.name == name {
				out = append(out, c)
			}
		}
		if len(out) == n {
			return nil, core.E(core.KindNotFound, "iio.Run", fmt.Sprintf("the device has no channel %q", name)).
				WithHint("ls /sys/bus/iio/devices/iio:device*/in_*_raw")
		}
	}
	slices.SortFunc(out, func(a, b channel) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(out, func(a, b channel) bool { return a.name == b.name }), nil
}
