package playbook_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
)

func TestSchema(t *testing.T) { storetest.SameSchema(t, schemas...) }

// lite runs body on SQLite alone, for tables of rows whose statements run on
// both engines elsewhere.
func lite(t *testing.T, body func(w *world)) {
	t.Helper()
	body(newWorld(t, storetest.Open(t, storetest.Config(t, "sqlite"), schemas...)))
}

// contained brings an incident about press-7 to the state eradicating, with its
// release waiting, and returns the release's request key.
func (w *world) contained() (incident.Incident, string) {
	w.t.Helper()
	in := w.take(alertOf(press, false))
	w.answer(w.untilOrder(press, link.OrderQuarantine, 0), fleet.OrderDone, "contained")
	return in, w.untilOrder(press, link.OrderRelease, 0)
}

// TestFromTheAlertToClosed walks the whole way with nobody but the device and
// its approvers at the edges.
func TestFromTheAlertToClosed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		in, release := w.contained()
		w.untilSays(in.ID, "interlock approve "+w.order(release).ID.String(), 0)
		if got := w.incident(in.ID).State; got != incident.StateEradicating {
			t.Errorf("while people decide, the incident is %s", got)
		}
		w.answer(release, fleet.OrderDone, "opened")
		w.untilState(in.ID, incident.StateClosed)
		r := w.untilRun(in.ID, playbook.RunDone, 0)
		if got := w.attempts(in.ID); !slices.Equal(got, []string{"1.0.1 done", "1.1.1 done", "1.2.1 done"}) || r.Round != 1 || r.Starter != "" {
			t.Errorf("attempts %v of round %d by %q", got, r.Round, r.Starter)
		}
		w.hears(in.ID, "starts by itself", "sha256 ", "new→triaged", "triaged→contained device press-7 answered: quarantine done",
			"recovering→verifying", "service/verification moved verifying→closed verification: audit-known pass")
		if w.made() != 2 {
			t.Errorf("%d orders for two actions", w.made())
		}
	})
}

// TestEveryStepOfTheTimelineNamesItsIntent: no move without a durable entry that
// permitted it.
func TestEveryStepOfTheTimelineNamesItsIntent(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		in, release := w.contained()
		w.answer(release, fleet.OrderDone, "opened")
		w.untilState(in.ID, incident.StateClosed)
		w.must(w.db.View(t.Context(), func(tx *store.Tx) error {
			steps, err := w.incidents.Timeline(t.Context(), tx, tenant, in.ID)
			for _, s := range steps {
				if s.Kind == incident.StepMoved && s.Intent == (core.Position{}) {
					t.Errorf("%s → %s by %s has no intent", s.From, s.To, s.By)
				}
			}
			return err
		}))
	})
}

// TestACrashAfterTheEffectMakesNoSecondOne: the process dies when the order is
// made and nothing is written of it here. The next process finds the job by its
// lease and asks for the same order.
func TestACrashAfterTheEffectMakesNoSecondOne(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		died := make(chan struct{}, 2)
		w.onCreated = func(fleet.OrderRequest) error {
			w.kill()
			died <- struct{}{}
			return core.E(core.KindUncertain, "fleet", "the process died")
		}
		end := w.live()
		in := w.take(alertOf(press, false))
		<-died
		end()
		for restart := range 2 { // the second crash strikes the release
			w.clock.Advance(2 * time.Minute) // the claim of the dead runs out
			w.build()
			end = w.live()
			if restart == 0 {
				w.answer(w.untilOrder(press, link.OrderQuarantine, time.Second), fleet.OrderDone, "contained")
				<-died
				end()
			}
		}
		w.answer(w.untilOrder(press, link.OrderRelease, time.Second), fleet.OrderDone, "opened")
		w.untilRun(in.ID, playbook.RunDone, time.Second)
		if w.made() != 2 {
			t.Errorf("two crashes made %d orders of two actions", w.made())
		}
		if got := w.attempts(in.ID); len(got) != 3 {
			t.Errorf("attempts %v", got)
		}
	})
}

// TestARestartKeepsThePinnedPlaybook: the plan changes on disk in the middle of
// a run; the run goes on with the bytes that it began with.
func TestARestartKeepsThePinnedPlaybook(t *testing.T) {
	lite(t, func(w *world) {
		end := w.live()
		in, release := w.contained()
		was := w.run(in.ID)
		end()
		w.books = map[string][]byte{}
		w.build()
		w.clock.Advance(2 * time.Minute)
		w.live()
		w.answer(release, fleet.OrderDone, "opened")
		r := w.untilRun(in.ID, playbook.RunDone, time.Second)
		if playbook.Digest(r.Book) != playbook.Digest(was.Book) || w.incident(in.ID).State != incident.StateClosed {
			t.Errorf("the run ended with other bytes, or elsewhere: %s", r.State)
		}
	})
}

func TestPinnedBytesThatNoLongerParseAskAPerson(t *testing.T) {
	lite(t, func(w *world) {
		end := w.live()
		in, release := w.contained()
		end()
		w.must(w.db.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE response_runs SET book = $1`, []byte("id: of another age\n"))
			return err
		}))
		w.live()
		w.answer(release, fleet.OrderDone, "opened")
		w.untilRun(in.ID, playbook.RunFailed, 0)
		w.hears(in.ID, "the playbook that the run pinned cannot be read")
	})
}

// TestTwoServersAreOneEngine: two engines on one database make one run, each
// order once.
func TestTwoServersAreOneEngine(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.live()
		w.build()
		w.live()
		in, release := w.contained()
		w.answer(release, fleet.OrderDone, "opened")
		w.untilRun(in.ID, playbook.RunDone, time.Millisecond)
		if w.made() != 2 {
			t.Errorf("%d orders", w.made())
		}
	})
}

func TestTwoDevicesAtOnce(t *testing.T) {
	lite(t, func(w *world) {
		other := core.MustID[core.DeviceID]("press-8")
		w.enrol(other, false)
		w.live()
		first, second := w.take(alertOf(press, false)), w.take(alertOf(other, false))
		for _, id := range []core.DeviceID{press, other} {
			w.answer(w.untilOrder(id, link.OrderQuarantine, 0), fleet.OrderDone, "contained")
		}
		w.answer(w.untilOrder(other, link.OrderRelease, 0), fleet.OrderDone, "opened")
		w.untilRun(second.ID, playbook.RunDone, 0)
		if r := w.run(first.ID); r.State != playbook.RunRunning || r.Step != 1 {
			t.Errorf("the first waits for its own release, and is %s at step %d", r.State, r.Step+1)
		}
		w.answer(w.untilOrder(press, link.OrderRelease, 0), fleet.OrderDone, "opened")
		w.untilRun(first.ID, playbook.RunDone, 0)
	})
}

// TestTheCapStopsAPlaybookThatIsUsedAsAWeapon: the eleventh device within the
// hour is left to people (TRUST F04, F17).
func TestTheCapStopsAPlaybookThatIsUsedAsAWeapon(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		var last incident.Incident
		for i := range 11 {
			id := core.MustID[core.DeviceID]("press-a" + string(rune('a'+i)))
			w.enrol(id, false)
			last = w.take(alertOf(id, false))
			if i < 10 {
				w.untilOrder(id, link.OrderQuarantine, 0)
			}
		}
		w.untilRun(last.ID, playbook.RunFailed, 0)
		w.hears(last.ID, "the cap on containment is reached", "Next: ")
	})
}

var errAway = core.E(core.KindUnavailable, "fleet", "the keys process does not answer")

// TestWhatIsRefusedAsksAPerson is the table of everything that ends a run, with
// the words that the timeline must hold.
func TestWhatIsRefusedAsksAPerson(t *testing.T) {
	refuse := func(kind core.Kind, why string) func(*world) {
		return func(w *world) {
			w.onCreate = func(fleet.OrderRequest) error { return core.E(kind, "fleet", why) }
		}
	}
	answer := func(to fleet.OrderState, detail string) func(*world) {
		return func(w *world) { w.answer(w.untilOrder(press, link.OrderQuarantine, 0), to, detail) }
	}
	const notEnforced = "this machine does not enforce quarantine"
	for name, row := range map[string]struct {
		before, after func(*world)
		want          playbook.RunState
		orders        int
		says          []string
	}{
		"the keys process refuses": {before: refuse(core.KindDenied, "no proof of the intent"), says: []string{"no proof of the intent"}},
		"the order is malformed":   {before: refuse(core.KindInvalid, "reason too long"), says: []string{"reason too long"}},
		"the log is damaged":       {before: refuse(core.KindDamaged, "a leaf is not its own"), says: []string{"a leaf is not its own"}},
		"the device is unknown":    {before: func(w *world) { delete(w.devices, press) }, says: []string{`there is no device "press-7"`}},
		"the device is retired, at every attempt": {
			before: refuse(core.KindConflict, "device press-7 is retired"), says: []string{"attempt 3 of 4 came to nothing and is made again: ", "device press-7 is retired. Next: "},
		},
		"a fault of ours, at every attempt": {
			before: func(w *world) { w.onCreate = func(fleet.OrderRequest) error { return errors.New("nil map") } }, says: []string{"attempt 3 of 4", "nil map"},
		},
		"the device can't": {
			after: answer(fleet.OrderFailed, notEnforced), orders: 1,
			says: []string{
				notEnforced, "this playbook did not contain device press-7", "interlock incidents move ", " contained --reason WHY", "interlock incidents start ",
			},
		},
		"a person withdraws the order": {after: answer(fleet.OrderWithdrawn, "by ben"), want: playbook.RunStopped, orders: 1, says: []string{"stops at step 1", "is withdrawn: by ben"}},
		"the device refuses each order": {
			after: func(w *world) {
				for range 4 {
					w.answer(w.untilOrder(press, link.OrderQuarantine, time.Second), fleet.OrderRefused, "counter")
				}
			}, orders: 4, says: []string{"attempt 1 of 4", "attempt 3 of 4", "is refused: counter. Next: "},
		},
		"nobody answers": {
			after: func(w *world) { w.untilOrder(press, link.OrderQuarantine, 0); w.clock.Advance(11 * time.Minute) }, orders: 1,
			says: []string{"did not come to an end within 10m0s"},
		},
		"a part is away for too long": {
			before: func(w *world) { w.onCreate = func(fleet.OrderRequest) error { return errAway } },
			after:  func(w *world) { w.clock.Advance(11 * time.Minute) }, says: []string{"did not come to an end within 10m0s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			lite(t, func(w *world) {
				if row.before != nil {
					row.before(w)
				}
				w.live()
				in := w.take(alertOf(press, false))
				w.until("a run", 0, func() bool {
					runs, err := w.engine.List(t.Context(), tenant, in.ID)
					return err == nil && len(runs) == 1
				})
				if row.after != nil {
					row.after(w)
				}
				want := row.want
				if want == "" {
					want = playbook.RunFailed
				}
				w.untilRun(in.ID, want, time.Second)
				w.hears(in.ID, append(row.says, "interlock incidents start "+w.run(in.ID).ID.String())...)
				if w.made() != row.orders {
					t.Errorf("%d orders, want %d", w.made(), row.orders)
				}
				if got := w.incident(in.ID).State; got != incident.StateTriaged && got != incident.StateNew {
					t.Errorf("the incident is %s", got)
				}
			})
		})
	}
}

// TestWhatIsAwayIsWaitedFor: an outage within the deadline costs time and
// nothing else, however many attempts it would have been.
func TestWhatIsAwayIsWaitedFor(t *testing.T) {
	lite(t, func(w *world) {
		w.onCreate = func(fleet.OrderRequest) error { return errAway }
		w.live()
		in := w.take(alertOf(press, false))
		w.until("the attempt says what it waits for", 20*time.Second, func() bool {
			runs, err := w.engine.List(t.Context(), tenant, in.ID)
			if err != nil || len(runs) != 1 {
				return false
			}
			_, list, err := w.engine.Get(t.Context(), tenant, runs[0].ID)
			return err == nil && len(list) == 1 && strings.Contains(list[0].Detail, "the keys process does not answer") && w.clock.Now().Sub(start) > 5*time.Minute
		})
		w.mu.Lock()
		w.onCreate = nil
		w.mu.Unlock()
		w.answer(w.untilOrder(press, link.OrderQuarantine, time.Second), fleet.OrderDone, "contained")
		w.untilOrder(press, link.OrderRelease, time.Second)
		if got := w.attempts(in.ID); !slices.Equal(got, []string{"1.0.1 done", "1.1.1 running"}) {
			t.Errorf("attempts %v", got)
		}
	})
}

// TestContainmentDoesNotWaitForTheLog: a log that takes vital entries alone
// (stop-only) takes the intent to contain; the incident moves when the device
// has answered, the release waits until the log is whole.
func TestContainmentDoesNotWaitForTheLog(t *testing.T) {
	lite(t, func(w *world) {
		w.logDown = core.E(core.KindUnavailable, "audit.Append", "the log is in stop-only mode")
		w.live()
		in := w.take(alertOf(press, false))
		key := w.untilOrder(press, link.OrderQuarantine, 0)
		if got := w.incident(in.ID).State; got != incident.StateNew {
			t.Errorf("the incident moved to %s without a record", got)
		}
		w.answer(key, fleet.OrderDone, "contained")
		w.untilState(in.ID, incident.StateContained)
		if _, asked := w.find(press, link.OrderRelease); asked {
			t.Error("a release was asked for without a record")
		}
		w.mu.Lock()
		w.logDown = nil
		w.mu.Unlock()
		w.answer(w.untilOrder(press, link.OrderRelease, time.Second), fleet.OrderDone, "opened")
		w.untilRun(in.ID, playbook.RunDone, time.Second)
	})
}

// TestALateAnswerIsTold: the device comes back after the step had ended. The
// incident's people must learn that it is contained after all.
func TestALateAnswerIsTold(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		in := w.take(alertOf(press, false))
		key := w.untilOrder(press, link.OrderQuarantine, 0)
		w.clock.Advance(11 * time.Minute)
		w.untilRun(in.ID, playbook.RunFailed, time.Second)
		w.answer(key, fleet.OrderDone, "contained at last")
		w.untilSays(in.ID, "quarantine of device press-7 is done, after the run had ended step 1: contained at last", 0)
		if w.run(in.ID).State != playbook.RunFailed {
			t.Error("the run came back to life by itself")
		}
	})
}

// TestAReleaseThatWasOvertakenIsAskedForAgain, under a new key, because the
// persons signed another order.
func TestAReleaseThatWasOvertakenIsAskedForAgain(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		in, release := w.contained()
		w.answer(release, fleet.OrderSuperseded, "the device began a new epoch")
		second := w.untilOrder(press, link.OrderRelease, time.Second)
		if second == release {
			t.Fatal("the same order again")
		}
		w.answer(second, fleet.OrderDone, "opened")
		w.untilRun(in.ID, playbook.RunDone, time.Second)
		w.hears(in.ID, "step 2 (release) of playbook tamper-quarantine: attempt 1 of 11 came to nothing")
	})
}

// TestTheReleaseWaitsForTheDevicesWord: the device tells of the latch that the
// quarantine made only after it answered the order. A release made before would
// miss it.
func TestTheReleaseWaitsForTheDevicesWord(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		in := w.take(alertOf(press, false))
		w.device(press, func(m *machine) { m.mute = true })
		w.answer(w.untilOrder(press, link.OrderQuarantine, 0), fleet.OrderDone, "contained")
		w.untilState(in.ID, incident.StateEradicating)
		w.until("the step waits", time.Second, func() bool {
			_, list, err := w.engine.Get(t.Context(), tenant, w.run(in.ID).ID)
			return err == nil && strings.Contains(list[len(list)-1].Detail, "has not told yet which latches hold it")
		})
		if _, early := w.find(press, link.OrderRelease); early {
			t.Error("a release was asked for that misses a latch")
		}
		w.device(press, func(m *machine) { m.latches = append(m.latches, "quarantine_ordered") })
		w.untilOrder(press, link.OrderRelease, time.Second)
	})
}

// TestASilentDeviceDoesNotKeepTheReleaseForEver: after a minute the release is
// asked for with what is known.
func TestASilentDeviceDoesNotKeepTheReleaseForEver(t *testing.T) {
	lite(t, func(w *world) {
		w.live()
		w.device(press, func(m *machine) { m.mute = true })
		in := w.take(alertOf(press, false))
		w.answer(w.untilOrder(press, link.OrderQuarantine, 0), fleet.OrderDone, "contained")
		w.untilState(in.ID, incident.StateEradicating)
		began := w.clock.Now()
		w.untilOrder(press, link.OrderRelease, 5*time.Second)
		if waited := w.clock.Now().Sub(began); waited < time.Minute {
			t.Errorf("it waited %s", waited)
		}
	})
}
