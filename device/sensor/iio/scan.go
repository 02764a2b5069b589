package iio

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/interlock-security/interlock/core"
)

// scanType is how one value lies in a record of the kernel's buffer.
type scanType struct {
	big, signed   bool
	bits, storage int // storage is 8, 16, 32 or 64
	repeat        int
	shift         int
}

var scanTypeRE = regexp.MustCompile(`^(be|le):([su])([0-9]{1,2})/([0-9]{1,2})(?:X([0-9]{1,2}))?>>([0-9]{1,2})$`)

// parseScanType reads a type as the kernel writes it: "le:s12/16>>4".
func parseScanType(text string) (scanType, error) {
	m := scanTypeRE.FindStringSubmatch(text)
	if m == nil {
		return scanType{}, damaged("scan type %.40q is not like le:s12/16>>4", text)
	}
	number := func(s string) int { n, _ := strconv.Atoi(s); return n } // two digits, or none
	t := scanType{big: m[1] == "be", signed: m[2] == "s", bits: number(m[3]), storage: number(m[4]), repeat: max(1, number(m[5])), shift: number(m[6])}
	switch {
	case t.storage != 8 && t.storage != 16 && t.storage != 32 && t.storage != 64:
		return scanType{}, damaged("scan type %q: values of %d bits are not read", text, t.storage)
	case t.bits < 1 || t.bits+t.shift > t.storage:
		return scanType{}, damaged("scan type %q: %d bits shifted by %d do not fit", text, t.bits, t.shift)
	case t.repeat&(t.repeat-1) != 0:
		return scanType{}, damaged("scan type %q: a repetition of %d is not read", text, t.repeat)
	}
	return t, nil
}

func damaged(format string, args ...any) error {
	return core.E(core.KindDamaged, "iio.Scan", fmt.Sprintf(format, args...))
}

// size is how many bytes of a record it takes; it is aligned to as many.
func (t scanType) size() int { return t.storage / 8 * t.repeat }

// full is the largest value, as the chip counts.
func (t scanType) full() float64 {
	if t.signed {
		return math.Ldexp(1, t.bits-1)
	}
	return math.Ldexp(1, t.bits)
}

// word takes the bytes of one value for a number, as they stand.
func (t scanType) word(b []byte) uint64 {
	var order binary.ByteOrder = binary.LittleEndian
	if t.big {
		order = binary.BigEndian
	}
	switch t.storage {
	case 8:
		return uint64(b[0])
	case 16:
		return uint64(order.Uint16(b))
	case 32:
		return uint64(order.Uint32(b))
	}
	return order.Uint64(b)
}

// integer is the value of a word: shifted, masked, with its sign.
func (t scanType) integer(b []byte) (v int64, positive uint64) {
	w := t.word(b) >> t.shift
	unused := 64 - t.bits
	w = w << unused >> unused
	return int64(w<<unused) >> unused, w
}

// decode reads the first of its values. b has at least size bytes.
func (t scanType) decode(b []byte) float64 {
	v, positive := t.integer(b)
	if t.signed {
		return float64(v)
	}
	return float64(positive)
}

// element is one value of a record.
type element struct {
	name   string // of the channel; "timestamp"
	index  int
	kind   scanType
	offset int
}

// maxRecord bounds what one sample may take.
const maxRecord = 1024

// layout puts the elements of a record into its order and returns how long it
// is: each value is aligned to its own size, the record to its largest.
func layout(elements []element) (size int, err error) {
	slices.SortStableFunc(elements, func(a, b element) int { return cmp.Compare(a.index, b.index) })
	largest, last := 1, -1
	for i := range elements {
		e := &elements[i]
		if e.index <= last {
			return 0, damaged("%q has the index %d, as another one", e.name, e.index)
		}
		last = e.index
		n := e.kind.size()
		e.offset = align(size, n)
		size = e.offset + n
		largest = max(largest, n)
	}
	if size = align(size, largest); size == 0 || size > maxRecord {
		return 0, damaged("a record of %d bytes", size)
	}
	return size, nil
}

// align rounds up; n is a power of two.
func align(size, n int) int { return (size + n - 1) &^ (n - 1) }
