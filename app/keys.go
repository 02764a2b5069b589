package app

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// keysOf puts the proof of each intent beside the request, which is what the
// keys process wants to see before it signs.
type keysOf struct {
	client *keys.Client
	log    *audit.Log
}

func (k keysOf) warrant(ctx context.Context, w fleet.Warrant) (keys.Warrant, error) {
	rec, err := k.log.Entry(ctx, w.Intent)
	if err != nil {
		return keys.Warrant{}, fmt.Errorf("app: intent %s#%d: %w", w.Intent.Origin, w.Intent.Index, err)
	}
	proof, err := k.log.Proof(ctx, w.Intent)
	if err != nil {
		return keys.Warrant{}, fmt.Errorf("app: proof of intent %s#%d: %w", w.Intent.Origin, w.Intent.Index, err)
	}
	return keys.Warrant{Principal: w.Principal, Action: w.Action, Resource: w.Resource, Leaf: rec.Leaf, Proof: proof}, nil
}

// SignOrder implements fleet.Keys.
func (k keysOf) SignOrder(ctx context.Context, w fleet.Warrant, payload []byte) (link.Signature, error) {
	warrant, err := k.warrant(ctx, w)
	if err != nil {
		return link.Signature{}, err
	}
	return k.client.SignOrder(ctx, keys.SignOrder{Warrant: warrant, Payload: payload})
}

// IssueManagement implements fleet.Keys.
func (k keysOf) IssueManagement(ctx context.Context, w fleet.Warrant, tenant core.TenantID, device core.DeviceID, csr []byte) ([]byte, error) {
	warrant, err := k.warrant(ctx, w)
	if err != nil {
		return nil, err
	}
	return k.client.IssueManagement(ctx, keys.IssueManagement{Warrant: warrant, Tenant: tenant, Device: device, CSR: csr})
}

// IssueWorkload implements fleet.Keys.
func (k keysOf) IssueWorkload(ctx context.Context, w fleet.Warrant, tenant core.TenantID, device core.DeviceID, workload core.ServiceID, csr []byte) ([]byte, error) {
	warrant, err := k.warrant(ctx, w)
	if err != nil {
		return nil, err
	}
	return k.client.IssueWorkload(ctx, keys.IssueWorkload{Warrant: warrant, Tenant: tenant, Device: device, Workload: workload, CSR: csr})
}

// issueServer has a certificate made for the agent listener. The private key
// lives in this process's memory only.
func (k keysOf) issueServer(ctx context.Context, guard core.Guard, tenant core.TenantID, hosts []string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "app.issueServer", err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "app.issueServer", err)
	}
	who := core.Principal{Kind: core.KindService, ID: "serve", Tenant: tenant}
	on := core.Resource{Type: "certificate", ID: hosts[0], Tenant: tenant}
	d, err := guard.Permit(ctx, who, policy.KeysIssueServer, on)
	if err != nil {
		return nil, err
	}
	if !d.Allowed {
		return nil, core.E(core.KindDenied, "app.issueServer", d.Reason)
	}
	warrant, err := k.warrant(ctx, fleet.Warrant{Principal: who, Action: policy.KeysIssueServer, Resource: on, Intent: d.Intent})
	if err != nil {
		return nil, err
	}
	chain, err := k.client.IssueServer(ctx, keys.IssueServer{Warrant: warrant, Hosts: hosts, CSR: csr})
	if err != nil {
		return nil, err
	}
	return certificate(chain, key)
}

// certificate joins a PEM chain and its key.
func certificate(chain []byte, key crypto.PrivateKey) (*tls.Certificate, error) {
	c := &tls.Certificate{PrivateKey: key}
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		c.Certificate = append(c.Certificate, block.Bytes)
	}
	if len(c.Certificate) == 0 {
		return nil, core.E(core.KindDamaged, "app.certificate", "the keys process answered without a certificate")
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return nil, core.Wrap(core.KindDamaged, "app.certificate", err)
	}
	c.Leaf = leaf
	return c, nil
}
