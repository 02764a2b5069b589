package needle

import (
	"encoding/binary"
	"math/bits"
)

// MinLen is the length that a text of a [Set] must have.
const MinLen = 4

// maxStride bounds how many windows a text is known by: a longer stride reads
// less of a value, and fills the bitmap.
const maxStride = 8

// Set is a set of texts to be found anywhere in a value. It does not change.
type Set struct {
	texts  []string
	stride int
	shift  uint8    // of a window's hash, to a place in the bitmap
	bitmap []uint64 // which hashes some window has
	cells  []cell   // open table of windows
	uses   []use    // in the order of the cells
	raw    bool     // no window has a byte that JSON may escape
	quick  []tables // in place of the bitmap, for few texts
}

// cell is one window and where its uses stand.
type cell struct {
	window   uint32
	from, to int32
}

// use is a text that has the window at an offset.
type use struct{ text, at int32 }

// Rarity says how often a window is expected; smaller is rarer.
type Rarity func(window uint32) int

// NewSet makes a set. Every text has at least [MinLen] bytes; its number is its
// place in the list.
func NewSet(texts []string, rarity Rarity) *Set {
	s := &Set{texts: texts, stride: maxStride, raw: true}
	for _, t := range texts {
		s.stride = min(s.stride, len(t)-MinLen+1)
	}
	if canScan && len(texts) <= quickTexts {
		s.stride, s.quick = 1, make([]tables, (len(texts)+columns-1)/columns)
	}
	uses := make(map[uint32][]use)
	for i, t := range texts {
		at := s.choose(t, rarity, uses)
		for k := range s.stride {
			w := Window(t[at+k:])
			uses[w] = append(uses[w], use{int32(i), int32(at + k)})
			if s.quick != nil {
				s.quick[i/columns].enter(w, i%columns)
			}
		}
		s.raw = s.raw && !escapable(t[at:at+s.stride+MinLen-1])
	}
	s.index(uses)
	return s
}

// Window is the first four bytes of s as a set sees them: letters of either
// case are one.
func Window[T string | []byte](s T) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) | caseBits
}

const caseBits = 0x20202020

// choose returns the offset from which a text's windows are the rarest and the
// least used. Those that JSON may escape come last.
func (s *Set) choose(text string, rarity Rarity, uses map[uint32][]use) int {
	best, least := 0, 1<<62
	for at := 0; at+s.stride+MinLen-1 <= len(text); at++ {
		cost := 0
		for k := range s.stride {
			w := Window(text[at+k:])
			cost += rarity(w) + 4*len(uses[w])
		}
		if escapable(text[at : at+s.stride+MinLen-1]) {
			cost += 1 << 30
		}
		if cost < least {
			best, least = at, cost
		}
	}
	return best
}

// escapable reports whether JSON may write a byte of s in another way than as
// itself, escapes by number aside.
func escapable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '/' {
			return true
		}
	}
	return false
}

func (s *Set) index(uses map[uint32][]use) {
	size := 16
	for size < 2*len(uses) {
		size *= 2
	}
	// Twenty places of the bitmap for each window, from 64 bytes to 32 KiB.
	width := min(max(bits.Len(uint(20*len(uses))), 9), 18)
	s.shift = uint8(32 - width)
	s.bitmap = make([]uint64, 1<<(width-6))
	s.cells = make([]cell, size)
	for w, list := range uses {
		h := spread(w)
		s.bitmap[h>>s.shift>>6] |= 1 << (h >> s.shift & 63)
		at := h & uint32(size-1)
		for s.cells[at].to > 0 {
			at = (at + 1) & uint32(size-1)
		}
		from := len(s.uses)
		s.uses = append(s.uses, list...)
		s.cells[at] = cell{w, int32(from), int32(len(s.uses))}
	}
}

func spread(window uint32) uint32 { return window * 0x9e3779b1 }

// Raw reports whether [Set.Maybe] can be asked about bytes as they stand in JSON.
func (s *Set) Raw() bool { return s.raw }

// Stride is how far apart the places are that are read.
func (s *Set) Stride() int { return s.stride }

// List returns the texts.
func (s *Set) List() []string { return s.texts }

// Bytes is about the memory that the set takes, without its texts.
func (s *Set) Bytes() int { return 8*len(s.bitmap) + 12*len(s.cells) + 8*len(s.uses) + 16*len(s.texts) }

// Found collects what a value has. It is reused.
type Found struct {
	Texts []int32 // each once

	seen  []uint32
	round uint32
}

func (f *Found) begin(texts int) {
	f.Texts = f.Texts[:0]
	if f.round++; f.round == 0 {
		clear(f.seen)
		f.round = 1
	}
	if len(f.seen) < texts {
		f.seen = append(f.seen, make([]uint32, texts-len(f.seen))...)
	}
}

func (f *Found) add(text int32) {
	if f.seen[text] != f.round {
		f.seen[text] = f.round
		f.Texts = append(f.Texts, text)
	}
}

// Find leaves in f the texts that stand in value.
func (s *Set) Find(value []byte, f *Found) {
	f.begin(len(s.texts))
	s.each(value, func(at int) bool {
		s.verify(value, at, f)
		return false
	})
}

// Any reports whether any of the texts stands in value.
func (s *Set) Any(value []byte, room *Found) bool {
	room.begin(len(s.texts))
	return s.each(value, func(at int) bool {
		s.verify(value, at, room)
		return len(room.Texts) > 0
	})
}

// Maybe reports whether a text could stand in value, which need not be folded.
func (s *Set) Maybe(value []byte) bool {
	return s.each(value, func(at int) bool { return s.lookup(Window(value[at:])) != nil })
}

// each calls fn with the places where a window may be, until it returns true.
func (s *Set) each(value []byte, fn func(at int) bool) bool {
	for i := range s.quick {
		t := &s.quick[i]
		for at := t.next(value, 0); at >= 0; at = t.next(value, at+1) {
			if fn(at) {
				return true
			}
		}
	}
	if s.quick != nil {
		return false
	}
	for at := s.next(value, 0); at >= 0; at = s.next(value, at+s.stride) {
		if fn(at) {
			return true
		}
	}
	return false
}

// next is the first place from at on, in steps of the stride, where the bitmap
// knows the window; -1 where there is none. Four places are asked at once: they
// don't wait for one another, and hardly ever one of them is known.
func (s *Set) next(value []byte, at int) int {
	bitmap, shift, stride := s.bitmap, s.shift&31, s.stride
	for ; at+3*stride+4 <= len(value); at += 4 * stride {
		four := value[at : at+3*stride+4]
		known := s.ask(bitmap, shift, four) | s.ask(bitmap, shift, four[stride:]) |
			s.ask(bitmap, shift, four[2*stride:]) | s.ask(bitmap, shift, four[3*stride:])
		if known&1 == 0 {
			continue
		}
		for s.ask(bitmap, shift, value[at:])&1 == 0 {
			at += stride
		}
		return at
	}
	for ; at+4 <= len(value); at += stride {
		if s.ask(bitmap, shift, value[at:])&1 != 0 {
			return at
		}
	}
	return -1
}

// ask has its lowest bit set where the bitmap knows the window at the beginning
// of value.
func (*Set) ask(bitmap []uint64, shift uint8, value []byte) uint64 {
	h := spread(binary.LittleEndian.Uint32(value)|caseBits) >> (shift & 31)
	return bitmap[h>>6] >> (h & 63)
}

func (s *Set) lookup(window uint32) []use {
	mask := uint32(len(s.cells) - 1)
	for at := spread(window) & mask; ; at = (at + 1) & mask {
		c := &s.cells[at]
		if c.to == 0 {
			return nil
		}
		if c.window == window {
			return s.uses[c.from:c.to]
		}
	}
}

// verify adds the texts that have their window at a place and stand there.
func (s *Set) verify(value []byte, at int, f *Found) {
	for _, u := range s.lookup(Window(value[at:])) {
		from, text := at-int(u.at), s.texts[u.text]
		if from >= 0 && from+len(text) <= len(value) && string(value[from:from+len(text)]) == text {
			f.add(u.text)
		}
	}
}
