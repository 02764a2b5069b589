package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/interlock-security/interlock/core"
)

// OpenRead opens a log that Open refused, or a copy, for reading: nothing is
// locked, cut or written. Scan then gives the frames before the first damage,
// and [Log.Damage] says what that is.
func OpenRead(dir string) (*Log, error) {
	l := &Log{dir: dir, failed: core.E(core.KindUnavailable, "wal.Append", dir+" is open for reading only")}
	l.segments, l.damage = listSegments(dir)
	if l.damage != nil && core.KindOf(l.damage) != core.KindDamaged {
		return nil, l.damage
	}
	for i, s := range l.segments {
		intact, err := l.readable(i, s)
		if err != nil {
			return nil, err
		}
		if !intact {
			l.segments = l.segments[:i+1]
			break
		}
	}
	return l, nil
}

// Damage returns what OpenRead found, nil if the log is whole.
func (l *Log) Damage() error { return l.damage }

// readable moves the end of the log behind the good frames of segment i and
// reports whether what follows may be read too.
func (l *Log) readable(i int, s segment) (bool, error) {
	f, err := os.Open(filepath.Join(l.dir, segmentName(s.number)))
	if err != nil {
		return false, core.Wrap(core.KindUnavailable, "wal.OpenRead", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return false, core.Wrap(core.KindUnavailable, "wal.OpenRead", err)
	}
	off, seq, err := walk(f, s, Pos{s.number, segmentHeader}, s.first, info.Size(), nil)
	if err != nil && !errors.Is(err, errBad) {
		return false, core.Wrap(core.KindUnavailable, "wal.OpenRead", err)
	}
	l.end = Pos{s.number, off}
	if i+1 < len(l.segments) {
		if err == nil && seq == l.segments[i+1].first {
			return true, nil
		}
		l.damage = damaged(segmentName(s.number), off, fmt.Sprintf("frame %d is not intact, segments follow", seq))
		return false, nil
	}
	if l.damage == nil {
		_, l.damage = judge(f, s, l.end, seq, info.Size(), err)
	}
	return false, nil
}

// First returns the payload of the oldest frame in dir without reading the
// rest. It is of kind core.KindNotFound if there is none.
func First(dir string) ([]byte, error) {
	list, err := listSegments(dir)
	if len(list) == 0 {
		if err == nil {
			err = core.E(core.KindNotFound, "wal.First", dir+" holds no segment")
		}
		return nil, err
	}
	s := list[0]
	f, err := os.Open(filepath.Join(dir, segmentName(s.number)))
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "wal.First", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "wal.First", err)
	}
	b, _, err := readFrame(f, s.salt, segmentHeader, info.Size(), s.first, nil)
	switch {
	case errors.Is(err, errEnd):
		return nil, core.E(core.KindNotFound, "wal.First", dir+" holds no frame")
	case errors.Is(err, errBad):
		return nil, damaged(segmentName(s.number), segmentHeader, err.Error())
	case err != nil:
		return nil, core.Wrap(core.KindUnavailable, "wal.First", err)
	}
	return b[frameHeader:], nil
}
