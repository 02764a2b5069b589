package scan

import (
	"encoding/binary"
	"math/bits"
)

// None is the number of a path that nobody asked for.
const None int32 = -1

// Table numbers the paths that are asked for, in the order in which they are
// added. It is an open hash table: a key of an event is looked up by its first
// and last eight bytes and its length, and compared whole when those agree.
type Table struct {
	names []string
	cells []cell
	ends  map[string]int // position in cells, while it is built
}

// cell is one entry. A path that is only the beginning of others ("a" where
// "a.b" is asked for) has no number of its own.
type cell struct {
	hash   uint32
	path   int32
	prefix bool // longer paths begin with this one and a dot
	used   bool
	name   string
}

// NewTable makes a table of paths; equal ones get one number.
func NewTable(paths []string) *Table {
	t := &Table{ends: make(map[string]int)}
	var all []cell
	enter := func(name string) *cell {
		at, ok := t.ends[name]
		if !ok {
			at = len(all)
			t.ends[name] = at
			all = append(all, cell{hash: hash([]byte(name)), path: None, used: true, name: name})
		}
		return &all[at]
	}
	for _, p := range paths {
		if c := enter(p); c.path == None {
			c.path = int32(len(t.names))
			t.names = append(t.names, p)
		}
		for i := range p {
			if p[i] == '.' {
				enter(p[:i]).prefix = true
			}
		}
	}
	t.place(all)
	t.ends = nil
	return t
}

func (t *Table) place(all []cell) {
	size := 16
	for size < 4*len(all) {
		size *= 2
	}
	t.cells = make([]cell, size)
	for _, c := range all {
		at := int(c.hash) & (size - 1)
		for t.cells[at].used {
			at = (at + 1) & (size - 1)
		}
		t.cells[at] = c
	}
}

// Len is how many paths have a number.
func (t *Table) Len() int { return len(t.names) }

// Name is the path with a number.
func (t *Table) Name(path int32) string { return t.names[path] }

// Bytes is about the memory that the table takes.
func (t *Table) Bytes() int {
	n := len(t.cells) * 40
	for _, s := range t.names {
		n += len(s) + 16
	}
	return n
}

// Path is the number of a path, [None] where it has none.
func (t *Table) Path(name string) int32 {
	path, _ := t.find([]byte(name))
	return path
}

// find looks a path up and says whether longer ones begin with it.
func (t *Table) find(key []byte) (path int32, prefix bool) {
	h := hash(key)
	mask := uint32(len(t.cells) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		c := &t.cells[at]
		if !c.used {
			return None, false
		}
		if c.hash == h && c.name == string(key) {
			return c.path, c.prefix
		}
	}
}

// hash mixes the ends of a key. Keys that differ only in their middle share a
// cell's hash, which costs a comparison and nothing else.
func hash(key []byte) uint32 {
	var a, b uint64
	switch n := len(key); {
	case n >= 8:
		a, b = binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:])
	case n >= 4:
		a, b = uint64(binary.LittleEndian.Uint32(key)), uint64(binary.LittleEndian.Uint32(key[n-4:]))
	case n > 0:
		a, b = uint64(key[0])<<8|uint64(key[n/2]), uint64(key[n-1])
	}
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^uint64(len(key))^0xd6e8feb86659fd93)
	return uint32((hi ^ lo) >> 16)
}
