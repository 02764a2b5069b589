package rpm

import (
	"encoding/binary"
	"io"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// SUSE's format: pages of slots, each of which leads to a header in blocks of 16
// bytes. All numbers are little endian.
const (
	slotsMagic = 'R' | 'p'<<8 | 'm'<<16 | 'P'<<24
	slotMagic  = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	blobMagic  = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24
	slotSize   = 16
	slotPage   = 4096
	maxSlots   = 4096 // pages of them
)

func slots(r io.ReaderAt, size int64, yield func([]byte) error) error {
	head := make([]byte, 2*slotSize)
	if _, err := r.ReadAt(head, 0); err != nil || binary.LittleEndian.Uint32(head) != slotsMagic {
		return extract.Malformed(0, "not a database of rpm packages")
	}
	if v := binary.LittleEndian.Uint32(head[4:]); v != 0 {
		return extract.Unsupported("version %d of the format; version 0 is read", v)
	}
	pages := int64(binary.LittleEndian.Uint32(head[12:]))
	if pages == 0 || pages > maxSlots || pages*slotPage > size {
		return extract.Malformed(0, "%d pages of slots", pages)
	}
	table := make([]byte, pages*slotPage)
	if _, err := r.ReadAt(table, 0); err != nil {
		return err
	}
	left := 4 * size
	for at := len(head); at < len(table); at += slotSize {
		slot := table[at : at+slotSize]
		if binary.LittleEndian.Uint32(slot) != slotMagic {
			return extract.Malformed(0, "a slot that is none")
		}
		if binary.LittleEndian.Uint32(slot[4:]) == 0 {
			continue // free
		}
		if err := slotBlob(r, slot, size, &left, yield); err != nil {
			return err
		}
	}
	return nil
}

func slotBlob(r io.ReaderAt, slot []byte, size int64, left *int64, yield func([]byte) error) error {
	at := int64(binary.LittleEndian.Uint32(slot[8:])) * slotSize
	head := make([]byte, slotSize)
	if _, err := r.ReadAt(head, at); err != nil {
		return extract.Malformed(0, "a slot that leads out of the file")
	}
	length := int64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint32(head) != blobMagic || string(head[4:8]) != string(slot[4:8]) {
		return extract.Malformed(0, "a slot that leads to another package")
	}
	if *left -= length; length > maxBlob || at+slotSize+length > size || *left < 0 {
		return extract.Malformed(0, "a package's header of %d bytes", length)
	}
	blob := make([]byte, length)
	if _, err := r.ReadAt(blob, at+slotSize); err != nil {
		return err
	}
	return yield(blob)
}
