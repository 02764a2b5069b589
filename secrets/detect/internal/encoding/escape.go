package encoding

import (
	"bytes"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// decodeEscape takes all escapes of one sort that follow one another.
func decodeEscape(b []byte, at int) (Segment, bool) {
	switch b[at] {
	case '%':
		return series(b, at, Percent, percent)
	case '&':
		return series(b, at, Entity, entity)
	}
	if n := lineBreak(b[at:]); n > 0 {
		return Segment{at, at + n, nil, Continue}, true
	}
	return series(b, at, Unicode, backslash)
}

// series joins what a reader of single escapes gives, for as long as it gives
// printable characters. One may be several escapes.
func series(b []byte, at int, name string, one func([]byte) ([]byte, int)) (Segment, bool) {
	s := Segment{Start: at, End: at, Name: name}
	for s.End < len(b) && b[s.End] == b[at] {
		plain, n := character(b[s.End:], one)
		if n == 0 || !printable(plain) {
			break
		}
		s.Plain = append(s.Plain, plain...)
		s.End += n
	}
	return s, s.End > at
}

// character reads as many escapes as its first byte says that it has.
func character(b []byte, one func([]byte) ([]byte, int)) (plain []byte, n int) {
	plain, n = one(b)
	for n > 0 && len(plain) < utf8.UTFMax && !utf8.FullRune(plain) && n < len(b) && b[n] == b[0] {
		more, size := one(b[n:])
		if size == 0 {
			break
		}
		plain, n = append(plain, more...), n+size
	}
	return plain, n
}

func percent(b []byte) ([]byte, int) {
	if len(b) < 3 {
		return nil, 0
	}
	c, ok := hexByte(b[1:])
	if !ok {
		return nil, 0
	}
	return []byte{c}, 3
}

// backslash reads \u0041, \\u0041, \U00000041, \u{41} and \x41.
func backslash(b []byte) ([]byte, int) {
	n := 1
	if len(b) > n && b[n] == '\\' {
		n++
	}
	if len(b) <= n {
		return nil, 0
	}
	switch b[n] {
	case 'u':
		if len(b) > n+1 && b[n+1] == '{' {
			return braced(b, n+2)
		}
		return codePoint(b, n+1, 4)
	case 'U':
		if plain, end := codePoint(b, n+1, 8); end > 0 {
			return plain, end
		}
		return codePoint(b, n+1, 4)
	case 'x':
		if c, ok := hexByte(b[n+1:]); ok {
			return []byte{c}, n + 3
		}
	}
	return nil, 0
}

func braced(b []byte, at int) ([]byte, int) {
	end := bytes.IndexByte(b[at:min(len(b), at+7)], '}')
	if end < 1 {
		return nil, 0
	}
	plain, n := codePoint(b, at, end)
	if n == 0 {
		return nil, 0
	}
	return plain, n + 1
}

func codePoint(b []byte, at, digits int) ([]byte, int) {
	if len(b) < at+digits {
		return nil, 0
	}
	v := rune(0)
	for _, c := range b[at : at+digits] {
		n := nibble(c)
		if n > 15 || v > unicode.MaxRune {
			return nil, 0
		}
		v = v<<4 | rune(n)
	}
	if !utf8.ValidRune(v) {
		return nil, 0
	}
	return utf8.AppendRune(nil, v), at + digits
}

// codePoints reads U+0041 U+0042.
func codePoints(b []byte, at int) (Segment, bool) {
	var plain []byte
	end := at
	for i := at; i+6 <= len(b) && b[i] == 'U' && b[i+1] == '+'; {
		one, n := codePoint(b, i+2, 4)
		if n == 0 {
			break
		}
		plain, end = append(plain, one...), n
		if i = n; i < len(b) && b[i] == ' ' {
			i++
		}
	}
	return Segment{at, end, plain, Unicode}, len(plain) > 0 && printable(plain)
}

var entities = map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'", "nbsp": " "}

func entity(b []byte) ([]byte, int) {
	end := bytes.IndexByte(b[:min(len(b), 12)], ';')
	if end < 3 {
		return nil, 0
	}
	name := string(b[1:end])
	if plain, ok := entities[name]; ok {
		return []byte(plain), end + 1
	}
	if name[0] != '#' {
		return nil, 0
	}
	digits, base := name[1:], 10
	if digits[0]|0x20 == 'x' {
		digits, base = digits[1:], 16
	}
	v, err := strconv.ParseUint(digits, base, 21)
	if err != nil || !utf8.ValidRune(rune(v)) {
		return nil, 0
	}
	return utf8.AppendRune(nil, rune(v)), end + 1
}

// lineBreak is the length of a line's end that is escaped, in which case the
// line goes on.
func lineBreak(b []byte) int {
	switch {
	case bytes.HasPrefix(b, []byte("\\\n")):
		return 2
	case bytes.HasPrefix(b, []byte("\\\r\n")):
		return 3
	}
	return 0
}
