package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/access"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
)

// noon is a Friday.
var noon = time.Date(2026, 6, 5, 12, 0, 0, 0, time.UTC)

func id(name string) core.SensorID { return core.MustID[core.SensorID](name) }

var working = schedule.Config{Windows: []schedule.Window{{Days: "mon-fri", From: "08:00", To: "18:00"}}}

// rig is a room with a door and a panel at a virtual clock.
type rig struct {
	core   *monitor.Core
	now    time.Time
	lost   bool // nothing proves the time
	told   time.Time
	events []monitor.Event
}

func newRig(t *testing.T, doors ...access.Door) *rig {
	t.Helper()
	f, err := access.New(access.Config{Doors: doors})
	if err != nil {
		t.Fatal(err)
	}
	of := []core.SensorID{id("gpio"), id("reader")}
	r := &rig{now: noon, core: monitor.NewCore(
		monitor.Rules{},
		monitor.Spec{ID: of[0], Caps: sensor.Capabilities{Kind: "gpio", MaxSilence: 1000 * time.Hour, Latches: true}},
		monitor.Spec{ID: of[1], Caps: sensor.Capabilities{Kind: "serial", MaxSilence: 1000 * time.Hour}},
		monitor.Spec{ID: id("doors"), Caps: f.Capabilities(), Fusion: f, Of: of},
	)}
	for _, s := range of {
		r.core.Started(r.now, s)
		r.core.Read(r.now, s, sensor.Reading{Kind: sensor.Beat})
	}
	r.time()
	return r
}

func (r *rig) keep(e []monitor.Event) { r.events = append(r.events, e...) }

// time tells what is known of the time, as the agent does each minute.
func (r *rig) time() {
	t := schedule.Trusted{Lower: r.now, Upper: r.now}
	if r.lost {
		t.Upper = time.Time{}
	}
	r.told = r.now
	r.keep(r.core.SetTime(r.now, t))
}

func (r *rig) until(hour, minute int) *rig {
	end := time.Date(r.now.Year(), r.now.Month(), r.now.Day(), hour, minute, 0, 0, time.UTC)
	for {
		step := r.told.Add(time.Minute)
		if next := r.core.Next(); !next.IsZero() && next.Before(step) {
			step = next
		}
		if step.After(end) {
			break
		}
		r.now = step
		r.keep(r.core.Tick(r.now))
		if r.now.Sub(r.told) >= time.Minute {
			r.time()
		}
	}
	r.now = end
	return r
}

func (r *rig) door(open bool) *rig {
	r.keep(r.core.Read(r.now, id("gpio"), sensor.Reading{
		Kind: sensor.Level, Point: "front", Active: open, Settled: true, Alarm: true, Type: "case_intrusion", Clear: "case_closed", Severity: core.SeverityCritical,
	}))
	return r
}

func (r *rig) badge(simulated bool) *rig {
	r.keep(r.core.Read(r.now, id("reader"), sensor.Reading{Kind: sensor.Pulse, Point: "in", Type: "badge_read", Simulated: simulated}))
	return r
}

// said lists what was said of the doors.
func (r *rig) said() string {
	var all []string
	for _, e := range r.events {
		if e.Sensor == id("doors") && e.Type != "inventory" {
			word := e.Type
			if e.Class == core.ClassDetectionFinding {
				word += "!"
			}
			all = append(all, word)
		}
	}
	r.events = nil
	return strings.Join(all, " ")
}

var front = access.Door{Name: "front", Input: "gpio/front", Schedule: working}

func TestADoorInAndOutOfItsHours(t *testing.T) {
	r := newRig(t, front)
	if got := r.door(true).until(12, 0).door(false).said(); got != "access_opened access_closed" || len(r.core.Latches()) != 0 {
		t.Errorf("by day: %s, %v", got, r.core.Latches())
	}
	for _, s := range r.core.Statuses() {
		if s.State != core.SensorOK {
			t.Errorf("a door that people use: %+v", s)
		}
	}
	r.until(23, 0).said()
	if got := r.door(true).door(false).said(); got != "access_denied_window!" {
		t.Errorf("at night: %s", got)
	}
	if l := r.core.Latches(); len(l) != 1 || l[0].Sensor != id("doors") || l[0].Point != "front" {
		t.Errorf("latches %+v", l)
	}
}

func TestADoorHeldOpen(t *testing.T) {
	r := newRig(t, front)
	if got := r.door(true).until(12, 5).said(); got != "access_opened access_held_open! alarm_over" {
		t.Error(got)
	}
	panel := front
	panel.Kind = access.KindPanel
	r = newRig(t, panel)
	if got := r.door(true).until(13, 0).said(); got != "access_opened" {
		t.Errorf("a panel may stay open: %s", got)
	}
}

func TestADoorThatIsStillOpenWhenItsWindowEnds(t *testing.T) {
	d := front
	d.Held = 24 * time.Hour
	r := newRig(t, d).until(17, 55).door(true)
	if got := r.until(18, 5).said(); got != "access_opened access_denied_window!" {
		t.Error(got)
	}
	if e := r.core.Latches(); len(e) != 1 || time.UnixMicro(e[0].At).UTC().Format("15:04") != "18:00" && time.UnixMicro(e[0].At).UTC().Format("15:04") != "17:59" {
		t.Errorf("latches %+v", e)
	}
}

func TestWithoutTrustedTimeNothingIsPermitted(t *testing.T) {
	r := newRig(t, front)
	r.door(true)
	r.lost = true
	if got := r.until(12, 1).said(); !strings.HasPrefix(got, "access_opened access_held_open! access_denied_window!") {
		t.Errorf("lost while it was open: %s", got)
	}
	r = newRig(t, front)
	r.now = r.now.Add(11 * time.Minute) // and nobody told the time since
	if got := r.door(true).said(); got != "access_denied_window!" {
		t.Errorf("old word about the time: %s", got)
	}
}

func TestADoorWithABadgeReaderNeedsABadge(t *testing.T) {
	d := front
	d.Requests = []string{"reader/in"}
	r := newRig(t, d)
	if got := r.door(true).said(); got != "access_forced!" {
		t.Errorf("nobody asked: %s", got)
	}
	r = newRig(t, d)
	if got := r.badge(false).door(true).said(); got != "access_opened" {
		t.Errorf("asked: %s", got)
	}
	r = newRig(t, d)
	if got := r.badge(true).door(true).said(); got != "access_forced!" {
		t.Errorf("a simulated badge at a real door: %s", got)
	}
	r = newRig(t, d)
	if got := r.badge(false).until(12, 1).door(true).said(); got != "access_forced!" {
		t.Errorf("asked a minute ago: %s", got)
	}
	r = newRig(t, d)
	if _, err := r.core.Bypass(r.now, monitor.Bypass{Sensor: id("reader"), For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got := r.badge(false).door(true).said(); !strings.HasSuffix(got, "access_forced!") {
		t.Errorf("a bypassed reader lets nobody in: %s", got)
	}
}

// A reader at a GPIO line says what every contact there says.
func TestToAskIsNoAlarm(t *testing.T) {
	d := front
	d.Requests = []string{"reader/in"}
	r := newRig(t, d)
	r.keep(r.core.Read(r.now, id("reader"), sensor.Reading{
		Kind: sensor.Level, Point: "in", Active: true, Settled: true, Alarm: true, Type: "case_intrusion", Clear: "case_closed", Severity: core.SeverityCritical,
	}))
	for _, e := range r.events {
		if e.Class == core.ClassDetectionFinding {
			t.Errorf("an alarm: %+v", e)
		}
	}
	if got := r.door(true).said(); got != "access_opened" {
		t.Errorf("after it: %s", got)
	}
}

func TestAWindowForOneJobNamesItsTicket(t *testing.T) {
	r := newRig(t, front).until(22, 0)
	events, err := r.core.Bypass(r.now, monitor.Bypass{Sensor: id("doors"), Point: "front", For: time.Hour, Ticket: "M-7"})
	if err != nil {
		t.Fatal(err)
	}
	r.keep(events)
	r.until(22, 30).door(true)
	if last := r.events[len(r.events)-1]; last.Type != "access_denied_window" || !strings.Contains(string(last.Fields), `"ticket":"M-7"`) || last.Severity != core.SeverityLow {
		t.Errorf("within the window: %+v %s", last, last.Fields)
	}
	if len(r.core.Latches()) != 0 {
		t.Fatalf("latches %+v", r.core.Latches())
	}
	if r.until(23, 1); len(r.core.Latches()) != 1 {
		t.Error("left open past the window, and no latch")
	}
}

func TestBadDoorsNameWhatIsWrong(t *testing.T) {
	no := access.Door{Name: "a", Input: "gpio/a"}
	with := func(f func(d *access.Door)) access.Config {
		d := no
		f(&d)
		return access.Config{Doors: []access.Door{d}}
	}
	for want, c := range map[string]access.Config{
		"doors: 0":                       {},
		"doors[1]":                       {Doors: []access.Door{no, no}},
		"doors[0].name":                  with(func(d *access.Door) { d.Name = "Front door" }),
		"doors[0].kind":                  with(func(d *access.Door) { d.Kind = "gate" }),
		"doors[0].input":                 with(func(d *access.Door) { d.Input = "gpio" }),
		"doors[0].grace":                 with(func(d *access.Door) { d.Held = -1 }),
		"doors[0].requests":              with(func(d *access.Door) { d.Requests = make([]string, 17) }),
		"doors[0].schedule: schedule.Ne": with(func(d *access.Door) { d.Schedule.Zone = "Mars/North" }),
	} {
		if _, err := access.New(c); core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
