package fleet_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
)

func certificate(t *testing.T, chain []byte, key crypto.PrivateKey) tls.Certificate {
	t.Helper()
	certs, err := verify.ParseChain(chain)
	if err != nil {
		t.Fatal(err)
	}
	out := tls.Certificate{PrivateKey: key, Leaf: certs[0]}
	for _, c := range certs {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out
}

// agent is a device's end: a key, a certificate and an unbroken chain.
type agent struct {
	r     *rig
	url   string
	id    core.DeviceID
	key   *ecdsa.PrivateKey
	chain []byte

	epoch   string
	seq     uint64
	prev    string
	counter uint64
}

func (r *rig) agent(url, id string) *agent {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.must(err)
	return &agent{r: r, url: url, id: core.MustID[core.DeviceID](id), key: key, epoch: hex.EncodeToString(random(16))}
}

func (a *agent) spki() []byte {
	b, err := x509.MarshalPKIXPublicKey(a.key.Public())
	a.r.must(err)
	return b
}

func (a *agent) fact() string {
	sum := sha256.Sum256(a.spki())
	return hex.EncodeToString(sum[:])
}

func (a *agent) csr() string {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"evil.example"}}, a.key)
	a.r.must(err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func (a *agent) client() *http.Client {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true} //nolint:gosec // the server's own certificate is tested elsewhere
	if a.chain != nil {
		cert := certificate(a.r.t, a.chain, a.key)
		cfg.Certificates = []tls.Certificate{cert}
	}
	tr := &http.Transport{TLSClientConfig: cfg}
	a.r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (a *agent) signer() link.Signer {
	s, err := link.NewCryptoSigner(a.key)
	a.r.must(err)
	return s
}

// do sends a body and returns the answer, an error being what the problem
// document says.
func (a *agent) do(method, path string, body []byte) ([]byte, error) {
	a.r.t.Helper()
	req, err := http.NewRequestWithContext(a.r.t.Context(), method, a.url+path, bytes.NewReader(body))
	a.r.must(err)
	res, err := a.client().Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		return nil, httpd.ErrorOf("agent", res)
	}
	out, err := io.ReadAll(res.Body)
	return out, err
}

func (r *rig) token(device, fact string) fleet.Token {
	r.t.Helper()
	req := fleet.TokenRequest{Tenant: tenant, Site: site, Fact: fact, TTL: time.Hour}
	if device != "" {
		req.Device = core.MustID[core.DeviceID](device)
	}
	tok, err := r.enrol.CreateToken(r.t.Context(), admin, req)
	r.must(err)
	return tok
}

func (a *agent) enrolWith(tok fleet.Token) ([]byte, error) {
	a.r.t.Helper()
	body, err := json.Marshal(fleet.EnrolRequest{V: 1, Token: string(tok.Bearer().Reveal()), Device: a.id.String(), PublicKey: a.csr(), Serial: "SN-1"})
	a.r.must(err)
	return a.do("POST", "/agent/v1/enrol", body)
}

// enrolled brings a device in by a token that names its key.
func (r *rig) enrolled(url, id string) *agent {
	r.t.Helper()
	a := r.agent(url, id)
	a.in(r.token(id, a.fact()))
	return a
}

func (a *agent) in(tok fleet.Token) fleet.EnrolAnswer {
	a.r.t.Helper()
	out, err := a.enrolWith(tok)
	a.r.must(err)
	var answer fleet.EnrolAnswer
	a.r.must(link.DecodeStrict(out, &answer))
	a.chain = []byte(answer.Certificate)
	return answer
}

// batch makes the next batch of events and moves the chain on.
func (a *agent) batch(events ...link.DeviceEvent) *link.Batch {
	if len(events) == 0 {
		events = []link.DeviceEvent{{Type: "heartbeat"}}
	}
	a.counter++
	b := &link.Batch{
		V: 1, Tenant: tenant, Device: a.id, Epoch: a.epoch, First: a.seq + 1, Last: a.seq + uint64(len(events)), Prev: a.prev, Boot: "boot-1",
		StateCounter: a.counter, RootVersion: 1, Sent: a.r.clock.Now().UnixMicro(),
	}
	for i, e := range events {
		e.Seq, e.ID, e.Time = b.First+uint64(i), core.NewUUID(a.r.clock.Now()), a.r.clock.Now().UnixMicro()
		if e.Severity == "" {
			e.Severity = core.SeverityInfo
		}
		if e.Fields == nil {
			e.Fields = json.RawMessage("{}")
		}
		b.Events = append(b.Events, e)
	}
	return b
}

// seal signs a batch and makes it the last of the chain.
func (a *agent) seal(b *link.Batch) (body, payload []byte) {
	a.r.t.Helper()
	payload, err := link.EncodeBatch(b)
	a.r.must(err)
	a.seq, a.prev = b.Last, fmt.Sprintf("%x", link.BatchHash(payload))
	return a.sign(payload), payload
}

func (a *agent) sign(payload []byte) []byte {
	a.r.t.Helper()
	env, err := link.SealEnvelope(link.NamespaceBatch, payload, a.signer())
	a.r.must(err)
	body, err := env.Encode()
	a.r.must(err)
	return body
}

// send sends a batch and returns its receipt.
func (a *agent) send(events ...link.DeviceEvent) *link.Receipt {
	a.r.t.Helper()
	body, _ := a.seal(a.batch(events...))
	return a.receipt(body)
}

func (a *agent) receipt(body []byte) *link.Receipt {
	a.r.t.Helper()
	out, err := a.do("POST", "/agent/v1/batches", body)
	a.r.must(err)
	rec, err := link.DecodeReceipt(out)
	a.r.must(err)
	return rec
}

func (a *agent) result(o *link.Order, outcome link.Outcome) error {
	a.r.t.Helper()
	payload, err := link.EncodeResult(&link.Result{V: 1, Tenant: tenant, Device: a.id, Order: o.ID, Outcome: outcome, Detail: "test", Epoch: a.epoch, Time: a.r.clock.Now().UnixMicro()})
	a.r.must(err)
	_, err = a.do("POST", "/agent/v1/results", a.sign(payload))
	return err
}
