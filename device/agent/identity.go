package agent

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// identity is who this machine is, since its enrolment. It holds no secret.
type identity struct {
	V           int             `json:"v"`
	Tenant      core.TenantID   `json:"tenant"`
	Site        core.SiteID     `json:"site"`
	Device      core.DeviceID   `json:"device"`
	Certificate string          `json:"certificate"` // PEM chain
	Root        json.RawMessage `json:"root"`        // envelope
	RootHash    string          `json:"root_hash"`
	URL         string          `json:"url"`
	// FirstUse says that nobody compared the root's hash with the ceremony
	// sheet (TRUST F21). Nothing ever clears it.
	FirstUse bool  `json:"first_use"`
	Demo     bool  `json:"demo"`
	Enrolled int64 `json:"enrolled"`
}

const identityFile = "identity.json"

func loadIdentity(dir string) (*identity, error) {
	raw, err := os.ReadFile(filepath.Join(dir, identityFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, core.E(core.KindNotFound, "agent", "this machine is not enrolled").
			WithHint("run it once with --enrol and the string that `interlock token create` prints")
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "agent", err)
	}
	id := new(identity)
	if err := link.DecodeStrict(bytes.TrimSpace(raw), id); err != nil {
		return nil, core.Wrap(core.KindDamaged, "agent", fmt.Errorf("%s: %w", identityFile, err))
	}
	return id, nil
}

func (id *identity) save(dir string) error {
	raw, err := link.Encode(id)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, identityFile), append(raw, '\n'), 0o600); err != nil {
		return core.Wrap(core.KindUnavailable, "agent", err)
	}
	return nil
}

// Prepare makes the management key of a machine that will enrol, or opens it,
// and returns its fact (what an enrolment token can name) and the short code
// that people compare.
func Prepare(dataDir string) (fact, code string, err error) {
	key, _, err := openKeys(dataDir)
	if err != nil {
		return "", "", err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", "", core.Wrap(core.KindInternal, "agent.Prepare", err)
	}
	return payloadHash(spki), link.ShortCode(spki), nil
}

// openKeys opens the host keyring and the management key, or makes them on a
// machine that is not enrolled. An enrolled one whose key is gone stays without:
// a new key would be another device.
func openKeys(dataDir string) (keystore.Key, core.Sealer, error) {
	if err := atomicfile.MkdirAll(dataDir, 0o700); err != nil {
		return nil, nil, core.Wrap(core.KindUnavailable, "agent", err)
	}
	ring, err := crypt.OpenHost(dataDir)
	if err != nil {
		return nil, nil, fmt.Errorf("agent: %w", err)
	}
	key, err := keystore.OpenKey(dataDir, ring)
	if core.KindOf(err) != core.KindNotFound {
		return key, ring, err
	}
	if _, idErr := loadIdentity(dataDir); core.KindOf(idErr) != core.KindNotFound {
		return nil, nil, fmt.Errorf("agent: this machine is enrolled and its key is gone: %w", err)
	}
	key, err = keystore.CreateKey(dataDir, ring)
	return key, ring, err
}

// enrolRequest and enrolAnswer are the two halves of POST /agent/v1/enrol.
type enrolRequest struct {
	V         int    `json:"v"`
	Token     string `json:"token"`
	Device    string `json:"device"`
	PublicKey string `json:"public_key"`
	Serial    string `json:"serial"`
}

type enrolAnswer struct {
	V             int             `json:"v"`
	Tenant        core.TenantID   `json:"tenant"`
	Site          core.SiteID     `json:"site"`
	Device        core.DeviceID   `json:"device"`
	Certificate   string          `json:"certificate"`
	Root          json.RawMessage `json:"root"`
	LogCheckpoint string          `json:"log_checkpoint"`
}

// enrolRetry is the pause while a person has not decided.
const enrolRetry = 5 * time.Second

// enrol brings this machine to its server. Nothing is kept unless everything
// holds: the CA is the pinned one, the root has the hash that the string names
// and, where the owner gave it, the one on the ceremony sheet.
func enrol(ctx context.Context, cfg *Config, key keystore.Key) (*identity, error) {
	e, err := link.ParseEnrolment(strings.TrimSpace(string(cfg.Enrolment.Reveal())))
	if err != nil {
		return nil, err
	}
	if cfg.RootHash != "" && cfg.RootHash != e.Root {
		return nil, core.E(core.KindDenied, "agent.Enrol", fmt.Sprintf("the enrolment string names trust root %s, the ceremony sheet says %s", e.Root, cfg.RootHash)).
			WithHint("do not enrol: somebody between you and the server hands out another root")
	}
	pins, err := verify.ParsePins(e.CA)
	if err != nil {
		return nil, err
	}
	req, err := newEnrolRequest(cfg, e, key)
	if err != nil {
		return nil, err
	}
	c := newClient(clientConfig{clock: cfg.Clock, pins: func() verify.Pins { return pins }, lower: built})
	defer c.close()
	for {
		raw, status, err := c.call(ctx, http.MethodPost, e.URL, "/agent/v1/enrol", req)
		if err == nil && status == http.StatusOK {
			return acceptEnrolment(cfg, e, key, raw)
		}
		if err != nil && core.KindOf(err) != core.KindUnavailable {
			return nil, err
		}
		cfg.Log.Info("enrolment waits", slog.Any("server", e.URL), slog.Any("code", shortCodeOf(key)), slog.Any("status", status), slog.Any("error", err))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-cfg.Clock.After(enrolRetry):
		}
	}
}

func shortCodeOf(key crypto.Signer) string {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return ""
	}
	return link.ShortCode(spki)
}

func newEnrolRequest(cfg *Config, e *link.Enrolment, key crypto.Signer) ([]byte, error) {
	csr, err := newCSR(key)
	if err != nil {
		return nil, err
	}
	return link.Encode(enrolRequest{
		V: 1, Token: e.ID + "." + string(e.Secret.Reveal()), Device: cfg.Device, PublicKey: csr, Serial: machineSerial(),
	})
}

// newCSR proves possession of the key. It carries no name: the server decides.
func newCSR(key crypto.Signer) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, new(x509.CertificateRequest), key)
	if err != nil {
		return "", core.Wrap(core.KindInternal, "agent.CSR", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// cleanSerial keeps what prints, at most as much as the server takes. The device
// tree ends its texts with a zero byte.
func cleanSerial(text string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text))
	return text[:min(128, len(text))]
}

// machineSerial is the board's serial number as far as this user may read it.
func machineSerial() string {
	for _, path := range []string{"/sys/class/dmi/id/product_serial", "/sys/firmware/devicetree/base/serial-number"} {
		if b, err := os.ReadFile(path); err == nil && len(b) < 256 {
			return cleanSerial(string(b))
		}
	}
	return ""
}

func acceptEnrolment(cfg *Config, e *link.Enrolment, key keystore.Key, raw []byte) (*identity, error) {
	var a enrolAnswer
	if err := link.DecodeStrict(bytes.TrimSpace(raw), &a); err != nil {
		return nil, fmt.Errorf("agent.Enrol: the server's answer: %w", err)
	}
	trust, err := link.NewTrust(a.Root, e.Root)
	if err != nil {
		return nil, fmt.Errorf("agent.Enrol: %w", err)
	}
	id := &identity{
		V: 1, Tenant: a.Tenant, Site: a.Site, Device: a.Device, Certificate: a.Certificate, Root: a.Root, RootHash: trust.Hash(),
		URL: e.URL, FirstUse: cfg.RootHash == "", Demo: cfg.Demo, Enrolled: cfg.Clock.Now().UnixMicro(),
	}
	if a.V != 1 || a.Site.IsZero() || a.Tenant != trust.Root().Tenant {
		return nil, core.E(core.KindDenied, "agent.Enrol", fmt.Sprintf("the answer is of version %d for site %q of tenant %q, the trust root is of tenant %q", a.V, a.Site, a.Tenant, trust.Root().Tenant))
	}
	pins, err := verify.ParsePins(trust.Root().CAPins...)
	if err != nil {
		return nil, err
	}
	if _, err := id.certificate(key, pins); err != nil {
		return nil, fmt.Errorf("agent.Enrol: %w", err)
	}
	return id, id.save(cfg.DataDir)
}

// certificate reads the management certificate and checks that it is this
// device's: by a pinned CA, for this name, for this key. Whether it has run out
// is for the server to say and for renewal to mend.
func (id *identity) certificate(key keystore.Key, pins verify.Pins) (*tls.Certificate, error) {
	cert := &tls.Certificate{PrivateKey: key}
	var chain []*x509.Certificate
	for rest := []byte(id.Certificate); len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, core.E(core.KindDamaged, "agent", "the certificate chain is not PEM")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, core.Wrap(core.KindDamaged, "agent", err)
		}
		chain, cert.Certificate = append(chain, c), append(cert.Certificate, block.Bytes)
	}
	peer, err := verify.Chain(chain, verify.Want{Pins: pins, Profile: verify.ProfileManagement, Validity: verify.Since(time.Time{}), Tenant: id.Tenant})
	if err != nil {
		return nil, err
	}
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || !pub.Equal(peer.Leaf.PublicKey) || peer.Identity.Device != id.Device {
		return nil, core.E(core.KindDenied, "agent", fmt.Sprintf("the certificate is for %s, or for another key than this device's", peer.Identity))
	}
	cert.Leaf = peer.Leaf
	return cert, nil
}
