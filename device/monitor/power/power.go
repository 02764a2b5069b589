// Package power judges what feeds a device: a voltage that sags, ripples or
// rises, a current that jumps, power that goes and comes back, a source that
// fails over to another, a battery that runs low, a processor that is slowed.
//
// It stands on the drivers power, hwmon and iio and is pure. Each source is
// judged for itself and told when it changes, not as long as it lasts. What it
// can see depends on how often the driver measures: a sag between two samples is
// not in them.
package power

import (
	"math"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/hold"
	"github.com/interlock-security/interlock/device/sensor"
)

// Doc describes the judge.
var Doc = sensor.Doc{
	Name: "power", Senses: "sag, ripple and excess of a supply, jumps of its current, power cycles, failing sources, low batteries, throttling",
	Interface: "numbers of the sensor (power, hwmon, iio)", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "voltage_sag", Severity: core.SeverityMedium, Alarm: true, Meaning: "a supply is below its least voltage, or the board says so"},
		{Type: "voltage_tamper", Severity: core.SeverityHigh, Alarm: true, Meaning: "a supply is above its highest voltage: more than its regulator gives"},
		{Type: "voltage_normal", Severity: core.SeverityInfo, Meaning: "it is within its limits again"},
		{Type: "voltage_ripple", Severity: core.SeverityMedium, Alarm: true, Meaning: "a supply swings: a bad regulator, or somebody who feeds glitches"},
		{Type: "voltage_steady", Severity: core.SeverityInfo, Meaning: "it no longer does"},
		{Type: "current_spike", Severity: core.SeverityMedium, Alarm: true, Meaning: "the device draws more than it should: something is attached to it"},
		{Type: "current_normal", Severity: core.SeverityInfo, Meaning: "it no longer does"},
		{Type: "power_cycle", Severity: core.SeverityHigh, Alarm: true, Meaning: "a supply was gone and is back; `off_ms` says for how long"},
		{Type: "source_failover", Severity: core.SeverityHigh, Alarm: true, Meaning: "a source failed and another feeds the device"},
		{Type: "source_restored", Severity: core.SeverityInfo, Meaning: "it is back"},
		{Type: "battery_low", Severity: core.SeverityMedium, Meaning: "a battery is below the limit to warn at"},
		{Type: "battery_critical", Severity: core.SeverityHigh, Alarm: true, Meaning: "a battery is nearly empty: soon nothing is sensed"},
		{Type: "battery_eased", Severity: core.SeverityInfo, Meaning: "it is low and no longer nearly empty"},
		{Type: "battery_ok", Severity: core.SeverityInfo, Meaning: "it is charged again"},
		{Type: "battery_failing", Severity: core.SeverityMedium, Meaning: "a battery says of itself that it is too hot, too cold, worn or dead"},
		{Type: "battery_good", Severity: core.SeverityInfo, Meaning: "it no longer does"},
		{Type: "throttled", Severity: core.SeverityMedium, Meaning: "the processor is slowed for its heat or its supply"},
		{Type: "throttle_over", Severity: core.SeverityInfo, Meaning: "it no longer is"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
}

// maxPoints bounds what is remembered.
const maxPoints = 64

// judged is what one point is judged as.
type judged interface {
	see(now time.Time, r sensor.Reading) []sensor.Reading
	tick(now time.Time) []sensor.Reading
	next() time.Time
}

// Judge judges the points of one sensor; see [New].
type Judge struct {
	cfg    Config
	points map[string]judged
	// discharging are the batteries that feed the device now; fed says that some
	// source once did.
	discharging map[string]bool
	fed         bool
}

// New returns a judge.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Judge{cfg: c, points: map[string]judged{}, discharging: map[string]bool{}}, nil
}

// Judge implements monitor.Judge.
func (j *Judge) Judge(now time.Time, r sensor.Reading) []sensor.Reading {
	if r.Kind != sensor.Measure || math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
		return nil
	}
	p, known := j.points[r.Point]
	if !known && len(j.points) < maxPoints {
		p = j.judgedAs(r)
		j.points[r.Point] = p
	}
	if p == nil {
		return nil
	}
	return p.see(now, r)
}

// Tick implements monitor.Judge.
func (j *Judge) Tick(now time.Time) (said []sensor.Reading) {
	for _, p := range j.points {
		if p == nil {
			continue
		}
		if next := p.next(); !next.IsZero() && !now.Before(next) {
			said = append(said, p.tick(now)...)
		}
	}
	return said
}

// Next implements monitor.Judge.
func (j *Judge) Next() (next time.Time) {
	for _, p := range j.points {
		if p == nil {
			continue
		}
		if t := p.next(); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// judgedAs says what a point is: a rail if the configuration names it, else by
// the words of the power driver.
func (j *Judge) judgedAs(r sensor.Reading) judged {
	for _, rail := range j.cfg.Rails {
		if !hold.Match(rail.Point, r.Point) {
			continue
		}
		switch {
		case r.Unit == sensor.UnitVolt:
			return newVoltage(rail.withDefaults())
		case r.Unit == sensor.UnitAmpere && rail.MaxCurrent > 0:
			return newCurrent(rail.withDefaults())
		}
	}
	source, what, _ := strings.Cut(r.Point, "/")
	switch {
	case what == "online":
		return &feed{judge: j, source: source}
	case what == "discharging":
		return &battery{judge: j, source: source}
	case what == "capacity":
		return newCharge(j.cfg)
	case what == "unhealthy":
		return &flag{kind: "battery_failing", clear: "battery_good"}
	case r.Point == "throttle/undervoltage":
		return &flag{kind: "voltage_sag", clear: "voltage_normal", alarm: true}
	case source == "throttle":
		return &flag{kind: "throttled", clear: "throttle_over"}
	case r.Point == "cpu/throttle_count":
		return &counter{}
	}
	return nil
}

// level fills in what every level has. None latches: what is over is over, and
// what a person must see stands in the events.
func level(l sensor.Reading, r sensor.Reading, active bool, more map[string]any) sensor.Reading {
	fields := map[string]any{"value": math.Round(r.Value*1e4) / 1e4, "unit": r.Unit, "measured": sensor.Text(r.Point)}
	for k, v := range more {
		fields[k] = v
	}
	l.Kind, l.Settled, l.Active, l.Unlatched, l.Fields = sensor.Level, true, active, true, sensor.Fields(fields)
	return l
}
