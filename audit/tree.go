package audit

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/wal"
)

// frontier is the right edge of the tree: the root of each perfect subtree,
// largest first, at most 64. It is all that is needed to append and to know
// the root.
type frontier struct {
	size  uint64
	roots []tlog.Hash
}

// push adds a leaf and appends to stored the hashes that it completes, in the
// order of tlog.StoredHashIndex.
func (f *frontier) push(leaf tlog.Hash, stored []tlog.Hash) []tlog.Hash {
	stored = append(stored, leaf)
	h := leaf
	for n := f.size; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(f.roots[len(f.roots)-1], h)
		f.roots = f.roots[:len(f.roots)-1]
		stored = append(stored, h)
	}
	f.roots = append(f.roots, h)
	f.size++
	return stored
}

// root is the RFC 6962 tree head.
func (f *frontier) root() tlog.Hash {
	if len(f.roots) == 0 {
		h, _ := tlog.TreeHash(0, nil) // SHA-256 of nothing
		return h
	}
	h := f.roots[len(f.roots)-1]
	for i := len(f.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(f.roots[i], h)
	}
	return h
}

func (f *frontier) clone() frontier { return frontier{f.size, slices.Clone(f.roots)} }

// frameRef says where the entries from first on stand.
type frameRef struct {
	first  uint64
	offset int64
}

// span is what the tree knows of one segment of the WAL. The last segment's
// hashes are in memory; a closed one's are in its sidecar file, which can be
// made again from the segment at any time.
type span struct {
	segment uint64
	first   uint64 // index of its first entry
	edge    frontier
	outbox  uint64 // last outbox number up to its end
	frames  []frameRef
	hashes  hashes   // empty once they are in the sidecar
	side    *sidecar // nil while they are in memory
}

// hashes grows in blocks, because copying megabytes while growing would stall
// a commit.
type hashes struct {
	blocks [][]tlog.Hash
	count  int64
}

const hashBlock = 4096

func (h *hashes) append(more []tlog.Hash) {
	for _, x := range more {
		if h.count%hashBlock == 0 {
			h.blocks = append(h.blocks, make([]tlog.Hash, 0, hashBlock))
		}
		last := &h.blocks[len(h.blocks)-1]
		*last = append(*last, x)
		h.count++
	}
}

func (h *hashes) at(i int64) tlog.Hash { return h.blocks[i/hashBlock][i%hashBlock] }

func storedCount(entries uint64) int64 { return tlog.StoredHashCount(int64(entries)) }

// tree holds every hash of the log, most of them on disk.
type tree struct {
	mu    sync.RWMutex
	spans []*span
}

// size returns how many entries the tree covers.
func (t *tree) size() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.spans[len(t.spans)-1].edge.size
}

// outbox returns the last outbox number.
func (t *tree) outbox() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.spans[len(t.spans)-1].outbox
}

// at returns the span that holds entry index; the caller holds mu.
func (t *tree) at(index uint64) *span {
	i := sort.Search(len(t.spans), func(i int) bool { return t.spans[i].edge.size > index })
	if i == len(t.spans) {
		return nil
	}
	return t.spans[i]
}

// frame returns where the frame with entry index stands and which entry that
// frame begins with.
func (t *tree) frame(index uint64) (wal.Pos, uint64, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := t.at(index)
	if s == nil {
		return wal.Pos{}, 0, core.E(core.KindNotFound, "audit", fmt.Sprintf("there is no entry %d", index))
	}
	ref, err := s.frame(index)
	return wal.Pos{Segment: s.segment, Offset: ref.offset}, ref.first, err
}

func (s *span) frame(index uint64) (frameRef, error) {
	if s.side != nil {
		return s.side.frame(index)
	}
	i := sort.Search(len(s.frames), func(i int) bool { return s.frames[i].first > index })
	if i == 0 {
		return frameRef{}, core.E(core.KindNotFound, "audit", fmt.Sprintf("there is no entry %d", index))
	}
	return s.frames[i-1], nil
}

// ReadHashes implements tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		k := sort.Search(len(t.spans), func(k int) bool { return storedCount(t.spans[k].edge.size) > x })
		if k == len(t.spans) || x < 0 {
			return nil, core.E(core.KindNotFound, "audit", fmt.Sprintf("the tree has no hash %d", x))
		}
		s := t.spans[k]
		local := x - storedCount(s.first)
		if s.side == nil {
			out[i] = s.hashes.at(local)
			continue
		}
		var err error
		if out[i], err = s.side.hash(local); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// extend publishes what a durable frame added. It returns the span that is
// complete now and has no sidecar yet.
func (t *tree) extend(at wal.Pos, first uint64, edge frontier, outbox uint64, added []tlog.Hash) (closed *span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.spans[len(t.spans)-1]
	if last.segment != at.Segment {
		if last.side == nil {
			closed = last
		}
		last = &span{segment: at.Segment, first: first, outbox: last.outbox}
		t.spans = append(t.spans, last)
	}
	last.frames = append(last.frames, frameRef{first, at.Offset})
	last.hashes.append(added)
	last.edge = edge
	last.outbox = max(last.outbox, outbox)
	return closed
}

// toDisk replaces a closed span's hashes in memory by its sidecar.
func (t *tree) toDisk(s *span, side *sidecar) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.side, s.hashes, s.frames = side, hashes{}, nil
}

func (t *tree) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, s := range t.spans {
		if s.side != nil {
			errs = append(errs, s.side.close())
		}
	}
	return errors.Join(errs...)
}

// prove returns the inclusion path of entry index in the tree of size.
func (t *tree) prove(index, size uint64) (tlog.RecordProof, error) {
	if size > t.size() || index >= size {
		return nil, core.E(core.KindNotFound, "audit", fmt.Sprintf("there is no entry %d in a tree of %d", index, size))
	}
	p, err := tlog.ProveRecord(int64(size), int64(index), t)
	return p, core.Wrap(core.KindUnavailable, "audit", err)
}

// rootAt returns the root that the tree had at a size.
func (t *tree) rootAt(size uint64) (tlog.Hash, error) {
	if size > t.size() {
		return tlog.Hash{}, core.E(core.KindNotFound, "audit", fmt.Sprintf("the log has %d entries, not %d", t.size(), size))
	}
	h, err := tlog.TreeHash(int64(size), t)
	return h, core.Wrap(core.KindUnavailable, "audit", err)
}
