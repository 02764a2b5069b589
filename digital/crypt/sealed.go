package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/interlock-security/interlock/core"
)

// A sealed value, version 1. Every length is fixed, so there is one way to
// write a value and one way to read it:
//
//	 4  magic "ILS" and the version, 1
//	 1  suite
//	 8  id of the keyring key that wraps the data key
//	16  salt of the wrapping key
//	60  wrapped data key: nonce 12, ciphertext 32, tag 16
//	12  nonce
//	 n  ciphertext
//	16  tag
//
// The wrapping key is HKDF-Expand(keyring key, label, salt): with the salt and
// the nonce both random there is no number of values after which a keyring key
// must be changed, which a bare random 96-bit nonce would impose.
//
// Associated data of the data key is its label, the header and the context;
// that of the body is its label, magic, version, suite and context. The body
// does not name the keyring key, so that Rewrap may change it; the data key
// does, and the body hangs from the data key.
const (
	sealedMagic   = "ILS\x01"
	keyIDLen      = 8
	saltLen       = 16
	dataKeyLen    = 32
	gcmOverhead   = 12 + 16
	wrappedLen    = dataKeyLen + gcmOverhead
	headerLen     = len(sealedMagic) + 1 + keyIDLen
	saltEnd       = headerLen + saltLen
	bodyStart     = saltEnd + wrappedLen
	minSealed     = bodyStart + gcmOverhead
	maxContext    = 4 << 10
	labelWrapKey  = "interlock crypt v1 wrapping key"
	labelDataKey  = "interlock crypt v1 data key"
	labelBody     = "interlock crypt v1 body"
	labelDerive   = "interlock crypt v1 derive "
	suiteReserved = "suite 2 (XChaCha20-Poly1305) is reserved and not built in"
)

// MaxPlaintext is the largest value that [Keyring.Seal] takes, in bytes.
// Sealing is for values, not for files: it holds the whole value in memory.
const MaxPlaintext = 64 << 20

// Overhead is by how many bytes a sealed value is longer than its plaintext.
const Overhead = minSealed

// Suite is how a value is encrypted; it stands in the header of the value.
type Suite byte

// The suites.
const (
	// SuiteAES256GCM is AES-256-GCM with random nonces, which also works
	// where GODEBUG=fips140=only.
	SuiteAES256GCM Suite = 1
	// SuiteXChaCha20Poly1305 is reserved for machines without AES
	// instructions. Nothing writes it yet and reading it is refused by name.
	SuiteXChaCha20Poly1305 Suite = 2
)

// KeyID names a key of a keyring: 16 lower-case hex digits.
type KeyID [keyIDLen]byte

// String returns the id in hex.
func (id KeyID) String() string { return fmt.Sprintf("%x", id[:]) }

// Header is what can be read of a sealed value without any key.
type Header struct {
	Suite Suite
	Key   KeyID
}

// ParseHeader reads the header of a sealed value and checks that the rest can
// be one. It proves nothing about the value.
func ParseHeader(sealed []byte) (Header, error) {
	const op = "crypt.ParseHeader"
	if len(sealed) < minSealed {
		return Header{}, core.E(core.KindDamaged, op, fmt.Sprintf("a sealed value has at least %d bytes, this has %d", minSealed, len(sealed)))
	}
	if len(sealed) > MaxPlaintext+Overhead {
		return Header{}, core.E(core.KindTooLarge, op, fmt.Sprintf("a sealed value has at most %d bytes, this has %d", MaxPlaintext+Overhead, len(sealed)))
	}
	if string(sealed[:len(sealedMagic)]) != sealedMagic {
		return Header{}, core.E(core.KindDamaged, op, "this is not a sealed value of version 1: its first four bytes differ")
	}
	h := Header{Suite: Suite(sealed[len(sealedMagic)]), Key: KeyID(sealed[headerLen-keyIDLen : headerLen])}
	switch h.Suite {
	case SuiteAES256GCM:
		return h, nil
	case SuiteXChaCha20Poly1305:
		return Header{}, core.E(core.KindInvalid, op, suiteReserved)
	}
	return Header{}, core.E(core.KindDamaged, op, fmt.Sprintf("suite %d is not known", h.Suite))
}

// seal makes a sealed value under one keyring key.
func seal(id KeyID, key, plaintext []byte, context string) ([]byte, error) {
	if err := checkSizes(plaintext, context); err != nil {
		return nil, err
	}
	dataKey := make([]byte, dataKeyLen)
	defer clear(dataKey)
	_, _ = rand.Read(dataKey) // never fails since Go 1.24
	out, err := appendWrapped(make([]byte, 0, minSealed+len(plaintext)), id, key, dataKey, context)
	if err != nil {
		return nil, err
	}
	return gcmSeal(dataKey, out, plaintext, bodyAAD(context))
}

// open undoes seal; it expects a value that ParseHeader took.
func open(key, sealed []byte, context string) ([]byte, error) {
	dataKey, err := unwrapDataKey(key, sealed, context)
	if err != nil {
		return nil, err
	}
	defer clear(dataKey)
	plaintext, err := gcmOpen(dataKey, sealed[bodyStart:], bodyAAD(context))
	if err != nil {
		return nil, notOpening("crypt.Open")
	}
	return plaintext, nil
}

// rewrap moves the data key of a value from one keyring key to another.
func rewrap(oldKey []byte, id KeyID, newKey, sealed []byte, context string) ([]byte, error) {
	dataKey, err := unwrapDataKey(oldKey, sealed, context)
	if err != nil {
		return nil, err
	}
	defer clear(dataKey)
	out, err := appendWrapped(make([]byte, 0, len(sealed)), id, newKey, dataKey, context)
	if err != nil {
		return nil, err
	}
	return append(out, sealed[bodyStart:]...), nil
}

func appendWrapped(out []byte, id KeyID, key, dataKey []byte, context string) ([]byte, error) {
	out = append(out, sealedMagic...)
	out = append(out, byte(SuiteAES256GCM))
	out = append(out, id[:]...)
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt)
	out = append(out, salt...)
	wrapKey, err := wrappingKey(key, salt)
	if err != nil {
		return nil, err
	}
	defer clear(wrapKey)
	return gcmSeal(wrapKey, out, dataKey, dataKeyAAD(out[:headerLen], context))
}

func unwrapDataKey(key, sealed []byte, context string) ([]byte, error) {
	wrapKey, err := wrappingKey(key, sealed[headerLen:saltEnd])
	if err != nil {
		return nil, err
	}
	defer clear(wrapKey)
	dataKey, err := gcmOpen(wrapKey, sealed[saltEnd:bodyStart], dataKeyAAD(sealed[:headerLen], context))
	if err != nil {
		return nil, notOpening("crypt.Open")
	}
	return dataKey, nil
}

func wrappingKey(key, salt []byte) ([]byte, error) {
	k, err := hkdf.Expand(sha256.New, key, labelWrapKey+string(salt), dataKeyLen)
	return k, core.Wrap(core.KindInternal, "crypt.wrappingKey", err)
}

func dataKeyAAD(header []byte, context string) []byte {
	return aad(labelDataKey, header, context)
}

func bodyAAD(context string) []byte {
	return aad(labelBody, append([]byte(sealedMagic), byte(SuiteAES256GCM)), context)
}

// aad is unambiguous: each part stands behind its length.
func aad(label string, header []byte, context string) []byte {
	out := make([]byte, 0, 12+len(label)+len(header)+len(context))
	for _, part := range []string{label, string(header), context} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}

// gcmSeal appends nonce, ciphertext and tag to dst.
func gcmSeal(key, dst, plaintext, ad []byte) ([]byte, error) {
	g, err := gcm(key)
	if err != nil {
		return nil, err
	}
	return g.Seal(dst, nil, plaintext, ad), nil
}

func gcmOpen(key, sealed, ad []byte) ([]byte, error) {
	g, err := gcm(key)
	if err != nil {
		return nil, err
	}
	return g.Open(nil, nil, sealed, ad)
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "crypt.gcm", err)
	}
	g, err := cipher.NewGCMWithRandomNonce(block)
	return g, core.Wrap(core.KindInternal, "crypt.gcm", err)
}

func checkSizes(plaintext []byte, context string) error {
	if len(plaintext) > MaxPlaintext {
		return core.E(core.KindTooLarge, "crypt.Seal", fmt.Sprintf("a value has at most %d bytes, this has %d", MaxPlaintext, len(plaintext)))
	}
	return checkContext("crypt.Seal", context)
}

// checkContext refuses an empty context: a value that is bound to nothing can
// be put anywhere.
func checkContext(op, context string) error {
	if context == "" || len(context) > maxContext {
		return core.E(core.KindInvalid, op, fmt.Sprintf("the context has %d bytes; 1 to %d are allowed", len(context), maxContext))
	}
	return nil
}

func notOpening(op string) error {
	return core.E(core.KindDamaged, op, "the value does not open: it was changed, or it was sealed for another context or by another keyring")
}
