package parts

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recordedTable is what QEMU's firmware told a kernel.
func recordedTable(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/smbios-qemu.bin")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestARecordedTable(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "sys/firmware/dmi/tables/DMI"), string(recordedTable(t)))
	found, err := newSensor(t, root).machine()
	if err != nil {
		t.Fatal(err)
	}
	const want = `firmware | bios | vendor=SeaBIOS | firmware 1.16.2-debian-1.16.2-1 04/01/2014
system | system | maker=QEMU product="Standard PC (Q35 + ICH9, 2009)" serial=MACHINE-0001
chassis | chassis | maker=QEMU kind=1 serial=CASE-0001 | firmware security unknown
dimm | DIMM 0 | maker=Emulated part=P512 serial=DIMM-0001 mib=512
`
	sortParts(found)
	wanted := strings.SplitAfter(want, "\n")
	slices.Sort(wanted)
	if got := lines(found); got != strings.Join(wanted, "") {
		t.Errorf("parts\n%s\nwant\n%s", got, want)
	}
}

// made makes a structure of a table, as the standard has it.
func made(kind byte, size int, set func(b []byte), texts ...string) []byte {
	b := make([]byte, size)
	b[0], b[1] = kind, byte(size)
	if set != nil {
		set(b)
	}
	for _, s := range texts {
		b = append(append(b, s...), 0)
	}
	if len(texts) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

func table() []byte {
	var b []byte
	b = append(b, made(typeBIOS, 0x18, func(b []byte) { b[4], b[5], b[8] = 1, 2, 3 }, "SeaBIOS", "1.16.2", "04/01/2014")...)
	b = append(b, made(typeSystem, 0x1b, func(b []byte) {
		b[4], b[5], b[7] = 1, 2, 3
		copy(b[8:], []byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff})
	}, "Acme", "Box 2", "SYS-4711")...)
	b = append(b, made(typeBoard, 0x0f, func(b []byte) { b[4], b[7] = 1, 2 }, "Acme", "BRD-1")...)
	b = append(b, made(typeChassis, 0x16, func(b []byte) { b[4], b[5], b[7], b[0x0c] = 1, 0x83, 2, 4 }, "Acme", "CHS-1")...)
	b = append(b, made(typeMemory, 0x28, func(b []byte) {
		binary.LittleEndian.PutUint16(b[0x0c:], 2048)
		b[0x10], b[0x17], b[0x18], b[0x1a] = 1, 2, 3, 4
	}, "DIMM 0", "Micron ", "  0A1B", "MT40A")...)
	b = append(b, made(typeMemory, 0x28, func(b []byte) { b[0x10] = 1 }, "DIMM 1")...) // an empty slot
	b = append(b, made(typeMemory, 0x54, func(b []byte) {
		binary.LittleEndian.PutUint16(b[0x0c:], 0x7fff)
		binary.LittleEndian.PutUint32(b[0x1c:], 65536)
		b[0x10], b[0x11] = 1, 2
	}, "DIMM 2", "BANK 1")...)
	b = append(b, made(41, 0x0b, nil)...) // of no interest
	return append(b, made(endOfTable, 4, nil)...)
}

func TestTheFirmwaresTable(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "sys/firmware/dmi/tables/DMI"), string(table()))
	found, err := newSensor(t, root).machine()
	if err != nil {
		t.Fatal(err)
	}
	const want = `firmware | bios | vendor=SeaBIOS | firmware 1.16.2 04/01/2014
system | system | maker=Acme product="Box 2" serial=SYS-4711 uuid=33221100-5544-7766-8899-aabbccddeeff
board | mainboard | maker=Acme serial=BRD-1
chassis | chassis | maker=Acme kind=3 serial=CHS-1 | firmware security external interface locked out
dimm | DIMM 0 | maker=Micron part=MT40A serial=0A1B mib=2048
dimm | BANK 1 DIMM 2 | mib=65536
`
	if got := lines(found); got != want {
		t.Errorf("parts\n%s\nwant\n%s", got, want)
	}
}

func TestADamagedTableIsRefusedWhole(t *testing.T) {
	good := table()
	for name, bad := range map[string][]byte{
		"cut in a header":     good[:3],
		"cut in a structure":  good[:0x10],
		"cut in its strings":  good[:0x1c],
		"a header of 2 bytes": {0, 2, 0, 0, 0, 0},
	} {
		if _, err := parseTable(bad); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if _, err := parseTable(make([]byte, maxTable+1)); err == nil {
		t.Error("a table without end was read")
	}
	if _, err := parseTable([]byte(strings.Repeat("\x05\x04\x00\x00\x00\x00", maxStructures+1))); err == nil {
		t.Error("structures without end were read")
	}
}

func FuzzTable(f *testing.F) {
	f.Add(table())
	f.Add(recordedTable(f))
	f.Add([]byte{17, 4, 0, 0, 0, 0})
	f.Add(made(typeMemory, 0x28, func(b []byte) { b[0x0c], b[0x10], b[0x18] = 1, 9, 255 }, "a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseTable(b)
		if err != nil && all != nil {
			t.Error("half a table was read")
		}
		for _, s := range all {
			for _, p := range s.parts() {
				if p.Class == "" || p.Place == "" || p.Identity == "" {
					t.Errorf("a part that is nothing: %+v", p)
				}
			}
		}
	})
}

func FuzzCPUs(f *testing.F) {
	f.Add("processor\t: 0\nvendor_id\t: x\nphysical id\t: 0\n\nprocessor : 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range parseCPUs(text) {
			if p.Identity == "" || p.Place == "" {
				t.Errorf("a part that is nothing: %+v", p)
			}
		}
	})
}
