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
	buf    []byte

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
	g.log.Warn("audit log: a write that was never acknowledged is cut off", "origin", g.origin, "segment", t.At.Segment, "offset", t.At.Offset, "bytes", len(t.Bytes), "kept", name)
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

// staged is a commit that was written and not yet synced.
type staged struct {
	items  []*pending
	at     wal.Pos
	first  uint64
	edge   frontier
	outbox uint64
	stored []tlog.Hash
	note   []byte
}

// stage writes entries, the tree over them and its signed checkpoint in one
// frame; reserved may use the reserve. On an error nothing has changed.
func (g *generation) stage(items []*pending, reserved bool) (*staged, error) {
	s := &staged{items: items, first: g.edge.size, edge: g.edge.clone(), outbox: g.outbox, stored: make([]tlog.Hash, 0, 2*len(items)+maxEdge)}
	g.buf = appendFrameHead(g.buf[:0], s.first, len(items))
	for _, p := range items {
		g.buf = appendFrameLeaf(g.buf, p.leaf)
		s.stored = s.edge.push(p.hash, s.stored)
		s.outbox = max(s.outbox, p.outbox)
	}
	var err error
	if s.note, err = signCheckpoint(g.signer, s.edge.size, s.edge.root()); err != nil {
		return nil, err
	}
	g.buf = append(g.buf, s.note...)
	if s.at, err = g.wal.Write(g.buf, reserved); err != nil {
		return nil, fmt.Errorf("audit.Append: %w", err)
	}
	g.edge, g.outbox = s.edge.clone(), s.outbox
	return s, nil
}

// finish makes what was staged durable and then publishes it, in order.
func (g *generation) finish(all ...*staged) error {
	if err := g.wal.Sync(); err != nil {
		return fmt.Errorf("audit.Append: %w", err)
	}
	for _, s := range all {
		if closed := g.tree.extend(s.at, s.first, s.edge, s.outbox, s.stored); closed != nil {
			g.sidecars.Go(func() { g.writeSidecar(closed) })
		}
		g.latest.Store(&Checkpoint{g.origin, s.edge.size, s.edge.root(), s.note})
		for i, p := range s.items {
			p.result = Result{core.Position{Origin: g.origin, Index: s.first + uint64(i)}, p.leaf, s.note, s.edge.size}
		}
	}
	return nil
}

// commit is stage and finish for who is alone with the generation.
func (g *generation) commit(items []*pending, reserved bool) error {
	s, err := g.stage(items, reserved)
	if err != nil {
		return err
	}
	return g.finish(s)
}

// writeSidecar moves a closed segment's hashes out of memory. Without it they
// stay there, which costs memory and nothing else.
func (g *generation) writeSidecar(s *span) {
	side, err := writeSidecar(g.sidePath(s.segment), s)
	if err != nil {
		g.log.Warn("audit log: hashes stay in memory", "origin", g.origin, "segment", s.segment, "err", err)
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
