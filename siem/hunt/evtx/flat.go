package evtx

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

type kind uint8

const (
	kindText kind = iota
	kindNumber
	kindNull
	kindItem // text that is one of several values
)

// piece is a part of what stands in an element or an attribute.
type piece struct {
	kind     kind
	from, to int // in flat.text
}

// element is one that is open. Its name is in flat.text.
type element struct {
	from, to int
	label    piece // the attribute Name of Data
	pieces   int   // where its own begin
	parent   bool  // has elements within
}

// flat turns a walk over elements into one flat JSON object.
type flat struct {
	out     []byte
	text    []byte
	pieces  []piece
	stack   []element
	attr    piece // the attribute that is open, by its name
	inAttr  bool
	unnamed []piece // of EventData
}

func (f *flat) start() {
	f.out = append(f.out[:0], '{')
	f.text, f.pieces, f.stack, f.unnamed, f.inAttr = f.text[:0], f.pieces[:0], f.stack[:0], f.unnamed[:0], false
}

func (f *flat) finish() ([]byte, error) {
	if len(f.stack) > 0 {
		return nil, errShort
	}
	switch len(f.unnamed) {
	case 0:
	case 1:
		f.emit([]byte("Data"), f.unnamed)
	default:
		for i := range f.unnamed {
			f.unnamed[i].kind = kindItem
		}
		f.emit([]byte("Data"), f.unnamed)
	}
	if len(f.out) == 1 {
		return nil, errors.New("the record holds no event")
	}
	f.out[len(f.out)-1] = '}'
	return f.out, nil
}

// piece notes text that fill appends.
func (f *flat) piece(k kind, fill func()) {
	from := len(f.text)
	fill()
	f.pieces = append(f.pieces, piece{k, from, len(f.text)})
}

func (f *flat) openElement(nameFrom int) error {
	f.endAttribute()
	if len(f.stack) >= maxDepth {
		return errDeep
	}
	if n := len(f.stack); n > 0 {
		f.stack[n-1].parent = true
		f.pieces = f.pieces[:f.stack[n-1].pieces] // white space between elements
	}
	f.stack = append(f.stack, element{from: nameFrom, to: len(f.text), pieces: len(f.pieces)})
	return nil
}

func (f *flat) attribute(nameFrom int) {
	f.endAttribute()
	f.attr, f.inAttr = piece{from: nameFrom, to: len(f.text)}, true
}

func (f *flat) endAttributes() { f.endAttribute() }

// endAttribute gives the value of an attribute a name of its own, or keeps it
// as the label of its element.
func (f *flat) endAttribute() {
	if !f.inAttr || len(f.stack) == 0 {
		f.inAttr = false
		return
	}
	f.inAttr = false
	top := &f.stack[len(f.stack)-1]
	vals := f.pieces[top.pieces:]
	f.pieces = f.pieces[:top.pieces]
	attr, name := f.text[f.attr.from:f.attr.to], f.text[top.from:top.to]
	switch {
	case len(vals) == 0 || vals[0].kind == kindNull || string(attr) == "xmlns" || bytes.HasPrefix(attr, []byte("xmlns:")):
	case f.section() == "System":
		f.system(name, attr, vals)
	case string(attr) == "Name" && len(f.stack) > 2:
		top.label = piece{from: vals[0].from, to: vals[len(vals)-1].to}
	case string(attr) == "Name":
		f.emit([]byte("EventData_Name"), vals)
	}
}

// section is the part of the event that the innermost element is in.
func (f *flat) section() string {
	if len(f.stack) < 2 {
		return ""
	}
	switch name := f.text[f.stack[1].from:f.stack[1].to]; string(name) {
	case "System":
		return "System"
	case "RenderingInfo":
		return "RenderingInfo"
	}
	return "data"
}

// system names the attributes of system fields.
func (f *flat) system(name, attr []byte, vals []piece) {
	switch {
	case string(name) == "EventID": // Qualifiers
	case string(name) == "TimeCreated" && string(attr) == "SystemTime":
		f.emit(name, vals)
	case string(name) == "Security":
		f.emit(attr, vals)
	default:
		n := len(f.text)
		f.text = append(append(append(f.text, name...), '_'), attr...)
		f.emit(f.text[n:], vals)
		f.text = f.text[:n]
	}
}

func (f *flat) closeElement() {
	f.endAttribute()
	if len(f.stack) == 0 {
		return
	}
	top := f.stack[len(f.stack)-1]
	vals := f.pieces[top.pieces:]
	if !top.parent {
		f.leaf(top, vals)
	}
	f.pieces = f.pieces[:top.pieces]
	f.stack = f.stack[:len(f.stack)-1]
}

func (f *flat) leaf(e element, vals []piece) {
	name := f.text[e.from:e.to]
	section := f.section()
	switch {
	case len(f.stack) < 3:
	case section == "System":
		if len(vals) > 0 {
			f.emit(name, vals)
		}
	case section == "RenderingInfo":
		if string(name) == "Message" {
			f.emit(name, vals)
		}
	case e.label.to > e.label.from:
		f.emit(f.text[e.label.from:e.label.to], vals)
	case string(name) == "Data":
		f.unnamed = append(f.unnamed, vals...)
	default:
		f.emit(name, vals)
	}
}

// emit appends one member of the object.
func (f *flat) emit(name []byte, vals []piece) {
	f.out = appendQuoted(f.out, name)
	f.out = append(f.out, ':')
	switch {
	case len(vals) == 0:
		f.out = append(f.out, `""`...)
	case vals[0].kind == kindItem:
		f.items(vals)
	case len(vals) == 1:
		f.one(vals[0])
	default:
		f.out = append(f.out, '"')
		for _, p := range vals {
			f.out = appendEscaped(f.out, f.text[p.from:p.to])
		}
		f.out = append(f.out, '"')
	}
	f.out = append(f.out, ',')
}

func (f *flat) one(p piece) {
	switch p.kind {
	case kindNull:
		f.out = append(f.out, "null"...)
	case kindNumber:
		f.out = append(f.out, f.text[p.from:p.to]...)
	default:
		f.out = appendQuoted(f.out, f.text[p.from:p.to])
	}
}

func (f *flat) items(vals []piece) {
	f.out = append(f.out, '[')
	for i, p := range vals {
		if i > 0 {
			f.out = append(f.out, ',')
		}
		f.out = appendQuoted(f.out, f.text[p.from:p.to])
	}
	f.out = append(f.out, ']')
}

func (f *flat) appendRune(r rune) { f.text = utf8.AppendRune(f.text, r) }

// appendUTF16 appends little-endian UTF-16. Halves of pairs become U+FFFD, as
// valid JSON wants it.
func (f *flat) appendUTF16(b []byte) {
	for i := 0; i+1 < len(b); i += 2 {
		r := rune(b[i]) | rune(b[i+1])<<8
		if utf16.IsSurrogate(r) && i+3 < len(b) {
			if pair := utf16.DecodeRune(r, rune(b[i+2])|rune(b[i+3])<<8); pair != utf8.RuneError {
				r = pair
				i += 2
			}
		}
		f.text = utf8.AppendRune(f.text, r)
	}
}

func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped appends valid UTF-8 as the inside of a JSON string.
func appendEscaped(dst, s []byte) []byte {
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0')
			if c < 0x10 {
				dst = append(dst, '0')
			}
			dst = strconv.AppendUint(dst, uint64(c), 16)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
