package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// The files of an authority. A key file is PKCS#8 sealed under "pki/<name>".
const (
	nameRoot         = "root"
	nameNext         = "root-next"
	nameIntermediate = "intermediate"
	maxFile          = 64 << 10
)

func (a *Authority) path(name, suffix string) string { return filepath.Join(a.c.Dir, name+suffix) }

// create makes the authority beside its directory and then renames it into
// place, so that there is a whole one or none. A directory that is there is
// never filled in: a lost file must not become a new CA.
func (a *Authority) create(ctx context.Context) error {
	const op = "pki.create"
	draft := a.c
	draft.Dir += ".new"
	if err := os.RemoveAll(draft.Dir); err != nil {
		return core.Wrap(core.KindInternal, op, err)
	}
	if err := atomicfile.MkdirAll(draft.Dir, 0o700); err != nil {
		return core.Wrap(core.KindInternal, op, err)
	}
	if err := (&Authority{c: draft}).fill(ctx); err != nil {
		return err
	}
	if err := os.Rename(draft.Dir, a.c.Dir); err != nil {
		return core.Wrap(core.KindInternal, op, err)
	}
	return core.Wrap(core.KindInternal, op, atomicfile.SyncDir(filepath.Dir(a.c.Dir)))
}

// fill makes both roots and the first intermediate.
func (a *Authority) fill(ctx context.Context) error {
	root, rootKey, err := a.createRoot(ctx, nameRoot, "root 1")
	if err != nil {
		return err
	}
	if _, _, err := a.createRoot(ctx, nameNext, "root 2"); err != nil {
		return err
	}
	key, err := a.newKey(nameIntermediate)
	if err != nil {
		return err
	}
	t, err := a.caTemplate("intermediate 1", a.c.Lifetimes.Intermediate, &key.PublicKey)
	if err != nil {
		return err
	}
	t.MaxPathLen, t.MaxPathLenZero = 0, true
	// The root could sign for any use; what hangs from the intermediate is
	// TLS alone.
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if t.NotAfter.After(root.NotAfter) {
		t.NotAfter = root.NotAfter
	}
	c, err := a.record(ctx, "intermediate", t, root, &key.PublicKey, rootKey)
	if err != nil {
		return err
	}
	return a.saveCert(nameIntermediate, c)
}

func (a *Authority) createRoot(ctx context.Context, name, title string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := a.newKey(name)
	if err != nil {
		return nil, nil, err
	}
	t, err := a.caTemplate(title, a.c.Lifetimes.Root, &key.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	t.MaxPathLen = 1
	t.AuthorityKeyId = t.SubjectKeyId
	c, err := a.record(ctx, "root", t, t, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	return c, key, a.saveCert(name, c)
}

func (a *Authority) caTemplate(title string, lifetime time.Duration, pub *ecdsa.PublicKey) (*x509.Certificate, error) {
	id, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	now := a.c.Clock.Now().UTC().Truncate(time.Second)
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		SignatureAlgorithm:    x509.ECDSAWithSHA256,
		Subject:               pkix.Name{Organization: []string{"Interlock"}, CommonName: fmt.Sprintf("%.40s %s", a.c.Name, title)},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		SubjectKeyId:          id,
	}, nil
}

// newKey makes a key and writes it down sealed before anything is signed.
func (a *Authority) newKey(name string) (*ecdsa.PrivateKey, error) {
	const op = "pki.newKey"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, op, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, op, err)
	}
	defer clear(der)
	sealed, err := a.c.Sealer.Seal(der, "pki/"+name)
	if err != nil {
		return nil, err
	}
	return key, core.Wrap(core.KindInternal, op, atomicfile.WriteFile(a.path(name, ".key"), sealed, 0o600))
}

func (a *Authority) loadKey(name string) (*ecdsa.PrivateKey, error) {
	sealed, err := readFile(a.path(name, ".key"))
	if err != nil {
		return nil, err
	}
	der, err := a.c.Sealer.Open(sealed, "pki/"+name)
	if err != nil {
		return nil, fmt.Errorf("pki: key of %s: %w", name, err)
	}
	defer clear(der)
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, core.E(core.KindDamaged, "pki.loadKey", fmt.Sprintf("the key of %s is not an ECDSA key in PKCS#8", name))
	}
	return key, nil
}

func (a *Authority) saveCert(name string, c *x509.Certificate) error {
	return core.Wrap(core.KindInternal, "pki.saveCert", atomicfile.WriteFile(a.path(name, ".pem"), encodeCerts(c), 0o600))
}

// load reads certificates and keys and checks that they belong together. Of the
// keys it holds on to the intermediate's alone.
func (a *Authority) load() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var err error
	if a.root, _, err = a.loadPair(nameRoot); err != nil {
		return err
	}
	if a.next, _, err = a.loadPair(nameNext); err != nil {
		return err
	}
	if a.ca, a.key, err = a.loadPair(nameIntermediate); err != nil {
		return err
	}
	for _, pair := range [][2]*x509.Certificate{{a.ca, a.root}, {a.root, a.root}, {a.next, a.next}} {
		if err := pair[0].CheckSignatureFrom(pair[1]); err != nil {
			return core.Wrap(core.KindDamaged, "pki.load", err)
		}
	}
	return nil
}

// loadPair finds a certificate of another authority put in the place of ours:
// without the keyring nobody makes a key file that fits it.
func (a *Authority) loadPair(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	path := a.path(name, ".pem")
	b, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	c, err := decodeCert(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	key, err := a.loadKey(name)
	if err != nil {
		return nil, nil, err
	}
	if !key.PublicKey.Equal(c.PublicKey) {
		return nil, nil, core.E(core.KindDamaged, "pki.load", fmt.Sprintf("%s is not the certificate of the key beside it", path))
	}
	return c, key, nil
}

// Close forgets the signing key.
func (a *Authority) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.key = nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		return nil, core.E(core.KindTooLarge, "pki.readFile", fmt.Sprintf("%s has %d bytes, at most %d are read", path, info.Size(), maxFile))
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, core.Wrap(core.KindDamaged, "pki.readFile", err)
	}
	return b, core.Wrap(core.KindInternal, "pki.readFile", err)
}

const pemCert = "CERTIFICATE"

func encodeCerts(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: c.Raw})...)
	}
	return out
}

func decodeCert(b []byte) (*x509.Certificate, error) {
	certs, err := verify.ParseChain(b)
	if err != nil {
		return nil, err
	}
	if len(certs) != 1 {
		return nil, core.E(core.KindDamaged, "pki.decodeCert", fmt.Sprintf("%d certificates where one must stand", len(certs)))
	}
	return certs[0], nil
}

// Public reads pins and issuers of the authority in dir without its keys, for
// when the vault is sealed. The error is of kind not-found where there is none.
func Public(dir string) (verify.Pins, []byte, error) {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, core.E(core.KindNotFound, "pki.Public", "there is no authority in "+dir)
	}
	certs := make(map[string]*x509.Certificate, 3)
	for _, name := range []string{nameRoot, nameNext, nameIntermediate} {
		b, err := readFile(filepath.Join(dir, name+".pem"))
		if err != nil {
			return nil, nil, err
		}
		if certs[name], err = decodeCert(b); err != nil {
			return nil, nil, fmt.Errorf("%s in %s: %w", name, dir, err)
		}
	}
	return verify.Pins{verify.PinOf(certs[nameRoot]), verify.PinOf(certs[nameNext])}, encodeCerts(certs[nameIntermediate], certs[nameRoot]), nil
}
