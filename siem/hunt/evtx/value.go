package evtx

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// Types of values.
const (
	typeNull     = 0x00
	typeString   = 0x01
	typeANSI     = 0x02
	typeInt8     = 0x03
	typeUint8    = 0x04
	typeInt16    = 0x05
	typeUint16   = 0x06
	typeInt32    = 0x07
	typeUint32   = 0x08
	typeInt64    = 0x09
	typeUint64   = 0x0a
	typeFloat    = 0x0b
	typeDouble   = 0x0c
	typeBool     = 0x0d
	typeBinary   = 0x0e
	typeGUID     = 0x0f
	typeSize     = 0x10
	typeFiletime = 0x11
	typeSystime  = 0x12
	typeSID      = 0x13
	typeHex32    = 0x14
	typeHex64    = 0x15
	typeXML      = 0x21
	typeArray    = 0x80
)

// stamp is how Windows writes times: to 100 ns, in UTC.
const stamp = "2006-01-02T15:04:05.0000000Z"

// widths of the types that have one; an array of those is cut by it.
var widths = [...]int{
	typeInt8: 1, typeUint8: 1, typeInt16: 2, typeUint16: 2, typeInt32: 4, typeUint32: 4, typeInt64: 8, typeUint64: 8,
	typeFloat: 4, typeDouble: 8, typeBool: 4, typeGUID: 16, typeFiletime: 8, typeSystime: 16, typeHex32: 4, typeHex64: 8,
}

// value notes an argument as pieces.
func (r *renderer) value(typ byte, b []byte) {
	switch {
	case typ == typeNull:
		r.pieces = append(r.pieces, piece{kind: kindNull})
	case typ&typeArray != 0:
		r.array(typ&^typeArray, b)
	default:
		r.piece(r.kindOf(typ, b), func() { r.scalar(typ, b) })
	}
}

// kindOf says which values can stand bare in JSON.
func (r *renderer) kindOf(typ byte, b []byte) kind {
	if typ >= typeInt8 && typ <= typeUint64 && len(b) >= widths[typ] {
		return kindNumber
	}
	return kindText
}

func (r *renderer) array(typ byte, b []byte) {
	if typ == typeString {
		r.strings(b)
		return
	}
	width := 0
	if int(typ) < len(widths) {
		width = widths[typ]
	}
	if width == 0 {
		r.piece(kindItem, func() { r.scalar(typeBinary, b) })
		return
	}
	for ; len(b) >= width; b = b[width:] {
		r.piece(kindItem, func() { r.scalar(typ, b[:width]) })
	}
}

// strings cuts at each NUL.
func (r *renderer) strings(b []byte) {
	from := 0
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			r.piece(kindItem, func() { r.appendUTF16(b[from:i]) })
			from = i + 2
		}
	}
	if from < len(b)&^1 {
		r.piece(kindItem, func() { r.appendUTF16(b[from:]) })
	}
}

// scalar appends a value as Windows would write it. One that is shorter than
// its type is written as the bytes that are there.
func (r *renderer) scalar(typ byte, b []byte) {
	if int(typ) < len(widths) && typ != typeBool && len(b) < widths[typ] {
		typ = typeBinary
	}
	switch typ {
	case typeString:
		for len(b) >= 2 && b[len(b)-1] == 0 && b[len(b)-2] == 0 {
			b = b[:len(b)-2]
		}
		r.appendUTF16(b)
	case typeANSI:
		for _, c := range b {
			if c != 0 {
				r.appendRune(rune(c))
			}
		}
	case typeInt8, typeInt16, typeInt32, typeInt64:
		r.text = strconv.AppendInt(r.text, signed(b[:widths[typ]]), 10)
	case typeUint8, typeUint16, typeUint32, typeUint64:
		r.text = strconv.AppendUint(r.text, unsigned(b[:widths[typ]]), 10)
	case typeFloat:
		r.text = strconv.AppendFloat(r.text, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 'g', -1, 32)
	case typeDouble:
		r.text = strconv.AppendFloat(r.text, math.Float64frombits(binary.LittleEndian.Uint64(b)), 'g', -1, 64)
	case typeBool:
		r.text = strconv.AppendBool(r.text, unsigned(b[:min(len(b), 8)]) != 0)
	case typeSize, typeHex32, typeHex64:
		r.text = strconv.AppendUint(append(r.text, "0x"...), unsigned(b[:min(len(b), 8)]), 16)
	default:
		r.rare(typ, b)
	}
}

func (r *renderer) rare(typ byte, b []byte) {
	switch typ {
	case typeGUID:
		r.guid(b)
	case typeFiletime:
		if t := filetime(binary.LittleEndian.Uint64(b)); !t.IsZero() {
			r.text = t.AppendFormat(r.text, stamp)
		}
	case typeSystime:
		f := func(i int) int { return int(binary.LittleEndian.Uint16(b[2*i:])) }
		t := time.Date(f(0), time.Month(f(1)), f(3), f(4), f(5), f(6), f(7)*int(time.Millisecond), time.UTC)
		r.text = t.AppendFormat(r.text, stamp)
	case typeSID:
		r.sid(b)
	default:
		n := len(r.text)
		r.text = hex.AppendEncode(r.text, b)
		upper(r.text[n:])
	}
}

func upper(b []byte) {
	for i, c := range b {
		if 'a' <= c && c <= 'f' {
			b[i] = c - 'a' + 'A'
		}
	}
}

// guid writes the form of Sysmon's own texts and of Sigma's rules.
func (r *renderer) guid(b []byte) {
	order := [...]int{3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15}
	r.text = append(r.text, '{')
	n := len(r.text)
	for _, i := range order {
		if i < 0 {
			r.text = append(r.text, '-')
			continue
		}
		r.text = hex.AppendEncode(r.text, b[i:i+1])
	}
	upper(r.text[n:])
	r.text = append(r.text, '}')
}

func (r *renderer) sid(b []byte) {
	if len(b) < 8 || len(b) < 8+4*int(b[1]) {
		r.rare(typeBinary, b)
		return
	}
	r.text = append(append(r.text, "S-"...), strconv.Itoa(int(b[0]))...)
	authority := uint64(0)
	for _, c := range b[2:8] {
		authority = authority<<8 | uint64(c)
	}
	r.text = strconv.AppendUint(append(r.text, '-'), authority, 10)
	for i := range int(b[1]) {
		sub := binary.LittleEndian.Uint32(b[8+4*i:])
		r.text = strconv.AppendUint(append(r.text, '-'), uint64(sub), 10)
	}
}

func unsigned(b []byte) (n uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n
}

func signed(b []byte) int64 {
	shift := 64 - 8*len(b)
	return int64(unsigned(b)<<shift) >> shift
}
