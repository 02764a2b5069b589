package power

import (
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/hold"
	"github.com/interlock-security/interlock/device/sensor"
)

// band is where a voltage is.
type band int8

const (
	low band = iota - 1
	good
	high
)

// voltage judges a rail.
type voltage struct {
	rail   Rail
	band   hold.State[band]
	ripple ripple
	off    time.Time // since when there is hardly any voltage
	had    bool      // it was good once
}

func newVoltage(r Rail) *voltage {
	v := &voltage{rail: r, ripple: ripple{size: r.Ripple, swings: r.Swings, window: r.Window}}
	v.band.Set(good)
	return v
}

func (v *voltage) see(now time.Time, r sensor.Reading) (said []sensor.Reading) {
	was, _ := v.band.Now()
	if v.band.See(now, v.bandOf(r.Value, was), v.rail.Hold) {
		said = append(said, v.told(was, r)...)
	}
	said = append(said, v.cycle(now, r)...)
	if was, is := v.ripple.add(now, r.Value); was != is {
		said = append(said, v.rippled(r, is))
	}
	return said
}

// bandOf compares with the limits; a voltage is within them again only by the
// hysteresis.
func (v *voltage) bandOf(volt float64, was band) band {
	least, most := v.rail.Min, v.rail.Max
	switch was {
	case low:
		least += v.rail.Hysteresis
	case high:
		most -= v.rail.Hysteresis
	case good:
	}
	switch {
	case volt < least:
		return low
	case volt > most:
		return high
	}
	return good
}

func (v *voltage) told(was band, r sensor.Reading) (said []sensor.Reading) {
	is, _ := v.band.Now()
	for _, b := range []band{was, is} {
		limit := map[string]any{"nominal": v.rail.Nominal, "limit": v.rail.Min}
		switch b {
		case low:
			said = append(said, level(sensor.Reading{
				Point: r.Point + "/sag", Type: "voltage_sag", Clear: "voltage_normal", Alarm: true, Severity: core.SeverityMedium,
			}, r, b == is, limit))
		case high:
			limit["limit"] = v.rail.Max
			said = append(said, level(sensor.Reading{
				Point: r.Point + "/over", Type: "voltage_tamper", Clear: "voltage_normal", Alarm: true, Severity: core.SeverityHigh,
			}, r, b == is, limit))
		case good:
		}
	}
	return said
}

// cycle tells of power that was gone and is back. That it is gone nobody may be
// there to tell.
func (v *voltage) cycle(now time.Time, r sensor.Reading) []sensor.Reading {
	switch {
	case r.Value >= v.rail.Min:
		off := v.off
		v.off, v.had = time.Time{}, true
		if off.IsZero() {
			return nil
		}
		return []sensor.Reading{{
			Kind: sensor.Pulse, Point: r.Point, Type: "power_cycle", Alarm: true, Severity: core.SeverityHigh, Unlatched: true,
			Fields: sensor.Fields(map[string]any{"measured": sensor.Text(r.Point), "off_ms": now.Sub(off).Milliseconds()}),
		}}
	case v.had && v.off.IsZero() && r.Value < v.rail.Nominal/2:
		v.off = now
	}
	return nil
}

func (v *voltage) rippled(r sensor.Reading, active bool) sensor.Reading {
	return level(sensor.Reading{
		Point: r.Point + "/ripple", Type: "voltage_ripple", Clear: "voltage_steady", Alarm: true, Severity: core.SeverityMedium,
	}, r, active, map[string]any{"swing": v.rail.Ripple, "window_ms": v.rail.Window.Milliseconds()})
}

func (v *voltage) tick(time.Time) []sensor.Reading { return nil }
func (v *voltage) next() time.Time                 { return time.Time{} }

// ripple counts how often a value turns back by at least a size. A value that
// goes and comes back once turns twice, so a sag is no ripple.
type ripple struct {
	size    float64
	swings  int
	window  time.Duration
	extreme float64 // the farthest since it last turned
	up      bool    // on its way up
	known   bool
	turns   []time.Time // within the window
	active  bool
}

func (p *ripple) add(now time.Time, v float64) (was, is bool) {
	p.turn(now, v)
	for len(p.turns) > 0 && now.Sub(p.turns[0]) > p.window {
		p.turns = p.turns[1:]
	}
	was = p.active
	switch n := len(p.turns); {
	case n >= p.swings:
		p.active = true
	case n == 0:
		p.active = false
	}
	return was, p.active
}

func (p *ripple) turn(now time.Time, v float64) {
	switch {
	case !p.known:
		p.extreme, p.known = v, true
	case p.up && v > p.extreme, !p.up && v < p.extreme:
		p.extreme = v
	case p.up && p.extreme-v >= p.size, !p.up && v-p.extreme >= p.size:
		p.up, p.extreme = !p.up, v
		if p.turns = append(p.turns, now); len(p.turns) > maxSwings {
			p.turns = p.turns[1:]
		}
	}
}

// current judges what is drawn.
type current struct {
	rail Rail
	over hold.State[bool]
}

func newCurrent(r Rail) *current {
	c := &current{rail: r}
	c.over.Set(false)
	return c
}

func (c *current) see(now time.Time, r sensor.Reading) []sensor.Reading {
	was, _ := c.over.Now()
	limit := c.rail.MaxCurrent
	if was {
		limit *= 0.95
	}
	if !c.over.See(now, r.Value > limit, c.rail.Hold) {
		return nil
	}
	return []sensor.Reading{level(sensor.Reading{
		Point: r.Point + "/spike", Type: "current_spike", Clear: "current_normal", Alarm: true, Severity: core.SeverityMedium,
	}, r, !was, map[string]any{"limit": c.rail.MaxCurrent})}
}

func (c *current) tick(time.Time) []sensor.Reading { return nil }
func (c *current) next() time.Time                 { return time.Time{} }
