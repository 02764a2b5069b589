package motion

import (
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/signal"
	"github.com/interlock-security/interlock/device/sensor"
)

// open begins an event with the hop in which it was noticed.
func (j *Judge) open(h hopSum, slowly bool) {
	j.count++
	e := &episode{id: j.count, slowly: slowly}
	e.Start, e.End = h.start-time.Duration(max(j.sustain-1, 0))*hop, h.start
	if slowly {
		e.Start -= j.c.TiltHold
	}
	e.Start = max(e.Start, 0)
	e.Unsure = j.tilted() - j.c.Tilt
	e.Floor, e.Learned, e.Linear = j.quiet(), j.floor.Learned >= 3, j.linear
	e.Began = h.start < startSpan+hop
	j.ep = e
}

// grow adds a hop to the event.
func (j *Judge) grow(h hopSum, level float64, active bool) {
	e := j.ep
	e.Shocks, e.Blows, e.Falls, e.Clipped = e.Shocks+h.shocks, e.Blows+h.blows, e.Falls+h.falls, e.Clipped+h.clipped
	e.Since += hop.Seconds()
	if h.fall > e.Fall {
		e.Fall, e.Since = h.fall, 0
	}
	e.Peak = max(e.Peak, h.peak)
	if !active {
		return
	}
	e.End = h.start + hop
	e.energy, e.samples, e.turn = e.energy+h.energy, e.samples+h.n, e.turn+h.turn
	e.slow, e.slowUp, e.crawl, e.bins = e.slow+h.slow, e.slowUp+h.slowUp, e.crawl+h.crawl, e.bins+h.bins
	e.levels.Put(level)
	if e.levels.N()%5 == 0 {
		j.repeats(e)
	}
}

// repeats looks whether the last four seconds repeat themselves.
func (j *Judge) repeats(e *episode) {
	if e.levels.N() >= 10 {
		e.looks++
		if lag, strength := signal.Period(j.lows, 4*second, 3, second+10); strength >= 0.45 {
			e.stepping++
			e.sharp += strength
			hertz := second / float64(lag)
			e.stepSum, e.stepSq = e.stepSum+hertz, e.stepSq+hertz*hertz
		}
	}
	e.shockLooks++
	if lag, strength := signal.Period(j.shocks, 4*second, 8, second-4); strength >= 0.3 {
		e.beats++
		e.beatSum += second / float64(lag)
	}
}

// decide tells what the event is as soon as that is sure, and ends it.
func (j *Judge) decide(at time.Duration, held float64) {
	e := j.ep
	f := e.look()
	if v := Classify(j.c, f); v.early && rank(v.Class) > e.toldRank {
		j.tell(e, f, v)
	}
	quiet := at-e.End >= j.c.Quiet
	switch {
	case at-e.Start >= longest:
	case !quiet:
		return
	case held >= j.tilted()/2 && !j.settled() && at-e.End < time.Minute:
		return
	}
	j.finish()
}

// settled says that gravity no longer turns: it points where it did five seconds
// ago, or half a minute where it turned so slowly that nothing shook.
func (j *Judge) settled() bool {
	back := 5
	if j.ep.slowly {
		back = 29
	}
	return j.past.Len() > back && signal.Angle(j.gravity(), j.past.At(back)) < 0.3
}

// finish ends the event.
func (j *Judge) finish() {
	e := j.ep
	j.ep, j.sustain = nil, 0
	f := e.look()
	f.Over = true
	if !j.linear && j.bins.Len() > 0 {
		// What was short has no three seconds to hold a tilt: where gravity
		// points once it is quiet again counts as well.
		f.Net = signal.Angle(j.gravity(), j.anchor)
		calm := j.bins.Len() >= second && j.last.At-e.End >= j.c.Quiet-hop
		if calm {
			f.Tilt, f.Stands = max(f.Tilt, f.Net), f.Net
		}
		if f.Net >= j.tilted() || calm && j.unsure > 0 {
			j.anchor, j.unsure = j.gravity(), 0
			clear(j.angles)
		}
	}
	v := Classify(j.c, f)
	if rank(v.Class) < e.toldRank {
		v = e.told // an alarm is not taken back by how it faded
	}
	if v.Class == ClassKnock {
		j.knocks = within(append(j.knocks, f.End), f.End)
		for range f.Blows {
			j.blows = append(within(j.blows, f.End), f.End)
		}
	}
	j.tell(e, f, v)
	j.tellClipping(f)
}

// rank orders classes by what they mean for the device.
func rank(c Class) int {
	switch c {
	case ClassDrop:
		return 4
	case ClassTilt, ClassLift, ClassCarry, ClassHandling:
		return 3
	case ClassDrill:
		return 2
	case ClassStill, ClassDisturbed, ClassFootsteps, ClassDoor, ClassKnock, ClassEarthquake:
	}
	return 0
}

// tell says what the event is: an alarm once it is one, and in any case when it
// is over. What alarmed already does not do so again by ending.
func (j *Judge) tell(e *episode, f Features, v Verdict) {
	r := j.reading(v)
	if f.Over && e.toldRank > 0 && rank(v.Class) <= e.toldRank {
		r.Type, r.Severity, r.Alarm = EventOver, core.SeverityInfo, false
	}
	r.Fields = sensor.Fields(j.fields(f, v))
	e.told, e.toldRank = v, rank(v.Class)
	j.out = append(j.out, r)
}

// reading is the reading that a class makes.
func (j *Judge) reading(v Verdict) sensor.Reading {
	r := sensor.Reading{Kind: sensor.Pulse, Point: string(v.Class), Type: EventKnock, Severity: core.SeverityLow}
	switch v.Class {
	case ClassDrop:
		r.Type, r.Severity, r.Alarm, r.Transport = EventMotion, core.SeverityCritical, true, true
	case ClassTilt, ClassLift, ClassCarry:
		r.Type, r.Severity, r.Alarm = EventMotion, core.SeverityHigh, j.arming != core.Transport
	case ClassHandling:
		r.Type, r.Severity, r.Alarm = EventMotion, core.SeverityMedium, j.arming != core.Transport
	case ClassDrill:
		r.Type, r.Severity, r.Alarm = EventVibration, core.SeverityHigh, j.arming != core.Transport
	case ClassEarthquake:
		r.Type, r.Severity = EventEarthquake, core.SeverityMedium
	case ClassKnock:
		j.repeated(&r)
	case ClassStill, ClassDisturbed, ClassFootsteps, ClassDoor:
	}
	return r
}

// within forgets what is older than a minute.
func within(times []time.Duration, now time.Duration) []time.Duration {
	return slices.DeleteFunc(times, func(t time.Duration) bool { return now-t > time.Minute })
}

func (j *Judge) repeated(r *sensor.Reading) {
	switch {
	case len(j.blows) >= j.c.Blows:
		r.Type, r.Severity, r.Alarm = EventMotion, core.SeverityHigh, j.arming != core.Transport
	case len(j.knocks) >= 3:
		r.Severity = core.SeverityMedium
	}
}

// fields are what an event carries.
func (j *Judge) fields(f Features, v Verdict) map[string]any {
	m := map[string]any{
		"event": j.count, "class": v.Class, "score": v.Score, "why": v.Why, "over": f.Over,
		"start": round(f.Start.Seconds(), 3), "end": round(f.End.Seconds(), 3),
		"rms_g": round(f.RMS, 4), "peak_g": round(f.Peak, 3), "tilt_degrees": round(f.Net, 1), "hertz": round(f.Hertz, 1),
	}
	switch {
	case v.Class == ClassEarthquake, (v.Class == ClassHandling || v.Class == ClassCarry) && !turned(j.c, f):
		m["fleet"] = "ask"
	case v.Class == ClassDrill:
		j.offer = memory{1, round(f.Median, 6)}
		m["sha256"] = j.offer.hash()
	}
	if f.Clipped > 0 {
		m["clipped"] = f.Clipped
		m["why"] = fmt.Sprintf("%s; the sensor clipped %d times, so it was more than that", v.Why, f.Clipped)
	}
	return m
}
