package monitor

import (
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// input is what the core knows of one sensor.
type input struct {
	spec        Spec
	running     bool
	seen        bool   // it has read at least once
	fault       string // why it is a fault, "" when it is none
	stale       string
	skipped     string
	simulated   bool
	bypassed    bool
	bypassUntil time.Time
	failures    int
	lastSeen    time.Time
	sample      uint64
	sampled     bool
	sampleMoved time.Time
	cutAt       time.Time // when its driver was last cut for silence
	alarmed     time.Time // when a pulse last alarmed without a latch, zero once that was ended
	points      map[string]*point
	names       []string // keys of points, in order of appearance
	readings    budget
	lifecycle   budget
}

// point is one input of a sensor.
type point struct {
	name        string
	active      bool // after debounce
	pending     *change
	last        sensor.Reading
	latch       *Latch
	activity    tally // since the latch was set
	bounces     int
	bounceStart time.Time
}

// change is a level that has not yet held long enough.
type change struct {
	reading sensor.Reading
	since   time.Time
}

func newInput(s Spec) *input { return &input{spec: s, points: map[string]*point{}} }

func (in *input) point(name string) *point {
	if p, ok := in.points[name]; ok {
		return p
	}
	if len(in.points) >= maxPoints {
		if p, ok := in.points[overflow]; ok {
			return p
		}
		name = overflow
	}
	p := &point{name: name}
	in.points[name] = p
	in.names = append(in.names, name)
	return p
}

// quietSince is when the sensor last gave a sign of life.
func (in *input) quietSince() time.Time {
	if in.spec.Caps.Lively && in.sampleMoved.Before(in.lastSeen) {
		return in.sampleMoved
	}
	return in.lastSeen
}

func (in *input) restore(l Latch) {
	p := in.point(l.Point)
	p.latch = &l
	in.simulated = in.simulated || l.Simulated
}

// settle drops what was about to change: after a failure the driver tells the
// levels anew.
func (in *input) settle() {
	for _, p := range in.points {
		p.pending = nil
	}
}

func (in *input) fail() int {
	in.failures++
	return in.failures
}

func (in *input) latches() []Latch {
	var all []Latch
	for _, name := range in.names {
		if l := in.points[name].latch; l != nil {
			all = append(all, *l)
		}
	}
	return all
}

func (in *input) activePoints() []string {
	var all []string
	for _, name := range in.names {
		if in.points[name].active {
			all = append(all, name)
		}
	}
	return all
}

// state ranks what can be true at once: a latch outshines everything, and
// nothing that is not known reads as ok.
func (in *input) state() core.SensorState {
	switch {
	case len(in.latches()) > 0:
		return core.SensorAlarm
	case in.bypassed:
		return core.SensorBypassed
	case in.fault != "":
		return core.SensorFault
	case in.stale != "":
		return core.SensorStale
	case !in.seen:
		return core.SensorUnknown
	case len(in.activePoints()) > 0:
		return core.SensorAlarm
	}
	return core.SensorOK
}

func (in *input) status() Status {
	s := Status{
		ID: in.spec.ID, Kind: in.spec.Caps.Kind, State: in.state(), Skipped: in.skipped != "", Active: in.activePoints(),
		Simulated: in.simulated || in.spec.Caps.Simulated,
	}
	for _, why := range []string{in.fault, in.stale, in.skipped} {
		if s.Why == "" {
			s.Why = why
		}
	}
	for _, l := range in.latches() {
		s.Latches = append(s.Latches, l.ID)
	}
	return s
}

func (in *input) deadlines(debounce, window time.Duration) []time.Time {
	var all []time.Time
	if in.bypassed {
		all = append(all, in.bypassUntil)
	}
	if in.running {
		quiet := in.quietSince()
		if in.cutAt.After(quiet) {
			quiet = in.cutAt
		}
		all = append(all, quiet.Add(in.spec.Caps.MaxSilence+1))
	}
	if !in.alarmed.IsZero() {
		all = append(all, in.alarmed.Add(window))
	}
	for _, j := range in.spec.Judges {
		all = appendSet(all, j.Next())
	}
	if in.spec.Fusion != nil {
		all = appendSet(all, in.spec.Fusion.Next())
	}
	for _, p := range in.points {
		if p.pending != nil {
			all = append(all, p.pending.since.Add(debounce))
		}
		if p.activity.count > 0 {
			all = append(all, p.activity.first.Add(window))
		}
	}
	for _, b := range []*budget{&in.readings, &in.lifecycle} {
		if len(b.over) > 0 {
			all = append(all, b.since.Add(window))
		}
	}
	return all
}

func appendSet(all []time.Time, t time.Time) []time.Time {
	if t.IsZero() {
		return all
	}
	return append(all, t)
}
