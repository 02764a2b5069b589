package attack

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// What stands here writes signatures by the specifications (openssh
// PROTOCOL.sshsig and PROTOCOL.u2f, WebAuthn level 3), not by the product's own
// code, which refuses to make the wrong ones.

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// newKey makes an Ed25519 key.
func newKey(t *testing.T) link.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := link.NewCryptoSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sshsigData is what an SSHSIG signature is made over.
func sshsigData(namespace string, payload []byte) []byte {
	sum := sha512.Sum512(payload)
	return append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Digest string }{namespace, "", "sha512", string(sum[:])})...)
}

// sshsigBlob puts any signature into an SSHSIG blob that claims a namespace.
func sshsigBlob(key ssh.PublicKey, namespace string, sig *ssh.Signature) link.Signature {
	head := binary.BigEndian.AppendUint32([]byte("SSHSIG"), 1)
	return link.Signature{KeyID: ssh.FingerprintSHA256(key), Sig: append(head, ssh.Marshal(struct{ PublicKey, Namespace, Reserved, Hash, Signature string }{
		string(key.Marshal()), namespace, "", "sha512", string(ssh.Marshal(sig)),
	})...)}
}

// signAs signs in any namespace, one of ours or not.
func signAs(t *testing.T, s link.Signer, namespace string, payload []byte) link.Signature {
	t.Helper()
	sig, err := s.SignSSH(sshsigData(namespace, payload))
	if err != nil {
		t.Fatal(err)
	}
	return sshsigBlob(s.PublicKey(), namespace, sig)
}

// clientData is what a browser hashes for a login whose challenge is the digest
// of an order.
func clientData(payload []byte) []byte {
	digest := sha256.Sum256(payload)
	return fmt.Appendf(nil, `{"type":"webauthn.get","challenge":%q,"origin":"https://console.example","crossOrigin":false}`, base64.RawURLEncoding.EncodeToString(digest[:]))
}

// login answers a WebAuthn login with an ordinary key: the assertion is over
// authenticator data and client data, put where an approval should be.
func login(t *testing.T, s link.Signer, payload []byte) link.Signature {
	t.Helper()
	rp, client := sha256.Sum256([]byte("console.example")), sha256.Sum256(clientData(payload))
	data := append(append(rp[:], 0x05, 0, 0, 0, 9), client[:]...)
	sig, err := s.SignSSH(data)
	if err != nil {
		t.Fatal(err)
	}
	return sshsigBlob(s.PublicKey(), link.NamespaceApproval, sig)
}

// skKey is a security key in software: what sits behind it is the same chip
// that a browser could ask, with its flags.
type skKey struct {
	private     ed25519.PrivateKey
	application string
	flags       byte
	pub         ssh.PublicKey
}

func newSKKey(t *testing.T, application string) *skKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.ParsePublicKey(ssh.Marshal(struct{ Type, Key, Application string }{ssh.KeyAlgoSKED25519, string(public), application}))
	if err != nil {
		t.Fatal(err)
	}
	return &skKey{private: private, application: application, flags: 0x05, pub: pub}
}

// PublicKey implements link.Signer.
func (k *skKey) PublicKey() ssh.PublicKey { return k.pub }

// SignSSH implements link.Signer.
func (k *skKey) SignSSH(data []byte) (*ssh.Signature, error) {
	message := sha256.Sum256(data)
	return k.assert(k.application, k.pub.Type(), message[:]), nil
}

// assert is what the chip does for whoever asks: rp is the application for ssh,
// the site's name for a browser.
func (k *skKey) assert(rp, format string, messageHash []byte) *ssh.Signature {
	app := sha256.Sum256([]byte(rp))
	tail := []byte{k.flags, 0, 0, 0, 7}
	signed := append(append(app[:], tail...), messageHash...)
	return &ssh.Signature{Format: format, Blob: ed25519.Sign(k.private, signed), Rest: tail}
}

// login answers a WebAuthn login with a security key.
func (k *skKey) login(rp, format string, payload []byte) link.Signature {
	message := sha256.Sum256(clientData(payload))
	return sshsigBlob(k.pub, link.NamespaceApproval, k.assert(rp, format, message[:]))
}

// seal makes an envelope of a payload and signatures, whoever made them.
func seal(t *testing.T, payload []byte, sigs ...link.Signature) []byte {
	t.Helper()
	if sigs == nil {
		sigs = []link.Signature{}
	}
	b, err := link.Encode(&link.Envelope{Payload: payload, Signatures: sigs})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// idOf reads the id of an order.
func idOf(t *testing.T, payload []byte) core.UUID {
	t.Helper()
	o, err := link.DecodeOrder(payload)
	if err != nil {
		t.Fatal(err)
	}
	return o.ID
}
