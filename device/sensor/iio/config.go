package iio

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "iio", Senses: "acceleration, rate of turn, voltage, light, humidity, pressure, temperature",
	Interface: "/sys/bus/iio/devices/iio:device*, /dev/iio:device* (buffers)", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "sensor_removed", Severity: core.SeverityCritical, Alarm: true, Meaning: "the chip was there and is gone: tampering. The sensor is a fault until it is back"},
		{Type: "buffer_lost", Severity: core.SeverityMedium, Meaning: "the buffer that the device was read by, or its trigger, can't be had; it is looked at instead, less often"},
		{Type: "samples_lost", Severity: core.SeverityMedium, Meaning: "the kernel had to drop samples; what happened meanwhile is not known"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
}

// The ways to read a device.
const (
	ModeAuto   = "auto"   // by the kernel's buffer where it can, else by looking
	ModeBuffer = "buffer" // by the buffer, or not at all
	ModePoll   = "poll"   // by looking
)

// Config configures the driver.
type Config struct {
	// Device is the device's name ("mma8452"), its label, its number
	// ("iio:device0"), its place on the bus ("1-001c") or its folder in /sys.
	Device string `yaml:"device"`
	// Channels are what to read: "accel", "voltage0", "temp"; each that the
	// driver understands where none is named.
	Channels []string `yaml:"channels,omitempty"`
	// Rate is how many samples are taken a second. Left out: 100 of motion by the
	// buffer and 25 by looking, 10 of a voltage or a current, 1 of what is slow.
	Rate float64 `yaml:"rate,omitempty"`
	// Mode is auto, buffer or poll; auto if left out.
	Mode string `yaml:"mode,omitempty"`
	// Trigger is the name of the trigger that fills the buffer. Left out, it is
	// the one that is set, or else the device's own.
	Trigger string `yaml:"trigger,omitempty"`
	// Range is where the acceleration clips, in g; left out, it comes from the
	// width of the samples.
	Range float64 `yaml:"range,omitempty"`
	// Lively says whether a value must move, so that one that stands still counts
	// as stale. Left out: acceleration in steps of
	// less than 5 mg, voltages of less than 1 mV a step, currents of
	// less than 1 mA.
	Lively *bool `yaml:"lively,omitempty"`
	// MaxSilence is the longest silence, and how long a lively value may stand
	// still; 30 s if left out.
	MaxSilence time.Duration `yaml:"max_silence,omitempty"`
}

// Limits of a configuration.
const (
	minRate       = 0.01
	maxRate       = 3200
	maxPollRate   = 200
	maxNamed      = 64
	minMaxSilence = 3 * time.Second
	maxMaxSilence = time.Hour
)

var channelRE = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.+-]{0,63}$`)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Device == "" || len(c.Device) > 255 || strings.ContainsAny(c.Device, "\x00\n"):
		return invalid("device %q is no name, label or path", c.Device)
	case strings.Contains(c.Device, "/") && (!strings.HasPrefix(c.Device, "/sys/") || filepath.Clean(c.Device) != c.Device):
		return invalid("device %q; a path begins with /sys/ and is clean", c.Device)
	case len(c.Channels) > maxNamed:
		return invalid("%d channels; at most %d", len(c.Channels), maxNamed)
	case c.Mode != "" && c.Mode != ModeAuto && c.Mode != ModeBuffer && c.Mode != ModePoll:
		return invalid("mode %q; known are auto, buffer, poll", c.Mode)
	case c.Mode == ModePoll && c.Trigger != "":
		return invalid("trigger %q has no meaning with mode poll", c.Trigger)
	case len(c.Trigger) > 64 || strings.ContainsAny(c.Trigger, "\x00\n/"):
		return invalid("trigger %q is no name", c.Trigger)
	}
	return c.numbers()
}

func (c Config) numbers() error {
	switch {
	case c.Rate != 0 && !(c.Rate >= minRate && c.Rate <= maxRate):
		return invalid("rate %g; allowed are %g to %d a second", c.Rate, minRate, maxRate)
	case c.Mode == ModePoll && c.Rate > maxPollRate:
		return invalid("rate %g; by looking at most %d a second", c.Rate, maxPollRate)
	case c.Range != 0 && !(c.Range > 0 && c.Range <= 1000):
		return invalid("range %g; allowed are 0 to 1000 g", c.Range)
	case c.MaxSilence != 0 && (c.MaxSilence < minMaxSilence || c.MaxSilence > maxMaxSilence):
		return invalid("max_silence %s; allowed are %s to %s", c.MaxSilence, minMaxSilence, maxMaxSilence)
	case c.Rate != 0 && c.maxSilence().Seconds() < 2/c.Rate:
		return invalid("max_silence %s is shorter than two samples at %g a second", c.maxSilence(), c.Rate)
	}
	for _, name := range c.Channels {
		if !channelRE.MatchString(name) {
			return invalid("channel %q; a channel is called like in /sys, without in_ and _raw", name)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "iio.Config", fmt.Sprintf(format, args...))
}

func (c Config) maxSilence() time.Duration {
	if c.MaxSilence == 0 {
		return 30 * time.Second
	}
	return c.MaxSilence
}

// rate is how many samples a second are to be had of these channels.
func (c Config) rate(list []channel, buffered bool) float64 {
	want := c.Rate
	if want == 0 {
		want = 1
		for _, ch := range list {
			want = math.Max(want, ch.quantity.rate(buffered))
		}
	}
	if !buffered {
		want = math.Min(want, maxPollRate)
	}
	return want
}
