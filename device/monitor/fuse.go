package monitor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// feel keeps what was noticed for the fusions of that sensor. It stands before
// every budget: a flood must not make a fusion miss the one that counts.
func (c *Core) feel(e Event) {
	if c.fused[e.Sensor] {
		c.felt = append(c.felt, e)
	}
}

// fuse shows what was noticed to the fusions. A fusion stands behind what it
// fuses, so this ends.
func (c *Core) fuse() {
	for i := 0; i < len(c.felt); i++ {
		e := c.felt[i]
		for _, id := range c.order {
			in := c.inputs[id]
			f := in.spec.Fusion
			if f == nil || !slices.Contains(in.spec.Of, e.Sensor) {
				continue
			}
			in.lastSeen = e.At
			c.conclude(e.At, in, c.guard(e.At, in, in.spec.Caps.Kind, func() []sensor.Reading { return f.Event(e.At, e) }), e.Simulated)
		}
	}
	c.felt = c.felt[:0]
}

// weigh tells when a fusion loses one of its sensors, and when it has all of
// them again. What it fuses is what it knows: it is never well without them.
func (c *Core) weigh(now time.Time) {
	for _, id := range c.order {
		in := c.inputs[id]
		if in.spec.Fusion == nil || !c.newsFor(in) {
			continue
		}
		in.touch() // for the fusions of it
		was := in.ailing
		in.ailing, in.seen = c.ailing(in)
		if !in.seen {
			in.ailing = was // told once every sensor was heard of
			continue
		}
		if !in.introduced {
			in.introduced = true
			c.inventory(now, in, sensor.Reading{
				Type: "inventory", Severity: core.SeverityInfo,
				Fields: sensor.Fields(map[string]any{"fusion": in.spec.Caps.Kind, "of": in.spec.Of}),
			})
		}
		c.tellAiling(now, in, was)
	}
	for _, in := range c.inputs {
		in.touched = false
	}
}

// newsFor says whether anything about the sensors of a fusion may have changed.
func (c *Core) newsFor(in *input) bool {
	return slices.ContainsFunc(in.spec.Of, func(id core.SensorID) bool { return c.inputs[id].touched })
}

func (c *Core) tellAiling(now time.Time, in *input, was map[core.SensorID]core.SensorState) {
	switch {
	case maps.Equal(was, in.ailing):
	case len(in.ailing) == 0:
		c.lifecycle(now, in, "fusion_whole", core.SeverityInfo, map[string]any{"of": in.spec.Of})
	default:
		c.lifecycle(now, in, "fusion_degraded", core.SeverityMedium, map[string]any{"why": in.ailment(), "ailing": in.ailing, "of": in.spec.Of})
		c.disown(now, in) // of what it still owns nothing alarms
	}
}

// ailing returns the sensors of a fusion that can't be relied on, and whether
// each of its sensors has been heard of at all.
func (c *Core) ailing(in *input) (ailing map[core.SensorID]core.SensorState, heard bool) {
	ailing, heard = map[core.SensorID]core.SensorState{}, true
	for _, id := range in.spec.Of {
		of := c.inputs[id]
		s := of.health()
		if s == core.SensorUnknown && of.skipped == "" {
			heard = false
		}
		if s != core.SensorOK {
			ailing[id] = s
		}
	}
	return ailing, heard
}

// health is a sensor's state without what it senses.
func (in *input) health() core.SensorState {
	switch fault, stale := in.troubles(); {
	case in.whollyBypassed():
		return core.SensorBypassed
	case fault != "":
		return core.SensorFault
	case stale != "":
		return core.SensorStale
	case !in.seen:
		return core.SensorUnknown
	case len(in.ailing) > 0:
		return worst(in.ailing)
	case slices.ContainsFunc(in.bypasses, func(b Bypassed) bool { return b.Begun }):
		return core.SensorBypassed
	}
	return core.SensorOK
}

// worst ranks by how little is known.
func worst(ailing map[core.SensorID]core.SensorState) core.SensorState {
	all := slices.Collect(maps.Values(ailing))
	for _, s := range []core.SensorState{core.SensorFault, core.SensorStale, core.SensorUnknown, core.SensorBypassed} {
		if slices.Contains(all, s) {
			return s
		}
	}
	return core.SensorOK
}

// ailment says in words which sensors a fusion lacks.
func (in *input) ailment() string {
	var all []string
	for _, id := range in.spec.Of {
		if s, ok := in.ailing[id]; ok {
			all = append(all, fmt.Sprintf("%s is %s", id, s))
		}
	}
	return strings.Join(all, ", ")
}

// owner is the fusion that alarms about a reading in its sensor's place, nil for
// none. A fusion that can be disarmed takes nothing from a sensor that can't,
// and one that failed takes nothing from any.
func (in *input) owner(r sensor.Reading) *input {
	if !r.Alarm {
		return nil
	}
	for _, by := range in.fusedBy {
		o, owns := by.spec.Fusion.(Owner)
		if owns && !by.retired[by.spec.Caps.Kind] && (by.spec.Caps.Always || !in.spec.Caps.Always) && by.owns(o, in.spec.ID, r) {
			return by
		}
	}
	return nil
}

// owns asks a fusion. One that panics owns nothing, and one that lacks the
// sensors that it needs neither.
func (in *input) owns(o Owner, id core.SensorID, r sensor.Reading) (owns bool) {
	defer func() {
		if recover() != nil {
			owns = false
		}
	}()
	return o.Owns(id, r) && in.quorate()
}

// quorate says whether the sensors of a fusion that are well can make it alarm.
func (in *input) quorate() bool {
	q, counts := in.spec.Fusion.(Quorate)
	if !counts {
		return true
	}
	return q.Enough(slices.DeleteFunc(slices.Clone(in.spec.Of), func(id core.SensorID) bool {
		_, ails := in.ailing[id]
		return ails
	}))
}

// disown lets the sensors of a fusion that failed, or lacks what it needs, alarm
// for themselves.
func (c *Core) disown(now time.Time, in *input) {
	for _, id := range in.spec.Of {
		of := c.inputs[id]
		for _, p := range of.list {
			if p.latch == nil {
				c.relatch(now, of, p)
			}
		}
	}
}
