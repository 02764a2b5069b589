package scan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// plain is what an escape of two bytes stands for.
var plain = [256]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', '"': '"', '\\': '\\', '/': '/'}

// AppendText appends what the raw bytes of a text stand for. They must come
// from a [Scanner]. Half a surrogate pair stands for U+FFFD; bytes that are no
// UTF-8 stay as they are.
func AppendText(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 >= len(raw) {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		if c := plain[raw[i+1]]; c != 0 {
			dst, raw = append(dst, c), raw[i+2:]
			continue
		}
		var r rune
		r, raw = numbered(raw[i:])
		dst = utf8.AppendRune(dst, r)
	}
}

// numbered takes a \uXXXX, or two that make a pair, from the beginning of raw.
func numbered(raw []byte) (rune, []byte) {
	if len(raw) < 6 {
		return utf8.RuneError, nil
	}
	r := hex4(raw[2:6])
	raw = raw[6:]
	if utf16.IsSurrogate(r) && len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(raw[2:6])); pair != utf8.RuneError {
			return pair, raw[6:]
		}
	}
	return r, raw
}

// hex4 reads four hexadecimal digits; it is negative where one is none.
func hex4(s []byte) rune {
	var r rune
	for _, c := range s[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// AppendFolded appends what raw stands for with A to Z made small, eight bytes at
// a time. The value must have neither of [Unicode] and [High].
func AppendFolded(dst, raw []byte) []byte {
	from := len(dst)
	dst = slices.Grow(dst, len(raw)+8)
	out := dst[from : from+len(raw)+8]
	i, o := 0, 0
	for i+8 <= len(raw) {
		w := binary.LittleEndian.Uint64(raw[i:])
		binary.LittleEndian.PutUint64(out[o:], fold8(w))
		x := w ^ ones*'\\'
		slash := (x - ones) & ^x & highs
		if slash == 0 {
			i, o = i+8, o+8
			continue
		}
		n := bits.TrailingZeros64(slash) >> 3
		i, o = i+n, o+n
		if i+1 == len(raw) {
			break
		}
		out[o] = plain[raw[i+1]]
		i, o = i+2, o+1
	}
	for ; i < len(raw); i, o = i+1, o+1 {
		c := raw[i]
		if c == '\\' && i+1 < len(raw) {
			i++
			c = plain[raw[i]]
		} else if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		out[o] = c
	}
	return dst[:from+o]
}

// AppendSmall appends s, which is ASCII, with A to Z made small.
func AppendSmall(dst, s []byte) []byte {
	from := len(dst)
	dst = append(dst, s...)
	out := dst[from:]
	i := 0
	for ; i+8 <= len(out); i += 8 {
		binary.LittleEndian.PutUint64(out[i:], fold8(binary.LittleEndian.Uint64(out[i:])))
	}
	for ; i < len(out); i++ {
		if c := out[i]; 'A' <= c && c <= 'Z' {
			out[i] = c | 0x20
		}
	}
	return dst
}

// fold8 makes the letters of eight ASCII bytes small.
func fold8(w uint64) uint64 {
	fromA := w + ones*(0x80-'A')
	pastZ := w + ones*(0x80-'Z'-1)
	return w | (fromA&^pastZ&highs)>>2
}
