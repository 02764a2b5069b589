package source

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// item is an entry of a test's archive.
type item struct{ name, text string }

func tarOf(t testing.TB, items ...item) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		if err := w.WriteHeader(&tar.Header{Name: i.name, Size: int64(len(i.text)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, i.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipOf(t testing.TB, items ...item) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, i := range items {
		f, err := w.Create(i.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, i.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipOf(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func zstdOf(text string) string {
	w, _ := zstd.NewWriter(nil)
	return string(w.EncodeAll([]byte(text), nil))
}

func arOf(items ...item) string {
	b := "!<arch>\n"
	for _, i := range items {
		b += fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", i.name+"/", 0, 0, 0, "100644", len(i.text), i.text)
		if len(i.text)%2 == 1 {
			b += "\n"
		}
	}
	return b
}

func cpioOf(items ...item) string {
	var b string
	for _, i := range append(items, item{"TRAILER!!!", ""}) {
		b += fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1, 0o100644, 0, 0, 1, 0, len(i.text), 0, 0, 0, 0, len(i.name)+1, 0)
		b += i.name + "\x00"
		b += strings.Repeat("\x00", -(110+len(i.name)+1)&3) + i.text + strings.Repeat("\x00", -len(i.text)&3)
	}
	return b
}

func archiveScan(t testing.TB, name, text string, l Limits) *told {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, name, text)
	return folderOf(t, dir, Config{Archives: true, Limits: l})
}

func TestArchivesAreOpened(t *testing.T) {
	in := item{"dir/.env", "a\n" + secret("x") + "\n"}
	for name, c := range map[string]struct{ text, place string }{
		"a.tar":        {tarOf(t, item{"other", "x"}, in), "a.tar!dir/.env:2"},
		"a.tgz":        {gzipOf(tarOf(t, in)), "a.tgz!a.tar!dir/.env:2"},
		"a.tar.zst":    {zstdOf(tarOf(t, in)), "a.tar.zst!a.tar!dir/.env:2"},
		"a.env.gz":     {gzipOf(in.text), "a.env.gz!a.env:2"},
		"a.jar":        {zipOf(t, item{"META-INF/x", ""}, in), "a.jar!dir/.env:2"},
		"a.deb":        {arOf(item{"odd", "abc"}, item{"data.tar", tarOf(t, in)}), "a.deb!data.tar!dir/.env:2"},
		"a.cpio":       {cpioOf(item{"odd", "abc"}, in), "a.cpio!dir/.env:2"},
		"nested.zip":   {zipOf(t, item{"b.zip", zipOf(t, item{"c.tgz", gzipOf(tarOf(t, in))})}), "nested.zip!b.zip!c.tgz!c.tar!dir/.env:2"},
		"escaping.tar": {tarOf(t, item{"../../etc/passwd", in.text}), "escaping.tar!etc/passwd:2"},
		"twice.zip":    {zipOf(t, in, item{in.name, "nothing"}), "twice.zip!dir/.env:2"},
	} {
		t.Run(name, func(t *testing.T) {
			got := archiveScan(t, name, c.text, Limits{})
			got.wantNoGaps(t)
			got.wantPlaces(t, c.place)
		})
	}
}

func TestBzip2(t *testing.T) {
	// echo hello | bzip2: the library can't write the format.
	packed, err := base64.StdEncoding.DecodeString("QlpoOTFBWSZTWcHAgOIAAAFBAAAQAkSgADDNAMNGKZcXckU4UJDBwIDi")
	if err != nil {
		t.Fatal(err)
	}
	got := archiveScan(t, "hello.bz2", string(packed), Limits{})
	got.wantNoGaps(t)
	if got.Archives.Load() != 1 || got.Files.Load() != 2 {
		t.Errorf("%d archives, %d files", got.Archives.Load(), got.Files.Load())
	}
}

func TestArchivesStayClosedUntilAskedFor(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.zip", zipOf(t, item{"a", secret("a")}))
	got := folderOf(t, dir, Config{})
	got.wantPlaces(t)
	if got.Unopened.Load() != 1 {
		t.Error("an archive that was not opened is not counted")
	}
	got = collect(t, Config{}, func(c Config, s Sink) error { return File(context.Background(), dir+"/a.zip", "a.zip", c, s) })
	got.wantPlaces(t, "a.zip!a:1")
	got = collect(t, Config{Archives: true}, func(c Config, s Sink) error {
		return Reader(context.Background(), strings.NewReader(zipOf(t, item{"a", secret("a")})), "stdin", c, s)
	})
	got.wantPlaces(t, "stdin!a:1")
}

func TestBombsAreContained(t *testing.T) {
	small := Limits{Unpacked: 4 << 20}
	early := Limits{Small: 1 << 20}
	text := strings.Repeat("all work and no play\n", 1<<18)
	deep := gzipOf("core")
	for range 12 {
		deep = gzipOf(deep)
	}
	many := make([]item, 500)
	for i := range many {
		many[i] = item{fmt.Sprint(i), "x"}
	}
	for name, c := range map[string]struct {
		text   string
		limits Limits
		reason Reason
	}{
		"text.gz":    {gzipOf(strings.Repeat(text, 2)), small, TooLarge},
		"zeros.gz":   {gzipOf(gzipOf(strings.Repeat("\x00", 16<<20))), Limits{}, ""},
		"zeros.tgz":  {gzipOf(tarOf(t, item{"zeros", strings.Repeat("\x00", 6<<20)}, item{"after", "x"})), early, TooLarge},
		"ratio.gz":   {gzipOf(strings.Repeat(strings.Repeat("a", 1<<20)+"\n", 6)), early, TooLarge},
		"deep.gz":    {deep, Limits{}, TooDeep},
		"many.tar":   {tarOf(t, many...), Limits{Entries: 100}, TooLarge},
		"many.zip":   {zipOf(t, many...), Limits{Entries: 100}, TooLarge},
		"quine.gz":   {quine(t), Limits{}, TooDeep},
		"cut.tgz":    {gzipOf(tarOf(t, item{"a", text}))[:2000], Limits{}, Malformed},
		"cut.zip":    {zipOf(t, item{"a", text})[:100], Limits{}, Malformed},
		"overlap":    {overlappingZip(t), Limits{}, Malformed},
		"locked.zip": {encryptedZip(t), Limits{}, Unsupported},
		"cut.xz":     {"\xfd7zXZ\x00\x00\x04", Limits{}, Malformed},
		"cut.gz":     {gzipOf(text)[:300], Limits{}, Malformed},
		"cut.env.xz": {xzOf(t, text)[:200], Limits{}, Malformed},
		"junk.gz":    {gzipOf("a text") + "\x1f\x8b\x08", Limits{}, Malformed},
		"junk.zst":   {zstdOf("a text") + "and more", Limits{}, Malformed},
		"window.xz":  {xzWindowed(t, 40), Limits{}, TooLarge},
		"lost.zip":   {lostZip(t), Limits{}, Malformed},
		"a.lzma":     {"\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x30\x9c", Limits{}, Unsupported},
		"a.lz4":      {"\x04\x22\x4d\x18\x64", Limits{}, Unsupported},
		"cut.rpm":    {rpmOf("", "")[:120], Limits{}, Malformed},
		"large.rpm":  {rpmOf("", "")[:96] + "\x8e\xad\xe8\x01\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00", Limits{}, TooLarge},
		"holes.tar":  {sparseTar(t, 9<<30), Limits{}, TooLarge},
		"a.7z":       {"7z\xbc\xaf\x27\x1c\x00", Limits{}, Unsupported},
		"bad.ar":     {"!<arch>\nnot a header of sixty bytes, and longer than that, surely, it is", Limits{}, Malformed},
		"bad.cpio":   {"070701" + strings.Repeat("z", 200), Limits{}, Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			got := archiveScan(t, name, c.text, c.limits)
			if c.reason == "" {
				got.wantNoGaps(t)
				return
			}
			got.wantGap(t, name, c.reason)
		})
	}
}

// quine is an archive that unpacks to itself, near enough: an endless nest made by
// packing until the limit of depth is passed, of stored blocks.
func quine(t testing.TB) string {
	t.Helper()
	text := "seed"
	for range 10 {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.NoCompression)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		text = b.String()
	}
	return text
}

// overlappingZip has two entries over the same bytes.
func overlappingZip(t testing.TB) string {
	t.Helper()
	one := zipOf(t, item{"a", "the same bytes for both"})
	at := strings.Index(one, "PK\x01\x02")
	end := strings.Index(one, "PK\x05\x06")
	entry := one[at:end]
	tail := []byte(one[end:])
	tail[8], tail[10] = 2, 2
	tail[12] = byte(2 * len(entry))
	return one[:at] + entry + entry + string(tail)
}

func encryptedZip(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateRaw(&zip.FileHeader{Name: "a", Flags: zipEncrypted, CRC32: crc32.ChecksumIEEE([]byte("x")), CompressedSize64: 1, UncompressedSize64: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(f, "x")
	_ = w.Close()
	return b.String()
}
