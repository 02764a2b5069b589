package parts

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/interlock-security/interlock/core"
)

// The firmware describes the machine in a table of structures (DMTF DSP0134):
// four bytes of header, fields, then strings that the fields name by number.
const (
	maxTable      = 1 << 20
	maxStructures = 8192

	headerSize  = 4
	endOfTable  = 127
	typeBIOS    = 0
	typeSystem  = 1
	typeBoard   = 2
	typeChassis = 3
	typeMemory  = 17
)

// structure is one entry of the table. The strings are the firmware maker's.
type structure struct {
	kind    byte
	fields  []byte // with the header, so that offsets are those of the standard
	strings []string
}

// parseTable reads the table. What is no whole structure is an error: half an
// inventory would look like parts that were taken out.
func parseTable(b []byte) ([]structure, error) {
	if len(b) > maxTable {
		return nil, core.E(core.KindTooLarge, "parts.parseTable", fmt.Sprintf("an SMBIOS table of more than %d bytes", maxTable))
	}
	var all []structure
	for len(b) > 0 {
		if len(all) == maxStructures {
			return nil, core.E(core.KindTooLarge, "parts.parseTable", fmt.Sprintf("more than %d SMBIOS structures", maxStructures))
		}
		s, rest, err := parseStructure(b)
		if err != nil {
			return nil, err
		}
		if s.kind == endOfTable {
			break // what follows is padding
		}
		all, b = append(all, s), rest
	}
	return all, nil
}

func parseStructure(b []byte) (s structure, rest []byte, err error) {
	if len(b) < headerSize || int(b[1]) < headerSize || int(b[1]) > len(b) {
		return s, nil, damaged("a structure that is cut off: %d bytes are left", len(b))
	}
	s = structure{kind: b[0], fields: b[:b[1]]}
	rest = b[b[1]:]
	end := bytes.Index(rest, []byte{0, 0})
	if end < 0 {
		return s, nil, damaged("the strings of a structure of type %d have no end", s.kind)
	}
	if end > 0 {
		for _, text := range bytes.Split(rest[:end], []byte{0}) {
			s.strings = append(s.strings, string(text))
		}
	}
	return s, rest[end+2:], nil
}

func damaged(format string, args ...any) error {
	return core.E(core.KindDamaged, "parts.parseTable", "SMBIOS: "+fmt.Sprintf(format, args...))
}

// text returns the string that the field at an offset names, "" for none. Older
// firmware has shorter structures.
func (s structure) text(offset int) string {
	n := int(s.byteAt(offset))
	if n == 0 || n > len(s.strings) {
		return ""
	}
	return string(bytes.TrimSpace([]byte(s.strings[n-1])))
}

func (s structure) byteAt(offset int) byte {
	if offset >= len(s.fields) {
		return 0
	}
	return s.fields[offset]
}

func (s structure) word(offset int) uint16 {
	if offset+2 > len(s.fields) {
		return 0
	}
	return binary.LittleEndian.Uint16(s.fields[offset:])
}

func (s structure) dword(offset int) uint32 {
	if offset+4 > len(s.fields) {
		return 0
	}
	return binary.LittleEndian.Uint32(s.fields[offset:])
}

// uuid writes the number of a machine as everybody does: its first three parts
// are little endian.
func (s structure) uuid(offset int) string {
	if offset+16 > len(s.fields) {
		return ""
	}
	u := s.fields[offset : offset+16]
	if bytes.Count(u, []byte{0}) == 16 || bytes.Count(u, []byte{0xff}) == 16 {
		return "" // none, or not set
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", s.dword(offset), s.word(offset+4), s.word(offset+6), u[8:10], u[10:])
}

// memorySize is the size of a memory module in bytes, 0 for an empty slot.
func (s structure) memorySize() uint64 {
	const unknown, extended, kilobytes = 0xffff, 0x7fff, 0x8000
	switch size := uint64(s.word(0x0c)); {
	case size == unknown:
		return 0
	case size == extended:
		return uint64(s.dword(0x1c)&0x7fffffff) << 20
	case size&kilobytes != 0:
		return (size &^ kilobytes) << 10
	default:
		return size << 20
	}
}
