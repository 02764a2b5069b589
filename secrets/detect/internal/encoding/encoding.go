// Package encoding finds the parts of a text that are encoded and says what they
// are: base64 in its alphabets (also wrapped over lines, also UTF-16 below it),
// hexadecimal, and the escapes of URLs, programming languages, JSON, HTML and
// XML. It reads a text once, allocates for what it decodes only, and takes
// nothing for encoded that doesn't decode to text.
package encoding

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// The names of the encodings.
const (
	Base64   = "base64"
	Hex      = "hex"
	Percent  = "percent"
	Unicode  = "unicode"
	Entity   = "entity"
	Continue = "continuation"
)

// Segment is an encoded part of a text and what it says.
type Segment struct {
	Start, End int
	Plain      []byte
	Name       string
}

// Shortest runs that are looked at.
const (
	leastBase64 = 12
	leastPadded = 8
	leastHex    = 16
)

// What a byte may be the beginning of.
const (
	nothing = iota
	run     // of base64 or hexadecimal
	escape  // % \ &
)

var classes = func() (t [256]uint8) {
	for c := range t {
		switch {
		case isBase64(byte(c)):
			t[c] = run
		case c == '%' || c == '\\' || c == '&':
			t[c] = escape
		}
	}
	return t
}()

func isBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

// MaxRun is how much base64 or hexadecimal in one piece is decoded.
const MaxRun = 8 << 20

// Find calls emit with the encoded segments of b in order, at most so many; it
// reports false where there are more, or where one is too long. None of them
// overlap.
func Find(b []byte, most int, emit func(Segment)) (whole bool) {
	whole = true
	escaped := -1 // where an escape has just ended
	for i := 0; i < len(b); {
		var s Segment
		ok, end := false, i+1
		switch classes[b[i]] {
		case run:
			for end < len(b) && classes[b[end]] == run {
				end++
			}
			if i == escaped || escapes(b, end) {
				// An escape is part of it: the next layer has all of it.
				break
			}
			if end-i > MaxRun {
				whole = whole && !opens(b[i:])
				break
			}
			if end-i >= leastPadded {
				s, ok = decodeRun(b, i, end)
			} else if end-i == len("U+0000") && b[i] == 'U' {
				s, ok = codePoints(b, i)
			}
		case escape:
			if s, ok = decodeEscape(b, i); ok {
				escaped = s.End
			}
		}
		if !ok {
			i = end
			continue
		}
		if most--; most < 0 {
			return false
		}
		emit(s)
		i = s.End
	}
	return whole
}

func escapes(b []byte, at int) bool {
	if at >= len(b) || classes[b[at]] != escape {
		return false
	}
	_, ok := decodeEscape(b, at)
	return ok
}

// decodeRun takes a run for hexadecimal, which is rarer, or for base64.
func decodeRun(b []byte, start, end int) (Segment, bool) {
	if s, ok := decodeHex(b, start, end); ok {
		return s, true
	}
	return decodeBase64(b, start, end)
}

func decodeHex(b []byte, start, end int) (Segment, bool) {
	digits := b[start:end]
	if len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		digits = digits[2:]
	}
	if len(digits) < leastHex || len(digits)%2 != 0 {
		return Segment{}, false
	}
	if c, ok := hexByte(digits); !ok || !plausible(c) {
		return Segment{}, false
	}
	plain := make([]byte, 0, len(digits)/2)
	for i := 0; i < len(digits); i += 2 {
		c, ok := hexByte(digits[i:])
		if !ok {
			return Segment{}, false
		}
		plain = append(plain, c)
	}
	plain, ok := text(plain)
	return Segment{start, end, plain, Hex}, ok
}

func hexByte(b []byte) (byte, bool) {
	if len(b) < 2 {
		return 0, false
	}
	hi, lo := nibble(b[0]), nibble(b[1])
	return hi<<4 | lo, hi|lo < 16
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// plausible is what the first byte of a text can be.
func plausible(c byte) bool { return c == '\t' || c == '\n' || c == '\r' || c >= ' ' && c != 0x7f }

// text reports whether decoded bytes are text; UTF-16 of Latin text is turned
// into UTF-8.
func text(b []byte) ([]byte, bool) {
	if len(b) >= 4 && len(b)%2 == 0 && b[1] == 0 && b[3] == 0 {
		narrow := make([]byte, 0, len(b)/2)
		for i := 0; i < len(b); i += 2 {
			if b[i+1] != 0 {
				return nil, false
			}
			narrow = append(narrow, b[i])
		}
		b = narrow
	}
	return b, len(b) > 0 && printable(b)
}

func printable(b []byte) bool {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if !plausible(c) {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
		i += n
	}
	return true
}

// Text reports whether b is printable, in UTF-8.
func Text(b []byte) bool { return printable(bytes.TrimRight(b, "\x00")) }
