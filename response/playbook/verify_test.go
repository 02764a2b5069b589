package playbook_test

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
)

// verifying brings an incident about press-7 to its verification, with the
// device as change leaves it.
func (w *world) verifying(change func(*machine)) incident.Incident {
	w.t.Helper()
	w.device(press, change)
	w.live()
	in, release := w.contained()
	w.answer(release, fleet.OrderDone, "opened")
	w.untilState(in.ID, incident.StateVerifying)
	return in
}

// TestAFailedVerificationReopens, at its deadline and not before, and the next
// round begins with containment.
func TestAFailedVerificationReopens(t *testing.T) {
	lite(t, func(w *world) {
		in := w.verifying(func(m *machine) { m.sensor = core.SensorAlarm })
		w.clock.Advance(59 * time.Minute)
		if r := w.run(in.ID); r.State != playbook.RunRunning {
			t.Errorf("it gave up early: %s", r.State)
		}
		r := w.untilRun(in.ID, playbook.RunFailed, time.Second)
		if late := w.clock.Now(); late.Before(r.Deadline) || w.incident(in.ID).State != incident.StateReopened {
			t.Errorf("at %s the incident is %s", late, w.incident(in.ID).State)
		}
		w.hears(in.ID, "service/verification moved verifying→reopened", "sensors-ok fail", "Begin anew, with containment")
		w.device(press, func(m *machine) { m.sensor, m.latches = core.SensorOK, []string{"case_intrusion"} })
		_, err := w.engine.Start(t.Context(), ben, r.ID)
		w.must(err)
		w.answer(w.untilOrder(press, link.OrderQuarantine, time.Second), fleet.OrderDone, "contained")
		w.answer(w.untilOrder(press, link.OrderRelease, time.Second), fleet.OrderDone, "opened")
		w.untilRun(in.ID, playbook.RunDone, time.Second)
	})
}

// TestWhatCannotBeVerifiedStaysOpen: silence is neither a pass nor a failure.
func TestWhatCannotBeVerifiedStaysOpen(t *testing.T) {
	lite(t, func(w *world) {
		in := w.verifying(func(m *machine) { m.sensor = core.SensorUnknown })
		w.clock.Advance(time.Hour)
		r := w.untilRun(in.ID, playbook.RunFailed, time.Second)
		if got := w.incident(in.ID).State; got != incident.StateVerifying {
			t.Errorf("the incident is %s", got)
		}
		w.hears(in.ID, "sensors-ok incomplete", "see to what could not be checked")
		w.device(press, func(m *machine) { m.sensor = core.SensorOK })
		_, err := w.engine.Start(t.Context(), ben, r.ID)
		w.must(err)
		w.untilState(in.ID, incident.StateClosed)
	})
}

// TestTheLastWordIsVerifications: what passes just before the end closes, also
// where the last look is the deadline's.
func TestTheLastWordIsVerifications(t *testing.T) {
	lite(t, func(w *world) {
		in := w.verifying(func(m *machine) { m.sensor = core.SensorFault })
		w.device(press, func(m *machine) { m.sensor = core.SensorOK })
		w.clock.Advance(time.Hour)
		w.untilState(in.ID, incident.StateClosed)
	})
}

// TestADamagedLogClosesNothing (TRUST F14).
func TestADamagedLogClosesNothing(t *testing.T) {
	lite(t, func(w *world) {
		w.mode = audit.ModeStopOnly
		in := w.verifying(func(*machine) {})
		w.clock.Advance(time.Hour)
		w.untilRun(in.ID, playbook.RunFailed, time.Second)
		w.hears(in.ID, "audit-known fail")
	})
}

// TestADeviceThatIsSilentSinceItsReleaseIsNotVerified: what it said before does
// not tell what holds it now.
func TestADeviceThatIsSilentSinceItsReleaseIsNotVerified(t *testing.T) {
	lite(t, func(w *world) {
		in := w.verifying(func(m *machine) { m.silent, m.Known.LastSeen = true, start.Add(-time.Second) })
		w.clock.Advance(time.Hour)
		w.untilRun(in.ID, playbook.RunFailed, time.Second)
		w.hears(in.ID, "events-fresh incomplete")
	})
}
