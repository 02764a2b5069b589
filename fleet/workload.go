package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// Workload certificates name the programs on a device to the rest of the site.
// They last a day and are what tamper takes away: a device in quarantine reports
// on with its management identity and gets no new one until persons have
// released it (F09).

// WorkloadRequest is the body of POST /agent/v1/workloads.
type WorkloadRequest struct {
	V    int            `json:"v"`
	Name core.ServiceID `json:"name"`
	CSR  string         `json:"csr"` // PEM, by a key of the workload's own
}

// WorkloadAnswer is the answer to POST /agent/v1/workloads.
type WorkloadAnswer struct {
	V           int    `json:"v"`
	Certificate string `json:"certificate"` // PEM chain
}

// workload is POST /agent/v1/workloads.
func (l *Listener) workload(w http.ResponseWriter, r *http.Request) error {
	c, err := l.admit(r.Context(), r)
	if err == nil {
		var chain []byte
		if chain, err = l.workloadFor(c, w, r); err == nil {
			return writeLink(w, WorkloadAnswer{V: 1, Certificate: string(chain)})
		}
	}
	if core.KindOf(err) == core.KindConflict {
		// The request and the quarantine, or its end, crossed on the way.
		l.refusals.quietly(r.Context(), c.device, policy.IdentityWorkload, err)
		return err
	}
	l.refuse(r.Context(), c, policy.IdentityWorkload, err)
	return err
}

func (l *Listener) workloadFor(c caller, w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var req WorkloadRequest
	done, err := l.readRequest(c, w, r, &req)
	if err != nil {
		return nil, err
	}
	defer done()
	csr, key, err := req.check(c.device)
	if err != nil {
		return nil, err
	}
	return l.Enrolment.workload(r.Context(), c.device, req.Name, csr, key)
}

// check returns the request in DER and the hash of the key that it is by.
func (r WorkloadRequest) check(d Device) (csr []byte, key string, err error) {
	const op = "fleet.Workload"
	if r.V != 1 || r.Name.IsZero() {
		return nil, "", core.E(core.KindInvalid, op, fmt.Sprintf("version %d, workload %q; this server speaks 1, and a workload has a name", r.V, r.Name))
	}
	csr, spki, err := requestOf(r.CSR)
	if err != nil {
		return nil, "", err
	}
	if key = keyHash(spki); key == d.Key {
		return nil, "", core.E(core.KindDenied, op, fmt.Sprintf("the request is by the management key of device %q", d.ID)).
			WithHint("a workload has a key of its own")
	}
	return csr, key, nil
}

// trusted says whether programs on a device may be named to others.
func trusted(d Device) error {
	const op = "fleet.Workload"
	switch {
	case d.Identity != IdentityActive:
		return core.E(core.KindDenied, op, fmt.Sprintf("device %q is %s", d.ID, d.Identity))
	case d.Contained:
		return core.E(core.KindConflict, op, fmt.Sprintf("device %q is in quarantine and gets no workload certificate", d.ID)).
			WithHint("it asks again by itself once persons have released it")
	}
	return nil
}

// workload has a certificate issued for a program on d. A device that was
// contained while the certificate was made does not get it.
func (e *Enrolment) workload(ctx context.Context, d Device, name core.ServiceID, csr []byte, key string) ([]byte, error) {
	if err := trusted(d); err != nil {
		return nil, err
	}
	if err := e.reg.vouch(ctx, d); err != nil {
		return nil, err
	}
	who, on := principalOf(d.Tenant, d.ID), ResourceOf(d)
	on.Params = digest(name.String(), key)
	decision, err := permit(ctx, e.guard, who, policy.IdentityWorkload, on)
	if err != nil {
		return nil, err
	}
	chain, err := e.keys.IssueWorkload(ctx, Warrant{Principal: who, Action: policy.IdentityWorkload, Resource: on, Intent: decision.Intent}, d.Tenant, d.ID, name, csr)
	if err != nil {
		return nil, fmt.Errorf("fleet: certificate for workload %q of device %q: %w", name, d.ID, err)
	}
	var refusal error
	err = e.reg.db.Tx(ctx, func(tx *store.Tx) error {
		now, err := e.reg.lock(ctx, tx, d.Tenant, d.ID)
		if err != nil {
			return err
		}
		refusal = trusted(now)
		return e.workloadFact(ctx, tx, d, name, chain, decision.Intent, refusal)
	})
	if err := errors.Join(err, refusal); err != nil {
		return nil, err
	}
	return chain, nil
}

// workloadFact records what became of a certificate that was made.
func (e *Enrolment) workloadFact(ctx context.Context, tx *store.Tx, d Device, name core.ServiceID, chain []byte, intent core.Position, refusal error) error {
	certs, err := verify.ParseChain(chain)
	if err != nil {
		return fmt.Errorf("fleet: certificate for workload %q of device %q: %w", name, d.ID, err)
	}
	outcome := "issued"
	if refusal != nil {
		outcome = "withheld"
	}
	return e.reg.facts(ctx, tx, audit.Entry{
		Type: audit.TypeFact, Time: e.reg.clock.Now(), Actor: d.Object(), Action: policy.IdentityWorkload, Object: d.Object(),
		Outcome: outcome, Class: audit.ClassSecurity, Intent: &intent,
		Body: map[string]any{
			"workload": name, "serial": certs[0].SerialNumber.Text(16), "key": keyHash(certs[0].RawSubjectPublicKeyInfo), "not_after": certs[0].NotAfter,
		},
	})
}
