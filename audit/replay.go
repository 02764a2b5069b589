package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/wal"
)

// replay rebuilds a generation's tree from its frames and checks each against
// the checkpoint that was signed with it.
type replay struct {
	g      *generation
	every  bool
	from   wal.Pos
	note   []byte // of the last good frame
	stored []tlog.Hash
	// compare, if set, checks the hashes of each frame against those that the
	// generation works with.
	compare *tree
}

func (r *replay) last() []byte { return r.note }

// useSidecars takes the frontier and hashes of closed segments from their
// sidecars, if the last one's root is the signed one. Otherwise everything is
// read again: a sidecar is a cache and proves nothing by itself.
func (r *replay) useSidecars(segments []uint64) {
	var spans []*span
	next := uint64(0)
	for i, segment := range segments {
		side, err := openSidecar(r.g.sidePath(segment))
		if err != nil {
			break
		}
		if side.segment != segment || segment != uint64(i+1) || side.first != next {
			_ = side.close()
			break
		}
		next = side.edge.size
		spans = append(spans, &span{segment: segment, first: side.first, edge: side.edge, outbox: side.outbox, side: side})
	}
	if len(spans) == 0 {
		return
	}
	r.g.tree.spans = spans
	edge := spans[len(spans)-1].edge
	signed, err := r.g.noteOf(edge.size - 1)
	if err == nil && isCheckpoint(signed, r.g.origin, edge.size, edge.root()) && verifySigned(signed, r.g.verifier) == nil {
		r.note = signed
		r.from = wal.Pos{Segment: spans[len(spans)-1].segment + 1}
		return
	}
	r.g.log.Warn("audit log: the hash files do not fit the log and are made again", slog.String("origin", r.g.origin))
	_ = r.g.tree.close()
	r.g.tree.spans = nil
}

// noteOf returns the checkpoint of the frame that holds entry index.
func (g *generation) noteOf(index uint64) ([]byte, error) {
	at, _, err := g.tree.frame(index)
	if err != nil {
		return nil, err
	}
	b, err := g.wal.ReadAt(at)
	if err != nil {
		return nil, err
	}
	f, err := parseFrame(b)
	return f.note, err
}

// frame takes one commit into the tree.
func (r *replay) frame(at wal.Pos, payload []byte) error {
	f, err := parseFrame(payload)
	if err == nil {
		err = r.take(at, f)
	}
	if err != nil {
		return core.Wrap(core.KindDamaged, "audit", fmt.Errorf("segment %d offset %d: %w", at.Segment, at.Offset, err))
	}
	return nil
}

func (r *replay) take(at wal.Pos, f frame) error {
	last := r.g.tree.spans[len(r.g.tree.spans)-1]
	edge, outbox := last.edge.clone(), last.outbox
	if f.first != edge.size {
		return badFrame(fmt.Sprintf("entry %d stands where entry %d belongs", f.first, edge.size))
	}
	r.stored = r.stored[:0]
	for i, leaf := range f.leaves {
		h, _, err := ParseLeaf(leaf)
		if err != nil {
			return fmt.Errorf("entry %d: %w", f.first+uint64(i), err)
		}
		outbox = max(outbox, h.Outbox)
		r.stored = edge.push(tlog.RecordHash(leaf), r.stored)
	}
	if !isCheckpoint(f.note, r.g.origin, edge.size, edge.root()) {
		return badFrame(fmt.Sprintf("entries %d to %d are not those that the checkpoint was signed over", f.first, edge.size-1))
	}
	if r.every {
		if err := verifySigned(f.note, r.g.verifier); err != nil {
			return err
		}
	}
	if err := r.compared(f.first); err != nil {
		return err
	}
	r.note = append(r.note[:0:0], f.note...)
	if closed := r.g.tree.extend(at, f.first, edge, outbox, r.stored); closed != nil {
		r.closed(closed)
	}
	return nil
}

// compared checks the frame's hashes against the tree in use.
func (r *replay) compared(first uint64) error {
	if r.compare == nil {
		return nil
	}
	base := storedCount(first)
	indexes := make([]int64, len(r.stored))
	for i := range indexes {
		indexes[i] = base + int64(i)
	}
	held, err := r.compare.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i := range held {
		if held[i] != r.stored[i] {
			return badFrame(fmt.Sprintf("the hash file differs from the log at hash %d", indexes[i]))
		}
	}
	return nil
}

// closed writes the sidecar of a segment that was left behind. A check reads
// only.
func (r *replay) closed(s *span) {
	if r.compare != nil {
		s.hashes, s.frames = hashes{}, nil
		return
	}
	if _, err := os.Stat(filepath.Dir(r.g.sidePath(s.segment))); errors.Is(err, os.ErrNotExist) {
		return // a generation that is only read
	}
	r.g.writeSidecar(s)
}

// checkpoint returns the tree head after the last good frame.
func (r *replay) checkpoint() *Checkpoint {
	edge := r.g.tree.spans[len(r.g.tree.spans)-1].edge
	return &Checkpoint{r.g.origin, edge.size, edge.root(), r.note}
}

// run replays the frames up to size and checks the last signature.
func (r *replay) run(ctx context.Context, size uint64) error {
	enough := errors.New("enough")
	err := r.g.wal.Scan(wal.Pos{}, func(at wal.Pos, b []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.g.tree.size() >= size {
			return enough
		}
		return r.frame(at, b)
	})
	if errors.Is(err, enough) {
		return nil
	}
	return err
}
