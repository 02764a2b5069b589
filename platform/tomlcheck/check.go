// Package tomlcheck holds a document of TOML against what its decoder can bear,
// before the decoder sees it. It stands below everybody who reads TOML of somebody
// else's, and knows nothing of what is in it.
//
// The decoder calls itself for each bracket and each part of a dotted key, and looks
// a key up by walking over its neighbours: three million brackets end a process by
// its stack, and a megabyte of keys takes minutes. A document that passes [Check] does
// neither. Whether it is TOML at all is for the decoder to say.
package tomlcheck

import (
	"bytes"
	"fmt"
)

// What a document may ask for: far more than any configuration or lockfile does.
const (
	mostDepth = 200
	mostDots  = 100
	// mostSteps bounds the neighbours that are walked over: 20,000 keys in one table.
	mostSteps = 200_000_000
)

// Error is why a document is not given to the decoder.
type Error struct {
	Line int
	// Deep is of one that is nested too deep, rather than too large.
	Deep bool
	Msg  string
}

// Error says it with its line.
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// Check returns an [*Error], or nil for a document that the decoder can be given.
func Check(data []byte) error {
	c := checker{data: data, headers: map[string]struct{}{}, line: true}
	for i := 0; i < len(data); i++ {
		i = c.next(i)
		switch {
		case len(c.keys) > mostDepth:
			return c.fault(i, true, fmt.Sprintf("brackets are nested more than %d deep", mostDepth))
		case c.dots > mostDots:
			return c.fault(i, true, fmt.Sprintf("a key has more than %d parts", mostDots))
		case c.steps > mostSteps:
			return c.fault(i, false, "there are too many different keys beside one another")
		}
	}
	return nil
}

type checker struct {
	data []byte
	// keys counts those of the open brackets, innermost last; table those of the table
	// that was begun last, and widest those of the widest so far.
	keys          []int
	table, widest int
	dots, steps   int
	headers       map[string]struct{}
	// line is set until a line has anything on it.
	line bool
}

// next takes the token that begins at i and returns where it ends.
func (c *checker) next(i int) int {
	b := c.data[i]
	header := b == '[' && c.line && len(c.keys) == 0
	c.line = b == '\n' || c.line && (b == ' ' || b == '\t' || b == '\r')
	switch b {
	case '[', '{':
		c.keys, c.dots = append(c.keys, 0), 0
		if header {
			c.header(i)
		}
	case ']', '}':
		c.keys, c.dots = c.keys[:max(0, len(c.keys)-1)], 0
	case '.':
		c.dots++
	case '=':
		c.key()
	case ',', '\n':
		c.dots = 0
	case '"', '\'':
		return stringEnd(c.data, i)
	case '#':
		return lineEnd(c.data, i) - 1
	}
	return i
}

// key books one more key of the table that it is in.
func (c *checker) key() {
	in := &c.table
	if n := len(c.keys); n > 0 {
		in = &c.keys[n-1]
	}
	*in++
	c.widest = max(c.widest, *in)
	c.steps += *in * (c.dots + 1)
	c.dots = 0
}

// header books the beginning of a table.
func (c *checker) header(i int) {
	c.table = 0
	c.headers[string(c.data[i:lineEnd(c.data, i)])] = struct{}{}
	c.steps += len(c.headers) + c.widest
}

func (c *checker) fault(i int, deep bool, msg string) error {
	before := c.data[:min(i, len(c.data))]
	return &Error{Line: 1 + bytes.Count(before, []byte{'\n'}), Deep: deep, Msg: msg}
}

// stringEnd is the index of the quote that ends the string which begins at i.
func stringEnd(data []byte, i int) int {
	q := data[i]
	if !triple(data[i:], q) {
		return shortEnd(data, i)
	}
	for j := i + 3; j < len(data); j++ {
		switch {
		case q == '"' && data[j] == '\\':
			j++
		case triple(data[j:], q):
			// One or two quotes before the three that end it are its own.
			end := j + 2
			for end < j+4 && end+1 < len(data) && data[end+1] == q {
				end++
			}
			return end
		}
	}
	return len(data)
}

func shortEnd(data []byte, i int) int {
	for j := i + 1; j < len(data); j++ {
		switch {
		case data[i] == '"' && data[j] == '\\':
			j++
		case data[j] == data[i]:
			return j
		case data[j] == '\n':
			return j - 1 // no string goes on there, and the line does end
		}
	}
	return len(data)
}

func triple(data []byte, q byte) bool {
	return len(data) > 2 && data[0] == q && data[1] == q && data[2] == q
}

// lineEnd is the index of the line's break, or of the end.
func lineEnd(data []byte, i int) int {
	if n := bytes.IndexByte(data[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(data)
}
