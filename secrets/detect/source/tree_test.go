package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/interlock-security/interlock/secrets/detect"
)

func TestAFolderIsReadInOrder(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for _, name := range []string{"a", "b/c", "b/d/e", "b.txt", "z"} {
		write(t, dir, name, "first\nsecond "+secret(name)+"\n")
		want = append(want, name+":2")
	}
	slices.Sort(want)
	for range 3 {
		got := folderOf(t, dir, Config{Workers: 4})
		got.wantNoGaps(t)
		// Folders stand where their names do, as everywhere.
		got.wantPlaces(t, "a:2", "b/c:2", "b/d/e:2", "b.txt:2", "z:2")
	}
}

func TestLinksLeadNowhere(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write(t, outside, "secret", secret("outside"))
	write(t, dir, "in/file", secret("in"))
	for name, to := range map[string]string{"loop": ".", "in/up": "..", "out": outside, "file": filepath.Join(outside, "secret"), "self": "self", "twice": "in/file"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got := folderOf(t, dir, Config{})
	got.wantPlaces(t, "in/file:1")
	got.wantNoGaps(t)
	if n := got.Links.Load(); n != 6 {
		t.Errorf("%d links, want 6", n)
	}
}

func TestWhatIsNoFileHoldsNothingUp(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "file", secret("file"))
	got := folderOf(t, dir, Config{})
	got.wantPlaces(t, "file:1")
	got.wantNoGaps(t)
	if got.Special.Load() != 1 {
		t.Error("the pipe was not counted")
	}
	if err := Folder(context.Background(), "/proc", Config{Detector: detector(t)}, Sink{}); err == nil {
		t.Error("/proc was read as a folder")
	}
	if err := File(context.Background(), filepath.Join(dir, "pipe"), "pipe", Config{Detector: detector(t)}, Sink{}); err == nil {
		t.Error("a pipe was read as a file")
	}
}

func TestAnUnreadableFileIsAGap(t *testing.T) {
	got := collect(t, Config{}, func(c Config, s Sink) error {
		return walkTree(context.Background(), failing{}, c, s)
	})
	got.wantGap(t, "locked", Unreadable)
	got.wantGap(t, "folder", Unreadable)
	got.wantGap(t, "half", Unreadable)
	got.wantGap(t, "disk", Unsupported)
	if len(got.gaps) != 4 || got.Vanished.Load() != 1 {
		t.Errorf("gaps %v, vanished %d", got.gaps, got.Vanished.Load())
	}
}

// failing is a folder in which things go wrong.
type failing struct{}

func (failing) list() (*listing, error) {
	l := &listing{}
	for _, e := range []struct {
		name string
		kind kind
	}{{"disk", kindBlock}, {"folder", kindFolder}, {"half", kindFile}, {"locked", kindFile}, {"vanished", kindFile}} {
		l.entries = append(l.entries, entry{uint32(len(l.names)), uint16(len(e.name)), e.kind})
		l.names = append(l.names, e.name...)
	}
	return l, nil
}

func (failing) enter(string) (folder, error) { return nil, os.ErrPermission }

func (failing) open(name string) (f io.ReadCloser, info os.FileInfo, err error) {
	switch name {
	case "locked":
		return nil, nil, &os.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	case "vanished":
		return nil, nil, &os.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	file, err := fstest.MapFS{"half": {Data: []byte("text")}}.Open("half")
	if err != nil {
		return nil, nil, err
	}
	info, err = file.Stat()
	return io.NopCloser(io.MultiReader(strings.NewReader("te"), brokenReader{})), info, err
}

func (failing) pseudo() bool { return false }
func (failing) close()       {}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

func TestHostileNamesAreShownEscaped(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"new\nline", "esc\x1b[2J", "bad\xff\xfe", strings.Repeat("n", 255)} {
		write(t, dir, name, secret(name))
	}
	deep := dir
	for range 20 {
		deep = filepath.Join(deep, strings.Repeat("d", 200))
		if len(deep) > 3800 {
			break
		}
	}
	write(t, deep, "f", secret("deep"))
	got := folderOf(t, dir, Config{})
	got.wantNoGaps(t)
	if len(got.leaks) != 5 || got.leaks[0].Path != `bad\xff\xfe` {
		t.Errorf("leaks %q", got.places())
	}
	for _, l := range got.leaks {
		if len(l.Path) > longestShown+3 {
			t.Errorf("a path of %d bytes is told", len(l.Path))
		}
	}
}

func TestFoldersTooDeepAreAGap(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1/2/3/4/file", secret("deep"))
	got := folderOf(t, dir, Config{Limits: Limits{Depth: 2}})
	got.wantPlaces(t)
	got.wantGap(t, "1/2/3", TooDeep)
}

func TestTheInsideOfARepositoryIsNotWalked(t *testing.T) {
	g := newGit(t)
	g.commit("a", secret("a")+"\n")
	g.run("remote", "add", "origin", "https://user:"+secret("remote")+"@example.org/x.git")
	write(t, g.dir, ".git/description", secret("description"))
	write(t, g.dir, "sub/.git/notes", secret("no repository"))
	got := folderOf(t, g.dir, Config{})
	if want := []string{".git/config", "a", "sub/.git/notes"}; len(got.leaks) != 3 || got.leaks[0].Path != want[0] || got.leaks[1].Path != want[1] || got.leaks[2].Path != want[2] {
		t.Errorf("leaks %q", got.places())
	}
}

func TestASparseFileIsReadWhereItHasData(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	for at, text := range map[int64]string{5 << 30: "one\n" + secret("middle") + "\n", 10<<30 - 64: "\n" + secret("end")} {
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(10 << 30); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	got := folderOf(t, dir, Config{})
	got.wantNoGaps(t)
	got.wantPlaces(t, "sparse:2", "sparse:4")
	if n := got.Bytes.Load(); n > 1<<20 {
		t.Errorf("%d bytes were read of two lines", n)
	}
}

// asText is a detector that tells of each text that it would not read as one.
type asText struct{ t *testing.T }

func (d asText) Scan(t detect.Text, _ func(*detect.Leak)) []detect.Gap {
	if detect.Binary(t.Body) {
		d.t.Errorf("a piece of %s is taken for a binary file", t.Path)
	}
	return nil
}

// What is a text stays one where NULs stand in it: in the rest of a block of a sparse
// file, behind the first piece of a long one.
func TestAPieceOfATextIsText(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sparse", "DB_HOST=db1\n")
	if err := os.Truncate(filepath.Join(dir, "sparse"), 1<<30); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "long", strings.Repeat("0123456789abcde\n", chunkSize/16)+"\x00\x00\x00\nDB_HOST=db1\n"+strings.Repeat("\x00", 2*overlap))
	folderOf(t, dir, Config{Detector: asText{t}}).wantNoGaps(t)
}

func TestALongFileIsReadInChunks(t *testing.T) {
	var b bytes.Buffer
	var want []string
	for line := 1; b.Len() < 3*chunkSize; line++ {
		switch line % 2500 {
		case 0:
			fmt.Fprintf(&b, "padding and %s here\n", secret(fmt.Sprint(line)))
			want = append(want, fmt.Sprintf("long:%d", line))
		default:
			fmt.Fprintf(&b, "line %d is here to make the file long and to say nothing\n", line)
		}
	}
	dir := t.TempDir()
	write(t, dir, "long", b.String())
	got := folderOf(t, dir, Config{})
	got.wantNoGaps(t)
	got.wantPlaces(t, want...)
	for _, l := range got.leaks {
		if l.Column != 13 {
			t.Errorf("column %d on line %d, want 13", l.Column, l.Line)
		}
	}
	got = collect(t, Config{}, func(c Config, s Sink) error { return Reader(context.Background(), &b, "stdin", c, s) })
	if len(got.leaks) != len(want) {
		t.Errorf("%d leaks of the stream, want %d", len(got.leaks), len(want))
	}
}

func TestALineLongerThanAChunkHasItsColumns(t *testing.T) {
	line := bytes.Repeat([]byte("x"), 2*chunkSize)
	at := []int{100, chunkSize - 10, chunkSize - overlap - 8, chunkSize + 5000}
	for i, off := range at {
		copy(line[off:], secret(fmt.Sprint(i)))
	}
	slices.Sort(at)
	got := collect(t, Config{}, func(c Config, s Sink) error { return Reader(context.Background(), bytes.NewReader(line), "one", c, s) })
	if len(got.leaks) != len(at) {
		t.Fatalf("%d leaks, want %d", len(got.leaks), len(at))
	}
	for i, l := range got.leaks {
		if l.Line != 1 || l.Column != at[i]+1 || l.EndColumn != at[i]+26 {
			t.Errorf("leak at %d:%d..%d, want 1:%d", l.Line, l.Column, l.EndColumn, at[i]+1)
		}
	}
}

// wide writes a text in two or four bytes a character.
func wide(as alphabet, text string) string {
	var b []byte
	if as.width == 4 {
		for _, r := range text {
			b = as.order.(binary.AppendByteOrder).AppendUint32(b, uint32(r))
		}
		return string(b)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		b = as.order.(binary.AppendByteOrder).AppendUint16(b, u)
	}
	return string(b)
}

func TestWideAndBinaryFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "le", wide(utf16LE, "\ufeffone\nkey "+secret("le")+" 😀\n"))
	write(t, dir, "be", wide(utf16BE, "one\nkey "+secret("be")+"\n"))
	write(t, dir, "long", wide(utf16LE, "\ufeff"+strings.Repeat("padding 😀 line\n", 200_000)+secret("long")+"\n"))
	write(t, dir, "program", "\x7fELF\x00\x00\x01\x02"+secret("program")+"\x00\x00rest")
	write(t, dir, "store.p12", "\x30\x82\x00\x01")
	got := folderOf(t, dir, Config{})
	got.wantNoGaps(t)
	got.wantPlaces(t, "be:2", "le:2", "long:200001", "store.p12:0")
	if got.Binary.Load() != 2 {
		t.Errorf("%d binary files, want 2", got.Binary.Load())
	}
	got = folderOf(t, dir, Config{Binary: true})
	got.wantPlaces(t, "be:2", "le:2", "long:200001", "program:1", "store.p12:0")
}

// TestAlphabets has texts whose alphabet must be guessed, from a folder and from a
// stream, whose length nobody knows.
func TestAlphabets(t *testing.T) {
	line := "\npassword " + secret("x") + "\n"
	kanji := strings.Repeat("日本語の設定", 80)
	for name, text := range map[string]string{
		"a mark before ASCII":            "\xff\xfe" + line,
		"a big mark before ASCII":        "\xfe\xff" + line,
		"a mark, ASCII and one NUL":      "\xff\xfe" + line + strings.Repeat("and more", 20) + "\x00",
		"a mark before Latin-1":          "\xff\xfe" + line + "gr\xfc\xdfe, and more of it that is plain",
		"UTF-16 without a mark":          wide(utf16LE, line),
		"big UTF-16 without a mark":      wide(utf16BE, line),
		"UTF-16 with a third of umlauts": wide(utf16LE, line+strings.Repeat("äöü", 5)),
		"UTF-16 of few Latin letters":    wide(utf16LE, "\ufeff"+kanji+line+kanji),
		"UTF-32":                         wide(utf32LE, "\ufeff"+line),
		"big UTF-32":                     wide(utf32BE, "\ufeff"+line),
		"UTF-32 without a mark":          wide(utf32LE, line),
		"UTF-8 with its mark":            "\xef\xbb\xbf" + line,
		"lines that end in NUL":          "PATH=/bin" + line + "HOME=/root\x00TERM=dumb\x00",
		"a NUL that somebody put":        "# \x00" + line + strings.Repeat("and more\n", 20),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a", text)
			got := folderOf(t, dir, Config{})
			got.wantNoGaps(t)
			got.wantPlaces(t, "a:2")
			got = collect(t, Config{}, func(c Config, s Sink) error {
				return Reader(context.Background(), strings.NewReader(text), "a", c, s)
			})
			got.wantPlaces(t, "a:2")
		})
	}
}

func TestLimitsOfAFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", secret("a")+strings.Repeat("\nnothing", 3*chunkSize/8)+"\n"+secret("too far"))
	got := folderOf(t, dir, Config{Limits: Limits{File: chunkSize + 1}})
	got.wantGap(t, "a", TooLarge)
	got.wantPlaces(t, "a:1")
	write(t, dir, "a", strings.Repeat(secret("a")+"\n", 100))
	got = folderOf(t, dir, Config{Limits: Limits{Leaks: 10}})
	got.wantGap(t, "a", TooMany)
	if len(got.leaks) != 10 {
		t.Errorf("%d leaks, want 10", len(got.leaks))
	}
}

// pieces is a detector that never reads all.
type pieces struct{ n int }

func (p *pieces) Scan(t detect.Text, _ func(*detect.Leak)) []detect.Gap {
	p.n++
	return []detect.Gap{{Path: t.Path, Why: fmt.Sprintf("%d words were not looked at", p.n)}}
}

// TestOneGapIsToldOnce of a text, however many pieces it is read in.
func TestOneGapIsToldOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", strings.Repeat("x\n", 3*chunkSize/2))
	write(t, dir, "b", "x\n")
	got := folderOf(t, dir, Config{Detector: &pieces{}, Workers: 1})
	if len(got.gaps) != 2 || got.gaps[0].Why != "1 words were not looked at"+inMore || strings.HasSuffix(got.gaps[1].Why, inMore) {
		t.Errorf("gaps %v", got.gaps)
	}
}

// TestLeaksOfAScanAreBounded however many files they are in.
func TestLeaksOfAScanAreBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		write(t, dir, fmt.Sprintf("f%02d", i), strings.Repeat(secret("a")+"\n", 10))
	}
	got := folderOf(t, dir, Config{Limits: Limits{All: 100}})
	got.wantGap(t, "all of it", TooMany)
	if len(got.leaks) != 100 {
		t.Errorf("%d leaks, want 100", len(got.leaks))
	}
	if len(got.gaps) != 1 {
		t.Errorf("gaps %v, want one", got.gaps)
	}
}

func TestExcludedPathsAndTrees(t *testing.T) {
	fsys := fstest.MapFS{"a/b": {Data: []byte(secret("b"))}, "c": {Data: []byte(secret("c"))}, "a/d": {Data: []byte(secret("d"))}}
	got := collect(t, Config{Exclude: func(p string, _ bool) bool { return p == "a/b" }}, func(c Config, s Sink) error {
		return Tree(context.Background(), fsys, c, s)
	})
	got.wantNoGaps(t)
	got.wantPlaces(t, "a/d:1", "c:1")
}

// Many small files: every one is read, and told in order.
func TestATreeOfManySmallFiles(t *testing.T) {
	dir := t.TempDir()
	const folders, files = 20, 100
	for d := range folders {
		sub := filepath.Join(dir, fmt.Sprintf("%03d", d))
		if err := os.Mkdir(sub, 0o750); err != nil {
			t.Fatal(err)
		}
		for f := range files {
			text := "x"
			if f%50 == 0 {
				text = secret(fmt.Sprint(d, f))
			}
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("%03d", f)), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := folderOf(t, dir, Config{})
	got.wantNoGaps(t)
	if got.Files.Load() != folders*files || len(got.leaks) != folders*2 || !slices.IsSorted(got.places()) {
		t.Errorf("%d files, %d leaks, sorted %v", got.Files.Load(), len(got.leaks), slices.IsSorted(got.places()))
	}
}

func TestAnEndedScanEnds(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		write(t, dir, fmt.Sprintf("d%d/f", i), "x")
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	err := Folder(ctx, dir, Config{Detector: detector(t)}, Sink{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the scan ended with %v", err)
	}
}
