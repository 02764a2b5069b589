package monitor

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// level notes a change of an input and waits whether it holds.
func (c *Core) level(now time.Time, in *input, r sensor.Reading) {
	p := in.point(r.Point)
	c.firstLevel(now, in, p, r)
	switch {
	case r.Settled && r.Active != p.active:
		p.pending = &change{reading: r, since: now}
		c.accept(now, in, p)
	case r.Active == p.active:
		if p.pending != nil {
			c.bounced(now, in, p)
		}
		p.pending = nil
	case p.pending == nil:
		p.pending = &change{reading: r, since: now}
	default:
		p.pending.reading = r // still active; the first instant counts
	}
}

// firstLevel lets the fusions know of an input that is calm from the start: it
// is no change, so nobody else is told.
func (c *Core) firstLevel(now time.Time, in *input, p *point, r sensor.Reading) {
	if told := p.told; !told && !r.Active && !p.active {
		c.feel(c.event(now, in, p.name, wayBack(r), core.ClassDeviceState))
	}
	p.told = true
}

// bounced counts changes that did not hold. One is nothing; a stream of them is
// a worn switch or somebody who tries to stay below the debounce.
func (c *Core) bounced(now time.Time, in *input, p *point) {
	if now.Sub(p.bounceStart) > c.rules.Window {
		p.bounceStart, p.bounces = now, 0
	}
	if p.bounces++; p.bounces == c.rules.Chatter {
		c.say(now, in, p.name, sensor.Reading{
			Type: "input_chatter", Severity: core.SeverityMedium, Simulated: p.pending.reading.Simulated,
			Fields: sensor.Fields(map[string]any{"changes": 2 * p.bounces, "window_ms": c.rules.Window.Milliseconds()}),
		}, core.ClassDeviceState)
	}
}

// pulse takes an occurrence. It is not debounced: the kernel tells it once.
func (c *Core) pulse(now time.Time, in *input, r sensor.Reading) {
	p := in.point(r.Point)
	in.proven = now
	if r.Alarm && c.alarms(in, r) {
		c.alarm(now, in, p, r)
		return
	}
	c.say(now, in, p.name, r, core.ClassDeviceState)
}

// accept takes a level that held.
func (c *Core) accept(now time.Time, in *input, p *point) {
	r := p.pending.reading
	p.pending, p.active, p.last, in.proven = nil, r.Active, r, now
	switch {
	case r.Active && r.Alarm && c.alarms(in, r):
		c.alarm(now, in, p, r)
	case r.Active:
		c.say(now, in, p.name, r, core.ClassDeviceState)
	case p.latch != nil:
		p.activity.add(now) // the way back changes nothing about a latch
		c.feel(c.event(now, in, p.name, wayBack(r), core.ClassDeviceState))
	default:
		r = wayBack(r)
		c.say(now, in, p.name, r, core.ClassDeviceState)
	}
}

// wayBack is the reading of a level that ended: its words change places.
func wayBack(r sensor.Reading) sensor.Reading {
	r.Type, r.Clear, r.Severity = r.Clear, r.Type, core.SeverityInfo
	return r
}

// levelWord is the word for becoming active, of a level in either direction.
func levelWord(r sensor.Reading) string {
	switch {
	case r.Kind != sensor.Level:
		return ""
	case r.Active:
		return r.Type
	}
	return r.Clear
}

// alarms says whether what the sensor notices counts as an attack now, and as one
// of its own: what a fusion owns, the fusion alarms about.
func (c *Core) alarms(in *input, r sensor.Reading) bool {
	armed := in.armed() || r.Transport && c.arming == core.Transport
	return !in.bypassed(r.Point) && armed && in.owner(r) == nil
}

// alarm sets a latch, or counts further activity at one that is set. Its event
// says alarm, also where nothing latches and the sensor is well again at once.
func (c *Core) alarm(now time.Time, in *input, p *point, r sensor.Reading) {
	switch {
	case !in.spec.Caps.Latches || r.Unlatched:
		e := c.event(now, in, p.name, r, core.ClassDetectionFinding)
		e.State = core.SensorAlarm
		c.spend(now, &in.readings, e)
		c.feel(e)
		if r.Kind == sensor.Pulse {
			in.alarmed = now
		}
	case p.latch != nil:
		c.further(now, in, p, r)
	default:
		p.latch = &Latch{
			ID: c.rules.NewID(), Sensor: in.spec.ID, Point: p.name, Type: r.Type,
			Severity: r.Severity, At: now.UnixMicro(), Simulated: r.Simulated,
		}
		p.types = []string{r.Type}
		latch := *p.latch
		e := c.event(now, in, p.name, r, core.ClassDetectionFinding)
		e.Latch = &latch
		c.out = append(c.out, e)
		c.feel(e)
	}
}

// maxTypes bounds the kinds of alarm that are told one by one at a latch.
const maxTypes = 8

// further takes an alarm at a point that is latched. More of the same is
// counted; another kind, a loop that is cut after it was opened, is told: it may
// be worse than what set the latch.
func (c *Core) further(now time.Time, in *input, p *point, r sensor.Reading) {
	p.activity.add(now)
	if slices.Contains(p.types, r.Type) || len(p.types) >= maxTypes {
		c.feel(c.event(now, in, p.name, r, core.ClassDeviceState))
		return
	}
	p.types = append(p.types, r.Type)
	r.Fields = with(r.Fields, map[string]any{"latched": p.latch.ID})
	e := c.event(now, in, p.name, r, core.ClassDetectionFinding)
	c.spend(now, &in.readings, e)
	c.feel(e)
}

// say emits an event within the sensor's budget. A disarmed device reports the
// same things, but as no attack.
func (c *Core) say(now time.Time, in *input, point string, r sensor.Reading, class int) {
	if r.Alarm && !c.alarms(in, r) && r.Severity.Rank() > core.SeverityLow.Rank() {
		r.Severity = core.SeverityLow
	}
	e := c.event(now, in, point, r, class)
	c.spend(now, &in.readings, e)
	c.feel(e)
}

// lifecycle tells something about the sensor itself, or about the point that the
// fields name.
func (c *Core) lifecycle(now time.Time, in *input, kind string, sev core.Severity, fields map[string]any) {
	point, _ := fields["point"].(string)
	r := sensor.Reading{Kind: sensor.Beat, Type: kind, Severity: sev, Simulated: in.simulated || in.spec.Caps.Simulated, Fields: sensor.Fields(fields)}
	e := c.event(now, in, point, r, core.ClassDeviceState)
	c.spend(now, &in.lifecycle, e)
	c.feel(e)
}

func (c *Core) event(now time.Time, in *input, point string, r sensor.Reading, class int) Event {
	in.touch()
	if r.Severity == "" {
		r.Severity = core.SeverityInfo
	}
	extra := map[string]any{"kind": in.spec.Caps.Kind}
	if point != "" {
		extra["point"] = point
	}
	if by := in.owner(r); by != nil && r.Alarm {
		extra["fused_by"] = by.spec.ID
	}
	if ticket := in.ticket(point); ticket != "" {
		extra["ticket"] = ticket
	}
	if c.arming != core.Armed {
		extra["arming"] = c.arming
	}
	return Event{
		At: now, Type: r.Type, Class: class, Severity: r.Severity, Sensor: in.spec.ID, Point: point,
		State: in.state(), Simulated: r.Simulated, Fields: with(r.Fields, extra),
		Kind: r.Kind, Active: r.Active, Level: levelWord(r), Alarm: r.Alarm, Attack: r.Alarm && !in.bypassed(point) && in.armed(), Bypassed: in.bypassed(point),
	}
}

// with adds members to an object, keeping what the reading says.
func with(fields json.RawMessage, extra map[string]any) json.RawMessage {
	all := map[string]json.RawMessage{}
	if json.Unmarshal(fields, &all) != nil {
		all = map[string]json.RawMessage{}
	}
	for k, v := range extra {
		if _, taken := all[k]; taken {
			continue
		}
		if b, err := json.Marshal(v); err == nil {
			all[k] = b
		}
	}
	return sensor.Fields(all)
}

// endAlarm tells, a window after the last pulse that alarmed without a latch, how
// the sensor is: no level of its own ends such an alarm, and whoever goes by the
// last word would hold it for ever.
func (c *Core) endAlarm(now time.Time, in *input) {
	if in.alarmed.IsZero() || now.Sub(in.alarmed) < c.rules.Window {
		return
	}
	in.alarmed = time.Time{}
	c.lifecycle(now, in, "alarm_over", core.SeverityInfo, map[string]any{})
}

// tellActivity reports what went on at latched points, once a window.
func (c *Core) tellActivity(now time.Time, in *input) {
	for _, p := range in.list {
		if p.activity.count == 0 || now.Sub(p.activity.first) < c.rules.Window {
			continue
		}
		fields := map[string]any{"coalesced": p.activity.fields(), "active": p.active}
		if p.latch != nil {
			fields["latched"] = p.latch.ID
		}
		p.activity = tally{}
		c.out = append(c.out, c.event(now, in, p.name, sensor.Reading{
			Type: "latch_activity", Severity: core.SeverityMedium, Simulated: in.simulated, Fields: sensor.Fields(fields),
		}, core.ClassDeviceState))
	}
}
