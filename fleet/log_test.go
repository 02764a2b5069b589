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
	// heard is told of every entry, if set.
	heard func(audit.Entry, core.Position)
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
	at := core.Position{Origin: origin, Index: uint64(index)}
	if l.heard != nil {
		l.heard(e, at)
	}
	return audit.Result{Position: at, Leaf: leaf, Checkpoint: cp.Note, Size: cp.Size}, err
}

// history is the log as it is read again: what was appended and what came by the
// outbox, in one order and numbered anew.
type history struct {
	mu    sync.Mutex
	list  []audit.Record
	place map[core.Position]int // of what was appended
	held  bool                  // the outbox waits
	wait  []audit.Record
}

// add takes an entry; one without a position came by the outbox.
func (h *history) add(e audit.Entry, at core.Position) {
	body, err := json.Marshal(e.Body)
	if err != nil {
		panic(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	rec := audit.Record{
		Object: e.Object, Actor: e.Actor, Body: body,
		Header: audit.Header{Type: e.Type, Time: e.Time.UnixMicro(), Actor: e.Actor, Action: e.Action, Object: e.Object, Revision: e.Revision, Outcome: e.Outcome, Class: e.Class},
	}
	if e.Intent != nil {
		rec.Header.Intent = fmt.Sprintf("%s#%d", origin, h.place[*e.Intent])
	}
	if at != (core.Position{}) {
		h.place[at] = h.put(rec)
		return
	}
	if h.wait = append(h.wait, rec); !h.held {
		h.release()
	}
}

func (h *history) put(rec audit.Record) int {
	rec.Position = core.Position{Origin: origin, Index: uint64(len(h.list))}
	h.list = append(h.list, rec)
	return len(h.list) - 1
}

func (h *history) release() {
	for _, rec := range h.wait {
		h.put(rec)
	}
	h.wait = nil
}

// hold keeps what comes by the outbox back until it is let go.
func (h *history) hold(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held = on; !on {
		h.release()
	}
}

func (h *history) since(n int) []audit.Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.list[n:len(h.list):len(h.list)]
}

// Replay implements fleet.History.
func (h *history) Replay(_ context.Context, fn func(audit.Record) error) error {
	for _, rec := range h.since(0) {
		if err := fn(rec); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) Entry(_ context.Context, at core.Position) (audit.Record, error) {
	return h.since(0)[at.Index], nil
}

func (h *history) Checkpoint() audit.Checkpoint {
	return audit.Checkpoint{Origin: origin, Size: uint64(len(h.since(0)))}
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
