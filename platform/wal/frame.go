package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	frameHeader = 24
	// MaxFrame is the largest payload, in bytes.
	MaxFrame = 2 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what stands before each payload. first is the sequence of the
// first frame of the write that this frame belongs to: a frame with first > n
// proves that frame n had been synced before.
type header struct {
	length uint32
	crc    uint32
	seq    uint64
	first  uint64
}

var (
	// errEnd means that there is no frame here: zeros, or the end of the file.
	errEnd = errors.New("no frame")
	// errBad means that these bytes are not the expected frame.
	errBad = errors.New("bad frame")
)

func frameCRC(salt [8]byte, rest, payload []byte) uint32 {
	c := crc32.Update(0, castagnoli, salt[:])
	c = crc32.Update(c, castagnoli, rest)
	return crc32.Update(c, castagnoli, payload)
}

// appendFrame appends the encoded frame to buf.
func appendFrame(buf []byte, salt [8]byte, seq, first uint64, payload []byte) []byte {
	var h [frameHeader]byte
	binary.LittleEndian.PutUint32(h[0:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(h[8:], seq)
	binary.LittleEndian.PutUint64(h[16:], first)
	c := crc32.Update(frameCRC(salt, h[8:], payload), castagnoli, h[0:4])
	binary.LittleEndian.PutUint32(h[4:], c)
	return append(append(buf, h[:]...), payload...)
}

func parseHeader(b []byte) header {
	return header{
		length: binary.LittleEndian.Uint32(b[0:]),
		crc:    binary.LittleEndian.Uint32(b[4:]),
		seq:    binary.LittleEndian.Uint64(b[8:]),
		first:  binary.LittleEndian.Uint64(b[16:]),
	}
}

// sane reports whether the header could be one of ours, before any payload is
// read: limits come before parsing.
func (h header) sane() bool {
	return h.length <= MaxFrame && h.seq > 0 && h.first > 0 && h.first <= h.seq
}

// intact reports whether b, which begins with the header's bytes, holds the
// whole frame and its checksum fits.
func (h header) intact(salt [8]byte, b []byte) bool {
	if !h.sane() || len(b) < frameHeader+int(h.length) {
		return false
	}
	c := frameCRC(salt, b[8:frameHeader], b[frameHeader:frameHeader+int(h.length)])
	return crc32.Update(c, castagnoli, b[0:4]) == h.crc
}

// readFrame reads the frame at off of a segment whose bytes end at limit. It
// returns errEnd, errBad (wrapped, with the reason) or a read error.
func readFrame(r io.ReaderAt, salt [8]byte, off, limit int64, want uint64, buf []byte) ([]byte, header, error) {
	buf = grow(buf, frameHeader)
	clear(buf)
	n := min(frameHeader, limit-off) // a rest shorter than a header must be zeros
	if _, err := r.ReadAt(buf[:n], off); err != nil {
		return nil, header{}, err
	}
	h := parseHeader(buf)
	switch {
	case h == header{}:
		return nil, h, errEnd
	case !h.sane() || off+frameHeader+int64(h.length) > limit:
		return nil, h, fmt.Errorf("%w: impossible header", errBad)
	}
	buf = grow(buf, frameHeader+int(h.length))
	if _, err := r.ReadAt(buf[frameHeader:], off+frameHeader); err != nil {
		return nil, h, err
	}
	switch {
	case !h.intact(salt, buf):
		return nil, h, fmt.Errorf("%w: checksum", errBad)
	case h.seq != want:
		return nil, h, fmt.Errorf("%w: frame %d stands where frame %d belongs", errBad, h.seq, want)
	}
	return buf, h, nil
}

// grow returns buf with length n and the old bytes kept.
func grow(buf []byte, n int) []byte {
	if cap(buf) >= n {
		return buf[:n]
	}
	bigger := make([]byte, n, n+n/2)
	copy(bigger, buf)
	return bigger
}
