package replay

import (
	"fmt"
	"math"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// frozen watches for a recording in which nothing ever changes. The judge of a
// live sensor waits longer, because it can; a recording that has ended says no
// more, and one without any noise is no recording of a calm place.
type frozen struct {
	first   sensor.Sample
	last    time.Duration
	n       int
	changed bool
}

// Of what is shorter, or has fewer samples, nothing can be said; a coarse sensor
// that never shows a step of noise must have had the time to.
const (
	standsFor     = 10 * time.Second
	standsCoarse  = 20 * time.Second
	standsSamples = 20
)

func (f *frozen) watch(samples []sensor.Sample) {
	for _, s := range samples {
		if f.n == 0 {
			f.first = s
		}
		f.n++
		f.last = max(f.last, s.At)
		f.changed = f.changed || s.X != f.first.X || s.Y != f.first.Y || s.Z != f.first.Z
	}
}

func (f *frozen) whole() bool {
	long := standsCoarse
	if fine(f.first) {
		long = standsFor
	}
	return f.n >= standsSamples && !f.changed && f.last-f.first.At >= long
}

// fine says that the sensor's steps are finer than 3 mg, by the digits of what it
// gave: the steps of coarse ones are eight bits' or so of a gravity, or hundredths.
func fine(s sensor.Sample) bool {
	for _, step := range [...]float64{1.0 / 256, 0.01, 0.004} {
		if even(s.X, step) && even(s.Y, step) && even(s.Z, step) {
			return false
		}
	}
	return true
}

func even(v, step float64) bool { return math.Abs(math.Remainder(v, step)) < 2e-5 }

// stood tells of a recording that never changed, where the judge of motion did
// not already.
func (p *panel) stood() {
	if !p.frozen.whole() {
		return
	}
	for _, l := range p.lines {
		if l.Class == fault {
			return
		}
	}
	s, span := p.frozen.first, p.frozen.last-p.frozen.first.At
	p.put(Line{
		File: p.file, T: s.At.Seconds(), End: p.frozen.last.Seconds(), Class: fault, Type: "sensor_lost", Judge: "motion",
		Score: 0.8, Alarm: true, Severity: core.SeverityHigh,
		Why: fmt.Sprintf("frozen: the same vector (%g, %g, %g) to the last digit in all %d samples, for %.0f s: a sensor that measures has noise", s.X, s.Y, s.Z, p.frozen.n, span.Seconds()),
	})
}
