package app

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// hostKeys are what serve itself holds, opened unattended at start: without
// them nothing could be recorded or stopped after a power cut (TRUST F13). None
// of them can release, issue or sign an order that contains.
type hostKeys struct {
	ring     *crypt.Keyring
	database core.Secret // 32 bytes
	log      core.Secret // ed25519 seed of the audit log
	stop     core.Secret // ed25519 seed; role server-stop
}

func openHostKeys(dir string) (*hostKeys, error) {
	ring, err := crypt.OpenHost(dir)
	if err != nil {
		return nil, err
	}
	k := &hostKeys{ring: ring}
	for name, into := range map[string]*core.Secret{"database": &k.database, "log": &k.log, "stop": &k.stop} {
		if *into, err = sealedKey(ring, dir, name); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// sealedKey reads 32 random bytes from a sealed file, making them on first use.
// A file that is there and does not open is an error, never a reason for a new
// key.
func sealedKey(ring *crypt.Keyring, dir, name string) (core.Secret, error) {
	path, context := filepath.Join(dir, name+".key"), "host/"+name
	sealed, err := os.ReadFile(path)
	if err == nil {
		key, err := ring.Open(sealed, context)
		if err != nil {
			return core.Secret{}, fmt.Errorf("%s: %w", path, err)
		}
		return core.NewSecret(key), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return core.Secret{}, core.Wrap(core.KindUnavailable, "app.sealedKey", err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails since Go 1.24
	if sealed, err = ring.Seal(key, context); err != nil {
		return core.Secret{}, err
	}
	return core.NewSecret(key), atomicfile.WriteFile(path, sealed, 0o600)
}

// stopSigner signs stop orders with the server-stop key.
func (k *hostKeys) stopSigner() (link.Signer, error) {
	return link.NewCryptoSigner(ed25519.NewKeyFromSeed(k.stop.Reveal()))
}

// name tells this server from others by what only it has: its host keys. It is
// the same after every start.
func (k *hostKeys) name() (string, error) {
	signer, err := k.stopSigner()
	if err != nil {
		return "", err
	}
	return link.KeyID(signer.PublicKey()), nil
}
