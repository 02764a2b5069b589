package app

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// person is an owner with an everyday and a recovery key.
type person struct{ day, off link.Signer }

func newSigner(t *testing.T) link.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := link.NewCryptoSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newPerson(t *testing.T) person { return person{newSigner(t), newSigner(t)} }

// rootOf is a trust root whose one person is p.
func rootOf(t *testing.T, version uint64, p person) *link.Trust {
	t.Helper()
	pub := func(s link.Signer) string { return link.AuthorizedKey(s.PublicKey()) }
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := note.NewEd25519VerifierKey("x/serve/main", public)
	if err != nil {
		t.Fatal(err)
	}
	owner := core.MustID[core.PersonID]("owner")
	r := &link.Root{
		V: 1, Installation: "x", Tenant: core.MustID[core.TenantID]("main"), Version: version, Mode: link.ModeSingleOperator,
		Issued: 1, ReviewBy: time.Now().AddDate(1, 0, 0).UnixMicro(), CommandKey: pub(newSigner(t)), StopKey: pub(newSigner(t)),
		LogKey: vkey, LogOrigin: "x/serve/main", CAPins: []string{strings.Repeat("ab", 32)}, Servers: []string{"a:1"},
		ReleaseDelay: 600, RecoveryDelay: 3600,
		Persons: []link.Person{{ID: owner, Name: "Owner", Keys: []string{pub(p.day), pub(p.off)}}},
	}
	for _, name := range link.PersonRoles {
		role := link.Role{Name: name, Threshold: 1, Members: []core.PersonID{owner}}
		if name == link.RoleRoot {
			role.KeyIDs = []string{link.KeyID(p.off.PublicKey())}
		}
		r.Roles = append(r.Roles, role)
	}
	payload, err := link.EncodeRoot(r)
	if err != nil {
		t.Fatal(err)
	}
	sum := link.BatchHash(payload)
	trust, err := link.NewTrust(sealed(t, payload, p.off), hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func sealed(t *testing.T, payload []byte, by ...link.Signer) []byte {
	t.Helper()
	env, err := link.SealEnvelope(link.NamespaceRoot, payload, by...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A succession that was signed once stays signed when the root's people change;
// one that is handed in is judged by the root in force alone.
func TestWhoMaySucceed(t *testing.T) {
	anna, ben := newPerson(t), newPerson(t)
	first, second := rootOf(t, 1, anna), rootOf(t, 2, ben)
	statement, err := json.Marshal(audit.Statement{V: 1, Origin: "x/serve/main/g3", Reason: "damaged", Predecessors: []audit.Predecessor{}})
	if err != nil {
		t.Fatal(err)
	}
	opening := &successions{past: []*link.Trust{first, second}}
	running := &successions{past: opening.past, inForce: func() (*link.Trust, error) { return second, nil }}
	away := &successions{past: opening.past, inForce: func() (*link.Trust, error) {
		return nil, core.E(core.KindUnavailable, "test", "the database is away")
	}}
	for name, row := range map[string]struct {
		by               link.Signer
		opening, running bool
	}{
		"the root role in force":  {ben.off, true, true},
		"the root role of before": {anna.off, true, false},
		"an everyday key":         {ben.day, false, false},
		"somebody":                {newSigner(t), false, false},
	} {
		signatures := sealed(t, statement, row.by)
		if err := opening.verify(statement, signatures); row.opening != (err == nil) {
			t.Errorf("at a start, %s: %v", name, err)
		}
		if err := running.verify(statement, signatures); row.running != (err == nil) {
			t.Errorf("handed in, %s: %v", name, err)
		}
		if err := away.verify(statement, signatures); core.KindOf(err) != core.KindUnavailable {
			t.Errorf("without a trust root, %s: %v", name, err)
		}
		if err := new(successions).verify(statement, signatures); core.KindOf(err) != core.KindDenied {
			t.Errorf("before the ceremony, %s: %v", name, err)
		}
	}
}

// What the recovery keys sign is a trust root or a statement, never both.
func TestATrustRootIsNoStatement(t *testing.T) {
	anna := newPerson(t)
	trust := rootOf(t, 1, anna)
	env, err := link.ParseEnvelope(trust.Envelope())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := audit.ParseStatement(env.Payload); err == nil {
		t.Errorf("a trust root parses as %+v", s)
	}
	statement, err := json.Marshal(audit.Statement{V: 1, Origin: "x/g2", Predecessors: []audit.Predecessor{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.ParseStatement(statement); err != nil {
		t.Errorf("a statement does not parse: %v", err)
	}
	if r, err := link.DecodeRoot(statement); err == nil {
		t.Errorf("a statement decodes as %+v", r)
	}
}

// Entries that end an emergency are taken while the log is stop-only; nothing
// that loosens a device is.
func TestWhatIsRecordedWhileTheLogIsDamaged(t *testing.T) {
	for action, want := range map[core.Action]audit.Vital{
		"device.stop": audit.VitalStop, "device.quarantine": audit.VitalContain, "audit.succeed": audit.VitalRepair,
		"audit.read": audit.VitalRepair, "audit.export": audit.VitalRepair,
		"keys.issue-server": audit.VitalRepair, "identity.renew": audit.VitalRepair, "session.create": audit.VitalRepair,
		"device.release": "", "order.approve": "", "root.update": "", "token.create": "", "event.read": "", "no.such": "",
	} {
		if got := vital(action); got != want {
			t.Errorf("%s is %q, want %q", action, got, want)
		}
	}
}
