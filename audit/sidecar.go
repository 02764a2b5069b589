package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"sort"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

const (
	sideMagic = "ILKSIDE1"
	maxEdge   = 64
	// sideHead is magic, six numbers, the frontier, SHA-256 of all these.
	sideHead  = 8 + 6*8 + maxEdge*tlog.HashSize + sha256.Size
	frameSize = 16
)

// sidecar is the file beside a closed segment of the WAL: the frontier at its
// end, so that a start reads only the last segment, where its frames begin and
// the tree's hashes, so that they need no memory. It is a cache: what is wrong
// with it shows in the signed root, and it is made again from the segment.
type sidecar struct {
	f *os.File
	sideInfo
}

type sideInfo struct {
	segment uint64
	first   uint64
	edge    frontier
	outbox  uint64
	frames  int64
	hashes  int64
}

func (s *span) encode() []byte {
	b := make([]byte, 0, sideHead+len(s.frames)*frameSize+int(s.hashes.count)*tlog.HashSize)
	b = append(b, sideMagic...)
	for _, n := range []uint64{s.segment, s.first, s.edge.size, s.outbox, uint64(len(s.frames)), uint64(s.hashes.count)} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	for i := range maxEdge {
		var h tlog.Hash
		if i < len(s.edge.roots) {
			h = s.edge.roots[i]
		}
		b = append(b, h[:]...)
	}
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	for _, f := range s.frames {
		b = binary.LittleEndian.AppendUint64(b, f.first)
		b = binary.LittleEndian.AppendUint64(b, uint64(f.offset))
	}
	for _, block := range s.hashes.blocks {
		for i := range block {
			b = append(b, block[i][:]...)
		}
	}
	return b
}

func writeSidecar(path string, s *span) (*sidecar, error) {
	if err := atomicfile.WriteFile(path, s.encode(), 0o600); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "audit", err)
	}
	return openSidecar(path)
}

func openSidecar(path string) (*sidecar, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "audit", err)
	}
	info, err := readSideInfo(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &sidecar{f, info}, nil
}

func readSideInfo(f *os.File) (sideInfo, error) {
	bad := core.E(core.KindDamaged, "audit", f.Name()+" is not a whole sidecar")
	b := make([]byte, sideHead)
	if _, err := f.ReadAt(b, 0); err != nil {
		return sideInfo{}, bad
	}
	sum := sha256.Sum256(b[:sideHead-sha256.Size])
	if !bytes.HasPrefix(b, []byte(sideMagic)) || !bytes.Equal(sum[:], b[sideHead-sha256.Size:]) {
		return sideInfo{}, bad
	}
	n := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8+8*i:]) }
	const limit = 1 << 40 // far above any log, far below where sizes overflow
	for i := range 6 {
		if n(i) > limit {
			return sideInfo{}, bad
		}
	}
	s := sideInfo{segment: n(0), first: n(1), edge: frontier{size: n(2)}, outbox: n(3), frames: int64(n(4)), hashes: int64(n(5))}
	for i := 0; i < maxEdge && s.edge.size>>uint(i) > 0; i++ {
		if s.edge.size>>uint(i)&1 == 1 {
			at := 8 + 6*8 + len(s.edge.roots)*tlog.HashSize
			s.edge.roots = append(s.edge.roots, tlog.Hash(b[at:at+tlog.HashSize]))
		}
	}
	size, err := f.Stat()
	if err != nil || s.first > s.edge.size || s.hashes != storedCount(s.edge.size)-storedCount(s.first) ||
		size.Size() != sideHead+s.frames*frameSize+s.hashes*tlog.HashSize {
		return sideInfo{}, bad
	}
	return s, nil
}

func (s *sidecar) hash(local int64) (tlog.Hash, error) {
	var h tlog.Hash
	_, err := s.f.ReadAt(h[:], sideHead+s.frames*frameSize+local*tlog.HashSize)
	return h, core.Wrap(core.KindUnavailable, "audit", err)
}

func (s *sidecar) ref(i int64) (frameRef, error) {
	var b [frameSize]byte
	_, err := s.f.ReadAt(b[:], sideHead+i*frameSize)
	return frameRef{binary.LittleEndian.Uint64(b[:]), int64(binary.LittleEndian.Uint64(b[8:]))}, core.Wrap(core.KindUnavailable, "audit", err)
}

// frame finds the frame that holds entry index.
func (s *sidecar) frame(index uint64) (frameRef, error) {
	var failed error
	i := sort.Search(int(s.frames), func(i int) bool {
		ref, err := s.ref(int64(i))
		if err != nil {
			failed = err
		}
		return ref.first > index
	})
	if failed != nil {
		return frameRef{}, failed
	}
	if i == 0 {
		return frameRef{}, core.E(core.KindNotFound, "audit", fmt.Sprintf("there is no entry %d", index))
	}
	return s.ref(int64(i) - 1)
}

func (s *sidecar) close() error { return s.f.Close() }
