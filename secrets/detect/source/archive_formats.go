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

// tar reads a tape archive. Links and devices hold nothing.
func (a *archive) tar(in io.Reader) error {
	r := tar.NewReader(in)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse && h.Typeflag != tar.TypeCont {
			if err := a.count(); err != nil {
				return err
			}
			continue
		}
		if err := a.entry(h.Name, r, -1); err != nil {
			return err
		}
	}
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
	if overlapping(r.File) {
		a.w.gap(a.at.String(), "its entries overlap, as in archives that are made to exhaust who opens them", Malformed)
	}
	for _, f := range r.File {
		if err := a.zipEntry(f); err != nil {
			return err
		}
	}
	return nil
}

// overlapping reports whether two entries share bytes.
func overlapping(files []*zip.File) bool {
	type span struct{ from, to uint64 }
	spans := make([]span, 0, len(files))
	for _, f := range files {
		if off, err := f.DataOffset(); err == nil && f.CompressedSize64 > 0 {
			spans = append(spans, span{uint64(off), uint64(off) + f.CompressedSize64})
		}
	}
	slices.SortFunc(spans, func(x, y span) int { return cmp.Compare(x.from, y.from) })
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to {
			return true
		}
	}
	return false
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

// cpio reads the "new" format of cpio: the first file system of a kernel, the inside
// of an RPM.
func (a *archive) cpio(in io.Reader) error {
	r := bufio.NewReader(in)
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
			err = a.pass(body, r, int(-h.size&3))
		}
		if err != nil {
			return atEnd(err)
		}
	}
}

type cpioEntry struct {
	name    string
	size    int64
	regular bool
}

func cpioHeader(r *bufio.Reader) (cpioEntry, error) {
	var h [110]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return cpioEntry{}, err
	}
	var field [13]int64
	for i := range field {
		v, err := strconv.ParseUint(string(h[6+8*i:14+8*i]), 16, 32)
		if err != nil {
			return cpioEntry{}, errors.New("an entry has no valid header")
		}
		field[i] = int64(v)
	}
	mode, size, length := field[1], field[6], field[11]
	if string(h[:5]) != "07070" || length < 1 || length > longestCpioName {
		return cpioEntry{}, errors.New("an entry has no valid header")
	}
	name := make([]byte, length+(-(110+length)&3))
	if _, err := io.ReadFull(r, name); err != nil {
		return cpioEntry{}, err
	}
	return cpioEntry{string(name[:length-1]), size, mode&0o170000 == 0o100000}, nil
}
