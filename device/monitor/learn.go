package monitor

import (
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Recall gives the learners what was kept of them; call it before the first
// reading. Memory that can't be read makes the sensor a fault until an order
// says what is expected: whoever damages a baseline must not get a new one
// learned in silence.
func (c *Core) Recall(now time.Time, memory map[core.SensorID]map[string][]byte) []Event {
	for _, id := range c.order {
		in := c.inputs[id]
		for name, mind := range in.minds() {
			l, ok := mind.(Learner)
			if !ok {
				continue
			}
			in.touch()
			c.guard(now, in, name, func() []sensor.Reading {
				if err := l.Recall(memory[id][name]); err != nil {
					why := sensor.Text(fmt.Sprintf("%s can't read its memory: %v", name, err))
					in.amiss(name, why)
					c.lifecycle(now, in, "sensor_lost", core.SeverityHigh, map[string]any{"why": why, "judge": name})
				}
				return nil
			})
		}
	}
	return c.take(now)
}

// Memory returns what the learners of a sensor want kept, and whether that
// changed. What could not be read is not written over.
func (c *Core) Memory(now time.Time, id core.SensorID) (memory map[string][]byte, changed bool) {
	in := c.inputs[id]
	if in == nil {
		return nil, false
	}
	memory = map[string][]byte{}
	for name, mind := range in.minds() {
		l, ok := mind.(Learner)
		if !ok || in.retired[name] {
			continue
		}
		if in.unreadable[name] != "" {
			return nil, false
		}
		in.touch()
		c.guard(now, in, name, func() []sensor.Reading {
			m, fresh := l.Memory()
			memory[name], changed = m, changed || fresh
			return nil
		})
	}
	return memory, changed
}

// learns says whether a sensor has something to keep.
func (in *input) learns() bool {
	for _, mind := range in.minds() {
		if _, ok := mind.(Learner); ok {
			return true
		}
	}
	return false
}

// Accept makes expected what the learners of a sensor have before them, if it
// has this hash.
func (c *Core) Accept(now time.Time, id core.SensorID, sha256 string) ([]Event, error) {
	in := c.inputs[id]
	if in == nil {
		return nil, core.E(core.KindNotFound, "monitor.Accept", fmt.Sprintf("there is no sensor %s", id))
	}
	c.advance(now)
	in.touch()
	accepted, refused := 0, []error(nil)
	for name, mind := range in.minds() {
		l, ok := mind.(Learner)
		if !ok {
			continue
		}
		c.conclude(now, in, c.guard(now, in, name, func() []sensor.Reading {
			said, err := l.Accept(now, sha256)
			if err != nil {
				refused = append(refused, fmt.Errorf("%s: %w", name, err))
				return nil
			}
			accepted++
			c.recovered(now, in, name)
			return said
		}), false)
	}
	events := c.take(now)
	switch {
	case accepted > 0:
		return events, nil
	case len(refused) > 0:
		return events, core.Wrap(core.KindConflict, "monitor.Accept", errors.Join(refused...))
	}
	return events, core.E(core.KindInvalid, "monitor.Accept", fmt.Sprintf("sensor %s learns nothing, so it has no baseline", id)).
		WithHint("name a sensor with a judge that learns: component, known, vibration")
}

func (c *Core) recovered(now time.Time, in *input, name string) {
	why, bad := in.unreadable[name]
	if !bad {
		return
	}
	delete(in.unreadable, name)
	c.lifecycle(now, in, "sensor_back", core.SeverityInfo, map[string]any{"was": why, "judge": name})
}
