package source

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// archiveKind is a format that holds other files.
type archiveKind int

const (
	notArchive archiveKind = iota
	archiveGzip
	archiveBzip2
	archiveZstd
	archiveTar
	archiveZip
	archiveAr
	archiveCpio
	archiveXz
	archiveRPM
	archive7z
	archiveRar
	archiveOther
)

var archiveNames = map[archiveKind]string{
	archiveGzip: "gzip", archiveBzip2: "bzip2", archiveZstd: "zstd", archiveTar: "tar", archiveZip: "zip", archiveAr: "ar",
	archiveCpio: "cpio", archiveXz: "xz", archiveRPM: "rpm", archive7z: "7z", archiveRar: "rar", archiveOther: "an archive",
}

// magics tell an archive by its first bytes.
var magics = []struct {
	magic string
	kind  archiveKind
}{
	{"\x1f\x8b\x08", archiveGzip},
	{"PK\x03\x04", archiveZip},
	{"PK\x05\x06", archiveZip},
	{"BZh", archiveBzip2},
	{"\x28\xb5\x2f\xfd", archiveZstd},
	{"!<arch>\n", archiveAr},
	{"070701", archiveCpio},
	{"070702", archiveCpio},
	{"070707", archiveCpio},
	{"\xfd7zXZ\x00", archiveXz},
	{"7z\xbc\xaf\x27\x1c", archive7z},
	{"Rar!\x1a\x07", archiveRar},
	{"\xed\xab\xee\xdb", archiveRPM},
	{"\x04\x22\x4d\x18", archiveOther}, // lz4
	{"LZIP\x01", archiveOther},
	{"\x1f\x9d", archiveOther}, // compress
	{"MSCF\x00\x00\x00\x00", archiveOther},
	{"hsqs", archiveOther},
	{"xar!\x00", archiveOther},
}

// archiveOf tells which archive begins with these bytes.
func archiveOf(head []byte) archiveKind {
	for _, m := range magics {
		if len(head) >= len(m.magic) && string(head[:len(m.magic)]) == m.magic {
			if m.kind == archiveBzip2 && !bzip2Block(head) {
				return notArchive
			}
			return m.kind
		}
	}
	switch {
	case tarHeader(head):
		return archiveTar
	case lzmaHeader(head):
		return archiveOther
	}
	return notArchive
}

// lzmaHeader knows an .lzma, which has no mark, by what its header usually says: the
// properties of every packer, a window of whole kilobytes, no size or one that is real.
func lzmaHeader(head []byte) bool {
	if len(head) < 14 || string(head[:3]) != "\x5d\x00\x00" || head[13] != 0 {
		return false
	}
	size := binary.LittleEndian.Uint64(head[5:])
	return size == 1<<64-1 || size > 0 && size < 1<<40
}

// tarHeader knows a tar by its mark, or one from before there was a mark by the sum of
// its first header.
func tarHeader(head []byte) bool {
	if len(head) < 512 {
		return false
	}
	if string(head[257:262]) == "ustar" {
		return true
	}
	want, err := strconv.ParseInt(strings.Trim(string(head[148:156]), " \x00"), 8, 32)
	if err != nil || head[0] == 0 {
		return false
	}
	sum := int64(8 * ' ')
	for i, c := range head[:512] {
		if i < 148 || i >= 156 {
			sum += int64(c)
		}
	}
	return sum == want
}

// bzip2Block tells bzip2 from a text that begins with "BZh".
func bzip2Block(head []byte) bool {
	return len(head) >= 10 && head[3] >= '1' && head[3] <= '9' &&
		(string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90")
}

// unpacking is what an archive and all that is nested in it may still cost.
type unpacking struct {
	depth   int
	entries *int
	read    *int64 // unpacked so far, at all depths together
	holes   *int64 // in files of tars, which cost only time
	packed  int64  // bytes of the outermost archive
}

var (
	errUnpacked = errors.New("it unpacks to more than is read of one archive")
	errRatio    = errors.New("it unpacks to far more than its own size, as archives do that are made to exhaust who opens them")
	errEntries  = errors.New("it has more entries than are read of one archive")
)

// charge books n unpacked bytes.
func (u *unpacking) charge(l *Limits, n int) error {
	*u.read += int64(n)
	switch {
	case *u.read > l.Unpacked:
		return errUnpacked
	case *u.read > l.Small && u.packed > 0 && *u.read/u.packed > l.Ratio:
		return errRatio
	}
	return nil
}

// spent reports whether what is left of the outermost archive must stay closed.
func spent(err error) bool {
	return errors.Is(err, errUnpacked) || errors.Is(err, errRatio) || errors.Is(err, errEntries)
}

// archive opens an archive, if archives are wanted.
func (w *worker) archive(at *where, kind archiveKind, in input, head []byte, pack *unpacking) {
	w.whole(at, nil) // its name may be enough
	if !w.Archives {
		w.Progress.Unopened.Add(1)
		return
	}
	if pack == nil {
		pack = &unpacking{entries: new(int), read: new(int64), holes: new(int64), packed: in.size}
	}
	if pack.depth >= w.Limits.Nested {
		w.gap(at.String(), fmt.Sprintf("archives are nested more than %d deep", w.Limits.Nested), TooDeep)
		return
	}
	w.Progress.Archives.Add(1)
	inner := *pack
	inner.depth++
	a := &archive{w: w, at: at, pack: &inner}
	in.Reader = io.MultiReader(bytes.NewReader(bytes.Clone(head)), input{Reader: in.Reader, broken: in.broken})
	in.broken = nil
	a.tell(a.open(kind, in))
}

// archive is one that is being read.
type archive struct {
	w    *worker
	at   *where
	pack *unpacking
}

// tell makes a gap of what ended the reading. A budget that is spent ends the
// outermost archive; whoever comes after sees it spent and stops as well.
func (a *archive) tell(err error) {
	name := a.at.String()
	switch {
	case err == nil, a.w.ctx.Err() != nil:
	case spent(err):
		a.w.gap(name, err.Error()+"; the rest was not read", TooLarge)
	case errors.Is(err, errTooBig):
		a.w.gap(name, err.Error(), TooLarge)
	case errors.Is(err, errUnknownFormat):
		a.w.gap(name, err.Error(), Unsupported)
	default:
		a.w.gap(name, "the archive is damaged, what follows was not read: "+err.Error(), Malformed)
	}
}

var (
	errUnknownFormat = errors.New("this format can't be opened here: unpack it and scan what comes out")
	errTooBig        = errors.New("it is too large to be opened inside another archive: unpack it and scan what comes out")
)

func (a *archive) open(kind archiveKind, in input) error {
	switch kind {
	case archiveGzip:
		return a.gzip(in)
	case archiveBzip2, archiveZstd, archiveXz:
		return a.stream(kind, in)
	case archiveRPM:
		return a.rpm(in)
	case archiveTar:
		return a.tar(in)
	case archiveZip:
		return a.zip(in)
	case archiveAr:
		return a.ar(in)
	case archiveCpio:
		return a.cpio(in)
	}
	return fmt.Errorf("%s: %w", archiveNames[kind], errUnknownFormat)
}

// stream unpacks a format that holds one file.
func (a *archive) stream(kind archiveKind, in input) error {
	r, done, err := decompressor(kind, in)
	if err != nil {
		return err
	}
	defer done()
	return a.toEnd(streamName(a.at), r)
}

// windowSize bounds what a zstd frame may ask to remember.
const windowSize = 32 << 20

func decompressor(kind archiveKind, in io.Reader) (r io.Reader, done func(), err error) {
	switch kind {
	case archiveBzip2:
		return bzip2.NewReader(in), func() {}, nil
	case archiveXz:
		return newXz(in), func() {}, nil
	}
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(windowSize))
	if err != nil {
		return nil, nil, err
	}
	return z, z.Close, nil
}

// streamName names what a compressed file holds: its own name without the suffix.
func streamName(at *where) string {
	name := path.Base(at.asked)
	for suffix, becomes := range map[string]string{".tgz": ".tar", ".tbz2": ".tar", ".tbz": ".tar", ".tzst": ".tar"} {
		if base, ok := strings.CutSuffix(strings.ToLower(name), suffix); ok {
			return name[:len(base)] + becomes
		}
	}
	if ext := path.Ext(name); ext != "" && len(ext) < len(name) {
		return strings.TrimSuffix(name, ext)
	}
	return name
}

// longestEntry is how much of an entry's name is kept.
const longestEntry = 4096

// entry scans one file of the archive. size is -1 where the format doesn't say.
func (a *archive) entry(name string, r io.Reader, size int64) error {
	if err := a.w.ctx.Err(); err != nil {
		return err
	}
	if *a.pack.entries++; *a.pack.entries > a.w.Limits.Entries {
		return errEntries
	}
	name = inside(name)
	at := &where{Place: a.at.Place, asked: join(a.at.asked, name), note: a.at.note}
	at.Inner = append(append([]string(nil), a.at.Inner...), name)
	if a.w.Exclude != nil && a.w.Exclude(at.asked, false) {
		return nil
	}
	counted := &chargedReader{r: r, a: a}
	a.w.content(at, input{Reader: counted, size: size}, a.pack)
	return counted.spent
}

// inside is an entry's name as a path that leads nowhere: it is only ever shown and
// held against patterns.
func inside(name string) string {
	name = name[:min(len(name), longestEntry)]
	return strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, "\x00", "")), "/")
}

// chargedReader books what is read, and keeps a spent budget in mind even where who
// reads takes the end for a damaged file.
type chargedReader struct {
	r     io.Reader
	a     *archive
	spent error
}

func (c *chargedReader) Read(p []byte) (int, error) {
	if c.spent != nil {
		return 0, c.spent
	}
	if c.spent = c.a.w.ctx.Err(); c.spent != nil {
		return 0, c.spent
	}
	n, err := c.r.Read(p)
	if over := c.a.pack.charge(&c.a.w.Limits, n); over != nil {
		c.spent = over
		return 0, over
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCut // who reads would take it for a short file
	}
	return n, err
}

var errCut = errors.New("it is cut off")

// random makes what a reader holds readable at random: as it is where it is a file,
// else in memory or, if it is large, in a file that has no name.
func (a *archive) random(in input) (r io.ReaderAt, size int64, done func(), err error) {
	if in.random != nil && in.size >= 0 {
		return in.random, in.size, func() {}, nil
	}
	const inMemory = 8 << 20
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(in, inMemory))
	if err != nil {
		return nil, 0, nil, err
	}
	if n < inMemory {
		return bytes.NewReader(b.Bytes()), n, func() {}, nil
	}
	return a.spool(io.MultiReader(&b, in))
}

func (a *archive) spool(r io.Reader) (io.ReaderAt, int64, func(), error) {
	f, err := os.CreateTemp("", "interlock-scan-*")
	if err != nil {
		return nil, 0, nil, err
	}
	_ = os.Remove(f.Name())
	n, err := io.Copy(f, io.LimitReader(r, a.w.Limits.Spool+1))
	if err == nil && n > a.w.Limits.Spool {
		err = errTooBig
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, nil, err
	}
	return f, n, func() { _ = f.Close() }, nil
}
