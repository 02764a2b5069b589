package agent_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/link"
)

var caseID = core.MustID[core.SensorID]("case")

// alwaysOpen is a schedule that grants whenever the time is certain.
var alwaysOpen = schedule.Config{Windows: []schedule.Window{{Days: "daily", From: "00:00", To: "24:00"}}}

// witnessed makes the lower bound of the device's time certain to a minute: the
// boot-time clock is moved forward to now, as a device that was never off has it.
func (m *machine) witnessed() { m.offset.Store(int64(time.Since(floorOfTime) - time.Minute)) }

// floorOfTime is the least that an agent without a version stamp takes for now.
var floorOfTime = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func (s *server) obeyed(m *machine, kind link.OrderType, params any, want link.Outcome) link.Result {
	s.t.Helper()
	o, env := s.approved(kind, params, nil, "anna", "ben")
	s.send("order", env, nil)
	return s.resultOf(o.ID, want)
}

// TRUST F18: a schedule loosens only while the time is certain, and an order to
// arm holds against the rest of its window.
func TestAScheduleDisarmsOnlyWhileTheTimeIsCertainAndAnArmOrderWins(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) { c.Schedule, c.Heartbeat = alwaysOpen, time.Second }).start()
	s.event("agent_started")
	m.settled()
	if st := m.status(); st.Arming != core.Armed || st.ArmedBy != "default" {
		t.Fatalf("with bounds three weeks apart: %s by %s", st.Arming, st.ArmedBy)
	}
	m.witnessed()
	s.event("disarmed", `"by":"schedule"`)
	m.sense(`{"do":"pulse","point":"lid","type":"case_opened","alarm":true,"severity":"critical"}`)
	if e := s.event("case_opened"); e.Latch != "" {
		t.Error("a disarmed device latched")
	}
	s.obeyed(m, link.OrderArm, link.ArmParams{}, link.OutcomeDone)
	s.await("it is armed", func() bool { return agentArming(m) == core.Armed })
	m.stop()
	m.start()
	s.event("agent_started", `"new_boot":false`)
	m.settled()
	for range 3 { // looks of the housekeeping, a second each
		at := time.Now()
		s.await("time passes", func() bool { return time.Since(at) > time.Second })
		if st := m.status(); st.Arming != core.Armed || st.ArmedBy != "order" {
			t.Fatalf("after a restart: %s by %s", st.Arming, st.ArmedBy)
		}
	}
	s.obeyed(m, link.OrderDisarm, link.DisarmParams{Arming: core.Maintenance, Until: time.Now().Add(time.Hour).UnixMicro(), Ticket: "M-7"}, link.OutcomeDone)
	s.event("disarmed", `"arming":"maintenance"`, `"by":"order"`, `"ticket":"M-7"`, `"anna"`)
}

func TestABypassIsForAPointWithReasonTicketAndEndAndNeverForWhatAlwaysWatches(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) {
		mesh := agent.Simulated("mesh", c.DataDir+".mesh")
		mesh.Always = true
		c.Sensors = append(c.Sensors, mesh)
	}).start()
	s.event("agent_started")
	m.settled()
	until := time.Now().Add(time.Hour).UnixMicro()
	r := s.obeyed(m, link.OrderBypass, link.BypassParams{Sensor: core.MustID[core.SensorID]("mesh"), Until: until}, link.OutcomeFailed)
	if !strings.Contains(r.Detail, "around the clock") || !strings.Contains(r.Detail, "nothing was changed") {
		t.Errorf("%+v", r)
	}
	s.obeyed(m, link.OrderBypass, link.BypassParams{Sensor: core.MustID[core.SensorID]("nobody"), Until: until}, link.OutcomeFailed)
	s.obeyed(m, link.OrderBypass, link.BypassParams{Sensor: caseID, Point: "lid", Ticket: "M-7", Until: until}, link.OutcomeDone)
	s.event("sensor_bypassed", `"point":"lid"`, `"ticket":"M-7"`, `"reason":"test"`, `"anna"`)
	m.sense(`{"do":"pulse","point":"lid","type":"lid_opened","alarm":true,"severity":"critical"}`)
	if e := s.event("lid_opened"); e.Latch != "" {
		t.Error("a bypassed point latched")
	}
	m.stop()
	m.start()
	s.event("agent_started", `"new_boot":false`)
	s.await("the bypass is back", func() bool {
		st, err := agent.Ask(t.Context(), m.cfg.SocketPath())
		return err == nil && len(st.Bypassed) == 1 && len(st.Sensors[0].Bypassed) == 1
	})
	if b := m.status().Bypassed[0]; b.Point != "lid" || b.Ticket != "M-7" || b.Reason == "" || len(b.Persons) != 2 || !b.Begun || b.Until > until+int64(time.Second/time.Microsecond) {
		t.Errorf("%+v", b)
	}
	m.sense(`{"do":"pulse","point":"door","type":"door_opened","alarm":true,"severity":"critical"}`)
	if e := s.event("door_opened"); e.Latch == "" {
		t.Error("another point of the sensor is bypassed with it")
	}
	m.offset.Add(int64(61 * time.Minute))
	s.await("it is over", func() bool {
		st, err := agent.Ask(t.Context(), m.cfg.SocketPath())
		return err == nil && len(st.Bypassed) == 0 && st.Sensors[0].BypassUntil.IsZero()
	})
}

// A walk test ticks off what is set off, and is reported with what was not.
func TestAWalkTestIsReportedWithWhatWasNotSetOff(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) {
		c.Sensors = append(c.Sensors, agent.Simulated("door", c.DataDir+".door"))
	}).start()
	s.event("agent_started")
	m.settled()
	socket := m.cfg.SocketPath()
	if _, err := agent.BeginWalkTest(t.Context(), socket, "Anna", nil); core.KindOf(err) != core.KindConflict || !strings.Contains(core.HintOf(err), "maintenance") {
		t.Fatalf("an armed device walks: %v", err)
	}
	s.obeyed(m, link.OrderDisarm, link.DisarmParams{Arming: core.Maintenance, Until: time.Now().Add(time.Hour).UnixMicro()}, link.OutcomeDone)
	if _, err := agent.BeginWalkTest(t.Context(), socket, "", nil); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a walk test of nobody: %v", err)
	}
	if w, err := agent.BeginWalkTest(t.Context(), socket, "Anna \x1b[31mAdler", nil); err != nil || len(w.Items) != 2 || strings.Contains(w.By, "\x1b") {
		t.Fatalf("%+v, %v", w, err)
	}
	if _, err := agent.BeginWalkTest(t.Context(), socket, "Ben", nil); core.KindOf(err) != core.KindConflict {
		t.Errorf("two at once: %v", err)
	}
	m.sense(`{"do":"pulse","point":"lid","type":"lid_opened","alarm":true,"severity":"critical"}`)
	s.await("the case is ticked off", func() bool {
		w, err := agent.AskWalkTest(t.Context(), socket)
		return err == nil && w.Left() == 1 && w.Items[0].Type == "lid_opened"
	})
	if w, err := agent.EndWalkTest(t.Context(), socket); err != nil || w.Left() != 1 {
		t.Errorf("%+v, %v", w, err)
	}
	e := s.event("walk_test", `"complete":false`, `"missing":[{"sensor":"door"}]`, `"type":"lid_opened"`)
	if e.Severity != core.SeverityMedium || !e.Simulated {
		t.Errorf("%+v", e)
	}
	if _, err := agent.EndWalkTest(t.Context(), socket); core.KindOf(err) != core.KindNotFound {
		t.Errorf("ended twice: %v", err)
	}
	if _, err := agent.BeginWalkTest(t.Context(), socket, "Ben", map[string]string{"dor": "stuck"}); core.KindOf(err) != core.KindInvalid {
		t.Errorf("nothing of that name is left out: %v", err)
	}
	if w, err := agent.BeginWalkTest(t.Context(), socket, "Ben", map[string]string{"door": "it is bricked up"}); err != nil || w.Left() != 1 {
		t.Fatalf("%+v, %v", w, err)
	}
	s.obeyed(m, link.OrderArm, link.ArmParams{}, link.OutcomeDone)
	s.event("walk_test", `"by":"Ben"`, `the device is armed again`, `"without":[{"sensor":"door","why":"it is bricked up"}]`)
}

// The server can show how the device is armed, what is bypassed and how it fares.
func TestTheHeartbeatTellsArmingBypassesAndRisk(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) { c.Heartbeat = time.Second }).start()
	s.event("heartbeat", `"arming":"armed"`, `"armed_by":"default"`, `"bypassed":[]`, `"risk":{"score":`, `"live":{`, `"interfaces":[]`)
	s.obeyed(m, link.OrderBypass, link.BypassParams{Sensor: caseID, Until: time.Now().Add(time.Hour).UnixMicro()}, link.OutcomeDone)
	s.event("heartbeat", `"bypassed":[{"sensor":"case"`, `"sensors":{"case":"bypassed"}`)
}

// It senses and reports in every mode; only what holds it back differs.
func TestTheModeIsToldWhenItChanges(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s, func(c *agent.Config) { c.Heartbeat = time.Second }).start()
	s.event("heartbeat", `"mode":"normal"`)
	m.opened()
	s.event("mode_changed", `"mode":"safe"`)
	m.sense(`{"do":"pulse","point":"door","type":"door_opened","severity":"low"}`)
	s.event("door_opened")
}

// What the local socket is not asked for by its own program is refused as ever.
func TestTheWalkTestTakesNothingButAName(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	m.settled()
	for _, body := range []string{`{"by":"x","force":true}`, `[]`, strings.Repeat("x", 8<<10)} {
		if got := m.ask("/v1/walk-test", []byte(body)); got != http.StatusBadRequest {
			t.Errorf("%.20s: %d", body, got)
		}
	}
}
