package cargo

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-security/interlock/scanning/inventory/extract/extracttest"
)

// program is the smallest ELF file with one section besides that of the names.
func program(t testing.TB, list string) []byte {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write([]byte(list))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	names := "\x00.dep-v0\x00.shstrtab\x00"
	const head, entry = 64, 64
	at := uint64(head)
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	for _, v := range []any{
		uint16(2), uint16(62), uint32(1), uint64(0), uint64(0), at + uint64(z.Len()) + uint64(len(names)),
		uint32(0), uint16(64), uint16(56), uint16(0), uint16(entry), uint16(3), uint16(2),
	} {
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	b.Write(z.Bytes())
	b.WriteString(names)
	section := func(name, kind uint32, off, size uint64) {
		for _, v := range []any{name, kind, uint64(0), uint64(0), off, size, uint32(0), uint32(0), uint64(1), uint64(0)} {
			_ = binary.Write(&b, binary.LittleEndian, v)
		}
	}
	section(0, 0, 0, 0)
	section(1, 1, at, uint64(z.Len()))
	section(9, 3, at+uint64(z.Len()), uint64(len(names)))
	return b.Bytes()
}

func TestAuditable(t *testing.T) {
	list := `{"packages":[{"name":"app","version":"0.1.0","source":"local","dependencies":[1],"root":true},
{"name":"serde","version":"1.0.190","source":"crates.io","dependencies":[2]},{"name":"itoa","version":"1.0.9","source":"crates.io"},
{"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}]}`
	tree := fstest.MapFS{
		"app":    {Data: program(t, list), Mode: 0o755},
		"broken": {Data: program(t, `{"packages":`), Mode: 0o755},
	}
	want := `crates.io itoa 1.0.9
  pkg:cargo/itoa@1.0.9 in app
crates.io serde 1.0.190
  pkg:cargo/serde@1.0.190 in app
  requires pkg:cargo/itoa@1.0.9
gap malformed broken:1: not JSON: unexpected end of JSON input
`
	if got := extracttest.Show(extracttest.Ask(t, tree, Extractors())); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzAuditable(f *testing.F) {
	f.Add(program(f, `{"packages":[{"name":"a","version":"1","source":"crates.io"}]}`))
	extracttest.Fuzz(f, Extractors()[2], "app", nil)
}
