package fleet

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// Enrolment brings devices in.
type Enrolment struct {
	reg   *Registry
	guard core.Guard
	log   Log
	keys  Keys
	roots *Roots
}

// NewEnrolment returns the enrolment over a registry.
func NewEnrolment(reg *Registry, guard core.Guard, log Log, keys Keys, roots *Roots) *Enrolment {
	return &Enrolment{reg: reg, guard: guard, log: log, keys: keys, roots: roots}
}

// EnrolRequest is the body of POST /agent/v1/enrol.
type EnrolRequest struct {
	V         int    `json:"v"`
	Token     string `json:"token"`  // id.secret
	Device    string `json:"device"` // the name that the device would like, "" for none
	PublicKey string `json:"public_key"`
	Serial    string `json:"serial"`
}

// EnrolAnswer is the answer to a device that is in.
type EnrolAnswer struct {
	V             int             `json:"v"`
	Tenant        core.TenantID   `json:"tenant"`
	Site          core.SiteID     `json:"site"`
	Device        core.DeviceID   `json:"device"`
	Certificate   string          `json:"certificate"` // PEM chain
	Root          json.RawMessage `json:"root"`        // envelope
	LogCheckpoint string          `json:"log_checkpoint"`
}

// EnrolPending is the answer, with status 202, to a device that waits for a
// person. It asks again with the same token and key.
type EnrolPending struct {
	V      int           `json:"v"`
	Device core.DeviceID `json:"device"`
	Code   string        `json:"code"` // the same short code that the person sees
}

// applicant is a request after everything that needs no database was checked.
type applicant struct {
	bearer string
	name   core.DeviceID
	spki   []byte
	key    string // SHA-256 of spki, hex
	csr    []byte // DER
	serial string
}

const maxSerial = 128

func (r EnrolRequest) check() (applicant, error) {
	bad := func(msg string) (applicant, error) {
		return applicant{}, core.E(core.KindInvalid, "fleet.Enrol", msg)
	}
	if r.V != 1 {
		return bad(fmt.Sprintf("version %d; this server speaks 1", r.V))
	}
	if len(r.Serial) > maxSerial {
		return bad(fmt.Sprintf("serial has %d bytes, at most %d are allowed", len(r.Serial), maxSerial))
	}
	a := applicant{bearer: r.Token, serial: r.Serial}
	if r.Device != "" {
		name, err := core.ParseID[core.DeviceID](r.Device)
		if err != nil {
			return applicant{}, fmt.Errorf("fleet.Enrol: device: %w", err)
		}
		a.name = name
	}
	var err error
	if a.csr, a.spki, err = requestOf(r.PublicKey); err != nil {
		return applicant{}, err
	}
	a.key = keyHash(a.spki)
	return a, nil
}

// keyHash names a public key: the SHA-256, hex, of its PKIX form.
func keyHash(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// requestOf reads a PEM certificate request and checks that the sender holds
// the private half of its key. Names in the request are not read.
func requestOf(text string) (der, spki []byte, err error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
		return nil, nil, core.E(core.KindInvalid, "fleet.Enrol", "public_key: not exactly one PEM certificate request")
	}
	if spki, err = keyOf(block.Bytes); err != nil {
		return nil, nil, fmt.Errorf("fleet.Enrol: public_key: %w", err)
	}
	return block.Bytes, spki, nil
}

// keyOf returns the public key, in its PKIX form, of a certificate request that
// is signed by it.
func keyOf(csr []byte) ([]byte, error) {
	key, err := pki.PublicKeyOf(csr)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	return spki, core.Wrap(core.KindInvalid, "fleet.Enrol", err)
}

// Enrol takes a device in. Exactly one of the answers is set without an error.
// The same device may ask again with the same token and key until it has its
// certificate; another key with a used token suspends the first device.
func (e *Enrolment) Enrol(ctx context.Context, r EnrolRequest) (*EnrolAnswer, *EnrolPending, error) {
	a, err := r.check()
	if err != nil {
		return nil, nil, err
	}
	c, err := e.claim(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	if c.device.Identity == IdentityPending && c.token.fact == "" {
		return nil, &EnrolPending{V: 1, Device: c.device.ID, Code: c.device.ShortCode}, nil
	}
	if c.device.Identity == IdentityPending {
		if err := e.reg.vouch(ctx, c.device); err != nil {
			return nil, nil, err
		}
		bearer := core.Principal{Kind: core.KindToken, ID: c.token.id, Tenant: c.token.tenant, Sites: []core.SiteID{c.token.site}}
		decision, err := permit(ctx, e.guard, bearer, policy.DeviceEnrol, ResourceOf(c.device))
		if err != nil {
			return nil, nil, err
		}
		if c.certificate, err = e.admit(ctx, c.device, a.csr, bearer, policy.DeviceEnrol, decision.Intent, "the token names this key"); err != nil {
			return nil, nil, err
		}
	}
	return e.answer(ctx, c)
}

func (e *Enrolment) answer(ctx context.Context, c claimed) (*EnrolAnswer, *EnrolPending, error) {
	root, err := e.roots.Vouched(ctx, c.device.Tenant)
	if err != nil {
		return nil, nil, err
	}
	return &EnrolAnswer{
		V: 1, Tenant: c.device.Tenant, Site: c.device.Site, Device: c.device.ID, Certificate: string(c.certificate),
		Root: root.Envelope(), LogCheckpoint: string(e.log.Checkpoint().Note),
	}, nil, nil
}

// claimed is a token and the device that holds it.
type claimed struct {
	token       row
	device      Device
	certificate []byte
}

// claim binds the token to the applicant's key, or finds that it is so already.
// A misuse is written down in the same transaction that notices it, so it is
// not lost with the error that the caller gets.
func (e *Enrolment) claim(ctx context.Context, a applicant) (claimed, error) {
	var c claimed
	var refusal error
	err := e.reg.db.Tx(ctx, func(tx *store.Tx) (err error) {
		c, refusal = claimed{}, nil
		if c.token, err = findToken(ctx, tx, a.bearer); err != nil {
			return err
		}
		if err := e.reg.authority.vouch(ctx, c.token.object(), c.token.claim()); err != nil {
			return err
		}
		switch t := c.token; {
		case t.fact != "" && subtle.ConstantTimeCompare([]byte(t.fact), []byte(a.key)) != 1:
			refusal, err = e.wrongKey(ctx, tx, t, a)
		case t.state == tokenFresh:
			c.device, err = e.firstUse(ctx, tx, t, a)
		case t.usedKey == a.key:
			c.device, c.certificate, err = e.again(ctx, tx, t)
		case t.state == tokenUsed || t.state == tokenMisused:
			refusal, err = e.misuse(ctx, tx, t, a)
		default:
			err = core.E(core.KindDenied, "fleet.Enrol", "enrolment token "+t.id+" was revoked")
		}
		return err
	})
	return c, errors.Join(err, refusal)
}

// firstUse enters the device as pending; what comes after decides whether a
// person is asked.
func (e *Enrolment) firstUse(ctx context.Context, tx *store.Tx, t row, a applicant) (Device, error) {
	now := e.reg.clock.Now()
	if !now.Before(t.expires) {
		return Device{}, core.E(core.KindExpired, "fleet.Enrol", fmt.Sprintf("enrolment token %s ran out at %s", t.id, t.expires.Format("2006-01-02 15:04:05 MST"))).
			WithHint("make a new one with: interlock token create")
	}
	d, err := newDevice(t, a)
	if err != nil {
		return Device{}, err
	}
	d.Enrolled, d.row = now, rowClaim(d)
	if err := insertDevice(ctx, tx, d, a.csr); err != nil {
		return Device{}, err
	}
	if _, err := tx.Exec(ctx, `UPDATE fleet_tokens SET state = $1, used_by = $2, used_key = $3 WHERE tenant = $4 AND id = $5`,
		tokenUsed, d.ID, a.key, t.tenant, t.id); err != nil {
		return Device{}, fmt.Errorf("fleet: using token %s: %w", t.id, err)
	}
	t.state, t.usedBy, t.usedKey = tokenUsed, d.ID, a.key
	if err := e.tokenEntry(ctx, tx, t, t.object(), tokenUsed, nil, nil); err != nil {
		return Device{}, err
	}
	return d, e.reg.record(ctx, tx, d, "device.pending", "token/"+t.id, "first use of the token", core.Position{})
}

func newDevice(t row, a applicant) (Device, error) {
	name := t.device
	switch {
	case name.IsZero() && a.name.IsZero():
		return Device{}, core.E(core.KindInvalid, "fleet.Enrol", "neither the token nor the request names the device")
	case name.IsZero():
		name = a.name
	case !a.name.IsZero() && a.name != name:
		return Device{}, core.E(core.KindInvalid, "fleet.Enrol", fmt.Sprintf("the request names device %q, the token is for %q", a.name, name))
	}
	return Device{
		Tenant: t.tenant, ID: name, Site: t.site, Identity: IdentityPending, Key: a.key, ShortCode: link.ShortCode(a.spki),
		Protection: "software", Serial: a.serial, Token: t.id, FirstUse: t.fact == "", Revision: 1, Link: core.DeviceOffline,
	}, nil
}

func insertDevice(ctx context.Context, tx *store.Tx, d Device, csr []byte) error {
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM fleet_devices WHERE tenant = $1 AND id = $2`, d.Tenant, d.ID).Scan(&n); err != nil {
		return fmt.Errorf("fleet: looking for device %q: %w", d.ID, err)
	}
	if n > 0 {
		return core.E(core.KindConflict, "fleet.Enrol", fmt.Sprintf("device %q is enrolled already", d.ID)).
			WithHint("a machine that comes back gets another name; its old identity is retired with two approvals")
	}
	_, err := tx.Exec(ctx, `INSERT INTO fleet_devices (tenant, id, site, identity, spki, short_code, protection, serial, token, first_use, enrolled, revision, link, certificate, csr)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		d.Tenant, d.ID, d.Site, string(d.Identity), d.Key, d.ShortCode, d.Protection, d.Serial, d.Token, flag(d.FirstUse),
		micros(d.Enrolled), int64(d.Revision), string(d.Link), []byte{}, csr)
	if err != nil {
		return fmt.Errorf("fleet: entering device %q: %w", d.ID, err)
	}
	return nil
}

// again answers the holder of the token who asks once more.
func (e *Enrolment) again(ctx context.Context, tx *store.Tx, t row) (Device, []byte, error) {
	d, err := getDevice(ctx, tx, t.tenant, t.usedBy)
	if err != nil {
		return Device{}, nil, err
	}
	d = e.reg.believed(d)
	if d.Identity == IdentitySuspended || d.Identity == IdentityRetired {
		return Device{}, nil, core.E(core.KindDenied, "fleet.Enrol", fmt.Sprintf("device %q is %s", d.ID, d.Identity))
	}
	var chain []byte
	if err := tx.QueryRow(ctx, `SELECT certificate FROM fleet_devices WHERE tenant = $1 AND id = $2`, d.Tenant, d.ID).Scan(&chain); err != nil {
		return Device{}, nil, fmt.Errorf("fleet: certificate of device %q: %w", d.ID, err)
	}
	return d, chain, nil
}

// misuse is the second use of a token by another key: one of the two is a
// thief, and nobody here can say which. The first is suspended, a person looks.
// After that the token is known to be in wrong hands: using it again is an alarm
// and cuts nobody off, or its thief could do so for ever.
func (e *Enrolment) misuse(ctx context.Context, tx *store.Tx, t row, a applicant) (refusal, err error) {
	refusal = core.E(core.KindReplayed, "fleet.Enrol", fmt.Sprintf("enrolment token %s was used before, by another key; device %q was suspended for it until a person looks", t.id, t.usedBy)).
		WithHint("compare the short codes on both machines, then approve one of them")
	d, err := e.reg.lock(ctx, tx, t.tenant, t.usedBy)
	if err != nil {
		return refusal, err
	}
	if t.state == tokenUsed {
		if err := e.suspend(ctx, tx, d, "a second key used the enrolment token "+t.id); err != nil {
			return refusal, err
		}
		if _, err := tx.Exec(ctx, `UPDATE fleet_tokens SET state = $1 WHERE tenant = $2 AND id = $3`, tokenMisused, t.tenant, t.id); err != nil {
			return refusal, fmt.Errorf("fleet: token %s: %w", t.id, err)
		}
		t.state = tokenMisused
		if err := e.tokenEntry(ctx, tx, t, t.object(), tokenMisused, nil, map[string]any{"second_key": a.key}); err != nil {
			return refusal, err
		}
	}
	return refusal, e.reg.raise(ctx, tx, alarm{
		tenant: t.tenant, device: t.usedBy, kind: "enrolment_token_reused", severity: core.SeverityCritical, at: e.reg.clock.Now(),
		fields: map[string]any{"token": t.id, "first_key": t.usedKey, "second_key": a.key, "second_serial": a.serial},
	})
}

// suspend cuts a device off that has a way in or waits for one.
func (e *Enrolment) suspend(ctx context.Context, tx *store.Tx, d Device, why string) error {
	if d.Identity != IdentityActive && d.Identity != IdentityPending {
		return nil
	}
	return e.reg.setIdentity(ctx, tx, d, IdentitySuspended, "service/fleet", why, core.Position{})
}

// wrongKey is the use of a token that names another key. The token stays good
// for its owner.
func (e *Enrolment) wrongKey(ctx context.Context, tx *store.Tx, t row, a applicant) (refusal, err error) {
	refusal = core.E(core.KindDenied, "fleet.Enrol", fmt.Sprintf("enrolment token %s is for another key than this device's", t.id)).
		WithHint("the token names the fact of one device; make one for this device")
	return refusal, e.reg.raise(ctx, tx, alarm{
		tenant: t.tenant, device: t.device, kind: "enrolment_wrong_key", severity: core.SeverityHigh, at: e.reg.clock.Now(),
		fields: map[string]any{"token": t.id, "key": a.key, "serial": a.serial},
	})
}

// admit has the certificate issued that the Guard permitted, and makes the
// identity active. The Guard's intent is what the keys process asks for.
func (e *Enrolment) admit(ctx context.Context, d Device, csr []byte, who core.Principal, action core.Action, intent core.Position, reason string) ([]byte, error) {
	chain, err := e.issue(ctx, d, csr, who, action, intent)
	if err != nil {
		return nil, err
	}
	return chain, e.reg.db.Tx(ctx, func(tx *store.Tx) error {
		now, err := e.reg.lock(ctx, tx, d.Tenant, d.ID)
		if err != nil {
			return err
		}
		if now.Revision != d.Revision {
			return core.E(core.KindConflict, "fleet.admit", fmt.Sprintf("device %q became %s meanwhile", d.ID, now.Identity))
		}
		if err := storeCertificate(ctx, tx, d, chain); err != nil {
			return err
		}
		return e.reg.setIdentity(ctx, tx, now, IdentityActive, who.String(), reason, intent)
	})
}

func (e *Enrolment) issue(ctx context.Context, d Device, csr []byte, who core.Principal, action core.Action, intent core.Position) ([]byte, error) {
	w := Warrant{Principal: who, Action: action, Resource: ResourceOf(d), Intent: intent}
	chain, err := e.keys.IssueManagement(ctx, w, d.Tenant, d.ID, csr)
	if err != nil {
		return nil, fmt.Errorf("fleet: certificate for device %q: %w", d.ID, err)
	}
	return chain, nil
}

func storeCertificate(ctx context.Context, tx *store.Tx, d Device, chain []byte) error {
	if _, err := tx.Exec(ctx, `UPDATE fleet_devices SET certificate = $1 WHERE tenant = $2 AND id = $3`, chain, d.Tenant, d.ID); err != nil {
		return fmt.Errorf("fleet: storing the certificate of device %q: %w", d.ID, err)
	}
	return nil
}

// Approve takes a waiting or suspended device in. The person must give the
// short code that the device itself shows, so that approving without looking is
// not possible. It is held against the key that the certificate will be for;
// what the row says of itself proves nothing. Approving is also what mends a
// device whose row and log disagree: what is for good comes from the log then.
// The Guard is asked first: whoever tries codes is on record with each.
func (e *Enrolment) Approve(ctx context.Context, who core.Principal, tenant core.TenantID, id core.DeviceID, code string) error {
	d, err := e.reg.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	decision, err := permit(ctx, e.guard, who, policy.DeviceApprove, ResourceOf(d))
	if err != nil {
		return err
	}
	doubt := e.reg.InDoubt(d)
	if d.Identity != IdentityPending && d.Identity != IdentitySuspended && (doubt == "" || d.Identity == IdentityRetired) {
		return core.E(core.KindConflict, "fleet.Approve", fmt.Sprintf("device %q is %s; nothing waits for approval", id, d.Identity))
	}
	csr, spki, err := e.requestBy(ctx, d)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(code), []byte(link.ShortCode(spki))) != 1 || keyHash(spki) != d.Key {
		return core.E(core.KindDenied, "fleet.Approve", fmt.Sprintf("code %.40q is not the short code of the key that waits as device %q", code, id)).
			WithHint("read the code from the device itself; if it differs, somebody else's key waits under this name")
	}
	if doubt == "" {
		err = e.reg.vouch(ctx, d)
	}
	if err == nil {
		_, err = e.admit(ctx, d, csr, who, policy.DeviceApprove, decision.Intent, "short code compared")
	}
	return err
}

// requestBy reads the certificate request that a device left and its key.
func (e *Enrolment) requestBy(ctx context.Context, d Device) (csr, spki []byte, err error) {
	err = e.reg.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `SELECT csr FROM fleet_devices WHERE tenant = $1 AND id = $2`, d.Tenant, d.ID).Scan(&csr)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("fleet: request of device %q: %w", d.ID, err)
	}
	if spki, err = keyOf(csr); err != nil {
		return nil, nil, fmt.Errorf("fleet: stored request of device %q: %w", d.ID, err)
	}
	return csr, spki, nil
}
