// Package vibration judges how a machine sounds to an accelerometer: against a
// baseline that it learned, band by band, whether it got louder or quieter,
// whether a tone came or went, whether it stopped.
//
// It is a judge of the monitor (device/monitor.Judge and Learner). How strong a
// machine shakes says little: a fan with a coin on its blade and a clogged
// blower both shake less than a sound one. So the shape counts, in both
// directions, and each band's own spread while learning says how much of a
// change is one. A knock is no change: the middle of eight segments is judged.
package vibration

import (
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config are the thresholds. The zero value of a field means its default.
type Config struct {
	// Learn is how long it listens before it has a baseline of its own. Default
	// 10 min.
	Learn time.Duration `yaml:"learn"`
	// Change is by how many dB a band must differ from its baseline, half of that
	// the whole, and Spread by how many times their spread while learning.
	// Defaults 4 and 4.
	Change float64 `yaml:"change_db"`
	Spread float64 `yaml:"spread"`
	// Share is the part of the bands that must differ, where no tone came or
	// went. Default 0.25.
	Share float64 `yaml:"share"`
	// Hold is how long a change must last to be told, and to be over. Default
	// 5 s.
	Hold time.Duration `yaml:"hold"`
	// Floor is the level in g rms of a band below which it is noise whatever it
	// does. Default 0.0002.
	Floor float64 `yaml:"floor_g"`
}

func (c Config) withDefaults() Config {
	for _, f := range []struct {
		v   *float64
		def float64
	}{{&c.Change, 4}, {&c.Spread, 4}, {&c.Share, 0.25}, {&c.Floor, 0.0002}} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if c.Learn == 0 {
		c.Learn = 10 * time.Minute
	}
	if c.Hold == 0 {
		c.Hold = 5 * time.Second
	}
	return c
}

// Validate says what of the configuration can't be meant.
func (c Config) Validate() error {
	c = c.withDefaults()
	for _, f := range []struct {
		key       string
		v, lo, hi float64
	}{
		{"learn (s)", c.Learn.Seconds(), 5, 7 * 86400},
		{"change_db", c.Change, 1, 40},
		{"spread", c.Spread, 2, 20},
		{"share", c.Share, 0.02, 1},
		{"hold (s)", c.Hold.Seconds(), 1, 3600},
		{"floor_g", c.Floor, 1e-6, 1},
	} {
		if !(f.v >= f.lo && f.v <= f.hi) {
			return core.E(core.KindInvalid, "vibration.Config", fmt.Sprintf("%s is %g, outside %g to %g", f.key, f.v, f.lo, f.hi))
		}
	}
	return nil
}

// Events of the judge.
const (
	EventVibration = "vibration"
	EventNormal    = "vibration_normal"
	EventLearning  = "vibration_learning"
	EventLearned   = "vibration_learned"
)

// Doc says what the judge is.
var Doc = sensor.Doc{
	Name:      "vibration",
	Senses:    "a machine's vibration that differs from its learned baseline: louder, quieter, stopped, tones that came or went",
	Interface: "judge of an accelerometer's waveforms",
	Latency:   sensor.LatencyEvent,
	Events: []sensor.EventDoc{
		{Type: EventVibration, Severity: core.SeverityMedium, Alarm: true, Meaning: "the vibration differs from the baseline; fields name the bands, the tones and the sha256 under which the present one can be accepted"},
		{Type: EventNormal, Severity: core.SeverityInfo, Meaning: "the vibration is as the baseline again"},
		{Type: EventLearning, Severity: core.SeverityLow, Meaning: "there is no baseline yet, so nothing is compared: a baseline is being learned"},
		{Type: EventLearned, Severity: core.SeverityInfo, Meaning: "a baseline was learned"},
	},
	Tested: []sensor.Tested{sensor.TestedTrace, sensor.TestedSimulator},
}
