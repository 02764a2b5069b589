// Package evtx reads Windows event logs (.evtx) out of memory, a chunk at a
// time, and renders each record to the flat JSON object that Sigma rules are
// written for: the system fields by their names (Channel, EventID,
// Provider_Name, Computer ...) beside the names of EventData or UserData.
//
// Log files come from machines that somebody may own already. What the package
// promises for any bytes at all: no panic, no recursion without bound, no
// allocation that the bytes choose the size of, work bounded by a budget per
// record and per chunk. A damaged record is reported and the ones after it are read; a
// damaged chunk header does not hide the records behind it.
//
// It imports the standard library alone and does no I/O.
package evtx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Sizes of the parts of a file.
const (
	HeaderSize = 4096
	ChunkSize  = 65536

	chunkHeader  = 512
	recordHeader = 24
	smallest     = recordHeader + 8 // record: header, a token or two, the size again
)

var (
	fileMagic   = []byte("ElfFile\x00")
	chunkMagic  = []byte("ElfChnk\x00")
	recordMagic = []byte("\x2a\x2a\x00\x00")
)

// IsFile reports whether a file begins like an event log.
func IsFile(head []byte) bool { return bytes.HasPrefix(head, fileMagic) }

// IsChunk reports whether bytes begin like a chunk: a part carved from a disk,
// or what follows a file header that is damaged.
func IsChunk(head []byte) bool { return bytes.HasPrefix(head, chunkMagic) }

// Record is one record of a chunk. JSON is valid until the next record; it is
// nil where Err says why it could not be rendered.
type Record struct {
	ID   uint64
	Time time.Time
	JSON []byte
	Err  error
	// Offset is where the record begins in the chunk.
	Offset int
}

// Decoder renders records. It is reused from chunk to chunk and belongs to one
// goroutine.
type Decoder struct {
	renderer
	padded []byte
}

// Chunk calls fn for each record of a chunk, in order. A short chunk is read as
// far as it goes. The error tells what is wrong with the chunk as a whole;
// records that are there have been given to fn all the same.
func (d *Decoder) Chunk(chunk []byte, fn func(Record)) error {
	if blank(chunk) {
		return nil // preallocated and never written
	}
	fault := d.open(chunk)
	end := d.end(fault)
	for at := chunkHeader; at+smallest <= end; {
		if !bytes.Equal(d.chunk[at:at+4], recordMagic) {
			next := d.resync(at+8, end)
			if next < 0 && fault != nil {
				break // the end is not known, so this is where it was
			}
			fn(Record{Offset: at, Err: errors.New("no record where one must begin")})
			if next < 0 {
				break
			}
			at = next
			continue
		}
		at += d.record(at, end, fn)
	}
	return fault
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// open takes a chunk's bytes, filled up where the file ends early, and checks
// its header.
func (d *Decoder) open(chunk []byte) error {
	d.chunk, d.steps = chunk, maxChunkSteps
	if len(chunk) < ChunkSize {
		d.padded = append(append(d.padded[:0], chunk...), make([]byte, ChunkSize-len(chunk))...)
		d.chunk = d.padded
		return fmt.Errorf("the file ends after %d of the %d bytes of a chunk", len(chunk), ChunkSize)
	}
	h := d.chunk[:chunkHeader]
	if !bytes.HasPrefix(h, chunkMagic) {
		return errors.New("the chunk's header is damaged: it does not begin with ElfChnk")
	}
	sum := crc32.Update(crc32.ChecksumIEEE(h[:120]), crc32.IEEETable, h[128:512])
	if sum != binary.LittleEndian.Uint32(h[124:]) {
		return errors.New("the chunk's header does not match its checksum")
	}
	return nil
}

// end is where the chunk's records end, by its header where that can be believed.
func (d *Decoder) end(fault error) int {
	free := int(binary.LittleEndian.Uint32(d.chunk[48:]))
	if fault != nil || free < chunkHeader || free > ChunkSize {
		return ChunkSize
	}
	return free
}

// resync finds the next thing that looks like a record.
func (d *Decoder) resync(at, end int) int {
	for ; at+smallest <= end; at += 8 {
		if bytes.Equal(d.chunk[at:at+4], recordMagic) && d.size(at, end) > 0 {
			return at
		}
	}
	return -1
}

// size is the length of the record at a place, 0 if that can't be.
func (d *Decoder) size(at, end int) int {
	n := int(binary.LittleEndian.Uint32(d.chunk[at+4:]))
	if n < smallest || n > end-at || binary.LittleEndian.Uint32(d.chunk[at+n-4:]) != uint32(n) {
		return 0
	}
	return n
}

// record renders one record and returns how far to go on.
func (d *Decoder) record(at, end int, fn func(Record)) int {
	r := Record{
		Offset: at,
		ID:     binary.LittleEndian.Uint64(d.chunk[at+8:]),
		Time:   filetime(binary.LittleEndian.Uint64(d.chunk[at+16:])),
	}
	n := d.size(at, end)
	if n == 0 {
		r.Err = errors.New("the record's two sizes differ or leave the chunk")
		fn(r)
		if next := d.resync(at+8, end); next > 0 {
			return next - at
		}
		return end - at
	}
	r.JSON, r.Err = d.render(at+recordHeader, at+n-4)
	if r.Err != nil {
		r.JSON = nil
	}
	fn(r)
	return n
}

// filetime turns 100 ns since 1601 into a time; nothing is no time.
func filetime(ft uint64) time.Time {
	const epoch = 116444736000000000
	if ft == 0 || ft > 1<<62 {
		return time.Time{}
	}
	t := int64(ft) - epoch
	return time.Unix(t/1e7, t%1e7*100).UTC()
}
