package link

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	flog "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	fproof "github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
)

// maxProof is the largest proof or checkpoint taken, in bytes; the library
// stops at lines of 64 KiB anyway.
const maxProof = 128 << 10

// Leaf types and objects that this package reads in an audit leaf's clear
// header. The leaf itself belongs to audit; these three words are the whole
// agreement.
const (
	// LeafBatch is the type of the leaf of a commit group of batches, whose
	// object is [BatchGroupObject].
	LeafBatch = "batch"
	// LeafAuthority is the type of the leaf of a trust root, whose object is
	// [RootObject].
	LeafAuthority = "authority"
)

// BatchGroupObject names a commit group: "batch-group/" and its RFC 6962 root.
func BatchGroupObject(root [32]byte) string { return fmt.Sprintf("batch-group/%x", root) }

// RootObject names a trust root by the SHA-256, hex, of its payload.
func RootObject(hash string) string { return "trust-root/" + hash }

// Proven is what a valid proof says.
type Proven struct {
	Index uint64
	Size  uint64
	Root  [32]byte
	// Witnessed holds the times of the witness cosignatures: each is a lower
	// bound of now that the server did not make (TRUST F18). Empty where the
	// trust root names no witness.
	Witnessed []time.Time
}

// Checkpoint is a verified checkpoint of the trust root's log, or of a later log
// of the same line.
type Checkpoint struct {
	Origin    string
	Size      uint64
	Root      [32]byte
	Witnessed []time.Time
	quorum    bool
}

func proofError(kind core.Kind, format string, args ...any) error {
	return core.E(kind, "link.VerifyProof", fmt.Sprintf(format, args...))
}

// VerifyCheckpoint checks a signed note against the trust root's log key and
// origin. A later log of the same line and key is taken too: [Checkpoint.Origin]
// says which it is. It does not ask for the witness quorum, which comes later
// than a receipt does; [VerifyProof] does.
func VerifyCheckpoint(t *Trust, signed string) (*Checkpoint, error) {
	return t.openCheckpoint(signed, t.logNamed(signed))
}

func (t *Trust) openCheckpoint(signed string, log note.Verifier) (*Checkpoint, error) {
	if len(signed) > maxProof {
		return nil, proofError(core.KindTooLarge, "checkpoint of %d bytes", len(signed))
	}
	verifiers := []note.Verifier{log}
	if t.witness != nil {
		verifiers = append(verifiers, t.witness.verifiers...)
	}
	n, err := note.Open([]byte(signed), note.VerifierList(verifiers...))
	if err != nil {
		return nil, proofError(core.KindDamaged, "checkpoint: %v", err)
	}
	out, err := parseCheckpoint(n.Text, log.Name())
	if err != nil {
		return nil, err
	}
	if err := t.readSignatures(out, log, n.Sigs); err != nil {
		return nil, err
	}
	return out, nil
}

// readSignatures demands the log's own signature and notes the witnesses'.
func (t *Trust) readSignatures(c *Checkpoint, log note.Verifier, sigs []note.Signature) error {
	logged := false
	for _, s := range sigs {
		if s.Name == log.Name() && s.Hash == log.KeyHash() {
			logged = true
			continue
		}
		at, err := fnote.CoSigV1Timestamp(s)
		if err != nil {
			return proofError(core.KindDamaged, "cosignature of %s: %v", clip(s.Name), err)
		}
		c.Witnessed = append(c.Witnessed, at)
	}
	if !logged {
		return proofError(core.KindDenied, "the checkpoint is not signed by the log key of trust root %d", t.root.Version)
	}
	c.quorum = t.witness == nil || t.witness.satisfied(sigs)
	return nil
}

func parseCheckpoint(text, origin string) (*Checkpoint, error) {
	var cp flog.Checkpoint
	if _, err := cp.Unmarshal([]byte(text)); err != nil {
		return nil, proofError(core.KindInvalid, "%v", err)
	}
	if len(cp.Hash) != sha256.Size || !strings.HasPrefix(text, string(cp.Marshal())) || int64(cp.Size) < 0 {
		return nil, proofError(core.KindInvalid, "the checkpoint is not in canonical form")
	}
	if cp.Origin != origin {
		return nil, proofError(core.KindDenied, "the checkpoint is of log %q, the trust root's is %q", clip(cp.Origin), origin)
	}
	return &Checkpoint{Origin: origin, Size: cp.Size, Root: [32]byte(cp.Hash)}, nil
}

// NewProof writes a c2sp.org/tlog-proof@v1 text. Extra may hold the leaf, as
// [Trust.Update] wants it.
func NewProof(index uint64, path [][]byte, checkpoint string, extra []byte) ([]byte, error) {
	p := fproof.TLogProof{Index: index, Checkpoint: []byte(checkpoint), ExtraData: extra}
	for _, h := range path {
		if len(h) != sha256.Size {
			return nil, proofError(core.KindInvalid, "path hash of %d bytes", len(h))
		}
		p.Hashes = append(p.Hashes, [32]byte(h))
	}
	return p.Marshal(), nil
}

// VerifyProof checks a c2sp.org/tlog-proof@v1 text: leaf is in the log whose key
// the trust root names and, where it names witnesses, under a checkpoint that a
// quorum of them has cosigned.
func VerifyProof(t *Trust, tlogProof, leaf []byte) (*Proven, error) {
	p, err := parseProof(tlogProof)
	if err != nil {
		return nil, err
	}
	return t.verifyProof(p, leaf, t.log)
}

func (t *Trust) verifyProof(p *fproof.TLogProof, leaf []byte, log note.Verifier) (*Proven, error) {
	cp, err := t.openCheckpoint(string(p.Checkpoint), log)
	if err != nil {
		return nil, err
	}
	if !cp.quorum {
		return nil, core.E(core.KindDenied, "link.VerifyProof", fmt.Sprintf("the checkpoint of size %d lacks the quorum of witnesses that trust root %d names", cp.Size, t.root.Version)).WithHint("wait until the witnesses have cosigned a later checkpoint")
	}
	path := make(tlog.RecordProof, len(p.Hashes))
	for i, h := range p.Hashes {
		path[i] = h
	}
	if err := checkInclusion(cp, p.Index, path, leaf); err != nil {
		return nil, err
	}
	return &Proven{Index: p.Index, Size: cp.Size, Root: cp.Root, Witnessed: cp.Witnessed}, nil
}

// parseProof reads the text and refuses every spelling but the one that
// NewProof writes, because the library forgives several.
func parseProof(text []byte) (*fproof.TLogProof, error) {
	if len(text) > maxProof {
		return nil, proofError(core.KindTooLarge, "proof of %d bytes, at most %d are allowed", len(text), maxProof)
	}
	var p fproof.TLogProof
	if err := p.Unmarshal(text); err != nil {
		return nil, proofError(core.KindInvalid, "%v", err)
	}
	if !bytes.Equal(p.Marshal(), text) {
		return nil, proofError(core.KindInvalid, "the proof is not in canonical form")
	}
	return &p, nil
}

func checkInclusion(cp *Checkpoint, index uint64, path tlog.RecordProof, leaf []byte) error {
	if index >= cp.Size {
		return proofError(core.KindInvalid, "index %d is not in a log of size %d", index, cp.Size)
	}
	if err := tlog.CheckRecord(path, int64(cp.Size), cp.Root, int64(index), tlog.RecordHash(leaf)); err != nil {
		return proofError(core.KindDamaged, "leaf %d is not in the log of size %d: %v", index, cp.Size, err)
	}
	return nil
}

// readLeaf returns type and object of an audit leaf. A leaf is one line of JSON,
// the clear header, and after its newline ciphertext that is no business of
// ours. Keys that differ from these two in case alone are refused, so that no
// other reader can see another leaf.
func readLeaf(leaf []byte) (kind, object string, err error) {
	header, _, _ := bytes.Cut(leaf, []byte("\n"))
	if !utf8.Valid(header) {
		return "", "", proofError(core.KindInvalid, "the leaf's header is not UTF-8")
	}
	p := &parser{data: header}
	err = p.object(anyKeys{}, func(key string, at int) (err error) {
		switch {
		case key == "type":
			kind, err = p.str()
		case key == "object":
			object, err = p.str()
		case strings.EqualFold(key, "type") || strings.EqualFold(key, "object"):
			err = p.fail(at, "key differs in case from one that is read")
		default:
			err = p.skip()
		}
		return err
	})
	if err == nil {
		if p.peek(); p.pos < len(header) {
			err = p.unexpected("the end of the leaf's header")
		}
	}
	return kind, object, err
}

func noteKeyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:])
}
