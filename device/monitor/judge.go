package monitor

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
)

// Judge makes of what a sensor measures what it means: levels and pulses of the
// same sensor, which are debounced, latched and counted as a driver's own. The
// packages below device/monitor are judges. A judge is pure: it knows no clock,
// no goroutine and no disk; time comes in with each call and does not go back.
//
// A judge may also say [sensor.Broken]: what it gets at that point can't be
// true, a noise floor of zero. The sensor is a fault until the judge says
// something else of that point. A judge that panics is asked no more, and its
// sensor stays a fault.
type Judge interface {
	// Judge takes a reading of the sensor's driver.
	Judge(now time.Time, r sensor.Reading) []sensor.Reading
	// Tick lets time pass.
	Tick(now time.Time) []sensor.Reading
	// Next returns when Tick has something to do, the zero time for never.
	Next() time.Time
}

// Named is a judge under the name by which the configuration, its memory and
// its faults call it: "motion".
type Named struct {
	Name  string
	Judge Judge
}

// Learner is a judge that remembers across restarts: a baseline, a list of what
// is known. What it remembers changes while it learns, and by an order.
type Learner interface {
	Judge
	// Recall puts back what was kept, before the first reading. Nil is nothing
	// kept: the judge begins to learn.
	Recall(memory []byte) error
	// Memory returns what to keep, and whether it changed since it was last asked.
	Memory() (memory []byte, changed bool)
	// Accept makes expected what is there now, if that has this SHA-256 (hex): an
	// order says which inventory the people saw, and no other is accepted.
	Accept(now time.Time, sha256 string) ([]sensor.Reading, error)
}

// Armable is a judge or a fusion for which it matters how the device is armed:
// what is a theft in one mode is the purpose of another. Those of a sensor that
// can't be disarmed hear of nothing but armed.
type Armable interface {
	SetArming(now time.Time, a core.Arming) []sensor.Reading
}

// Timed is a judge or a fusion that grants something by the time of day, which
// takes trusted time (TRUST F18). It is told some times an hour, and at once when
// nothing proves the time any more.
type Timed interface {
	SetTime(now time.Time, t schedule.Trusted) []sensor.Reading
}

// Fusion judges several sensors together. It is the driver of a sensor that has
// no hardware of its own; what it says are that sensor's readings. It may also
// have Capabilities() sensor.Capabilities: whether it latches, whether arming
// matters.
type Fusion interface {
	// Event takes what was noticed at one of the sensors: everything, also what
	// was too much to tell one by one and what changes nothing about a latch.
	Event(now time.Time, e Event) []sensor.Reading
	Tick(now time.Time) []sensor.Reading
	Next() time.Time
}

// Owner is a fusion that alarms in the place of its sensors about some of what
// they notice: one latch for a case, not one for each switch in it. They go on
// reporting that, as no alarm of their own. It must answer alike for ever.
type Owner interface {
	Owns(id core.SensorID, r sensor.Reading) bool
}

// Quorate is an owner that alarms only if enough of its sensors notice
// something. It is asked whether those that are well can still be enough; while
// they can't, each of its sensors alarms for itself: whoever puts one of two
// detectors out of action must not silence the other with it.
type Quorate interface {
	Enough(well []core.SensorID) bool
}

// Fused is a sensor that others make up.
type Fused struct {
	ID     core.SensorID
	Name   string          // the fusion's: "enclosure"
	Of     []core.SensorID // each a sensor, or a fusion that stands before this one
	Fusion Fusion
}

// Panic is a panic of a judge, for the log.
type Panic struct {
	Sensor core.SensorID
	Judge  string
	Value  string
	Stack  string
}

// Panics hands out the panics of judges since the last call.
func (c *Core) Panics() []Panic {
	p := c.panics
	c.panics = nil
	return p
}

// guard runs a judge. One that panics has no state that anybody could vouch for:
// it is asked no more, and the sensor that it judged for is a fault.
func (c *Core) guard(now time.Time, in *input, name string, fn func() []sensor.Reading) (said []sensor.Reading) {
	if in.retired[name] {
		return nil
	}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		why := sensor.Text(fmt.Sprintf("%s panicked: %v", name, v))
		c.panics = append(c.panics, Panic{Sensor: in.spec.ID, Judge: name, Value: fmt.Sprint(v), Stack: string(debug.Stack())})
		in.retire(name, why)
		said = nil
		c.lifecycle(now, in, "sensor_lost", core.SeverityHigh, map[string]any{"why": why, "panic": true, "judge": name})
		c.disown(now, in)
	}()
	return fn()
}

// judge shows a driver's reading to the judges of its sensor.
func (c *Core) judge(now time.Time, in *input, r sensor.Reading) {
	for _, j := range in.spec.Judges {
		c.conclude(now, in, c.guard(now, in, j.Name, func() []sensor.Reading { return j.Judge.Judge(now, r) }), r.Simulated)
	}
}

// conclude takes what a judge says. What follows from something simulated is
// simulated.
func (c *Core) conclude(now time.Time, in *input, said []sensor.Reading, simulated bool) {
	in.touch() // whatever was asked may have another deadline now
	for _, r := range said {
		r.Simulated = r.Simulated || simulated || in.simulated || in.spec.Caps.Simulated
		c.judged(now, in, r)
		c.handle(now, in, r)
	}
}

// tickJudges lets time pass for the judges and the fusion of a sensor.
func (c *Core) tickJudges(now time.Time, in *input) {
	for _, j := range in.spec.Judges {
		if c.dueMind(now, in, j.Name, j.Judge.Next) {
			c.conclude(now, in, c.guard(now, in, j.Name, func() []sensor.Reading { return j.Judge.Tick(now) }), false)
		}
	}
	if f := in.spec.Fusion; f != nil && c.dueMind(now, in, in.spec.Caps.Kind, f.Next) {
		c.conclude(now, in, c.guard(now, in, in.spec.Caps.Kind, func() []sensor.Reading { return f.Tick(now) }), false)
	}
}

func (c *Core) dueMind(now time.Time, in *input, name string, next func() time.Time) bool {
	var t time.Time
	c.guard(now, in, name, func() []sensor.Reading { t = next(); return nil })
	return !t.IsZero() && !now.Before(t)
}

// nextOf is when a judge has something to do. One that panics here has it at
// once, so that it is found out.
func nextOf(mind any) (t time.Time) {
	next, ok := mind.(interface{ Next() time.Time })
	if !ok {
		return time.Time{}
	}
	defer func() {
		if recover() != nil {
			t = time.Unix(0, 0)
		}
	}()
	return next.Next()
}

// tell shows something other than a reading to every judge and fusion.
func tell[T any](c *Core, now time.Time, what func(in *input, to T) []sensor.Reading) {
	for _, id := range c.order {
		in := c.inputs[id]
		for name, j := range in.minds() {
			if to, ok := j.(T); ok {
				c.conclude(now, in, c.guard(now, in, name, func() []sensor.Reading { return what(in, to) }), false)
			}
		}
	}
}

// Begin tells the judges how the device is armed; call it once, before the first
// reading.
func (c *Core) Begin(now time.Time) []Event {
	c.tellArming(now)
	return c.take(now)
}

func (c *Core) tellArming(now time.Time) {
	tell(c, now, func(in *input, to Armable) []sensor.Reading {
		if in.spec.Caps.Always {
			return to.SetArming(now, core.Armed)
		}
		return to.SetArming(now, c.arming)
	})
}

// SetTime tells the judges what is known of the time.
func (c *Core) SetTime(now time.Time, t schedule.Trusted) []Event {
	c.advance(now)
	tell(c, now, func(_ *input, to Timed) []sensor.Reading { return to.SetTime(now, t) })
	return c.take(now)
}
