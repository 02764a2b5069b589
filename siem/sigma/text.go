package sigma

import (
	"bytes"
	"unicode/utf8"
)

// cleanText checks what a rule file is made of before anything reads it: UTF-8
// without control characters. It returns the text without a byte order mark
// and with line feeds alone.
func cleanText(data []byte) ([]byte, error) {
	if len(data) > MaxFile {
		return nil, bad(Pos{1, 1}, "the file has more than %d bytes; write several files", MaxFile)
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, bad(Pos{1, 1}, "the file is UTF-16; write it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	for i := 0; i < len(data); {
		c := data[i]
		if c >= ' ' && c < 0x7f || c == '\n' || c == '\t' {
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return nil, bad(placeOf(data, i), "byte 0x%02x is not UTF-8; write the file as UTF-8", c)
		case r < ' ' || r == 0x7f:
			return nil, bad(placeOf(data, i), "the character U+%04X can't stand in a rule file; write it as an escape in double quotes, like \"\\x%02x\"", r, r)
		}
		i += size
	}
	return data, nil
}

// placeOf is where byte i of a text stands.
func placeOf(data []byte, i int) Pos {
	line := bytes.Count(data[:i], []byte("\n")) + 1
	from := bytes.LastIndexByte(data[:i], '\n') + 1
	return Pos{line, utf8.RuneCount(data[from:i]) + 1}
}
