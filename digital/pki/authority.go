package pki

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
)

// backdate is how far before its making a certificate becomes valid, for peers
// whose clocks are a little behind.
const backdate = 5 * time.Minute

// Lifetimes are how long certificates last.
type Lifetimes struct {
	Root, Intermediate, Server, Management, Workload time.Duration
}

// DefaultLifetimes are what an installation begins with. A management
// certificate is short because it is renewed by itself, also after it expired
// (TRUST F09); the identity behind it ends with retirement alone.
var DefaultLifetimes = Lifetimes{
	Root: 20 * 365 * day, Intermediate: 3 * 365 * day,
	Server: 30 * day, Management: 7 * day, Workload: day,
}

const day = 24 * time.Hour

// Names are who a certificate is for, as the authorisation said it. A profile
// takes its own names and refuses the others.
type Names struct {
	Identity verify.Identity // management, workload
	Hosts    []string        // server: DNS names and addresses
}

// Issuance is an entry of the issuance record.
type Issuance struct {
	Time      time.Time
	Profile   verify.Profile
	Serial    string   // hex
	Names     []string // subject alternative names
	SPKI      string   // SHA-256 of the public key, hex
	NotBefore time.Time
	NotAfter  time.Time
	Issuer    string // subject key id of the issuer, hex
}

// Recorder makes an issuance durable before the certificate is signed. It
// returns an error where it could not; nothing is signed then.
type Recorder interface {
	Issued(ctx context.Context, i Issuance) error
}

// Config is what an authority needs.
type Config struct {
	Dir       string      // of its own; made on first use
	Sealer    core.Sealer // the vault keyring
	Recorder  Recorder
	Clock     core.Clock
	Lifetimes Lifetimes // zero fields take the default
	// Name stands in the subjects of root and intermediate, for people.
	Name string
}

// Authority issues certificates. Safe for concurrent use.
type Authority struct {
	c Config

	mu   sync.RWMutex // held to write by rotation
	root *x509.Certificate
	next *x509.Certificate // the root in reserve
	ca   *x509.Certificate // the intermediate that signs
	key  *ecdsa.PrivateKey
}

// Open reads the authority in c.Dir and makes it on first use.
func Open(ctx context.Context, c Config) (*Authority, error) {
	c.Lifetimes = c.Lifetimes.withDefaults()
	a := &Authority{c: c}
	_, err := os.Lstat(c.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := a.create(ctx); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, core.Wrap(core.KindInternal, "pki.Open", err)
	}
	if err := a.load(); err != nil {
		return nil, err
	}
	return a, nil
}

func (l Lifetimes) withDefaults() Lifetimes {
	for _, f := range []struct {
		have *time.Duration
		want time.Duration
	}{
		{&l.Root, DefaultLifetimes.Root},
		{&l.Intermediate, DefaultLifetimes.Intermediate},
		{&l.Server, DefaultLifetimes.Server},
		{&l.Management, DefaultLifetimes.Management},
		{&l.Workload, DefaultLifetimes.Workload},
	} {
		if *f.have <= 0 {
			*f.have = f.want
		}
	}
	return l
}

// Pins returns the pin of the root and that of the root in reserve.
func (a *Authority) Pins() verify.Pins {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return verify.Pins{verify.PinOf(a.root), verify.PinOf(a.next)}
}

// Issuers returns the intermediate and the root in PEM, as they stand behind
// every leaf.
func (a *Authority) Issuers() []byte {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return encodeCerts(a.ca, a.root)
}

// Issue is the only way to a leaf certificate. It returns the chain in PEM:
// leaf, intermediate, root. The caller has checked that whoever asks may have a
// certificate for these names and holds the key.
func (a *Authority) Issue(ctx context.Context, p verify.Profile, n Names, pub crypto.PublicKey) ([]byte, error) {
	const op = "pki.Issue"
	key, err := checkKey(op, pub)
	if err != nil {
		return nil, err
	}
	t, lifetime, err := a.template(p, n)
	if err != nil {
		return nil, err
	}
	if t.SubjectKeyId, err = keyID(key); err != nil {
		return nil, err
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.key == nil {
		return nil, core.E(core.KindUnavailable, op, "the authority is closed").WithHint("unseal the vault")
	}
	if err := a.clamp(t, lifetime); err != nil {
		return nil, err
	}
	leaf, err := a.record(ctx, p, t, a.ca, key, a.key)
	if err != nil {
		return nil, err
	}
	return encodeCerts(leaf, a.ca, a.root), nil
}

// clamp gives the certificate its time, inside that of its issuer.
func (a *Authority) clamp(t *x509.Certificate, lifetime time.Duration) error {
	now := a.c.Clock.Now().UTC().Truncate(time.Second)
	t.NotBefore, t.NotAfter = now.Add(-backdate), now.Add(lifetime)
	if t.NotBefore.Before(a.ca.NotBefore) {
		t.NotBefore = a.ca.NotBefore
	}
	if t.NotAfter.After(a.ca.NotAfter) {
		t.NotAfter = a.ca.NotAfter
	}
	if !now.Before(t.NotAfter) || now.Before(t.NotBefore) {
		return core.E(core.KindExpired, "pki.Issue", fmt.Sprintf("the intermediate is valid from %s to %s, and it is %s",
			a.ca.NotBefore.Format(time.RFC3339), a.ca.NotAfter.Format(time.RFC3339), now.Format(time.RFC3339))).WithHint("check the server's clock; after that, rotate the intermediate")
	}
	return nil
}

// record writes the issuance down and then signs.
func (a *Authority) record(ctx context.Context, p verify.Profile, t, issuer *x509.Certificate, pub *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "pki.Issue", err)
	}
	sum := sha256.Sum256(spki)
	entry := Issuance{
		Time: a.c.Clock.Now(), Profile: p, Serial: fmt.Sprintf("%032x", t.SerialNumber), Names: namesOf(t),
		SPKI: hex.EncodeToString(sum[:]), NotBefore: t.NotBefore, NotAfter: t.NotAfter, Issuer: hex.EncodeToString(issuer.SubjectKeyId),
	}
	if err := a.c.Recorder.Issued(ctx, entry); err != nil {
		return nil, fmt.Errorf("pki.Issue: nothing was issued, because it could not be recorded: %w", err)
	}
	return sign(t, issuer, pub, signer)
}

func sign(t, issuer *x509.Certificate, pub *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, issuer, pub, signer)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "pki.sign", err)
	}
	c, err := x509.ParseCertificate(der)
	return c, core.Wrap(core.KindInternal, "pki.sign", err)
}

// newSerial returns 128 random bits of which the highest is clear and the next
// one set: positive, never short, 126 bits that nobody can guess.
func newSerial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[0] = b[0]&0x3f | 0x40
	return new(big.Int).SetBytes(b)
}

// checkKey takes the one kind of key that certificates are issued for.
func checkKey(op string, pub crypto.PublicKey) (*ecdsa.PublicKey, error) {
	key, ok := pub.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("certificates are issued for ECDSA P-256 keys, not for %T", pub))
	}
	if _, err := key.ECDH(); err != nil { // the point is on the curve
		return nil, core.Wrap(core.KindInvalid, op, err)
	}
	return key, nil
}

// keyID is the key identifier of RFC 7093: the first 160 bits of the SHA-256 of
// the key.
func keyID(pub *ecdsa.PublicKey) ([]byte, error) {
	point, err := pub.Bytes()
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "pki.keyID", err)
	}
	sum := sha256.Sum256(point)
	return sum[:20], nil
}
