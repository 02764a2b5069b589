package link

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
)

// Limits of a receipt.
const (
	// MaxGroup is how many batches may share one audit leaf.
	MaxGroup = 1 << 12
	maxLeaf  = 64 << 10
	maxPath  = 64
)

// DecodeReceipt reads a receipt strictly. Whether it proves anything is
// [VerifyReceipt]'s answer.
func DecodeReceipt(payload []byte) (*Receipt, error) {
	r := new(Receipt)
	if err := DecodeStrict(payload, r); err != nil {
		return nil, fmt.Errorf("link.DecodeReceipt: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

func receiptError(kind core.Kind, format string, args ...any) error {
	return core.E(kind, "link.VerifyReceipt", fmt.Sprintf(format, args...))
}

func (r *Receipt) check() error {
	switch {
	case r.V != 1:
		return receiptError(core.KindInvalid, "version %d of the format, known is 1", r.V)
	case r.Device.IsZero() || !isHex(r.Epoch, idBytes) || r.First == 0 || r.Last < r.First:
		return receiptError(core.KindInvalid, "device, epoch or sequence is malformed")
	case !isHex(r.Batch, sha256.Size):
		return receiptError(core.KindInvalid, "batch %q is not a SHA-256 in lower-case hex", clip(r.Batch))
	case r.GroupSize == 0 || r.GroupSize > MaxGroup || r.GroupIndex >= r.GroupSize:
		return receiptError(core.KindInvalid, "index %d of a group of %d; at most %d are allowed", r.GroupIndex, r.GroupSize, MaxGroup)
	case len(r.Leaf) == 0 || len(r.Leaf) > maxLeaf:
		return receiptError(core.KindInvalid, "leaf of %d bytes, at most %d are allowed", len(r.Leaf), maxLeaf)
	case len(r.Checkpoint) > maxProof:
		return receiptError(core.KindTooLarge, "checkpoint of %d bytes", len(r.Checkpoint))
	}
	for _, path := range [][][]byte{r.GroupPath, r.LeafPath} {
		if _, err := recordProof(path); err != nil {
			return err
		}
	}
	return nil
}

func recordProof(path [][]byte) (tlog.RecordProof, error) {
	if len(path) > maxPath {
		return nil, receiptError(core.KindInvalid, "path of %d hashes", len(path))
	}
	out := make(tlog.RecordProof, len(path))
	for i, h := range path {
		if len(h) != sha256.Size {
			return nil, receiptError(core.KindInvalid, "path hash of %d bytes", len(h))
		}
		out[i] = tlog.Hash(h)
	}
	return out, nil
}

// VerifyReceipt checks that a receipt proves what a device may free its spool
// on: this batch is in the commit group, the group's root is named in an audit
// leaf, the leaf is in the log, and the checkpoint is signed by the log key of
// the trust root. Witnesses come later; a device compares the checkpoints that
// it sees (TRUST F08).
func VerifyReceipt(t *Trust, r *Receipt, batchPayload []byte) error {
	if err := r.check(); err != nil {
		return err
	}
	b, err := DecodeBatch(batchPayload)
	if err != nil {
		return err
	}
	hash := BatchHash(batchPayload)
	if r.Batch != hex.EncodeToString(hash[:]) || r.Device != b.Device || r.Epoch != b.Epoch || r.First != b.First || r.Last != b.Last {
		return receiptError(core.KindDamaged, "the receipt is for batch %s, %d to %d of epoch %s; sent was %x, %d to %d of %s", r.Batch, r.First, r.Last, r.Epoch, hash, b.First, b.Last, b.Epoch)
	}
	if err := r.inGroup(hash); err != nil {
		return err
	}
	cp, err := VerifyCheckpoint(t, r.Checkpoint)
	if err != nil {
		return err
	}
	path, err := recordProof(r.LeafPath)
	if err != nil {
		return err
	}
	return checkInclusion(cp, r.Index, path, r.Leaf)
}

// inGroup checks the path from the batch to the root that the leaf names.
func (r *Receipt) inGroup(batch [32]byte) error {
	kind, object, err := readLeaf(r.Leaf)
	if err != nil {
		return fmt.Errorf("link.VerifyReceipt: leaf: %w", err)
	}
	text, ok := strings.CutPrefix(object, "batch-group/")
	if kind != LeafBatch || !ok || !isHex(text, sha256.Size) {
		return receiptError(core.KindDamaged, "the leaf is of type %q for %q, want %q for a batch-group", clip(kind), clip(object), LeafBatch)
	}
	root, err := hex.DecodeString(text)
	if err != nil {
		return receiptError(core.KindDamaged, "group root %q", clip(text))
	}
	path, err := recordProof(r.GroupPath)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(path, int64(r.GroupSize), tlog.Hash(root), int64(r.GroupIndex), tlog.RecordHash(batch[:])); err != nil {
		return receiptError(core.KindDamaged, "the batch is not in group %s: %v", text, err)
	}
	return nil
}

// GroupRoot is the RFC 6962 root over the hashes of a commit group of batches.
func GroupRoot(batches [][32]byte) [32]byte {
	if len(batches) == 0 {
		return sha256.Sum256(nil)
	}
	return subtree(batches)
}

// GroupPath is the inclusion path of one batch in its group.
func GroupPath(batches [][32]byte, index int) ([][]byte, error) {
	if index < 0 || index >= len(batches) {
		return nil, core.E(core.KindInvalid, "link.GroupPath", fmt.Sprintf("index %d of a group of %d", index, len(batches)))
	}
	path := [][]byte{}
	for len(batches) > 1 {
		k := split(len(batches))
		sibling := batches[k:]
		if index >= k {
			batches, sibling, index = batches[k:], batches[:k], index-k
		} else {
			batches = batches[:k]
		}
		h := subtree(sibling)
		path = append([][]byte{h[:]}, path...)
	}
	return path, nil
}

func subtree(batches [][32]byte) tlog.Hash {
	if len(batches) == 1 {
		return tlog.RecordHash(batches[0][:])
	}
	k := split(len(batches))
	return tlog.NodeHash(subtree(batches[:k]), subtree(batches[k:]))
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}
