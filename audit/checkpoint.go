package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
)

// Checkpoint is a signed tree head (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [32]byte
	// Note is the signed note.
	Note []byte
}

// maxOrigin leaves room for the succession suffix and an index in a position.
const maxOrigin = 200

// checkOrigin holds origins to what C2SP allows as a key name and we write
// without escaping.
func checkOrigin(origin string) error {
	if origin == "" || len(origin) > maxOrigin {
		return core.E(core.KindInvalid, "audit", fmt.Sprintf("origin has %d bytes, 1 to %d are allowed", len(origin), maxOrigin))
	}
	for i := range len(origin) {
		if c := origin[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("./_-", c) >= 0) {
			return core.E(core.KindInvalid, "audit", fmt.Sprintf("origin %q: %q is not allowed", origin, c))
		}
	}
	return nil
}

// keyHash is the note package's key id of an ed25519 key.
func keyHash(name string, public ed25519.PublicKey) uint32 {
	h := sha256.New()
	_, _ = h.Write([]byte(name + "\n\x01"))
	_, _ = h.Write(public)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// VerifierKey returns the log's public key as a C2SP vkey, which names the
// origin: what stands in a trust root and what public tools take.
func VerifierKey(origin string, seed core.Secret) (string, error) {
	if err := checkOrigin(origin); err != nil {
		return "", err
	}
	if len(seed.Reveal()) != ed25519.SeedSize {
		return "", core.E(core.KindInvalid, "audit.VerifierKey", fmt.Sprintf("a seed has %d bytes, not %d", ed25519.SeedSize, len(seed.Reveal())))
	}
	public := ed25519.NewKeyFromSeed(seed.Reveal()).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(origin, public)
}

// newSigner makes the signer and verifier of one origin.
func newSigner(origin string, seed core.Secret) (note.Signer, note.Verifier, error) {
	vkey, err := VerifierKey(origin, seed)
	if err != nil {
		return nil, nil, err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, nil, core.Wrap(core.KindInvalid, "audit", err)
	}
	public := ed25519.NewKeyFromSeed(seed.Reveal()).Public().(ed25519.PublicKey)
	private := base64.StdEncoding.EncodeToString(append([]byte{1}, seed.Reveal()...))
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, keyHash(origin, public), private))
	return signer, verifier, core.Wrap(core.KindInvalid, "audit", err)
}

// checkpointText is the unsigned body.
func checkpointText(origin string, size uint64, root tlog.Hash) string {
	return origin + "\n" + strconv.FormatUint(size, 10) + "\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
}

func signCheckpoint(signer note.Signer, size uint64, root tlog.Hash) ([]byte, error) {
	n, err := note.Sign(&note.Note{Text: checkpointText(signer.Name(), size, root)}, signer)
	return n, core.Wrap(core.KindInternal, "audit", err)
}

// isCheckpoint reports whether a note, not yet verified, states this tree.
func isCheckpoint(signed []byte, origin string, size uint64, root tlog.Hash) bool {
	return strings.HasPrefix(string(signed), checkpointText(origin, size, root)+"\n")
}

// verifySigned checks the signature of a note.
func verifySigned(signed []byte, v note.Verifier) error {
	if _, err := note.Open(signed, note.VerifierList(v)); err != nil {
		return core.E(core.KindDamaged, "audit", fmt.Sprintf("checkpoint: %v", err))
	}
	return nil
}
