package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// Protection says honestly what guards a key.
type Protection string

// The protections. A software key can be copied with the disk: such a device
// gets no device-bound secrets and has no weight as a witness (TRUST F19).
const (
	ProtectionSoftware Protection = "software"
	ProtectionTPM      Protection = "tpm"
)

// Key is the management key: it signs batches and results, proves the device in
// TLS and renews its own certificate, and ends only with retirement. Where
// there is a TPM the private half never leaves it; callers can't tell the
// difference but by Protection.
type Key interface {
	crypto.Signer
	Protection() Protection
}

const (
	keyFile    = "management.key"
	keyContext = "device/management-key"
	maxKeyFile = 16 << 10
)

// softwareKey is a P-256 key in a file, sealed under the host keyring.
type softwareKey struct{ *ecdsa.PrivateKey }

// Protection implements [Key].
func (softwareKey) Protection() Protection { return ProtectionSoftware }

// CreateKey makes the management key in dir. It refuses (kind conflict) where
// there is one: a device that makes itself a second identity is a clone.
func CreateKey(dir string, sealer core.Sealer) (Key, error) {
	path := filepath.Join(dir, keyFile)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return nil, core.E(core.KindConflict, "keystore.CreateKey", "there is already a management key at "+path)
	}
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "keystore.CreateKey", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "keystore.CreateKey", err)
	}
	defer clear(der)
	sealed, err := sealer.Seal(der, keyContext)
	if err != nil {
		return nil, fmt.Errorf("keystore.CreateKey: %w", err)
	}
	if err := atomicfile.WriteFile(path, sealed, 0o600); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "keystore.CreateKey", err)
	}
	return softwareKey{priv}, nil
}

// OpenKey reads the management key. A missing key is of kind not-found, one
// that does not open or is readable by others of kind damaged.
func OpenKey(dir string, sealer core.Sealer) (Key, error) {
	path := filepath.Join(dir, keyFile)
	sealed, err := readPrivate(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	der, err := sealer.Open(sealed, keyContext)
	if err != nil {
		return nil, core.Wrap(core.KindDamaged, "keystore.OpenKey", fmt.Errorf("%s: %w", path, err))
	}
	defer clear(der)
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, core.Wrap(core.KindDamaged, "keystore.OpenKey", fmt.Errorf("%s: %w", path, err))
	}
	priv, ok := key.(*ecdsa.PrivateKey)
	if !ok || priv.Curve != elliptic.P256() {
		return nil, core.E(core.KindDamaged, "keystore.OpenKey", path+" holds no P-256 key")
	}
	return softwareKey{priv}, nil
}

// readPrivate reads a small file that nobody but its owner may touch.
func readPrivate(path string, limit int64) (b []byte, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, core.E(core.KindNotFound, "keystore", "no file "+path)
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "keystore", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "keystore", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, core.E(core.KindDamaged, "keystore", fmt.Sprintf("%s has mode %v, it must be a file with 0600", path, info.Mode())).
			WithHint("find out who changed it; what it holds may be known to others")
	}
	if b, err = io.ReadAll(io.LimitReader(f, limit+1)); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "keystore", err)
	}
	if int64(len(b)) > limit {
		return nil, core.E(core.KindDamaged, "keystore", fmt.Sprintf("%s is over %d bytes", path, limit))
	}
	return b, nil
}
