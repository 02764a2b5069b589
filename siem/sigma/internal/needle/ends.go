package needle

import (
	"encoding/binary"
	"math/bits"
)

// Place is where a text of [Ends] stands in a value.
type Place uint8

// The places.
const (
	Whole Place = iota
	Head
	Tail
)

// End is a text and its place.
type End struct {
	Text  string
	Place Place
}

// Ends is a set of texts that are the whole, the beginning or the end of a
// value. It does not change.
type Ends struct {
	list  []End
	cells []endCell // open table of hashes
	order []int32   // the texts, in the order of the cells
	heads []uint8   // how many bytes are hashed, for texts at the beginning
	tails []uint8
	whole bool
	long  int // length of the longest text
}

type endCell struct {
	hash     uint64
	from, to int32
}

// width is how many bytes of a text are hashed at most.
const width = 8

// NewEnds makes a set. A text's number is its place in the list.
func NewEnds(list []End) *Ends {
	e := &Ends{list: list}
	byHash := make(map[uint64][]int32)
	for i, end := range list {
		e.long = max(e.long, len(end.Text))
		h := e.enter(end)
		byHash[h] = append(byHash[h], int32(i))
	}
	size := 8
	for size < 2*len(byHash) {
		size *= 2
	}
	e.cells = make([]endCell, size)
	for h, texts := range byHash {
		at := h & uint64(size-1)
		for e.cells[at].to > 0 {
			at = (at + 1) & uint64(size-1)
		}
		from := len(e.order)
		e.order = append(e.order, texts...)
		e.cells[at] = endCell{h, int32(from), int32(len(e.order))}
	}
	return e
}

// enter notes what must be hashed to find a text, and hashes it.
func (e *Ends) enter(end End) uint64 {
	n := uint8(min(len(end.Text), width))
	first, last := edges([]byte(end.Text))
	switch end.Place {
	case Head:
		e.heads = withLength(e.heads, n)
		return mix(first, uint64(n)|1<<8)
	case Tail:
		e.tails = withLength(e.tails, n)
		return mix(last>>(8*(width-n)), uint64(n)|2<<8)
	}
	e.whole = true
	return mixWhole(first, last, len(end.Text))
}

func withLength(have []uint8, n uint8) []uint8 {
	for _, h := range have {
		if h == n {
			return have
		}
	}
	return append(have, n)
}

// edges returns the first eight bytes of s, and the last eight with the very
// last one on top. Bytes that are not there are 0.
func edges(s []byte) (first, last uint64) {
	if len(s) >= width {
		return binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[len(s)-width:])
	}
	for i, c := range s {
		first |= uint64(c) << (8 * i)
	}
	return first, first << (8 * (width - len(s)) & 63)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd6e8feb86659fd93)
	return hi ^ lo
}

func mixWhole(first, last uint64, n int) uint64 { return mix(mix(first, uint64(n)), last) }

// List returns the texts and their places.
func (e *Ends) List() []End { return e.list }

// Longest is the length of the longest text: what a longer value has in its
// middle says nothing.
func (e *Ends) Longest() int { return e.long }

// Bytes is about the memory that the set takes, without its texts.
func (e *Ends) Bytes() int { return 16*len(e.cells) + 28*len(e.list) }

// Find leaves in f the texts that are where they should be in value.
func (e *Ends) Find(value []byte, f *Found) {
	f.begin(len(e.list))
	first, last := edges(value)
	if e.whole {
		e.probe(mixWhole(first, last, len(value)), value, f)
	}
	for _, n := range e.heads {
		if int(n) <= len(value) {
			e.probe(mix(first&(1<<(8*n)-1), uint64(n)|1<<8), value, f)
		}
	}
	for _, n := range e.tails {
		if int(n) <= len(value) {
			e.probe(mix(last>>(8*(width-n)), uint64(n)|2<<8), value, f)
		}
	}
}

// Any reports whether any of the texts is where it should be in value.
func (e *Ends) Any(value []byte, room *Found) bool {
	e.Find(value, room)
	return len(room.Texts) > 0
}

func (e *Ends) probe(h uint64, value []byte, f *Found) {
	mask := uint64(len(e.cells) - 1)
	for at := h & mask; e.cells[at].to > 0; at = (at + 1) & mask {
		if c := &e.cells[at]; c.hash == h {
			for _, id := range e.order[c.from:c.to] {
				if e.list[id].in(value) {
					f.add(id)
				}
			}
			return
		}
	}
}

func (e End) in(value []byte) bool {
	n := len(e.Text)
	switch {
	case n > len(value) || e.Place == Whole && n != len(value):
		return false
	case e.Place == Tail:
		return string(value[len(value)-n:]) == e.Text
	}
	return string(value[:n]) == e.Text
}
