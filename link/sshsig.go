package link

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
)

// maxSSHSig is the largest signature blob taken; a P-256 security key's is
// about 350 bytes.
const maxSSHSig = 1 << 10

const (
	sshsigMagic   = "SSHSIG"
	sshsigVersion = 1
	sshsigHash    = "sha512"

	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
)

// namespaces is the closed list: nothing is signed or verified outside it, so
// no signature that a person makes for another purpose can mean anything here.
var namespaces = []string{NamespaceOrder, NamespaceApproval, NamespaceRoot, NamespaceBatch}

// Flags of a security key's signature (openssh PROTOCOL.u2f).
const (
	flagUserPresence = 0x01 // touched
	flagUserVerified = 0x04 // PIN or fingerprint
)

// sshsig is a parsed blob (openssh PROTOCOL.sshsig).
type sshsig struct {
	key       ssh.PublicKey
	namespace string
	signature *ssh.Signature
}

// sigBody is what follows the magic and the version in a blob.
type sigBody struct {
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// signedData is what the key signs. The namespace is inside, which is what
// keeps a login from being an approval.
func signedData(namespace string, payload []byte) []byte {
	sum := sha512.Sum512(payload)
	return append([]byte(sshsigMagic), ssh.Marshal(struct {
		Namespace string
		Reserved  string
		Hash      string
		Digest    []byte
	}{namespace, "", sshsigHash, sum[:]})...)
}

func marshalSSHSig(key ssh.PublicKey, namespace string, sig *ssh.Signature) []byte {
	head := binary.BigEndian.AppendUint32([]byte(sshsigMagic), sshsigVersion)
	return append(head, ssh.Marshal(sigBody{key.Marshal(), namespace, "", sshsigHash, ssh.Marshal(sig)})...)
}

func sigError(format string, args ...any) error {
	return core.E(core.KindInvalid, "link.Verify", fmt.Sprintf(format, args...))
}

// parseSSHSig reads a blob strictly: one version, one hash, no reserved bytes,
// known key types only, nothing left over.
func parseSSHSig(blob []byte) (*sshsig, error) {
	if len(blob) > maxSSHSig {
		return nil, core.E(core.KindTooLarge, "link.Verify", fmt.Sprintf("signature of %d bytes, at most %d are allowed", len(blob), maxSSHSig))
	}
	rest, ok := bytes.CutPrefix(blob, []byte(sshsigMagic))
	if !ok || len(rest) < 4 {
		return nil, sigError("not an SSHSIG signature")
	}
	if v := binary.BigEndian.Uint32(rest); v != sshsigVersion {
		return nil, sigError("SSHSIG version %d, known is %d", v, sshsigVersion)
	}
	var body sigBody
	if err := ssh.Unmarshal(rest[4:], &body); err != nil {
		return nil, sigError("malformed SSHSIG: %v", err)
	}
	if body.Hash != sshsigHash {
		return nil, sigError("hash %q, only %s is used", clip(body.Hash), sshsigHash)
	}
	if body.Reserved != "" {
		return nil, sigError("the reserved field is not empty")
	}
	key, err := parseKeyBlob(body.PublicKey)
	if err != nil {
		return nil, err
	}
	sig, err := parseInner(body.Signature, key)
	if err != nil {
		return nil, err
	}
	return &sshsig{key, body.Namespace, sig}, nil
}

// parseInner reads the signature proper. A security key's ends in flags and
// counter; any other has nothing after the blob.
func parseInner(b []byte, key ssh.PublicKey) (*ssh.Signature, error) {
	var sig ssh.Signature
	if err := ssh.Unmarshal(b, &sig); err != nil {
		return nil, sigError("malformed signature: %v", err)
	}
	if sig.Format != key.Type() {
		return nil, sigError("signature of format %q by a key of type %s", clip(sig.Format), key.Type())
	}
	want := 0
	if isSecurityKey(key) {
		want = 5
	}
	if len(sig.Rest) != want {
		return nil, sigError("%d bytes after a signature of format %s, want %d", len(sig.Rest), sig.Format, want)
	}
	return &sig, nil
}

// verify checks the signature in its namespace. x/crypto demands the touch flag
// of security keys.
func (s *sshsig) verify(namespace string, payload []byte) error {
	if !slices.Contains(namespaces, namespace) {
		return core.E(core.KindInternal, "link.Verify", fmt.Sprintf("namespace %q is not one of ours", namespace))
	}
	if s.namespace != namespace {
		return core.E(core.KindDenied, "link.Verify", fmt.Sprintf("signature by %s was made in namespace %q and says nothing in %q", KeyID(s.key), clip(s.namespace), namespace))
	}
	if err := s.key.Verify(signedData(namespace, payload), s.signature); err != nil {
		return core.E(core.KindDenied, "link.Verify", fmt.Sprintf("signature by %s: %v", KeyID(s.key), err))
	}
	return nil
}

// userVerified reports whether the signer was asked for a PIN or fingerprint.
// A key that is a file can't tell; its passphrase is its owner's business.
func (s *sshsig) userVerified() bool {
	return !isSecurityKey(s.key) || s.signature.Rest[0]&flagUserVerified != 0
}

// Sign signs payload in a namespace of the closed list.
func Sign(s Signer, namespace string, payload []byte) (Signature, error) {
	if !slices.Contains(namespaces, namespace) {
		return Signature{}, core.E(core.KindInternal, "link.Sign", fmt.Sprintf("namespace %q is not one of ours", namespace))
	}
	inner, err := s.SignSSH(signedData(namespace, payload))
	if err != nil {
		return Signature{}, core.Wrap(core.KindUnavailable, "link.Sign", err)
	}
	sig := Signature{KeyID: KeyID(s.PublicKey()), Sig: marshalSSHSig(s.PublicKey(), namespace, inner)}
	if _, _, err := Verify(sig, namespace, payload); err != nil {
		return Signature{}, fmt.Errorf("link.Sign: the signer gave a signature that does not verify: %w", err)
	}
	return sig, nil
}

// Verify checks one signature over the payload bytes as received and returns
// the key that made it. Whether that key may say anything is another question:
// see [Trust].
func Verify(sig Signature, namespace string, payload []byte) (ssh.PublicKey, string, error) {
	s, err := sig.parse()
	if err != nil {
		return nil, "", err
	}
	if err := s.verify(namespace, payload); err != nil {
		return nil, "", err
	}
	return s.key, sig.KeyID, nil
}

// parse reads the blob and checks that KeyID names the key in it.
func (s Signature) parse() (*sshsig, error) {
	p, err := parseSSHSig(s.Sig)
	if err != nil {
		return nil, err
	}
	if id := KeyID(p.key); id != s.KeyID {
		return nil, sigError("keyid says %q, the signature is by %s", clip(s.KeyID), id)
	}
	return p, nil
}

// Namespace returns the namespace that the signature claims, unverified.
func (s Signature) Namespace() string {
	if p, err := s.parse(); err == nil {
		return p.namespace
	}
	return ""
}

// Armor writes the signature as `ssh-keygen -Y sign` does.
func (s Signature) Armor() string {
	var out strings.Builder
	out.WriteString(armorBegin + "\n")
	for text := base64.StdEncoding.EncodeToString(s.Sig); text != ""; {
		n := min(70, len(text))
		out.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	out.WriteString(armorEnd + "\n")
	return out.String()
}

// ParseArmored reads what `ssh-keygen -Y sign` wrote.
func ParseArmored(text []byte) (Signature, error) {
	if len(text) > 4*maxSSHSig {
		return Signature{}, core.E(core.KindTooLarge, "link.ParseArmored", fmt.Sprintf("%d bytes are no SSH signature", len(text)))
	}
	body := strings.TrimSuffix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	body, begins := strings.CutPrefix(body, armorBegin+"\n")
	body, ends := strings.CutSuffix(body, "\n"+armorEnd)
	if !begins || !ends {
		return Signature{}, core.E(core.KindInvalid, "link.ParseArmored", "not an armored SSH signature: first or last line is wrong")
	}
	blob, err := decodeBase64(strings.ReplaceAll(body, "\n", ""))
	if err != nil {
		return Signature{}, core.Wrap(core.KindInvalid, "link.ParseArmored", err)
	}
	p, err := parseSSHSig(blob)
	if err != nil {
		return Signature{}, err
	}
	return Signature{KeyID: KeyID(p.key), Sig: blob}, nil
}
