package monitor

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Rules are the numbers by which readings are judged. The zero value of a field
// means its default.
type Rules struct {
	// Debounce is how long a level must hold before it counts, where the driver
	// does not say otherwise.
	Debounce time.Duration
	// Burst is how many events a sensor may cause at once; one more is earned
	// every Window/Burst. What is over it is coalesced and told at the end of
	// the window. New latches are never counted and never coalesced.
	Burst  int
	Window time.Duration
	// Chatter is how many changes of level within a window are reported as
	// chatter although none of them held long enough to count.
	Chatter int
	// NewID makes latch ids: 128 random bits, 32 hex digits.
	NewID func() string
}

// maxPoints bounds what one sensor can make the monitor remember, and with it
// the latches that it can set. What is beyond shares the point named "+".
const (
	maxPoints = 64
	overflow  = "+"
)

func (r Rules) withDefaults() Rules {
	if r.Debounce == 0 {
		r.Debounce = 50 * time.Millisecond
	}
	if r.Burst == 0 {
		r.Burst = 20
	}
	if r.Window == 0 {
		r.Window = time.Minute
	}
	if r.Chatter == 0 {
		r.Chatter = 50
	}
	if r.NewID == nil {
		r.NewID = newID
	}
	return r
}

func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // crypto/rand.Read never fails since Go 1.24
	return hex.EncodeToString(b)
}

// Event is what the monitor says. The sink writes it down; a latch in it must
// be durable before the event is told to anyone (see device/agent).
type Event struct {
	At       time.Time
	Type     string
	Class    int
	Severity core.Severity
	Sensor   core.SensorID
	Point    string
	State    core.SensorState
	// Latch is the latch that this event set, nil for every other event.
	Latch     *Latch
	Simulated bool
	Fields    json.RawMessage
}

// Latch is an alarm that stays until an authorised release names its id.
type Latch struct {
	ID        string        `json:"id"` // 32 hex digits
	Sensor    core.SensorID `json:"sensor"`
	Point     string        `json:"point"`
	Type      string        `json:"type"`
	Severity  core.Severity `json:"severity"`
	At        int64         `json:"at"` // wall clock, microseconds
	Simulated bool          `json:"simulated,omitempty"`
}

// Spec is a sensor as the core knows it.
type Spec struct {
	ID   core.SensorID
	Caps sensor.Capabilities
	// Judges judge what its driver measures.
	Judges []Judge
	// Fusion takes the place of a driver: it judges the sensors named in Of,
	// each of which stands before this one.
	Fusion Fusion
	Of     []core.SensorID
}

// Core judges readings. It is pure: it has no goroutine, no clock and no disk;
// time comes in with each call and must not go back. Not safe for concurrent
// use.
type Core struct {
	rules  Rules
	arming core.Arming
	inputs map[core.SensorID]*input
	order  []core.SensorID
	out    []Event
	cut    []core.SensorID // drivers to start anew
}

// NewCore returns a core for the given sensors, armed, all of them unknown.
func NewCore(rules Rules, specs ...Spec) *Core {
	c := &Core{rules: rules.withDefaults(), arming: core.Armed, inputs: map[core.SensorID]*input{}}
	for _, s := range specs {
		c.inputs[s.ID] = newInput(s)
		c.order = append(c.order, s.ID)
	}
	return c
}

// take hands out what has been said since the last call.
func (c *Core) take() []Event {
	c.fuse()
	out := c.out
	c.out = nil
	return out
}

// Cut hands out the sensors whose drivers fell silent since the last call and
// should be started anew.
func (c *Core) Cut() []core.SensorID {
	cut := c.cut
	c.cut = nil
	return cut
}

// Restore puts back the latches that were persisted. A latch of a sensor that
// is no longer configured is kept by a sensor of that name which is a fault:
// taking a sensor out of the configuration opens nothing.
func (c *Core) Restore(latches []Latch) {
	for _, l := range latches {
		in, ok := c.inputs[l.Sensor]
		if !ok {
			in = newInput(Spec{ID: l.Sensor, Caps: sensor.Capabilities{Kind: "missing", Latches: true, MaxSilence: time.Hour}})
			in.fault = "no longer configured, and latched"
			c.inputs[l.Sensor] = in
			c.order = append(c.order, l.Sensor)
		}
		in.restore(l)
	}
}

// Latches returns the latches that are set, in the order of the sensors.
func (c *Core) Latches() []Latch {
	var all []Latch
	for _, id := range c.order {
		all = append(all, c.inputs[id].latches()...)
	}
	return all
}

// Started says that the driver of a sensor begins to run.
func (c *Core) Started(now time.Time, id core.SensorID) {
	if in := c.inputs[id]; in != nil {
		in.running, in.lastSeen, in.sampleMoved, in.sampled = true, now, now, false
	}
}

// Skipped says that this machine can't have the sensor.
func (c *Core) Skipped(now time.Time, id core.SensorID, reason string) []Event {
	in := c.inputs[id]
	if in == nil {
		return nil
	}
	in.skipped = reason
	c.lifecycle(now, in, "sensor_skipped", core.SeverityLow, map[string]any{"why": sensor.Text(reason)})
	return c.take()
}

// Failed says that the driver of a sensor ended, and how. The sensor is a fault
// until it reads again.
func (c *Core) Failed(now time.Time, id core.SensorID, why string, panicked bool) []Event {
	in := c.inputs[id]
	if in == nil {
		return nil
	}
	in.running, in.stale, in.fault = false, "", sensor.Text(why)
	in.settle()
	c.lifecycle(now, in, "sensor_lost", core.SeverityHigh, map[string]any{"why": in.fault, "panic": panicked, "failures": in.fail()})
	return c.take()
}

// Read takes one reading.
func (c *Core) Read(now time.Time, id core.SensorID, r sensor.Reading) []Event {
	in := c.inputs[id]
	if in == nil {
		return nil
	}
	// Time first: a level that held long enough counts although the reading
	// that ends it came before the tick.
	c.advance(now)
	r.Simulated = r.Simulated || in.spec.Caps.Simulated
	c.alive(now, in, r)
	c.handle(now, in, r)
	c.judge(now, in, r)
	return c.take()
}

// handle takes what a driver or a judge says.
func (c *Core) handle(now time.Time, in *input, r sensor.Reading) {
	switch r.Kind {
	case sensor.Inventory:
		c.say(now, in, "", r, core.ClassInventory)
	case sensor.Level:
		c.level(now, in, r)
	case sensor.Pulse:
		c.pulse(now, in, r)
	case sensor.Beat, sensor.Measure, sensor.Waveform, sensor.Position, sensor.Sighting, sensor.Broken:
	}
}

// alive ends a fault or a silence. A lively sensor whose value stands still is
// not alive, however often it says the same.
func (c *Core) alive(now time.Time, in *input, r sensor.Reading) {
	in.lastSeen, in.seen, in.simulated = now, true, in.simulated || r.Simulated
	if in.spec.Caps.Lively {
		if !in.sampled || r.Sample != in.sample {
			in.sampleMoved = now
		}
		in.sample, in.sampled = r.Sample, true
		if now.Sub(in.sampleMoved) > in.spec.Caps.MaxSilence {
			return
		}
	}
	if in.fault == "" && in.stale == "" {
		return
	}
	why := in.fault + in.stale
	in.fault, in.stale = "", ""
	c.lifecycle(now, in, "sensor_back", core.SeverityInfo, map[string]any{"was": why})
}

// level notes a change of an input and waits whether it holds.
func (c *Core) level(now time.Time, in *input, r sensor.Reading) {
	p := in.point(r.Point)
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
	if r.Alarm && c.alarms(in) {
		c.alarm(now, in, p, r)
		return
	}
	c.say(now, in, p.name, r, core.ClassDeviceState)
}

// accept takes a level that held.
func (c *Core) accept(now time.Time, in *input, p *point) {
	r := p.pending.reading
	p.pending, p.active, p.last = nil, r.Active, r
	switch {
	case r.Active && r.Alarm && c.alarms(in):
		c.alarm(now, in, p, r)
	case r.Active:
		c.say(now, in, p.name, r, core.ClassDeviceState)
	case p.latch != nil:
		p.activity.add(now) // the way back changes nothing about a latch
	default:
		r.Type, r.Severity = r.Clear, core.SeverityInfo
		c.say(now, in, p.name, r, core.ClassDeviceState)
	}
}

// alarms says whether what the sensor notices counts as an attack now.
func (c *Core) alarms(in *input) bool {
	return !in.bypassed && (in.spec.Caps.Always || c.arming == core.Armed)
}

// alarm sets a latch, or counts further activity at one that is set. Its event
// says alarm, also where nothing latches and the sensor is well again at once.
func (c *Core) alarm(now time.Time, in *input, p *point, r sensor.Reading) {
	switch {
	case !in.spec.Caps.Latches || r.Unlatched:
		e := c.event(now, in, p.name, r, core.ClassDetectionFinding)
		e.State = core.SensorAlarm
		c.spend(now, &in.readings, e)
		if r.Kind == sensor.Pulse {
			in.alarmed = now
		}
	case p.latch != nil:
		p.activity.add(now)
	default:
		p.latch = &Latch{
			ID: c.rules.NewID(), Sensor: in.spec.ID, Point: p.name, Type: r.Type,
			Severity: r.Severity, At: now.UnixMicro(), Simulated: r.Simulated,
		}
		latch := *p.latch
		e := c.event(now, in, p.name, r, core.ClassDetectionFinding)
		e.Latch = &latch
		c.out = append(c.out, e)
	}
}

// say emits an event within the sensor's budget. A disarmed device reports the
// same things, but as no attack.
func (c *Core) say(now time.Time, in *input, point string, r sensor.Reading, class int) {
	if r.Alarm && !c.alarms(in) && r.Severity.Rank() > core.SeverityLow.Rank() {
		r.Severity = core.SeverityLow
	}
	c.spend(now, &in.readings, c.event(now, in, point, r, class))
}

func (c *Core) lifecycle(now time.Time, in *input, kind string, sev core.Severity, fields map[string]any) {
	c.spend(now, &in.lifecycle, c.event(now, in, "", sensor.Reading{Type: kind, Severity: sev, Simulated: in.simulated || in.spec.Caps.Simulated, Fields: sensor.Fields(fields)}, core.ClassDeviceState))
}

func (c *Core) event(now time.Time, in *input, point string, r sensor.Reading, class int) Event {
	if r.Severity == "" {
		r.Severity = core.SeverityInfo
	}
	extra := map[string]any{"kind": in.spec.Caps.Kind}
	if point != "" {
		extra["point"] = point
	}
	if c.arming != core.Armed {
		extra["arming"] = c.arming
	}
	return Event{
		At: now, Type: r.Type, Class: class, Severity: r.Severity, Sensor: in.spec.ID, Point: point,
		State: in.state(), Simulated: r.Simulated, Fields: with(r.Fields, extra),
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

// Tick moves time on: levels that held count, silence becomes stale, windows
// close, bypasses end.
func (c *Core) Tick(now time.Time) []Event {
	c.advance(now)
	return c.take()
}

func (c *Core) advance(now time.Time) {
	for _, id := range c.order {
		in := c.inputs[id]
		c.endBypass(now, in)
		for _, name := range in.names {
			if p := in.points[name]; p.pending != nil && now.Sub(p.pending.since) >= c.debounce(in) {
				c.accept(now, in, p)
			}
		}
		c.tickJudges(now, in)
		c.silence(now, in)
		c.flush(now, &in.readings)
		c.flush(now, &in.lifecycle)
		c.endAlarm(now, in)
		c.tellActivity(now, in)
	}
}

func (c *Core) debounce(in *input) time.Duration {
	if in.spec.Caps.Debounce > 0 {
		return in.spec.Caps.Debounce
	}
	return c.rules.Debounce
}

// silence makes a sensor stale and has its driver started anew, again and again
// until it reads.
func (c *Core) silence(now time.Time, in *input) {
	limit := in.spec.Caps.MaxSilence
	if !in.running || now.Sub(in.quietSince()) <= limit {
		return
	}
	if now.Sub(in.cutAt) > limit {
		in.cutAt = now
		c.cut = append(c.cut, in.spec.ID)
	}
	if in.stale != "" || in.fault != "" {
		return
	}
	in.stale = "silent for more than " + limit.String()
	if now.Sub(in.lastSeen) <= limit {
		in.stale = "its value stands still for more than " + limit.String()
	}
	c.lifecycle(now, in, "sensor_lost", core.SeverityHigh, map[string]any{"why": in.stale})
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
	for _, name := range in.names {
		p := in.points[name]
		if p.activity.count == 0 || now.Sub(p.activity.first) < c.rules.Window {
			continue
		}
		fields := map[string]any{"coalesced": p.activity.fields(), "active": p.active}
		if p.latch != nil {
			fields["latched"] = p.latch.ID
		}
		p.activity = tally{}
		c.out = append(c.out, c.event(now, in, name, sensor.Reading{
			Type: "latch_activity", Severity: core.SeverityMedium, Simulated: in.simulated, Fields: sensor.Fields(fields),
		}, core.ClassDeviceState))
	}
}

// Next returns when Tick has something to do, the zero time for never.
func (c *Core) Next() time.Time {
	var next time.Time
	for _, in := range c.inputs {
		for _, t := range in.deadlines(c.debounce(in), c.rules.Window) {
			if next.IsZero() || t.Before(next) {
				next = t
			}
		}
	}
	return next
}

// Release clears the named latches and returns the ids that were set. An input
// that is still active latches anew at once, under another id: a release is for
// what was, not for what is.
func (c *Core) Release(now time.Time, ids []string) (released []string, events []Event) {
	for _, sensorID := range c.order {
		in := c.inputs[sensorID]
		for _, name := range in.names {
			p := in.points[name]
			if p.latch == nil || !slices.Contains(ids, p.latch.ID) {
				continue
			}
			id := p.latch.ID
			fields := sensor.Fields(map[string]any{"released": id, "coalesced": p.activity.fields()})
			released, p.latch, p.activity = append(released, id), nil, tally{}
			c.out = append(c.out, c.event(now, in, name, sensor.Reading{Type: "latch_released", Severity: core.SeverityMedium, Simulated: in.simulated, Fields: fields}, core.ClassDeviceState))
			c.relatch(now, in, p)
		}
	}
	return released, c.take()
}

func (c *Core) relatch(now time.Time, in *input, p *point) {
	if p.active && p.last.Alarm && c.alarms(in) {
		c.alarm(now, in, p, p.last)
	}
}

// SetArming changes whether what is sensed counts as an attack. Arming with an
// input active alarms at once.
func (c *Core) SetArming(now time.Time, a core.Arming) []Event {
	was := c.arming
	c.arming = a
	if a == core.Armed && was != core.Armed {
		for _, id := range c.order {
			in := c.inputs[id]
			for _, name := range in.names {
				c.relatch(now, in, in.points[name])
			}
		}
	}
	return c.take()
}

// Arming returns the arming state.
func (c *Core) Arming() core.Arming { return c.arming }

// Bypass takes a sensor out of service until the given time. It still reports,
// it alarms no more; latches that are set stay set.
func (c *Core) Bypass(id core.SensorID, until time.Time) bool {
	in := c.inputs[id]
	if in == nil {
		return false
	}
	in.bypassed, in.bypassUntil = true, until
	return true
}

func (c *Core) endBypass(now time.Time, in *input) {
	if !in.bypassed || now.Before(in.bypassUntil) {
		return
	}
	in.bypassed = false
	c.lifecycle(now, in, "bypass_ended", core.SeverityInfo, map[string]any{})
	for _, name := range in.names {
		c.relatch(now, in, in.points[name])
	}
}

// Status is what is known of one sensor.
type Status struct {
	ID        core.SensorID    `json:"id"`
	Kind      string           `json:"kind"`
	State     core.SensorState `json:"state"`
	Why       string           `json:"why,omitempty"`
	Skipped   bool             `json:"skipped,omitempty"`
	Simulated bool             `json:"simulated,omitempty"`
	Latches   []string         `json:"latches,omitempty"`
	Active    []string         `json:"active,omitempty"` // points
}

// Statuses returns every sensor, in the order of the configuration.
func (c *Core) Statuses() []Status {
	all := make([]Status, 0, len(c.order))
	for _, id := range c.order {
		all = append(all, c.inputs[id].status())
	}
	return all
}
