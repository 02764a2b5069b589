package source

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// tar reads a tape archive, and what was put behind its end.
func (a *archive) tar(in io.Reader) error {
	r := bufio.NewReaderSize(in, behindSize)
	for {
		if err := a.oneTar(r); err != nil {
			return err
		}
		if another, err := a.behind(r, archiveTar); !another || err != nil {
			return err
		}
	}
}

// oneTar reads up to the mark of an archive's end. Links and devices hold nothing.
func (a *archive) oneTar(in io.Reader) error {
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.tarEntry(h, r); err != nil {
			return err
		}
	}
}

func (a *archive) tarEntry(h *tar.Header, r io.Reader) error {
	switch {
	case h.Typeflag == tar.TypeGNUSparse || sparseByPAX(h):
		if h.Size > a.w.Limits.Unpacked-*a.pack.holes { // their sum may be more than a number holds
			a.w.gap(a.at.String()+"!"+inside(h.Name), "a file with holes that is larger than what is read of one archive", TooLarge)
			return a.count()
		}
		return a.entry(h.Name, &dense{a: a, r: r}, -1)
	case h.Typeflag == tar.TypeReg, h.Size > 0:
		return a.entry(h.Name, r, -1)
	}
	return a.count()
}

// sparseByPAX reports whether a file was written without its holes in one of the ways
// that GNU tar has beside its oldest.
func sparseByPAX(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// count books an entry that holds nothing.
func (a *archive) count() error {
	if *a.pack.entries++; *a.pack.entries > a.w.Limits.Entries {
		return errEntries
	}
	return a.w.ctx.Err()
}

// zipDirectory is how many bytes of a zip's directory are read: the library keeps all
// of its entries in memory.
const zipDirectory = 24 << 20

var errZipDirectory = fmt.Errorf("its directory is larger than %d MiB", zipDirectory>>20)

// directoryReader ends the reading of a directory that is too large.
type directoryReader struct {
	io.ReaderAt
	left int
	open bool // the directory is read
}

func (d *directoryReader) ReadAt(p []byte, off int64) (int, error) {
	if !d.open {
		if d.left -= len(p); d.left < 0 {
			return 0, errZipDirectory
		}
	}
	return d.ReaderAt.ReadAt(p, off)
}

func (a *archive) zip(in input) error {
	at, size, done, err := a.random(in)
	if err != nil {
		return err
	}
	defer done()
	bounded := &directoryReader{ReaderAt: at, left: zipDirectory}
	r, err := zip.NewReader(bounded, size)
	if errors.Is(err, errZipDirectory) {
		return fmt.Errorf("%w: %w", err, errEntries)
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return err
	}
	bounded.open = true
	if err := a.unlisted(at, extents(r.File)); err != nil {
		return err
	}
	for _, f := range r.File {
		if err := a.zipEntry(f); err != nil {
			return err
		}
	}
	return nil
}

// extent is where the data of a zip's entry is, and how far before it its header may
// begin.
type extent struct{ head, from, to int64 }

func extents(files []*zip.File) []extent {
	all := make([]extent, 0, len(files))
	for _, f := range files {
		if off, err := f.DataOffset(); err == nil {
			all = append(all, extent{off - zipHeader - int64(len(f.Name)), off, off + int64(min(f.CompressedSize64, 1<<62))})
		}
	}
	slices.SortFunc(all, func(x, y extent) int { return cmp.Compare(x.from, y.from) })
	return all
}

const (
	zipHeader = 30
	// zipSlack is what may stand between two entries: what the first says after its
	// data, and what the second says more in its header.
	zipSlack = 24 + 64<<10
)

// unlisted reads what is in a zip and in none of its entries: what is before the first,
// as in an archive that unpacks itself. Entries that share bytes, and bytes between
// entries that no entry has, are told.
func (a *archive) unlisted(at io.ReaderAt, all []extent) error {
	end := int64(0)
	overlap, lost := false, false
	for i, e := range all {
		overlap = overlap || i > 0 && e.from < end && e.to > e.from
		lost = lost || i > 0 && e.head-end > zipSlack
		end = max(end, e.to)
	}
	if overlap {
		a.w.gap(a.at.String(), "its entries overlap, as in archives that are made to exhaust who opens them", Malformed)
	}
	if lost {
		a.w.gap(a.at.String(), "it has more between its entries than they say: it may hold files that it does not list", Malformed)
	}
	if len(all) == 0 || all[0].head <= 0 {
		return nil
	}
	var mark [4]byte
	if _, err := at.ReadAt(mark[:], 0); err != nil || string(mark[:]) == "PK\x03\x04" {
		return nil //nolint:nilerr // its first entry will say so
	}
	return a.entry("(before its first entry)", io.NewSectionReader(at, 0, all[0].head), -1)
}

// zipTail is how much of a file's end is looked at to tell whether it is a zip behind
// something else.
const zipTail = 1 << 10

// endsAsZip reports whether a file that begins as something else ends as a zip: one
// that unpacks itself, a program with its parts.
func endsAsZip(in input) bool {
	if in.random == nil || in.size < 22 {
		return false
	}
	tail := make([]byte, min(zipTail, in.size))
	n, _ := in.random.ReadAt(tail, in.size-int64(len(tail)))
	i := strings.LastIndex(string(tail[:n]), "PK\x05\x06")
	return i >= 0 && n-i >= 22 && n-i == 22+int(tail[i+20])+int(tail[i+21])<<8
}

const zipEncrypted = 1

// zipEntry reads one entry. One that is damaged leaves the others whole.
func (a *archive) zipEntry(f *zip.File) error {
	if f.Mode().IsDir() || !f.Mode().IsRegular() {
		return a.count()
	}
	name := a.at.String() + "!" + inside(f.Name)
	if f.Flags&zipEncrypted != 0 {
		a.w.gap(name, "it is encrypted", Unsupported)
		return a.count()
	}
	raw, err := f.OpenRaw()
	if err != nil {
		a.w.gap(name, "it can't be unpacked: "+err.Error(), Malformed)
		return a.count()
	}
	switch f.Method {
	case zip.Store:
		return a.entry(f.Name, raw, -1)
	case zip.Deflate:
		z := flate.NewReader(raw)
		defer func() { _ = z.Close() }()
		return a.entry(f.Name, z, -1)
	}
	a.w.gap(name, fmt.Sprintf("it is packed by method %d, which can't be unpacked here", f.Method), Unsupported)
	return a.count()
}

// ar reads a Unix archive, such as a Debian package or a static library.
func (a *archive) ar(in io.Reader) error {
	r := bufio.NewReader(in)
	if _, err := r.Discard(8); err != nil {
		return err
	}
	for {
		var h [60]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return atEnd(err)
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(h[48:58])), 10, 64)
		if err != nil || size < 0 || h[58] != '`' {
			return errors.New("an entry has no valid header")
		}
		body := io.LimitReader(r, size)
		if err := a.entry(strings.TrimRight(string(h[:16]), " /"), body, -1); err != nil {
			return err
		}
		if err := a.pass(body, r, int(size&1)); err != nil {
			return atEnd(err)
		}
	}
}

// pass skips what is left of an entry and the padding after it.
func (a *archive) pass(body, r io.Reader, padding int) error {
	if _, err := io.Copy(io.Discard, &chargedReader{r: body, a: a}); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, r, int64(padding))
	return err
}

// atEnd takes the end of the data for the end of the archive.
func atEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// longestCpioName is the longest name that a kernel would take.
const longestCpioName = 4096

// cpio reads the formats of cpio that are text in their headers: the first file system
// of a kernel, which is several of them, one behind the other; the inside of an RPM.
func (a *archive) cpio(in io.Reader) error {
	r := bufio.NewReaderSize(in, behindSize)
	for {
		if err := a.oneCpio(r); err != nil {
			return err
		}
		if another, err := a.behind(r, archiveCpio); !another || err != nil {
			return err
		}
	}
}

func (a *archive) oneCpio(r *bufio.Reader) error {
	for {
		h, err := cpioHeader(r)
		if err != nil {
			return atEnd(err)
		}
		if h.name == "TRAILER!!!" {
			return nil
		}
		body := io.LimitReader(r, h.size)
		if h.regular {
			err = a.entry(h.name, body, -1)
		} else {
			err = a.count()
		}
		if err == nil {
			err = a.pass(body, r, int(-h.size&h.padded))
		}
		if err != nil {
			return atEnd(err)
		}
	}
}

type cpioEntry struct {
	name    string
	size    int64
	padded  int64 // to a multiple of one more than this
	regular bool
}

var errCpio = errors.New("an entry has no valid header")

func cpioHeader(r *bufio.Reader) (cpioEntry, error) {
	if mark, err := r.Peek(6); err == nil && string(mark) == "070707" {
		return oldCpioHeader(r)
	}
	var h [110]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return cpioEntry{}, err
	}
	var field [13]int64
	for i := range field {
		v, err := strconv.ParseUint(string(h[6+8*i:14+8*i]), 16, 32)
		if err != nil {
			return cpioEntry{}, errCpio
		}
		field[i] = int64(v)
	}
	mode, size, length := field[1], field[6], field[11]
	if string(h[:5]) != "07070" || length < 1 || length > longestCpioName {
		return cpioEntry{}, errCpio
	}
	name := make([]byte, length+(-(110+length)&3))
	if _, err := io.ReadFull(r, name); err != nil {
		return cpioEntry{}, err
	}
	return cpioEntry{string(name[:length-1]), size, 3, mode&0o170000 == 0o100000}, nil
}

// oldCpioHeader reads a header of octal digits, as POSIX has it.
func oldCpioHeader(r *bufio.Reader) (cpioEntry, error) {
	var h [76]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return cpioEntry{}, err
	}
	var field [3]int64
	for i, at := range [...][2]int{{18, 24}, {59, 65}, {65, 76}} {
		v, err := strconv.ParseInt(string(h[at[0]:at[1]]), 8, 64)
		if err != nil || v < 0 {
			return cpioEntry{}, errCpio
		}
		field[i] = v
	}
	if field[1] < 1 || field[1] > longestCpioName {
		return cpioEntry{}, errCpio
	}
	name := make([]byte, field[1])
	if _, err := io.ReadFull(r, name); err != nil {
		return cpioEntry{}, err
	}
	return cpioEntry{string(name[:len(name)-1]), field[2], 0, field[0]&0o170000 == 0o100000}, nil
}
