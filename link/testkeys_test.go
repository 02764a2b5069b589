package link_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/link"
)

// edKey makes the same Ed25519 key for the same name, so that golden bytes stay.
func edKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("interlock test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func signerOf(t testing.TB, key crypto.Signer) link.Signer {
	t.Helper()
	s, err := link.NewCryptoSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func edSigner(t testing.TB, name string) link.Signer { t.Helper(); return signerOf(t, edKey(name)) }

func p256Signer(t testing.TB) link.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, key)
}

// securityKey is a FIDO authenticator in software: it makes the signatures that
// openssh PROTOCOL.u2f describes, with the flags it is told to set.
type securityKey struct {
	app   string
	flags byte
	ed    ed25519.PrivateKey
	ec    *ecdsa.PrivateKey
}

func newSecurityKey(t testing.TB, kind, app string, flags byte) *securityKey {
	t.Helper()
	k := &securityKey{app: app, flags: flags}
	var err error
	if kind == "ecdsa" {
		k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *securityKey) wire() []byte {
	if k.ed != nil {
		return ssh.Marshal(struct {
			Type string
			Key  []byte
			App  string
		}{ssh.KeyAlgoSKED25519, k.ed.Public().(ed25519.PublicKey), k.app})
	}
	point, err := k.ec.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return ssh.Marshal(struct {
		Type, Curve string
		Point       []byte
		App         string
	}{ssh.KeyAlgoSKECDSA256, "nistp256", point, k.app})
}

func (k *securityKey) PublicKey() ssh.PublicKey {
	key, err := ssh.ParsePublicKey(k.wire())
	if err != nil {
		panic(err)
	}
	return key
}

func (k *securityKey) SignSSH(data []byte) (*ssh.Signature, error) {
	app, digest := sha256.Sum256([]byte(k.app)), sha256.Sum256(data)
	rest := binary.BigEndian.AppendUint32([]byte{k.flags}, 7)
	signed := append(append(append([]byte(nil), app[:]...), rest...), digest[:]...)
	if k.ed != nil {
		return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.ed, signed), Rest: rest}, nil
	}
	sum := sha256.Sum256(signed)
	r, s, err := ecdsa.Sign(rand.Reader, k.ec, sum[:])
	if err != nil {
		return nil, err
	}
	return &ssh.Signature{Format: ssh.KeyAlgoSKECDSA256, Blob: ssh.Marshal(struct{ R, S *big.Int }{r, s}), Rest: rest}, nil
}

func mustSign(t testing.TB, s link.Signer, namespace string, payload []byte) link.Signature {
	t.Helper()
	sig, err := link.Sign(s, namespace, payload)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}
