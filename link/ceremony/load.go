package ceremony

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

const maxKeyFile = 16 << 10

// LoadRoot reads the signed trust root, unverified; see [LoadTrust].
func LoadRoot(dir string) ([]byte, error) {
	return readOwn(filepath.Join(dir, rootFile), link.MaxEnvelope)
}

// LoadTrust reads this person's own copy of the trust root. Its hash is taken
// from the file itself: the folder is the person's, 0700, and that is the pin.
// Whoever fetches a root from a server must compare it with this one, or let it
// follow by [SaveNext].
func LoadTrust(dir string) (*link.Trust, error) { return loadTrust(filepath.Join(dir, rootFile)) }

func loadTrust(path string) (*link.Trust, error) {
	b, err := readOwn(path, link.MaxEnvelope)
	if err != nil {
		return nil, err
	}
	env, err := link.ParseEnvelope(b)
	if err != nil {
		return nil, fmt.Errorf("ceremony.LoadTrust: %s: %w", path, err)
	}
	hash := link.BatchHash(env.Payload)
	return link.NewTrust(b, hex.EncodeToString(hash[:]))
}

// LoadHistory reads this person's copy of the trust root and those that it
// replaced, newest first: what was signed under one of them stays signed.
func LoadHistory(dir string) ([]*link.Trust, error) {
	t, err := LoadTrust(dir)
	if err != nil {
		return nil, err
	}
	list := []*link.Trust{t}
	for version := t.Root().Version - 1; version > 0; version-- {
		earlier, err := loadTrust(pastFile(dir, version))
		if core.KindOf(err) == core.KindNotFound {
			break // the copy began later
		}
		if err != nil {
			return nil, err
		}
		list = append(list, earlier)
	}
	return list, nil
}

func pastFile(dir string, version uint64) string {
	return filepath.Join(dir, pastDir, fmt.Sprintf("root-%d.json", version))
}

// SaveNext replaces the person's own copy by the next version, and keeps the one
// before under past/, by the rules that devices follow: waited is how long this root has been known here, and a
// recovery is refused until that is its delay, so that the copy and the devices
// go on together.
func SaveNext(dir string, rootEnvelope, proof []byte, waited time.Duration) (*link.Trust, error) {
	t, err := LoadTrust(dir)
	if err != nil {
		return nil, err
	}
	s, err := t.Succeed(rootEnvelope, proof)
	if err != nil {
		return nil, err
	}
	if waited < s.Delay {
		return nil, core.E(core.KindConflict, "ceremony.SaveNext", fmt.Sprintf("trust root %d is signed by recovery keys alone and waits %s more", s.Next.Root().Version, s.Delay-waited))
	}
	err = atomicfile.MkdirAll(filepath.Join(dir, pastDir), 0o700)
	if err == nil {
		err = atomicfile.WriteFile(pastFile(dir, t.Root().Version), t.Envelope(), 0o600)
	}
	if err == nil {
		err = atomicfile.WriteFile(filepath.Join(dir, rootFile), rootEnvelope, 0o600)
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "ceremony.SaveNext", err)
	}
	return s.Next, nil
}

// LoadPersonSigner reads the everyday key of a person.
func LoadPersonSigner(dir, name string) (link.Signer, error) { return loadNamed(dir, keysDir, name) }

// LoadRecoverySigner reads a recovery key that has not been moved off yet. For
// one on a stick use [LoadSigner].
func LoadRecoverySigner(dir, name string) (link.Signer, error) {
	return loadNamed(dir, recoveryDir, name)
}

func loadNamed(dir, sub, name string) (link.Signer, error) {
	if _, err := core.ParseID[core.PersonID](name); err != nil {
		return nil, err
	}
	return LoadSigner(filepath.Join(dir, sub, name))
}

// LoadSigner reads an OpenSSH private key file of ours, or any other of an
// accepted type without a passphrase.
func LoadSigner(path string) (link.Signer, error) {
	b, err := readOwn(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	s, err := link.ParsePrivateKey(b, core.Secret{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// RecoveryKeysPresent lists the recovery keys that still lie here. None should,
// once the ceremony is over: whoever takes this machine would take them too.
func RecoveryKeysPresent(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, recoveryDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "ceremony.RecoveryKeysPresent", err)
	}
	var out []string
	for _, e := range entries {
		private, err := holdsPrivateKey(filepath.Join(dir, recoveryDir, e.Name()))
		if err != nil {
			return nil, err
		}
		if private {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// holdsPrivateKey looks at the content, so that a renamed key is still seen.
func holdsPrivateKey(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, core.Wrap(core.KindUnavailable, "ceremony.RecoveryKeysPresent", err)
	}
	head := make([]byte, 1<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, core.Wrap(core.KindUnavailable, "ceremony.RecoveryKeysPresent", errors.Join(err, f.Close()))
	}
	private := bytes.Contains(head[:n], []byte("PRIVATE KEY-----"))
	clear(head)
	return private, f.Close()
}

// readOwn reads a file that nobody but its owner may read or write, as ssh
// demands of keys.
func readOwn(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, core.E(core.KindNotFound, "ceremony.Load", path+" does not exist").WithHint("hold the first-run ceremony with `interlock root init`, or name the folder with the keys")
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "ceremony.Load", err)
	}
	b, err := readChecked(f, path, limit)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return b, nil
}

func readChecked(f *os.File, path string, limit int64) ([]byte, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, core.Wrap(core.KindUnavailable, "ceremony.Load", err)
	case !info.Mode().IsRegular():
		return nil, core.E(core.KindInvalid, "ceremony.Load", path+" is not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, core.E(core.KindDenied, "ceremony.Load", fmt.Sprintf("%s has mode %#o; others could read or replace it", path, info.Mode().Perm())).WithHint("chmod 600 " + quoteShell(path))
	case info.Size() > limit:
		return nil, core.E(core.KindTooLarge, "ceremony.Load", fmt.Sprintf("%s has %d bytes, at most %d are allowed", path, info.Size(), limit))
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

func quoteShell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
