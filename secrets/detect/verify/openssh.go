package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"math/big"
)

var errOpenSSH = errors.New("no OpenSSH private key that can be read")

// wire reads the length-prefixed fields of SSH.
type wire struct {
	b  []byte
	ok bool
}

func (w *wire) field() []byte {
	if len(w.b) < 4 {
		w.ok = false
		return nil
	}
	n := binary.BigEndian.Uint32(w.b)
	if uint64(n) > uint64(len(w.b)-4) {
		w.ok = false
		return nil
	}
	f := w.b[4 : 4+n]
	w.b = w.b[4+n:]
	return f
}

func (w *wire) number() *big.Int { return new(big.Int).SetBytes(w.field()) }

func (w *wire) uint() uint32 {
	if len(w.b) < 4 {
		w.ok = false
		return 0
	}
	n := binary.BigEndian.Uint32(w.b)
	w.b = w.b[4:]
	return n
}

// parseOpenSSH reads openssh-key-v1 without a password. The two check numbers
// must agree: that is the format's own proof.
func parseOpenSSH(der []byte) (crypto.Signer, error) {
	rest, ok := bytes.CutPrefix(der, openSSHMagic)
	w := &wire{b: rest, ok: ok}
	cipher := string(w.field())
	w.field() // the derivation's name
	w.field() // and its options
	if n := w.uint(); n != 1 || !w.ok {
		return nil, errOpenSSH
	}
	w.field() // the public half
	inner := &wire{b: w.field(), ok: w.ok}
	if cipher != "none" {
		return nil, ErrEncrypted
	}
	if a, b := inner.uint(), inner.uint(); a != b || !inner.ok {
		return nil, errOpenSSH
	}
	return inner.key(string(inner.field()))
}

func (w *wire) key(kind string) (crypto.Signer, error) {
	switch kind {
	case "ssh-ed25519":
		w.field()
		if k := w.field(); len(k) == ed25519.PrivateKeySize {
			return ed25519.NewKeyFromSeed(k[:ed25519.SeedSize]), nil
		}
	case "ssh-rsa":
		return w.rsa()
	case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521":
		curves := map[string]elliptic.Curve{"nistp256": elliptic.P256(), "nistp384": elliptic.P384(), "nistp521": elliptic.P521()}
		curve := curves[string(w.field())]
		w.field() // the point
		d := w.number()
		if curve == nil || !w.ok {
			return nil, errOpenSSH
		}
		size := (curve.Params().BitSize + 7) / 8
		if d.BitLen() > size*8 {
			return nil, errOpenSSH
		}
		return ecdsa.ParseRawPrivateKey(curve, d.FillBytes(make([]byte, size)))
	}
	return nil, errOpenSSH
}

func (w *wire) rsa() (crypto.Signer, error) {
	n, e, d := w.number(), w.number(), w.number()
	w.number() // the coefficient follows from the primes
	p, q := w.number(), w.number()
	if !w.ok || !e.IsInt64() || e.Int64() > 1<<31-1 || n.BitLen() > 16384 {
		return nil, errOpenSSH
	}
	k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: int(e.Int64())}, D: d, Primes: []*big.Int{p, q}}
	if k.Validate() != nil {
		return nil, errOpenSSH
	}
	k.Precompute()
	return k, nil
}
