package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// nature is what bytes are.
type nature int

const (
	naturalText nature = iota
	naturalWide        // text in two or four bytes a character
	naturalBinary
)

// alphabet is how wide text is written.
type alphabet struct {
	name  string
	order binary.ByteOrder
	width int
}

var (
	utf16LE = alphabet{"utf-16le", binary.LittleEndian, 2}
	utf16BE = alphabet{"utf-16be", binary.BigEndian, 2}
	utf32LE = alphabet{"utf-32le", binary.LittleEndian, 4}
	utf32BE = alphabet{"utf-32be", binary.BigEndian, 4}
)

// marks are the marks with which wide text begins; that of UTF-16 is the beginning of
// one of UTF-32.
var marks = []struct {
	mark string
	as   alphabet
}{
	{"\xff\xfe\x00\x00", utf32LE}, {"\x00\x00\xfe\xff", utf32BE}, {"\xff\xfe", utf16LE}, {"\xfe\xff", utf16BE},
}

// natureOf tells from the first bytes of a file. A NUL makes it binary unless the
// NULs stand as they do in wide text, or there is nothing else in it that text has not.
func natureOf(head []byte) (nature, alphabet) {
	head = head[:min(len(head), sniffed)]
	for _, m := range marks {
		rest, ok := bytes.CutPrefix(head, []byte(m.mark))
		if !ok {
			continue
		}
		if !narrow(rest) {
			return naturalWide, m.as
		}
		head = rest
		break
	}
	if bytes.IndexByte(head, 0) < 0 {
		return naturalText, alphabet{}
	}
	if as, ok := wideness(head); ok {
		return naturalWide, as
	}
	if fewNULs(head) {
		return naturalText, alphabet{}
	}
	return naturalBinary, alphabet{}
}

// narrow reports whether what stands behind a mark of wide text is none: a mark in front
// of ordinary text is a mistake, or hides it.
func narrow(rest []byte) bool {
	nuls, plain := 0, 0
	for _, c := range rest {
		switch {
		case c == 0:
			nuls++
		case c >= ' ' && c < 0x7f || c == '\n' || c == '\r' || c == '\t':
			plain++
		}
	}
	return len(rest) > 0 && (nuls == 0 && validStart(rest) || nuls*50 < len(rest) && plain*100 >= len(rest)*85)
}

// validStart is utf8.Valid of a text that may be cut within a character.
func validStart(b []byte) bool {
	for range utf8.UTFMax {
		if utf8.Valid(b) {
			return true
		}
		if len(b) == 0 || b[len(b)-1] < utf8.RuneSelf {
			return false
		}
		b = b[:len(b)-1]
	}
	return false
}

// wideness tells wide text without a mark by where its NULs stand: in UTF-16, nearly all
// of one half of the bytes is NUL and none of the other; in UTF-32, three of four.
func wideness(head []byte) (alphabet, bool) {
	var nul [4]int
	units := len(head) / 4
	for i, c := range head[:4*units] {
		if c == 0 {
			nul[i&3]++
		}
	}
	most := func(i int) bool { return nul[i]*10 >= units*7 }
	switch {
	case units < 2:
	case nul[3] == units && nul[2] == units && most(1) && nul[0] == 0:
		return utf32LE, true
	case nul[0] == units && nul[1] == units && most(2) && nul[3] == 0:
		return utf32BE, true
	case nul[0]+nul[2] == 0 && most(1) && most(3):
		return utf16LE, true
	case nul[1]+nul[3] == 0 && most(0) && most(2):
		return utf16BE, true
	}
	return alphabet{}, false
}

// fewNULs reports whether NULs are all that keeps a file from being text: a saved
// environment, a list whose entries end in NUL, a text in which somebody put one.
func fewNULs(head []byte) bool {
	nuls := 0
	for _, c := range head {
		switch {
		case c == 0:
			nuls++
		case c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b, c == 0x7f:
			return false
		}
	}
	return len(head) >= leastText && nuls*8 <= len(head) && validStart(head)
}

// leastText is how long a file with NULs must be to be told from a few bytes of data.
const leastText = 16

// wideReader turns wide text into UTF-8.
type wideReader struct {
	alphabet
	r    io.Reader
	raw  [4096]byte
	have int
	out  []byte
	err  error
}

func (w *wideReader) Read(p []byte) (int, error) {
	for len(w.out) == 0 {
		if w.err != nil {
			return 0, w.err
		}
		n, err := io.ReadFull(w.r, w.raw[w.have:])
		n, w.have, w.err = n+w.have, 0, err
		if errors.Is(err, io.ErrUnexpectedEOF) {
			w.err = io.EOF
		}
		use := n - n%w.width
		if w.err == nil && w.width == 2 && use >= 2 && w.order.Uint16(w.raw[use-2:])&0xfc00 == 0xd800 {
			use -= 2 // half of a pair waits for the other
		}
		w.out = w.widen(w.out[:0], w.raw[:use])
		w.have = copy(w.raw[:], w.raw[use:n])
	}
	n := copy(p, w.out)
	w.out = w.out[n:]
	return n, nil
}

// widen appends the UTF-8 of wide text. What is no character becomes U+FFFD.
func (a alphabet) widen(dst, src []byte) []byte {
	for len(src) >= a.width {
		var r rune
		if a.width == 4 {
			r = rune(a.order.Uint32(src))
		} else {
			r = rune(a.order.Uint16(src))
		}
		src = src[a.width:]
		if a.width == 2 && utf16.IsSurrogate(r) && len(src) >= 2 {
			if both := utf16.DecodeRune(r, rune(a.order.Uint16(src))); both != utf8.RuneError {
				r, src = both, src[2:]
			}
		}
		if r != 0xfeff {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
