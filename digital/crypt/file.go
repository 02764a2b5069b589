package crypt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/interlock-security/interlock/core"
)

// The keyring file, version 1:
//
//	4  magic "ILK" and the version, 1
//	1  length of the name
//	n  name
//	m  the rest: what the KEK made of the plain keyring, with the bytes
//	   before it as context
//
// The plain keyring: 32 bytes derivation key, then 49 bytes for each key,
// oldest first: id 8, state 1, created 8 (microseconds), key 32. States stand
// inside, so nobody who merely writes to the disk sets a key back to active.
const (
	ringMagic   = "ILK\x01"
	maxName     = 32
	maxKeys     = 1024
	keyLen      = keyIDLen + 1 + 8 + dataKeyLen
	maxRingFile = 1 << 20
)

type ring struct {
	name   string
	derive core.Secret
	keys   []ringKey
	wiped  bool
}

type ringKey struct {
	id      KeyID
	state   KeyState
	created time.Time
	bytes   core.Secret
}

func (r *ring) active() (ringKey, error) {
	if r.wiped {
		return ringKey{}, errWiped("crypt.Seal")
	}
	for _, e := range r.keys {
		if e.state == Active {
			return e, nil
		}
	}
	return ringKey{}, core.E(core.KindConflict, "crypt.Seal", fmt.Sprintf("keyring %s has no active key", r.name)).WithHint("rotate the keyring")
}

func (r *ring) keyOf(op string, sealed []byte) (ringKey, error) {
	if r.wiped {
		return ringKey{}, errWiped(op)
	}
	h, err := ParseHeader(sealed)
	if err != nil {
		return ringKey{}, err
	}
	for _, e := range r.keys {
		if e.id == h.Key {
			return e, nil
		}
	}
	return ringKey{}, core.E(core.KindNotFound, op, fmt.Sprintf("the value was sealed by key %s, which keyring %s does not hold", h.Key, r.name))
}

func errWiped(op string) error {
	return core.E(core.KindUnavailable, op, "the keyring is closed").WithHint("unseal it")
}

func encodeFile(r ring, kek KEK) ([]byte, error) {
	head := append([]byte(ringMagic), byte(len(r.name)))
	head = append(head, r.name...)
	plain := encodeRing(r)
	defer clear(plain)
	wrapped, err := kek.Wrap(plain, head)
	if err != nil {
		return nil, err
	}
	return append(head, wrapped...), nil
}

func decodeFile(b []byte, name string, kek KEK) (ring, error) {
	const op = "crypt.OpenKeyring"
	want := append([]byte(ringMagic), byte(len(name)))
	want = append(want, name...)
	if len(b) < len(want) || string(b[:len(want)]) != string(want) {
		return ring{}, core.E(core.KindDamaged, op, fmt.Sprintf("this is not keyring %q of version 1", name))
	}
	plain, err := kek.Unwrap(b[len(want):], want)
	if err != nil {
		return ring{}, err
	}
	defer clear(plain)
	return decodeRing(plain, name)
}

func encodeRing(r ring) []byte {
	out := make([]byte, 0, dataKeyLen+len(r.keys)*keyLen)
	out = append(out, r.derive.Reveal()...)
	for _, e := range r.keys {
		out = append(out, e.id[:]...)
		out = append(out, stateByte(e.state))
		out = binary.BigEndian.AppendUint64(out, uint64(e.created.UnixMicro()))
		out = append(out, e.bytes.Reveal()...)
	}
	return out
}

func decodeRing(b []byte, name string) (ring, error) {
	const op = "crypt.decodeRing"
	n := (len(b) - dataKeyLen) / keyLen
	if n < 1 || n > maxKeys || len(b) != dataKeyLen+n*keyLen {
		return ring{}, core.E(core.KindDamaged, op, fmt.Sprintf("a keyring cannot have %d bytes", len(b)))
	}
	r := ring{name: name, derive: copySecret(b[:dataKeyLen]), keys: make([]ringKey, 0, n)}
	seen := map[KeyID]bool{}
	active := 0
	for rest := b[dataKeyLen:]; len(rest) > 0; rest = rest[keyLen:] {
		e, err := decodeKey(rest[:keyLen])
		if err != nil {
			return ring{}, err
		}
		if e.state == Active {
			active++
		}
		if seen[e.id] || active > 1 {
			return ring{}, core.E(core.KindDamaged, op, fmt.Sprintf("key %s stands there twice or is a second active key", e.id))
		}
		seen[e.id] = true
		r.keys = append(r.keys, e)
	}
	return r, nil
}

func decodeKey(b []byte) (ringKey, error) {
	s := int(b[keyIDLen])
	if s >= len(KeyStates) {
		return ringKey{}, core.E(core.KindDamaged, "crypt.decodeKey", fmt.Sprintf("key state %d is not known", s))
	}
	micros := int64(binary.BigEndian.Uint64(b[keyIDLen+1:]))
	return ringKey{
		id:      KeyID(b[:keyIDLen]),
		state:   KeyStates[s],
		created: time.UnixMicro(micros).UTC(),
		bytes:   copySecret(b[keyLen-dataKeyLen:]),
	}, nil
}

func stateByte(s KeyState) byte {
	for i, w := range KeyStates {
		if w == s {
			return byte(i)
		}
	}
	return 0xff // unreachable: every state in memory came from KeyStates
}

func copySecret(b []byte) core.Secret { return core.NewSecret(append([]byte(nil), b...)) }

func checkName(op, name string) error {
	if name == "" || len(name) > maxName {
		return core.E(core.KindInvalid, op, fmt.Sprintf("a keyring's name has 1 to %d bytes, this has %d", maxName, len(name)))
	}
	return nil
}

// readPrivate reads a file of ours that holds key material. A file that others
// may read is refused: it is no secret any more.
func readPrivate(op, path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &core.Error{Kind: core.KindNotFound, Op: op, Err: err}
	}
	if err != nil {
		return nil, core.Wrap(core.KindInternal, op, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, core.Wrap(core.KindInternal, op, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, core.E(core.KindDenied, op, fmt.Sprintf("%s has mode %s; only its owner may read it", path, info.Mode())).WithHint("chmod 600 " + path + ", and ask who has read it")
	}
	if info.Size() > limit {
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("%s has %d bytes, at most %d are allowed", path, info.Size(), limit))
	}
	b, err := io.ReadAll(io.LimitReader(f, limit))
	return b, core.Wrap(core.KindInternal, op, err)
}
