package attack

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/test/rig"
)

// scripted is a device whose every byte the test chooses. Its TLS is the
// agent's own, so that it comes as far as a real one would.
type scripted struct {
	t     *testing.T
	s     *site
	id    core.DeviceID
	key   *ecdsa.PrivateKey
	chain []byte
	http  *http.Client
	epoch string
	seq   uint64
	prev  string
	count uint64
}

// stranger is a scripted device that is not enrolled.
func (s *site) stranger(id string) *scripted {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	d := &scripted{t: s.t, s: s, id: core.MustID[core.DeviceID](id), key: key, epoch: strings.Repeat("0e", 16)}
	d.present(nil)
	return d
}

// enrolled brings a scripted device in by a token that names its key.
func (s *site) enrolled(id string) *scripted {
	s.t.Helper()
	d := s.stranger(id)
	status, body := d.enrol(s.secret(s.token(d.id, d.fact(), time.Hour).String))
	var answer fleet.EnrolAnswer
	if err := json.Unmarshal(body, &answer); status != http.StatusOK || err != nil {
		s.t.Fatalf("enrolling %s: %d, %s", id, status, body)
	}
	d.chain = []byte(answer.Certificate)
	d.present(d.certificate(d.chain))
	return d
}

// secret takes the bearer text out of an enrolment string.
func (s *site) secret(enrolment string) string {
	s.t.Helper()
	e, err := link.ParseEnrolment(enrolment)
	if err != nil {
		s.t.Fatal(err)
	}
	return e.ID + "." + string(e.Secret.Reveal())
}

func (d *scripted) fact() string {
	d.t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(&d.key.PublicKey)
	if err != nil {
		d.t.Fatal(err)
	}
	return hashOf(spki)
}

func (d *scripted) csr() string {
	d.t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, d.key)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func (d *scripted) certificate(chain []byte) *tls.Certificate {
	c := &tls.Certificate{PrivateKey: d.key}
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		c.Certificate = append(c.Certificate, block.Bytes)
	}
	return c
}

// present makes the client show a certificate from now on, nil for none.
func (d *scripted) present(cert *tls.Certificate) {
	d.t.Helper()
	pins, err := verify.ParsePins(d.s.trust().Root().CAPins...)
	if err != nil {
		d.t.Fatal(err)
	}
	a := verify.Agent{
		Pins: func() verify.Pins { return pins }, Lower: func() time.Time { return time.Time{} }, Host: "127.0.0.1",
		Certificate: func() (*tls.Certificate, error) { return cert, nil },
	}
	d.http = &http.Client{Timeout: rig.Patience, Transport: &http.Transport{TLSClientConfig: a.TLS(), DisableKeepAlives: true}}
}

// send makes a request; an error is one of the transport.
func (d *scripted) send(method, path string, body []byte) (int, []byte, error) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, "https://"+d.s.cfg.Listen.Agents+path, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	res, err := d.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	return res.StatusCode, out, err
}

func (d *scripted) do(method, path string, body []byte) (int, []byte) {
	d.t.Helper()
	status, out, err := d.send(method, path, body)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, out
}

func (d *scripted) enrol(bearer string) (int, []byte) {
	d.t.Helper()
	body, err := json.Marshal(fleet.EnrolRequest{V: 1, Token: bearer, Device: d.id.String(), PublicKey: d.csr(), Serial: "SN-1"})
	if err != nil {
		d.t.Fatal(err)
	}
	return d.do(http.MethodPost, "/agent/v1/enrol", body)
}

// batch makes the next batch: one event of the type.
func (d *scripted) batch(kind string) *link.Batch {
	now := time.Now()
	d.count++
	return &link.Batch{
		V: 1, Tenant: tenant, Device: d.id, Epoch: d.epoch, First: d.seq + 1, Last: d.seq + 1, Prev: d.prev, Boot: "boot-1",
		StateCounter: d.count, RootVersion: 1, Sent: now.UnixMicro(),
		Events: []link.DeviceEvent{{
			Seq: d.seq + 1, ID: core.NewUUID(now), Time: now.UnixMicro(), Type: kind, Severity: core.SeverityInfo,
			Sensor: "case", State: core.SensorOK, Fields: json.RawMessage(`{}`),
		}},
	}
}

// sign puts bytes that need not be a batch into an envelope, signed as one.
func (d *scripted) sign(payload []byte) []byte {
	d.t.Helper()
	signer, err := link.NewCryptoSigner(d.key)
	if err != nil {
		d.t.Fatal(err)
	}
	return seal(d.t, payload, signAs(d.t, signer, link.NamespaceBatch, payload))
}

// seal makes a batch's bytes and takes it for sent.
func (d *scripted) seal(b *link.Batch) []byte {
	d.t.Helper()
	payload, err := link.EncodeBatch(b)
	if err != nil {
		d.t.Fatal(err)
	}
	d.seq, d.prev = b.Last, hashOf(payload)
	return d.sign(payload)
}

// report sends a good batch and returns its receipt and its bytes.
func (d *scripted) report(kind string) (*link.Receipt, []byte) {
	d.t.Helper()
	body := d.seal(d.batch(kind))
	status, out := d.do(http.MethodPost, "/agent/v1/batches", body)
	if status != http.StatusOK {
		d.t.Fatalf("a good batch is answered %d: %s", status, out)
	}
	receipt, err := link.DecodeReceipt(bytes.TrimSpace(out))
	if err != nil {
		d.t.Fatal(err)
	}
	return receipt, body
}

// problem reads the answer to a refused request.
func problem(t *testing.T, body []byte) httpd.Problem {
	t.Helper()
	var p httpd.Problem
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("not a problem document: %v: %s", err, body)
	}
	return p
}

// wants checks that an answer refuses, and says what and where.
func wants(t *testing.T, what string, status, want int, body []byte, texts ...string) {
	t.Helper()
	p := problem(t, body)
	if status != want || p.Status != want {
		t.Errorf("%s: status %d, want %d: %s", what, status, want, body)
	}
	for _, text := range texts {
		if !strings.Contains(p.Detail, text) {
			t.Errorf("%s: the answer does not say %q: %s", what, text, p.Detail)
		}
	}
}
