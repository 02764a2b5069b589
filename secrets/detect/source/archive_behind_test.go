package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

func xzOf(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// xzWindowed is a file whose block asks for a dictionary of that size: 40 is 4 GiB.
func xzWindowed(t testing.TB, window byte) string {
	t.Helper()
	b := []byte(xzOf(t, "text"))
	i := bytes.Index(b[12:], []byte{0x21, 1})
	b[12+i+2] = window
	return string(b)
}

// oldCpioOf writes the octal form of cpio.
func oldCpioOf(items ...item) string {
	var b string
	for _, i := range append(items, item{"TRAILER!!!", ""}) {
		b += fmt.Sprintf("070707%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o%s\x00%s", 0, 0, 0o100644, 0, 0, 1, 0, 0, len(i.name)+1, len(i.text), i.name, i.text)
	}
	return b
}

// rpmOf is a package with a script and a payload.
func rpmOf(script, payload string) string {
	header := func(values string) string {
		h := append([]byte("\x8e\xad\xe8\x01\x00\x00\x00\x00"), 0, 0, 0, 1)
		h = binary.BigEndian.AppendUint32(h, uint32(len(values)))
		return string(h) + strings.Repeat("\x00", 16) + values
	}
	signature := "123"
	return "\xed\xab\xee\xdb" + strings.Repeat("\x00", 92) + header(signature) + strings.Repeat("\x00", 5) + header("name\x00"+script+"\x00") + payload
}

// sparseTar has a file of that size with one line at its end, as GNU tar keeps it in
// its oldest form.
func sparseTar(t testing.TB, size int64) string {
	t.Helper()
	text := "\n" + secret("sparse") + "\n"
	text += strings.Repeat("x", 512-len(text))
	h := make([]byte, 512)
	copy(h, "holes.env")
	copy(h[100:], "0000600\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00", len(text)))
	copy(h[156:], "S")
	copy(h[257:], "ustar  \x00")
	copy(h[386:], fmt.Sprintf("%011o\x00%011o\x00", size-int64(len(text)), len(text)))
	copy(h[483:], fmt.Sprintf("%012s", strconv.FormatInt(size, 8)))
	return sumTar(h) + text + strings.Repeat("\x00", 1024)
}

func sumTar(h []byte) string {
	copy(h[148:], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return string(h)
}

// endlessTar has files that are nothing but a hole, as large as a number can say.
func endlessTar(names ...string) string {
	const most = "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff"
	var b strings.Builder
	for _, name := range names {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], "0000600\x00")
		copy(h[124:], "00000000000\x00")
		copy(h[156:], "S")
		copy(h[257:], "ustar  \x00")
		copy(h[386:], most+"\x80") // nothing, at the end
		copy(h[483:], most)
		b.WriteString(sumTar(h))
	}
	return b.String() + strings.Repeat("\x00", 1024)
}

// TestHolesThatTogetherAreMoreThanANumberHolds end at once: each is told.
func TestHolesThatTogetherAreMoreThanANumberHolds(t *testing.T) {
	got := archiveScan(t, "holes.tar", endlessTar("a", "b", "c"), Limits{})
	for _, name := range []string{"a", "b", "c"} {
		got.wantGap(t, "holes.tar!"+name, TooLarge)
	}
}

// TestWhoStopsAScanStopsInAHole that nothing else would come out of for minutes.
func TestWhoStopsAScanStopsInAHole(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	l := Limits{Unpacked: 1 << 62}
	holes := int64(0)
	a := &archive{w: &worker{ctx: ctx, Config: &Config{Limits: l}}, pack: &unpacking{holes: &holes}}
	stop()
	if _, err := (&dense{a: a, r: zeros{}}).Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	a.w.ctx, a.w.Limits.Unpacked = t.Context(), 1<<20
	if _, err := (&dense{a: a, r: zeros{}}).Read(make([]byte, 1)); !errors.Is(err, errUnpacked) || holes <= 1<<20 {
		t.Errorf("after %d bytes of a hole: %v", holes, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// paxSparseTar has the form that GNU tar writes today: the map stands in the data.
func paxSparseTar(t testing.TB) string {
	t.Helper()
	text := secret("pax") + "\n"
	data := fmt.Sprintf("1\n%d\n%d\n", 1<<20, len(text))
	data += strings.Repeat("\x00", 512-len(data)) + text
	records := ""
	for _, r := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=holes.env", fmt.Sprintf("GNU.sparse.realsize=%d", 1<<20+len(text))} {
		records += fmt.Sprintf("%d %s\n", len(r)+4, r)
	}
	head := func(name string, kind byte, size int) string {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], "0000600\x00")
		copy(h[124:], fmt.Sprintf("%011o\x00", size))
		h[156] = kind
		copy(h[257:], "ustar\x0000")
		return sumTar(h)
	}
	pad := func(s string) string { return s + strings.Repeat("\x00", -len(s)&511) }
	return head("PaxHeaders/x", 'x', len(records)) + pad(records) + head("GNUSparseFile.0/x", '0', len(data)) + pad(data) + strings.Repeat("\x00", 1024)
}

// lostZip has more between two entries than they say.
func lostZip(t testing.TB) string {
	t.Helper()
	whole := zipOf(t, item{"a", "x"}, item{"gone", strings.Repeat("0123456789abcdef", 1<<9) + strings.Repeat("\x01\x02\x03", 1<<9)}, item{"b", "y"})
	// The middle entry's data grows by far without packing, and leaves the directory.
	first := strings.Index(whole[4:], "PK\x03\x04") + 4
	grown := whole[:first] + strings.Repeat("z", 80<<10) + whole[first:]
	dir := strings.Index(grown, "PK\x01\x02")
	b := []byte(grown)
	for at := dir; at >= 0 && at+46 < len(b) && string(b[at:at+4]) == "PK\x01\x02"; at += 46 + int(b[at+28]) {
		if off := binary.LittleEndian.Uint32(b[at+42:]); int(off) >= first {
			binary.LittleEndian.PutUint32(b[at+42:], off+80<<10)
		}
	}
	end := strings.LastIndex(grown, "PK\x05\x06")
	binary.LittleEndian.PutUint32(b[end+16:], uint32(dir))
	return string(b)
}

// TestWhatStandsBehindAnEndIsRead has archives that go on where a reader would stop.
func TestWhatStandsBehindAnEndIsRead(t *testing.T) {
	in := item{"etc/app.env", secret("x") + "\n"}
	other := item{"early/microcode.bin", "\x00\x01"}
	pad, binary := strings.Repeat("\x00", 512), strings.Repeat("\x7fELF\x00\x00\xff\x80", chunkSize/4)
	for name, c := range map[string]struct{ text, place string }{
		"initrd.img":   {cpioOf(other) + pad + cpioOf(other) + pad + gzipOf(cpioOf(in)), "initrd.img!" + behindName + "!" + behindName + "!etc/app.env:1"},
		"initrd.zst":   {cpioOf(other) + pad + zstdOf(cpioOf(in)), "initrd.zst!" + behindName + "!" + behindName + "!etc/app.env:1"},
		"two.cpio":     {cpioOf(other) + cpioOf(in), "two.cpio!etc/app.env:1"},
		"old.cpio":     {oldCpioOf(item{"a", "odd"}, in), "old.cpio!etc/app.env:1"},
		"two.tar":      {tarOf(t, other) + tarOf(t, in), "two.tar!etc/app.env:1"},
		"text.tar":     {tarOf(t, other) + in.text, "text.tar!" + behindName + ":1"},
		"text.cpio":    {cpioOf(other) + in.text, "text.cpio!" + behindName + ":1"},
		"two.env.gz":   {gzipOf("a\n") + gzipOf(in.text), "two.env.gz!two.env:2"},
		"pad.env.gz":   {gzipOf(in.text) + pad, "pad.env.gz!pad.env:1"},
		"text.gz":      {gzipOf("a\n") + in.text, "text.gz!" + behindName + ":1"},
		"two.env.zst":  {zstdOf("a\n") + zstdOf(in.text), "two.env.zst!two.env:2"},
		"binary.gz":    {gzipOf(binary) + in.text, "binary.gz!" + behindName + ":1"},
		"member.gz":    {gzipOf(binary) + gzipOf(binary) + in.text, "member.gz!" + behindName + ":1"},
		"a.env.xz":     {xzOf(t, in.text), "a.env.xz!a.env:1"},
		"two.env.xz":   {xzOf(t, "a\n") + "\x00\x00\x00\x00" + xzOf(t, in.text), "two.env.xz!two.env:2"},
		"a.tar.xz":     {xzOf(t, tarOf(t, other, in)), "a.tar.xz!a.tar!etc/app.env:1"},
		"script.rpm":   {rpmOf(in.text, gzipOf(cpioOf(other))), "script.rpm!header:2"},
		"payload.rpm":  {rpmOf("", xzOf(t, cpioOf(in))), "payload.rpm!payload!payload!etc/app.env:1"},
		"gnu.tar":      {sparseTar(t, 1<<20), "gnu.tar!holes.env:3"},
		"pax.tar":      {paxSparseTar(t), "pax.tar!holes.env:2"},
		"setup.exe":    {"MZ\x00\x01" + strings.Repeat("\x00program", 100) + zipOf(t, in), "setup.exe!etc/app.env:1"},
		"app.pyz":      {"#!/usr/bin/env python3\n" + zipOf(t, in), "app.pyz!etc/app.env:1"},
		"unpacker.run": {"#!/bin/sh\n" + secret("stub") + "\n" + zipOf(t, other), "unpacker.run!(before its first entry):2"},
		"v7.tar":       {v7(tarOf(t, in)), "v7.tar!etc/app.env:1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := archiveScan(t, name, c.text, Limits{})
			got.wantNoGaps(t)
			got.wantPlaces(t, c.place)
		})
	}
}

// v7 takes the mark out of a tar, as those have none that are older than it.
func v7(text string) string {
	h := []byte(text[:512])
	clear(h[257:])
	return sumTar(h) + text[512:]
}

// TestWhatADamagedStreamHeldIsRead up to where it is damaged.
func TestWhatADamagedStreamHeldIsRead(t *testing.T) {
	got := archiveScan(t, "a.env.zst", zstdOf(secret("x")+"\n")+"no frame", Limits{})
	got.wantPlaces(t, "a.env.zst!a.env:1")
	got.wantGap(t, "a.env.zst", Malformed)
}

// TestABinaryStreamIsReadToItsEnd although nobody looks at it: it may be damaged there,
// or something else may stand behind it.
func TestABinaryStreamIsReadToItsEnd(t *testing.T) {
	binary := strings.Repeat("\x7fELF\x00\x00\xff\x80", chunkSize/4)
	for name, text := range map[string]string{
		"a.zst": zstdOf(binary) + secret("x"), "a.xz": xzOf(t, binary) + secret("x"), "cut.gz": strings.TrimSuffix(gzipOf(binary), "\x00"), "bomb.gz": gzipOf(binary),
	} {
		l, reason := Limits{}, Malformed
		if name == "bomb.gz" {
			l, reason = Limits{Unpacked: chunkSize + 1}, TooLarge
		}
		if got := archiveScan(t, name, text, l); len(got.gaps) != 1 {
			t.Errorf("%s: gaps %v", name, got.gaps)
		} else {
			got.wantGap(t, name, reason)
		}
	}
}

// TestXzAgainstItsLibrary has blocks and sums of all kinds.
func TestXzAgainstItsLibrary(t *testing.T) {
	text := strings.Repeat("all work and no play\n", 10_000)
	for _, check := range []byte{xz.None, xz.CRC32, xz.CRC64, xz.SHA256} {
		var b bytes.Buffer
		w, err := xz.WriterConfig{BlockSize: 64 << 10, CheckSum: check, NoCheckSum: check == xz.None}.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		b.Write(b.Bytes())
		got, err := io.ReadAll(newXz(&b))
		if err != nil || string(got) != text+text {
			t.Errorf("sum %d: %d bytes, %v", check, len(got), err)
		}
	}
}

// TestXzOfEmptyBlocks asks for 64 MiB and gives nothing, again and again.
func TestXzOfEmptyBlocks(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("\xfd7zXZ\x00\x00\x00zero")
	for range 40 {
		// The size of the header, no flags, LZMA2 with its window, padding and sum; no data.
		b.Write([]byte{2, 0, 0x21, 1, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	}
	x := newXz(&b)
	if _, err := io.ReadAll(x); !errors.Is(err, errRatio) {
		t.Errorf("after %d MiB: %v", x.asked>>20, err)
	}
}

func FuzzXz(f *testing.F) {
	f.Add([]byte(xzOf(f, "text")))
	f.Add([]byte(xzOf(f, "") + "\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, _ := io.Copy(io.Discard, io.LimitReader(newXz(bytes.NewReader(b)), 1<<20))
		if n > 0 && len(b) < 12 {
			t.Error("something out of nothing")
		}
	})
}
