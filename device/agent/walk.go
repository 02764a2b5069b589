package agent

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/gpio"
)

// WalkTest is the round through a device at its installation: somebody sets off
// everything that can alarm, once each, and the device ticks it off. What it
// ends with is an event, signed with its batch; a person signs it off at the
// server.
type WalkTest struct {
	V       int        `json:"v"` // 1
	By      string     `json:"by"`
	Started time.Time  `json:"started"`
	Ended   time.Time  `json:"ended,omitzero"`
	Why     string     `json:"why,omitempty"` // it ended
	Items   []WalkItem `json:"items"`
}

// WalkItem is one thing to set off.
type WalkItem struct {
	Sensor core.SensorID `json:"sensor"`
	Point  string        `json:"point,omitempty"` // "" for any of the sensor
	How    string        `json:"how,omitempty"`
	// At is when it was set off, and Type what it said then.
	At   time.Time `json:"at,omitzero"`
	Type string    `json:"type,omitempty"`
	// Without is why nobody sets it off: a TPM is not pulled to see whether that
	// is noticed. It stands in the report.
	Without string `json:"without,omitempty"`
}

// left says whether it is still to be set off.
func (i WalkItem) left() bool { return i.At.IsZero() && i.Without == "" }

// Left counts what was not set off yet.
func (w *WalkTest) Left() (n int) {
	for _, i := range w.Items {
		if i.left() {
			n++
		}
	}
	return n
}

// Limits of a walk test.
const (
	maxWalk      = 4 * time.Hour
	maxWalkItems = 128
	maxWalkBy    = 64
)

// walk is the walk test that goes on, if one does.
type walk struct {
	mu   sync.Mutex
	test *WalkTest
	ends time.Duration // boot-time clock
}

// how says how to set a sensor off, by its driver.
var how = map[string]string{
	DriverGPIO: "open this contact", DriverHwmon: "open the case", DriverCarrier: "pull the network cable", DriverUSB: "plug in a device that is not listed",
	DriverDisk: "pull a disk, if that may be done", DriverSim: "send a step to its socket", "neighbour": "connect a machine that is not known",
	"serial": "plug in a serial adapter", "sd": "put in a card", "display": "plug in a screen",
}

// walkItems lists what can be set off.
func (a *Agent) walkItems() (items []WalkItem) {
	skipped := map[core.SensorID]bool{}
	for _, s := range a.mon.Statuses() {
		skipped[s.ID] = s.Skipped
	}
	for _, c := range a.cfg.Sensors {
		id := core.MustID[core.SensorID](c.ID) // Validate parsed it
		e, _, err := c.entry()
		if err != nil || skipped[id] || !canAlarm(e, c) {
			continue
		}
		points := []string{""}
		if g, ok := c.Config.(gpio.Config); ok {
			points = nil
			for _, l := range g.Lines {
				points = append(points, l.Name)
			}
		}
		for _, p := range points {
			items = append(items, WalkItem{Sensor: id, Point: p, How: cmp.Or(how[c.Driver], "make it notice: "+e.doc.Senses)})
		}
	}
	return items[:min(len(items), maxWalkItems)]
}

// canAlarm says whether a driver or one of its judges has an event that alarms.
func canAlarm(e entryOf, c SensorConfig) bool {
	alarms := func(d sensor.Doc) bool {
		return slices.ContainsFunc(d.Events, func(x sensor.EventDoc) bool { return x.Alarm })
	}
	if alarms(e.doc) || c.Driver == DriverSim {
		return true
	}
	return slices.ContainsFunc(c.Judges, func(j JudgeConfig) bool {
		e, known := find(j.Name, RoleJudge)
		return known && alarms(e.doc)
	})
}

// beginWalk starts a walk test. While the device is armed every tick would be an
// attack, so it says how to get there.
func (a *Agent) beginWalk(s walkStart) (*WalkTest, error) {
	const op = "agent.walk"
	now, items := a.mon.Arming(), a.walkItems() // the monitor is never asked with walk locked: it ticks from within
	for id, why := range s.Without {
		if !leaveOut(items, id, why) {
			return nil, core.E(core.KindInvalid, op, fmt.Sprintf("without: %q is nothing that can be set off, or there is no reason", sensor.Text(id)))
		}
	}
	a.walk.mu.Lock()
	defer a.walk.mu.Unlock()
	if a.walk.test != nil {
		return nil, core.E(core.KindConflict, op, "a walk test of "+a.walk.test.By+" goes on").WithHint("end it first: interlock agent walk-test --end")
	}
	if now != core.Disarmed && now != core.Maintenance {
		return nil, core.E(core.KindConflict, op, fmt.Sprintf("the device is %s, and whatever is set off would count as an attack", now)).
			WithHint("have two people disarm it, or put it into maintenance: interlock device maintenance --help")
	}
	w := &WalkTest{V: 1, By: clipTo(sensor.Text(s.By), maxWalkBy), Started: a.cfg.Clock.Now().UTC(), Items: items}
	if w.By == "" || len(w.Items) == 0 {
		return nil, core.E(core.KindInvalid, op, "a walk test needs the name of who does it, and a sensor that can alarm")
	}
	a.walk.test, a.walk.ends = w, a.cfg.Elapsed()+maxWalk
	a.tell("walk_test_started", core.SeverityMedium, map[string]any{"by": w.By, "items": len(w.Items), "arming": now})
	return w.clone(), nil
}

// leaveOut marks what nobody sets off, by sensor or by sensor/point.
func leaveOut(items []WalkItem, id, why string) (known bool) {
	for i := range items {
		name := items[i].Sensor.String()
		if why != "" && (name == id || name+"/"+items[i].Point == id) {
			items[i].Without, known = clipTo(sensor.Text(why), maxWalkBy), true
		}
	}
	return known
}

func (w *WalkTest) clone() *WalkTest {
	c := *w
	c.Items = slices.Clone(w.Items)
	return &c
}

// walking returns the walk test that goes on.
func (a *Agent) walking() (*WalkTest, error) {
	a.walk.mu.Lock()
	defer a.walk.mu.Unlock()
	if a.walk.test == nil {
		return nil, core.E(core.KindNotFound, "agent.walk", "no walk test goes on")
	}
	return a.walk.test.clone(), nil
}

// tick notes that a sensor noticed what it is there for.
func (a *Agent) tick(e monitor.Event) {
	if !e.Alarm || (e.Kind == sensor.Level && !e.Active) {
		return
	}
	a.walk.mu.Lock()
	defer a.walk.mu.Unlock()
	if a.walk.test == nil {
		return
	}
	for i := range a.walk.test.Items {
		item := &a.walk.test.Items[i]
		if item.Sensor == e.Sensor && (item.Point == "" || item.Point == e.Point) && item.At.IsZero() {
			item.At, item.Type = e.At.UTC(), e.Type
		}
	}
}

// endWalk ends the walk test and records it.
func (a *Agent) endWalk(why string) (*WalkTest, error) {
	simulated := slices.ContainsFunc(a.mon.Statuses(), func(s monitor.Status) bool { return s.Simulated })
	a.walk.mu.Lock()
	defer a.walk.mu.Unlock()
	w := a.walk.test
	if w == nil {
		return nil, core.E(core.KindNotFound, "agent.walk", "no walk test goes on")
	}
	a.walk.test = nil
	w.Ended, w.Why = a.cfg.Clock.Now().UTC(), why
	triggered, missing, without := []map[string]any{}, []map[string]any{}, []map[string]any{}
	for _, i := range w.Items {
		at := map[string]any{"sensor": i.Sensor}
		if i.Point != "" {
			at["point"] = i.Point
		}
		switch {
		case i.left():
			missing = append(missing, at)
			continue
		case i.At.IsZero():
			at["why"] = i.Without
			without = append(without, at)
			continue
		}
		at["at"], at["type"] = i.At.UnixMicro(), i.Type
		triggered = append(triggered, at)
	}
	sev := core.SeverityInfo
	if len(missing) > 0 {
		sev = core.SeverityMedium
	}
	e := a.event("walk_test", sev, map[string]any{
		"by": w.By, "started": w.Started.UnixMicro(), "ended": w.Ended.UnixMicro(), "why": why,
		"complete": len(missing) == 0, "triggered": triggered, "missing": missing, "without": without,
	})
	e.Simulated = simulated
	a.rec.put(entry{event: e})
	return w, nil
}

// watchWalk ends a walk test that nobody ended, and one under which the device
// was armed.
func (a *Agent) watchWalk() {
	a.walk.mu.Lock()
	goes, over := a.walk.test != nil, a.cfg.Elapsed() >= a.walk.ends
	a.walk.mu.Unlock()
	switch now := a.mon.Arming(); {
	case !goes:
	case now == core.Armed || now == core.Transport:
		_, _ = a.endWalk("the device is " + string(now) + " again") // it went on a moment ago
	case over:
		_, _ = a.endWalk("nobody ended it within " + maxWalk.String())
	}
}
