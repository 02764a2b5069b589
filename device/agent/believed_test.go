package agent

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/link"
)

// Who armed a device within a window is not overruled by the rest of it because
// the bounds of the time lay across the window's end for a while.
func TestDoubtAboutTheTimeEndsNoArming(t *testing.T) {
	inside := time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC)
	plan, err := schedule.New(schedule.Config{Windows: []schedule.Window{{Days: "mon-fri", From: "07:00", To: "18:00"}}})
	if err != nil {
		t.Fatal(err)
	}
	a := agentAt(t, inside, inside, plan)
	a.store.Heard(inside, inside)
	if got, by, _ := a.decide(); got != core.Disarmed {
		t.Fatalf("within the window: %s by %s", got, by)
	}
	a.arm.held = true
	later := inside.Add(2 * time.Hour) // the upper bound runs away
	a.store.Heard(later, later)
	a.arm.asked = asked{}
	if got, _, _ := a.decide(); got != core.Armed || !a.arm.held {
		t.Errorf("bounds across the end: %s, held %v (%v)", got, a.arm.held, a.store.Time())
	}
	a.store.Observe(inside.Add(90 * time.Minute))
	a.arm.asked = asked{}
	if got, by, _ := a.decide(); got != core.Armed || by != armedBySchedule || a.arm.held {
		t.Errorf("after the window: %s by %s, held %v (%v)", got, by, a.arm.held, a.store.Time())
	}
}

// What failed and is gone now has failed, and no proof lies ahead.
func TestTheDoctorBelievesNoSkippedFaultAndNoFuture(t *testing.T) {
	now := time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC)
	for state, want := range map[core.SensorState]sensor.Result{core.SensorFault: sensor.Fail, core.SensorStale: sensor.Fail, core.SensorUnknown: sensor.Untried} {
		r := &Report{}
		r.reads(GroupSensors, monitor.Status{ID: core.MustID[core.SensorID]("lid"), State: state, Skipped: true}, now)
		if got := r.Checks[0].Result; got != want {
			t.Errorf("%s and skipped: %s, want %s", state, got, want)
		}
	}
	r := &Report{}
	r.proof(GroupSensors, monitor.Status{ID: core.MustID[core.SensorID]("lid"), State: core.SensorOK}, now.Add(time.Hour), now)
	if got := r.Checks[0].Result; got == sensor.Pass {
		t.Errorf("proven in an hour from now: %s", got)
	}
}

// A sensor that read once, with the driver that it has, was there.
func TestWhatReadWasThere(t *testing.T) {
	b := &body{Seen: map[string]string{"case": "hwmon", "keys": "usb"}}
	had := b.had([]SensorConfig{{ID: "case", Driver: "hwmon"}, {ID: "keys", Driver: "disk"}, {ID: "new", Driver: "gpio"}})
	if len(had) != 1 || !had[core.MustID[core.SensorID]("case")] {
		t.Errorf("%v", had)
	}
	now := time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC)
	a := agentAt(t, now, now, schedule.Schedule{})
	a.cfg.Sensors = []SensorConfig{{ID: "case", Driver: "hwmon"}, {ID: "keys", Driver: "usb"}}
	a.noteSeen([]monitor.Status{{ID: core.MustID[core.SensorID]("case"), LastSeen: now}, {ID: core.MustID[core.SensorID]("keys")}})
	if err := a.settle(); err != nil {
		t.Fatal(err)
	}
	a.view(func(_ string, b *body) {
		if had := b.had(a.cfg.Sensors); len(had) != 1 || b.Seen["case"] != "hwmon" {
			t.Errorf("kept %v", b.Seen)
		}
	})
}

// A clock that is weeks behind makes no grant longer than persons meant.
func TestAClockThatIsBehindMakesNoGrantLonger(t *testing.T) {
	truth := time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC)
	a := agentAt(t, truth.AddDate(0, 0, -21), truth.AddDate(0, 0, -21), schedule.Schedule{})
	if _, left := a.grantFor(truth.Add(24*time.Hour).UnixMicro(), truth.UnixMicro()); left != 24*time.Hour {
		t.Errorf("a day lasts %s", left)
	}
	p := &link.BypassParams{From: truth.Add(time.Hour).UnixMicro(), Until: truth.Add(2 * time.Hour).UnixMicro()}
	if g, _ := a.bypassFor(p, truth.UnixMicro()); time.Duration(g.Ends)*time.Microsecond-a.cfg.Elapsed() > 2*time.Hour {
		t.Errorf("a bypass ends %s from now", time.Duration(g.Ends)*time.Microsecond-a.cfg.Elapsed())
	}
}
