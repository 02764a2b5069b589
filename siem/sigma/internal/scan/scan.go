package scan

import (
	"fmt"
	"math/bits"
)

// Limits on one object, so that nothing sent can make matching expensive
// without bound.
const (
	MaxValues = 65536
	MaxDepth  = 32
	MaxSize   = 16 << 20
)

// Kind is what a value is in JSON.
type Kind uint8

// The kinds.
const (
	Text Kind = iota
	Number
	Bool
	Null
	// Compound is an object or an array: its path is there, its scalars follow.
	Compound
)

// Scalar reports whether a value of the kind says anything.
func (k Kind) Scalar() bool { return k < Null }

// Flags say what a value's bytes need before they can be compared.
type Flags uint8

const (
	// Escaped text has backslashes that take a following byte.
	Escaped Flags = 1 << iota
	// Unicode text has escapes by number; Escaped is set, too.
	Unicode
	// High text has bytes outside of ASCII.
	High
	// Vouched values come from the receiver and not from the event.
	Vouched
)

// Value is one scalar. Raw is a part of the object: between the quotes for
// text, the token otherwise.
type Value struct {
	Raw   []byte
	Path  int32
	Kind  Kind
	Flags Flags
}

// Error is why bytes are not an object that can be read, and where.
type Error struct {
	At  int
	Why string
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Why, e.At) }

// Scanner lays out objects. Its lists are reused.
type Scanner struct {
	Values []Value

	table *Table
	all   bool
	path  []byte // of the object that is read, with a dot at its end
	fault Error
	masks []mask
}

// failed is the position after something that is wrong; the fault says what.
const failed = -1

// Scan appends the values of the object in b to s.Values: those whose path t
// knows, and with all those scalars, too, that it does not. What was appended
// before an error stays.
//
// One thing that JSON forbids is taken: control characters as they are within
// text. What they say is not in doubt, and nothing should go unseen for them.
func (s *Scanner) Scan(b []byte, t *Table, all bool) error {
	s.table, s.all, s.path = t, all, s.path[:0]
	if len(b) > MaxSize {
		return &Error{MaxSize, fmt.Sprintf("the object has %d bytes, at most %d are allowed", len(b), MaxSize)}
	}
	s.classify(b)
	i := space(b, 0)
	if i == len(b) || b[i] != '{' {
		return &Error{i, "this is no JSON object"}
	}
	if i = s.object(b, i+1, 1, true); i != failed {
		if i = space(b, i); i == len(b) {
			return nil
		}
		s.fail(i, "something follows the object")
	}
	fault := s.fault
	return &fault
}

func (s *Scanner) fail(at int, why string) int {
	s.fault = Error{at, why}
	return failed
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// object reads on after the opening brace and returns the position after the
// closing one. Where asked is false no path below can be asked for.
func (s *Scanner) object(b []byte, i, depth int, asked bool) int {
	if i = space(b, i); i < len(b) && b[i] == '}' {
		return i + 1
	}
	mark := len(s.path)
	for i < len(b) && b[i] == '"' {
		end, flags := s.text(b, i+1)
		if end == failed {
			return failed
		}
		path, below := None, false
		if asked {
			path, below = s.key(b[i+1:end], flags, depth)
		}
		if i = end + 1; i >= len(b) || b[i] != ':' {
			if i = space(b, i); i >= len(b) || b[i] != ':' {
				return s.fail(i, "a colon is missing")
			}
		}
		if i++; i < len(b) && b[i] <= ' ' {
			i = space(b, i)
		}
		if i < len(b) && b[i] == '"' {
			end, flags := s.text(b, i+1)
			if end == failed || !s.take(b[i+1:end], path, Text, flags, i) {
				return failed
			}
			i = end + 1
		} else if i = s.value(b, i, depth, path, below); i == failed {
			return failed
		}
		s.path = s.path[:mark]
		if i < len(b) && b[i] <= ' ' {
			i = space(b, i)
		}
		if i >= len(b) || b[i] != ',' {
			if i < len(b) && b[i] == '}' {
				return i + 1
			}
			return s.fail(i, "a comma or a closing brace is missing")
		}
		if i++; i < len(b) && b[i] <= ' ' {
			i = space(b, i)
		}
	}
	return s.fail(i, "a key is missing")
}

// key looks a key up below the path of its object, and where longer paths are
// asked for leaves it there.
func (s *Scanner) key(key []byte, flags Flags, depth int) (int32, bool) {
	if depth == 1 && flags&Escaped == 0 {
		path, below := s.table.find(key)
		if below {
			s.path = append(append(s.path, key...), '.')
		}
		return path, below
	}
	if flags&Escaped != 0 {
		s.path = AppendText(s.path, key)
	} else {
		s.path = append(s.path, key...)
	}
	path, below := s.table.find(s.path)
	if below {
		s.path = append(s.path, '.')
	}
	return path, below
}

// value reads anything and returns the position after it.
func (s *Scanner) value(b []byte, i, depth int, path int32, below bool) int {
	if i >= len(b) {
		return s.fail(i, "a value is missing")
	}
	switch c := b[i]; {
	case c == '"':
		end, flags := s.text(b, i+1)
		if end == failed || !s.take(b[i+1:end], path, Text, flags, i) {
			return failed
		}
		return end + 1
	case depth >= MaxDepth && (c == '{' || c == '['):
		return s.fail(i, fmt.Sprintf("the object nests deeper than %d levels", MaxDepth))
	case c == '{':
		if path != None && !s.take(b[i:i+1], path, Compound, 0, i) {
			return failed
		}
		return s.object(b, i+1, depth+1, below)
	case c == '[':
		if path != None && !s.take(b[i:i+1], path, Compound, 0, i) {
			return failed
		}
		return s.array(b, i+1, depth+1, path, below)
	case c == '-' || '0' <= c && c <= '9':
		return s.number(b, i, path)
	case c == 't':
		return s.word(b, i, "true", Bool, path)
	case c == 'f':
		return s.word(b, i, "false", Bool, path)
	case c == 'n':
		return s.word(b, i, "null", Null, path)
	}
	return s.fail(i, "a value is missing")
}

// array gives every element the path of the array.
func (s *Scanner) array(b []byte, i, depth int, path int32, below bool) int {
	if i = space(b, i); i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(b, i, depth, path, below); i == failed {
			return failed
		}
		i = space(b, i)
		if i >= len(b) || b[i] != ',' && b[i] != ']' {
			return s.fail(i, "a comma or a closing bracket is missing")
		}
		if b[i] == ']' {
			return i + 1
		}
		i = space(b, i+1)
	}
}

func (s *Scanner) take(raw []byte, path int32, kind Kind, flags Flags, at int) bool {
	if path == None && !s.all {
		return true
	}
	if len(s.Values) >= MaxValues {
		s.fail(at, fmt.Sprintf("the object has more than %d values", MaxValues))
		return false
	}
	s.Values = append(s.Values, Value{raw, path, kind, flags})
	return true
}

func (s *Scanner) word(b []byte, i int, word string, kind Kind, path int32) int {
	end := i + len(word)
	if end > len(b) || string(b[i:end]) != word {
		return s.fail(i, "a value is missing")
	}
	if !s.take(b[i:end], path, kind, 0, i) {
		return failed
	}
	return end
}

func (s *Scanner) number(b []byte, i int, path int32) int {
	end := i
	if b[end] == '-' {
		end++
	}
	whole := digits(b, end)
	if whole == end || b[end] == '0' && whole > end+1 {
		return s.fail(i, "this is no JSON number")
	}
	end = whole
	if end < len(b) && b[end] == '.' {
		if end = digits(b, end+1); b[end-1] == '.' {
			return s.fail(i, "this is no JSON number")
		}
	}
	if end < len(b) && (b[end]|0x20) == 'e' {
		end++
		if end < len(b) && (b[end] == '+' || b[end] == '-') {
			end++
		}
		from := end
		if end = digits(b, end); end == from {
			return s.fail(i, "this is no JSON number")
		}
	}
	if !s.take(b[i:end], path, Number, 0, i) {
		return failed
	}
	return end
}

func digits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

// text reads on after an opening quote and returns the position of the closing
// one.
func (s *Scanner) text(b []byte, i int) (int, Flags) {
	at, shift := i/width, i%width
	if at >= len(s.masks) {
		return s.fail(len(b), "text has no end"), 0
	}
	m := &s.masks[at]
	if quote := m.quote >> shift; quote != 0 {
		n := bits.TrailingZeros64(quote)
		if inside := uint64(1)<<n - 1; (m.slash|m.high|m.odd)>>shift&inside != 0 {
			return s.marked(b, i, i+n)
		}
		return i + n, 0
	}
	for at++; at < len(s.masks); at++ {
		if quote := s.masks[at].quote; quote != 0 {
			return s.marked(b, i, at*width+bits.TrailingZeros64(quote))
		}
	}
	return s.fail(len(b), "text has no end"), 0
}

// marked finds the flags of a text, and checks its escapes.
func (s *Scanner) marked(b []byte, from, to int) (int, Flags) {
	var flags Flags
	for at := from / width; at*width < to; at++ {
		m, inside := &s.masks[at], ^uint64(0)
		if at == from/width {
			inside <<= from % width
		}
		if at == to/width {
			inside &= 1<<(to%width) - 1
		}
		if m.slash&inside != 0 {
			flags |= Escaped
		}
		if m.high&inside != 0 {
			flags |= High
		}
		for odd := m.odd & inside; odd != 0; odd &= odd - 1 {
			i := at*width + bits.TrailingZeros64(odd)
			if plain[b[i]] != 0 {
				continue
			}
			if b[i] != 'u' || i+5 > to || hex4(b[i+1:i+5]) < 0 {
				return s.fail(i-1, "this is no JSON escape"), 0
			}
			flags |= Unicode
		}
	}
	return to, flags
}
