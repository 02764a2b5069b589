package monitor

import (
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Judge makes of what a sensor measures what it means: levels and pulses of the
// same sensor, which are debounced, latched and counted as a driver's own. The
// packages below device/monitor are judges. A judge is pure: it knows no clock,
// no goroutine and no disk; time comes in with each call and does not go back.
type Judge interface {
	// Judge takes a reading of the sensor's driver.
	Judge(now time.Time, r sensor.Reading) []sensor.Reading
	// Tick lets time pass.
	Tick(now time.Time) []sensor.Reading
	// Next returns when Tick has something to do, the zero time for never.
	Next() time.Time
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

// Armable is a judge for which it matters how the device is armed: what is a
// theft in one mode is the purpose of another.
type Armable interface {
	Judge
	SetArming(now time.Time, a core.Arming) []sensor.Reading
}

// Fusion judges several sensors together. It is the driver of a sensor that has
// no hardware of its own; what it says are that sensor's readings.
type Fusion interface {
	// Event takes what the monitor said of one of the sensors.
	Event(now time.Time, e Event) []sensor.Reading
	Tick(now time.Time) []sensor.Reading
	Next() time.Time
}

// judge shows a driver's reading to the judges of its sensor.
func (c *Core) judge(now time.Time, in *input, r sensor.Reading) {
	for _, j := range in.spec.Judges {
		c.conclude(now, in, j.Judge(now, r), r.Simulated)
	}
}

// conclude takes what a judge says. What follows from something simulated is
// simulated.
func (c *Core) conclude(now time.Time, in *input, said []sensor.Reading, simulated bool) {
	for _, r := range said {
		r.Simulated = r.Simulated || simulated || in.simulated || in.spec.Caps.Simulated
		c.handle(now, in, r)
	}
}

// tickJudges lets time pass for the judges and the fusion of a sensor.
func (c *Core) tickJudges(now time.Time, in *input) {
	for _, j := range in.spec.Judges {
		if next := j.Next(); !next.IsZero() && !now.Before(next) {
			c.conclude(now, in, j.Tick(now), false)
		}
	}
	if f := in.spec.Fusion; f != nil {
		if next := f.Next(); !next.IsZero() && !now.Before(next) {
			c.fused(now, in, f.Tick(now), false)
		}
	}
}

// fuse shows what was said to the fusions of its sensor. A fusion stands behind
// what it fuses, so this ends.
func (c *Core) fuse() {
	for i := 0; i < len(c.out); i++ {
		e := c.out[i]
		for _, id := range c.order {
			in := c.inputs[id]
			if in.spec.Fusion != nil && slices.Contains(in.spec.Of, e.Sensor) {
				c.fused(e.At, in, in.spec.Fusion.Event(e.At, e), e.Simulated)
			}
		}
	}
}

func (c *Core) fused(now time.Time, in *input, said []sensor.Reading, simulated bool) {
	in.lastSeen, in.seen = now, true
	c.conclude(now, in, said, simulated)
}
