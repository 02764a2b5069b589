package crypt

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

var _ core.Sealer = (*Keyring)(nil)

// Keyring is a set of versioned keys in one file. It implements [core.Sealer].
// Safe for concurrent use; one process at a time opens the file.
type Keyring struct {
	path string
	kek  KEK

	mu   sync.RWMutex
	ring ring
}

// KeyInfo is what may be shown of a key.
type KeyInfo struct {
	ID      KeyID
	State   KeyState
	Created time.Time
}

// NewKeyring makes a keyring with one active key and writes it to path, which
// must not exist. The name is bound into the file.
func NewKeyring(path, name string, kek KEK, now time.Time) (*Keyring, error) {
	const op = "crypt.NewKeyring"
	if err := checkName(op, name); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, core.E(core.KindConflict, op, fmt.Sprintf("%s exists already", path)).WithHint("a keyring is never written over: what it sealed could not be read again")
	}
	k := &Keyring{path: path, kek: kek, ring: ring{name: name, derive: randomKey(), keys: []ringKey{newKey(Active, now)}}}
	return k, k.save(k.ring)
}

// OpenKeyring reads the keyring at path. A wrong key-encryption key and a
// changed file are both of kind [core.KindDamaged]: they can't be told apart.
func OpenKeyring(path, name string, kek KEK) (*Keyring, error) {
	b, err := readPrivate("crypt.OpenKeyring", path, maxRingFile)
	if err != nil {
		return nil, err
	}
	r, err := decodeFile(b, name, kek)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Keyring{path: path, kek: kek, ring: r}, nil
}

// OpenHost opens the host keyring of a data directory, making its key file and
// the keyring on first use. Nobody needs to be there (TRUST F13). A keyring
// without its key file is an error, never a reason to make a new one.
func OpenHost(dir string) (*Keyring, error) {
	return openOrCreate(dir, "host")
}

// OpenVault is [OpenHost] for the vault keyring with a key file, the seal of
// an installation that has not chosen a passphrase.
func OpenVault(dir string) (*Keyring, error) {
	return openOrCreate(dir, "vault")
}

// The files of a keyring inside its directory.
func ringPath(dir, name string) string { return filepath.Join(dir, name+".keyring") }
func kekPath(dir, name string) string  { return filepath.Join(dir, name+".kek") }

func openOrCreate(dir, name string) (*Keyring, error) {
	path := ringPath(dir, name)
	_, err := os.Lstat(path)
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, core.Wrap(core.KindInternal, "crypt.Open", err)
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return nil, core.Wrap(core.KindInternal, "crypt.Open", err)
	}
	kek, err := openFileKEK(kekPath(dir, name), !exists)
	if err != nil {
		return nil, err
	}
	if exists {
		return OpenKeyring(path, name, kek)
	}
	return NewKeyring(path, name, kek, time.Now())
}

// Seal encrypts plaintext under a fresh data key and binds it to context, which
// must be given again to open. Name in it what the value is and where it
// stands: "tenant/acme/device/press-7/token".
func (k *Keyring) Seal(plaintext []byte, context string) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	active, err := k.ring.active()
	if err != nil {
		return nil, err
	}
	return seal(active.id, active.bytes.Reveal(), plaintext, context)
}

// Open decrypts a value made by Seal with the same context. Anything else, one
// flipped bit included, is an error of kind [core.KindDamaged].
func (k *Keyring) Open(sealed []byte, context string) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	from, err := k.ring.keyOf("crypt.Open", sealed)
	if err != nil {
		return nil, err
	}
	if !from.state.opens() {
		return nil, refuseState("crypt.Open", from.id, from.state)
	}
	return open(from.bytes.Reveal(), sealed, context)
}

// Rewrap returns the same value under the active key. The ciphertext of the
// value is copied, not decrypted.
func (k *Keyring) Rewrap(sealed []byte, context string) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	from, err := k.ring.keyOf("crypt.Rewrap", sealed)
	if err != nil {
		return nil, err
	}
	if !from.state.rewraps() {
		return nil, refuseState("crypt.Rewrap", from.id, from.state)
	}
	active, err := k.ring.active()
	if err != nil {
		return nil, err
	}
	return rewrap(from.bytes.Reveal(), active.id, active.bytes.Reveal(), sealed, context)
}

// Derive returns n bytes (at most 64) that depend on the keyring and purpose
// alone: a database key, a MAC key. Rotate does not change them.
func (k *Keyring) Derive(purpose string, n int) (core.Secret, error) {
	const op = "crypt.Derive"
	if n < 16 || n > 64 {
		return core.Secret{}, core.E(core.KindInvalid, op, fmt.Sprintf("%d bytes asked for; 16 to 64 can be derived", n))
	}
	if err := checkContext(op, purpose); err != nil {
		return core.Secret{}, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.ring.wiped {
		return core.Secret{}, errWiped(op)
	}
	b, err := hkdf.Expand(sha256.New, k.ring.derive.Reveal(), labelDerive+purpose, n)
	if err != nil {
		return core.Secret{}, core.Wrap(core.KindInternal, op, err)
	}
	return core.NewSecret(b), nil
}

// Rotate makes a new active key; the one before it is deactivated, so that it
// still opens what it sealed.
func (k *Keyring) Rotate(now time.Time) (KeyID, error) {
	fresh := newKey(Active, now)
	err := k.change(func(r *ring) error {
		for i := range r.keys {
			if r.keys[i].state == Active {
				r.keys[i].state = Deactivated
			}
		}
		r.keys = append(r.keys, fresh)
		if len(r.keys) > maxKeys {
			return core.E(core.KindTooLarge, "crypt.Rotate", fmt.Sprintf("a keyring holds at most %d keys", maxKeys)).WithHint("rewrap what old keys sealed and destroy them")
		}
		return nil
	})
	return fresh.id, err
}

// SetState moves a key along its life. Destroying wipes the bytes in memory and
// in the file; what the key sealed and was not rewrapped is then lost.
func (k *Keyring) SetState(id KeyID, next KeyState) error {
	const op = "crypt.SetState"
	return k.change(func(r *ring) error {
		i := slices.IndexFunc(r.keys, func(e ringKey) bool { return e.id == id })
		if i < 0 {
			return core.E(core.KindNotFound, op, fmt.Sprintf("there is no key %s in keyring %s", id, r.name))
		}
		if !r.keys[i].state.mayBecome(next) {
			return core.E(core.KindConflict, op, fmt.Sprintf("key %s is %s and cannot become %q", id, r.keys[i].state, next))
		}
		if _, err := r.active(); next == Active && err == nil {
			return core.E(core.KindConflict, op, "another key is active").WithHint("suspend it first, or rotate")
		}
		r.keys[i].state = next
		if next == Destroyed {
			r.keys[i].bytes = core.NewSecret(make([]byte, dataKeyLen))
		}
		return nil
	})
}

// Rekey wraps the keyring file by another key-encryption key. The keys in it,
// and all that they sealed, stay as they are.
func (k *Keyring) Rekey(kek KEK) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.kek
	k.kek = kek
	if err := k.save(k.ring); err != nil {
		k.kek = old
		return err
	}
	return nil
}

// Keys lists the keys, oldest first.
func (k *Keyring) Keys() []KeyInfo {
	k.mu.RLock()
	defer k.mu.RUnlock()
	out := make([]KeyInfo, len(k.ring.keys))
	for i, e := range k.ring.keys {
		out[i] = KeyInfo{ID: e.id, State: e.state, Created: e.created}
	}
	return out
}

// Name returns the name that the keyring was made with.
func (k *Keyring) Name() string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.ring.name
}

// Wipe overwrites the keys in memory; the keyring seals and opens no more.
func (k *Keyring) Wipe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.ring.keys {
		e.bytes.Wipe()
	}
	k.ring.derive.Wipe()
	k.ring = ring{name: k.ring.name, wiped: true}
}

// String says which keyring this is and nothing of what is in it.
func (k *Keyring) String() string { return "keyring " + k.Name() }

// change applies fn to a copy and makes it current only when the file holds it.
func (k *Keyring) change(fn func(*ring) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ring.wiped {
		return errWiped("crypt.change")
	}
	next := k.ring
	next.keys = slices.Clone(k.ring.keys)
	if err := fn(&next); err != nil {
		return err
	}
	if err := k.save(next); err != nil {
		return err
	}
	for i, e := range k.ring.keys {
		if next.keys[i].state == Destroyed {
			e.bytes.Wipe()
		}
	}
	k.ring = next
	return nil
}

func (k *Keyring) save(r ring) error {
	if r.wiped {
		return errWiped("crypt.save")
	}
	b, err := encodeFile(r, k.kek)
	if err != nil {
		return err
	}
	return core.Wrap(core.KindInternal, "crypt.save", atomicfile.WriteFile(k.path, b, 0o600))
}

func newKey(s KeyState, now time.Time) ringKey {
	k := ringKey{state: s, created: now.UTC().Truncate(time.Microsecond), bytes: randomKey()}
	_, _ = rand.Read(k.id[:])
	return k
}

func randomKey() core.Secret {
	b := make([]byte, dataKeyLen)
	_, _ = rand.Read(b)
	return core.NewSecret(b)
}
