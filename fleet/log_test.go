package fleet_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// memoryLog is a transparency log in memory: real tree, real signatures, and
// leaves that hold just the two words which link reads.
type memoryLog struct {
	signer note.Signer
	vkey   string

	mu      sync.Mutex
	entries []audit.Entry
	leaves  [][]byte
	hashes  []tlog.Hash
	signed  map[uint64]audit.Checkpoint
	failed  error
}

func newMemoryLog(t *testing.T) *memoryLog {
	t.Helper()
	skey, vkey, err := note.GenerateKey(nil, origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &memoryLog{signer: s, vkey: vkey, signed: map[uint64]audit.Checkpoint{}}
}

func (l *memoryLog) broken(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
}

func (l *memoryLog) Size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.leaves)
}

func (l *memoryLog) Append(_ context.Context, e audit.Entry) (audit.Result, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return audit.Result{}, l.failed
	}
	leaf, err := json.Marshal(map[string]string{"type": string(e.Type), "object": e.Object, "actor": e.Actor, "action": string(e.Action)})
	if err != nil {
		return audit.Result{}, err
	}
	index := int64(len(l.leaves))
	stored, err := tlog.StoredHashes(index, leaf, l.reader())
	if err != nil {
		return audit.Result{}, err
	}
	l.entries, l.leaves, l.hashes = append(l.entries, e), append(l.leaves, leaf), append(l.hashes, stored...)
	cp, err := l.sign(index + 1)
	return audit.Result{Position: core.Position{Origin: origin, Index: uint64(index)}, Leaf: leaf, Checkpoint: cp.Note, Size: cp.Size}, err
}

func (l *memoryLog) reader() tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			out[i] = l.hashes[at]
		}
		return out, nil
	}
}

func (l *memoryLog) sign(size int64) (audit.Checkpoint, error) {
	root, err := tlog.TreeHash(size, l.reader())
	if err != nil {
		return audit.Checkpoint{}, err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	cp := audit.Checkpoint{Origin: origin, Size: uint64(size), Root: root, Note: signed}
	l.signed[cp.Size] = cp
	return cp, err
}

func (l *memoryLog) Checkpoint() audit.Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signed[uint64(len(l.leaves))]
}

func (l *memoryLog) InclusionPath(index, size uint64) ([][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	proof, err := tlog.ProveRecord(int64(size), int64(index), l.reader())
	path := make([][]byte, len(proof))
	for i, h := range proof {
		path[i] = h[:]
	}
	return path, err
}

func (l *memoryLog) Proof(_ context.Context, at core.Position) ([]byte, error) {
	cp := l.Checkpoint()
	path, err := l.InclusionPath(at.Index, cp.Size)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return link.NewProof(at.Index, path, string(cp.Note), l.leaves[at.Index])
}
