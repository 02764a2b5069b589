package monitor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/sim"
)

// house plays the scenarios of several sensors against a core in a time of its
// own: no clock, no goroutine, a day in seconds.
type house struct {
	t      *testing.T
	core   *monitor.Core
	start  time.Time
	now    time.Time
	rooms  []*room
	events []monitor.Event
	// plan arms the house each minute, by what trusted says of the time.
	plan    schedule.Schedule
	trusted func(now time.Time) schedule.Trusted
	minute  time.Time
}

// room is a sensor of the house.
type room struct {
	id     core.SensorID
	player *sim.Player
}

func sid(name string) core.SensorID { return core.MustID[core.SensorID](name) }

func newHouse(t *testing.T, start time.Time, specs ...monitor.Spec) *house {
	t.Helper()
	h := &house{t: t, start: start, now: start, minute: start, trusted: exactly}
	n := 0
	h.core = monitor.NewCore(monitor.Rules{NewID: func() string { n++; return fmt.Sprintf("%032x", n) }}, specs...)
	h.keep(h.core.Begin(h.now))
	return h
}

func exactly(now time.Time) schedule.Trusted { return schedule.Trusted{Lower: now, Upper: now} }

// spec is a sensor that plays a scenario.
func spec(name string, change func(s *monitor.Spec)) monitor.Spec {
	s := monitor.Spec{ID: sid(name), Caps: sensor.Capabilities{Kind: name, MaxSilence: time.Minute, Latches: true}}
	if change != nil {
		change(&s)
	}
	return s
}

func (h *house) plays(name, text string) {
	h.t.Helper()
	s, err := sim.ParseScript([]byte(text))
	if err != nil {
		h.t.Fatalf("%s: %v", name, err)
	}
	if b := s.Begins(); !b.IsZero() && !b.Equal(h.start) {
		h.t.Fatalf("%s begins at %s, the house at %s", name, b, h.start)
	}
	h.rooms = append(h.rooms, &room{sid(name), s.Play()})
	h.core.Started(h.now, sid(name))
}

func (h *house) keep(events []monitor.Event) { h.events = append(h.events, events...) }

// until lets time pass.
func (h *house) until(end time.Time) *house {
	h.t.Helper()
	for {
		next, who := h.minute, (*room)(nil)
		if t := h.core.Next(); !t.IsZero() && t.Before(next) {
			next = t
		}
		for _, r := range h.rooms {
			if t := h.start.Add(r.player.Next()); t.Before(next) {
				next, who = t, r
			}
		}
		if next.After(end) {
			h.now = end
			return h
		}
		h.now = latest(h.now, next)
		switch {
		case who != nil:
			h.play(who)
		case !next.Before(h.minute):
			h.eachMinute()
		default:
			h.keep(h.core.Tick(h.now))
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (h *house) play(r *room) {
	h.t.Helper()
	m := r.player.Step()
	for _, x := range m.Readings {
		h.keep(h.core.Read(h.now, r.id, x))
	}
	if m.Fault != nil || m.Panic != "" {
		h.t.Fatalf("%s ended at %s: %v %s", r.id, h.now, m.Fault, m.Panic)
	}
}

// eachMinute does what the agent does: the schedule arms, and the judges hear
// what is known of the time.
func (h *house) eachMinute() {
	t := h.trusted(h.now)
	if a, _ := h.plan.At(t); a != h.core.Arming() {
		h.keep(h.core.SetArming(h.now, a))
	}
	h.keep(h.core.SetTime(h.now, t))
	h.minute = h.minute.Add(time.Minute)
}

// alerts are what a person hears of: alarms, and what is wrong with sensors.
func (h *house) alerts(zone *time.Location) string {
	var b strings.Builder
	for _, e := range h.events {
		if e.Class != core.ClassDetectionFinding && e.Severity.Rank() < core.SeverityHigh.Rank() {
			continue
		}
		latch := "no"
		if e.Latch != nil {
			latch = "yes"
		}
		fmt.Fprintf(&b, "%-17s %-8s %-22s %-8s latch %s\n", e.At.In(zone).Format("Mon 15:04:05 MST"), e.Sensor, e.Type, e.Severity, latch)
	}
	return b.String()
}

func (h *house) count(name, kind string) int {
	n := 0
	for _, e := range h.events {
		if e.Sensor == sid(name) && (kind == "" || e.Type == kind) {
			n++
		}
	}
	return n
}

func (h *house) status(name string) monitor.Status {
	all := h.core.Statuses()
	return all[slices.IndexFunc(all, func(s monitor.Status) bool { return s.ID == sid(name) })]
}

var epoch = time.Date(2026, 6, 5, 0, 0, 0, 0, time.UTC)

func TestABounceIsNothingAndAnOpeningLatchesThroughARestart(t *testing.T) {
	h := newHouse(t, epoch, spec("lid", nil))
	h.plays("lid", "at 00:01 open lid\nafter 20ms close lid")
	h.until(epoch.Add(2 * time.Minute))
	if n := h.count("lid", "case_intrusion"); n != 0 || len(h.core.Latches()) != 0 {
		t.Fatalf("20 ms: %d events, latches %v", n, h.core.Latches())
	}
	h = newHouse(t, epoch, spec("lid", nil))
	h.plays("lid", "at 00:01 open lid\nafter 60ms close lid")
	h.until(epoch.Add(2 * time.Minute))
	latches := h.core.Latches()
	if n := h.count("lid", "case_intrusion"); n != 1 || len(latches) != 1 || h.count("lid", "case_closed") != 0 {
		t.Fatalf("60 ms: %d events, latches %v", n, latches)
	}
	again := newHouse(t, h.now, spec("lid", nil))
	again.core.Restore(latches)
	again.plays("lid", "")
	again.until(h.now.Add(time.Hour))
	if got := again.core.Latches(); !slices.Equal(got, latches) || again.status("lid").State != core.SensorAlarm || again.count("lid", "case_intrusion") != 0 {
		t.Errorf("after a restart: %v, %s", got, again.status("lid").State)
	}
}

func TestTroubleAtOnePointAndAtTheSensor(t *testing.T) {
	for trouble, want := range map[string]struct {
		state core.SensorState
		why   string
	}{
		"freeze ambient":       {core.SensorStale, "ambient: its value stands still"},
		"drop ambient":         {core.SensorStale, "ambient: silent"},
		"break ambient no bus": {core.SensorFault, "ambient: no bus"},
		"drop":                 {core.SensorStale, "silent"},
	} {
		h := newHouse(t, epoch, spec("env", nil))
		h.plays("env", "set ambient 22 Cel noise 0.1\nset humid 50 % noise 0.5\nat 00:05 "+trouble+"\nat 00:10 resume\nat 00:10 open lid")
		h.until(epoch.Add(8 * time.Minute))
		if s := h.status("env"); s.State != want.state || !strings.HasPrefix(s.Why, want.why) || h.count("env", "sensor_lost") != 1 {
			t.Errorf("%s: %s, %q, told %d times", trouble, s.State, s.Why, h.count("env", "sensor_lost"))
		}
		h.until(epoch.Add(12 * time.Minute))
		if s := h.status("env"); s.State != core.SensorAlarm || s.Why != "" || h.count("env", "sensor_back") != 1 {
			t.Errorf("%s and back: %s, %q", trouble, s.State, s.Why)
		}
	}
}
