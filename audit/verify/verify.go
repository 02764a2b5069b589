// Package verify checks an exported audit log, or the proof of one entry, with
// nothing but the files: no running log, no keys but the public one. It stands
// beside audit for `interlock audit verify` and `interlock audit proof`.
package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
)

// Report is what was found whole.
type Report struct {
	Origin  string             `json:"origin"`
	Size    uint64             `json:"size"`
	Root    string             `json:"root"` // base64
	Entries map[audit.Type]int `json:"entries"`
	Tiles   int                `json:"tiles"`
	First   int64              `json:"first"` // time of the oldest entry, microseconds
	Last    int64              `json:"last"`
}

const (
	tileHeight    = 8
	maxCheckpoint = 64 << 10
	maxBundle     = 256 * (2 + audit.MaxLeaf)
)

func fail(format string, args ...any) error {
	return core.E(core.KindDamaged, "audit verify", fmt.Sprintf(format, args...))
}

// Export checks the export in dir under the vkey: the checkpoint's signature,
// every tile against its root, every entry's bytes and form. An error of kind
// core.KindDamaged names the file and place. The key must come from elsewhere,
// the trust root: the one in the export proves only that the export agrees with
// itself.
func Export(dir, vkey string) (*Report, error) {
	c, err := export(dir, vkey, nil)
	if err != nil {
		return nil, err
	}
	return c.report, nil
}

// export is Export; it also takes down the roots at the sizes asked for.
func export(dir, vkey string, marks []uint64) (*checker, error) {
	signed, err := readLimited(filepath.Join(dir, "checkpoint"), maxCheckpoint)
	if err != nil {
		return nil, err
	}
	head, err := openCheckpoint(signed, vkey)
	if err != nil {
		return nil, err
	}
	c := &checker{dir: dir, size: head.Size, marks: marks, roots: map[uint64]tlog.Hash{}, report: &Report{
		Origin: head.Origin, Size: head.Size, Root: base64.StdEncoding.EncodeToString(head.Hash), Entries: map[audit.Type]int{},
	}}
	if err := c.entries(); err != nil {
		return nil, err
	}
	root, err := c.finish()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(root[:], head.Hash) {
		return nil, fail("the entries have the root %s, the checkpoint is signed over %s", root, c.report.Root)
	}
	return c, nil
}

func openCheckpoint(signed []byte, vkey string) (*log.Checkpoint, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "audit verify", fmt.Errorf("the public key: %w", err))
	}
	head, rest, _, err := log.ParseCheckpoint(signed, v.Name(), v)
	if err != nil {
		return nil, fail("checkpoint: %v", err)
	}
	if len(rest) > 0 {
		return nil, fail("checkpoint: lines after the root")
	}
	if head.Size > 1<<62 {
		return nil, fail("checkpoint: size %d", head.Size)
	}
	return head, nil
}

func readLimited(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail("%s is missing", path)
	case err != nil:
		return nil, core.Wrap(core.KindUnavailable, "audit verify", err)
	case !info.Mode().IsRegular() || info.Size() > limit:
		return nil, fail("%s: %d bytes, at most %d are allowed", path, info.Size(), limit)
	}
	b, err := os.ReadFile(path)
	return b, core.Wrap(core.KindUnavailable, "audit verify", err)
}

// checker recomputes the tree from the entries and compares each tile on the
// way. It keeps one row of at most 256 hashes for each level of tiles, so the
// size of a log does not matter.
type checker struct {
	dir    string
	size   uint64
	done   uint64
	rows   []row
	report *Report
	first  audit.Header
	marks  []uint64 // sizes of the tree whose roots are wanted
	roots  map[uint64]tlog.Hash
}

// row is the unfinished tile of a level.
type row struct {
	tile   int64 // its number
	hashes []tlog.Hash
}

// entries reads all bundles in order.
func (c *checker) entries() error {
	for c.done < c.size {
		width := min(1<<tileHeight, c.size-c.done)
		path := c.path(tlog.Tile{H: tileHeight, L: -1, N: int64(c.done >> tileHeight), W: int(width)})
		b, err := readLimited(path, maxBundle)
		if err != nil {
			return err
		}
		for range width {
			if b, err = c.entry(path, b); err != nil {
				return err
			}
		}
		if len(b) > 0 {
			return fail("%s: %d bytes after its last entry", path, len(b))
		}
	}
	return nil
}

func (c *checker) entry(path string, b []byte) ([]byte, error) {
	if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
		return nil, fail("%s: ends within entry %d", path, c.done)
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	h, _, err := audit.ParseLeaf(b[2:n])
	if err != nil {
		return nil, fail("%s: entry %d: %v", path, c.done, err)
	}
	if c.done == 0 {
		c.report.First, c.first = h.Time, h
	}
	c.report.Entries[h.Type]++
	c.report.Last = max(c.report.Last, h.Time)
	c.done++
	if err := c.push(0, tlog.RecordHash(b[2:n])); err != nil {
		return nil, err
	}
	if slices.Contains(c.marks, c.done) {
		c.roots[c.done] = c.root()
	}
	return b[n:], nil
}

// push adds a hash to a level; a full tile is compared and its root goes up.
func (c *checker) push(level int, h tlog.Hash) error {
	if level == len(c.rows) {
		c.rows = append(c.rows, row{})
	}
	r := &c.rows[level]
	r.hashes = append(r.hashes, h)
	if len(r.hashes) < 1<<tileHeight {
		return nil
	}
	if err := c.compare(level); err != nil {
		return err
	}
	up := perfect(r.hashes)
	r.tile, r.hashes = r.tile+1, r.hashes[:0]
	return c.push(level+1, up)
}

// compare holds a row against its tile file.
func (c *checker) compare(level int) error {
	r := c.rows[level]
	path := c.path(tlog.Tile{H: tileHeight, L: level, N: r.tile, W: len(r.hashes)})
	b, err := readLimited(path, tlog.HashSize<<tileHeight)
	if err != nil {
		return err
	}
	if len(b) != len(r.hashes)*tlog.HashSize {
		return fail("%s: %d bytes for %d hashes", path, len(b), len(r.hashes))
	}
	for i, h := range r.hashes {
		if !bytes.Equal(b[i*tlog.HashSize:(i+1)*tlog.HashSize], h[:]) {
			return fail("%s: hash %d (entries from %d on) is not that of the entries", path, i, (uint64(r.tile)<<tileHeight+uint64(i))<<(tileHeight*level))
		}
	}
	c.report.Tiles++
	return nil
}

// perfect is the root over a power of two of hashes.
func perfect(h []tlog.Hash) tlog.Hash {
	if len(h) == 1 {
		return h[0]
	}
	return tlog.NodeHash(perfect(h[:len(h)/2]), perfect(h[len(h)/2:]))
}

// finish compares the partial tiles and returns the root of the tree.
func (c *checker) finish() (tlog.Hash, error) {
	if c.size == 0 {
		return tlog.TreeHash(0, nil)
	}
	for level := range c.rows {
		if len(c.rows[level].hashes) == 0 {
			continue
		}
		if err := c.compare(level); err != nil {
			return tlog.Hash{}, err
		}
	}
	return c.root(), nil
}

// root is that of the entries read so far, at least one: the perfect subtrees
// of all rows, joined from the right.
func (c *checker) root() tlog.Hash {
	var root *tlog.Hash
	for level := range c.rows {
		h := c.rows[level].hashes
		for rest := len(h); rest > 0; {
			n := rest & -rest // the rightmost perfect subtree
			sub := perfect(h[rest-n : rest])
			if root != nil {
				sub = tlog.NodeHash(sub, *root)
			}
			root = &sub
			rest -= n
		}
	}
	return *root
}

// path turns x/mod's tile path into that of C2SP tlog-tiles.
func (c *checker) path(t tlog.Tile) string {
	p := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	return filepath.Join(c.dir, filepath.FromSlash("tile/"+strings.Replace(p, "data/", "entries/", 1)))
}

// Proven is what a proof of one entry shows.
type Proven struct {
	Position core.Position
	Size     uint64 // of the tree that it was proved in
	Header   audit.Header
	Leaf     []byte
}

// maxProof bounds a proof file: a leaf in base64, 64 hashes, a checkpoint.
const maxProof = 2*audit.MaxLeaf + maxCheckpoint

// Proof checks a c2sp.org/tlog-proof@v1 file that carries its leaf as extra
// data, under the vkey from the trust root.
func Proof(file []byte, vkey string) (*Proven, error) {
	if len(file) > maxProof {
		return nil, core.E(core.KindTooLarge, "audit verify", fmt.Sprintf("the proof has %d bytes, at most %d are allowed", len(file), maxProof))
	}
	var p proof.TLogProof
	if err := p.Unmarshal(file); err != nil {
		return nil, fail("proof: %v", err)
	}
	if !bytes.Equal(p.Marshal(), file) {
		return nil, fail("proof: not in its one encoding")
	}
	head, err := openCheckpoint(p.Checkpoint, vkey)
	if err != nil {
		return nil, err
	}
	path := make(tlog.RecordProof, len(p.Hashes))
	for i, h := range p.Hashes {
		path[i] = h
	}
	if p.Index >= head.Size {
		return nil, fail("proof: entry %d in a tree of %d", p.Index, head.Size)
	}
	err = tlog.CheckRecord(path, int64(head.Size), tlog.Hash(head.Hash), int64(p.Index), tlog.RecordHash(p.ExtraData))
	if err != nil {
		return nil, fail("proof: the leaf is not entry %d of %s at size %d", p.Index, head.Origin, head.Size)
	}
	h, _, err := audit.ParseLeaf(p.ExtraData)
	if err != nil {
		return nil, fail("proof: %v", err)
	}
	return &Proven{core.Position{Origin: head.Origin, Index: p.Index}, head.Size, h, p.ExtraData}, nil
}
