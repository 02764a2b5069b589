package extract

import (
	"bytes"
	"io"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// tomlDepth is deeper than any lockfile and far from what the decoder's recursion
// could not bear.
const tomlDepth = 200

// shallowTOML refuses arrays and inline tables nested so deep that a decoder
// that calls itself would run out of stack, which ends a process.
func shallowTOML(data []byte) error {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '[', '{':
			if depth++; depth > tomlDepth {
				return &Fault{Reason: scanning.ReasonTooDeep, Line: Line(data, int64(i)), Msg: "nested deeper than any lockfile is"}
			}
		case ']', '}':
			depth = max(0, depth-1)
		case '"', '\'':
			i = tomlString(data, i)
		case '#':
			i = endOfLine(data, i)
		}
	}
	return nil
}

// tomlString returns the index of the quote that ends the string which begins
// at i.
func tomlString(data []byte, i int) int {
	q := data[i]
	if long := bytes.Repeat([]byte{q}, 3); bytes.HasPrefix(data[i:], long) {
		for j := i + 3; j < len(data); j++ {
			if q == '"' && data[j] == '\\' {
				j++
			} else if bytes.HasPrefix(data[j:], long) {
				return j + 2
			}
		}
		return len(data)
	}
	for j := i + 1; j < len(data); j++ {
		switch {
		case q == '"' && data[j] == '\\':
			j++
		case data[j] == q, data[j] == '\n':
			return j
		}
	}
	return len(data)
}

func endOfLine(data []byte, i int) int {
	if n := bytes.IndexByte(data[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(data)
}

// latin reads the encodings that build files are written in besides UTF-8.
func latin(charset string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "utf-8", "us-ascii", "ascii":
		return input, nil
	case "iso-8859-1", "latin1", "windows-1252":
		return &latinReader{in: input}, nil
	}
	return nil, Unsupported("its encoding %q is not read", charset)
}

type latinReader struct {
	in   io.Reader
	rest []byte
}

// Read turns each byte into its rune.
func (l *latinReader) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		var raw [512]byte
		n, err := l.in.Read(raw[:])
		for _, b := range raw[:n] {
			l.rest = append(l.rest, string(rune(b))...)
		}
		if n == 0 && err != nil {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
