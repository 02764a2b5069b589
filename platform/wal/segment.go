package wal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

const (
	segmentHeader = 48
	segmentMagic  = "ILKWAL1\n"
	segmentSuffix = ".wal"
	spareName     = "spare"
	reserveName   = "reserve"
	makingSuffix  = ".new"
)

// segment is one file: closed for writing unless it is the last.
type segment struct {
	number uint64
	first  uint64 // sequence of its first frame
	salt   [8]byte
}

func segmentName(number uint64) string { return fmt.Sprintf("%016d%s", number, segmentSuffix) }

func (s segment) encode() []byte {
	b := make([]byte, segmentHeader)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint64(b[8:], s.number)
	binary.LittleEndian.PutUint64(b[16:], s.first)
	copy(b[24:], s.salt[:])
	binary.LittleEndian.PutUint32(b[44:], crc32.Checksum(b[:44], castagnoli))
	return b
}

// readSegment reads and checks the header of a segment file.
func readSegment(path string) (segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return segment{}, core.Wrap(core.KindUnavailable, "wal.Open", err)
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, segmentHeader)
	if _, err := io.ReadFull(f, b); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return segment{}, core.Wrap(core.KindUnavailable, "wal.Open", err)
	}
	s := segment{number: binary.LittleEndian.Uint64(b[8:]), first: binary.LittleEndian.Uint64(b[16:])}
	copy(s.salt[:], b[24:])
	if !bytes.Equal(s.encode(), b) {
		return segment{}, damaged(filepath.Base(path), 0, "the segment's header fails its check")
	}
	if filepath.Base(path) != segmentName(s.number) {
		return segment{}, damaged(filepath.Base(path), 0, fmt.Sprintf("the header says segment %d", s.number))
	}
	return s, nil
}

// listSegments reads all headers and checks that the numbers have no gap and
// the sequences rise. With damage it returns the segments before it as well.
func listSegments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir) // sorted; the names have fixed width
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "wal.Open", err)
	}
	var list []segment
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if !ok {
			continue
		}
		if _, err := strconv.ParseUint(stem, 10, 64); err != nil {
			return list, damaged(e.Name(), 0, "not a segment's name")
		}
		s, err := readSegment(filepath.Join(dir, e.Name()))
		if err != nil {
			return list, err
		}
		if n := len(list); n > 0 && (s.number != list[n-1].number+1 || s.first < list[n-1].first) {
			return list, damaged(e.Name(), 0, fmt.Sprintf("follows segment %d: a segment is missing or replaced", list[n-1].number))
		}
		list = append(list, s)
	}
	return list, nil
}

func damaged(segment string, off int64, why string) error {
	return core.E(core.KindDamaged, "wal", fmt.Sprintf("damaged at segment %s offset %d: %s", segment, off, why)).
		WithHint("nothing was changed; keep the folder as it is and restore from a mirror, or begin a successor")
}

// makeFile creates path with size bytes of zeros on disk, through a temporary
// name, so that a file under its final name is always complete.
func makeFile(dir, name string, size int64, alloc func(*os.File, int64) error) error {
	tmp := filepath.Join(dir, name+makingSuffix)
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if size > 0 {
		err = alloc(f, size)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		return err
	}
	return atomicfile.SyncDir(dir)
}

// allocate reserves the blocks first, which fails at once where there is no
// room, and then writes zeros, so that the blocks are initialised and later
// writes change no metadata.
func allocate(f *os.File, size int64) error {
	if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("reserving %d bytes: %w", size, err)
	}
	zeros := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(size-off, int64(len(zeros)))], off); err != nil {
			return fmt.Errorf("writing zeros: %w", err)
		}
	}
	return nil
}

// activate turns a spare file into the segment: header, sync, name, sync of
// the folder. A crash in between leaves a spare with a header in it, which the
// next activation overwrites.
func activate(dir, spare string, number, first uint64) (*os.File, segment, error) {
	s := segment{number: number, first: first}
	_, _ = rand.Read(s.salt[:]) // never fails since Go 1.24
	f, err := os.OpenFile(filepath.Join(dir, spare), os.O_RDWR, 0)
	if err != nil {
		return nil, s, err
	}
	_, err = f.WriteAt(s.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(filepath.Join(dir, spare), filepath.Join(dir, segmentName(number)))
	}
	if err == nil {
		err = atomicfile.SyncDir(dir)
	}
	if err != nil {
		return nil, s, errors.Join(err, f.Close())
	}
	return f, s, nil
}
