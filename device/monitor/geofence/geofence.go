// Package geofence is the judge of a position: whether the device is where it
// belongs, whether it is known where it is, and whether what the receiver says
// can be true.
//
// A position counts if the receiver has a fix that is good enough. To leave the
// fence it must be outside by more than its own error and a margin, for a while;
// to come back, inside for as long. A device that sees no satellites has lost its
// position, which is a fault and no theft: most devices stand under a roof.
//
// Positions can be forged by anyone with a transmitter. Jumps, a clock that
// disagrees, satellites that are all equally strong and a position that stands
// still to the last digit are doubts; two at once are suspected forgery. None of
// this proves a position: one that is forged well passes.
package geofence

import (
	"fmt"
	"math"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config configures the judge. The zero value of a key is its default. It has a
// circle, a polygon, or neither: then it judges the receiver alone.
type Config struct {
	// Name of the fence, as events show it.
	Name string `yaml:"name,omitempty"`
	// Circle is the fence as a place and a radius.
	Circle *Circle `yaml:"circle,omitempty"`
	// Polygon is the fence as its corners, in order.
	Polygon []Place `yaml:"polygon,omitempty"`
	// Hysteresis is how far outside counts as outside, in metres; 25 where it is
	// left out.
	Hysteresis float64 `yaml:"hysteresis,omitempty"`
	// Dwell is for how long, 30s where it is left out.
	Dwell time.Duration `yaml:"dwell,omitempty"`
	// MaxError is the largest estimated error of a position that counts, in
	// metres; 100 where it is left out.
	MaxError float64 `yaml:"max_error,omitempty"`
	// MinMode is the least fix that counts: 2, or 3 for one with height; 2 where
	// it is left out.
	MinMode int `yaml:"min_mode,omitempty"`
	// LostAfter is how long no position may count before it is lost, 5m where it
	// is left out.
	LostAfter time.Duration `yaml:"lost_after,omitempty"`
	// MaxSpeed is what the device can do at most, in metres a second; 100 where it
	// is left out. Faster is a jump.
	MaxSpeed float64 `yaml:"max_speed,omitempty"`
	// ClockTolerance is how far the satellites' time and the device's may be
	// apart, 30s where it is left out.
	ClockTolerance time.Duration `yaml:"clock_tolerance,omitempty"`
	// FrozenAfter is how long a position may stand still to the last digit while
	// the signals change, 1h where it is left out; "-1s" for ever, for a receiver
	// that holds its position by itself.
	FrozenAfter time.Duration `yaml:"frozen_after,omitempty"`
}

// Place is a point of the earth, in degrees of WGS 84.
type Place struct {
	// Lat is the latitude, north is positive.
	Lat float64 `yaml:"lat"`
	// Lon is the longitude, east is positive.
	Lon float64 `yaml:"lon"`
}

// Circle is a place and what is around it.
type Circle struct {
	// Lat is the latitude of its middle, north is positive.
	Lat float64 `yaml:"lat"`
	// Lon is the longitude of its middle, east is positive.
	Lon float64 `yaml:"lon"`
	// Radius is in metres, 10 to 500000.
	Radius float64 `yaml:"radius"`
}

const (
	maxCorners = 64
	minRadius  = 10
	maxRadius  = 500_000
	// maxSpan bounds a polygon: beyond, the plane that it is reckoned in is none.
	maxSpan = 5 // degrees
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Circle != nil && len(c.Polygon) > 0:
		return invalid("circle and polygon: one of them")
	case c.Circle != nil && !(Place{c.Circle.Lat, c.Circle.Lon}).valid():
		return invalid("circle: %g, %g is no place", c.Circle.Lat, c.Circle.Lon)
	case c.Circle != nil && !between(c.Circle.Radius, minRadius, maxRadius):
		return invalid("circle: radius %g m; allowed are %d to %d", c.Circle.Radius, minRadius, maxRadius)
	case len(c.Polygon) > 0 && (len(c.Polygon) < 3 || len(c.Polygon) > maxCorners):
		return invalid("polygon: %d corners; allowed are 3 to %d", len(c.Polygon), maxCorners)
	case sensor.Text(c.Name) != c.Name:
		return invalid("name %q", c.Name)
	}
	for i, p := range c.Polygon {
		if !p.valid() {
			return invalid("polygon[%d]: %g, %g is no place", i, p.Lat, p.Lon)
		}
		if math.Abs(p.Lat-c.Polygon[0].Lat) > maxSpan || math.Abs(turn(p.Lon-c.Polygon[0].Lon)) > maxSpan {
			return invalid("polygon[%d]: more than %d degrees from the first corner", i, maxSpan)
		}
	}
	return c.validateNumbers()
}

func (c Config) validateNumbers() error {
	switch {
	case c.Hysteresis != 0 && !between(c.Hysteresis, 1, 10_000):
		return invalid("hysteresis %g m; allowed are 1 to 10000", c.Hysteresis)
	case c.MaxError != 0 && !between(c.MaxError, 1, 10_000):
		return invalid("max_error %g m; allowed are 1 to 10000", c.MaxError)
	case c.MaxSpeed != 0 && !between(c.MaxSpeed, 1, 10_000):
		return invalid("max_speed %g m/s; allowed are 1 to 10000", c.MaxSpeed)
	case c.MinMode != 0 && c.MinMode != 2 && c.MinMode != 3:
		return invalid("min_mode %d; 2 or 3", c.MinMode)
	case c.Dwell < 0 || c.Dwell > time.Hour:
		return invalid("dwell %s; allowed are 0 to 1h", c.Dwell)
	case c.LostAfter < 0 || c.LostAfter > 0 && c.LostAfter < 10*time.Second:
		return invalid("lost_after %s; at least 10s", c.LostAfter)
	case c.ClockTolerance < 0 || c.ClockTolerance > 0 && c.ClockTolerance < time.Second:
		return invalid("clock_tolerance %s; at least 1s", c.ClockTolerance)
	case c.FrozenAfter > 0 && c.FrozenAfter < time.Minute:
		return invalid("frozen_after %s; at least 1m", c.FrozenAfter)
	}
	return nil
}

// between is false for what is no number.
func between(v, low, high float64) bool { return v >= low && v <= high }

func (p Place) valid() bool { return between(p.Lat, -90, 90) && between(p.Lon, -180, 180) }

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "geofence.Config", fmt.Sprintf(format, args...))
}

func (c Config) withDefaults() Config {
	number := func(v *float64, to float64) {
		if *v == 0 {
			*v = to
		}
	}
	wait := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	number(&c.Hysteresis, 25)
	number(&c.MaxError, 100)
	number(&c.MaxSpeed, 100)
	wait(&c.Dwell, 30*time.Second)
	wait(&c.LostAfter, 5*time.Minute)
	wait(&c.ClockTolerance, 30*time.Second)
	wait(&c.FrozenAfter, time.Hour)
	if c.MinMode == 0 {
		c.MinMode = 2
	}
	return c
}

// Doc describes the judge.
var Doc = sensor.Doc{
	Name: "geofence", Senses: "whether the device is where it belongs, and whether its position can be true",
	Interface: "positions", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "geofence_exit", Severity: core.SeverityCritical, Alarm: true, Meaning: "the device has left its fence"},
		{Type: "geofence_enter", Severity: core.SeverityInfo, Meaning: "it is back"},
		{Type: "position_lost", Severity: core.SeverityMedium, Meaning: "it is not known where the device is: no satellites, or too few"},
		{Type: "position_found", Severity: core.SeverityInfo, Meaning: "it is known again"},
		{Type: "position_jump", Severity: core.SeverityHigh, Alarm: true, Meaning: "the position moved faster than the device can"},
		{Type: "gps_clock_disagrees", Severity: core.SeverityMedium, Meaning: "the satellites' time and the device's differ: one of them is wrong"},
		{Type: "gps_clock_agrees", Severity: core.SeverityInfo, Meaning: "they agree again"},
		{Type: "position_doubtful", Severity: core.SeverityMedium, Meaning: "one thing about the position can hardly be true"},
		{Type: "position_plausible", Severity: core.SeverityInfo, Meaning: "nothing speaks against the position any more"},
		{Type: "position_spoof_suspected", Severity: core.SeverityHigh, Alarm: true, Meaning: "two such things at once: the position may be forged"},
	},
	Tested: []sensor.Tested{sensor.TestedPeer, sensor.TestedSimulator},
}
