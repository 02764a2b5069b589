// Package iio is the driver for what the kernel's Industrial I/O subsystem
// measures: acceleration, rate of turn, the voltages of a converter (and of the
// supervised loops that hang on it), light, humidity, pressure, temperature.
//
// Motion comes from the kernel's buffer, half a second at a time, wherever the
// device has one and a trigger to fill it; the rest is read from sysfs at the
// rate that the inventory states. What the driver sets it puts back when it
// ends. It judges nothing: acceleration goes on as a wave, all else as numbers.
//
// A device that goes away while it is read is tampering and told once; then the
// sensor is a fault. A trigger that no longer fires makes it silent, and silence
// is the monitor's to judge.
package iio

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

// chunk is how much of a wave is told at once.
const chunk = 500 * time.Millisecond

// pointAccel is the point of a wave.
const pointAccel = "accel"

// Sensor reads one device; see [New].
type Sensor struct {
	env  sensor.Env
	cfg  Config
	base time.Time // what the instants of looked-up samples count from
	// had is the place of the device that was read. It outlives a run: one that
	// goes while the driver is being restarted has gone all the same.
	had string
	// buffered says that the buffer is what it is read by: people named a trigger,
	// or it was so before.
	buffered bool
	// felt is the last of a wave, for a self-test beside a run: a device that
	// records can't be asked.
	felt atomic.Pointer[felt]
}

type felt struct {
	at time.Time
	g  float64 // how much, whichever way
}

// New returns a driver for one device.
func New(env sensor.Env, c Config) (sensor.Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Mode == "" {
		c.Mode = ModeAuto
	}
	return &Sensor{env: env, cfg: c, base: env.Clock.Now(), buffered: c.Trigger != ""}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	caps := sensor.Capabilities{
		Kind: "iio", Needs: []sensor.Need{sensor.NeedIIO, sensor.NeedSysfs}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyPoll, Delay: chunk, MaxSilence: s.cfg.maxSilence(), Latches: true,
	}
	if s.cfg.Rate > 0 && s.cfg.Rate < 1 {
		caps.Delay = time.Duration(float64(time.Second) / s.cfg.Rate)
	}
	return caps
}

// Probe implements [sensor.Sensor]. The device was named by people: one that is
// not there is a fault, never skipped.
func (s *Sensor) Probe() sensor.Presence { return sensor.Present() }

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	d, err := s.find()
	if core.KindOf(err) == core.KindNotFound && s.had != "" {
		return s.removed(emit, s.had, "it was there before, and is not now")
	}
	if err != nil {
		return err
	}
	list, others, err := s.channels(d)
	if err != nil {
		return s.ended(d, emit, err)
	}
	if s.had != "" && s.had != d.place { // one of the same name, which may be another one
		_ = s.removed(emit, s.had, "another one is at "+d.place)
	}
	s.had = d.place
	var c *capture
	why := "mode: poll"
	if s.cfg.Mode != ModePoll {
		if c, why, err = s.open(d, list); err != nil {
			return s.ended(d, emit, err)
		}
	}
	s.inventory(emit, d, list, others, c, why)
	s.degraded(emit, d, c == nil, why)
	if c != nil {
		defer c.close()
		return s.ended(d, emit, c.run(ctx, emit))
	}
	return s.ended(d, emit, s.look(ctx, list, emit))
}

// degraded tells that a device which was read by its buffer, or should be, is
// only looked at: what is fast is seen less well.
func (s *Sensor) degraded(emit func(sensor.Reading), d device, looks bool, why string) {
	if looks && s.buffered {
		emit(sensor.Reading{
			Kind: sensor.Pulse, Point: "device:" + sensor.Text(d.name), Type: "buffer_lost", Severity: core.SeverityMedium,
			Fields: sensor.Fields(map[string]any{"device": sensor.Text(d.name), "why": sensor.Text(why)}),
		})
	}
	s.buffered = !looks || s.cfg.Trigger != ""
}

// device is one device of the subsystem.
type device struct {
	number string // "iio:device0"
	name   string
	label  string
	place  string // on its bus: "1-001c"
	dir    string
}

var numberRE = regexp.MustCompile(`^iio:device[0-9]{1,4}$`)

func (s *Sensor) class() string { return s.env.Path("sys/bus/iio/devices") }

// find returns the device that the configuration means. A name that two devices
// have stands for none of them.
func (s *Sensor) find() (device, error) {
	all, err := s.devices()
	if err != nil {
		return device{}, err
	}
	var fits []device
	for _, d := range all {
		if d.is(s.cfg.Device, s.env) {
			fits = append(fits, d)
		}
	}
	switch len(fits) {
	case 0:
		return device{}, core.E(core.KindNotFound, "iio.Run", fmt.Sprintf("no device %q in %s", s.cfg.Device, s.class())).
			WithHint("cat /sys/bus/iio/devices/iio:device*/name; is its kernel module loaded?")
	case 1:
		return fits[0], nil
	}
	return device{}, core.E(core.KindConflict, "iio.Run", fmt.Sprintf("%s at %s and %s at %s are both %q", fits[0].number, sensor.Text(fits[0].place), fits[1].number, sensor.Text(fits[1].place), s.cfg.Device)).
		WithHint("name the device by its place on the bus")
}

func (s *Sensor) devices() ([]device, error) {
	entries, err := os.ReadDir(s.class())
	if err != nil && !sysfs.Gone(err) {
		return nil, core.Wrap(core.KindUnavailable, "iio.Run", err)
	}
	var all []device
	for _, e := range entries {
		if !numberRE.MatchString(e.Name()) {
			continue
		}
		d := device{number: e.Name(), dir: filepath.Join(s.class(), e.Name())}
		if d.name, err = sysfs.Read(filepath.Join(d.dir, "name")); err != nil {
			continue // it goes while we look
		}
		d.label, _ = sysfs.Read(filepath.Join(d.dir, "label")) // most have none
		if real, err := filepath.EvalSymlinks(d.dir); err == nil {
			d.place = filepath.Base(filepath.Dir(real))
		}
		all = append(all, d)
	}
	return all, nil
}

func (d device) is(what string, env sensor.Env) bool {
	if strings.HasPrefix(what, "/") {
		a, err := filepath.EvalSymlinks(env.Path(what))
		b, err2 := filepath.EvalSymlinks(d.dir)
		return err == nil && err2 == nil && a == b
	}
	return slices.Contains([]string{d.number, d.name, d.label, d.place}, what)
}

func (d device) fields() map[string]any {
	f := map[string]any{"device": d.number, "name": sensor.Text(d.name), "place": sensor.Text(d.place)}
	if d.label != "" {
		f["label"] = sensor.Text(d.label)
	}
	return f
}

func (s *Sensor) channels(d device) (list []channel, others []string, err error) {
	all, others, err := channelsOf(d.dir)
	if err != nil {
		return nil, nil, err
	}
	if list, err = chosen(all, s.cfg.Channels); err != nil {
		return nil, nil, err
	}
	if len(list) == 0 {
		return nil, nil, core.E(core.KindNotFound, "iio.Run", fmt.Sprintf("%s (%s) has no channel that this driver reads", sensor.Text(d.name), d.number))
	}
	return list, others, nil
}

// inventory tells the whole device, and how it is read.
func (s *Sensor) inventory(emit func(sensor.Reading), d device, list []channel, others []string, c *capture, why string) {
	fields := d.fields()
	fields["kind"], fields["mode"] = "iio", ModePoll
	fields["rate_hz"] = s.cfg.rate(list, false)
	if c != nil {
		fields["mode"], fields["rate_hz"], fields["trigger"], fields["range_g"] = ModeBuffer, c.rate, sensor.Text(c.trigger), c.full
		list, others = c.covered(list, others)
	} else {
		fields["why_no_buffer"] = sensor.Text(why)
	}
	channels := make([]map[string]any, 0, len(list))
	for _, ch := range list {
		f := ch.fields()
		f["lively"] = ch.lively(s.cfg)
		channels = append(channels, f)
	}
	fields["channels"] = channels
	for i := range others {
		others[i] = sensor.Text(others[i])
	}
	fields["not_read"] = others[:min(len(others), maxChannels)]
	emit(sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo, Fields: sensor.Fields(fields)})
}

// ended tells a device that was taken away from one that can't be read: the
// first is tampering, the second a fault.
func (s *Sensor) ended(d device, emit func(sensor.Reading), err error) error {
	if err == nil || !sysfs.Gone(err) {
		return err
	}
	if name, e := sysfs.Read(filepath.Join(d.dir, "name")); e == nil && name == d.name {
		return core.Wrap(core.KindUnavailable, "iio.Run", fmt.Errorf("the device %s is there, and a part of it is not: %w", sensor.Text(d.name), err))
	}
	if s.had == "" {
		return core.Wrap(core.KindUnavailable, "iio.Run", err)
	}
	return s.removed(emit, d.place, err.Error())
}

func (s *Sensor) removed(emit func(sensor.Reading), place, why string) error {
	s.had = ""
	emit(sensor.Reading{
		Kind: sensor.Pulse, Point: "device:" + sensor.Text(s.cfg.Device), Type: "sensor_removed", Alarm: true, Severity: core.SeverityCritical,
		Fields: sensor.Fields(map[string]any{"device": sensor.Text(s.cfg.Device), "place": sensor.Text(place), "why": sensor.Text(why)}),
	})
	return core.E(core.KindUnavailable, "iio.Run", fmt.Sprintf("the device %s is gone", sensor.Text(s.cfg.Device)))
}
