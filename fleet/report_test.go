package fleet_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
)

func beat(fields string) link.DeviceEvent {
	return link.DeviceEvent{Type: "heartbeat", Fields: json.RawMessage(fields)}
}

func (r *rig) states(id core.DeviceID) map[string]core.SensorState {
	r.t.Helper()
	list, err := r.reg.Sensors(r.t.Context(), tenant, id)
	r.must(err)
	states := map[string]core.SensorState{}
	for _, s := range list {
		states[s.ID] = s.State
	}
	return states
}

// TestAHeartbeatIsThePicture: it brings every sensor to what it says; a sensor
// that alarmed last does not become well by being left out.
func TestAHeartbeatIsThePicture(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		seen, a := 0, r.enrolled(r.serve(), "press-7")
		a.send(link.DeviceEvent{Type: "case_intrusion", Sensor: "lid", State: core.SensorAlarm}, link.DeviceEvent{Type: "inventory", Sensor: "net", State: core.SensorOK})
		a.send(beat(`{"arming":"armed","sensors":{"lid":"alarm","net":"stale","fan":"fault"},"live":{"fan":[{"point":"fan1","value":900,"unit":"/min"}]}}`))
		seen = r.catchUp(seen)
		if got := r.states(a.id); got["lid"] != core.SensorAlarm || got["net"] != core.SensorStale || got["fan"] != core.SensorFault || len(got) != 3 {
			t.Errorf("%v", got)
		}
		r.clock.Advance(time.Minute)
		a.send(beat(`{"arming":"armed","sensors":{"net":"ok","fan":"ok"}}`))
		a.send(beat(`{"arming":"armed","sensors":{"fan":"ok","../x":"ok"}}`))
		seen = r.catchUp(seen)
		if got := r.states(a.id); got["lid"] != core.SensorUnknown || got["fan"] != core.SensorOK || len(got) != 2 {
			t.Errorf("after it left some out: %v", got)
		}
		reports, err := r.reg.Reports(t.Context(), tenant, a.id)
		r.must(err)
		if status, detail := string(reports[fleet.ReportStatus].Body), string(reports[fleet.ReportDetail].Body); strings.Contains(status, "live") || !strings.Contains(detail, "900") {
			t.Errorf("status %s, detail %s", status, detail)
		}
		a.send(link.DeviceEvent{Type: "disarmed", Fields: json.RawMessage(`{"arming":"maintenance","by":"order"}`)}, beat(`{"sensors":7}`))
		r.catchUp(seen)
		reports, err = r.reg.Reports(t.Context(), tenant, a.id)
		r.must(err)
		if !strings.Contains(string(reports[fleet.ReportArming].Body), "maintenance") {
			t.Errorf("%v", reports)
		}
	})
}

// TestAWalkTestIsSignedOff by a person, for exactly the report that was read; of
// those that nobody signed only the last stays.
func TestAWalkTestIsSignedOff(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx, seen := t.Context(), 0
		a := r.enrolled(r.serve(), "press-7")
		for i := range 5 {
			a.send(link.DeviceEvent{Type: "walk_test", Fields: json.RawMessage(fmt.Sprintf(`{"round":%d}`, i))})
		}
		seen = r.catchUp(seen)
		list, err := r.reg.WalkTests(ctx, tenant, a.id)
		r.must(err)
		if len(list) != 1 || string(list[0].Body) != `{"round":4}` || !list[0].Signed.IsZero() {
			t.Fatalf("%+v", list)
		}
		sign := func(who core.Principal, hash string) error {
			_, err := r.reg.SignWalkTest(ctx, r.guard, who, a.id, hash, "all seen", "uid 1000")
			return err
		}
		viewer := admin
		viewer.Roles = []string{core.RoleViewer}
		for name, row := range map[string]struct {
			who  core.Principal
			hash string
			kind core.Kind
		}{
			"a viewer":       {viewer, list[0].Hash, core.KindDenied},
			"another report": {admin, strings.Repeat("ab", 32), core.KindConflict},
			"no hash":        {admin, "x", core.KindInvalid},
		} {
			if err := sign(row.who, row.hash); core.KindOf(err) != row.kind {
				t.Errorf("%s: %v", name, err)
			}
		}
		r.must(sign(admin, list[0].Hash))
		if err := sign(admin, list[0].Hash); core.KindOf(err) != core.KindConflict {
			t.Errorf("signed twice: %v", err)
		}
		if !r.hasFact("device.sign-off", "device/press-7") {
			t.Error("the log does not have it")
		}
		a.send(link.DeviceEvent{Type: "walk_test", Fields: json.RawMessage(`{"round":9}`)})
		r.catchUp(seen)
		list, err = r.reg.WalkTests(ctx, tenant, a.id)
		r.must(err)
		if len(list) != 2 {
			t.Errorf("the signed one is gone: %+v", list)
		}
	})
}

// TestHowMuchDependsOnADevice is said by a person, with a reason, on record.
func TestHowMuchDependsOnADevice(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		a := r.enrolled(r.serve(), "press-7")
		asset, err := r.reg.Asset(ctx, tenant, a.id)
		r.must(err)
		if asset.Criticality != fleet.CriticalityMedium || asset.SetBy != "" {
			t.Errorf("%+v", asset)
		}
		operator := admin
		operator.Roles = []string{core.RoleOperator}
		for name, row := range map[string]struct {
			who    core.Principal
			level  fleet.Criticality
			reason string
			kind   core.Kind
		}{
			"an operator":      {operator, fleet.CriticalityHigh, "line 3 stops", core.KindDenied},
			"no reason":        {admin, fleet.CriticalityHigh, "", core.KindInvalid},
			"an unknown level": {admin, "extreme", "x", core.KindInvalid},
		} {
			if _, err := r.reg.SetCriticality(ctx, r.guard, row.who, a.id, row.level, row.reason); core.KindOf(err) != row.kind {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err = r.reg.SetCriticality(ctx, r.guard, admin, a.id, fleet.CriticalityCritical, "line 3 stops")
		r.must(err)
		_, err = r.reg.SetCriticality(ctx, r.guard, admin, a.id, fleet.CriticalityHigh, "there is a second one now")
		r.must(err)
		asset, err = r.reg.Asset(ctx, tenant, a.id)
		r.must(err)
		if asset.Criticality != fleet.CriticalityHigh || asset.SetBy != "person/anna" || !r.hasFact("device.criticality", "device/press-7") {
			t.Errorf("%+v", asset)
		}
	})
}

// TestExposures: what makes a device easier to get at, each counted where it is
// known, for all devices and for one.
func TestExposures(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		a := r.enrolled(r.serve(), "press-7")
		a.send(
			link.DeviceEvent{Type: "case_intrusion", Sensor: "lid", State: core.SensorAlarm, Latch: strings.Repeat("ab", 16)},
			beat(`{"arming":"armed","spool_lost":3,"sensors":{"lid":"alarm","net":"stale","fan":"fault","door":"bypassed"}}`),
		)
		seen := r.catchUp(0)
		r.clock.Advance(time.Minute)
		a.send(link.DeviceEvent{Type: "disarmed", Fields: json.RawMessage(`{"arming":"transport"}`)}, link.DeviceEvent{Type: "walk_test", Fields: json.RawMessage(`{}`)})
		r.catchUp(seen)
		_, err := r.reg.SetCriticality(ctx, r.guard, admin, a.id, fleet.CriticalityHigh, "x")
		r.must(err)
		for _, only := range []core.DeviceID{{}, a.id} {
			list, err := r.reg.Exposures(ctx, tenant, only)
			r.must(err)
			if len(list) != 1 {
				t.Fatalf("%d devices", len(list))
			}
			e := list[0]
			if e.Device.ID != a.id || e.Faults != 2 || e.Bypassed != 1 || e.Latches != 1 || e.Arming != core.Transport || !e.LostEvents || e.Walked || e.Criticality != fleet.CriticalityHigh {
				t.Errorf("%+v", e)
			}
		}
		if list, err := r.reg.Exposures(ctx, tenant, core.MustID[core.DeviceID]("press-8")); err != nil || len(list) != 0 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

// TestAHeartbeatMakesNothingReal: what is simulated stays so, also where the
// heartbeat was what the sensor changed by (TRUST F25).
func TestAHeartbeatMakesNothingReal(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		a.send(link.DeviceEvent{Type: "inventory", Sensor: "lid", State: core.SensorOK, Simulated: true})
		a.send(beat(`{"sensors":{"lid":"stale","fan":"ok","real":"ok"},"simulated":["fan"]}`))
		r.catchUp(0)
		list, err := r.reg.Sensors(t.Context(), tenant, a.id)
		r.must(err)
		if len(list) != 3 {
			t.Fatalf("%+v", list)
		}
		for _, s := range list {
			if s.Simulated != (s.ID != "real") {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestAWalkThatProvesNothingIsNone: half of one, or one on simulated sensors, is
// none, whoever puts their name under it.
func TestAWalkThatProvesNothingIsNone(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a := r.enrolled(r.serve(), "press-7")
		whole := `{"complete":true,"triggered":[{"sensor":"lid"}],"missing":[]}`
		for i, row := range []struct {
			body      string
			simulated int
			walked    bool
		}{
			{`{"complete":false,"triggered":[{"sensor":"lid"}],"missing":[{"sensor":"fan"}]}`, 0, false},
			{`{"complete":true,"triggered":[],"missing":[]}`, 0, false},
			{`{`, 0, false},
			{whole, 1, false},
			{whole, 0, true},
		} {
			r.must(r.db.Tx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(t.Context(), `INSERT INTO fleet_walk_tests (tenant, device, hash, at, received, simulated, body, signed) VALUES ($1, $2, $3, 1, 1, $4, $5, 1)`,
					tenant, a.id, fmt.Sprint(i), row.simulated, []byte(row.body))
				return err
			}))
			list, err := r.reg.Exposures(t.Context(), tenant, a.id)
			r.must(err)
			if len(list) != 1 || list[0].Walked != row.walked {
				t.Errorf("%s simulated %d: %+v", row.body, row.simulated, list)
			}
		}
	})
}
