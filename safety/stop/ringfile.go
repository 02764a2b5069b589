package stop

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// The ring file, little-endian:
//
//	   0  header A   magic "ILSTOP01" | slots u32 | gen u64 | drained u64 | lost u64 | crc32c u32
//	4096  header B   the same; the one with the higher gen counts
//	8192  slot 0     magic u32 | crc32c u32 | seq u64 | len u16 | JSON of the Record
//	9216  slot 1     ...
//
// A slot's crc covers seq, len and JSON. A slot of zeros is free. The headers
// are written in turn, so a torn header leaves the other.
const (
	slotSize   = 1024
	slotHead   = 18
	maxRecord  = slotSize - slotHead
	headerSize = 40
	headerGap  = 4096
	slotsStart = 2 * headerGap
	slotMagic  = 0x31544c53 // "SLT1"
	fileMagic  = "ILSTOP01"

	// MinSlots and MaxSlots bound a ring: 64 KiB to 64 MiB.
	MinSlots = 64
	MaxSlots = 64 << 10
	// DefaultSlots is 4 MiB of records.
	DefaultSlots = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type header struct {
	slots              uint32
	gen, drained, lost uint64
}

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, fileMagic)
	binary.LittleEndian.PutUint32(b[8:], h.slots)
	binary.LittleEndian.PutUint64(b[12:], h.gen)
	binary.LittleEndian.PutUint64(b[20:], h.drained)
	binary.LittleEndian.PutUint64(b[28:], h.lost)
	binary.LittleEndian.PutUint32(b[36:], crc32.Checksum(b[:36], castagnoli))
	return b
}

func decodeHeader(b []byte) (header, bool) {
	if len(b) < headerSize || string(b[:8]) != fileMagic || binary.LittleEndian.Uint32(b[36:]) != crc32.Checksum(b[:36], castagnoli) {
		return header{}, false
	}
	return header{
		binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint64(b[12:]),
		binary.LittleEndian.Uint64(b[20:]), binary.LittleEndian.Uint64(b[28:]),
	}, true
}

// encodeSlot makes the slot's bytes. The reason is shortened until the record
// fits: a long reason must not refuse a stop.
func encodeSlot(seq uint64, r Record) ([]byte, error) {
	r.Reason = printable(r.Reason)
	for {
		payload, err := json.Marshal(r)
		if err != nil {
			return nil, core.Wrap(core.KindInternal, "stop.Append", err)
		}
		if len(payload) <= maxRecord {
			return sealSlot(seq, payload), nil
		}
		if r.Reason == "" {
			return nil, core.E(core.KindTooLarge, "stop.Append", fmt.Sprintf("a record of %d bytes does not fit a slot", len(payload)))
		}
		r.Reason = strings.ToValidUTF8(r.Reason[:len(r.Reason)/2], "")
	}
}

func sealSlot(seq uint64, payload []byte) []byte {
	b := make([]byte, slotSize)
	binary.LittleEndian.PutUint32(b, slotMagic)
	binary.LittleEndian.PutUint64(b[8:], seq)
	binary.LittleEndian.PutUint16(b[16:], uint16(len(payload)))
	copy(b[slotHead:], payload)
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:slotHead+len(payload)], castagnoli))
	return b
}

// printable keeps control characters and broken UTF-8 out of the record.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}

var (
	errFree = errors.New("free slot")
	errTorn = errors.New("damaged slot")
)

// decodeSlot reads a slot. It is given bytes from a disk and trusts none.
func decodeSlot(b []byte) (Record, error) {
	if len(b) != slotSize {
		return Record{}, errTorn
	}
	if zeros(b) {
		return Record{}, errFree
	}
	n := int(binary.LittleEndian.Uint16(b[16:]))
	if binary.LittleEndian.Uint32(b) != slotMagic || n > maxRecord ||
		binary.LittleEndian.Uint32(b[4:]) != crc32.Checksum(b[8:slotHead+n], castagnoli) {
		return Record{}, errTorn
	}
	var r Record
	if err := link.DecodeStrict(b[slotHead:slotHead+n], &r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", errTorn, err)
	}
	r.Seq = binary.LittleEndian.Uint64(b[8:])
	if r.Seq == 0 {
		return Record{}, errTorn
	}
	return r, nil
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// createRingFile makes the file whole before it gets its name: space taken,
// zeros written, header in place, synced.
func createRingFile(path string, slots int) error {
	const op = "stop.OpenRing"
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return core.Wrap(core.KindUnavailable, op, err)
	}
	defer f.Close()
	if err := fillRingFile(f, slots); err != nil {
		_ = os.Remove(temp)
		return core.Wrap(core.KindUnavailable, op, fmt.Errorf("taking %d bytes for %s: %w", slotsStart+slots*slotSize, path, err))
	}
	if err := os.Rename(temp, path); err != nil {
		return core.Wrap(core.KindUnavailable, op, err)
	}
	return core.Wrap(core.KindUnavailable, op, atomicfile.SyncDir(filepath.Dir(path)))
}

func fillRingFile(f *os.File, slots int) error {
	size := int64(slotsStart + slots*slotSize)
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// Zeros are written even where the space is taken already: a first write
	// into an unwritten extent changes metadata, and that can fail.
	block := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(block)) {
		if _, err := f.WriteAt(block[:min(int64(len(block)), size-at)], at); err != nil {
			return err
		}
	}
	for gen, at := range []int64{headerGap, 0} {
		if _, err := f.WriteAt(header{slots: uint32(slots), gen: uint64(gen)}.encode(), at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// lockFile keeps a second process out.
func lockFile(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return core.E(core.KindConflict, "stop.OpenRing", f.Name()+" is in use by another process").WithHint("one process serves a data directory")
	}
	return nil
}
