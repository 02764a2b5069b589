package scan

import "encoding/binary"

// mask says of 64 bytes, a bit each, which are of a kind. Once [settle] has gone
// over it, quotes are those that begin or end a text, and odd are the bytes
// after a backslash that are neither a quote nor a backslash.
type mask struct{ quote, slash, high, odd uint64 }

// width is how many bytes a mask is of.
const width = 64

// classify fills s.masks for b.
func (s *Scanner) classify(b []byte) {
	n := (len(b) + width - 1) / width
	if cap(s.masks) < n || cap(s.masks) > keepMasks && n <= keepMasks {
		s.masks = make([]mask, n, max(n, 64))
	}
	s.masks = s.masks[:n]
	whole := len(b) &^ (width - 1)
	index(b[:whole], s.masks)
	if whole < len(b) {
		var end [width]byte
		copy(end[:], b[whole:])
		index(end[:], s.masks[n-1:])
	}
	settle(s.masks)
}

// keepMasks is the room that is kept for the next object at most.
const keepMasks = 4096

// settle finds out which bytes a backslash takes: of a row of backslashes every
// second one. The arithmetic finds the ends of the rows of 64 bytes at once:
// a row is added to the bit where it would end if every row began at an even
// place, and what does not fit shows where one does not.
func settle(masks []mask) {
	const odds = 0xaaaaaaaaaaaaaaaa
	var carry uint64 // the first byte is taken by the block before
	for i := range masks {
		m := &masks[i]
		if m.slash|carry == 0 {
			m.odd = 0
			continue
		}
		first := m.slash &^ carry
		ends := ((first<<1 | odds) - first) ^ odds
		taken := ends ^ (m.slash | carry)
		carry = ends & m.slash >> (width - 1)
		m.odd = taken &^ (m.quote | m.slash)
		m.quote &^= taken
	}
}

// indexGo is index in plain Go, eight bytes at a time.
func indexGo(b []byte, masks []mask) {
	for i := 0; i+width <= len(b); i += width {
		var m mask
		for k := 0; k < width; k += 8 {
			w := binary.LittleEndian.Uint64(b[i+k:])
			m.quote |= gather(equal(w, '"')) << k
			m.slash |= gather(equal(w, '\\')) << k
			m.high |= gather(w&highs) << k
		}
		masks[i/width] = m
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// equal has the highest bit of each byte of w that is c.
func equal(w uint64, c byte) uint64 {
	x := w ^ ones*uint64(c)
	return ^((x&^highs + ^uint64(highs)) | x) & highs
}

// gather brings the highest bits of eight bytes together.
func gather(high uint64) uint64 {
	return (high >> 7) * 0x0102040810204080 >> 56
}
