package playbook_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
)

// TestWeakEvidenceOnlyProposes is the table of TRUST F17 and F25: what starts by
// itself, and what waits for a person.
func TestWeakEvidenceOnlyProposes(t *testing.T) {
	for name, row := range map[string]struct {
		alert     func(*incident.Alert)
		simulated bool // the device
		alone     bool
		says      string
	}{
		"signed by the device itself": {alert: func(*incident.Alert) {}, alone: true},
		"an unauthenticated packet that names the device": {
			alert: func(a *incident.Alert) { a.Provenance = core.ProvenanceUnauthenticated }, says: "the evidence is unauthenticated",
		},
		"a log line of this machine": {alert: func(a *incident.Alert) { a.Provenance = core.ProvenanceLocal }, says: "starts by itself on [device-signed] only"},
		"no device that proved who it is": {
			alert: func(a *incident.Alert) { a.Device, a.Source = core.DeviceID{}, "syslog/10.0.0.9" }, says: "names no device that proved who it is",
		},
		"simulated, about a real device":     {alert: func(a *incident.Alert) { a.Simulated = true }, says: "the evidence is simulated and device press-7 is not a simulation"},
		"simulated, about a simulated one":   {alert: func(a *incident.Alert) { a.Simulated = true }, simulated: true, alone: true},
		"real, about a simulated one":        {alert: func(*incident.Alert) {}, simulated: true, alone: true},
		"simulated, about an unknown device": {alert: func(a *incident.Alert) { a.Simulated, a.Device = true, core.MustID[core.DeviceID]("ghost") }, says: "device ghost is not a simulation"},
	} {
		t.Run(name, func(t *testing.T) {
			lite(t, func(w *world) {
				w.device(press, func(m *machine) { m.simulated = row.simulated })
				a := alertOf(press, false)
				row.alert(&a)
				w.live()
				in := w.take(a)
				if row.alone {
					w.untilOrder(press, link.OrderQuarantine, 0)
					return
				}
				w.untilRun(in.ID, playbook.RunProposed, 0)
				w.hears(in.ID, "waits for a person: ", row.says, "interlock incidents start ")
				if w.made() != 0 {
					t.Error("an order was made")
				}
			})
		})
	}
}

// TestOtherRulesStartNothing: a playbook answers to the rules that it names.
func TestOtherRulesStartNothing(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		a := alertOf(press, false)
		a.Rule = "credential-stuffing"
		other := w.take(a)
		in := w.take(alertOf(press, false)) // comes after it on the topic
		w.untilOrder(press, link.OrderQuarantine, 0)
		if runs, err := w.engine.List(t.Context(), tenant, other.ID); err != nil || len(runs) != 0 {
			t.Errorf("%v, %v", runs, err)
		}
		w.run(in.ID)
	})
}

// TestADrillIsNoCloak: a simulated alert comes first and its run waits; when a
// real one joins the incident, the run starts by itself.
func TestADrillIsNoCloak(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		in := w.take(alertOf(press, true))
		w.untilRun(in.ID, playbook.RunProposed, 0)
		again := alertOf(press, true)
		again.ID = core.NewUUID(start.Add(time.Second))
		w.take(again)
		first := alertOf(press, false)
		first.ID = core.NewUUID(start.Add(2 * time.Second))
		if w.take(first).ID != in.ID {
			t.Fatal("the real alert opened an incident of its own")
		}
		w.untilOrder(press, link.OrderQuarantine, 0)
		w.hears(in.ID, "starts by itself")
		if n := strings.Count(w.said(in.ID), "waits for a person"); n != 1 {
			t.Errorf("it was proposed %d times", n)
		}
	})
}

// TestAPersonStartsWhatWasProposed, with the right to, and once.
func TestAPersonStartsWhatWasProposed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		in := w.take(alertOf(press, true))
		id := w.untilRun(in.ID, playbook.RunProposed, 0).ID
		elsewhere := ben
		elsewhere.Sites = []core.SiteID{core.MustID[core.SiteID]("hall-2")}
		foreign := ben
		foreign.Tenant = core.MustID[core.TenantID]("other")
		for who, row := range map[string]struct {
			who  core.Principal
			kind core.Kind
		}{
			"a viewer":         {viewer, core.KindDenied},
			"of another site":  {elsewhere, core.KindDenied},
			"another tenant":   {foreign, core.KindNotFound},
			"a service":        {core.Principal{Kind: core.KindService, ID: "playbook", Tenant: tenant}, core.KindDenied},
			"nobody in person": {core.Principal{Kind: core.KindPerson, Tenant: tenant, Sites: []core.SiteID{site}}, core.KindDenied},
		} {
			if _, err := w.engine.Start(t.Context(), row.who, id); core.KindOf(err) != row.kind {
				t.Errorf("%s: %v", who, err)
			}
		}
		if _, err := w.engine.Start(t.Context(), ben, core.NewUUID(start)); core.KindOf(err) != core.KindNotFound {
			t.Errorf("a run that there is not: %v", err)
		}
		var started, refused int
		var mu sync.Mutex
		var both sync.WaitGroup
		for _, who := range []core.Principal{anna, ben} {
			both.Go(func() {
				_, err := w.engine.Start(t.Context(), who, id)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					started++
				case core.KindOf(err) == core.KindConflict:
					refused++
				}
			})
		}
		both.Wait()
		if started != 1 || refused != 1 {
			t.Errorf("two persons at once: %d started it, %d were told that it runs", started, refused)
		}
		w.answer(w.untilOrder(press, link.OrderQuarantine, 0), fleet.OrderDone, "contained")
		w.answer(w.untilOrder(press, link.OrderRelease, 0), fleet.OrderDone, "opened")
		// A simulated incident about a real device is not closed by simulated
		// sensors, but this one's are real.
		w.untilRun(in.ID, playbook.RunDone, 0)
		if r := w.run(in.ID); r.Round != 2 || !strings.HasPrefix(r.Starter, "person/") {
			t.Errorf("round %d by %q", r.Round, r.Starter)
		}
	})
}

func TestARunIsStartedOnlyWhereThereIsSomethingToDo(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		a := alertOf(press, false)
		a.Device, a.Source = core.DeviceID{}, "syslog/10.0.0.9"
		faceless := w.take(a)
		id := w.untilRun(faceless.ID, playbook.RunProposed, 0).ID
		if _, err := w.engine.Start(t.Context(), ben, id); core.KindOf(err) != core.KindConflict || !strings.Contains(err.Error(), "names no device") {
			t.Errorf("without a device: %v", err)
		}
		in := w.take(alertOf(press, true))
		id = w.untilRun(in.ID, playbook.RunProposed, 0).ID
		w.must(w.move(in.ID, anna, incident.StateFalsePositive, "a cleaner"))
		if _, err := w.engine.Start(t.Context(), ben, id); core.KindOf(err) != core.KindConflict || !strings.Contains(err.Error(), "is false-positive") {
			t.Errorf("of an incident that is over: %v", err)
		}
	})
}

// TestThePlaybookGivesWayToPeople: whatever a person does to the incident, the
// run never moves it against them, and says that it stops.
func TestThePlaybookGivesWayToPeople(t *testing.T) {
	t.Run("dismissed while the device is being contained", func(t *testing.T) {
		lite(t, func(w *world) {
			w.live()
			in := w.take(alertOf(press, false))
			key := w.untilOrder(press, link.OrderQuarantine, 0)
			w.must(w.move(in.ID, anna, incident.StateFalsePositive, "a cleaner"))
			w.answer(key, fleet.OrderDone, "contained")
			w.untilRun(in.ID, playbook.RunStopped, 0)
			w.hears(in.ID, "quarantine of device press-7 is done, and the incident is false-positive", "it is so until persons release it")
			if _, asked := w.find(press, link.OrderRelease); asked || w.incident(in.ID).State != incident.StateFalsePositive {
				t.Error("the run went on")
			}
		})
	})
	t.Run("merged before the order is made", func(t *testing.T) {
		lite(t, func(w *world) {
			w.enrol(core.MustID[core.DeviceID]("press-8"), false)
			w.onCreate = func(fleet.OrderRequest) error { return errAway }
			w.live()
			into, in := w.take(alertOf(core.MustID[core.DeviceID]("press-8"), false)), w.take(alertOf(press, false))
			w.untilState(in.ID, incident.StateTriaged)
			w.must(w.move(in.ID, anna, incident.StateMerged, "the same burglar", into.ID))
			w.untilRun(in.ID, playbook.RunStopped, time.Second)
			w.hears(in.ID, "stops at step 1: the incident is merged")
		})
	})
	t.Run("taken back while its release is awaited", func(t *testing.T) {
		lite(t, func(w *world) {
			w.live()
			in, release := w.contained()
			w.must(w.move(in.ID, ben, incident.StateContained, "look again"))
			w.answer(release, fleet.OrderDone, "opened")
			w.untilRun(in.ID, playbook.RunStopped, 0)
			w.hears(in.ID, "release of device press-7 is done, and a person took the incident back to contained")
			if got := w.incident(in.ID).State; got != incident.StateContained {
				t.Errorf("the incident is %s", got)
			}
			// With the person's word the run goes on where the incident stands.
			w.device(press, func(m *machine) { m.latches = []string{"quarantine_ordered"} })
			_, err := w.engine.Start(t.Context(), ben, w.run(in.ID).ID)
			w.must(err)
			w.answer(w.untilOrder(press, link.OrderRelease, 0), fleet.OrderDone, "opened")
			w.untilRun(in.ID, playbook.RunDone, 0)
		})
	})
	t.Run("taken back while it is verified", func(t *testing.T) {
		lite(t, func(w *world) {
			w.device(press, func(m *machine) { m.sensor = core.SensorFault })
			w.live()
			in, release := w.contained()
			w.answer(release, fleet.OrderDone, "opened")
			w.untilState(in.ID, incident.StateVerifying)
			w.must(w.move(in.ID, ben, incident.StateRecovering, "the sensor is being replaced"))
			w.untilRun(in.ID, playbook.RunStopped, time.Second)
			w.device(press, func(m *machine) { m.sensor = core.SensorOK })
			_, err := w.engine.Start(t.Context(), ben, w.run(in.ID).ID)
			w.must(err)
			w.untilRun(in.ID, playbook.RunDone, 0)
		})
	})
	t.Run("ahead of the playbook", func(t *testing.T) {
		lite(t, func(w *world) {
			w.live()
			in := w.take(alertOf(press, false))
			key := w.untilOrder(press, link.OrderQuarantine, 0)
			w.must(w.move(in.ID, ben, incident.StateContained, "I pulled the cable"))
			w.must(w.move(in.ID, ben, incident.StateEradicating, "and am looking at it"))
			w.answer(key, fleet.OrderDone, "contained")
			w.answer(w.untilOrder(press, link.OrderRelease, 0), fleet.OrderDone, "opened")
			w.untilRun(in.ID, playbook.RunDone, 0)
		})
	})
}

// TestByHandAndOn is the way out of "not enforced": the person cuts the device
// off, says so, and the run goes on behind the step that failed.
func TestByHandAndOn(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		in := w.take(alertOf(press, false))
		w.answer(w.untilOrder(press, link.OrderQuarantine, 0), fleet.OrderFailed, "not enforced")
		r := w.untilRun(in.ID, playbook.RunFailed, 0)
		w.must(w.move(in.ID, ben, incident.StateContained, "switch port 7 is shut"))
		w.device(press, func(m *machine) { m.latches = append(m.latches, "quarantine_ordered") }) // it latched all the same
		_, err := w.engine.Start(t.Context(), ben, r.ID)
		w.must(err)
		w.answer(w.untilOrder(press, link.OrderRelease, 0), fleet.OrderDone, "opened")
		w.untilRun(in.ID, playbook.RunDone, 0)
		w.hears(in.ID, "started by person/ben at step 2 (release), round 2")
		if w.made() != 2 {
			t.Errorf("%d orders: the device was contained twice", w.made())
		}
	})
}

// TestAnIncidentThatWasReopenedIsClosedByAnotherRound.
func TestAnIncidentThatWasReopenedIsClosedByAnotherRound(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		in, release := w.contained()
		w.answer(release, fleet.OrderDone, "opened")
		r := w.untilRun(in.ID, playbook.RunDone, 0)
		w.must(w.move(in.ID, ben, incident.StateReopened, "the lid is open again"))
		_, err := w.engine.Start(t.Context(), ben, r.ID)
		w.must(err)
		w.answer(w.untilOrder(press, link.OrderQuarantine, 0), fleet.OrderDone, "contained")
		w.answer(w.untilOrder(press, link.OrderRelease, 0), fleet.OrderDone, "opened")
		w.untilState(in.ID, incident.StateClosed)
		if w.made() != 4 {
			t.Errorf("%d orders", w.made())
		}
	})
}
