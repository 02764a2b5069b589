package link

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
)

// keyTypes are the keys that may sign: people's and devices'. RSA, DSA, the
// larger curves and certificates are refused; one size of each is enough and
// every further one is another parser.
var keyTypes = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256}

// sshApplication begins the application of every security key made by
// ssh-keygen. A browser can't reach such a key, and a key that a browser can
// reach is refused here (TRUST F02).
const sshApplication = "ssh:"

func isSecurityKey(k ssh.PublicKey) bool {
	return k.Type() == ssh.KeyAlgoSKED25519 || k.Type() == ssh.KeyAlgoSKECDSA256
}

// KeyID names a key as `ssh-keygen -l` does: "SHA256:...".
func KeyID(k ssh.PublicKey) string { return ssh.FingerprintSHA256(k) }

// AuthorizedKey writes a key as one authorized_keys line without comment.
func AuthorizedKey(k ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(k)), "\n")
}

// ParseAuthorizedKey reads exactly what [AuthorizedKey] writes: no options, no
// comment, no blank at either end.
func ParseAuthorizedKey(s string) (ssh.PublicKey, error) {
	const op = "link.ParseAuthorizedKey"
	_, text, ok := strings.Cut(s, " ")
	if !ok || len(s) > maxSSHSig {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("%q is not a public key of the form \"type base64\"", clip(s)))
	}
	blob, err := decodeBase64(text)
	if err != nil {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("%q: not canonical base64", clip(s)))
	}
	key, err := parseKeyBlob(blob)
	if err != nil {
		return nil, err
	}
	if AuthorizedKey(key) != s {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("%q names another type than the key has", clip(s)))
	}
	return key, nil
}

// parseKeyBlob reads a public key in wire form and refuses all types but ours.
func parseKeyBlob(blob []byte) (ssh.PublicKey, error) {
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, core.E(core.KindInvalid, "link.ParseKey", fmt.Sprintf("malformed public key: %v", err))
	}
	if err := checkKey(key, blob); err != nil {
		return nil, err
	}
	return key, nil
}

func checkKey(key ssh.PublicKey, blob []byte) error {
	if !slices.Contains(keyTypes, key.Type()) {
		return core.E(core.KindInvalid, "link.ParseKey", fmt.Sprintf("key type %s is not accepted; accepted are %s", key.Type(), strings.Join(keyTypes, ", ")))
	}
	if !bytes.Equal(key.Marshal(), blob) {
		return core.E(core.KindInvalid, "link.ParseKey", "public key is not in its canonical form")
	}
	if !isSecurityKey(key) {
		return nil
	}
	if app := application(key); !strings.HasPrefix(app, sshApplication) {
		return core.E(core.KindInvalid, "link.ParseKey", fmt.Sprintf("security key of application %q: a web page could use it; accepted is %s...", clip(app), sshApplication))
	}
	return nil
}

// application reads what a security key was made for: the last string of its
// wire form.
func application(key ssh.PublicKey) string {
	ed := struct{ Type, Key, Application string }{}
	if key.Type() == ssh.KeyAlgoSKED25519 && ssh.Unmarshal(key.Marshal(), &ed) == nil {
		return ed.Application
	}
	ec := struct{ Type, Curve, Point, Application string }{}
	if ssh.Unmarshal(key.Marshal(), &ec) == nil {
		return ec.Application
	}
	return ""
}

// sameKey compares public keys.
func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// Signer makes signatures in SSH form. Keys in files, in the keys process, in a
// TPM and in an ssh-agent all look like this.
type Signer interface {
	PublicKey() ssh.PublicKey
	// SignSSH signs data, which is never the payload itself but what
	// PROTOCOL.sshsig puts around its hash.
	SignSSH(data []byte) (*ssh.Signature, error)
}

type sshSigner struct{ s ssh.Signer }

func (s sshSigner) PublicKey() ssh.PublicKey { return s.s.PublicKey() }

func (s sshSigner) SignSSH(data []byte) (*ssh.Signature, error) { return s.s.Sign(rand.Reader, data) }

// NewSigner wraps an [ssh.Signer], which is also what ssh-agent gives
// (agent.Agent's Signers).
func NewSigner(s ssh.Signer) (Signer, error) {
	if err := checkKey(s.PublicKey(), s.PublicKey().Marshal()); err != nil {
		return nil, err
	}
	return sshSigner{s}, nil
}

// NewCryptoSigner wraps an Ed25519 or P-256 key of the standard library's kind.
func NewCryptoSigner(s crypto.Signer) (Signer, error) {
	wrapped, err := ssh.NewSignerFromSigner(s)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "link.NewCryptoSigner", err)
	}
	return NewSigner(wrapped)
}

// ParsePrivateKey reads an OpenSSH private key file; the passphrase may be
// zero. The error never holds a byte of the file.
func ParsePrivateKey(pem []byte, passphrase core.Secret) (Signer, error) {
	var (
		key ssh.Signer
		err error
	)
	if passphrase.IsZero() {
		key, err = ssh.ParsePrivateKey(pem)
	} else {
		key, err = ssh.ParsePrivateKeyWithPassphrase(pem, passphrase.Reveal())
	}
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "link.ParsePrivateKey", err)
	}
	return NewSigner(key)
}
