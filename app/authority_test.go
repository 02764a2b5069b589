package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/policy"
)

// stamp is a keys process that issues whatever is asked for.
type stamp struct{}

func (stamp) SignOrder(context.Context, fleet.Warrant, []byte) (link.Signature, error) {
	return link.Signature{}, core.E(core.KindUnavailable, "test", "no")
}

func (stamp) IssueManagement(context.Context, fleet.Warrant, core.TenantID, core.DeviceID, []byte) ([]byte, error) {
	return []byte("chain"), nil
}

func (stamp) IssueWorkload(context.Context, fleet.Warrant, core.TenantID, core.DeviceID, core.ServiceID, []byte) ([]byte, error) {
	return nil, core.E(core.KindUnavailable, "test", "no")
}

// house is a registry with a real log, outbox and Guard.
type house struct {
	t         *testing.T
	db        *store.DB
	clock     *clocktest.Clock
	log       *audit.Log
	outbox    *audit.Outbox
	enrolment *fleet.Enrolment
	authority *fleet.Authority
}

var (
	mainTenant = core.MustID[core.TenantID]("main")
	mainSite   = core.MustID[core.SiteID]("main")
	keeper     = core.Principal{Kind: core.KindPerson, ID: "owner", Tenant: mainTenant, Roles: Roles, Sites: []core.SiteID{mainSite}}
)

func newHouse(t *testing.T, db *store.DB) *house {
	t.Helper()
	dir := t.TempDir()
	ring, err := crypt.OpenHost(dir + "/host")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: db, clock: clocktest.New(time.Now())}
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	h.log, err = audit.Open(t.Context(), audit.Config{Dir: dir + "/audit", Origin: "x/serve/main", Seed: core.NewSecret(seed), Sealer: ring, Clock: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.log.Close() })
	h.outbox = audit.NewOutbox(db, h.log)
	guard := policy.NewGuard(policy.Default(), recorder{log: h.log}, h.clock)
	reg := fleet.NewRegistry(db, audit.Put, h.clock)
	roots := fleet.NewRoots(reg, h.log, guard)
	h.authority = fleet.NewAuthority(reg, roots, h.log, mainTenant, slog.New(slog.DiscardHandler))
	h.enrolment = fleet.NewEnrolment(reg, guard, h.log, stamp{}, roots)
	trust := rootOf(t, 1, newPerson(t))
	if err := roots.Install(t.Context(), trust.Envelope(), trust.Hash()); err != nil {
		t.Fatal(err)
	}
	h.compare()
	return h
}

// compare moves what waits into the log and holds the registry against it.
func (h *house) compare() []string {
	h.t.Helper()
	for {
		n, err := h.outbox.Drain(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if err := h.authority.Compare(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(h.authority.Doubts()))
}

// enrol brings a device in by a token that names its key and returns the token.
func (h *house) enrol(name string) fleet.Token {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		h.t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	tok, err := h.enrolment.CreateToken(h.t.Context(), keeper, fleet.TokenRequest{
		Tenant: mainTenant, Site: mainSite, Device: core.MustID[core.DeviceID](name), Fact: hex.EncodeToString(sum[:]), TTL: time.Hour,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		h.t.Fatal(err)
	}
	req := fleet.EnrolRequest{V: 1, Token: string(tok.Bearer().Reveal()), PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))}
	if _, _, err := h.enrolment.Enrol(h.t.Context(), req); err != nil {
		h.t.Fatal(err)
	}
	return tok
}

func (h *house) sql(statement string, args ...any) {
	h.t.Helper()
	err := h.db.Tx(h.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(h.t.Context(), statement, args...)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// TestTheRegistryIsHeldAgainstTheLog: what the fleet writes of devices, tokens
// and roots comes back from the real log as it was, names and permits too, and
// what is written past it does not.
func TestTheRegistryIsHeldAgainstTheLog(t *testing.T) {
	storetest.Each(t, []store.Migrations{audit.Migrations(), fleet.Migrations()}, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		h.enrol("press-7")
		tok := h.enrol("press-8")
		if got := h.compare(); len(got) != 0 {
			t.Fatalf("in doubt without a reason: %v", h.authority.Doubts())
		}
		h.sql(`UPDATE fleet_devices SET protection = 'tpm' WHERE id = 'press-7'`)
		h.sql(`UPDATE fleet_tokens SET state = 'fresh' WHERE id = $1`, tok.ID)
		if got := h.compare(); !slices.Equal(got, []string{"device/press-7", "token/" + tok.ID}) {
			t.Fatalf("in doubt: %v", h.authority.Doubts())
		}

		// Through the outbox, too: its rows reach the log, and are not believed.
		h.sql(`UPDATE fleet_devices SET identity = 'suspended' WHERE id = 'press-8'`)
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			return audit.Put(t.Context(), tx, audit.Entry{
				Type: audit.TypeAuthority, Time: h.clock.Now(), Actor: "person/owner", Action: "device.active", Object: "device/press-8", Revision: 3, Outcome: "active",
				Class: audit.ClassSecurity, Body: map[string]any{"state": "active", "site": "main"},
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := h.compare(); !slices.Contains(got, "device/press-8") {
			t.Fatalf("in doubt: %v", h.authority.Doubts())
		}
	})
}

// TestASettledEntryHoldsUpNobody: an entry whose object is no incident's name is
// in the log like any other, and what waits behind it follows.
func TestASettledEntryHoldsUpNobody(t *testing.T) {
	storetest.Each(t, []store.Migrations{audit.Migrations(), fleet.Migrations()}, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		s := &Server{Config: Default(0), log: slog.New(slog.DiscardHandler)}
		h.outbox.Settled = s.settled
		before := h.log.Size()
		for _, object := range []string{"incident/not-an-id", "device/press-7"} {
			err := db.Tx(t.Context(), func(tx *store.Tx) error {
				return audit.Put(t.Context(), tx, audit.Entry{Type: audit.TypeFact, Actor: "service/test", Action: "test.happened", Object: object, Outcome: "done", Class: audit.ClassSecurity})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		h.compare()
		if n := h.log.Size() - before; n != 2 {
			t.Errorf("%d entries came to the log, want 2", n)
		}
	})
}
