package iio

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
)

func TestScanTypesAreReadAsTheKernelWritesThem(t *testing.T) {
	for text, want := range map[string]scanType{
		"be:s12/16>>4":   {big: true, signed: true, bits: 12, storage: 16, repeat: 1, shift: 4}, // mma8452
		"le:s64/64>>0":   {signed: true, bits: 64, storage: 64, repeat: 1},                      // every timestamp
		"le:u10/16>>0":   {bits: 10, storage: 16, repeat: 1},
		"le:s32/32X4>>0": {signed: true, bits: 32, storage: 32, repeat: 4}, // a quaternion
		"be:u24/32>>8":   {big: true, bits: 24, storage: 32, repeat: 1, shift: 8},
	} {
		if got, err := parseScanType(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "le:s12/16", "le:s12/12>>0", "le:s24/24>>0", "le:s0/16>>0", "le:s16/16>>4", "xx:s16/16>>0", "le:s16/16X3>>0",
		"le:s16/128>>0", "le:s16/16>>-1", "le:s16/16>>0\n", strings.Repeat("9", 500),
	} {
		if got, err := parseScanType(text); core.KindOf(err) != core.KindDamaged {
			t.Errorf("%q is taken for %+v: %v", text, got, err)
		}
	}
}

func TestValuesAreShiftedMaskedAndSigned(t *testing.T) {
	for _, row := range []struct {
		kind  string
		bytes []byte
		want  float64
	}{
		{"be:s12/16>>4", []byte{0x40, 0x0f}, 1024},
		{"be:s12/16>>4", []byte{0xc0, 0x00}, -1024},
		{"be:s12/16>>4", []byte{0x7f, 0xf0}, 2047},
		{"le:s12/16>>4", []byte{0x00, 0x80}, -2048},
		{"le:s12/16>>0", []byte{0xff, 0xff}, -1},
		{"le:s12/16>>0", []byte{0x00, 0xf8}, -2048},
		{"le:u12/16>>0", []byte{0xff, 0xff}, 4095},
		{"be:u24/32>>8", []byte{0x01, 0x02, 0x03, 0xff}, 0x010203},
		{"le:s8/8>>0", []byte{0x80}, -128},
		{"le:s64/64>>0", []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -2},
		{"le:u64/64>>0", []byte{0, 0, 0, 0, 0, 0, 0, 0x80}, 1 << 63},
	} {
		kind, err := parseScanType(row.kind)
		if err != nil {
			t.Fatal(err)
		}
		if got := kind.decode(row.bytes); got != row.want {
			t.Errorf("%s of %x is %g, not %g", row.kind, row.bytes, got, row.want)
		}
	}
}

func newElement(t *testing.T, name string, index int, kind string) element {
	t.Helper()
	k, err := parseScanType(kind)
	if err != nil {
		t.Fatal(err)
	}
	return element{name: name, index: index, kind: k}
}

func TestARecordIsLaidOutByIndexAndAligned(t *testing.T) {
	list := []element{
		newElement(t, "timestamp", 3, "le:s64/64>>0"), newElement(t, "accel_z", 2, "be:s12/16>>4"),
		newElement(t, "accel_x", 0, "be:s12/16>>4"), newElement(t, "accel_y", 1, "be:s12/16>>4"),
	}
	size, err := layout(list)
	if err != nil || size != 16 {
		t.Fatalf("size %d, %v", size, err)
	}
	for i, want := range []struct {
		name   string
		offset int
	}{{"accel_x", 0}, {"accel_y", 2}, {"accel_z", 4}, {"timestamp", 8}} {
		if list[i].name != want.name || list[i].offset != want.offset {
			t.Errorf("%d: %s at %d", i, list[i].name, list[i].offset)
		}
	}
	odd := []element{newElement(t, "a", 0, "le:u8/8>>0"), newElement(t, "b", 1, "le:u32/32>>0"), newElement(t, "c", 2, "le:u8/8>>0")}
	if size, err := layout(odd); err != nil || size != 12 || odd[1].offset != 4 || odd[2].offset != 8 {
		t.Errorf("size %d, %v, %+v", size, err, odd)
	}
	twice := []element{newElement(t, "a", 1, "le:u8/8>>0"), newElement(t, "b", 1, "le:u8/8>>0")}
	if _, err := layout(twice); core.KindOf(err) != core.KindDamaged {
		t.Errorf("two of one index: %v", err)
	}
	if _, err := layout(nil); err == nil {
		t.Error("an empty record")
	}
}

// slow decodes bit by bit, as the kernel's documentation words it.
func slow(t scanType, b []byte) float64 {
	n := t.storage / 8
	bit := func(i int) int { // of the word, the least significant first
		at := i / 8
		if t.big {
			at = n - 1 - at
		}
		return int(b[at]>>(i%8)) & 1
	}
	var v uint64
	for i := range t.bits {
		v |= uint64(bit(t.shift+i)) << i
	}
	if !t.signed {
		return float64(v)
	}
	if t.bits < 64 && v>>(t.bits-1) == 1 {
		return float64(int64(v) - 1<<t.bits)
	}
	return float64(int64(v))
}

func FuzzScan(f *testing.F) {
	f.Add("be:s12/16>>4", "le:s64/64>>0", []byte{0x40, 0x0f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})
	f.Add("le:u24/32>>8", "le:s32/32X4>>0", make([]byte, 64))
	f.Add("le:s63/64>>1", "le:u1/8>>7", []byte{0xff})
	f.Fuzz(func(t *testing.T, first, second string, record []byte) {
		var list []element
		for i, text := range []string{first, second} {
			kind, err := parseScanType(text)
			if err != nil {
				continue
			}
			list = append(list, element{name: text, index: i, kind: kind})
		}
		size, err := layout(list)
		if err != nil || len(record) < size {
			return
		}
		for _, e := range list {
			b := record[e.offset : e.offset+e.kind.size()]
			if got, want := e.kind.decode(b), slow(e.kind, b); got != want {
				t.Errorf("%s of %x is %g, not %g", e.name, b, got, want)
			}
		}
	})
}
