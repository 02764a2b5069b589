package fleet

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// A device whose certificate has run out, after a long weekend or with a dead
// clock, gets a new one without hands: it shows the old certificate and signs a
// fresh challenge with the management key, which lives as long as the enrolment
// (F09). One that is suspended or retired does not.

// RenewChallenge is the answer to GET /agent/v1/renew.
type RenewChallenge struct {
	V         int    `json:"v"`
	Challenge string `json:"challenge"` // base64url, 32 bytes
	Expires   int64  `json:"expires"`   // microseconds
}

// RenewRequest is the body of POST /agent/v1/renew.
type RenewRequest struct {
	V   int    `json:"v"`
	CSR string `json:"csr"` // PEM, by the registered key
	// Challenge carries a [RenewProof], signed by the management key in the
	// namespace of batches.
	Challenge link.Envelope `json:"challenge"`
}

// RenewProof is what the device signs. It names purpose and device, so that the
// signature is worth nothing as a batch and a batch nothing as this.
type RenewProof struct {
	V         int           `json:"v"`
	Purpose   string        `json:"purpose"` // PurposeRenew
	Tenant    core.TenantID `json:"tenant"`
	Device    core.DeviceID `json:"device"`
	Challenge string        `json:"challenge"`
}

// PurposeRenew is the purpose that a RenewProof names.
const PurposeRenew = "interlock-renew@v1"

// RenewAnswer is the answer to POST /agent/v1/renew.
type RenewAnswer struct {
	V           int    `json:"v"`
	Certificate string `json:"certificate"` // PEM chain
}

const (
	challengeTTL  = 2 * time.Minute
	maxChallenges = 100_000
)

// renewals holds the challenges that were given out. Each is good once.
type renewals struct {
	clock core.Clock
	mu    sync.Mutex
	open  map[string]openChallenge
}

type openChallenge struct {
	text    string
	expires time.Time
}

func newRenewals(clock core.Clock) *renewals {
	return &renewals{clock: clock, open: map[string]openChallenge{}}
}

func (r *renewals) give(name string) (openChallenge, error) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	now := r.clock.Now()
	c := openChallenge{base64.RawURLEncoding.EncodeToString(b[:]), now.Add(challengeTTL)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.open) >= maxChallenges {
		for other, old := range r.open {
			if now.After(old.expires) {
				delete(r.open, other)
			}
		}
	}
	if len(r.open) >= maxChallenges {
		return c, core.E(core.KindUnavailable, "fleet.Renew", "too many renewals at once")
	}
	r.open[name] = c
	return c, nil
}

func (r *renewals) take(name, text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.open[name]
	delete(r.open, name)
	switch {
	case !ok || subtle.ConstantTimeCompare([]byte(c.text), []byte(text)) != 1:
		return core.E(core.KindReplayed, "fleet.Renew", "the challenge is not the last one given to "+name).WithHint("ask for a new one")
	case r.clock.Now().After(c.expires):
		return core.E(core.KindExpired, "fleet.Renew", "the challenge of "+name+" ran out").WithHint("ask for a new one")
	}
	return nil
}

// challenge is GET /agent/v1/renew.
func (l *Listener) challenge(w http.ResponseWriter, r *http.Request) error {
	c, err := l.admit(r.Context(), r)
	if err != nil {
		l.refuse(r.Context(), c, policy.IdentityRenew, err)
		return err
	}
	done, err := l.quotas.device(streamName(c.device), 0)
	if err != nil {
		return err
	}
	defer done()
	given, err := l.renewals.give(streamName(c.device))
	if err != nil {
		return err
	}
	return writeLink(w, RenewChallenge{V: 1, Challenge: given.text, Expires: given.expires.UnixMicro()})
}

// renew is POST /agent/v1/renew.
func (l *Listener) renew(w http.ResponseWriter, r *http.Request) error {
	c, err := l.admit(r.Context(), r)
	if err == nil {
		var chain []byte
		if chain, err = l.renewed(c, w, r); err == nil {
			return writeLink(w, RenewAnswer{V: 1, Certificate: string(chain)})
		}
	}
	l.refuse(r.Context(), c, policy.IdentityRenew, err)
	return err
}

// readRequest reads what a device asks a certificate for. Until done is called
// the request counts against the device's quota.
func (l *Listener) readRequest(c caller, w http.ResponseWriter, r *http.Request, into any) (done func(), err error) {
	done, err = l.quotas.device(streamName(c.device), maxEnrolBody)
	if err != nil {
		return nil, err
	}
	body, err := httpd.ReadBody(w, r, maxEnrolBody)
	if err == nil {
		err = link.DecodeStrict(body, into)
	}
	if err != nil {
		done()
		return nil, fmt.Errorf("fleet: a certificate request: %w", err)
	}
	return done, nil
}

func (l *Listener) renewed(c caller, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var req RenewRequest
	done, err := l.readRequest(c, w, r, &req)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := l.proves(c, req.Challenge); err != nil {
		return nil, err
	}
	csr, spki, err := requestOf(req.CSR)
	if err != nil {
		return nil, err
	}
	if keyHash(spki) != c.device.Key {
		return nil, core.E(core.KindDenied, "fleet.Renew", fmt.Sprintf("the request is not by the registered key of device %q", c.device.ID)).
			WithHint("another key is another enrolment")
	}
	return l.Enrolment.renew(r.Context(), c.device, csr)
}

// proves checks the signed challenge.
func (l *Listener) proves(c caller, env link.Envelope) error {
	text, err := env.Encode()
	if err != nil {
		return err
	}
	signed, err := openSigned(c.peer.Leaf.PublicKey, text)
	if err != nil {
		return fmt.Errorf("fleet.Renew: challenge: %w", err)
	}
	var p RenewProof
	if err := link.DecodeStrict(signed.Payload, &p); err != nil {
		return fmt.Errorf("fleet.Renew: challenge: %w", err)
	}
	if p.V != 1 || p.Purpose != PurposeRenew || p.Tenant != c.device.Tenant || p.Device != c.device.ID {
		return core.E(core.KindDenied, "fleet.Renew", fmt.Sprintf("the signed challenge is not for the renewal of device %q", c.device.ID))
	}
	return l.renewals.take(streamName(c.device), p.Challenge)
}

// renew issues a new certificate for the registered key.
func (e *Enrolment) renew(ctx context.Context, d Device, csr []byte) ([]byte, error) {
	who := principalOf(d.Tenant, d.ID)
	if err := e.reg.vouch(ctx, d); err != nil {
		return nil, err
	}
	decision, err := permit(ctx, e.guard, who, policy.IdentityRenew, ResourceOf(d))
	if err != nil {
		return nil, err
	}
	chain, err := e.issue(ctx, d, csr, who, policy.IdentityRenew, decision.Intent)
	if err != nil {
		return nil, err
	}
	return chain, e.reg.db.Tx(ctx, func(tx *store.Tx) error {
		now, err := e.reg.lock(ctx, tx, d.Tenant, d.ID)
		if err != nil {
			return err
		}
		if now.Identity != IdentityActive {
			return core.E(core.KindDenied, "fleet.Renew", fmt.Sprintf("device %q became %s meanwhile", d.ID, now.Identity))
		}
		return storeCertificate(ctx, tx, d, chain)
	})
}
