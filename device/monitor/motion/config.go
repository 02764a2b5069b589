// Package motion judges acceleration: whether somebody lifts, carries, tilts,
// drops or drills at the device, or only walks past it and slams a door.
//
// It is a judge of the monitor (device/monitor.Judge), pure and streaming:
// waveforms come in, one reading an event goes out, more only where the event
// turns out to be worse than it was. It goes by physics and not by examples:
// where gravity points before and after, whether the device fell free, how much
// of the motion is slow enough to move a thing rather than to shake it, how
// long it lasts, whether it repeats itself like steps. Times are the samples'
// own; any rate from 20 Hz up will do.
package motion

import (
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config are the thresholds. The zero value of a field means its default.
type Config struct {
	// Still is the level in g (rms over a fifth of a second) below which nothing
	// is noticed, whatever the sensor's noise. Default 0.012. Four times the
	// learned noise floor counts where that is more.
	Still float64 `yaml:"still_g"`
	// Handling is the level in g (rms below about 6 Hz) from which slow motion
	// is a hand's and not a building's. Default 0.05.
	Handling float64 `yaml:"handling_g"`
	// Knock is the peak in g from which a short shock is told. Default 0.08.
	Knock float64 `yaml:"knock_g"`
	// Blow is the peak in g of a knock that counts as an attack once there were
	// Blows of them within a minute. Defaults 4 and 5.
	Blow  float64 `yaml:"blow_g"`
	Blows int     `yaml:"blows"`
	// Tilt is how far gravity must have turned, in degrees, and TiltHold for how
	// long, to be a tilt. Defaults 2 and 3 s.
	Tilt     float64       `yaml:"tilt_degrees"`
	TiltHold time.Duration `yaml:"tilt_hold"`
	// Drift is what the direction of gravity may wander, in degrees an hour,
	// without being a tilt: temperature bends boards. Default 0.25.
	Drift float64 `yaml:"drift_degrees_hour"`
	// Fall is how long the device must weigh next to nothing (FallG, in g) to
	// have fallen. Defaults 0.12 s (7 cm) and 0.35.
	Fall  time.Duration `yaml:"fall"`
	FallG float64       `yaml:"fall_g"`
	// Drill is the level in g of a steady vibration that is told as drilling,
	// DrillTime how long it must last. Defaults 0.03 and 3 s. Where quiet was
	// learned before, 2.5 times the noise floor and a third of Drill suffice
	// if it lasts twice as long.
	Drill     float64       `yaml:"drill_g"`
	DrillTime time.Duration `yaml:"drill_time"`
	// Quiet is how long it must be still for an event to be over. Default 1.5 s.
	Quiet time.Duration `yaml:"quiet"`
	// Frozen is for how long the same vector to the last digit makes the sensor
	// a fault; ten times that for a sensor with steps of 3 mg and more. Default
	// 30 s.
	Frozen time.Duration `yaml:"frozen"`
}

func (c Config) withDefaults() Config {
	for _, f := range []struct {
		v   *float64
		def float64
	}{
		{&c.Still, 0.012},
		{&c.Handling, 0.05},
		{&c.Knock, 0.08},
		{&c.Blow, 4},
		{&c.Tilt, 2},
		{&c.Drift, 0.25},
		{&c.FallG, 0.35},
		{&c.Drill, 0.03},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	for _, f := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.TiltHold, 3 * time.Second},
		{&c.Fall, 120 * time.Millisecond},
		{&c.DrillTime, 3 * time.Second},
		{&c.Quiet, 1500 * time.Millisecond},
		{&c.Frozen, 30 * time.Second},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if c.Blows == 0 {
		c.Blows = 5
	}
	return c
}

// Validate says what of the configuration can't be meant.
func (c Config) Validate() error {
	const op = "motion.Config"
	c = c.withDefaults()
	for _, f := range []struct {
		key       string
		v, lo, hi float64
	}{
		{"still_g", c.Still, 0.001, 1},
		{"handling_g", c.Handling, 0.005, 5},
		{"knock_g", c.Knock, 0.01, 50},
		{"blow_g", c.Blow, 0.1, 100},
		{"blows", float64(c.Blows), 2, 60},
		{"tilt_degrees", c.Tilt, 0.5, 90},
		{"drift_degrees_hour", c.Drift, 0.001, 10},
		{"fall_g", c.FallG, 0.05, 0.8},
		{"drill_g", c.Drill, 0.002, 5},
		{"tilt_hold (s)", c.TiltHold.Seconds(), 1, 600},
		{"fall (s)", c.Fall.Seconds(), 0.05, 1},
		{"drill_time (s)", c.DrillTime.Seconds(), 1, 600},
		{"quiet (s)", c.Quiet.Seconds(), 0.5, 10},
		{"frozen (s)", c.Frozen.Seconds(), 2, 3600},
	} {
		if !(f.v >= f.lo && f.v <= f.hi) {
			return core.E(core.KindInvalid, op, fmt.Sprintf("%s is %g, outside %g to %g", f.key, f.v, f.lo, f.hi))
		}
	}
	return nil
}

// Class is what a motion is taken for.
type Class string

// The classes, the harmless first.
const (
	ClassStill      Class = "still"
	ClassDisturbed  Class = "disturbed" // something, too weak or too mixed to name
	ClassFootsteps  Class = "footsteps"
	ClassDoor       Class = "door_slam"
	ClassKnock      Class = "knock"
	ClassEarthquake Class = "earthquake"
	ClassHandling   Class = "handling"
	ClassDrill      Class = "drill"
	ClassTilt       Class = "tilt"
	ClassLift       Class = "lift"
	ClassCarry      Class = "carry"
	ClassDrop       Class = "drop"
)

// Events of the judge.
const (
	EventMotion     = "motion_detected"
	EventOver       = "motion_over"
	EventVibration  = "vibration"
	EventKnock      = "knock_felt"
	EventEarthquake = "earthquake_suspected"
	EventDoubt      = "sensor_doubtful"
)

// Doc says what the judge is.
var Doc = sensor.Doc{
	Name:      "motion",
	Senses:    "lifting, carrying, tilting, dropping, knocking, drilling; a sensor that is frozen, clips or is wrongly scaled",
	Interface: "judge of an accelerometer's waveforms",
	Latency:   sensor.LatencyEvent,
	Events: []sensor.EventDoc{
		{Type: EventMotion, Severity: core.SeverityHigh, Alarm: true, Meaning: "the device was lifted, carried, handled, tilted or dropped (field class); in transport only a drop alarms"},
		{Type: EventOver, Severity: core.SeverityInfo, Meaning: "what alarmed is over: class, length and features of the whole of it (event is the same number)"},
		{Type: EventVibration, Severity: core.SeverityHigh, Alarm: true, Meaning: "somebody drills or cuts at the device (class drill)"},
		{Type: EventKnock, Severity: core.SeverityLow, Meaning: "a knock, a slammed door, footsteps, a disturbance; repeated knocks are medium, repeated blows are motion_detected"},
		{Type: EventEarthquake, Severity: core.SeverityMedium, Meaning: "shaken for long without being turned: fields say fleet=ask, the neighbours tell a quake from a theft"},
		{Type: EventDoubt, Severity: core.SeverityMedium, Meaning: "the sensor clips, is wrongly scaled, leaves gravity out, or its clock jumps (field class)"},
	},
	Tested: []sensor.Tested{sensor.TestedTrace, sensor.TestedSimulator},
}
