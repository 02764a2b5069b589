package audit

import (
	"encoding/binary"
	"fmt"

	"github.com/interlock-security/interlock/core"
)

// A frame of the WAL is one commit: version (1 byte, 1), index of the first
// entry (8, little endian), number of entries (4), each entry's length (4) and
// leaf, then the signed checkpoint over all entries up to its last.

const (
	frameVersion = 1
	frameHead    = 1 + 8 + 4
)

func appendFrameHead(b []byte, first uint64, n int) []byte {
	b = binary.LittleEndian.AppendUint64(append(b, frameVersion), first)
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}

// frame is a commit read back; its slices point into the payload.
type frame struct {
	first  uint64
	leaves [][]byte
	note   []byte
}

func parseFrame(b []byte) (frame, error) {
	if len(b) < frameHead || b[0] != frameVersion {
		return frame{}, badFrame("not a commit of version 1")
	}
	f := frame{first: binary.LittleEndian.Uint64(b[1:])}
	n := binary.LittleEndian.Uint32(b[9:])
	b = b[frameHead:]
	if n == 0 || int64(n) > int64(len(b)/4) {
		return frame{}, badFrame(fmt.Sprintf("%d entries in %d bytes", n, len(b)))
	}
	for range n {
		if len(b) < 4 {
			return frame{}, badFrame("ends within an entry")
		}
		size := int64(binary.LittleEndian.Uint32(b))
		if size > MaxLeaf || size > int64(len(b)-4) {
			return frame{}, badFrame("ends within an entry")
		}
		f.leaves = append(f.leaves, b[4:4+size])
		b = b[4+size:]
	}
	f.note = b
	return f, nil
}

func badFrame(why string) error { return core.E(core.KindDamaged, "audit", why) }
