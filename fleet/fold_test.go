package fleet_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

func TestThePictureOfADevice(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		if d := r.device("press-7"); d.State() != core.DeviceOffline || d.Known.Epoch != "" {
			t.Errorf("before the first batch: %+v", d)
		}
		latch := strings.Repeat("ab", 16)
		a.send(
			link.DeviceEvent{Type: "carrier_down", Sensor: "eth0", State: core.SensorAlarm, Latch: latch},
			link.DeviceEvent{Type: "inventory", Sensor: "usb", State: core.SensorOK, Simulated: true},
		)
		seen := r.catchUp(0)
		d := r.device("press-7")
		if d.State() != core.DeviceOnline || d.Known.Epoch != a.epoch || d.Known.Sequence != 2 || d.Known.Hash != a.prev || !d.Known.LastSeen.Equal(start) {
			t.Errorf("device %+v", d)
		}
		sensors, err := r.reg.Sensors(t.Context(), tenant, a.id)
		r.must(err)
		if len(sensors) != 2 || sensors[0].State != core.SensorAlarm || !sensors[1].Simulated {
			t.Errorf("sensors %+v", sensors)
		}
		open, err := r.reg.Latches(t.Context(), tenant, a.id, true)
		r.must(err)
		if len(open) != 1 || open[0].ID != latch {
			t.Errorf("latches %+v", open)
		}
		states, err := r.reg.States(t.Context(), tenant)
		if err != nil || len(states) != 1 || states[core.DeviceOnline] != 1 {
			t.Errorf("states %v, %v", states, err)
		}
		a.send(link.DeviceEvent{Type: "latch_released", Sensor: "eth0", State: core.SensorOK, Fields: json.RawMessage(`{"released":"` + latch + `"}`)})
		r.catchUp(seen)
		if open, err = r.reg.Latches(t.Context(), tenant, a.id, true); err != nil || len(open) != 0 {
			t.Errorf("latches after the release %+v, %v", open, err)
		}
	})
}

// TestContinuityIsJudgedHere is F19, for what a device can't see of itself.
func TestContinuityIsJudgedHere(t *testing.T) {
	newEpoch := func(a *agent) {
		a.epoch, a.seq, a.prev = hex.EncodeToString(random(16)), 0, ""
	}
	rows := map[string]struct {
		do        func(a *agent)
		alarm     string
		contained bool
	}{
		"an unbroken chain":                     {func(a *agent) { a.send() }, "", false},
		"a new epoch, counter goes on":          {func(a *agent) { newEpoch(a); a.send() }, "", false},
		"a state from before":                   {func(a *agent) { newEpoch(a); a.counter = 0; a.send() }, fleet.AlarmRolledBack, true},
		"the same epoch, a counter from before": {func(a *agent) { a.counter = 0; a.send() }, fleet.AlarmRolledBack, true},
		"an epoch that was left": {func(a *agent) {
			old := *a
			newEpoch(a)
			a.send()
			old.counter = 100
			old.send()
		}, fleet.AlarmCloned, true},
		"events that never came": {func(a *agent) { a.seq += 5; a.send() }, fleet.AlarmGap, false},
		"another batch before":   {func(a *agent) { a.prev = strings.Repeat("ab", 32); a.send() }, fleet.AlarmBroken, false},
	}
	each(t, func(t *testing.T, r *rig) {
		url, n := r.serve(), 0
		for name, row := range rows {
			n++
			a := r.enrolled(url, fmt.Sprintf("press-%d", n))
			a.send()
			a.send()
			row.do(a)
			r.catchUp(r.catchUp(len(r.raw.since(0)) - len(r.raw.from(a.id))))
			for _, kind := range []string{fleet.AlarmFork, fleet.AlarmRolledBack, fleet.AlarmCloned, fleet.AlarmGap, fleet.AlarmBroken} {
				want := 0
				if kind == row.alarm {
					want = 1
				}
				if got := len(r.raw.eventsOf(t, kind, a.id)); got != want {
					t.Errorf("%s: %d × %s, want %d", name, got, kind, want)
				}
			}
			if got := r.device(a.id.String()).State() == core.DeviceQuarantined; got != row.contained {
				t.Errorf("%s: quarantined: %v, want %v", name, got, row.contained)
			}
		}
	})
}

func TestSilenceIsAnAlarm(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		a.send()
		seen := r.catchUp(0)
		dark := func() int { return len(r.raw.events(t, fleet.AlarmDark)) }
		r.clock.Advance(fleet.DefaultFold.StaleAfter)
		r.tick()
		seen = r.catchUp(seen)
		if dark() != 0 {
			t.Fatal("dark too early")
		}
		r.clock.Advance(time.Second)
		for range 3 {
			r.tick() // says it once
		}
		seen = r.catchUp(seen)
		if dark() != 1 || r.device("press-7").State() != core.DeviceStale {
			t.Fatalf("%d alarms, state %s", dark(), r.device("press-7").State())
		}
		r.clock.Advance(fleet.DefaultFold.OfflineAfter)
		r.tick()
		seen = r.catchUp(seen)
		if dark() != 2 || r.device("press-7").State() != core.DeviceOffline {
			t.Fatalf("%d alarms, state %s", dark(), r.device("press-7").State())
		}
		a.send()
		r.catchUp(seen)
		if r.device("press-7").State() != core.DeviceOnline || len(r.raw.events(t, fleet.AlarmBack)) != 1 {
			t.Error("the device came back unnoticed")
		}
	})
}

// TestAlarmsAreThereOnce: a crash between journal and table sends again, and
// the journal knows the alarm by its key.
func TestAlarmsAreThereOnce(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		a.send()
		r.catchUp(0)
		r.clock.Advance(time.Hour)
		r.tick()
		crash := &forgetful{memoryJournal: r.raw}
		if _, err := r.reg.SendAlarms(t.Context(), crash, 1); err == nil {
			t.Fatal("the journal's answer was lost and nobody noticed")
		}
		_, err := r.reg.SendAlarms(t.Context(), r.raw, 1)
		r.must(err)
		// Stale and offline came in one tick.
		if n := len(r.raw.events(t, fleet.AlarmDark)); n != 2 {
			t.Errorf("%d alarms, want 2", n)
		}
	})
}

func TestSchemas(t *testing.T) { storetest.SameSchema(t, fleet.Migrations()) }
