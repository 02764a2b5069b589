package keys_test

import (
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/link"
)

// TestIntentsOfTheRealLog: what the audit log writes and proves is what keys
// reads, for programs by name and for persons under their pseudonym.
func TestIntentsOfTheRealLog(t *testing.T) {
	s := bareSite(t)
	host, err := crypt.OpenHost(filepath.Join(t.TempDir(), "host"))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := host.Derive("audit log key", 32)
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(t.Context(), audit.Config{Dir: filepath.Join(t.TempDir(), "audit"), Origin: origin, Seed: seed, Sealer: host, Clock: s.clock, SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	if s.log.vkey, err = audit.VerifierKey(origin, seed); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.ceremony()
	anna := core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: acme, Roles: []string{core.RoleSecurityOfficer, core.RoleOperator}, Sites: sites}
	for _, row := range []struct {
		who     core.Principal
		outcome string
		good    bool
	}{
		{playbook, "permitted", true},
		{anna, "permitted", true},
		{playbook, "refused", false},
		{anna, "refused", false},
	} {
		r := keys.SignOrder{Payload: s.payload(s.order(link.OrderQuarantine, "press-7", row.who))}
		r.Warrant = s.warrant(row.who, "device.quarantine", "device/press-7")
		res, err := log.Append(t.Context(), audit.Entry{
			Type: audit.TypeIntent, Actor: row.who.String(), Action: "device.quarantine", Object: "device/press-7",
			Outcome: row.outcome, Class: audit.ClassSecurity, Body: map[string]string{"reason": "case opened"},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.Warrant.Leaf = res.Leaf
		if r.Warrant.Proof, err = log.Proof(t.Context(), res.Position); err != nil {
			t.Fatal(err)
		}
		_, err = s.client.SignOrder(t.Context(), r)
		if (err == nil) != row.good {
			t.Errorf("%s, %s: %v", row.who, row.outcome, err)
		}
	}
}
