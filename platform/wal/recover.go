package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
)

// recover finds the end of the last segment. Earlier segments are read by
// Scan: the owner decides when.
func (l *Log) recover() error {
	s := l.segments[len(l.segments)-1]
	f, err := os.OpenFile(filepath.Join(l.dir, segmentName(s.number)), os.O_RDWR, 0)
	if err != nil {
		return core.Wrap(core.KindUnavailable, "wal.Open", err)
	}
	l.f, l.tail = f, s
	info, err := f.Stat()
	if err != nil {
		return core.Wrap(core.KindUnavailable, "wal.Open", err)
	}
	off, seq, err := walk(f, s, Pos{s.number, segmentHeader}, s.first, info.Size(), nil)
	if err != nil && !errors.Is(err, errBad) {
		return core.Wrap(core.KindUnavailable, "wal.Open", err)
	}
	l.next, l.end = seq, Pos{s.number, off}
	torn, err := judge(f, s, l.end, seq, info.Size(), err)
	if err == nil && torn != nil {
		err = l.cut(*torn)
	}
	if err != nil {
		return err
	}
	if l.o.Prealloc && info.Size() < l.o.SegmentSize {
		return l.extend(info.Size())
	}
	return nil
}

// walk reads frames from at on and hands them to fn. It returns where it
// stopped and the sequence that belongs there; the error is nil at a clean
// end, wraps errBad where something else stands, or is fn's or the disk's.
func walk(f io.ReaderAt, s segment, at Pos, seq uint64, limit int64, fn func(Pos, []byte) error) (int64, uint64, error) {
	var buf []byte
	for off := at.Offset; ; seq++ {
		b, h, err := readFrame(f, s.salt, off, limit, seq, buf)
		if errors.Is(err, errEnd) {
			return off, seq, nil
		}
		if err != nil {
			return off, seq, err
		}
		if fn != nil {
			if err := fn(Pos{s.number, off}, b[frameHeader:frameHeader+int(h.length)]); err != nil {
				return off, seq, err
			}
		}
		off += frameHeader + int64(h.length)
		buf = b
	}
}

// judge looks at what stands behind the last good frame. Zeros are the clean
// end. Bytes without any frame of a later write are a torn tail. All else is
// damage.
func judge(f io.ReaderAt, s segment, end Pos, next uint64, size int64, cause error) (*Torn, error) {
	rest := make([]byte, size-end.Offset)
	if _, err := f.ReadAt(rest, end.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, core.Wrap(core.KindUnavailable, "wal.Open", err)
	}
	used := len(bytes.TrimRight(rest, "\x00"))
	if used == 0 && cause == nil {
		return nil, nil
	}
	if cause == nil {
		cause = errors.New("zeros")
	}
	if off, h, found := findFrame(rest, s.salt, next); found {
		why := fmt.Sprintf("frame %d is not intact (%v), but frame %d stands at offset %d", next, cause, h.seq, end.Offset+int64(off))
		return nil, damaged(segmentName(s.number), end.Offset, why)
	}
	return &Torn{end, rest[:used]}, nil
}

// findFrame looks for an intact frame that was not part of the write that
// broke off at sequence next. It tries every offset, because bytes may have
// been removed or put in.
func findFrame(b []byte, salt [8]byte, next uint64) (int, header, bool) {
	highest := next + uint64(len(b))/frameHeader
	for i := 0; i+frameHeader <= len(b); i++ {
		if seq := binary.LittleEndian.Uint64(b[i+8:]); seq == 0 || seq > highest {
			continue
		}
		h := parseHeader(b[i:])
		sameWrite := h.first <= next && h.seq > next
		if !sameWrite && h.intact(salt, b[i:]) {
			return i, h, true
		}
	}
	return 0, header{}, false
}

// cut shows the owner the torn tail and then writes zeros over it.
func (l *Log) cut(torn Torn) error {
	if l.o.OnTorn != nil {
		if err := l.o.OnTorn(torn); err != nil {
			return err
		}
	}
	_, err := l.f.WriteAt(make([]byte, len(torn.Bytes)), torn.At.Offset)
	if err == nil && !l.o.Prealloc {
		err = l.f.Truncate(torn.At.Offset)
	}
	if err == nil {
		err = l.o.Sync(l.f)
	}
	l.torn = &torn
	return core.Wrap(core.KindUnavailable, "wal.Open", err)
}

// extend fills a segment that was written without preallocation, or by an
// older configuration, up to its size. What cannot be had now is had frame by
// frame, as without preallocation.
func (l *Log) extend(size int64) error {
	zeros := make([]byte, l.o.SegmentSize-size)
	if _, err := l.f.WriteAt(zeros, size); err != nil {
		return core.Wrap(core.KindUnavailable, "wal.Open", l.f.Truncate(size))
	}
	return core.Wrap(core.KindUnavailable, "wal.Open", l.f.Sync())
}

// Scan hands every frame from at on, as far as it was durable when Scan began,
// to fn; the zero Pos means from the oldest. The payload is only valid within
// the call. Damage is core.KindDamaged; fn's error stops and is returned as it
// is.
func (l *Log) Scan(at Pos, fn func(Pos, []byte) error) error {
	l.mu.RLock()
	segments, end := l.segments, l.end
	l.mu.RUnlock()
	for i, s := range segments {
		if s.number < at.Segment {
			continue
		}
		from := Pos{s.number, segmentHeader}
		if s.number == at.Segment {
			from.Offset = max(at.Offset, segmentHeader)
		}
		next := uint64(0)
		if i+1 < len(segments) {
			next = segments[i+1].first
		}
		if err := l.scanSegment(s, from, next, end, fn); err != nil {
			return err
		}
	}
	return nil
}

// scanSegment reads one segment from a place on. next is the sequence that the
// segment after it begins with, 0 for the last.
func (l *Log) scanSegment(s segment, from Pos, next uint64, end Pos, fn func(Pos, []byte) error) error {
	f, err := os.Open(filepath.Join(l.dir, segmentName(s.number)))
	if err != nil {
		return core.Wrap(core.KindUnavailable, "wal.Scan", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return core.Wrap(core.KindUnavailable, "wal.Scan", err)
	}
	limit := info.Size()
	if next == 0 {
		limit = end.Offset
	}
	seq, err := sequenceAt(f, s, from, limit)
	if err != nil {
		return err
	}
	off, seq, err := walk(f, s, from, seq, limit, fn)
	switch {
	case errors.Is(err, errBad):
		return damaged(segmentName(s.number), off, err.Error())
	case err != nil:
		return err
	case next == 0 && off != end.Offset:
		return damaged(segmentName(s.number), off, fmt.Sprintf("zeros where frame %d was", seq))
	case next != 0 && seq != next:
		return damaged(segmentName(s.number), off, fmt.Sprintf("ends before frame %d, the next segment begins with frame %d", seq, next))
	}
	return nil
}

// sequenceAt returns which sequence belongs at a place: known for the start of
// a segment, taken from the frame elsewhere, and at the end of the segment
// found by reading it from its start.
func sequenceAt(f io.ReaderAt, s segment, at Pos, limit int64) (uint64, error) {
	if at.Offset == segmentHeader {
		return s.first, nil
	}
	b := make([]byte, frameHeader)
	if at.Offset+frameHeader <= limit {
		if _, err := f.ReadAt(b, at.Offset); err != nil {
			return 0, core.Wrap(core.KindUnavailable, "wal.Scan", err)
		}
	}
	h := parseHeader(b)
	if h != (header{}) && h.sane() {
		return h.seq, nil
	}
	off, seq, err := walk(f, s, Pos{s.number, segmentHeader}, s.first, limit, nil)
	if err != nil && !errors.Is(err, errBad) {
		return 0, core.Wrap(core.KindUnavailable, "wal.Scan", err)
	}
	if off != at.Offset {
		return 0, damaged(segmentName(s.number), at.Offset, "no frame begins here")
	}
	return seq, nil
}

// ReadAt returns the frame at a place that Append or Scan gave.
func (l *Log) ReadAt(at Pos) ([]byte, error) {
	var payload []byte
	stop := errors.New("stop")
	err := l.Scan(at, func(p Pos, b []byte) error {
		if p == at {
			payload = b
		}
		return stop
	})
	switch {
	case errors.Is(err, stop) && payload != nil:
		return payload, nil
	case err != nil && !errors.Is(err, stop):
		return nil, err
	}
	return nil, core.E(core.KindNotFound, "wal.ReadAt", fmt.Sprintf("no frame at segment %d offset %d", at.Segment, at.Offset))
}
