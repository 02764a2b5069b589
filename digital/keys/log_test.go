package keys_test

import (
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/link"
)

// While the log is damaged its intents stand in the next one of the line, and
// containment goes on; trust roots that keep the damaged log wait. The root that
// names the successor ends that, and what stands before it counts no more.
func TestKeysFollowsTheLog(t *testing.T) {
	s := newSite(t)
	if _, _, err := s.sign("press-7"); err != nil {
		t.Fatal(err)
	}
	first := s.log
	s.log = logAt(t, "a", origin+"/g2")
	r, _, err := s.sign("press-8") // entry 0, as the one before
	if err != nil {
		t.Fatalf("in stop-only mode: %v", err)
	}
	r.Payload = s.payload(s.order(link.OrderQuarantine, "press-8", playbook))
	_, err = s.client.SignOrder(t.Context(), r)
	wantKind(t, "the same intent again", err, core.KindReplayed)

	s.root.Version = 2
	if err := s.client.AdoptRoot(t.Context(), s.signRoot(), s.log.append(s.rootLeaf())); err == nil {
		t.Error("a root that keeps the damaged log was taken by the next one's word")
	}
	s.log = logAt(t, "a", origin+"/g3")
	s.root.LogKey, s.root.LogOrigin = s.log.vkey, origin+"/g3"
	if err := s.client.AdoptRoot(t.Context(), s.signRoot(), s.log.append(s.rootLeaf())); err != nil {
		t.Fatalf("the root that names the successor: %v", err)
	}
	s.restart()
	if _, _, err := s.sign("press-9"); err != nil {
		t.Errorf("in the successor: %v", err)
	}
	for name, log := range map[string]*auditLog{
		"the first log": first, "the log beside it": logAt(t, "a", origin+"/g2"), "another line": logAt(t, "a", "interlock.example/other/g4"),
		"another key": logAt(t, "b", origin+"/g3"),
	} {
		s.log = log
		if _, _, err := s.sign("press-7"); err == nil {
			t.Errorf("an intent in %s was taken", name)
		}
	}
}

// rootLeaf is the log's entry of the root as it stands.
func (s *site) rootLeaf() []byte {
	s.t.Helper()
	payload, err := link.EncodeRoot(&s.root)
	if err != nil {
		s.t.Fatal(err)
	}
	return []byte(`{"v":1,"type":"authority","object":"` + link.RootObject(keys.ParamsOf(payload)) + `"}`)
}
