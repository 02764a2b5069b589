package monitor

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/risk"
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
	// Risk tunes the score of the device.
	Risk risk.Config
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
	// Kind is what was noticed: a Level that is Active or not, a Pulse, an
	// Inventory; a Beat where the event is about the sensor itself.
	Kind   sensor.Kind
	Active bool
	// Level is the word for becoming active, also where Type is that for the way
	// back.
	Level string
	// Alarm says that the sensor is there to notice this, Attack that it counts
	// as one now: armed and not bypassed.
	Alarm, Attack bool
	Bypassed      bool
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
	// Had says that it read on this machine before this start.
	Had bool
	// Judges judge what its driver measures.
	Judges []Named
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
	cut    []core.SensorID        // drivers to start anew
	fused  map[core.SensorID]bool // sensors that a fusion looks at
	felt   []Event                // of those, not yet shown to the fusions
	panics []Panic
	risk   *risk.Risk
}

// NewCore returns a core for the given sensors, armed, all of them unknown.
func NewCore(rules Rules, specs ...Spec) *Core {
	c := &Core{rules: rules.withDefaults(), arming: core.Armed, inputs: map[core.SensorID]*input{}, fused: map[core.SensorID]bool{}}
	var err error
	if c.risk, err = risk.New(rules.Risk); err != nil {
		c.risk, _ = risk.New(risk.Config{}) // New refused it; a score decides nothing
	}
	for _, s := range specs {
		in := newInput(s, &c.arming)
		for _, id := range s.Of {
			c.fused[id] = true
			if of := c.inputs[id]; of != nil {
				of.fusedBy = append(of.fusedBy, in)
			}
		}
		c.inputs[s.ID] = in
		c.order = append(c.order, s.ID)
	}
	return c
}

// take hands out what has been said since the last call.
func (c *Core) take(now time.Time) []Event {
	c.fuse()
	c.weigh(now)
	c.fuse()
	out := c.out
	c.out = nil
	for _, e := range out {
		c.risk.Note(e.At, e.Sensor, e.Type, e.Severity)
	}
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
			in = newInput(Spec{ID: l.Sensor, Caps: sensor.Capabilities{Kind: "missing", Latches: true, MaxSilence: time.Hour}}, &c.arming)
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
		in.start(now)
	}
}

// Skipped says that this machine can't have the sensor. One that it had is not
// skipped: it is missing.
func (c *Core) Skipped(now time.Time, id core.SensorID, reason string) []Event {
	in := c.inputs[id]
	if in == nil {
		return nil
	}
	in.touch()
	if in.spec.Had && !in.seen {
		in.fault = sensor.Text("it was there before: " + reason)
		c.lifecycle(now, in, "sensor_lost", core.SeverityHigh, map[string]any{"why": in.fault, "failures": in.fail()})
		return c.take(now)
	}
	in.skipped = reason
	c.lifecycle(now, in, "sensor_skipped", core.SeverityLow, map[string]any{"why": sensor.Text(reason)})
	return c.take(now)
}

// Failed says that the driver of a sensor ended, and how. The sensor is a fault
// until it reads again.
func (c *Core) Failed(now time.Time, id core.SensorID, why string, panicked bool) []Event {
	in := c.inputs[id]
	if in == nil {
		return nil
	}
	in.touch()
	in.running, in.stale, in.fault = false, "", sensor.Text(why)
	in.settle()
	c.lifecycle(now, in, "sensor_lost", core.SeverityHigh, map[string]any{"why": in.fault, "panic": panicked, "failures": in.fail()})
	return c.take(now)
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
	in.touch()
	c.alive(now, in, r)
	c.observe(now, in, r)
	c.handle(now, in, r)
	c.judge(now, in, r)
	return c.take(now)
}

// handle takes what a driver or a judge says.
func (c *Core) handle(now time.Time, in *input, r sensor.Reading) {
	switch r.Kind {
	case sensor.Inventory:
		c.inventory(now, in, r)
	case sensor.Level:
		c.level(now, in, r)
	case sensor.Pulse:
		c.pulse(now, in, r)
	case sensor.Measure:
		c.measure(now, in, r)
	case sensor.Beat, sensor.Waveform, sensor.Position, sensor.Sighting, sensor.Broken:
	}
}

// alive ends a fault or a silence. A lively sensor whose value stands still is
// not alive, however often it says the same.
func (c *Core) alive(now time.Time, in *input, r sensor.Reading) {
	in.lastSeen, in.seen, in.skipped, in.simulated = now, true, "", in.simulated || r.Simulated
	if in.spec.Caps.Lively {
		if !in.sampled || r.Sample != in.sample {
			if in.sampled {
				in.proven = now
			}
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
	in.grace(now)
	c.lifecycle(now, in, "sensor_back", core.SeverityInfo, map[string]any{"was": why})
}

// Tick moves time on: levels that held count, silence becomes stale, windows
// close, bypasses end.
func (c *Core) Tick(now time.Time) []Event {
	c.advance(now)
	return c.take(now)
}

func (c *Core) advance(now time.Time) {
	for _, id := range c.order {
		in := c.inputs[id]
		if due := c.due(in); due.IsZero() || now.Before(due) {
			continue
		}
		in.touch()
		c.turnBypasses(now, in)
		for _, p := range in.list {
			if p.pending != nil && now.Sub(p.pending.since) >= c.debounce(in) {
				c.accept(now, in, p)
			}
		}
		c.tickJudges(now, in)
		c.silence(now, in)
		c.quietPoints(now, in)
		c.flush(now, in, &in.readings)
		c.flush(now, in, &in.lifecycle)
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

// Next returns when Tick has something to do, the zero time for never.
func (c *Core) Next() time.Time {
	var next time.Time
	for _, id := range c.order {
		if t := c.due(c.inputs[id]); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

func (c *Core) due(in *input) time.Time { return in.nextDue(c.debounce(in), c.rules.Window) }

// Release clears the named latches and returns the ids that were set. An input
// that is still active latches anew at once, under another id: a release is for
// what was, not for what is.
func (c *Core) Release(now time.Time, ids []string) (released []string, events []Event) {
	for _, sensorID := range c.order {
		in := c.inputs[sensorID]
		in.touch()
		for _, p := range in.list {
			if p.latch == nil || !slices.Contains(ids, p.latch.ID) {
				continue
			}
			id := p.latch.ID
			fields := sensor.Fields(map[string]any{"released": id, "coalesced": p.activity.fields()})
			released, p.latch, p.activity = append(released, id), nil, tally{}
			c.out = append(c.out, c.event(now, in, p.name, sensor.Reading{Type: "latch_released", Severity: core.SeverityMedium, Simulated: in.simulated, Fields: fields}, core.ClassDeviceState))
			c.relatch(now, in, p)
		}
	}
	return released, c.take(now)
}

func (c *Core) relatch(now time.Time, in *input, p *point) {
	if p.active && p.last.Alarm && c.alarms(in, p.last) {
		c.alarm(now, in, p, p.last)
	}
}

// SetArming changes whether what is sensed counts as an attack. Arming with an
// input active alarms at once.
func (c *Core) SetArming(now time.Time, a core.Arming) []Event {
	c.advance(now)
	was := c.arming
	var alarming []*input
	for _, id := range c.order {
		if in := c.inputs[id]; in.state() == core.SensorAlarm {
			alarming = append(alarming, in)
		}
	}
	c.arming = a
	for _, in := range alarming {
		if in.state() != core.SensorAlarm { // whoever goes by the last word hears of it
			c.lifecycle(now, in, "alarm_over", core.SeverityInfo, map[string]any{"why": "the device is " + string(a)})
		}
	}
	c.tellArming(now)
	if a == core.Armed && was != core.Armed {
		for _, id := range c.order {
			in := c.inputs[id]
			in.touch()
			for _, p := range in.list {
				c.relatch(now, in, p)
			}
		}
	}
	return c.take(now)
}

// Arming returns the arming state.
func (c *Core) Arming() core.Arming { return c.arming }
