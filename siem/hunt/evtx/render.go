package evtx

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits on one record, and on all records of a chunk together: templates let a
// few bytes stand for many, and a chunk has room for two thousand records.
const (
	maxDepth      = 24      // elements and templates within each other
	maxSteps      = 1 << 14 // tokens; a real record has some hundreds
	maxChunkSteps = 1 << 19
	maxOutput     = 1 << 20 // bytes of JSON, and of text
	maxValues     = 4096    // values of one template instance
)

var (
	errDeep  = errors.New("elements nest too deeply")
	errLong  = errors.New("the record expands beyond its limits")
	errShort = errors.New("the record's binary XML ends too early")
)

// Tokens of binary XML; the bit says that more attributes or data follow.
const (
	tokEnd          = 0x00
	tokOpen         = 0x01
	tokCloseStart   = 0x02
	tokCloseEmpty   = 0x03
	tokClose        = 0x04
	tokValue        = 0x05
	tokAttribute    = 0x06
	tokCDATA        = 0x07
	tokCharRef      = 0x08
	tokEntity       = 0x09
	tokTarget       = 0x0a
	tokInstruction  = 0x0b
	tokTemplate     = 0x0c
	tokSubstitute   = 0x0d
	tokOptional     = 0x0e
	tokFragment     = 0x0f
	tokMore         = 0x40
	noDependency    = true
	withDependency  = false
	templateHeader  = 24 // next, guid, size
	elementNameHead = 8  // next, hash, length
)

// renderer walks the binary XML of a record.
type renderer struct {
	flat
	chunk []byte
	vals  []value
	steps int // left in the chunk
	least int // where those of this record end
}

// value is one argument of a template.
type value struct {
	kind     byte
	from, to int
}

// cursor is a stretch of the chunk.
type cursor struct {
	b       []byte
	at, end int
	bad     bool
}

func (c *cursor) take(n int) int {
	if n < 0 || n > c.end-c.at {
		c.bad, c.at = true, c.end
		return -1
	}
	from := c.at
	c.at += n
	return from
}

func (c *cursor) u8() byte {
	if i := c.take(1); i >= 0 {
		return c.b[i]
	}
	return 0
}

func (c *cursor) u16() int {
	if i := c.take(2); i >= 0 {
		return int(binary.LittleEndian.Uint16(c.b[i:]))
	}
	return 0
}

func (c *cursor) u32() int {
	if i := c.take(4); i >= 0 {
		return int(binary.LittleEndian.Uint32(c.b[i:]))
	}
	return 0
}

// render returns the record between two places as a JSON object.
func (r *renderer) render(from, to int) ([]byte, error) {
	r.start()
	r.vals, r.least = r.vals[:0], max(0, r.steps-maxSteps)
	c := cursor{b: r.chunk, at: from, end: to}
	if err := r.fragment(&c, nil, 0, withDependency); err != nil {
		return nil, err
	}
	return r.finish()
}

// fragment walks tokens until the stretch or the fragment ends.
func (r *renderer) fragment(c *cursor, vals []value, depth int, bare bool) error {
	if depth > maxDepth {
		return errDeep
	}
	for c.at < c.end {
		if r.steps--; r.steps < r.least || len(r.out) > maxOutput || len(r.text) > maxOutput {
			return errLong
		}
		tok := c.u8()
		if tok == tokEnd {
			return nil
		}
		if err := r.token(c, tok, vals, depth, bare); err != nil {
			return err
		}
		if c.bad {
			return errShort
		}
	}
	return nil
}

func (r *renderer) token(c *cursor, tok byte, vals []value, depth int, bare bool) error {
	switch tok &^ tokMore {
	case tokOpen:
		return r.element(c, tok&tokMore != 0, bare)
	case tokCloseStart:
		r.endAttributes()
	case tokCloseEmpty, tokClose:
		r.closeElement()
	case tokValue:
		c.u8() // always a string
		r.literal(c)
	case tokCDATA, tokInstruction:
		r.literal(c)
	case tokAttribute:
		from := len(r.text)
		r.name(c)
		r.attribute(from)
	case tokCharRef:
		r.piece(kindText, func() { r.appendRune(rune(c.u16())) })
	case tokEntity:
		r.entity(c)
	case tokTarget:
		from := len(r.text)
		r.name(c)
		r.text = r.text[:from]
	case tokTemplate:
		return r.template(c, depth)
	case tokSubstitute, tokOptional:
		return r.substitute(c, vals, depth)
	case tokFragment:
		c.take(3)
	default:
		return fmt.Errorf("unknown token 0x%02x", tok)
	}
	return nil
}

func (r *renderer) element(c *cursor, attributes, bare bool) error {
	if !bare {
		c.take(2)
	}
	c.take(4)
	from := len(r.text)
	r.name(c)
	if attributes {
		c.take(4)
	}
	return r.openElement(from)
}

// name appends the name that an offset points to; it stands right here when it
// is used for the first time.
func (r *renderer) name(c *cursor) {
	at := c.u32()
	n := cursor{b: r.chunk, at: at, end: len(r.chunk)}
	if at >= len(r.chunk) {
		c.bad = true
		return
	}
	n.take(6)
	chars := n.u16()
	from := n.take(2 * chars)
	n.take(2) // NUL
	if n.bad {
		c.bad = true
		return
	}
	r.appendUTF16(r.chunk[from : from+2*chars])
	if at == c.at {
		c.take(elementNameHead + 2*chars + 2)
	}
}

func (r *renderer) literal(c *cursor) {
	chars := c.u16()
	if from := c.take(2 * chars); from >= 0 {
		r.piece(kindText, func() { r.appendUTF16(r.chunk[from : from+2*chars]) })
	}
}

var entities = map[string]byte{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}

func (r *renderer) entity(c *cursor) {
	from := len(r.text)
	r.name(c)
	char, known := entities[string(r.text[from:])]
	r.text = r.text[:from]
	if known {
		r.piece(kindText, func() { r.text = append(r.text, char) })
	}
}

// template walks a template with the values that follow its mention.
func (r *renderer) template(c *cursor, depth int) error {
	c.take(5) // one unknown, the template's id
	at := c.u32()
	def := cursor{b: r.chunk, at: at, end: len(r.chunk)}
	if at >= len(r.chunk) {
		return errors.New("a template lies outside of its chunk")
	}
	def.take(20)
	size := def.u32()
	body := def.take(size)
	if def.bad {
		return errors.New("a template's definition is damaged")
	}
	if at == c.at {
		c.take(templateHeader + size)
	}
	first := len(r.vals)
	if err := r.arguments(c); err != nil {
		return err
	}
	def.at, def.end = body, body+size
	err := r.fragment(&def, r.vals[first:len(r.vals):len(r.vals)], depth+1, withDependency)
	r.vals = r.vals[:first]
	return err
}

func (r *renderer) arguments(c *cursor) error {
	n := c.u32()
	if n > maxValues || len(r.vals)+n > 4*maxValues {
		return errLong
	}
	kinds := cursor{b: c.b, at: c.at, end: c.end}
	if c.take(4*n) < 0 {
		return errShort
	}
	for range n {
		size := kinds.u16()
		kind := kinds.u8()
		kinds.u8()
		from := c.take(size)
		if from < 0 {
			return errShort
		}
		r.vals = append(r.vals, value{kind, from, from + size})
	}
	return nil
}

func (r *renderer) substitute(c *cursor, vals []value, depth int) error {
	id := c.u16()
	c.u8()
	if id >= len(vals) {
		return errors.New("a value is missing")
	}
	v := vals[id]
	if v.kind == typeXML {
		in := cursor{b: r.chunk, at: v.from, end: v.to}
		return r.fragment(&in, nil, depth+1, r.begins(v) && noDependency)
	}
	r.value(v.kind, r.chunk[v.from:v.to])
	return nil
}

// begins reports whether embedded XML begins with an element rather than with a
// template: those carry no dependency.
func (r *renderer) begins(v value) bool {
	at := v.from
	if at+4 < v.to && r.chunk[at] == tokFragment {
		at += 4
	}
	return at < v.to && r.chunk[at]&^tokMore == tokOpen
}
