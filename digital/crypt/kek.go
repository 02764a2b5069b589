package crypt

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// KEK is a key-encryption key: what opens a keyring file. TPM, PKCS#11 and
// split keys are further implementations.
type KEK interface {
	// Wrap encrypts and authenticates plain and authenticates context.
	Wrap(plain, context []byte) ([]byte, error)
	// Unwrap undoes Wrap. A wrong key and changed bytes are both an error of
	// kind core.KindDamaged; bytes that another kind of KEK wrapped are of
	// kind core.KindConflict.
	Unwrap(wrapped, context []byte) ([]byte, error)
}

// The first byte of wrapped bytes says what wrapped them.
const (
	kekFile       = 1
	kekPassphrase = 2
)

const (
	labelFileKEK       = "interlock crypt v1 file kek"
	labelPassphraseKEK = "interlock crypt v1 passphrase kek"
	keyFilePrefix      = "interlock-kek-v1 "
	maxKeyFile         = 256
	argonParams        = 4 + 4 + 1
	argonSalt          = 16
)

// fileKEK is a random key in a file of its own. KEKs are pointers: fmt follows
// none inside a struct, so a holder of one can be printed without harm.
type fileKEK struct{ key core.Secret }

// NewFileKEK makes a key file at path, which must not exist, and returns its
// KEK. The file is one line of text, mode 0600.
func NewFileKEK(path string) (KEK, error) {
	const op = "crypt.NewFileKEK"
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, core.E(core.KindConflict, op, fmt.Sprintf("%s exists already", path))
	}
	k := randomKey()
	line := []byte(keyFilePrefix + hex.EncodeToString(k.Reveal()) + "\n")
	defer clear(line)
	if err := atomicfile.WriteFile(path, line, 0o600); err != nil {
		return nil, core.Wrap(core.KindInternal, op, err)
	}
	return &fileKEK{k}, nil
}

// FileKEK reads a key file that [NewFileKEK] made.
func FileKEK(path string) (KEK, error) {
	const op = "crypt.FileKEK"
	b, err := readPrivate(op, path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	k, err := parseKeyFile(b)
	if err != nil {
		return nil, core.E(core.KindDamaged, op, fmt.Sprintf("%s is not a key file of version 1", path))
	}
	return &fileKEK{core.NewSecret(k)}, nil
}

// parseKeyFile says nothing of what it read: the error could carry key bytes.
func parseKeyFile(b []byte) ([]byte, error) {
	text, ok := strings.CutPrefix(string(b), keyFilePrefix)
	text, nl := strings.CutSuffix(text, "\n")
	if !ok || !nl || len(text) != 2*dataKeyLen || strings.ToLower(text) != text {
		return nil, core.E(core.KindDamaged, "crypt.parseKeyFile", "malformed")
	}
	k := make([]byte, dataKeyLen)
	if _, err := hex.Decode(k, []byte(text)); err != nil {
		return nil, core.E(core.KindDamaged, "crypt.parseKeyFile", "malformed")
	}
	return k, nil
}

// openFileKEK makes the file only where the caller says that nothing was sealed
// under it yet. A crash between key file and keyring leaves a key file without
// a keyring, which is then taken as it is.
func openFileKEK(path string, mayCreate bool) (KEK, error) {
	kek, err := FileKEK(path)
	if core.KindOf(err) != core.KindNotFound {
		return kek, err
	}
	if mayCreate {
		return NewFileKEK(path)
	}
	return nil, fmt.Errorf("the keyring is there but its key file is not: %w", err)
}

// String names the kind and nothing else.
func (*fileKEK) String() string { return "key file" }

func (k *fileKEK) Wrap(plain, context []byte) ([]byte, error) {
	return gcmSeal(k.key.Reveal(), []byte{kekFile}, plain, aad(labelFileKEK, context, ""))
}

func (k *fileKEK) Unwrap(wrapped, context []byte) ([]byte, error) {
	rest, err := cutKind(wrapped, kekFile)
	if err != nil {
		return nil, err
	}
	plain, err := gcmOpen(k.key.Reveal(), rest, aad(labelFileKEK, context, ""))
	if err != nil {
		return nil, core.E(core.KindDamaged, "crypt.FileKEK", "the keyring does not open with this key file: one of the two was changed or replaced")
	}
	return plain, nil
}

// argonCost is what a guess of the passphrase costs: RFC 9106, second
// recommended option. The cost is written beside what it wrapped; reading
// accepts up to the bounds of checkCost, so that a changed file can't ask for
// all memory.
type argonCost struct {
	time, memory uint32 // passes; KiB
	threads      uint8
}

var argonDefault = argonCost{time: 3, memory: 64 << 10, threads: 4}

func (c argonCost) check() error {
	if c.time < 1 || c.time > 16 || c.memory < 8<<10 || c.memory > 1<<20 || c.threads < 1 || c.threads > 16 {
		return core.E(core.KindDamaged, "crypt.PassphraseKEK", fmt.Sprintf("argon2id cost %d/%d/%d is out of bounds", c.time, c.memory, c.threads))
	}
	return nil
}

// MinPassphrase is the shortest passphrase that is taken, in bytes.
const MinPassphrase = 12

type passphraseKEK struct{ passphrase core.Secret }

// PassphraseKEK seals by a passphrase, stretched by argon2id. It does not run
// where only FIPS 140 algorithms may.
func PassphraseKEK(passphrase core.Secret) (KEK, error) {
	if n := len(passphrase.Reveal()); n < MinPassphrase || n > 1024 {
		return nil, core.E(core.KindInvalid, "crypt.PassphraseKEK", fmt.Sprintf("a passphrase has %d to 1024 bytes, this has %d", MinPassphrase, n))
	}
	return &passphraseKEK{passphrase}, nil
}

// String names the kind and nothing else.
func (*passphraseKEK) String() string { return "passphrase" }

func (k *passphraseKEK) Wrap(plain, context []byte) ([]byte, error) {
	head := []byte{kekPassphrase}
	head = binary.BigEndian.AppendUint32(head, argonDefault.time)
	head = binary.BigEndian.AppendUint32(head, argonDefault.memory)
	head = append(head, argonDefault.threads)
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt)
	head = append(head, salt...)
	key := k.stretch(argonDefault, salt)
	defer clear(key)
	return gcmSeal(key, head, plain, aad(labelPassphraseKEK, append(head[:len(head):len(head)], context...), ""))
}

func (k *passphraseKEK) Unwrap(wrapped, context []byte) ([]byte, error) {
	rest, err := cutKind(wrapped, kekPassphrase)
	if err != nil {
		return nil, err
	}
	if len(rest) < argonParams+argonSalt+gcmOverhead {
		return nil, core.E(core.KindDamaged, "crypt.PassphraseKEK", "the wrapped keyring is too short")
	}
	c := argonCost{binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:]), rest[8]}
	if err := c.check(); err != nil {
		return nil, err
	}
	head := wrapped[:1+argonParams+argonSalt]
	key := k.stretch(c, rest[argonParams:argonParams+argonSalt])
	defer clear(key)
	plain, err := gcmOpen(key, wrapped[len(head):], aad(labelPassphraseKEK, append(head[:len(head):len(head)], context...), ""))
	if err != nil {
		return nil, core.E(core.KindDamaged, "crypt.PassphraseKEK", "the keyring does not open: the passphrase is wrong, or the file was changed")
	}
	return plain, nil
}

func (k *passphraseKEK) stretch(c argonCost, salt []byte) []byte {
	return argon2.IDKey(k.passphrase.Reveal(), salt, c.time, c.memory, c.threads, dataKeyLen)
}

func cutKind(wrapped []byte, want byte) ([]byte, error) {
	if len(wrapped) < 1+gcmOverhead {
		return nil, core.E(core.KindDamaged, "crypt.KEK", "the wrapped keyring is too short")
	}
	if wrapped[0] != want {
		return nil, core.E(core.KindConflict, "crypt.KEK", fmt.Sprintf("the keyring is sealed in another way (kind %d, tried %d)", wrapped[0], want)).WithHint("kind 1 is a key file, kind 2 a passphrase")
	}
	return wrapped[1:], nil
}
