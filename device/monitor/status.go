package monitor

import (
	"cmp"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/risk"
)

// Status is what is known of one sensor.
type Status struct {
	ID    core.SensorID    `json:"id"`
	Kind  string           `json:"kind"`
	State core.SensorState `json:"state"`
	// Why is why it is not ok: what failed, what is silent, what is bypassed.
	Why       string   `json:"why,omitempty"`
	Skipped   bool     `json:"skipped,omitempty"`
	Simulated bool     `json:"simulated,omitempty"`
	Latches   []string `json:"latches,omitempty"`
	Active    []string `json:"active,omitempty"` // points
	// Armed says that what it notices counts as an attack now, Always that it
	// does whatever the arming.
	Armed  bool     `json:"armed"`
	Always bool     `json:"always,omitempty"`
	Judges []string `json:"judges,omitempty"`
	// Of are the sensors that a fusion judges.
	Of []core.SensorID `json:"of,omitempty"`
	// Values are its last numbers, by point.
	Values []Value `json:"values,omitempty"`
	// LastSeen is when it last gave a sign of life. Proven is when it last showed
	// that it works: something moved, or it passed a test that drives it. A
	// contact that is welded shut is seen and not proven.
	LastSeen time.Time `json:"last_seen,omitzero"`
	Proven   time.Time `json:"proven,omitzero"`
	// BypassUntil is when the last bypass in force ends; Bypassed are those that
	// are in force and those that wait.
	BypassUntil time.Time  `json:"bypass_until,omitzero"`
	Bypassed    []Bypassed `json:"bypassed,omitempty"`
	// OverBudget counts what is being folded now because it came too fast.
	OverBudget int `json:"over_budget,omitempty"`
	Failures   int `json:"failures,omitempty"` // since the start
}

// Statuses returns every sensor, in the order of the configuration.
func (c *Core) Statuses() []Status {
	all := make([]Status, 0, len(c.order))
	for _, id := range c.order {
		all = append(all, c.status(c.inputs[id]))
	}
	return all
}

func (c *Core) status(in *input) Status {
	s := Status{
		ID: in.spec.ID, Kind: in.spec.Caps.Kind, State: in.state(), Why: in.why(), Skipped: in.skipped != "",
		Simulated: in.simulated || in.spec.Caps.Simulated, Active: in.activePoints(),
		Armed: in.armed() && !in.whollyBypassed(), Always: in.spec.Caps.Always, Of: in.spec.Of,
		Proven: in.proven, BypassUntil: in.bypassUntil(), Bypassed: in.listBypasses(),
		OverBudget: in.readings.pending() + in.lifecycle.pending(), Failures: in.failures,
	}
	if in.seen {
		s.LastSeen = in.lastSeen
	}
	for _, j := range in.spec.Judges {
		s.Judges = append(s.Judges, j.Name)
	}
	for _, l := range in.latches() {
		s.Latches = append(s.Latches, l.ID)
	}
	for _, p := range in.list {
		if v := p.value; v != nil {
			s.Values = append(s.Values, *v)
		}
	}
	return s
}

// why says in words what keeps the sensor from being ok.
func (in *input) why() string {
	fault, stale := in.troubles()
	why := cmp.Or(fault, stale, in.skipped, in.ailment())
	if until := in.bypassUntil(); why == "" && !until.IsZero() {
		why = "bypassed until " + until.UTC().Format(time.RFC3339)
	}
	return why
}

// Proved notes that a sensor passed a test that drives it: what is tested was
// seen to work.
func (c *Core) Proved(now time.Time, id core.SensorID) bool {
	in := c.inputs[id]
	if in != nil && now.After(in.proven) {
		in.proven = now
	}
	return in != nil
}

// Risk says how much the device is at risk, and of what that is made up. A fusion
// that lacks a sensor counts once, as that sensor.
func (c *Core) Risk(now time.Time) risk.Assessment {
	s := risk.State{Arming: c.arming}
	for _, id := range c.order {
		in := c.inputs[id]
		for _, l := range in.latches() {
			s.Latches = append(s.Latches, risk.Latch{Sensor: id, Point: l.Point, Type: l.Type, Severity: l.Severity})
		}
		if h := in.health(); h != core.SensorOK && (len(in.ailing) == 0 || len(in.retired) > 0) {
			s.Sensors = append(s.Sensors, risk.Sensor{ID: id, Health: h})
		}
	}
	return c.risk.Assess(now, s)
}
