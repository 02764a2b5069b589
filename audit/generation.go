package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/wal"
)

// generation is one log: one origin, one tree, one folder. A Log is a chain of
// them: the first, and after each damage what was recorded meanwhile and the
// successor.
type generation struct {
	number   int
	dir      string
	origin   string
	signer   note.Signer
	verifier note.Verifier
	wal      *wal.Log
	tree     *tree
	latest   atomic.Pointer[Checkpoint]
	log      *slog.Logger

	// The writer's own, guarded by Log.writing.
	edge   frontier
	outbox uint64
	stored []tlog.Hash

	opening  sync.Mutex
	sidecars sync.WaitGroup
}

func (g *generation) walDir() string { return filepath.Join(g.dir, "wal") }

func (g *generation) sidePath(segment uint64) string {
	return filepath.Join(g.dir, "hashes", fmt.Sprintf("%016d.side", segment))
}

// openToWrite opens a generation that is whole. Damage is core.KindDamaged,
// and nothing was changed but a torn tail, which was kept aside.
func (g *generation) openToWrite(o wal.Options) (err error) {
	if err := atomicfile.MkdirAll(filepath.Join(g.dir, "hashes"), 0o700); err != nil {
		return core.Wrap(core.KindUnavailable, "audit.Open", err)
	}
	o.OnTorn = g.keepTorn
	if g.wal, err = wal.Open(g.walDir(), o); err != nil {
		g.wal = nil
		return err
	}
	if err := g.recover(false); err != nil {
		err = errors.Join(err, g.close())
		g.wal = nil
		return err
	}
	return nil
}

// openToRead opens what can be read of a generation: the entries up to the
// first that fails its proof.
func (g *generation) openToRead() (err error) {
	if g.wal, err = wal.OpenRead(g.walDir()); err != nil {
		return err
	}
	if err := g.recover(true); err != nil && core.KindOf(err) != core.KindDamaged {
		return err
	}
	return nil
}

// keepTorn saves the bytes of a torn tail before they are cut: whether they
// were a lost entry or an attack is for a person to say.
func (g *generation) keepTorn(t wal.Torn) error {
	name := fmt.Sprintf("torn-%d-%d", t.At.Segment, t.At.Offset)
	g.log.Warn("audit log: a write that was never acknowledged is cut off", slog.String("origin", g.origin), slog.Uint64("segment", t.At.Segment), slog.Int64("offset", t.At.Offset), slog.Int("bytes", len(t.Bytes)), slog.String("kept", name))
	return atomicfile.WriteFile(filepath.Join(g.dir, name), t.Bytes, 0o600)
}

// recover rebuilds the tree: from the sidecars of closed segments as far as
// they are good, from the frames after that. With every, each signature is
// checked; without, the last, which covers all entries.
func (g *generation) recover(every bool) error {
	g.tree = &tree{}
	segments := g.wal.Segments()
	r := &replay{g: g, every: every}
	if len(segments) > 1 && !every {
		r.useSidecars(segments[:len(segments)-1])
	}
	if len(g.tree.spans) == 0 {
		first := uint64(1)
		if len(segments) > 0 {
			first = segments[0]
		}
		g.tree.spans = []*span{{segment: first}}
		if first != 1 {
			return core.E(core.KindDamaged, "audit.Open", fmt.Sprintf("%s: segment 1 is missing", g.dir))
		}
	}
	err := g.wal.Scan(r.from, r.frame)
	if last := r.last(); err == nil && !every && last != nil {
		err = verifySigned(last, g.verifier)
	}
	g.edge = g.tree.spans[len(g.tree.spans)-1].edge.clone()
	g.outbox = g.tree.spans[len(g.tree.spans)-1].outbox
	g.latest.Store(r.checkpoint())
	if err != nil {
		return fmt.Errorf("audit.Open: %s: %w", g.origin, err)
	}
	return nil
}

// commit makes entries, the tree over them and its signed checkpoint durable in
// one frame, and then publishes them; reserved may use the reserve. On an error
// nothing has changed.
func (g *generation) commit(items []*pending, reserved bool) error {
	first, edge, outbox := g.edge.size, g.edge.clone(), g.outbox
	frame := encode(items, first)
	g.stored = g.stored[:0]
	for _, p := range items {
		g.stored = edge.push(p.hash, g.stored)
		outbox = max(outbox, p.h.Outbox)
	}
	root := edge.root()
	signed, err := signCheckpoint(g.signer, edge.size, root)
	if err != nil {
		return err
	}
	write := g.wal.Append
	if reserved {
		write = g.wal.AppendReserved
	}
	at, err := write(append(frame, signed...))
	if err != nil {
		return fmt.Errorf("audit.Append: %w", err)
	}
	g.edge, g.outbox = edge, outbox
	if closed := g.tree.extend(at, first, edge.clone(), outbox, g.stored); closed != nil {
		g.sidecars.Go(func() { g.writeSidecar(closed) })
	}
	g.latest.Store(&Checkpoint{g.origin, edge.size, root, signed})
	for i, p := range items {
		p.result = Result{core.Position{Origin: g.origin, Index: first + uint64(i)}, p.leaf, signed, edge.size}
	}
	return nil
}

// writeSidecar moves a closed segment's hashes out of memory. Without it they
// stay there, which costs memory and nothing else.
func (g *generation) writeSidecar(s *span) {
	side, err := writeSidecar(g.sidePath(s.segment), s)
	if err != nil {
		g.log.Warn("audit log: hashes stay in memory", slog.String("origin", g.origin), slog.Uint64("segment", s.segment), slog.Any("err", err))
		return
	}
	g.tree.toDisk(s, side)
}

// leaf reads one entry's bytes and proves them against the tree.
func (g *generation) leaf(index uint64) ([]byte, error) {
	at, first, err := g.tree.frame(index)
	if err != nil {
		return nil, err
	}
	b, err := g.wal.ReadAt(at)
	if err != nil {
		return nil, err
	}
	f, err := parseFrame(b)
	if err != nil {
		return nil, err
	}
	if f.first != first || index-first >= uint64(len(f.leaves)) {
		return nil, core.E(core.KindDamaged, "audit", fmt.Sprintf("segment %d offset %d does not hold entry %d", at.Segment, at.Offset, index))
	}
	leaf := f.leaves[index-first]
	stored, err := g.tree.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(index))})
	if err != nil {
		return nil, err
	}
	if tlog.RecordHash(leaf) != stored[0] {
		return nil, core.E(core.KindDamaged, "audit", fmt.Sprintf("entry %d of %s is not the one that the tree covers", index, g.origin))
	}
	return leaf, nil
}

// scan hands the leaves from index on, in order, to fn.
func (g *generation) scan(ctx context.Context, index, size uint64, fn func(index uint64, leaf []byte) error) error {
	if index >= size {
		return nil
	}
	at, _, err := g.tree.frame(index)
	if err != nil {
		return err
	}
	done := errors.New("done")
	err = g.wal.Scan(at, func(_ wal.Pos, b []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := parseFrame(b)
		if err != nil {
			return err
		}
		for i, leaf := range f.leaves {
			n := f.first + uint64(i)
			if n >= size {
				return done
			}
			if n < index {
				continue
			}
			if err := fn(n, leaf); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, done) {
		return nil
	}
	return err
}

func (g *generation) close() error {
	g.sidecars.Wait()
	var errs []error
	if g.tree != nil {
		errs = append(errs, g.tree.close())
	}
	if g.wal != nil {
		errs = append(errs, g.wal.Close())
	}
	return errors.Join(errs...)
}

func generationDir(dir string, number int) string {
	return filepath.Join(dir, fmt.Sprintf("%04d", number))
}

// countGenerations returns how many folders there are; a gap in the numbers is
// damage.
func countGenerations(dir string) (int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, core.Wrap(core.KindUnavailable, "audit.Open", err)
	}
	n, highest := 0, 0
	for _, e := range entries {
		number := 0
		if _, err := fmt.Sscanf(e.Name(), "%04d", &number); err != nil || !e.IsDir() || generationDir(dir, number) != filepath.Join(dir, e.Name()) {
			continue
		}
		n, highest = n+1, max(highest, number)
	}
	if n != highest {
		return highest, core.E(core.KindDamaged, "audit.Open", fmt.Sprintf("%s: %d folders of logs, the last is %d", dir, n, highest))
	}
	return n, nil
}

// ready opens a generation for reading when it is first asked for: the start
// of a log need not read what was closed long ago.
func (g *generation) ready() error {
	g.opening.Lock()
	defer g.opening.Unlock()
	if g.wal != nil {
		return nil
	}
	return g.openToRead()
}

// firstHeader reads the first entry's header without opening the generation.
func (g *generation) firstHeader() (Header, error) {
	b, err := wal.First(g.walDir())
	if err != nil {
		return Header{}, err
	}
	f, err := parseFrame(b)
	if err != nil {
		return Header{}, err
	}
	h, _, err := ParseLeaf(f.leaves[0])
	return h, err
}
