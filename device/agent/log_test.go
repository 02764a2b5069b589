package agent_test

import (
	"encoding/hex"
	"testing"

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
