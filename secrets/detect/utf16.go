package detect

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// sniff is how much of a text is looked at to tell what it is.
const sniff = 8000

// Binary reports whether a text is none: it has a zero byte near its beginning,
// as git judges. UTF-16 is text.
func Binary(b []byte) bool {
	_, _, wide := alphabetOf(b)
	return !wide && bytes.IndexByte(b[:min(len(b), sniff)], 0) >= 0
}

// alphabetOf recognises UTF-16 by its byte order mark, or by where the zero
// bytes of Latin text stand: nearly all on one side of each pair.
func alphabetOf(b []byte) (order binary.ByteOrder, name string, ok bool) {
	if len(b) < 4 {
		return nil, "", false
	}
	head := b[:min(len(b), sniff)&^1]
	switch rest := head[2:]; {
	case b[0] == 0xff && b[1] == 0xfe && (b[2] != 0 || b[3] != 0) && !narrow(rest):
		return binary.LittleEndian, "utf-16le", true
	case b[0] == 0xfe && b[1] == 0xff && !narrow(rest):
		return binary.BigEndian, "utf-16be", true
	}
	if bytes.IndexByte(head[:min(len(head), 16)], 0) < 0 {
		return nil, "", false
	}
	var zero, text [2]int
	for i, c := range head {
		if c == 0 {
			zero[i&1]++
		} else if c == '\t' || c == '\n' || c == '\r' || c >= ' ' && c < 0x7f {
			text[i&1]++
		}
	}
	most := len(head) / 2 * 9 / 10
	switch {
	case zero[1] > most && text[0] > most:
		return binary.LittleEndian, "utf-16le", true
	case zero[0] > most && text[1] > most:
		return binary.BigEndian, "utf-16be", true
	}
	return nil, "", false
}

// narrow reports whether bytes have nearly no zeros, which Latin letters in
// UTF-16 bring: a byte order mark in front of them is a mistake, or hides them.
func narrow(b []byte) bool { return bytes.Count(b, []byte{0})*100 < len(b) }

// fromUTF16 returns the text in UTF-8. A half of a pair becomes U+FFFD.
func fromUTF16(b []byte) (plain []byte, name string, ok bool) {
	order, name, ok := alphabetOf(b)
	if !ok {
		return nil, "", false
	}
	if order.Uint16(b) == 0xfeff {
		b = b[2:]
	}
	plain = make([]byte, 0, len(b)/2+len(b)/8)
	for len(b) >= 2 {
		r := rune(order.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(r) && len(b) >= 2 {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(b))); pair != utf8.RuneError {
				r, b = pair, b[2:]
			}
		}
		plain = utf8.AppendRune(plain, r)
	}
	return plain, name, true
}
