package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"runtime"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"
)

// noteBound is at least the size of a checkpoint: origin twice, numbers, root,
// signature.
const noteBound = 2*maxOrigin + 400

// encode seals entries into a new frame, in which their leaves stay.
func encode(items []*pending, first uint64) []byte {
	size := frameHead
	for _, p := range items {
		p.at = size + 4
		size = p.at + p.size
	}
	b := appendFrameHead(make([]byte, 0, size+noteBound), first, len(items))[:size]
	s := &sealing{items: items, frame: b, salts: make([]byte, saltLen*len(items)), done: make(chan struct{})}
	_, _ = rand.Read(s.salts) // never fails since Go 1.24
	s.left.Store(int64(len(items)))
	for range min(runtime.GOMAXPROCS(0), len(items)/sealShare) - 1 {
		go s.help()
	}
	s.help()
	<-s.done
	return b
}

// sealShare is how many entries one helper takes at a time.
const sealShare = 8

// sealing is one commit's entries being sealed, by the one that commits and
// whoever has a processor to spare: the latency of a commit is everybody's. A
// helper that starts late finds nothing to do, and nobody waits for it.
type sealing struct {
	items []*pending
	frame []byte
	salts []byte
	next  atomic.Int64 // first that nobody took
	left  atomic.Int64 // how many are not done
	done  chan struct{}
}

func (s *sealing) help() {
	digest := sha256.New()
	for {
		from := int(s.next.Add(sealShare)) - sealShare
		if from >= len(s.items) {
			return
		}
		share := s.items[from:min(from+sealShare, len(s.items))]
		for i, p := range share {
			binary.LittleEndian.PutUint32(s.frame[p.at-4:], uint32(p.size))
			p.appendLeaf(s.frame[p.at:p.at:p.at+p.size], s.salts[(from+i)*saltLen:][:saltLen])
			p.hash = recordHash(digest, p.leaf)
		}
		if s.left.Add(-int64(len(share))) == 0 {
			close(s.done)
		}
	}
}

// recordHash is tlog.RecordHash without an allocation for each.
func recordHash(digest hash.Hash, leaf []byte) (h tlog.Hash) {
	digest.Reset()
	_, _ = digest.Write([]byte{0}) // a hash never fails
	_, _ = digest.Write(leaf)
	digest.Sum(h[:0])
	return h
}
