package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

const tileHeight = 8

// Exported says what an export holds.
type Exported struct {
	Origin string
	Size   uint64
	Root   [32]byte
	// Key is the C2SP vkey that the checkpoint is signed by.
	Key string
}

// Export writes the current log as C2SP tlog-tiles into dir: checkpoint,
// tile/<level>/..., tile/entries/..., and log.vkey. Logs before it stand whole
// under predecessors/<n>, the succession that joins them beside the checkpoint.
// Content stays encrypted. Exporting again into the same folder adds what is
// new.
func (l *Log) Export(ctx context.Context, dir string) (Exported, error) {
	l.mu.RLock()
	chain := slices.Clone(l.chain)
	l.mu.RUnlock()
	var last Exported
	for i, g := range chain {
		if err := g.ready(); err != nil {
			return Exported{}, err
		}
		to := dir
		if i+1 < len(chain) {
			to = filepath.Join(dir, "predecessors", fmt.Sprint(g.number))
			if g.latest.Load().Size == 0 {
				continue // nothing of it can be proved; its successor's statement says so
			}
		}
		var err error
		if last, err = l.exportOne(ctx, g, to); err != nil {
			return Exported{}, err
		}
	}
	return last, nil
}

func (l *Log) exportOne(ctx context.Context, g *generation, dir string) (Exported, error) {
	head := g.latest.Load()
	if head.Size == 0 {
		return Exported{}, core.E(core.KindNotFound, "audit.Export", g.origin+" has no entries yet")
	}
	vkey, err := VerifierKey(g.origin, l.c.Seed)
	if err != nil {
		return Exported{}, err
	}
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return Exported{}, core.Wrap(core.KindUnavailable, "audit.Export", err)
	}
	if err := g.exportTiles(ctx, dir, head.Size); err != nil {
		return Exported{}, err
	}
	if err := g.exportEntries(ctx, dir, head.Size); err != nil {
		return Exported{}, err
	}
	if b, err := readIfThere(filepath.Join(g.dir, successionFile)); err == nil {
		if err := writeExported(filepath.Join(dir, successionFile), b); err != nil {
			return Exported{}, err
		}
	}
	// The checkpoint comes last: it must not speak of what is not there yet.
	err = writeExported(filepath.Join(dir, "log.vkey"), []byte(vkey+"\n"))
	if err == nil {
		err = atomicfile.WriteFile(filepath.Join(dir, "checkpoint"), head.Note, 0o600)
	}
	return Exported{g.origin, head.Size, head.Root, vkey}, core.Wrap(core.KindUnavailable, "audit.Export", err)
}

// tilePath turns x/mod's path into that of C2SP tlog-tiles, which has no height
// and calls the data level "entries".
func tilePath(t tlog.Tile) string {
	p := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	return filepath.FromSlash("tile/" + strings.Replace(p, "data/", "entries/", 1))
}

func (g *generation) exportTiles(ctx context.Context, dir string, size uint64) error {
	for _, t := range tlog.NewTiles(tileHeight, 0, int64(size)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := tlog.ReadTileData(t, g.tree)
		if err != nil {
			return core.Wrap(core.KindUnavailable, "audit.Export", err)
		}
		if err := writeExported(filepath.Join(dir, tilePath(t)), b); err != nil {
			return err
		}
	}
	return nil
}

// exportEntries writes bundles of 256 leaves, each with a 16-bit length before
// it. Every leaf is held against the tree on the way.
func (g *generation) exportEntries(ctx context.Context, dir string, size uint64) error {
	var bundle []byte
	const width = 1 << tileHeight
	return g.scan(ctx, 0, size, func(index uint64, leaf []byte) error {
		stored, err := g.tree.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(index))})
		if err != nil {
			return err
		}
		if tlog.RecordHash(leaf) != stored[0] {
			return core.E(core.KindDamaged, "audit.Export", fmt.Sprintf("entry %d of %s is not the one that the tree covers", index, g.origin))
		}
		bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(leaf))), leaf...)
		if n := index%width + 1; n == width || index+1 == size {
			t := tlog.Tile{H: tileHeight, L: -1, N: int64(index / width), W: int(n)}
			if err := writeExported(filepath.Join(dir, tilePath(t)), bundle); err != nil {
				return err
			}
			bundle = bundle[:0]
		}
		return nil
	})
}

// writeExported leaves a file alone that is there already with this content.
func writeExported(path string, b []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b) {
		return nil
	}
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	return core.Wrap(core.KindUnavailable, "audit.Export", err)
}
