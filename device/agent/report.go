package agent

import (
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/risk"
	"github.com/interlock-security/interlock/device/sensor"
)

// Bounds of what a heartbeat says. What is left out is counted: the local socket
// has all of it.
const (
	maxToldBypasses = 16
	maxToldWhys     = 16
	maxToldFactors  = 8
	maxToldValues   = 64
	maxPerSensor    = 8
	maxToldPorts    = 32
	// detailEvery is how often a heartbeat also has the values and the
	// interfaces: the record is kept on flash, and for long.
	detailEvery = 5 * time.Minute
)

// heartbeat says that the device is there and how it is, unless other events
// wait already: they say that it is there.
func (a *Agent) heartbeat() {
	sensors := a.mon.Statuses()
	a.noteSeen(sensors)
	st := a.spool.Stats()
	if st.Waiting > 8 {
		return
	}
	fields := map[string]any{
		"mode": a.mode(), "contained": a.reflex.Contained(), "spool_lost": st.Lost, "version": Version,
	}
	fields["risk"] = toldRisk(a.mon.Risk())
	a.armingFields(fields)
	statesOf(sensors, fields)
	a.view(func(_ string, b *body) {
		fields["latches"], fields["stopped"] = len(b.Latches), b.Stopped
		fields["bypassed"] = toldBypasses(b.Bypassed, a.cfg.Elapsed(), a.cfg.Clock.Now())
	})
	if now := a.cfg.Elapsed(); a.detailed == 0 || now-a.detailed >= detailEvery {
		a.detailed = max(now, 1)
		fields["live"] = liveOf(sensors)
		fields["interfaces"] = a.ports.list(maxToldPorts)
		fields["kinds"], fields["proven"] = kindsOf(sensors), a.provenOf(sensors)
	}
	a.tell("heartbeat", core.SeverityInfo, fields)
}

// kindsOf says what each sensor is.
func kindsOf(all []monitor.Status) map[string]string {
	kinds := make(map[string]string, len(all))
	for _, s := range all {
		kinds[s.ID.String()] = s.Kind
	}
	return kinds
}

// provenOf says when each sensor last showed that it works, in microseconds. One
// that never did is not named.
func (a *Agent) provenOf(all []monitor.Status) map[string]int64 {
	proven := map[string]int64{}
	for _, s := range all {
		if at := a.lastProven(s); !at.IsZero() {
			proven[s.ID.String()] = at.UnixMicro()
		}
	}
	return proven
}

// toldRisk is the score with its greatest factors.
func toldRisk(r risk.Assessment) risk.Assessment {
	r.Factors = r.Factors[:min(len(r.Factors), maxToldFactors)]
	return r
}

// armingFields say how the device is armed, by what, and until when if that is
// known.
func (a *Agent) armingFields(fields map[string]any) {
	by, until := a.armedBy()
	a.arm.mu.Lock()
	defer a.arm.mu.Unlock()
	fields["arming"], fields["armed_by"] = a.arm.now, by
	if !until.IsZero() {
		fields["arming_until"] = until.UnixMicro()
	}
	if g := a.arm.grant; g != nil && g.Ticket != "" {
		fields["ticket"] = g.Ticket
	}
}

// armedBy returns what arms or disarms the device, and until when, by its clock,
// if that is known.
func (a *Agent) armedBy() (by string, until time.Time) {
	a.arm.mu.Lock()
	defer a.arm.mu.Unlock()
	if g := a.arm.grant; g != nil {
		return a.arm.by, a.cfg.Clock.Now().Add(g.left(a.store.Continuity().Boot, a.cfg.Elapsed()))
	}
	return a.arm.by, a.arm.until
}

// statesOf lists the states, and of the first few that are not ok, why.
func statesOf(all []monitor.Status, fields map[string]any) {
	states, why, simulated := map[string]core.SensorState{}, map[string]string{}, []string{}
	for _, s := range all {
		states[s.ID.String()] = s.State
		if s.Simulated {
			simulated = append(simulated, s.ID.String())
		}
		if s.Why != "" && len(why) < maxToldWhys {
			why[s.ID.String()] = clipTo(s.Why, 120)
		}
	}
	fields["sensors"] = states
	if len(simulated) > 0 {
		fields["simulated"] = simulated
	}
	if len(why) > 0 {
		fields["why"] = why
	}
}

func clipTo(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return sensor.Text(s[:limit])
}

// ToldBypass is a bypass as the device tells of it.
type ToldBypass struct {
	Sensor  core.SensorID   `json:"sensor"`
	Point   string          `json:"point,omitempty"`
	From    int64           `json:"from"` // microseconds, by the device's clock
	Until   int64           `json:"until"`
	Begun   bool            `json:"begun"`
	Reason  string          `json:"reason,omitempty"`
	Ticket  string          `json:"ticket,omitempty"`
	Persons []core.PersonID `json:"persons,omitempty"`
}

func toldBypasses(all []grant, elapsed time.Duration, now time.Time) []ToldBypass {
	told := []ToldBypass{}
	for _, g := range all[:min(len(all), maxToldBypasses)] {
		b := g.bypass(elapsed)
		told = append(told, ToldBypass{
			Sensor: g.Sensor, Point: clipTo(g.Point, 64), From: now.Add(b.After).UnixMicro(), Until: now.Add(b.After + b.For).UnixMicro(),
			Begun: b.After == 0, Reason: clipTo(g.Why, 120), Ticket: g.Ticket, Persons: g.Persons,
		})
	}
	return told
}

// toldValue is the last number of a point.
type toldValue struct {
	Point string      `json:"point"`
	Value float64     `json:"value"`
	Unit  sensor.Unit `json:"unit,omitempty"`
}

// liveOf lists the values of every sensor that has some.
func liveOf(all []monitor.Status) map[string][]toldValue {
	live, n := map[string][]toldValue{}, 0
	for _, s := range all {
		for _, v := range s.Values[:min(len(s.Values), maxPerSensor)] {
			if n++; n > maxToldValues {
				return live
			}
			live[s.ID.String()] = append(live[s.ID.String()], toldValue{clipTo(v.Point, 64), v.Value, v.Unit})
		}
	}
	return live
}
