package agent_test

import (
	"encoding/hex"
	"testing"

	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/link"
)

// A server whose log is damaged goes on in the next one. The device goes on
// reporting, and says what it sees; the log that persons name is no alarm, and
// there is no way back to one before it (F14).
func TestTheDeviceFollowsADamagedLogAndTellsOfIt(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	first := s.site.Root.LogOrigin
	s.site.BeginLog(first + "/g2")
	latch := m.opened()
	s.event("quarantine_on", latch)
	s.event("log_diverted", `"log":"`+first+`/g2"`)

	kept := *s.site.Root
	kept.Version++
	keep := s.rootOf(&kept)
	s.send("root", keep, s.site.RootProof(hashOf(t, keep)))
	s.event("root_refused")

	next := *s.site.Root
	next.Version++
	next.LogOrigin = first + "/g3"
	next.LogKey = s.site.BeginLog(next.LogOrigin)
	named := s.rootOf(&next)
	s.send("root", named, s.site.RootProof(hashOf(t, named)))
	s.event("root_updated")
	s.event("log_succeeded", `"log":"`+first+`/g3"`)
	two, env := s.approved(link.OrderRelease, link.ReleaseParams{}, func(o *link.Order) { o.RootVersion = 2; latches(latch)(o) }, "anna", "ben")
	s.send("order", env, nil)
	s.resultOf(two.ID, link.OutcomeDone)

	s.site.BeginLog(first + "/g4")
	s.event("quarantine_off")
	m.opened()
	s.event("log_diverted", `"log":"`+first+`/g4"`)
	s.site.BeginLog(first + "/g3")
	m.stop()
	m.start()
	s.event("log_went_back", `"log":"`+first+`/g3"`)
	checkChains(t, s)
}

// Stops, containment and reports go on; what loosens waits, unless somebody
// brings it to the machine (F14, F27).
func TestADeviceThatDoubtsTheLogLoosensNothing(t *testing.T) {
	for _, forked := range []bool{false, true} {
		s := newServer(t, link.ModeQuorum)
		m := newMachine(t, s).start()
		s.event("agent_started")
		first := s.site.Root.LogOrigin
		m.opened()
		s.event("quarantine_on")
		if forked {
			s.site.BeginLog(first) // the same log, empty: an older copy of it, or another
		} else {
			s.site.BeginLog(first + "/g2")
		}
		m.sense(`{"do":"pulse","point":"mesh","type":"mesh_cut","alarm":true,"severity":"critical"}`)
		latch := s.event("mesh_cut").Latch
		why := "which no trust root names"
		if forked {
			why = "two histories"
			s.event("log_went_back")
		} else {
			s.event("log_diverted")
		}
		one, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna", "ben")
		s.send("order", env, nil)
		s.resultOf(one.ID, link.OutcomeRefused)
		s.event("order_refused", why)
		stop, env2 := s.order(link.OrderStop, link.StopParams{}, nil, link.NamespaceOrder, "stop")
		s.send("order", env2, nil)
		s.resultOf(stop.ID, link.OutcomeDone)
		m.stop()
		m.start() // a restart forgets no doubt
		again, env3 := s.approved(link.OrderReset, link.ResetParams{}, nil, "anna", "ben")
		s.send("order", env3, nil)
		s.resultOf(again.ID, link.OutcomeRefused)
		m.bring("/v1/order", env) // by hand
		s.resultOf(one.ID, link.OutcomeDone)

		next := *s.site.Root
		next.Version++
		next.LogOrigin = first + "/g3"
		next.LogKey = s.site.BeginLog(next.LogOrigin)
		named := s.rootOf(&next)
		s.send("root", named, s.site.RootProof(hashOf(t, named)))
		s.event("root_updated")
		reset, env4 := s.approved(link.OrderReset, link.ResetParams{}, func(o *link.Order) { o.RootVersion = 2 }, "anna", "ben")
		s.send("order", env4, nil)
		s.resultOf(reset.ID, link.OutcomeDone)
	}
}

// Persons found a whole copy of the damaged log and put it back.
func TestTheWayBackIsToTheNamedLogFromWhereItWasLeft(t *testing.T) {
	s := newServer(t, link.ModeQuorum)
	m := newMachine(t, s).start()
	s.event("agent_started")
	latch := m.opened()
	s.event("quarantine_on")
	m.settled()
	first := s.site.Root.LogOrigin
	back := s.site.LeaveLog(first + "/g2")
	m.sense(`{"do":"pulse","point":"mesh","type":"mesh_cut","alarm":true,"severity":"critical"}`)
	s.event("log_diverted")
	m.settled()
	back()
	m.sense(`{"do":"pulse","point":"door","type":"door_open","alarm":true,"severity":"critical"}`)
	s.event("log_returned")
	o, env := s.approved(link.OrderRelease, link.ReleaseParams{}, latches(latch), "anna", "ben")
	s.send("order", env, nil)
	s.resultOf(o.ID, link.OutcomeDone)
}

// settled waits until the server has all that the device has to say.
func (m *machine) settled() {
	m.t.Helper()
	m.s.await("everything is sent", func() bool {
		st, err := agent.Ask(m.t.Context(), m.cfg.SocketPath())
		return err == nil && st.Spool.Waiting == 0
	})
}

// rootOf is a trust root signed by every key that may sign it.
func (s *server) rootOf(r *link.Root) []byte {
	s.t.Helper()
	payload, err := link.EncodeRoot(r)
	s.must(err)
	env, err := s.site.Seal(link.NamespaceRoot, payload, "anna/recovery", "anna", "ben/recovery", "ben").Encode()
	s.must(err)
	return env
}

func hashOf(t *testing.T, envelope []byte) string {
	t.Helper()
	env, err := link.ParseEnvelope(envelope)
	if err != nil {
		t.Fatal(err)
	}
	sum := link.BatchHash(env.Payload)
	return hex.EncodeToString(sum[:])
}
