package fleet

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// Roots stores and relays the trust roots of tenants. It holds no key of any of
// their roles: every version is verified here as a device verifies it, so that
// nothing is relayed which devices would refuse.
type Roots struct {
	reg   *Registry
	db    *store.DB
	log   Log
	guard core.Guard
	clock core.Clock
	facts Facts

	mu    sync.Mutex
	trust map[core.TenantID]*link.Trust
}

// NewRoots returns the trust roots kept beside a registry.
func NewRoots(reg *Registry, log Log, guard core.Guard) *Roots {
	return &Roots{reg: reg, db: reg.db, log: log, guard: guard, clock: reg.clock, facts: reg.facts, trust: map[core.TenantID]*link.Trust{}}
}

// RootVersion is a stored root.
type RootVersion struct {
	Version  uint64
	Hash     string
	Envelope json.RawMessage
	// Proof shows the version in the log; version 1 has none, it is believed
	// by its hash.
	Proof  []byte
	Effect time.Time
}

// What the log says of a version.
const (
	rootInstalled = "installed" // version 1, by the ceremony
	rootOffered   = "offered"   // handed in; its signatures decide
	rootTaken     = "taken"     // stored and relayed
)

// Install stores version 1, which the first-run ceremony made, believed by its
// hash. Installing the same root again does nothing; another one is refused.
func (r *Roots) Install(ctx context.Context, envelope []byte, wantHash string) error {
	t, err := link.NewTrust(envelope, wantHash)
	if err != nil {
		return fmt.Errorf("fleet: installing the trust root: %w", err)
	}
	if t.Root().Version != 1 {
		return core.E(core.KindInvalid, "fleet.Roots", fmt.Sprintf("trust root %d; an installation begins with 1", t.Root().Version))
	}
	return r.db.Tx(ctx, func(tx *store.Tx) error {
		old, err := rootAt(ctx, tx, t.Root().Tenant, 1)
		if err == nil && old.Hash == t.Hash() {
			return nil
		}
		if err == nil {
			return core.E(core.KindConflict, "fleet.Roots", fmt.Sprintf("tenant %q has another trust root 1 (%s)", t.Root().Tenant, old.Hash))
		}
		if core.KindOf(err) != core.KindNotFound {
			return err
		}
		if err := r.installed(ctx, tx, t); err != nil {
			return err
		}
		r.reg.expectRoot(tx, 1, t.Hash())
		return insertRoot(ctx, tx, t, nil, r.clock.Now())
	})
}

// installed puts version 1 into the log, where every version stands. Devices
// believe it by its hash, so the entry may follow.
func (r *Roots) installed(ctx context.Context, tx *store.Tx, t *link.Trust) error {
	return r.facts(ctx, tx, audit.Entry{
		Type: audit.TypeAuthority, Time: r.clock.Now(), Actor: "service/ceremony", Action: policy.RootUpdate, Object: link.RootObject(t.Hash()),
		Revision: 1, Outcome: rootInstalled, Class: audit.ClassSecurity, Body: map[string]any{"version": 1},
	})
}

// Publish takes the next version: logs it, verifies it with its proof as a
// device does, stores it and wakes the streams.
func (r *Roots) Publish(ctx context.Context, who core.Principal, envelope []byte) (RootVersion, error) {
	env, err := link.ParseEnvelope(envelope)
	if err != nil {
		return RootVersion{}, err
	}
	doc, err := link.DecodeRoot(env.Payload)
	if err != nil {
		return RootVersion{}, err
	}
	hash := fmt.Sprintf("%x", sha256.Sum256(env.Payload))
	on := core.Resource{Type: "root", ID: fmt.Sprint(doc.Version), Tenant: doc.Tenant, Params: hash}
	decision, err := permit(ctx, r.guard, who, policy.RootUpdate, on)
	if err != nil {
		return RootVersion{}, err
	}
	current, err := r.newest(ctx, doc.Tenant)
	if err != nil {
		return RootVersion{}, err
	}
	if doc.Version != current.Root().Version+1 {
		return RootVersion{}, core.E(core.KindConflict, "fleet.Roots", fmt.Sprintf("trust root %d cannot follow %d; versions are taken one at a time", doc.Version, current.Root().Version))
	}
	proof, err := r.logged(ctx, who, doc, hash, decision.Intent)
	if err != nil {
		return RootVersion{}, err
	}
	next, err := current.Succeed(envelope, proof)
	if err != nil {
		return RootVersion{}, fmt.Errorf("fleet: trust root %d: %w", doc.Version, err)
	}
	return r.take(ctx, next, proof)
}

// logged makes the authority entry of a root and returns its proof. The entry
// says "offered": whether the root counts is decided by its signatures, by
// everybody who reads it.
func (r *Roots) logged(ctx context.Context, who core.Principal, doc *link.Root, hash string, intent core.Position) ([]byte, error) {
	res, err := r.log.Append(ctx, audit.Entry{
		Type: audit.TypeAuthority, Time: r.clock.Now(), Actor: who.String(), Action: policy.RootUpdate, Object: link.RootObject(hash), Revision: doc.Version,
		Outcome: rootOffered, Class: audit.ClassSecurity, Intent: &intent, Body: map[string]any{"version": doc.Version},
	})
	if err != nil {
		return nil, fmt.Errorf("fleet: logging trust root %d: %w", doc.Version, err)
	}
	proof, err := r.log.Proof(ctx, res.Position)
	if err != nil {
		return nil, fmt.Errorf("fleet: proof of trust root %d: %w", doc.Version, err)
	}
	return proof, nil
}

func (r *Roots) take(ctx context.Context, next *link.Succession, proof []byte) (RootVersion, error) {
	doc := next.Next.Root()
	effect := r.clock.Now().Add(next.Delay)
	err := r.db.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.Notify(ctx, rootChannel(doc.Tenant)); err != nil {
			return fmt.Errorf("fleet: telling the streams: %w", err)
		}
		if err := r.taken(ctx, tx, next.Next); err != nil {
			return err
		}
		return insertRoot(ctx, tx, next.Next, proof, effect)
	})
	return RootVersion{doc.Version, next.Next.Hash(), next.Next.Envelope(), proof, effect}, err
}

// taken puts on record that the server took a version: it can't be without it
// from then on.
func (r *Roots) taken(ctx context.Context, tx *store.Tx, t *link.Trust) error {
	r.reg.expectRoot(tx, t.Root().Version, t.Hash())
	return r.facts(ctx, tx, audit.Entry{
		Type: audit.TypeFact, Time: r.clock.Now(), Actor: "service/fleet", Action: policy.RootUpdate, Object: link.RootObject(t.Hash()),
		Outcome: rootTaken, Class: audit.ClassSecurity, Body: map[string]any{"version": t.Root().Version},
	})
}

func insertRoot(ctx context.Context, tx *store.Tx, t *link.Trust, proof []byte, effect time.Time) error {
	if proof == nil {
		proof = []byte{}
	}
	_, err := tx.Exec(ctx, `INSERT INTO fleet_roots (tenant, version, hash, envelope, proof, takes_effect) VALUES ($1, $2, $3, $4, $5, $6)`,
		t.Root().Tenant, int64(t.Root().Version), t.Hash(), t.Envelope(), proof, store.Micros(effect))
	if err != nil {
		return fmt.Errorf("fleet: storing trust root %d: %w", t.Root().Version, err)
	}
	return nil
}

// Since reads the versions after one, in order, whether in effect or not: a
// device waits out a recovery's delay itself.
func (r *Roots) Since(ctx context.Context, tenant core.TenantID, version uint64) ([]RootVersion, error) {
	var list []RootVersion
	err := r.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `SELECT version, hash, envelope, proof, takes_effect FROM fleet_roots WHERE tenant = $1 AND version > $2 ORDER BY version LIMIT $3`,
			tenant, int64(version), MaxList)
		if err != nil {
			return fmt.Errorf("fleet: reading trust roots: %w", err)
		}
		list, err = collect(rows, scanRoot)
		return err
	})
	return list, err
}

// Current reads the version in effect.
func (r *Roots) Current(ctx context.Context, tenant core.TenantID) (RootVersion, error) {
	var v RootVersion
	err := r.db.View(ctx, func(tx *store.Tx) (err error) {
		v, err = scanRoot(tx.QueryRow(ctx, `SELECT version, hash, envelope, proof, takes_effect FROM fleet_roots
			WHERE tenant = $1 AND takes_effect <= $2 ORDER BY version DESC LIMIT 1`, tenant, store.Micros(r.clock.Now())))
		return noRoot(err, tenant)
	})
	return v, err
}

// RootHistory returns the versions that are or were in effect, oldest first. What
// persons signed under an earlier one stays signed, also after they have left.
func RootHistory(ctx context.Context, db *store.DB, tenant core.TenantID, now time.Time) ([]*link.Trust, error) {
	var rows []RootVersion
	err := db.View(ctx, func(tx *store.Tx) error {
		list, err := tx.Query(ctx, `SELECT version, hash, envelope, proof, takes_effect FROM fleet_roots WHERE tenant = $1 AND takes_effect <= $2 ORDER BY version`,
			tenant, store.Micros(now))
		if err != nil {
			return fmt.Errorf("fleet: reading trust roots: %w", err)
		}
		rows, err = collect(list, scanRoot)
		return err
	})
	if err != nil {
		return nil, err
	}
	history := make([]*link.Trust, 0, len(rows))
	for _, v := range rows {
		t, err := link.NewTrust(v.Envelope, v.Hash)
		if err != nil {
			return nil, fmt.Errorf("fleet: stored trust root %d of tenant %q: %w", v.Version, tenant, err)
		}
		history = append(history, t)
	}
	return history, nil
}

// Trust returns the verified root in effect.
func (r *Roots) Trust(ctx context.Context, tenant core.TenantID) (*link.Trust, error) {
	v, err := r.Current(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return r.resolved(tenant, v)
}

// Vouched is [Roots.Trust] for what takes trust: the root in effect, if the
// audit log and the signatures of every version before it say that it is.
func (r *Roots) Vouched(ctx context.Context, tenant core.TenantID) (*link.Trust, error) {
	t, err := r.Trust(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return t, r.reg.authority.vouchRoot(ctx, t)
}

// newest returns the highest version, in effect or not.
func (r *Roots) newest(ctx context.Context, tenant core.TenantID) (*link.Trust, error) {
	var v RootVersion
	err := r.db.View(ctx, func(tx *store.Tx) (err error) {
		v, err = scanRoot(tx.QueryRow(ctx, `SELECT version, hash, envelope, proof, takes_effect FROM fleet_roots WHERE tenant = $1 ORDER BY version DESC LIMIT 1`, tenant))
		return noRoot(err, tenant)
	})
	if err != nil {
		return nil, err
	}
	return r.resolved(tenant, v)
}

// resolved reads a stored root once and keeps it. The row's own hash column
// proves nothing; what is checked here is that the document is signed by its own
// root role. Whether it is the root that people signed is what [Roots.Vouched]
// asks.
func (r *Roots) resolved(tenant core.TenantID, v RootVersion) (*link.Trust, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.trust[tenant]; t != nil && t.Hash() == v.Hash {
		return t, nil
	}
	t, err := link.NewTrust(v.Envelope, v.Hash)
	if err != nil {
		return nil, fmt.Errorf("fleet: stored trust root %d of tenant %q: %w", v.Version, tenant, err)
	}
	r.trust[tenant] = t
	return t, nil
}

func rootAt(ctx context.Context, tx *store.Tx, tenant core.TenantID, version uint64) (RootVersion, error) {
	v, err := scanRoot(tx.QueryRow(ctx, `SELECT version, hash, envelope, proof, takes_effect FROM fleet_roots WHERE tenant = $1 AND version = $2`, tenant, int64(version)))
	return v, noRoot(err, tenant)
}

func noRoot(err error, tenant core.TenantID) error {
	if errors.Is(err, sql.ErrNoRows) {
		return core.E(core.KindNotFound, "fleet.Roots", fmt.Sprintf("tenant %q has no trust root", tenant)).WithHint("make one with: interlock root init")
	}
	if err != nil {
		return fmt.Errorf("fleet: reading the trust root of %q: %w", tenant, err)
	}
	return nil
}

func scanRoot(s scanner) (RootVersion, error) {
	var v RootVersion
	var envelope []byte
	var effect int64
	err := s.Scan(&v.Version, &v.Hash, &envelope, &v.Proof, &effect)
	v.Envelope, v.Effect = envelope, store.FromMicros(effect)
	return v, err
}
