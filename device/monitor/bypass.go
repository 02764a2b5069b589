package monitor

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/schedule"
)

// Bypass takes a sensor, or one point of it, out of service for a while. It
// still reports and alarms no more; latches that are set stay set, and whatever
// it says satisfies nothing (TRUST F25).
type Bypass struct {
	Sensor core.SensorID
	// Point is the one that is bypassed, "" for the whole sensor.
	Point string
	// After is when it begins, counted from now, and For how long it lasts from
	// then. They are intervals and not times of day, so that no clock that
	// somebody sets makes a bypass begin sooner or last longer (TRUST F18).
	After, For time.Duration
	// Ticket is the maintenance that it is for.
	Ticket string
}

// Bypassed is a bypass as it stands.
type Bypassed struct {
	Point  string    `json:"point,omitempty"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Ticket string    `json:"ticket,omitempty"`
	Begun  bool      `json:"begun"`
}

// maxBypasses bounds the bypasses of one sensor that wait or last.
const maxBypasses = 32

// Bypass puts a bypass in force, in place of the one for the same point and
// ticket. A sensor that can't be disarmed can't be bypassed either.
func (c *Core) Bypass(now time.Time, b Bypass) ([]Event, error) {
	const op = "monitor.Bypass"
	in := c.inputs[b.Sensor]
	switch {
	case in == nil:
		return nil, core.E(core.KindNotFound, op, fmt.Sprintf("there is no sensor %s", b.Sensor))
	case in.spec.Caps.Always:
		return nil, core.E(core.KindDenied, op, fmt.Sprintf("sensor %s watches around the clock and can't be bypassed", b.Sensor)).
			WithHint("take it out of the configuration by a policy change, which its approvers sign")
	case b.For <= 0 || b.After < 0:
		return nil, core.E(core.KindInvalid, op, "a bypass lasts longer than nothing and begins now or later")
	}
	c.advance(now)
	in.touch()
	in.bypasses = slices.DeleteFunc(in.bypasses, func(x Bypassed) bool { return x.Point == b.Point && x.Ticket == b.Ticket })
	if len(in.bypasses) >= maxBypasses {
		return c.take(now), core.E(core.KindTooLarge, op, fmt.Sprintf("sensor %s has %d bypasses already", b.Sensor, maxBypasses))
	}
	from := now.Add(b.After)
	in.bypasses = append(in.bypasses, Bypassed{Point: b.Point, From: from, Until: from.Add(b.For), Ticket: b.Ticket})
	c.turnBypasses(now, in)
	return c.take(now), nil
}

// Slept says that the machine was suspended for d, while the clock by which the
// core counts stood still. Grants are charged with it; what was known of the time
// is too old.
func (c *Core) Slept(now time.Time, d time.Duration) []Event {
	for _, id := range c.order {
		in := c.inputs[id]
		in.touch()
		for i := range in.bypasses {
			b := &in.bypasses[i]
			b.From, b.Until = b.From.Add(-d), b.Until.Add(-d)
		}
	}
	return c.SetTime(now, schedule.Trusted{})
}

// turnBypasses begins and ends bypasses whose time has come. What is open when
// one ends alarms then.
func (c *Core) turnBypasses(now time.Time, in *input) {
	for i := range in.bypasses {
		if b := &in.bypasses[i]; !b.Begun && !now.Before(b.From) {
			b.Begun = true
			c.lifecycle(now, in, "bypass_started", core.SeverityLow, b.fields())
		}
	}
	ended := slices.DeleteFunc(slices.Clone(in.bypasses), func(b Bypassed) bool { return now.Before(b.Until) })
	if len(ended) == 0 {
		return
	}
	in.bypasses = slices.DeleteFunc(in.bypasses, func(b Bypassed) bool { return !now.Before(b.Until) })
	for _, b := range ended {
		c.lifecycle(now, in, "bypass_ended", core.SeverityInfo, b.fields())
	}
	for _, p := range in.list {
		c.resume(now, in, p)
	}
}

// resume takes a point back into service.
func (c *Core) resume(now time.Time, in *input, p *point) {
	switch {
	case !p.active || in.bypassed(p.name):
	case p.last.Alarm && p.latch == nil && c.alarms(in, p.last):
		c.alarm(now, in, p, p.last)
	default:
		c.feel(c.event(now, in, p.name, p.last, core.ClassDeviceState))
	}
}

func (b Bypassed) fields() map[string]any {
	f := map[string]any{"until": b.Until.UnixMicro()}
	if b.Point != "" {
		f["point"] = b.Point
	}
	if b.Ticket != "" {
		f["ticket"] = b.Ticket
	}
	return f
}

// bypassed says whether a point is out of service, by itself or with its sensor.
func (in *input) bypassed(point string) bool {
	return slices.ContainsFunc(in.bypasses, func(b Bypassed) bool { return b.Begun && (b.Point == "" || b.Point == point) })
}

// ticket is the maintenance for which a point is out of service.
func (in *input) ticket(point string) string {
	for _, b := range in.bypasses {
		if b.Begun && b.Ticket != "" && (b.Point == "" || b.Point == point) {
			return b.Ticket
		}
	}
	return ""
}

// whollyBypassed says whether the whole sensor is.
func (in *input) whollyBypassed() bool {
	return slices.ContainsFunc(in.bypasses, func(b Bypassed) bool { return b.Begun && b.Point == "" })
}

// bypassUntil is when the last of the bypasses in force ends.
func (in *input) bypassUntil() time.Time {
	var until time.Time
	for _, b := range in.bypasses {
		if b.Begun && b.Until.After(until) {
			until = b.Until
		}
	}
	return until
}

func (in *input) listBypasses() []Bypassed {
	return slices.SortedFunc(slices.Values(in.bypasses), func(a, b Bypassed) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Point, b.Point))
	})
}
