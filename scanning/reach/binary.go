package reach

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/interlock-security/interlock/core"
)

// maxTable bounds the function table that is read from a program; the largest
// ones of a hundred-megabyte program are below a quarter of it.
const maxTable = 256 << 20

// Binary reads from a linked Go program which packages have code in it. The
// linker drops what can't be called, so what is missing can't be reached. It is
// an error if the program is none of Go's, or has names that can't be trusted.
func Binary(r io.ReaderAt) (*Set, error) {
	info, err := buildinfo.Read(r)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "reach.Binary", err)
	}
	if info.Path == "" && info.Main.Path == "" {
		return nil, core.E(core.KindUncertain, "reach.Binary", "the program does not say what it was built from, so its names may be hidden")
	}
	table, err := functionTable(r)
	if err != nil {
		return nil, core.Wrap(core.KindUncertain, "reach.Binary", err)
	}
	names, err := functionNames(table)
	if err != nil {
		return nil, core.Wrap(core.KindUncertain, "reach.Binary", err)
	}
	set := &Set{imported: map[string]bool{}, std: true}
	for name := range bytes.SplitSeq(names, []byte{0}) {
		if p := packageOf(string(name)); p != "" {
			set.imported[p] = true
		}
	}
	if !set.imported["runtime"] || !set.imported["main"] {
		return nil, core.E(core.KindUncertain, "reach.Binary", "the program's functions have no names of Go packages")
	}
	return set, nil
}

var errNoTable = errors.New("the program has no function table that can be read")

// functionTable finds the runtime's table of functions, which is there in
// stripped programs too.
func functionTable(r io.ReaderAt) ([]byte, error) {
	if f, err := elf.NewFile(r); err == nil {
		for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
			if s := f.Section(name); s != nil && s.Type != elf.SHT_NOBITS {
				return section(s, s.Size)
			}
		}
		return nil, errNoTable
	}
	if f, err := macho.NewFile(r); err == nil {
		if s := f.Section("__gopclntab"); s != nil {
			return section(s, s.Size)
		}
		return nil, errNoTable
	}
	if f, err := pe.NewFile(r); err == nil {
		return searchPE(f)
	}
	return nil, errNoTable
}

func section(s io.ReaderAt, size uint64) ([]byte, error) {
	if size > maxTable {
		return nil, errors.New("the program's function table is larger than allowed")
	}
	return io.ReadAll(io.NewSectionReader(s, 0, int64(size)))
}

// searchPE looks for the table in the read-only data: Windows programs give it
// no section of its own.
func searchPE(f *pe.File) ([]byte, error) {
	s := f.Section(".rdata")
	if s == nil {
		return nil, errNoTable
	}
	data, err := section(s, uint64(s.Size))
	if err != nil {
		return nil, err
	}
	for _, magic := range []uint32{magic120, magic118} {
		begin := binary.LittleEndian.AppendUint32(nil, magic)
		for at := 0; ; at++ {
			i := bytes.Index(data[at:], begin)
			if i < 0 {
				break
			}
			at += i
			if names, err := functionNames(data[at:]); err == nil && bytes.Contains(names, []byte("runtime.main\x00")) {
				return data[at:], nil
			}
		}
	}
	return nil, errNoTable
}

// The tables of Go 1.20 and later, and of 1.18 and 1.19. Both name functions in
// one region, those too that were inlined into others.
const (
	magic120 = 0xfffffff1
	magic118 = 0xfffffff0
)

// functionNames cuts that region out of the table.
func functionNames(table []byte) ([]byte, error) {
	if len(table) < 8+8*8 {
		return nil, errNoTable
	}
	var order binary.ByteOrder = binary.LittleEndian
	magic := order.Uint32(table)
	if magic != magic120 && magic != magic118 {
		order = binary.BigEndian
		magic = order.Uint32(table)
	}
	size := int(table[7])
	if magic != magic120 && magic != magic118 || table[4] != 0 || table[5] != 0 || size != 4 && size != 8 {
		return nil, errNoTable
	}
	word := func(n int) uint64 {
		at := 8 + n*size
		if size == 4 {
			return uint64(order.Uint32(table[at:]))
		}
		return order.Uint64(table[at:])
	}
	begin, end := word(3), word(4)
	if begin >= end || end > uint64(len(table)) {
		return nil, errNoTable
	}
	return table[begin:end], nil
}

// packageOf is the package of a function's name: up to the first dot behind the
// last slash, where dots of the path itself are written %2e. Type parameters may
// name other packages and are cut off.
func packageOf(name string) string {
	if i := strings.IndexByte(name, '['); i >= 0 {
		name = name[:i]
	}
	if strings.HasPrefix(name, "type:") || strings.HasPrefix(name, "go:") {
		return ""
	}
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot <= 0 {
		return ""
	}
	p, err := url.PathUnescape(name[:slash+dot])
	if err != nil {
		return name[:slash+dot]
	}
	return p
}
