// Package environment judges what a case and the air in it are like:
// temperature, humidity, pressure, light, fans, water, smoke. It knows limits to
// warn at and limits to alarm at, how fast a value changes, and limits apart
// from all these beyond which the safe state is asked for.
//
// It stands on the drivers that measure (iio, hwmon, power) and is pure. What it
// promises: one odd value is nothing, a value at a limit does not chatter, a
// point that a rule names and that nobody measures is a fault. It only tells; it
// turns no fan and slows no processor.
package environment

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
	Name: "environment", Senses: "temperature, humidity, pressure, light in the case, fans, water, smoke: limits and how fast they change",
	Interface: "numbers of the sensor (iio, hwmon, power)", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "temperature_high", Severity: core.SeverityMedium, Meaning: "it is warmer than the limit to warn at"},
		{Type: "temperature_low", Severity: core.SeverityMedium, Meaning: "it is colder than the limit to warn at"},
		{Type: "temperature_critical", Severity: core.SeverityCritical, Alarm: true, Meaning: "it is beyond the limit to alarm at, `side` says on which side"},
		{Type: "temperature_falling", Severity: core.SeverityCritical, Alarm: true, Meaning: "it falls faster than any weather: somebody freezes the device to read its memory"},
		{Type: "temperature_rising", Severity: core.SeverityHigh, Alarm: true, Meaning: "it rises faster than any weather: a fire, a torch"},
		{Type: "temperature_eased", Severity: core.SeverityInfo, Meaning: "it is within the limit to alarm at again"},
		{Type: "temperature_normal", Severity: core.SeverityInfo, Meaning: "it is within the limits to warn at again"},
		{Type: "temperature_steady", Severity: core.SeverityInfo, Meaning: "it changes no faster than usual again"},
		{Type: "humidity_high", Severity: core.SeverityMedium, Meaning: "it is more humid than the limit to warn at"},
		{Type: "humidity_low", Severity: core.SeverityMedium, Meaning: "it is drier than the limit to warn at"},
		{Type: "humidity_critical", Severity: core.SeverityHigh, Alarm: true, Meaning: "it is beyond the limit to alarm at"},
		{Type: "humidity_eased", Severity: core.SeverityInfo, Meaning: "it is within the limit to alarm at again"},
		{Type: "humidity_normal", Severity: core.SeverityInfo, Meaning: "it is within the limits to warn at again"},
		{Type: "pressure_high", Severity: core.SeverityMedium, Meaning: "the pressure is above the limit to warn at"},
		{Type: "pressure_low", Severity: core.SeverityMedium, Meaning: "the pressure is below the limit to warn at"},
		{Type: "pressure_critical", Severity: core.SeverityHigh, Alarm: true, Meaning: "the pressure is beyond the limit to alarm at: a sealed case is open"},
		{Type: "pressure_eased", Severity: core.SeverityInfo, Meaning: "it is within the limit to alarm at again"},
		{Type: "pressure_normal", Severity: core.SeverityInfo, Meaning: "it is within the limits to warn at again"},
		{Type: "light_in_case", Severity: core.SeverityHigh, Alarm: true, Meaning: "there is light where the case should be closed"},
		{Type: "light_gone", Severity: core.SeverityInfo, Meaning: "it is dark again; a latch stays"},
		{Type: "fan_stopped", Severity: core.SeverityHigh, Alarm: true, Meaning: "a fan that turned stands still"},
		{Type: "fan_turning", Severity: core.SeverityInfo, Meaning: "it turns again"},
		{Type: "water_detected", Severity: core.SeverityCritical, Alarm: true, Meaning: "there is water"},
		{Type: "water_gone", Severity: core.SeverityInfo, Meaning: "there is none any more"},
		{Type: "smoke_detected", Severity: core.SeverityCritical, Alarm: true, Meaning: "there is smoke"},
		{Type: "smoke_gone", Severity: core.SeverityInfo, Meaning: "there is none any more"},
		{Type: "safety_limit", Severity: core.SeverityCritical, Alarm: true, Meaning: "a value is beyond the limit that stands apart from all others; `safe_state` is `requested`"},
		{Type: "safety_limit_over", Severity: core.SeverityInfo, Meaning: "it is within that limit again; a latch stays"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
}

// maxPoints bounds what is remembered.
const maxPoints = 64

// findWithin is how long a point that a rule names may not have been measured.
const findWithin = time.Minute

// Judge judges the points of one sensor; see [New].
type Judge struct {
	cfg    Config
	points map[string]*watched
	// missing are the points that rules name and nobody has measured yet, with
	// whether that was told.
	missing map[string]bool
	began   time.Time
}

// New returns a judge.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	j := &Judge{cfg: c, points: map[string]*watched{}, missing: map[string]bool{}}
	for _, r := range c.Rules {
		if r.Point != "" && r.Kind != KindIgnore && !strings.ContainsAny(r.Point, `*?[\`) {
			j.missing[r.Point] = false
		}
	}
	return j, nil
}

// Judge implements monitor.Judge.
func (j *Judge) Judge(now time.Time, r sensor.Reading) (said []sensor.Reading) {
	if j.began.IsZero() {
		j.began = now
	}
	if r.Kind != sensor.Measure || math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
		return nil
	}
	w, known := j.points[r.Point]
	if !known {
		if len(j.points) >= maxPoints {
			return nil
		}
		w = newWatched(r.Point, j.cfg.ruleFor(r.Point, r.Unit), len(j.cfg.Rules) > 0)
		j.points[r.Point] = w
		said = j.found(r)
	}
	if w.rule.Kind == KindIgnore {
		return said
	}
	return append(said, w.see(now, r)...)
}

// found ends the search for a point.
func (j *Judge) found(r sensor.Reading) (said []sensor.Reading) {
	for name, told := range j.missing {
		if !hold.Match(name, r.Point) {
			continue
		}
		delete(j.missing, name)
		if told {
			said = append(said, sensor.Reading{Kind: sensor.Measure, Point: name, Value: r.Value, Unit: r.Unit})
		}
	}
	return said
}

// Tick implements monitor.Judge: points that nobody measures, or that are silent
// for longer than their rule allows, are broken.
func (j *Judge) Tick(now time.Time) (said []sensor.Reading) {
	for _, w := range j.points {
		if due := w.due(); !due.IsZero() && !now.Before(due) {
			w.silent = true
			said = append(said, broken(w.point, "it is silent for more than "+w.rule.Stale.String()))
		}
	}
	for name, told := range j.missing {
		if !told && !now.Before(j.began.Add(findWithin)) {
			j.missing[name] = true
			said = append(said, broken(name, "a rule names this point, and the sensor does not measure it"))
		}
	}
	return said
}

func broken(point, why string) sensor.Reading {
	return sensor.Reading{Kind: sensor.Broken, Point: point, Fields: sensor.Fields(map[string]string{"why": sensor.Text(why)})}
}

// Next implements monitor.Judge.
func (j *Judge) Next() (next time.Time) {
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, w := range j.points {
		sooner(w.due())
	}
	for _, told := range j.missing {
		if !told && !j.began.IsZero() {
			sooner(j.began.Add(findWithin))
		}
	}
	return next
}
