package agent

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/link"
)

// The two halves of renewal, as the server defines them.
type (
	renewChallenge struct {
		V         int    `json:"v"`
		Challenge string `json:"challenge"`
		Expires   int64  `json:"expires"`
	}
	renewProof struct {
		V         int           `json:"v"`
		Purpose   string        `json:"purpose"`
		Tenant    core.TenantID `json:"tenant"`
		Device    core.DeviceID `json:"device"`
		Challenge string        `json:"challenge"`
	}
	renewRequest struct {
		V         int           `json:"v"`
		CSR       string        `json:"csr"`
		Challenge link.Envelope `json:"challenge"`
	}
	renewAnswer struct {
		V           int    `json:"v"`
		Certificate string `json:"certificate"`
	}
)

// purposeRenew binds the signature over a challenge to this use.
const purposeRenew = "interlock-renew@v1"

// renewLook is how often the certificate's age is looked at.
const renewLook = 10 * time.Minute

// renewals keeps the management certificate young: a new one at two thirds of
// its life, and also after it ran out (TRUST F09).
func (a *Agent) renewals(ctx context.Context) error {
	var pause backoff
	asked := false
	for ctx.Err() == nil {
		wait := renewLook
		if asked || a.aging(a.cert.Load().Leaf) {
			if err := a.renewNow(ctx); err != nil {
				a.cfg.Log.Warn("the certificate is not renewed", slog.Any("error", err))
				wait = pause.next()
			} else {
				pause.reset()
			}
		}
		select {
		case <-ctx.Done():
		case <-a.cfg.Clock.After(wait):
			asked = false
		case <-a.renew:
			// Asked for by a server that refuses: soon, and not in a loop.
			asked = true
			if !a.sleep(ctx, pause.next()) {
				return nil
			}
		}
	}
	return nil
}

// aging says whether two thirds of a certificate's life are over. It judges by
// the later of the clock and trusted time: renewing too early costs little.
func (a *Agent) aging(leaf *x509.Certificate) bool {
	now := a.cfg.Clock.Now()
	if bounds := a.store.Time(); bounds.Upper.After(now) {
		now = bounds.Upper
	} else if bounds.Lower.After(now) {
		now = bounds.Lower
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return now.After(leaf.NotBefore.Add(life / 3 * 2))
}

func (a *Agent) renewNow(ctx context.Context) error {
	raw, err := a.anyServer(ctx, http.MethodGet, "/agent/v1/renew", nil)
	if err != nil {
		return err
	}
	var c renewChallenge
	if err := link.DecodeStrict(bytes.TrimSpace(raw), &c); err != nil {
		return fmt.Errorf("agent.renew: %w", err)
	}
	req, err := a.renewRequest(c)
	if err != nil {
		return err
	}
	if raw, err = a.anyServer(ctx, http.MethodPost, "/agent/v1/renew", req); err != nil {
		return err
	}
	var got renewAnswer
	if err := link.DecodeStrict(bytes.TrimSpace(raw), &got); err != nil {
		return fmt.Errorf("agent.renew: %w", err)
	}
	return a.adopt(got.Certificate)
}

// renewRequest signs the challenge. A challenge of any other shape is not
// signed: what it is for must be plain from the bytes.
func (a *Agent) renewRequest(c renewChallenge) ([]byte, error) {
	if c.V != 1 || len(c.Challenge) < 22 || len(c.Challenge) > 128 {
		return nil, core.E(core.KindInvalid, "agent.renew", "the server's challenge is of an unknown form")
	}
	proof, err := link.Encode(renewProof{1, purposeRenew, a.id.Tenant, a.id.Device, c.Challenge})
	if err != nil {
		return nil, err
	}
	env, err := link.SealEnvelope(link.NamespaceBatch, proof, a.signer)
	if err != nil {
		return nil, err
	}
	csr, err := newCSR(a.key)
	if err != nil {
		return nil, err
	}
	return link.Encode(renewRequest{1, csr, *env})
}

// adopt takes a new certificate: for the same device and key, by a pinned CA,
// not older than the one it replaces, and, as far as this device can tell the
// time, valid now. One that begins later would keep it from its own server, and
// whoever holds the CA's key for an hour could hand it out.
func (a *Agent) adopt(chain string) error {
	next := *a.id
	next.Certificate = chain
	cert, err := next.certificate(a.key, a.pins())
	if err == nil && !cert.Leaf.NotAfter.After(a.cert.Load().Leaf.NotAfter) {
		err = core.E(core.KindReplayed, "agent.renew", "the new certificate ends no later than the old one")
	}
	if upper := a.store.Time().Upper; err == nil && !upper.IsZero() && cert.Leaf.NotBefore.After(upper) {
		err = core.E(core.KindDenied, "agent.renew", fmt.Sprintf("the new certificate begins at %s, which is still to come", cert.Leaf.NotBefore.UTC().Format(time.RFC3339)))
	}
	if err != nil {
		a.refusals.tell(a, "certificate_refused", core.SeverityHigh, map[string]any{"why": sensor.Text(err.Error())})
		return err
	}
	if err := next.save(a.cfg.DataDir); err != nil {
		return err
	}
	a.cert.Store(cert)
	a.client.close()
	a.tell("certificate_renewed", core.SeverityInfo, map[string]any{"not_after": cert.Leaf.NotAfter})
	return nil
}
